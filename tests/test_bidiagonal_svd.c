/* SPDX-License-Identifier: BSD-3-Clause */
/* Divide and conquer of a real bidiagonal matrix: residual, orthogonality and values of matrices that are hard for it,
 * and of every small size.  Bounds are bound_of(n) n eps s_1, and bound_of(n) n eps for orthogonality. */
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

/* LAPACK's QR iteration, which solves the smallest parts, stops at about 50 eps. */
static double bound_of(int64_t n) { return n <= 25 ? 8 : 2; }

void dbdsqr_(const char *uplo, const int *n, const int *ncvt, const int *nru, const int *ncc, double *d, double *e,
             double *vt, const int *ldvt, double *u, const int *ldu, double *c, const int *ldc, double *work, int *info,
             size_t);
void dgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k, const double *alpha,
            const double *a, const int *lda, const double *b, const int *ldb, const double *beta, double *c,
            const int *ldc, size_t, size_t);

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

static int solve(svdgrad_dtype_t dtype, const matrix_t *m, int64_t leading, result_t *r) {
  const int is_f32 = dtype == SVDGRAD_F32;
  const int64_t n = m->n;
  bidiagonal_problem_t p = {.n = n, .leading = leading, .ops = lanes_choose()->kernels[dtype]->secular};
  void *d = narrowed(is_f32, n, m->d), *e = narrowed(is_f32, n, m->e);
  p.d = d, p.e = e, p.S = reals(n), p.U = reals(n * n), p.Vh = reals(n * n);
  arena_t arena = {NULL, 0};
  (void)cpu_kernels[dtype]->conquer(&p, &arena);
  const size_t bytes = (arena.used + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
  unsigned char *memory = aligned_alloc(ARENA_ALIGNMENT, bytes);
  cr_assert_not_null(memory);
  memset(memory, 0xFF, bytes); /* NaN: nothing may be read before it was written */
  arena = (arena_t){memory, 0};
  const int converged = cpu_kernels[dtype]->conquer(&p, &arena);
  *r = (result_t){widened(is_f32, n, p.S), widened(is_f32, n * n, p.U), widened(is_f32, n * n, p.Vh)};
  free(memory), free(d), free(e);
  return converged;
}

/* Largest entry of |X^T X - I|; NaN if one is. */
static double not_orthogonal(int64_t n, const double *X) {
  const int size = (int)n;
  const double one = 1, zero = 0;
  double *product = reals(n * n), worst = 0;
  dgemm_("T", "N", &size, &size, &size, &one, X, &size, X, &size, &zero, product, &size, 1, 1);
  for (int64_t i = 0; i < n * n; i++) {
    const double error = fabs(product[i] - (i / n == i % n));
    worst = error <= worst ? worst : error;
  }
  free(product);
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

static double value_error(const matrix_t *m, const result_t *r, double scale) {
  const int n = (int)m->n, none = 0, one = 1;
  double *d = reals(n), *e = reals(n), *work = reals(4 * n), unused = 0, worst = 0;
  int info = 0;
  for (int64_t i = 0; i < n; i++)
    d[i] = m->d[i] * scale, e[i] = m->e[i] * scale;
  dbdsqr_("U", &n, &none, &none, &none, d, e, &unused, &one, &unused, &one, &unused, &one, work, &info, 1);
  cr_assert_eq(info, 0);
  for (int64_t i = 0; i < n; i++) {
    const double error = fabs(d[i] - r->S[i] * scale);
    worst = error <= worst ? worst : error;
    cr_expect(r->S[i] >= 0 && (i == 0 || r->S[i] <= r->S[i - 1]), "value %lld of %s, n = %lld: %g", (long long)i,
              m->name, (long long)n, r->S[i]);
  }
  free(d), free(e), free(work);
  return worst;
}

static double largest_entry(const matrix_t *m) {
  double largest = 0;
  for (int64_t i = 0; i < m->n; i++)
    largest = fmax(largest, fmax(fabs(m->d[i]), fabs(m->e[i])));
  return largest;
}

static double worst_of[3]; /* residual, orthogonality, values: of all that ran, over n eps */

static void expect_below(double error, const char *what, int which, const matrix_t *m, double eps) {
  const double bound = bound_of(m->n) * (double)m->n * eps, size = error / ((double)m->n * eps);
  worst_of[which] = size <= worst_of[which] ? worst_of[which] : size;
  cr_expect(error <= bound, "%s of %s, n = %lld, eps = %.0e: %g, above %g", what, m->name, (long long)m->n, eps, error,
            bound);
}

static void check(svdgrad_dtype_t dtype, int kind, int64_t n) {
  const double eps = dtype == SVDGRAD_F32 ? FLT_EPSILON : DBL_EPSILON;
  matrix_t m = {kinds[kind].name, n, reals(n), reals(n), random_seed((uint64_t)(1000 * n + kind))};
  result_t r;
  digits = -log2(eps);
  kinds[kind].fill(&m);
  for (int64_t i = 0; i < n && dtype == SVDGRAD_F32; i++)
    m.d[i] = (float)m.d[i], m.e[i] = (float)m.e[i];
  cr_expect(solve(dtype, &m, n, &r), "%s, n = %lld did not converge", m.name, (long long)n);
  const double largest = largest_entry(&m), scale = largest > 0 ? 1 / largest : 1; /* s_1 is between 1 and 2 */
  expect_below(residual(&m, &r, scale), "residual", 0, &m, eps);
  expect_below(fmax(not_orthogonal(n, r.U), not_orthogonal(n, r.Vh)), "orthogonality", 1, &m, eps);
  expect_below(value_error(&m, &r, scale), "values", 2, &m, eps);
  free(m.d), free(m.e), free(r.S), free(r.U), free(r.Vh);
}

/* The leading vectors and all values have the bits of the whole decomposition. */
static void check_leading(svdgrad_dtype_t dtype, int kind, int64_t n, int64_t leading) {
  matrix_t m = {kinds[kind].name, n, reals(n), reals(n), random_seed((uint64_t)n)};
  result_t whole, part;
  digits = dtype == SVDGRAD_F32 ? FLT_MANT_DIG - 1 : DBL_MANT_DIG - 1;
  kinds[kind].fill(&m);
  cr_assert(solve(dtype, &m, n, &whole) && solve(dtype, &m, leading, &part));
  cr_expect_arr_eq(part.S, whole.S, (size_t)n * sizeof(double));
  int same = 1;
  for (int64_t j = 0; j < leading; j++)
    for (int64_t i = 0; i < n; i++)
      same &= part.U[j * n + i] == whole.U[j * n + i] && part.Vh[i * n + j] == whole.Vh[i * n + j];
  cr_expect(same, "leading %lld of %s, n = %lld", (long long)leading, m.name, (long long)n);
  free(m.d), free(m.e), free(whole.S), free(whole.U), free(whole.Vh), free(part.S), free(part.U), free(part.Vh);
}

static void check_sizes(svdgrad_dtype_t dtype) {
  static const int64_t sizes[] = {96, 127, 128, 129, 161, 200, 255, 300};
  memset(worst_of, 0, sizeof worst_of);
  for (int kind = 0; kind < KINDS; kind++) {
    for (int64_t n = 1; n <= 72; n++)
      check(dtype, kind, n);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      check(dtype, kind, sizes[i]);
  }
  check(dtype, 0, 600);
  check(dtype, 3, 600);
  check(dtype, 5, 600);
  printf("ratio bidiagonal svd %s: residual %.3g, orthogonality %.3g, values %.3g\n", dtype_name(dtype), worst_of[0],
         worst_of[1], worst_of[2]);
}

Test(bidiagonal_svd, f64) { check_sizes(SVDGRAD_F64); }
Test(bidiagonal_svd, leading) {
  for (int kind = 0; kind < KINDS; kind++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_F64; dtype++) {
      check_leading(dtype, kind, 5, 2);
      check_leading(dtype, kind, 67, 1);
      check_leading(dtype, kind, 67, 40);
      check_leading(dtype, kind, 130, 129);
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

Test(bidiagonal_svd, f32) { check_sizes(SVDGRAD_F32); }
