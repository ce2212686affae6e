/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of one large matrix with a vector.  Here the lanes are neighbours in a row, as they lie in memory.  A row of
 * complex elements is a row of reals twice as long.  The vector is stored as PARTS vectors of reals, such that
 *
 *   a x        = sum of a * (xr, -xi) + i (sum of a * (xi, xr))        a = (ar, ai), ar and ai alternating
 *   conj(a) y  = (p_0 + q_1) + i (q_0 - p_1)                           p = a yr, q = a yi
 *
 * x consists of these two vectors, and w of the sums of p and q over all rows. */
#include "../exported.h"
#include "../register.h"

enum { ROWS = 8 / PARTS }; /* rows taken at once: 8 independent sums */

/* The first `count` lanes; the others are zero. */
INLINE V load_some(const R *x, int count) { return count < LANES ? load_part(x, count) : load_real(x); }

INLINE void store_some(R *x, int count, V v) {
  if (count < LANES)
    store_part(x, count, v);
  else
    store_real(x, v);
}

/* The largest real or imaginary part of `count` neighbours; NaN if one is not finite. */
static double row_largest(const void *row, int64_t count) {
  const R *a = row;
  V largest = {0}, poison = {0};
  for (int64_t j = 0; j < PARTS * count; j += LANES) {
    const int64_t remaining = PARTS * count - j;
    const V x = load_some(a + j, remaining < LANES ? (int)remaining : LANES);
    largest = larger(largest, absolute(x));
    poison += x * 0;
  }
  R most = 0;
  for (int l = 0; l < LANES; l++)
    most = largest[l] > most ? largest[l] : most;
  return most + sum_lanes(poison);
}

/* The sums of row i: sum[i][c][part], where c counts the registers of a row that are taken at once. */
typedef struct row_sum {
  V of[ROWS * PARTS];
} row_sum_t;

INLINE V *sum_at(row_sum_t *sum, int columns, int i, int c, int part) {
  return &sum->of[(i * columns + c) * PARTS + part];
}

/* Adds the products with registers 0 .. taken - 1 of each row, from real j on. */
INLINE void add_products(const R *A, int64_t stride, int rows, int columns, int taken, int64_t j, int count, V factor,
                         const R *x, int64_t length, row_sum_t *sum) {
  UNROLL
  for (int c = 0; c < taken; c++) {
    V scaled[PARTS];
    UNROLL
    for (int part = 0; part < PARTS; part++)
      scaled[part] = factor * load_some(x + part * length + j + c * LANES, count);
    UNROLL
    for (int i = 0; i < rows; i++) {
      const V a = load_some(A + i * stride + j + c * LANES, count);
      UNROLL
      for (int part = 0; part < PARTS; part++) {
        V *to = sum_at(sum, columns, i, c, part);
        *to = fmadd(a, scaled[part], *to);
      }
    }
  }
}

/* Products of `rows` rows; rows and columns are compile-time constants. */
INLINE void multiply_rows(const R *A, int64_t stride, int rows, int columns, int64_t length, R factor, const R *x,
                          R *y) {
  row_sum_t sum = {{{0}}};
  const V f = broadcast(factor);
  int64_t j = 0;
  for (; j + columns * LANES <= length; j += columns * LANES)
    add_products(A, stride, rows, columns, columns, j, LANES, f, x, length, &sum);
  for (; j < length; j += LANES)
    add_products(A, stride, rows, columns, 1, j, length - j < LANES ? (int)(length - j) : LANES, f, x, length, &sum);
  UNROLL
  for (int i = 0; i < rows; i++)
    UNROLL
  for (int part = 0; part < PARTS; part++) {
    V total = *sum_at(&sum, columns, i, 0, part);
    UNROLL
    for (int c = 1; c < columns; c++)
      total += *sum_at(&sum, columns, i, c, part);
    y[i * PARTS + part] = sum_lanes(total);
  }
}

/* y_i = sum_j a_ij (factor x_j): rows `stride` elements apart, each of `count` neighbours. */
static void row_products(const void *matrix, int64_t stride, int64_t rows, int64_t count, double factor, const void *x,
                         void *y) {
  const R *A = matrix;
  R *out = y;
  int64_t i = 0;
  for (; i + ROWS <= rows; i += ROWS)
    multiply_rows(A + i * PARTS * stride, PARTS * stride, ROWS, 1, PARTS * count, (R)factor, x, out + i * PARTS);
  for (; i < rows; i++)
    multiply_rows(A + i * PARTS * stride, PARTS * stride, 1, 4, PARTS * count, (R)factor, x, out + i * PARTS);
}

/* Adds to one register of each part of w. */
INLINE void add_rows(const R *A, int64_t stride, int rows, int64_t j, int count, const V *y, R *w, int64_t length) {
  V sum[PARTS];
  UNROLL
  for (int part = 0; part < PARTS; part++)
    sum[part] = load_some(w + part * length + j, count);
  UNROLL
  for (int i = 0; i < rows; i++) {
    const V a = load_some(A + i * stride + j, count);
    UNROLL
    for (int part = 0; part < PARTS; part++)
      sum[part] = fmadd(a, y[i * PARTS + part], sum[part]);
  }
  UNROLL
  for (int part = 0; part < PARTS; part++)
    store_some(w + part * length + j, count, sum[part]);
}

INLINE void add_row_sums(const R *A, int64_t stride, int rows, int64_t length, const R *y, R *w) {
  V coefficient[ROWS * PARTS];
  UNROLL
  for (int i = 0; i < rows * PARTS; i++)
    coefficient[i] = broadcast(y[i]);
  int64_t j = 0;
  for (; j + LANES <= length; j += LANES)
    add_rows(A, stride, rows, j, LANES, coefficient, w, length);
  if (j < length)
    add_rows(A, stride, rows, j, (int)(length - j), coefficient, w, length);
}

/* w_j += sum_i conj(a_ij) y_i */
static void row_sums(const void *matrix, int64_t stride, int64_t rows, int64_t count, const void *y, void *w) {
  const R *A = matrix, *coefficients = y;
  int64_t i = 0;
  for (; i + ROWS <= rows; i += ROWS)
    add_row_sums(A + i * PARTS * stride, PARTS * stride, ROWS, PARTS * count, coefficients + i * PARTS, w);
  for (; i < rows; i++)
    add_row_sums(A + i * PARTS * stride, PARTS * stride, 1, PARTS * count, coefficients + i * PARTS, w);
}

const row_ops_t EXPORTED(svdgrad_row_ops) = {row_largest, row_products, row_sums};
