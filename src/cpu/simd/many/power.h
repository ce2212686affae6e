/* SPDX-License-Identifier: BSD-3-Clause */
/* Power iteration with a matrix in each lane (power.c). */
#ifndef SVDGRAD_LANES_POWER_H
#define SVDGRAD_LANES_POWER_H
#include "backend.h"

typedef struct power_ops {
  size_t (*scratch)(const problem_t *p); /* bytes for a group */
  /* At least one iteration of a group.  Where is_fine[l] comes out as 0, u and v of matrix first + l are untouched, and
   * the caller must compute all outputs of this matrix. */
  void (*group)(const power_call_t *call, int64_t first, int count, arena_t scratch, int32_t *is_fine);
} power_ops_t;

#endif
