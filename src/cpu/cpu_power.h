/* SPDX-License-Identifier: BSD-3-Clause */
/* Power iteration and spectral normalization on the cpu backend.  One thread computes a small matrix.  Threads
 * share a large one: its rows are cut into chunks, whose sums are added in a fixed order. */
#ifndef SVDGRAD_CPU_POWER_H
#define SVDGRAD_CPU_POWER_H
#include "calls.h"
#include "simd/kernels.h"

size_t cpu_power_workspace(const lane_kernels_t *kernels, const problem_t *p); /* SIZE_MAX: too many bytes */
void cpu_power_iteration(const parallel_t *parallel, const lane_kernels_t *kernels, const power_call_t *call);

/* Needs no workspace. */
void cpu_normalize_backward(const parallel_t *parallel, const normalize_backward_call_t *call);

#endif
