/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass in one launch, without workspace. */
#ifndef SVDGRAD_CUDA_BACKWARD_H
#define SVDGRAD_CUDA_BACKWARD_H
#include "cuda_choice.h"

/* algorithm: CUDA_BACKWARD_THREAD or CUDA_BACKWARD_FUSED. */
cudaError_t cuda_backward_fused(cuda_algorithm_t algorithm, const svd_backward_call_t *call);

#endif
