/* SPDX-License-Identifier: BSD-3-Clause */
/* Power iteration and spectral normalization: launches of src/cuda/kernels/power.cuh. */
#ifndef SVDGRAD_CUDA_POWER_H
#define SVDGRAD_CUDA_POWER_H
#include "backend.h"

size_t cuda_power_workspace(svdgrad_op_t op, const problem_t *p); /* SIZE_MAX if too large */
svdgrad_status_t cuda_power_iteration(const context_t *context, const power_call_t *call);
svdgrad_status_t cuda_normalize_backward(const context_t *context, const normalize_backward_call_t *call);

#endif
