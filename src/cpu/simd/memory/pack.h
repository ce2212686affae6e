/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the caller's matrices and the packed ones of the SVD: scaling, order of the columns, transposition. */
#ifndef SVDGRAD_MEMORY_PACK_H
#define SVDGRAD_MEMORY_PACK_H
#include "operands.h"

/* Columns are put into descending order where their largest entries differ by a larger factor than this.  Of normally
 * distributed 8-by-8 matrices, one in 30 has columns that differ by a factor of 4, one in several thousand by 8. */
enum { UNEVEN = 8 };

/* What is done to A while it is packed. */
typedef struct packed {
  R *column;      /* n: largest real or imaginary part of each column, as packed */
  int32_t *order; /* n: which of the caller's columns each packed column is */
  R *exponent;    /* as integers: the packed matrix is 2^-exponent A, exactly */
  R *finite;      /* as a mask; where not set, A has a NaN or Inf, and is packed as zero */
  int sorted;     /* some matrix of the group has its columns in another order than the caller's */
} packed_t;

/* Exponent of the largest entry, minus SCALED_EXPONENT. After this scaling, squares of entries do not overflow, even
 * times the scale factors of rotations, and squares of the smallest entries that matter do not underflow. */
INLINE M exponent_of(V largest) {
  const M lift = (M)(largest < broadcast(SMALLEST_NORMAL)) & (MANTISSA_BITS + 1);
  const M bits = (M)(largest * power_of_two(lift));
  return (M)(largest > broadcast(0)) & ((bits >> MANTISSA_BITS) - EXPONENT_BIAS - lift - SCALED_EXPONENT);
}

/* The order of the columns by their largest entries, descending, equal ones in order; in the matrices that `sort`
 * selects. */
INLINE void order_columns(int64_t n, M sort, const packed_t *how) {
  const V one = broadcast(1), zero = {0};
  for (int64_t j = 0; j < n; j++) {
    const V mine = load_real(how->column + j * LANES);
    V place = zero;
    for (int64_t i = 0; i < n; i++) {
      const V other = load_real(how->column + i * LANES);
      place += choose_real(i < j ? (M)(other >= mine) : (M)(other > mine), one, zero);
    }
    place = choose_real(sort, place, broadcast((R)j));
    for (int l = 0; l < LANES; l++)
      how->order[(int64_t)place[l] * LANES + l] = (int32_t)j;
  }
}

/* X <- 2^-exponent A, in two steps since 2^-exponent may overflow; zero where A is not finite.  XH <- X^H, if
 * wanted. */
INLINE void copy_scaled(const tile_t *A, int64_t rows, int64_t n, int conjugated, M exponent, M finite, R *X, R *XH) {
  const M half_exponent = exponent >> 1;
  const V half = power_of_two(-half_exponent), rest = power_of_two(half_exponent - exponent);
  const E zero = from_real((V){0});
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < rows; i++) {
      const E a = load(A->data, i * A->row + j * A->column);
      const E b = scaled(rest, scaled(half, conjugated ? conjugate(a) : a));
      const E x = choose(finite, b, zero);
      store(X, j * rows + i, x);
      if (XH)
        store(XH, i * n + j, conjugate(x));
    }
}

/* X <- the columns of A in the given order. */
INLINE void take_in_order(const tile_t *A, int64_t rows, int64_t n, const int32_t *order, R *X) {
  const int64_t step = PARTS * LANES, from_step = A->row * step;
  for (int64_t j = 0; j < n; j++)
    for (int l = 0; l < LANES; l++) {
      const R *from = element_at(A->data, order[j * LANES + l] * A->column) + l;
      R *to = element_at(X, j * rows) + l;
      for (int64_t i = 0; i < rows; i++)
        for (int part = 0; part < PARTS; part++)
          to[i * step + part * LANES] = from[i * from_step + part * LANES];
    }
}

/* Packs `tall`, which is A, or A^H where m < n: X <- tall, scaled; with `sort`, columns of very different size in
 * descending order.  raw: work as large as X; XH: room for X^H, or NULL. */
INLINE void pack(const svd_call_t *call, int64_t first, int64_t rows, int64_t n, int sort, packed_t *how, R *raw, R *X,
                 R *XH, int count) {
  const int transposed = call->p.m < call->p.n;
  const strided_t from = strided_of(&call->A, first, transposed);
  tile_t A = fetch(&from, rows, n, PARTS, raw, count);
  V largest = {0}, smallest = broadcast((R)INFINITY), poison = {0};
  for (int64_t j = 0; j < n; j++) {
    V column = {0};
    for (int64_t i = 0; i < rows; i++) {
      const E x = load(A.data, i * A.row + j * A.column);
      column = larger(column, largest_part(x));
      poison += nan_unless_finite(x);
    }
    store_real(how->column + j * LANES, column);
    largest = larger(largest, column);
    smallest = choose_real((M)(column < smallest), column, smallest);
  }
  const M finite = (M)(poison == 0), exponent = finite & exponent_of(largest);
  const M uneven = finite & (M)(smallest * (R)UNEVEN < largest);
  how->sorted = sort && any_lane(uneven);
  if (how->sorted) {
    order_columns(n, uneven, how);
    take_in_order(&A, rows, n, how->order, X);
    A = (tile_t){X, 1, rows};
  }
  copy_scaled(&A, rows, n, transposed, exponent, finite, X, XH);
  store_real(how->exponent, (V)exponent);
  store_real(how->finite, (V)finite);
}

/* out <- X, with row i of X as row order[i]. */
INLINE void place_rows(const tile_t *out, int64_t rows, int64_t columns, const int32_t *order, const R *X) {
  const int64_t step = PARTS * LANES;
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < rows; i++)
      for (int l = 0; l < LANES; l++) {
        const R *from = element_at(X, j * rows + i) + l;
        R *to = element_at(out->data, j * out->column) + order[i * LANES + l] * out->row * step + l;
        for (int part = 0; part < PARTS; part++)
          to[part * LANES] = from[part * LANES];
      }
}

/* An element as the caller gets it: zeros are positive.  Operations that other matrices of the group needed may have
 * changed the sign of a zero, as in -0 - 0 y. */
INLINE E output(E x, int adjoint) { return add(adjoint ? conjugate(x) : x, from_real((V){0})); }

/* Stores X, rows-by-columns, or its conjugate transpose to the caller; row i of X becomes row order[i] (NULL: row i).
 * raw: work as large as X. */
INLINE void put_columns(const strided_t *caller, int adjoint, int64_t rows, int64_t columns, const int32_t *order, R *X,
                        R *raw, int count) {
  const lines_t lines = lines_of(caller, rows, columns, PARTS);
  const tile_t out = tile_of(raw, &lines, rows, columns);
  const int transposed = !order && out.row != 1;
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < rows; i++) {
      const E x = output(load(X, j * rows + i), adjoint);
      if (transposed)
        store(raw, i * out.row + j * out.column, x);
      else
        store(X, j * rows + i, x);
    }
  if (order)
    place_rows(&out, rows, columns, order, X);
  put_back(caller, rows, columns, PARTS, order || transposed ? raw : X, count);
}

#endif
