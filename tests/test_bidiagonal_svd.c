/* SPDX-License-Identifier: BSD-3-Clause */
/* Divide and conquer, QR iteration, and the qd algorithm, of a real bidiagonal matrix: residual, orthogonality and values of
 * matrices that are hard for them, and of every small size.  Bounds are bound_of(n) n eps s_1, and
 * bound_of(n) n eps for orthogonality.  QR iteration finds every value with a small relative error.  Values are compared by
 * counts of those below a number (support/bisection.h). */
#include "bisection.h"
#include "cpu/cpu_kernels.h"
#include "cpu/simd/kernels.h"
#include "fixture.h"
#include "random.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Errors of a few eps show in small matrices. */
static double bound_of(int64_t n) { return n <= 16 ? 4 : 2; }
#define RELATIVE_BOUND 16.0

typedef struct matrix {
  const char *name;
  int64_t n;
  double *d, *e; /* n each */
  random_t random;
} matrix_t;

/* Between 2^-exponent and 2^exponent, all magnitudes alike. */
static double log_uniform(random_t *random, double exponent) {
  return exp2(exponent * (2 * random_uniform(random) - 1)) * (random_uniform(random) < 0.5 ? -1 : 1);
}

static double digits; /* -log2 of the spacing of the type */

static void fill_random(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = random_normal(&m->random), m->e[i] = random_normal(&m->random);
}

static void fill_graded_down(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = exp2(-1.5 * digits * (double)i / (double)m->n), m->e[i] = m->d[i] * random_normal(&m->random);
}

static void fill_graded_up(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = exp2(-1.5 * digits * (double)(m->n - i) / (double)m->n), m->e[i] = m->d[i] * random_normal(&m->random);
}

/* Copies of Wilkinson's matrix of 21 rows, held together by tiny entries. */
static void fill_glued(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = fabs((double)(i % 21) - 10), m->e[i] = i % 21 == 20 ? exp2(-0.6 * digits) : 1;
}

/* A fifth of all values each, as good as equal. */
static void fill_clusters(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++) {
    m->d[i] = 1 + (double)(i % 5) + exp2(-digits) * (double)(i % 64);
    m->e[i] = exp2(-digits * (0.5 + 0.7 * random_uniform(&m->random)));
  }
}

static void fill_zeros_in_d(matrix_t *m) {
  fill_random(m);
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] *= random_uniform(&m->random) < 0.4;
}

static void fill_zeros_in_e(matrix_t *m) {
  fill_random(m);
  for (int64_t i = 0; i < m->n; i++)
    m->e[i] *= random_uniform(&m->random) < 0.5;
}

static void fill_zeros_in_both(matrix_t *m) {
  fill_zeros_in_d(m);
  for (int64_t i = 0; i < m->n; i++)
    m->e[i] *= random_uniform(&m->random) < 0.7;
}

static void fill_constant(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = m->e[i] = 1;
}

static void fill_identity(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = 1, m->e[i] = 0;
}

static void fill_zero(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = m->e[i] = 0;
}

static void fill_shift(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = 0, m->e[i] = 1;
}

static void fill_kahan(matrix_t *m) {
  double power = 1;
  for (int64_t i = 0; i < m->n; i++, power *= 0.95)
    m->d[i] = power, m->e[i] = -sqrt(1 - 0.95 * 0.95) * power;
}

/* Kind 16 of LAPACK's bidiagonal tests. */
static void fill_magnitudes(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = log_uniform(&m->random, 2 * digits), m->e[i] = log_uniform(&m->random, 2 * digits);
}

static void fill_halves(matrix_t *m) { /* the values of both halves are the same */
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = 1 + (double)(i % ((m->n + 1) / 2)), m->e[i] = 0.5;
}

/* Second differences: values from 2 down to about 1 / n^2. */
static void fill_differences(matrix_t *m) {
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] = 1, m->e[i] = -1;
}

static void fill_tiny(matrix_t *m) {
  fill_random(m);
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] *= digits > 30 ? 0x1p-1000 : 0x1p-110, m->e[i] *= digits > 30 ? 0x1p-1000 : 0x1p-110;
}

static void fill_huge(matrix_t *m) {
  fill_random(m);
  for (int64_t i = 0; i < m->n; i++)
    m->d[i] *= digits > 30 ? 0x1p1000 : 0x1p110, m->e[i] *= digits > 30 ? 0x1p1000 : 0x1p110;
}

/* One block large, the other out of its range. */
static void fill_two_scales(matrix_t *m) {
  fill_random(m);
  for (int64_t i = m->n / 2; i < m->n; i++)
    m->d[i] *= digits > 30 ? 0x1p-900 : 0x1p-100, m->e[i] *= digits > 30 ? 0x1p-900 : 0x1p-100;
}

static const struct {
  const char *name;
  void (*fill)(matrix_t *matrix);
} kinds[] = {{"random", fill_random},
             {"graded down", fill_graded_down},
             {"graded up", fill_graded_up},
             {"glued Wilkinson", fill_glued},
             {"clusters", fill_clusters},
             {"zeros in d", fill_zeros_in_d},
             {"zeros in e", fill_zeros_in_e},
             {"zeros in both", fill_zeros_in_both},
             {"constant", fill_constant},
             {"identity", fill_identity},
             {"zero", fill_zero},
             {"shift", fill_shift},
             {"Kahan", fill_kahan},
             {"magnitudes", fill_magnitudes},
             {"halves", fill_halves},
             {"differences", fill_differences},
             {"tiny", fill_tiny},
             {"huge", fill_huge},
             {"two scales", fill_two_scales}};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* The result in double. */
typedef struct result {
  double *S, *U, *Vh;
} result_t;

static double *reals(int64_t n) {
  double *x = calloc((size_t)n, sizeof *x);
  cr_assert_not_null(x);
  return x;
}

static void *narrowed(int is_f32, int64_t n, const double *x) {
  if (!is_f32)
    return memcpy(reals(n), x, (size_t)n * sizeof *x);
  float *y = (float *)reals(n);
  for (int64_t i = 0; i < n; i++)
    y[i] = (float)x[i];
  return y;
}

static double *widened(int is_f32, int64_t n, void *x) {
  if (!is_f32)
    return x;
  double *y = reals(n);
  for (int64_t i = 0; i < n; i++)
    y[i] = ((float *)x)[i];
  free(x);
  return y;
}

static int solve(svdgrad_dtype_t dtype, bidiagonal_method_t method, const matrix_t *m, int64_t leading, result_t *r) {
  const int is_f32 = dtype == SVDGRAD_F32;
  const int64_t n = m->n;
  bidiagonal_problem_t p = {
      .method = method, .n = n, .leading = leading, .ops = lanes_choose()->kernels[dtype]->conquer};
  void *d = narrowed(is_f32, n, m->d), *e = narrowed(is_f32, n, m->e);
  p.d = d, p.e = e, p.S = reals(n), p.U = reals(n * n), p.Vh = reals(n * n);
  arena_t arena = {NULL, 0};
  (void)cpu_kernels[dtype]->bidiagonal(&p, &arena);
  const size_t bytes = (arena.used + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
  unsigned char *memory = aligned_alloc(ARENA_ALIGNMENT, bytes);
  cr_assert_not_null(memory);
  memset(memory, 0xFF, bytes); /* NaN: nothing may be read before it was written */
  arena = (arena_t){memory, 0};
  const int converged = cpu_kernels[dtype]->bidiagonal(&p, &arena);
  *r = (result_t){widened(is_f32, n, p.S), widened(is_f32, n * n, p.U), widened(is_f32, n * n, p.Vh)};
  free(memory), free(d), free(e);
  return converged;
}

/* Largest entry of |X^T X - I|; NaN if one is. */
static double not_orthogonal(int64_t n, const double *X) {
  double worst = 0;
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i <= j; i++) {
      double product = i == j ? -1 : 0;
      for (int64_t l = 0; l < n; l++)
        product += X[i * n + l] * X[j * n + l];
      worst = fabs(product) <= worst ? worst : fabs(product);
    }
  return worst;
}

/* Largest |B v_j - s_j u_j|, over s_1. */
static double residual(const matrix_t *m, const result_t *r, double scale) {
  double worst = 0;
  for (int64_t j = 0; j < m->n; j++) {
    double square = 0;
    for (int64_t i = 0; i < m->n; i++) {
      const double next = i + 1 < m->n ? m->e[i] * scale * r->Vh[(i + 1) * m->n + j] : 0;
      const double x = m->d[i] * scale * r->Vh[i * m->n + j] + next - r->S[j] * scale * r->U[j * m->n + i];
      square += x * x;
    }
    worst = sqrt(square) <= worst ? worst : sqrt(square);
  }
  return worst;
}

/* Errors are multiples of `unit`, or of the value itself if `unit` is 0; those below `floor` do not count. */
typedef struct error_scale {
  long double unit, floor;
} error_scale_t;

/* Whether value i of n, counted from the largest, is within `error` of s. */
static int is_near(int64_t n, const long double *d, const long double *e, int64_t i, double s, long double error) {
  const long double low = s - error, high = s + error;
  return (low <= 0 || bidiagonal_count_below(n, d, e, low) < n - i) &&
         (high > 0 ? bidiagonal_count_below(n, d, e, high) >= n - i : s == 0);
}

/* The first of 1/4, 1/2, 1 .. times n eps that is above all errors. */
static double value_error(const matrix_t *m, const double *S, const error_scale_t *scale, double eps) {
  const int64_t n = m->n;
  double error = 0.25;
  long double *d = calloc((size_t)(2 * n), sizeof *d), *e = d + n;
  cr_assert(d);
  for (int64_t i = 0; i < n; i++)
    d[i] = m->d[i], e[i] = m->e[i];
  for (int64_t i = 0; i < n; i++) {
    const long double unit = (double)n * eps * (scale->unit > 0 ? scale->unit : S[i]);
    cr_expect(S[i] >= 0 && (i == 0 || S[i] <= S[i - 1]), "value %lld of %s, n = %lld: %g", (long long)i, m->name,
              (long long)n, S[i]);
    while (error < 1 / eps && !is_near(n, d, e, i, S[i], error * unit + scale->floor))
      error *= 2;
  }
  free(d);
  return error * (double)n * eps;
}

static double largest_entry(const matrix_t *m) {
  double largest = 0;
  for (int64_t i = 0; i < m->n; i++)
    largest = fmax(largest, fmax(fabs(m->d[i]), fabs(m->e[i])));
  return largest;
}

enum { RESIDUAL, ORTHOGONALITY, VALUES, RELATIVE_VALUES, ERRORS };
static const char *const error_names[ERRORS] = {"residual", "orthogonality", "values", "relative values"};
static double worst_of[ERRORS]; /* of all that ran, over n eps */

static void expect_below(double error, int which, const matrix_t *m, double eps) {
  const double size = error / ((double)m->n * eps), bound = which == RELATIVE_VALUES ? RELATIVE_BOUND : bound_of(m->n);
  worst_of[which] = size <= worst_of[which] ? worst_of[which] : size;
  cr_expect(size <= bound, "%s of %s, n = %lld, eps = %.0e: %g n eps, above %g", error_names[which], m->name,
            (long long)m->n, eps, size, bound);
}

static matrix_t make_bidiagonal(svdgrad_dtype_t dtype, int kind, int64_t n, uint64_t seed) {
  matrix_t m = {kinds[kind].name, n, reals(n), reals(n), random_seed(seed)};
  digits = dtype == SVDGRAD_F32 ? 23 : 52;
  kinds[kind].fill(&m);
  for (int64_t i = 0; i < n && dtype == SVDGRAD_F32; i++)
    m.d[i] = (float)m.d[i], m.e[i] = (float)m.e[i];
  return m;
}

/* Values near the end of the type's range, or so far below the largest one, have fewer digits. */
static long double least_error(svdgrad_dtype_t dtype, double largest) {
  const int is_f32 = dtype == SVDGRAD_F32;
  return (long double)largest * (is_f32 ? 0x1p-90L : 0x1p-940L) + (is_f32 ? 0x1p-149L : 0x1p-1074L);
}

static void check(svdgrad_dtype_t dtype, bidiagonal_method_t method, int kind, int64_t n) {
  const double eps = dtype == SVDGRAD_F32 ? FLT_EPSILON : DBL_EPSILON;
  matrix_t m = make_bidiagonal(dtype, kind, n, (uint64_t)(1000 * n + kind));
  result_t r;
  cr_expect(solve(dtype, method, &m, n, &r), "%s, n = %lld did not converge", m.name, (long long)n);
  const double largest = largest_entry(&m), unit = largest > 0 ? largest : 1; /* s_1 is between one and two of these */
  const error_scale_t of_largest = {unit, 0}, relative = {0, least_error(dtype, unit)};
  if (method <= BY_QR) {
    expect_below(residual(&m, &r, 1 / unit), RESIDUAL, &m, eps);
    expect_below(fmax(not_orthogonal(n, r.U), not_orthogonal(n, r.Vh)), ORTHOGONALITY, &m, eps);
  }
  expect_below(value_error(&m, r.S, &of_largest, eps), VALUES, &m, eps);
  if (method == BY_QR || method == VALUES_BY_QR)
    expect_below(value_error(&m, r.S, &relative, eps), RELATIVE_VALUES, &m, eps);
  free(m.d), free(m.e), free(r.S), free(r.U), free(r.Vh);
}

/* The leading vectors and all values have the bits of the whole decomposition. */
static void check_leading(svdgrad_dtype_t dtype, int kind, int64_t n, int64_t leading) {
  matrix_t m = make_bidiagonal(dtype, kind, n, (uint64_t)n);
  result_t whole, part;
  cr_assert(solve(dtype, BY_DIVIDING, &m, n, &whole) && solve(dtype, BY_DIVIDING, &m, leading, &part));
  cr_expect_arr_eq(part.S, whole.S, (size_t)n * sizeof(double));
  int same = 1;
  for (int64_t j = 0; j < leading; j++)
    for (int64_t i = 0; i < n; i++)
      same &= part.U[j * n + i] == whole.U[j * n + i] && part.Vh[i * n + j] == whole.Vh[i * n + j];
  cr_expect(same, "leading %lld of %s, n = %lld", (long long)leading, m.name, (long long)n);
  free(m.d), free(m.e), free(whole.S), free(whole.U), free(whole.Vh), free(part.S), free(part.U), free(part.Vh);
}

static void check_sizes(svdgrad_dtype_t dtype, bidiagonal_method_t method) {
  static const int64_t sizes[] = {96, 127, 128, 129, 161, 200, 255, 300};
  memset(worst_of, 0, sizeof worst_of);
  for (int kind = 0; kind < KINDS; kind++) {
    for (int64_t n = 1; n <= 72; n++)
      check(dtype, method, kind, n);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      check(dtype, method, kind, sizes[i]);
  }
  check(dtype, method, 0, 600);
  check(dtype, method, 3, 600);
  check(dtype, method, 5, 600);
  printf("ratio bidiagonal svd %s, method %d:", dtype_name(dtype), (int)method);
  for (int i = 0; i < ERRORS; i++)
    printf(" %s %.3g", error_names[i], worst_of[i]);
  printf("\n");
}

Test(bidiagonal_svd, divide_f32) { check_sizes(SVDGRAD_F32, BY_DIVIDING); }
Test(bidiagonal_svd, divide_f64) { check_sizes(SVDGRAD_F64, BY_DIVIDING); }
Test(bidiagonal_svd, qr_f32) { check_sizes(SVDGRAD_F32, BY_QR); }
Test(bidiagonal_svd, qr_f64) { check_sizes(SVDGRAD_F64, BY_QR); }
Test(bidiagonal_svd, values_by_qd_f32) { check_sizes(SVDGRAD_F32, VALUES_BY_QD); }
Test(bidiagonal_svd, values_by_qd_f64) { check_sizes(SVDGRAD_F64, VALUES_BY_QD); }
Test(bidiagonal_svd, values_by_qr_f32) { check_sizes(SVDGRAD_F32, VALUES_BY_QR); }
Test(bidiagonal_svd, values_by_qr_f64) { check_sizes(SVDGRAD_F64, VALUES_BY_QR); }

Test(bidiagonal_svd, leading) {
  for (int kind = 0; kind < KINDS; kind++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_F64; dtype++) {
      check_leading(dtype, kind, 5, 2);
      check_leading(dtype, kind, 67, 1);
      check_leading(dtype, kind, 67, 40);
      check_leading(dtype, kind, 130, 129);
    }
}

/* Not a number anywhere: each ends, and says that it has not converged. */
Test(bidiagonal_svd, nan_does_not_converge) {
  for (int method = BY_DIVIDING; method <= VALUES_BY_QR; method++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_F64; dtype++)
      for (int64_t n = 2; n <= 40; n += 19) {
        matrix_t m = make_bidiagonal(dtype, 0, n, 1);
        result_t r;
        m.d[n / 2] = NAN;
        cr_expect(!solve(dtype, (bidiagonal_method_t)method, &m, n, &r), "method %d, n = %d", method, (int)n);
        free(m.d), free(m.e), free(r.S), free(r.U), free(r.Vh);
      }
}

/* So have truncated factors of a matrix. */
static void check_truncated(svdgrad_dtype_t dtype, int64_t m, int64_t n, int64_t rank, int gauge) {
  svdgrad_desc_t desc = make_desc(dtype, m, n, 1), truncated;
  desc.positive_gauge = gauge;
  truncated = desc, truncated.rank = rank;
  fixture_t whole = fixture_make(SVDGRAD_BACKEND_CPU, &desc, LAYOUT_COLUMN_MAJOR);
  fixture_t part = fixture_make(SVDGRAD_BACKEND_CPU, &truncated, LAYOUT_COLUMN_MAJOR);
  fixture_fill(&whole, 0, 1);
  buffer_copy(&part.A, &whole.A);
  cr_assert_eq(fixture_forward(&whole, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(fixture_forward(&part, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  int same = 1;
  for (int64_t j = 0; j < rank; j++) {
    same &= buffer_get(&part.S, 0, j, 0) == buffer_get(&whole.S, 0, j, 0);
    for (int64_t i = 0; i < m; i++)
      same &= buffer_get(&part.U, 0, i, j) == buffer_get(&whole.U, 0, i, j);
    for (int64_t i = 0; i < n; i++)
      same &= buffer_get(&part.Vh, 0, j, i) == buffer_get(&whole.Vh, 0, j, i);
  }
  cr_expect(same, "%s %dx%d, rank %d, gauge %d", dtype_name(dtype), (int)m, (int)n, (int)rank, gauge);
  fixture_free(&whole), fixture_free(&part);
}

Test(bidiagonal_svd, truncated) {
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    for (int gauge = 0; gauge < 2; gauge++) {
      check_truncated(dtype, 40, 40, 1, gauge);
      check_truncated(dtype, 150, 150, 77, gauge);
      check_truncated(dtype, 140, 190, 33, gauge);
      check_truncated(dtype, 330, 105, 20, gauge); /* QR first */
      check_truncated(dtype, 60, 300, 13, gauge);  /* by blocks of rows */
    }
}
