/* SPDX-License-Identifier: BSD-3-Clause */
/* Small matrices at the ends of the number range, by every algorithm: all 2-by-2 matrices of nine values near the
 * denormal numbers, all 3-by-3 matrices of zero, tiny, 1 and huge, and matrices of denormal numbers with 2^p times the
 * same.  Factors are orthonormal, U S Vh is A to rounding of the norm or of a denormal number, and scaling by powers of
 * two is exact. */
#include "cases.h"
#include "integers.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

static int is_single(svdgrad_dtype_t dtype) { return dtype_real(dtype) == SVDGRAD_F32; }

/* Of the smallest positive number. */
static int least_exponent(svdgrad_dtype_t dtype) { return is_single(dtype) ? -149 : -1074; }

static void note(worst_t *worst, const fixture_t *f, int64_t b, double ratio, const char *what) {
  worst_note(worst, ratio, "%s %s %lldx%lld matrix %lld: %s",
             svdgrad_algorithm_name(f->handle, SVDGRAD_OP_SVD, &f->desc), dtype_name(f->desc.dtype),
             (long long)f->desc.m, (long long)f->desc.n, (long long)b, what);
}

/* |A - U diag(S) Vh|_1 over (|A|_1 eps + the smallest number) max(m, n): what is denormal is rounded to multiples of
 * that. */
static double residual_of(const fixture_t *f, int64_t b, const dense_t *U, const dense_t *V) {
  dense_t A = buffer_load(&f->A, b), US = dense_copy(U);
  long double *s = load_S(f, b);
  dense_scale_columns(&US, s);
  dense_t USVh = dense_product_h(&US, V), R = dense_sum(1, &A, -1, &USVh);
  const long double unit = dense_norm1(&A) * dtype_epsilon(f->desc.dtype) + ldexpl(1, least_exponent(f->desc.dtype));
  const double ratio = ratio_of(dense_norm1(&R), unit * (long double)(A.m > A.n ? A.m : A.n));
  dense_t *const all[] = {&A, &US, &USVh, &R};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  free(s);
  return ratio;
}

static void check_matrix(worst_t *worst, const fixture_t *f, int64_t b) {
  const double eps = dtype_epsilon(f->desc.dtype);
  dense_t U = load_U(f, b), V = load_V(f, b);
  note(worst, f, b, f->info[b] == SVDGRAD_INFO_OK ? 0 : INFINITY, "info");
  for (int64_t i = 0; i < f->S.rows; i++) {
    const long double s = creall(buffer_get(&f->S, b, i, 0));
    if (!(s >= 0 && isfinite(s) && (i == 0 || s <= creall(buffer_get(&f->S, b, i - 1, 0)))))
      note(worst, f, b, INFINITY, "S");
  }
  note(worst, f, b, ratio_orthonormal(&U, eps), "U");
  note(worst, f, b, ratio_orthonormal(&V, eps), "V");
  note(worst, f, b, residual_of(f, b, &U, &V), "residual");
  dense_free(&U);
  dense_free(&V);
}

static fixture_t start(svdgrad_backend_t backend, svdgrad_algo_t algo, svdgrad_dtype_t dtype,
                       const integers_t *digits) {
  svdgrad_desc_t desc = make_desc(dtype, digits->m, digits->n, digits->count);
  desc.algo = algo;
  return fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
}

static void forward(fixture_t *f) {
  cr_assert_eq(fixture_forward(f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(f->intact);
}

typedef void (*range_check_t)(worst_t *worst, svdgrad_backend_t backend, svdgrad_algo_t algo, svdgrad_dtype_t dtype,
                              const integers_t *digits);

static void for_each_algorithm(worst_t *worst, const integers_t *digits, range_check_t check) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_algo_t algo = SVDGRAD_ALGO_JACOBI; algo <= SVDGRAD_ALGO_VENDOR; algo++)
      for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
        if (backend_has(test_backends[i], algo))
          check(worst, test_backends[i], algo, dtype, digits);
}

/* ---- entries by their digit ---- */

static void check_values(worst_t *worst, svdgrad_backend_t backend, svdgrad_algo_t algo, svdgrad_dtype_t dtype,
                         const integers_t *digits, const long double *values) {
  fixture_t f = start(backend, algo, dtype, digits);
  for (int64_t b = 0; b < digits->count; b++)
    for (int64_t j = 0; j < digits->n; j++)
      for (int64_t i = 0; i < digits->m; i++) {
        const long double x = values[(int)integers_matrix(digits, b)[2 * (j * digits->m + i)]];
        buffer_set(&f.A, b, i, j, dtype_is_complex(dtype) && (i + j) % 2 ? CMPLXL(0, x) : CMPLXL(x, 0));
      }
  forward(&f);
  for (int64_t b = 0; b < digits->count; b++)
    check_matrix(worst, &f, b);
  fixture_free(&f);
}

static void check_near_denormals(worst_t *worst, svdgrad_backend_t backend, svdgrad_algo_t algo, svdgrad_dtype_t dtype,
                                 const integers_t *digits) {
  const long double least = ldexpl(1, least_exponent(dtype)), normal = is_single(dtype) ? FLT_MIN : DBL_MIN;
  const long double values[9] = {0,      least,   -least,        3 * least, normal - least,
                                 normal, -normal, 1.5L * normal, 4 * normal};
  check_values(worst, backend, algo, dtype, digits, values);
}

/* If few matrices are wanted, only every so many of them. */
static int64_t few(int64_t stride) { return test_table == TABLE_SMALL || test_sampled ? stride : 1; }

Test(range, every_2x2_near_denormal_numbers) {
  worst_t worst = worst_make("range 2x2");
  integers_t digits = integers_all(2, 2, 0, 8, few(13));
  for_each_algorithm(&worst, &digits, check_near_denormals);
  integers_free(&digits);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Three times the largest entry is finite, and so is S. */
static void check_extremes(worst_t *worst, svdgrad_backend_t backend, svdgrad_algo_t algo, svdgrad_dtype_t dtype,
                           const integers_t *digits) {
  const long double least = ldexpl(1, least_exponent(dtype)), huge = is_single(dtype) ? FLT_MAX / 4 : DBL_MAX / 4;
  const long double values[4] = {0, 3 * least, 1, huge};
  check_values(worst, backend, algo, dtype, digits, values);
}

Test(range, every_7th_3x3_of_zero_tiny_one_huge) {
  worst_t worst = worst_make("range 3x3");
  integers_t digits = integers_all(3, 3, 0, 3, 7 * few(101));
  for_each_algorithm(&worst, &digits, check_extremes);
  integers_free(&digits);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- denormal matrices ---- */

/* S of 2^p A is 2^p S, rounded to a denormal number once, and U and Vh are the same to the bit. */
static void check_denormal(worst_t *worst, svdgrad_backend_t backend, svdgrad_algo_t algo, svdgrad_dtype_t dtype,
                           const integers_t *digits) {
  fixture_t f = start(backend, algo, dtype, digits), tiny = start(backend, algo, dtype, digits);
  const int p = least_exponent(dtype);
  for (int64_t b = 0; b < digits->count; b++)
    for (int64_t j = 0; j < digits->n; j++)
      for (int64_t i = 0; i < digits->m; i++) {
        const double *a = integers_matrix(digits, b) + 2 * (j * digits->m + i);
        buffer_set(&f.A, b, i, j, CMPLXL(a[0], 0));
        buffer_set(&tiny.A, b, i, j, CMPLXL(ldexpl(a[0], p), 0));
      }
  forward(&f);
  forward(&tiny);
  for (int64_t b = 0; b < digits->count; b++) {
    note(worst, &f, b, buffer_same_bits(&f.U, b, &tiny.U, b) && buffer_same_bits(&f.Vh, b, &tiny.Vh, b) ? 0 : INFINITY,
         "factors");
    for (int64_t i = 0; i < f.S.rows; i++) {
      const long double scaled = ldexpl(creall(buffer_get(&f.S, b, i, 0)), p);
      const double rounded = is_single(dtype) ? (double)(float)scaled : (double)scaled;
      note(worst, &f, b, creall(buffer_get(&tiny.S, b, i, 0)) == rounded ? 0 : INFINITY, "S");
    }
  }
  fixture_free(&f);
  fixture_free(&tiny);
}

Test(range, denormal_matrices_have_rounded_values) {
  static const test_shape_t shapes[] = {{2, 2}, {3, 3}, {4, 4}, {5, 5}, {9, 6}, {6, 9}, {17, 17}};
  worst_t worst = worst_make("range denormal");
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    integers_t digits = integers_sparse(shapes[i].m, shapes[i].n, 80 / few(10), 0, i);
    for_each_algorithm(&worst, &digits, check_denormal);
    integers_free(&digits);
  }
  cr_assert(worst_within(&worst, 0));
}
