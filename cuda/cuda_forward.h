/* SPDX-License-Identifier: BSD-3-Clause */
/* The forward pass: one kernel for small matrices; otherwise prepare, the SVD of packed tall matrices, store. */
#ifndef SVDGRAD_CUDA_FORWARD_H
#define SVDGRAD_CUDA_FORWARD_H
#include "cuda_choice.h"
#include "cusolver.h"

/* Bytes of workspace, SIZE_MAX if they do not fit.  `pool` is of the vendor algorithms. */
size_t cuda_forward_workspace(cuda_algorithm_t algorithm, const problem_t *problem, int vectors, cusolver_pool_t *pool);

svdgrad_status_t cuda_forward(cuda_algorithm_t algorithm, const svd_call_t *call, cusolver_pool_t *pool);

#endif
