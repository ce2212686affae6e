/* SPDX-License-Identifier: BSD-3-Clause */
/* The positive gauge (svdgrad_desc_t.positive_gauge): a choice of the phases of the singular vectors. */
#ifndef SVDGRAD_SIMD_GAUGE_H
#define SVDGRAD_SIMD_GAUGE_H
#include "../register.h"

/* Makes the largest entry of every column of U (the first one of equals) real and positive; multiplies the first
 * `paired` columns of `other` by the same phases. */
INLINE void fix_gauge(int64_t rows, int64_t columns, R *U, int64_t paired, int64_t other_rows, R *other) {
  const V zero = {0}, one = broadcast(1);
  for (int64_t j = 0; j < columns; j++) {
    V largest = zero - 1, row = zero;
    E there = from_real(one);
    for (int64_t i = 0; i < rows; i++) {
      const E u = load(U, j * rows + i);
      const V size = add_square(zero, u);
      const M better = (M)(size > largest);
      largest = choose_real(better, size, largest);
      row = choose_real(better, broadcast((R)i), row);
      there = choose(better, u, there);
    }
    const V size = square_root(largest);
    const E phase = scaled(1 / size, conjugate(there));
    for (int64_t i = 0; i < rows; i++) {
      const E u = add_product(from_real(zero), phase, load(U, j * rows + i));
      store(U, j * rows + i, choose((M)(row == broadcast((R)i)), from_real(size), u));
    }
    for (int64_t i = 0; i < other_rows && j < paired; i++)
      store(other, j * other_rows + i, add_product(from_real(zero), phase, load(other, j * other_rows + i)));
  }
}

#endif
