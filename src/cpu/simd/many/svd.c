/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of a group of matrices of any size, and the choice of a kernel that knows the size (small_sizes.c,
 * fixed_sizes.c). */
#include "../exported.h"
#include "small_pairs.h"
#include "svd.h"

NOINLINE void svd_of_any_size(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_group(call, first, 0, count, scratch);
}

static square_svd_t svd_of_size(int64_t n) {
  if (n < SMALL_SIZES)
    return EXPORTED(svdgrad_small_svds)[n];
  return n < FIXED_SIZES ? EXPORTED(svdgrad_fixed_svds)[n] : NULL;
}

/* Two groups at once where small_sizes.c takes them. */
static int svd_matrices(const problem_t *p) {
  return p->m == p->n && p->n > 1 && p->n <= PAIRS_MOST ? 2 * LANES : LANES;
}

static void svd(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const svd_call_t *call = argument;
  const square_svd_t square = call->p.m == call->p.n ? svd_of_size(call->p.n) : NULL;
  if (square)
    square(call, first, (int)count, scratch);
  else
    svd_of_any_size(call, first, (int)count, scratch);
}

/* Bytes for a group, however few matrices it has. */
static size_t svd_scratch(const problem_t *p, int vectors) {
  arena_t arena = {NULL, 0};
  for (int i = 0; i < svd_matrices(p); i += LANES)
    (void)lane_group_take_any(&arena, p, vectors);
  return arena.used;
}

const svd_ops_t EXPORTED(svdgrad_svd_ops) = {LANES, svd_scratch, svd_matrices, svd, NARROW(svdgrad_svd_ops)};
