/* SPDX-License-Identifier: BSD-3-Clause */
/* m or n is 0: what is left to do for a backend whose operands lie in host memory. */
#ifndef SVDGRAD_EMPTY_H
#define SVDGRAD_EMPTY_H
#include "backend.h"

/* info is OK; with full_matrices the factor that is not empty is the identity. */
void empty_svd(const svd_call_t *call);

/* gA has no element; no gap was looked at. */
void empty_svd_backward(const svd_backward_call_t *call);

#endif
