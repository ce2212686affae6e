/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of the SVD of small matrices, and their backward passes, in one launch (kernels/function_fused.cuh). */
#ifndef SVDGRAD_CUDA_FUNCTION_H
#define SVDGRAD_CUDA_FUNCTION_H
#include "cuda_device.h"

/* Whether there is a kernel for the call, which then needs no workspace. */
int cuda_has_function(const context_t *context, const function_call_t *call);
svdgrad_status_t cuda_function(const context_t *context, const function_call_t *call, int backward);

#endif
