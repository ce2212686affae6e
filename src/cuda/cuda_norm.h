/* SPDX-License-Identifier: BSD-3-Clause */
/* A norm with its gradient in one launch, for matrices that a thread or lanes of a warp solve in registers. */
#ifndef SVDGRAD_CUDA_NORM_H
#define SVDGRAD_CUDA_NORM_H
#include "backend.h"

/* The entries of backend_t. */
int cuda_fuses_norm(const context_t *context, const problem_t *problem);
svdgrad_status_t cuda_fused_norm(const context_t *context, const norm_call_t *call);

#endif
