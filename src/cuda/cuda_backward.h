/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass: one fused kernel, or products with small kernels between them. */
#ifndef SVDGRAD_CUDA_BACKWARD_H
#define SVDGRAD_CUDA_BACKWARD_H
#include "cuda_choice.h"

size_t cuda_backward_workspace(const cuda_state_t *state, const problem_t *problem); /* SIZE_MAX: too many bytes */
svdgrad_status_t cuda_backward(const cuda_state_t *state, const svd_backward_call_t *call);

#endif
