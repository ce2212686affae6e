/* SPDX-License-Identifier: BSD-3-Clause */
/* The phase of a determinant with a matrix in each lane, by Gaussian elimination with partial pivoting. */
#ifndef SVDGRAD_MANY_DETERMINANT_PHASE_H
#define SVDGRAD_MANY_DETERMINANT_PHASE_H
#include "../register.h"

INLINE V square_of(E x) { return add_square((V){0}, x); }

/* x / y, or 0 where y is 0. */
INLINE E quotient_of(E x, E y) {
  const V square = square_of(y);
  const E product = add_conjugate_product(from_real((V){0}), y, x);
  return choose((M)(square > (V){0}), scaled(1 / square, product), from_real((V){0}));
}

/* Swaps rows p and i from column p on where row i has the larger entry in column p.  Mask of those matrices. */
INLINE M swap_rows(R *X, int64_t n, int64_t p, int64_t i) {
  const M swap = (M)(square_of(load(X, p * n + i)) > square_of(load(X, p * n + p)));
  for (int64_t j = p; j < n; j++) {
    const E x = load(X, j * n + p), y = load(X, j * n + i);
    store(X, j * n + p, choose(swap, y, x));
    store(X, j * n + i, choose(swap, x, y));
  }
  return swap;
}

/* to <- det(X) / |det(X)| of the n-by-n X, whose entries are at most 1; destroys X. */
static void determinant_phase(void *X, int64_t n, void *to) {
  E all = from_real(broadcast(1));
  for (int64_t p = 0; p < n; p++) {
    for (int64_t i = p + 1; i < n; i++)
      all = choose(swap_rows(X, n, p, i), negative(all), all);
    const E top = load(X, p * n + p);
    all = add_product(from_real((V){0}), all, phase(top));
    for (int64_t i = p + 1; i < n; i++) {
      const E factor = quotient_of(load(X, p * n + i), top);
      for (int64_t j = p + 1; j < n; j++)
        store(X, j * n + i, subtract_product(load(X, j * n + i), factor, load(X, j * n + p)));
    }
  }
  store(to, 0, phase(all));
}

#endif
