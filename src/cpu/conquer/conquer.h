/* SPDX-License-Identifier: BSD-3-Clause */
/* B = U diag(d) V^T of a real upper bidiagonal matrix, by divide and conquer (problem.h). */
#ifndef SVDGRAD_CONQUER_CONQUER_H
#define SVDGRAD_CONQUER_CONQUER_H
#include "leaf.h"
#include "merge.h"

/* Returns 0 if a part did not converge. */
static int solve_block(const conquer_t *c, const block_t *b) {
  if (b->n <= LEAF_ROWS)
    return solve_leaf(c, b);
  const block_t upper = upper_block(b), lower = lower_block(b);
  return solve_block(c, &upper) && solve_block(c, &lower) && merge_blocks(c, b);
}

typedef struct shared_block {
  const conquer_t *c;
  const block_t *block;
  int depth;
  atomic_int *failed;
} shared_block_t;

static void solve_part(const void *argument, int64_t i) {
  const shared_block_t *shared = argument;
  const block_t part = part_of_block(shared->block, shared->depth, i);
  const conquer_t c = conquer_part(shared->c, part.first, i);
  if (!solve_block(&c, &part))
    atomic_store(shared->failed, 1);
}

/* Threads share the parts of a large block; what is merged then is shared inside. */
static int solve_shared(const conquer_t *c, const block_t *b) {
  const int depth = depth_of_parts(b->n);
  const int64_t parts = (int64_t)1 << depth, rows = b->n / parts;
  atomic_int failed = 0;
  const shared_block_t shared = {c, b, depth, &failed};
  if (depth == 0)
    return solve_block(c, b);
  team_run(c->team, parts, 20.0 * (double)rows * (double)rows, solve_part, &shared);
  if (atomic_load(&failed))
    return 0;
  for (int level = depth - 1; level >= 0; level--)
    for (int64_t i = 0; i < (int64_t)1 << level; i++) {
      const block_t block = part_of_block(b, level, i);
      if (!merge_blocks(c, &block))
        return 0;
    }
  return 1;
}

/* Writes the zeros of a part's columns. */
static void fill_around(const conquer_t *c, const block_t *b) {
  const size_t above = (size_t)b->first * sizeof(R), below = (size_t)(c->n - b->first - b->n) * sizeof(R);
  for (int64_t j = 0; j < b->n; j++) {
    R *u = u_column(c, b, j), *v = v_column(c, b, j);
    memset(u - b->first, 0, above), memset(v - b->first, 0, above);
    memset(u + b->n, 0, below), memset(v + b->n, 0, below);
  }
}

/* c->order of columns first .. first + n - 1. */
static void sort_columns(const conquer_t *c, int64_t first, int64_t n) {
  const int64_t half = n / 2;
  int64_t *order = c->order + first;
  if (n == 1) {
    *order = first;
    return;
  }
  sort_columns(c, first, half);
  sort_columns(c, first + half, n - half);
  merge_lists(c->d, order, half, order + half, n - half, 0, c->merged);
  memcpy(order, c->merged, (size_t)n * sizeof *order);
}

/* Where an entry above the diagonal is negligible, the matrix falls into parts.  Returns 0 if one did not converge. */
static int solve_parts(const conquer_t *c) {
  int64_t first = 0;
  int is_split = 0;
  if (!are_finite(c->n, c->d) || !are_finite(c->n - 1, c->e))
    return 0;
  for (int64_t i = 0; i < c->n; i++) {
    if (i + 1 < c->n && (R)fabs(c->e[i]) > EPSILON / 2)
      continue;
    const block_t part = {first, i + 1 - first, 0};
    if (!solve_shared(c, &part))
      return 0;
    if (part.n < c->n)
      fill_around(c, &part), is_split = 1;
    first = i + 1;
  }
  if (is_split)
    sort_columns(c, 0, c->n);
  return 1;
}

/* The SVD of the matrix of d and e: c->d, c->U, c->V, whose columns c->order names by increasing value.  Where a part did
 * not converge, QR iteration solves the whole; returns 0 if that did not converge either. */
static int conquer(const conquer_t *c, const R *d, const R *e) {
  const int exponent = load_scaled(c->n, d, e, c->d, c->e);
  const power_t up = power_of(exponent);
  if (c->n <= LEAF_ROWS || !solve_parts(c)) {
    (void)load_scaled(c->n, d, e, c->d, c->e);
    if (!solve_without_dividing(c))
      return 0;
  }
  for (int64_t i = 0; i < c->n; i++)
    c->d[i] = scaled_by(c->d[i], up);
  return 1;
}

/* The column of U and V, and the entry of d, with the i-th largest value. */
static int64_t conquered_column(const conquer_t *c, int64_t i) { return c->order[c->n - 1 - i]; }

#endif
