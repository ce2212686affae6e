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

/* QR iteration takes what is near the smallest normal number for zero: the matrix is scaled to entries below 1. */
static int scale_whole(const conquer_t *c) {
  R largest = 0;
  int exponent = 0;
  for (int64_t i = 0; i < c->n; i++)
    largest = larger_of(largest, larger_of((R)fabs(c->d[i]), i + 1 < c->n ? (R)fabs(c->e[i]) : 0));
  (void)frexp((double)largest, &exponent);
  const power_t down = power_of(-exponent);
  for (int64_t i = 0; i < c->n; i++)
    c->d[i] = scaled_by(c->d[i], down);
  for (int64_t i = 0; i + 1 < c->n; i++)
    c->e[i] = scaled_by(c->e[i], down);
  return exponent;
}

/* c->d, c->e -> c->d, c->U, c->V, whose columns c->order names by increasing value. */
static int conquer(const conquer_t *c) {
  const block_t whole = {0, c->n, 0};
  const int exponent = scale_whole(c);
  const power_t up = power_of(exponent);
  if (!solve_block(c, &whole))
    return 0;
  for (int64_t i = 0; i < c->n; i++)
    c->d[i] = scaled_by(c->d[i], up);
  return 1;
}

/* The column of U and V, and the entry of d, with the i-th largest value. */
static int64_t conquered_column(const conquer_t *c, int64_t i) { return c->order[c->n - 1 - i]; }

#endif
