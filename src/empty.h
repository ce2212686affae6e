/* SPDX-License-Identifier: BSD-3-Clause */
/* m or n is 0: what is left to do for a backend whose operands lie in host memory. */
#ifndef SVDGRAD_EMPTY_H
#define SVDGRAD_EMPTY_H
#include "calls.h"

/* info is OK; with full_matrices the factor that is not empty is the identity. */
void empty_svd(const svd_call_t *call);

/* gA has no element; no gap was looked at. */
void empty_svd_backward(const svd_backward_call_t *call);

/* sigma and residual are 0; u and v stay what they are, as where A is zero. */
void empty_power_iteration(const power_call_t *call);

#endif
