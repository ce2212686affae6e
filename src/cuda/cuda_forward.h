/* SPDX-License-Identifier: BSD-3-Clause */
/* The forward pass: one kernel for small matrices; otherwise prepare, the SVD of packed tall matrices, store. */
#ifndef SVDGRAD_CUDA_FORWARD_H
#define SVDGRAD_CUDA_FORWARD_H
#include "cuda_choice.h"
#include "cusolver.h"

/* Bytes of workspace, SIZE_MAX if they do not fit.  `pool` is of the vendor algorithms. */
size_t cuda_forward_workspace(cuda_algorithm_t algorithm, const problem_t *problem, int vectors, cusolver_pool_t *pool);

/* One kernel from the caller's A to the caller's factors, without the three steps: whether that is so, and what the
 * kernel gets. */
int cuda_forward_is_direct(cuda_algorithm_t algorithm, const problem_t *problem);
direct_args_t cuda_direct_args(const svd_call_t *call);

svdgrad_status_t cuda_forward(cuda_algorithm_t algorithm, const svd_call_t *call, cusolver_pool_t *pool);

#endif
