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

/* c->d, c->e -> c->d, c->U, c->V, whose columns c->order names by increasing value. */
static int conquer(const conquer_t *c) {
  const block_t whole = {0, c->n, 0};
  return solve_block(c, &whole);
}

/* The column of U and V, and the entry of d, with the i-th largest value. */
static int64_t conquered_column(const conquer_t *c, int64_t i) { return c->order[c->n - 1 - i]; }

#endif
