/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of thousands of equal or alike entries: sums over them must not lose digits with the number of rows, as sums of
 * equal terms do, one after the other, whose rounding errors are alike.  Bounds are without the factor m that LAPACK's
 * ratios have. */
#include "cases.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* LIMIT: 162 of blocks of rows in c64, 56 of the others; sums one after the other reach 4300. */
enum { COLUMNS = 3, LIMIT = 250 };

static int64_t rows_of(svdgrad_dtype_t dtype) {
  static const int64_t rows[] = {10000, 5000, 5000, 2500}; /* 120 KB */
  return rows[dtype];
}

/* By column j: equal entries; or signs that alternate after 1, 2, 4 rows, times 3, 2, 1: orthogonal. */
static z_t entry_of(svdgrad_dtype_t dtype, int64_t i, int64_t j, int alternates) {
  const long double x = alternates ? (long double)(3 - j) * (i >> j & 1 ? -1 : 1) : 1 / (long double)(3 + j);
  return dtype_is_complex(dtype) ? CMPLXL(x, x / 3) : CMPLXL(x, 0);
}

static fixture_t start(svdgrad_backend_t backend, svdgrad_dtype_t dtype, svdgrad_algo_t algo, int wide,
                       int alternates) {
  const int64_t m = rows_of(dtype);
  svdgrad_desc_t desc = make_desc(dtype, wide ? COLUMNS : m, wide ? m : COLUMNS, 9);
  desc.algo = algo;
  fixture_t f = fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < 9; b++)
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < COLUMNS; j++)
        buffer_set(&f.A, b, wide ? j : i, wide ? i : j, entry_of(dtype, i, j, alternates));
  return f;
}

/* The largest entry of |I - Q^H Q|, in eps. */
static double orthonormal_error(const dense_t *Q, double eps) {
  dense_t G = dense_h_product(Q, Q);
  long double most = 0;
  for (int64_t i = 0; i < G.m * G.n; i++)
    most = fmaxl(most, cabsl(G.at[i] - (i % (G.m + 1) == 0)));
  dense_free(&G);
  return (double)(most / eps);
}

static void check_factors(worst_t *worst, const fixture_t *f, int alternates) {
  const double eps = dtype_epsilon(f->desc.dtype);
  dense_t A = buffer_load(&f->A, 0), U = load_U(f, 0), V = load_V(f, 0), US = dense_copy(&U);
  long double *s = load_S(f, 0);
  dense_scale_columns(&US, s);
  dense_t USVh = dense_product_h(&US, &V), R = dense_sum(1, &A, -1, &USVh);
  const double errors[] = {orthonormal_error(&U, eps), orthonormal_error(&V, eps),
                           (double)(dense_norm(&R) / dense_norm(&A)) / eps};
  static const char *const names[] = {"U", "V", "residual"};
  for (int i = 0; i < 3; i++)
    worst_note(worst, errors[i], "%s %s %dx%d algorithm %d %s %s", backend_name(f->backend), dtype_name(f->desc.dtype),
               (int)f->desc.m, (int)f->desc.n, (int)f->desc.algo, alternates ? "alternating" : "equal", names[i]);
  dense_free(&A), dense_free(&U), dense_free(&V), dense_free(&US), dense_free(&USVh), dense_free(&R);
  free(s);
}

static void for_each(worst_t *worst, void (*check)(worst_t *worst, svdgrad_backend_t backend, svdgrad_dtype_t dtype,
                                                   svdgrad_algo_t algo, int wide)) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (svdgrad_algo_t algo = SVDGRAD_ALGO_AUTO; algo <= SVDGRAD_ALGO_JACOBI; algo++)
        for (int wide = 0; wide < 2; wide++)
          if (test_backends[i] != SVDGRAD_BACKEND_CUDA)
            check(worst, test_backends[i], dtype, algo, wide);
}

static void check_svd(worst_t *worst, svdgrad_backend_t backend, svdgrad_dtype_t dtype, svdgrad_algo_t algo, int wide) {
  for (int alternates = 0; alternates < 2; alternates++) {
    fixture_t f = start(backend, dtype, algo, wide, alternates);
    cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
    check_factors(worst, &f, alternates);
    fixture_free(&f);
  }
}

Test(long_columns, factors) {
  worst_t worst = worst_make("long columns");
  for_each(&worst, check_svd);
  cr_expect(worst_within(&worst, LIMIT));
}

/* From the factors of the reference, and cotangents of equal entries. */
static void check_gradient(worst_t *worst, svdgrad_backend_t backend, svdgrad_dtype_t dtype, svdgrad_algo_t algo,
                           int wide) {
  fixture_t reference = start(SVDGRAD_BACKEND_REF, dtype, SVDGRAD_ALGO_AUTO, wide, 1);
  fixture_t f = start(backend, dtype, algo, wide, 1);
  fixture_t *const both[] = {&reference, &f};
  cr_assert_eq(fixture_forward(&reference, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  for (int i = 0; i < 2; i++) {
    buffer_copy(&both[i]->S, &reference.S), buffer_copy(&both[i]->U, &reference.U);
    buffer_copy(&both[i]->Vh, &reference.Vh);
    for (int64_t b = 0; b < 9; b++) {
      fixture_fill(both[i], b, 1);
      buffer_t *const g = wide ? &both[i]->gVh : &both[i]->gU;
      for (int64_t r = 0; r < rows_of(dtype); r++)
        for (int64_t j = 0; j < COLUMNS; j++)
          buffer_set(g, b, wide ? j : r, wide ? r : j, (long double)(1 + j) / 3 + entry_of(dtype, r, (j + 1) % 3, 1));
    }
    cr_assert_eq(fixture_backward(both[i], WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  }
  dense_t x = buffer_load(&f.gA, 0), y = buffer_load(&reference.gA, 0), error = dense_sum(1, &x, -1, &y);
  worst_note(worst, (double)(dense_norm(&error) / dense_norm(&y)) / dtype_epsilon(dtype), "%s %s algorithm %d wide %d",
             backend_name(backend), dtype_name(dtype), (int)algo, wide);
  dense_free(&x), dense_free(&y), dense_free(&error);
  fixture_free(&f), fixture_free(&reference);
}

Test(long_columns, gradients) {
  worst_t worst = worst_make("long columns, gradients");
  for_each(&worst, check_gradient);
  cr_expect(worst_within(&worst, LIMIT));
}
