/* SPDX-License-Identifier: BSD-3-Clause */
/* Applies the rotations of chase.h to the columns of U or V, of two steps at a time: column k + 1 is read once, rotated
 * with column k by the first step, column k with k - 1 by the second, and column k - 1 is written (F. G. Van Zee, R. A.
 * van de Geijn, G. Quintana-Orti, ACM Trans. Math. Softw. 40, 2014).
 *
 * The rows form blocks.  A block of all columns is contiguous and stays in the cache for many steps: entry (i, k) is
 * real number ((i / BLOCK_ROWS) * block_width(n) + k) * BLOCK_ROWS + i % BLOCK_ROWS.  A row of complex numbers is two rows
 * here. */
#ifndef SVDGRAD_MANY_ROTATE_VECTORS_H
#define SVDGRAD_MANY_ROTATE_VECTORS_H
#include "chase.h"

enum { BLOCK_ROWS = VECTOR_REGISTERS == 32 ? 4 : 2 };

/* Odd: parts of one column in many blocks would displace each other in the cache. */
INLINE int64_t block_width(int64_t n) { return n | 1; }

/* Rotations of two steps, of columns first..last. */
typedef struct step_rotations {
  int64_t first, last;
  R *rotation;
} step_rotations_t;

/* (x, y) <- (c x + s y, c y - s x) in each row; x goes to `to`, y stays in its place as the new x. */
INLINE void rotate_rows(int rows, V c, V s, V *x, const V *y, V *to) {
  UNROLL
  for (int r = 0; r < rows; r++) {
    const V old = x[r];
    x[r] = fnmadd(s, old, c * y[r]);
    to[r] = fmadd(c, old, s * y[r]);
  }
}

INLINE V rotation_entry(const step_rotations_t *q, int64_t k, int entry) {
  V v = load_real(q->rotation + (k * 4 + entry) * LANES);
  LOAD_ONCE(v);
  return v;
}

INLINE void load_rows(int rows, const R *X, int64_t k, V *x) {
  UNROLL
  for (int r = 0; r < rows; r++) {
    x[r] = load_real(X + (k * BLOCK_ROWS + r) * LANES);
    LOAD_ONCE(x[r]);
  }
}

INLINE void store_rows(int rows, R *X, int64_t k, const V *x) {
  UNROLL
  for (int r = 0; r < rows; r++)
    store_real(X + (k * BLOCK_ROWS + r) * LANES, x[r]);
}

INLINE void rotate_block(const step_rotations_t *q, int rows, R *X) {
  V x[BLOCK_ROWS], y[BLOCK_ROWS], z[BLOCK_ROWS], t[BLOCK_ROWS];
  load_rows(rows, X, q->first, x);
  load_rows(rows, X, q->first + 1, y);
  rotate_rows(rows, rotation_entry(q, q->first, 0), rotation_entry(q, q->first, 1), x, y, z);
  for (int64_t k = q->first + 1; k < q->last; k++) {
    load_rows(rows, X, k + 1, y);
    rotate_rows(rows, rotation_entry(q, k, 0), rotation_entry(q, k, 1), x, y, t);
    rotate_rows(rows, rotation_entry(q, k - 1, 2), rotation_entry(q, k - 1, 3), z, t, y);
    store_rows(rows, X, k - 1, y);
  }
  rotate_rows(rows, rotation_entry(q, q->last - 1, 2), rotation_entry(q, q->last - 1, 3), z, x, y);
  store_rows(rows, X, q->last - 1, y);
  store_rows(rows, X, q->last, z);
}

NOINLINE void rotate_full_block(const step_rotations_t *q, int count, R *X) {
  for (int i = 0; i < count; i++)
    rotate_block(q + i, BLOCK_ROWS, X);
}

NOINLINE void rotate_last_block(const step_rotations_t *q, int count, int rows, R *X) {
  for (int i = 0; i < count; i++)
    for (int r = 0; r < rows; r++)
      rotate_block(q + i, 1, X + r * LANES);
}

/* X: rows-by-n reals in blocks. */
INLINE void rotate_vectors(const step_rotations_t *q, int count, int64_t rows, int64_t n, R *X) {
  for (int64_t i = 0; i < rows; i += BLOCK_ROWS) {
    if (rows - i >= BLOCK_ROWS)
      rotate_full_block(q, count, X + i * block_width(n) * LANES);
    else
      rotate_last_block(q, count, (int)(rows - i), X + i * block_width(n) * LANES);
  }
}

/* Swaps columns j and j + 1 of X in the matrices that `swap` selects. */
INLINE void swap_block_columns(M swap, int64_t rows, int64_t n, R *X, int64_t j) {
  for (int64_t i = 0; i < rows; i++) {
    R *at = X + ((i / BLOCK_ROWS * block_width(n) + j) * BLOCK_ROWS + i % BLOCK_ROWS) * LANES;
    const V x = load_real(at), y = load_real(at + BLOCK_ROWS * LANES);
    store_real(at, choose_real(swap, y, x));
    store_real(at + BLOCK_ROWS * LANES, choose_real(swap, x, y));
  }
}

#endif
