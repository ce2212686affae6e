/* SPDX-License-Identifier: BSD-3-Clause */
#include "bisection.h"

#include "dense.h"

#include <math.h>
#include <stdlib.h>

/* Negative pivots of the Golub-Kahan matrix, of rows d_1, e_1, d_2 .. beside its zero diagonal, less x I; n of them belong to
 * -s_1 .. -s_n (G. H. Golub, W. Kahan, SIAM J. Numer. Anal. 2, 1965). */
int64_t bidiagonal_count_below(int64_t n, const long double *d, const long double *e, long double x) {
  int64_t negative = 1;
  long double pivot = -x;
  for (int64_t i = 1; i < 2 * n; i++) {
    const long double entry = i % 2 ? d[i / 2] : e[i / 2 - 1];
    pivot = -x - entry * entry / (pivot == 0 ? 0x1p-16000L : pivot);
    negative += pivot < 0;
  }
  return negative - n;
}

/* `count` entries of a row or a column, `step` apart. */
typedef struct line {
  z_t *x;
  int64_t count, step;
} line_t;

static long double length_of(const line_t *v) {
  long double square = 0;
  for (int64_t i = 0; i < v->count; i++)
    square +=
        creall(v->x[i * v->step]) * creall(v->x[i * v->step]) + cimagl(v->x[i * v->step]) * cimagl(v->x[i * v->step]);
  return sqrtl(square);
}

/* x becomes the v of the reflector I - 2 v v^H / |v|^2 that leaves nothing of x but its first entry, whose size is
 * returned. */
static long double make_reflector(const line_t *x) {
  const long double length = length_of(x), first = cabsl(x->x[0]);
  x->x[0] += (first > 0 ? x->x[0] / first : 1) * length;
  return length;
}

/* y <- (I - 2 v v^H / |v|^2) y; of rows, from the right. */
static void reflect(const line_t *v, z_t *y) {
  const long double length = length_of(v);
  z_t product = 0;
  for (int64_t i = 0; i < v->count && length > 0; i++)
    product += conjl(v->x[i * v->step]) / length * y[i * v->step];
  for (int64_t i = 0; i < v->count && length > 0; i++)
    y[i * v->step] -= 2 * product * (v->x[i * v->step] / length);
}

/* d, e: sizes of the entries of the bidiagonal matrix of a tall A, which is destroyed. */
static void reduce(dense_t *A, long double *d, long double *e) {
  const int64_t m = A->m, n = A->n;
  for (int64_t k = 0; k < n; k++) {
    const line_t column = {A->at + k * m + k, m - k, 1}, row = {A->at + (k + 1) * m + k, n - k - 1, m};
    d[k] = make_reflector(&column);
    for (int64_t j = k + 1; j < n; j++)
      reflect(&column, A->at + j * m + k);
    if (row.count == 0)
      continue;
    e[k] = make_reflector(&row);
    for (int64_t i = k + 1; i < m; i++)
      reflect(&row, A->at + (k + 1) * m + i);
  }
}

/* Value i, counted from the smallest, by halving the interval that it lies in. */
static long double bisected_value(int64_t n, const long double *d, const long double *e, int64_t i) {
  long double low = 0, high = 0;
  for (int64_t k = 0; k < n; k++)
    high += d[k] + e[k];
  for (int step = 0; step < 80; step++) {
    const long double middle = (low + high) / 2;
    if (middle > 0 && bidiagonal_count_below(n, d, e, middle) <= i)
      low = middle;
    else
      high = middle;
  }
  return high;
}

void bisected_values(int64_t m, int64_t n, const double *A, double *S) {
  const int wide = m < n;
  const int64_t rows = wide ? n : m, columns = wide ? m : n;
  dense_t copy = dense_zero(rows, columns);
  long double *d = calloc((size_t)(2 * columns + 1), sizeof *d), *e = d + columns;
  if (!d)
    abort();
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < m; i++)
      copy.at[wide ? i * rows + j : j * rows + i] = CMPLXL(A[2 * (j * m + i)], A[2 * (j * m + i) + 1]);
  reduce(&copy, d, e);
  for (int64_t i = 0; i < columns; i++)
    S[columns - 1 - i] = (double)bisected_value(columns, d, e, i);
  free(d);
  dense_free(&copy);
}
