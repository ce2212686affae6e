/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors that belong to a singular value of zero, of all matrices of a group at once: matrices of low rank have many, and
 * often all of a batch are of one kind. */
#ifndef SVDGRAD_SIMD_COMPLETE_H
#define SVDGRAD_SIMD_COMPLETE_H
#include "lane_group.h"

/* Adds |x_i|^2 to the reach of row i, in the matrices that `mask` selects. */
INLINE void add_reach(int64_t n, M mask, const R *x, R *reach) {
  for (int64_t i = 0; i < n; i++) {
    const V r = load_real(reach + i * LANES);
    store_real(reach + i * LANES, choose_real(mask, add_square(r, load(x, i)), r));
  }
}

/* x <- the coordinate vector with the least reach, the first one of equals, in the matrices that `mask` selects. */
INLINE void begin_column(int64_t n, M mask, const R *reach, R *x) {
  V least = broadcast((R)INFINITY), best = {0};
  for (int64_t i = 0; i < n; i++) {
    const V r = load_real(reach + i * LANES);
    const M is_less = (M)(r < least);
    least = choose_real(is_less, r, least);
    best = choose_real(is_less, broadcast((R)i), best);
  }
  for (int64_t i = 0; i < n; i++) {
    const V one = choose_real((M)(best == broadcast((R)i)), broadcast(1), (V){0});
    store(x, i, choose(mask, from_real(one), load(x, i)));
  }
}

/* x <- x - y (y^H x) */
INLINE void make_orthogonal(int64_t n, M mask, const R *y, R *x) {
  E along = from_real((V){0});
  for (int64_t i = 0; i < n; i++)
    along = add_conjugate_product(along, load(y, i), load(x, i));
  along = choose(mask, along, from_real((V){0}));
  for (int64_t i = 0; i < n; i++)
    store(x, i, subtract_product(load(x, i), along, load(y, i)));
}

INLINE void make_unit(int64_t n, M mask, R *x) {
  V square = {0};
  for (int64_t i = 0; i < n; i++)
    square = add_square(square, load(x, i));
  const V one = broadcast(1), by = choose_real(mask, one / square_root(choose_real(mask, square, one)), one);
  for (int64_t i = 0; i < n; i++)
    store(x, i, scaled(by, load(x, i)));
}

/* Column j, which is zero in the matrices that `mask` selects, becomes a unit vector orthogonal to all columns that are
 * not: the coordinate vector that they reach least, made orthogonal to them twice. */
INLINE void complete_column(int64_t n, M mask, R *X, int64_t j, R *reach) {
  R *x = element_at(X, j * n);
  begin_column(n, mask, reach, x);
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t c = 0; c < n; c++)
      if (c != j)
        make_orthogonal(n, mask, element_at(X, c * n), x);
    make_unit(n, mask, x);
  }
  add_reach(n, mask, x, reach);
}

NOINLINE void complete_columns(int64_t n, const R *S, R *X, R *reach) {
  for (int64_t i = 0; i < n; i++)
    store_real(reach + i * LANES, (V){0});
  for (int64_t j = 0; j < n; j++)
    add_reach(n, ~(M){0}, element_at(X, j * n), reach);
  for (int64_t j = 0; j < n; j++) {
    const M is_zero = (M)(load_real(S + j * LANES) == (V){0});
    if (any_lane(is_zero))
      complete_column(n, is_zero, X, j, reach);
  }
}

/* The norms of the columns are not needed any more. */
INLINE void complete(const lane_group_t *g) {
  if (any_lane((M)(load_real(g->S + (g->n - 1) * LANES) == (V){0}))) /* the smallest one */
    complete_columns(g->n, g->S, g->rotated, g->square);
}

#endif
