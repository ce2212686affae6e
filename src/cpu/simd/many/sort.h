/* SPDX-License-Identifier: BSD-3-Clause */
/* From rotated columns to singular values and vectors: norms, normalization, descending order. */
#ifndef SVDGRAD_SIMD_SORT_H
#define SVDGRAD_SIMD_SORT_H
#include "lane_group.h"

/* S from the squared norms.  Normalizes the columns of `rotated`, where a column of norm zero stays zero, and
 * multiplies the columns of J by their scale factors. */
INLINE void finish_columns(const lane_group_t *g) {
  for (int64_t j = 0; j < g->n; j++) {
    const column_scales_t by = column_scales_of(load_real(g->square + j * LANES), load_real(g->D2 + j * LANES));
    store_real(g->S + j * LANES, by.S);
    for (int64_t i = 0; i < g->n && g->vectors; i++)
      store(g->rotated, j * g->n + i, scaled(by.unit, load(g->rotated, j * g->n + i)));
    for (int64_t i = 0; i < g->n && g->J; i++)
      store(g->J, j * g->n + i, scaled(by.D, load(g->J, j * g->n + i)));
  }
}

/* Swaps columns j and j + 1 of X in the matrices that `swap` selects. */
INLINE void swap_columns(M swap, int64_t rows, R *X, int64_t j) {
  for (int64_t i = j * rows; i < (j + 1) * rows; i++) {
    const E x = load(X, i), y = load(X, i + rows);
    store(X, i, choose(swap, y, x));
    store(X, i + rows, choose(swap, x, y));
  }
}

/* Puts singular values j and j + 1, with their vectors, into descending order.  Mask of the matrices that changed. */
INLINE M sort_pair(const lane_group_t *g, int64_t j) {
  const V x = load_real(g->S + j * LANES), y = load_real(g->S + (j + 1) * LANES);
  const M swap = (M)(y > x);
  if (any_lane(swap)) {
    store_real(g->S + j * LANES, choose_real(swap, y, x));
    store_real(g->S + (j + 1) * LANES, choose_real(swap, x, y));
    if (g->vectors) {
      swap_columns(swap, g->n, g->rotated, j);
      if (g->J)
        swap_columns(swap, g->n, g->J, j);
    }
  }
  return swap;
}

/* Puts all singular values into descending order by odd-even transposition, equal ones in the order of their columns.
 * A matrix of the group that is in order stays as it is.  Few pairs are out of order: Jacobi on R^H leaves the large
 * columns in front. */
INLINE void sort_values(const lane_group_t *g) {
  M swapped = ~(M){0};
  for (int64_t pass = 0; pass < g->n && any_lane(swapped); pass += 2) {
    swapped = (M){0};
    for (int64_t j = 0; j + 1 < g->n; j += 2)
      swapped |= sort_pair(g, j);
    for (int64_t j = 1; j + 1 < g->n; j += 2)
      swapped |= sort_pair(g, j);
  }
}

#endif
