/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values alone; a matrix that takes too many sweeps goes to Jacobi. */
#include "values.h"
#include "../exported.h"

static void values(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const svd_call_t *call = argument;
  values_group(call, first, (int)count, scratch, MOST_SWEEPS * call->p.mn, EXPORTED(svdgrad_svd_ops).group);
}

/* Bytes for a group, however few matrices it has. */
static size_t values_scratch(const problem_t *p, int vectors) {
  arena_t arena = {NULL, 0};
  (void)value_group_take(&arena, p);
  const size_t again = EXPORTED(svdgrad_svd_ops).scratch(p, vectors);
  return arena.used > again ? arena.used : again;
}

static int matrices(const problem_t *p) { return value_groups(p) * LANES; }

const svd_ops_t EXPORTED(svdgrad_value_ops) = {LANES, values_scratch, matrices, values, NARROW(svdgrad_value_ops)};
