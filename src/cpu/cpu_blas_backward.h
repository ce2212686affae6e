/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass of matrices that are not computed in lanes: one at a time, by the BLAS. */
#ifndef SVDGRAD_CPU_BLAS_BACKWARD_H
#define SVDGRAD_CPU_BLAS_BACKWARD_H
#include "backend.h"

/* Bytes; SIZE_MAX if they do not fit. */
size_t cpu_blas_backward_workspace(const context_t *context, const problem_t *p);
svdgrad_status_t cpu_blas_backward(const context_t *context, const svd_backward_call_t *call);

#endif
