/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices whose smallest values the reduction to bidiagonal form may lose altogether. */
#ifndef SVDGRAD_MANY_SHORT_LINES_H
#define SVDGRAD_MANY_SHORT_LINES_H
#include "../register.h"

/* Mask of the matrices with a row or a column so short that singular values may come out as zero which are not: Jacobi
 * keeps their digits, and dense/lost_values.h, with the same bound, looks after what it loses. */
NOINLINE M find_short_lines(int64_t rows, int64_t n, const R *A) {
  enum { LEAST_EXPONENT = SCALED_EXPONENT - (IS_DOUBLE ? 660 : 60) };
  const V zero = {0}, least = 2 * power_of_two((M){0} + LEAST_EXPONENT);
  M is_short = {0};
  for (int64_t j = 0; j < n; j++) {
    V column = zero;
    for (int64_t i = 0; i < rows; i++)
      column = larger(column, largest_part(load(A, j * rows + i)));
    is_short |= (M)(column > zero) & (M)(column < least);
  }
  for (int64_t i = 0; i < rows; i++) {
    V row = zero;
    for (int64_t j = 0; j < n; j++)
      row = larger(row, largest_part(load(A, j * rows + i)));
    is_short |= (M)(row > zero) & (M)(row < least);
  }
  return is_short;
}

#endif
