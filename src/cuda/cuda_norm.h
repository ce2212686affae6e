/* SPDX-License-Identifier: BSD-3-Clause */
/* A norm with its gradient in one launch, for matrices that a thread or lanes of a warp solve in registers. */
#ifndef SVDGRAD_CUDA_NORM_H
#define SVDGRAD_CUDA_NORM_H
#include "backend.h"

/* The entry of backend_t. */
fused_norm_t *cuda_fused_norm(const context_t *context, const problem_t *problem, svdgrad_norm_kind_t kind);

#endif
