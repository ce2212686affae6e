/* SPDX-License-Identifier: BSD-3-Clause */
/* One-sided Jacobi on square matrices of two to four columns, one block (jacobi.h), of a size that is known at compile
 * time: rotated, normalized and sorted in registers, with no memory traffic in between.  10 to 20 percent less time at
 * 2-by-2 to 4-by-4. */
#ifndef SVDGRAD_MANY_SMALL_JACOBI_H
#define SVDGRAD_MANY_SMALL_JACOBI_H
#include "jacobi.h"

/* `fixed` is the size that is known at compile time, or 0. */
INLINE int is_small(int fixed) { return fixed > 0 && fixed <= 4; }

typedef struct small_block {
  block_rotation_t rotation;
  E A[4][4], J[4][4]; /* by rows */
  V before[4];
} small_block_t;

INLINE void take_small(small_block_t *x, int n, const R *A) {
  const V zero = {0}, one = broadcast(1);
  x->rotation.columns = n;
  x->rotation.inside = 1;
  x->rotation.alone = n == 2 && sizeof(R) == sizeof(double);
  UNROLL
  for (int j = 0; j < n; j++) {
    x->rotation.D2[j] = one;
    x->before[j] = broadcast(SMALLEST_SQUARE);
    UNROLL
    for (int i = 0; i < n; i++) {
      x->A[i][j] = load(A, j * n + i);
      x->J[i][j] = from_real(i == j ? one : zero);
    }
  }
}

INLINE void measure_row(block_rotation_t *b, int n, const E *x) {
  UNROLL
  for (int i = 0; i < n; i++) {
    b->square[i] = add_square(b->square[i], x[i]);
    UNROLL
    for (int j = i + 1; j < n; j++)
      b->dot[i][j] = add_conjugate_product(b->dot[i][j], x[i], x[j]);
  }
}

INLINE void measure_small(small_block_t *x, int n) {
  block_rotation_t *b = &x->rotation;
  UNROLL
  for (int i = 0; i < n; i++) {
    b->square[i] = (V){0};
    UNROLL
    for (int j = i + 1; j < n; j++)
      b->dot[i][j] = from_real((V){0});
  }
  UNROLL
  for (int row = 0; row < n; row++)
    measure_row(b, n, x->A[row]);
  UNROLL
  for (int i = 0; i < n; i++)
    b->square[i] *= b->D2[i];
}

INLINE void measure_clean_small(small_block_t *x, int n) {
  M is_noise[4], any = {0};
  measure_small(x, n);
  UNROLL
  for (int j = 0; j < n; j++) {
    is_noise[j] = find_noise(n, x->rotation.square[j], &x->before[j]);
    any |= is_noise[j];
  }
  if (!any_lane(any))
    return;
  UNROLL
  for (int j = 0; j < n; j++) {
    const V keep = choose_real(is_noise[j], (V){0}, broadcast(1));
    UNROLL
    for (int i = 0; i < n; i++)
      x->A[i][j] = scaled(keep, x->A[i][j]);
  }
  measure_small(x, n);
}

/* Multiplies the scale factors into the columns, for the matrices that are still active. */
INLINE void rescale_small(small_block_t *x, int n, M active) {
  const V one = broadcast(1);
  UNROLL
  for (int j = 0; j < n; j++) {
    const V D = square_root(choose_real(active, x->rotation.D2[j], one));
    x->rotation.D2[j] = choose_real(active, one, x->rotation.D2[j]);
    UNROLL
    for (int i = 0; i < n; i++) {
      x->A[i][j] = scaled(D, x->A[i][j]);
      x->J[i][j] = scaled(D, x->J[i][j]);
    }
  }
}

/* As rotate() in jacobi.h.  along: J is wanted. */
INLINE M rotate_small(small_block_t *x, int n, int along, int max_sweeps) {
  criteria_t criteria = criteria_of(n);
  int rotations = 0; /* of a column since its scale factor was 1 */
  measure_clean_small(x, n);
  for (int sweep = 0; sweep < max_sweeps && any_lane(criteria.active); sweep++) {
    x->rotation.rotated = x->rotation.open = (M){0};
    find_rotations(&x->rotation, n, &criteria);
    UNROLL
    for (int i = 0; i < n; i++) {
      apply_to_row(&x->rotation, x->A[i]);
      if (along)
        apply_to_row(&x->rotation, x->J[i]);
    }
    criteria.active &= x->rotation.open;
    rotations += n - 1;
    if (rotations + n - 1 > MOST_ROTATIONS) {
      rescale_small(x, n, criteria.active);
      rotations = 0;
    }
    measure_clean_small(x, n);
  }
  return criteria.active;
}

/* Puts singular values i < j, with their vectors, into descending order. */
INLINE void sort_pair_small(small_block_t *x, int n, int i, int j, V *S) {
  const V s = S[i];
  const M swap = (M)(S[j] > s);
  S[i] = choose_real(swap, S[j], s);
  S[j] = choose_real(swap, s, S[j]);
  UNROLL
  for (int row = 0; row < n; row++) {
    const E a = x->A[row][i], y = x->J[row][i];
    x->A[row][i] = choose(swap, x->A[row][j], a);
    x->A[row][j] = choose(swap, a, x->A[row][j]);
    x->J[row][i] = choose(swap, x->J[row][j], y);
    x->J[row][j] = choose(swap, y, x->J[row][j]);
  }
}

/* As finish_columns() and sort_values() in sort.h. */
INLINE void finish_small(small_block_t *x, int n, V *S) {
  UNROLL
  for (int j = 0; j < n; j++) {
    const column_scales_t by = column_scales_of(x->rotation.square[j], x->rotation.D2[j]);
    S[j] = by.S;
    UNROLL
    for (int i = 0; i < n; i++) {
      x->A[i][j] = scaled(by.unit, x->A[i][j]);
      x->J[i][j] = scaled(by.D, x->J[i][j]);
    }
  }
  UNROLL
  for (int pass = 0; pass < n; pass++) {
    UNROLL
    for (int j = pass % 2; j + 1 < n; j += 2)
      sort_pair_small(x, n, j, j + 1, S);
  }
}

INLINE void store_small(const small_block_t *x, int n, R *A, R *J) {
  UNROLL
  for (int j = 0; j < n; j++) {
    UNROLL
    for (int i = 0; i < n; i++) {
      store(A, j * n + i, x->A[i][j]);
      store(J, j * n + i, x->J[i][j]);
    }
  }
}

/* As solve() in svd.h for n columns, a compile-time constant.  Without J only S is wanted. */
INLINE M solve_small(int n, R *A, R *J, R *S, int max_sweeps) {
  small_block_t x;
  V values[4];
  take_small(&x, n, A);
  const M failed = rotate_small(&x, n, J != NULL, max_sweeps);
  finish_small(&x, n, values);
  UNROLL
  for (int j = 0; j < n; j++)
    store_real(S + j * LANES, values[j]);
  if (J)
    store_small(&x, n, A, J);
  return failed;
}

#endif
