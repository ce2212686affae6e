/* SPDX-License-Identifier: BSD-3-Clause */
/* Two groups of matrices of two or three columns at a time, step by step in turns: a rotation waits for the one before,
 * for longer than a processor looks ahead, and the other group's rotation fills the gap.  Each group gets the operations
 * that small_jacobi.h makes of it alone, so that its bits are the same.  The columns of both would not fit the registers
 * and stay in memory; products, norms and scale factors are in registers.
 *
 * Time of one group over that of two, per matrix, with vectors and for values alone (AVX-512 of Sapphire Rapids,
 * 2026-11-30): n = 2: f32 1.09, 1.13; f64 1.12, 1.16; c64 1.09, 1.15; c128 1.15, 1.18.  n = 3: f32 1.07, 1.19;
 * f64 1.13, 1.21; c64 1.07, 1.17; c128 1.11, 1.15.  n = 4: 0.86 to 1.03. */
#ifndef SVDGRAD_MANY_SMALL_PAIRS_H
#define SVDGRAD_MANY_SMALL_PAIRS_H
#include "small_jacobi.h"

/* Largest number of columns; registers half as wide never get a second group. */
enum { PAIRS_MOST = LANES_BYTES == 64 ? 3 : 0 };

/* The arrays of a group (svd.h).  J NULL: only S is wanted. */
typedef struct small_group {
  R *A, *J, *S;
} small_group_t;

/* A group between its turns. */
typedef struct small_turn {
  block_rotation_t rotation;
  criteria_t criteria;
  V before[4];
  R *A, *J;
} small_turn_t;

INLINE void clear_products(block_rotation_t *b, int n) {
  UNROLL
  for (int i = 0; i < n; i++) {
    b->square[i] = (V){0};
    UNROLL
    for (int j = i + 1; j < n; j++)
      b->dot[i][j] = from_real((V){0});
  }
}

INLINE void load_row(const R *X, int n, int i, E *x) {
  UNROLL
  for (int j = 0; j < n; j++)
    x[j] = load(X, j * n + i);
}

INLINE void store_row(R *X, int n, int i, const E *x) {
  UNROLL
  for (int j = 0; j < n; j++)
    store(X, j * n + i, x[j]);
}

/* Squared norms and products, as measure_small(). */
INLINE void measure_columns(small_turn_t *t, int n) {
  clear_products(&t->rotation, n);
  UNROLL
  for (int i = 0; i < n; i++) {
    E x[4];
    load_row(t->A, n, i, x);
    measure_row(&t->rotation, n, x);
  }
  UNROLL
  for (int i = 0; i < n; i++)
    t->rotation.square[i] *= t->rotation.D2[i];
}

/* As measure_clean_small(), for columns that are measured. */
INLINE void clean_columns(small_turn_t *t, int n) {
  M is_noise[4], any = {0};
  UNROLL
  for (int j = 0; j < n; j++) {
    is_noise[j] = find_noise(n, t->rotation.square[j], &t->before[j]);
    any |= is_noise[j];
  }
  if (!any_lane(any))
    return;
  for (int j = 0; j < n; j++) {
    const V keep = choose_real(is_noise[j], (V){0}, broadcast(1));
    for (int i = 0; i < n; i++)
      store(t->A, j * n + i, scaled(keep, load(t->A, j * n + i)));
  }
  measure_columns(t, n);
}

/* Rotates the columns, and measures them. */
INLINE void apply_in_memory(small_turn_t *t, int n, int along) {
  clear_products(&t->rotation, n);
  UNROLL
  for (int i = 0; i < n; i++) {
    E x[4];
    load_row(t->A, n, i, x);
    apply_to_row(&t->rotation, x);
    measure_row(&t->rotation, n, x);
    store_row(t->A, n, i, x);
    if (along) {
      load_row(t->J, n, i, x);
      apply_to_row(&t->rotation, x);
      store_row(t->J, n, i, x);
    }
  }
  UNROLL
  for (int i = 0; i < n; i++)
    t->rotation.square[i] *= t->rotation.D2[i];
}

/* As rescale_small(). */
INLINE void rescale_in_memory(small_turn_t *t, int n) {
  const V one = broadcast(1);
  for (int j = 0; j < n; j++) {
    const V D = square_root(choose_real(t->criteria.active, t->rotation.D2[j], one));
    t->rotation.D2[j] = choose_real(t->criteria.active, one, t->rotation.D2[j]);
    for (int i = 0; i < n; i++) {
      store(t->A, j * n + i, scaled(D, load(t->A, j * n + i)));
      if (t->J)
        store(t->J, j * n + i, scaled(D, load(t->J, j * n + i)));
    }
  }
  measure_columns(t, n);
}

/* ---- a sweep ---- */

/* The sizes as compile-time constants, which the compiler loses track of. */
INLINE void set_sizes(block_rotation_t *b, int n) {
  b->columns = n, b->inside = 1;
  b->alone = n == 2 && sizeof(R) == sizeof(double);
}

INLINE void sweep_begins(small_turn_t *t, int n) {
  block_rotation_t *b = &t->rotation;
  set_sizes(b, n);
  b->rotated = b->open = (M){0};
  UNROLL
  for (int i = 0; i < n; i++) /* up front, so that no rotation waits for it */
    b->scale[i] = b->alone ? broadcast(1) : product_scale(b->square[i]);
}

/* As find_rotations() in block_rotation.h. */
INLINE void find_in_turns(small_turn_t *x, small_turn_t *y, int n) {
  sweep_begins(x, n);
  sweep_begins(y, n);
  x->rotation.t01 = find_rotation(&x->rotation, 0, 1, &x->criteria);
  y->rotation.t01 = find_rotation(&y->rotation, 0, 1, &y->criteria);
  UNROLL
  for (int p = 0; p < 2 && n == 3; p++) {
    x->rotation.across[p][0] = find_rotation(&x->rotation, p, 2, &x->criteria);
    y->rotation.across[p][0] = find_rotation(&y->rotation, p, 2, &y->criteria);
  }
}

INLINE void turn_begins(small_turn_t *t, const small_group_t *group, int n, int along) {
  t->A = group->A, t->J = group->J;
  t->criteria = criteria_of(n);
  set_sizes(&t->rotation, n);
  UNROLL
  for (int j = 0; j < n; j++) {
    t->rotation.D2[j] = broadcast(1);
    t->before[j] = broadcast(SMALLEST_SQUARE);
  }
  for (int j = 0; j < n && along; j++)
    for (int i = 0; i < n; i++)
      store(t->J, j * n + i, from_real(broadcast(i == j ? 1 : 0)));
  measure_columns(t, n);
  clean_columns(t, n);
}

INLINE void sweep_ends(small_turn_t *t, int n, int along, int rescales) {
  set_sizes(&t->rotation, n);
  apply_in_memory(t, n, along);
  t->criteria.active &= t->rotation.open;
  if (rescales)
    rescale_in_memory(t, n);
  clean_columns(t, n);
}

/* Mask of the matrices that have not converged. */
INLINE M turn_ends(const small_turn_t *t, const small_group_t *group, int n, int along) {
  small_block_t x;
  V values[4];
  UNROLL
  for (int j = 0; j < n; j++) {
    x.rotation.square[j] = t->rotation.square[j];
    x.rotation.D2[j] = t->rotation.D2[j];
    UNROLL
    for (int i = 0; i < n; i++) {
      x.A[i][j] = load(t->A, j * n + i);
      x.J[i][j] = along ? load(t->J, j * n + i) : from_real((V){0});
    }
  }
  finish_small(&x, n, values);
  UNROLL
  for (int j = 0; j < n; j++)
    store_real(group->S + j * LANES, values[j]);
  if (along)
    store_small(&x, n, group->A, group->J);
  return t->criteria.active;
}

/* As solve_small() for two groups of n columns, a compile-time constant. */
INLINE void solve_pair(int n, const small_group_t *group, int max_sweeps, M *failed) {
  small_turn_t x, y;
  const int along = group[0].J != NULL;
  int rotations = 0; /* of a column since its scale factor was 1 */
  turn_begins(&x, &group[0], n, along);
  turn_begins(&y, &group[1], n, along);
  for (int sweep = 0; sweep < max_sweeps && any_lane(x.criteria.active | y.criteria.active); sweep++) {
    find_in_turns(&x, &y, n);
    rotations += n - 1;
    const int rescales = rotations + n - 1 > MOST_ROTATIONS;
    sweep_ends(&x, n, along, rescales);
    sweep_ends(&y, n, along, rescales);
    rotations = rescales ? 0 : rotations;
  }
  failed[0] = turn_ends(&x, &group[0], n, along);
  failed[1] = turn_ends(&y, &group[1], n, along);
}

#endif
