/* SPDX-License-Identifier: BSD-3-Clause */
#include "ratios.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

worst_t worst_make(const char *what) { return (worst_t){.what = what}; }

void worst_note(worst_t *worst, double ratio, const char *format, ...) {
  if (ratio <= worst->ratio || isnan(worst->ratio))
    return;
  worst->ratio = ratio;
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(worst->where, sizeof worst->where, format, arguments);
  va_end(arguments);
}

int worst_within(const worst_t *worst, double limit) {
  printf("ratio %-28s %10.3g (limit %g) at %s\n", worst->what, worst->ratio, limit, worst->where);
  return worst->ratio <= limit;
}

double ratio_of(long double numerator, long double denominator) {
  return numerator == 0 ? 0 : (double)(numerator / denominator);
}

dense_t load_U(const fixture_t *f, int64_t b) { return buffer_load(&f->U, b); }

dense_t load_V(const fixture_t *f, int64_t b) {
  dense_t Vh = buffer_load(&f->Vh, b), V = dense_conjugate_transpose(&Vh);
  dense_free(&Vh);
  return V;
}

long double *load_S(const fixture_t *f, int64_t b) {
  long double *s = calloc((size_t)f->S.rows + 1, sizeof *s);
  if (!s)
    abort();
  for (int64_t i = 0; i < f->S.rows; i++)
    s[i] = creall(buffer_get(&f->S, b, i, 0));
  return s;
}

double ratio_residual(const fixture_t *f, int64_t b) {
  const int64_t m = f->desc.m, n = f->desc.n;
  dense_t A = buffer_load(&f->A, b), U = load_U(f, b), V = load_V(f, b);
  dense_t U1 = dense_columns(&U, 0, f->S.rows), V1 = dense_columns(&V, 0, f->S.rows);
  long double *s = load_S(f, b);
  dense_scale_columns(&U1, s);
  dense_t USVh = dense_product_h(&U1, &V1), R = dense_sum(1, &A, -1, &USVh);
  const double eps = dtype_epsilon(f->desc.dtype);
  const double ratio = ratio_of(dense_norm1(&R), dense_norm1(&A) * (long double)(m > n ? m : n) * eps);
  dense_t *const all[] = {&A, &U, &V, &U1, &V1, &USVh, &R};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  free(s);
  return ratio;
}

double ratio_orthonormal(const dense_t *Q, double epsilon) {
  dense_t G = dense_h_product(Q, Q), One = dense_identity(Q->n, Q->n), R = dense_sum(1, &One, -1, &G);
  const double ratio = ratio_of(dense_norm1(&R), (long double)Q->m * epsilon);
  dense_free(&G);
  dense_free(&One);
  dense_free(&R);
  return ratio;
}
