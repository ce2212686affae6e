/* SPDX-License-Identifier: BSD-3-Clause */
/* Power iteration with a matrix in each lane (power.inc). */
#ifndef SVDGRAD_LANES_POWER_H
#define SVDGRAD_LANES_POWER_H
#include "../../backend.h"

typedef struct power_ops {
  size_t (*scratch)(const problem_t *p); /* bytes for a group */
  /* At least one iteration of a group.  Where is_fine[l] comes out as 0 nothing was done to u and v of matrix first + l,
   * and all of its outputs are still to be computed. */
  void (*group)(const power_call_t *call, int64_t first, int count, arena_t scratch, int32_t *is_fine);
} power_ops_t;

#endif
