/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values and vectors by QR iteration; a matrix that takes too many steps goes to Jacobi. */
#include "vectors.h"
#include "../exported.h"

static void vectors(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const svd_call_t *call = argument;
  vectors_group(call, first, (int)count, scratch, MOST_SWEEPS * call->p.mn, EXPORTED(svdgrad_svd_ops).group);
}

/* Bytes for a group, however few matrices it has. */
static size_t vectors_scratch(const problem_t *p, int vectors) {
  arena_t arena = {NULL, 0};
  for (int i = 0; i < vector_groups(p); i++)
    (void)vector_group_take(&arena, p);
  const size_t again = EXPORTED(svdgrad_svd_ops).scratch(p, vectors);
  return arena.used > again ? arena.used : again;
}

static int matrices(const problem_t *p) { return vector_groups(p) * LANES; }

const svd_ops_t EXPORTED(svdgrad_vector_ops) = {LANES, vectors_scratch, matrices, vectors, NARROW(svdgrad_vector_ops)};
