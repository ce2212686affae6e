/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of a group of matrices in lanes.  A matrix whose smallest singular values may have been lost there is solved
 * again (dense/lost_values.h). */
#ifndef SVDGRAD_CPU_LANES_SVD_H
#define SVDGRAD_CPU_LANES_SVD_H
#include "simd/kernels.h"

/* The call of the task. */
typedef struct cpu_lanes_svd {
  const svd_ops_t *ops; /* of one instruction set and type */
  const svd_call_t *call;
} cpu_lanes_svd_t;

/* Bytes that are enough for one group, or for part of one in registers of half the width. */
size_t cpu_lanes_svd_scratch(const svd_ops_t *ops, const problem_t *p, int vectors);

/* A batch_task_t. */
void cpu_lanes_svd(const void *argument, int64_t first, int64_t count, arena_t scratch);

#endif
