/* SPDX-License-Identifier: BSD-3-Clause */
/* The other singular vectors of B = X S J^H, computed afterwards as j_q = B^H x_q / s_q, instead of rotating a second
 * matrix along in every sweep.
 *
 * Rounding leaves in j_q an error of the size of the rounding error of B, over s_q.  The part of it along j_p with s_p
 * < s_q does no harm: in B J - X S it is weighted by s_p.  The part along j_p with s_p > s_q must go.  It is the upper
 * triangle of J^H J, and
 *
 *   J <- J - J K,   K = triu(J^H J, 1) + diag(J^H J - I) / 2,
 *
 * squares it: Gram-Schmidt on all columns at once.  One or two steps are enough where the condition number is small,
 * more where it is not.  (A symmetric step, Newton's for the polar factor, would put half of the last column's part
 * along the first column into the first column.)
 *
 * Where s_n < 2^-LEAST s_1, or MOST_STEPS are not enough, the caller must rotate J along. */
#ifndef SVDGRAD_MANY_RECOVER_H
#define SVDGRAD_MANY_RECOVER_H
#include "../memory/pack.h"

enum { LEAST = MANTISSA_BITS - 7, MOST_STEPS = 5, BLOCK = IS_COMPLEX ? 2 : 4 };

/* sum[c * rows + r] = p_r^H q_c for columns i.. of P and columns j.. of Q, from row `first` on; P and Q are n-by-n. */
INLINE void column_products(int64_t n, const R *P, int64_t i, int rows, const R *Q, int64_t j, int columns,
                            int64_t first, E *sum) {
  for (int s = 0; s < rows * columns; s++)
    sum[s] = from_real((V){0});
  for (int64_t l = first; l < n; l++) {
    E p[BLOCK];
    UNROLL
    for (int r = 0; r < rows; r++)
      p[r] = load(P, (i + r) * n + l);
    UNROLL
    for (int c = 0; c < columns; c++) {
      const E q = load(Q, (j + c) * n + l);
      UNROLL
      for (int r = 0; r < rows; r++)
        sum[c * rows + r] = add_conjugate_product(sum[c * rows + r], p[r], q);
    }
  }
}

/* Rows i.. of columns j.. of B^H X diag(factor). lower: B is lower triangular. */
INLINE void adjoint_product_block(int64_t n, int lower, const R *B, const R *X, const R *factor, R *out, int64_t i,
                                  int rows, int64_t j, int columns) {
  E sum[2 * BLOCK];
  column_products(n, B, i, rows, X, j, columns, lower ? i : 0, sum);
  for (int c = 0; c < columns; c++)
    for (int r = 0; r < rows; r++)
      store(out, (j + c) * n + i + r, scaled(load_real(factor + (j + c) * LANES), sum[c * rows + r]));
}

INLINE void adjoint_product_columns(int64_t n, int lower, const R *B, const R *X, const R *factor, R *out, int64_t j,
                                    int columns) {
  int64_t i = 0;
  for (; i + BLOCK <= n; i += BLOCK)
    adjoint_product_block(n, lower, B, X, factor, out, i, BLOCK, j, columns);
  for (; i < n; i++)
    adjoint_product_block(n, lower, B, X, factor, out, i, 1, j, columns);
}

/* The state of the correction.  K holds one column for each of the columns j.. in work; it is zero in matrices that
 * need no more correction. */
typedef struct correction {
  int64_t n;
  R *J, *K; /* n-by-n, n-by-2 */
  M open;
  V largest; /* entry of K */
} correction_t;

INLINE void correction_block(correction_t *w, int64_t i, int rows, int64_t j, int columns) {
  const E zero = from_real((V){0}), minus_one = from_real(broadcast(-1));
  const V half = broadcast((R)0.5);
  E sum[2 * BLOCK];
  column_products(w->n, w->J, i, rows, w->J, j, columns, 0, sum);
  for (int c = 0; c < columns; c++)
    for (int r = 0; r < rows; r++) {
      E t = sum[c * rows + r];
      if (i + r > j + c)
        t = zero;
      else if (i + r == j + c)
        t = scaled(half, add(t, minus_one));
      t = choose(w->open, t, zero);
      w->largest = larger(largest_part(t), w->largest);
      store(w->K, c * w->n + i + r, t);
    }
}

/* Rows l.. of columns j.. of J - J K, where the rows of K from j + columns on are zero. */
INLINE void correct_block(const correction_t *w, int64_t l, int rows, int64_t j, int columns) {
  const int64_t n = w->n, last = j + columns;
  E x[2 * BLOCK];
  for (int c = 0; c < columns; c++)
    for (int r = 0; r < rows; r++)
      x[c * rows + r] = load(w->J, (j + c) * n + l + r);
  for (int64_t i = 0; i < last; i++) {
    E v[BLOCK];
    UNROLL
    for (int r = 0; r < rows; r++)
      v[r] = load(w->J, i * n + l + r);
    UNROLL
    for (int c = 0; c < columns; c++) {
      const E t = load(w->K, c * n + i);
      UNROLL
      for (int r = 0; r < rows; r++)
        x[c * rows + r] = subtract_product(x[c * rows + r], t, v[r]);
    }
  }
  for (int c = 0; c < columns; c++)
    for (int r = 0; r < rows; r++)
      store(w->J, (j + c) * n + l + r, x[c * rows + r]);
}

INLINE void correct_columns(correction_t *w, int64_t j, int columns) {
  int64_t i = 0, l = 0;
  for (; i + BLOCK <= j + columns; i += BLOCK)
    correction_block(w, i, BLOCK, j, columns);
  for (; i < j + columns; i++)
    correction_block(w, i, 1, j, columns);
  for (; l + BLOCK <= w->n; l += BLOCK)
    correct_block(w, l, BLOCK, j, columns);
  for (; l < w->n; l++)
    correct_block(w, l, 1, j, columns);
}

/* The last columns first, since K is made of columns that are not corrected yet. */
INLINE void correct(correction_t *w) {
  int64_t j = w->n;
  for (; j >= 2; j -= 2)
    correct_columns(w, j - 2, 2);
  if (j == 1)
    correct_columns(w, 0, 1);
}

/* J from B, n-by-n, from X and from S, which is in descending order.  lower: B is lower triangular.  K: work, 2 n
 * elements and n reals.  Mask of the matrices where the recovery failed.  J of a zero matrix is arbitrary. */
INLINE M recover(int64_t n, int lower, const R *B, const R *X, const R *S, R *K, R *J) {
  const V zero = {0}, s1 = load_real(S), least = s1 * power_of_two((M){0} - LEAST);
  R *factor = K + 2 * PARTS * n * LANES;
  M lost = {0};
  for (int64_t j = 0; j < n; j++) {
    const V s = load_real(S + j * LANES);
    const M is_lost = (M)(s <= least);
    lost |= is_lost & (M)(s1 > zero);
    store_real(factor + j * LANES, choose_real(is_lost, zero, 1 / s));
  }
  int64_t column = 0;
  for (; column + 2 <= n; column += 2)
    adjoint_product_columns(n, lower, B, X, factor, J, column, 2);
  if (column < n)
    adjoint_product_columns(n, lower, B, X, factor, J, column, 1);
  const V enough = broadcast((R)sqrt(EPSILON / (double)n));
  correction_t w = {n, J, K, ~lost & (M)(s1 > zero), zero};
  for (int step = 0; step < MOST_STEPS && any_lane(w.open); step++) {
    w.largest = zero;
    correct(&w);
    w.open &= ~(M)(w.largest <= enough);
  }
  return lost | w.open;
}

#endif
