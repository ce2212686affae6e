/* SPDX-License-Identifier: BSD-3-Clause */
/* Determinants are right, and their sign or phase, logarithm and gradients.  They are compared with elimination and
 * cofactors in long double and with finite differences, also at singular matrices and at scales where plain products
 * over- or underflow.  Errors are in units of eps. */
#include "functions.h"
#include "random.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static functions_t problem(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t n) {
  const svdgrad_desc_t desc = make_desc(dtype, n, n, 1);
  functions_t x = functions_make(backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  functions_fill(&x, 0, 7);
  return x;
}

static functions_t start(const setting_t *s) {
  functions_t x = problem(s->backend, s->dtype, s->n);
  LOCAL(dense) A = settings_matrix(s);
  buffer_store(&x.f.A, 0, &A);
  return x;
}

static void run(functions_t *x, svdgrad_op_t op, unsigned absent) {
  cr_assert_eq(functions_run(x, op, absent, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(x->f.intact);
}

static z_t number(const buffer_t *buffer) { return buffer_get(buffer, 0, 0, 0); }

enum { WITHOUT_LOG = ABSENT(OPERAND_G_SIGN) | ABSENT(OPERAND_G_LOG_ABS), WITHOUT_DET = ABSENT(OPERAND_G_DET) };

static dense_t gradient(functions_t *x, unsigned absent) {
  run(x, SVDGRAD_OP_DETERMINANT_GRADIENT, absent);
  return buffer_load(&x->f.gA, 0);
}

/* The gradient of det alone: g_det is 1. */
static dense_t adjugate(functions_t *x) {
  buffer_set(&x->g_det, 0, 0, 0, 1);
  return gradient(x, WITHOUT_LOG);
}

static void note(worst_t *worst, const setting_t *s, long double error, long double scale, const char *what) {
  settings_note(worst, s, ratio_of(error, scale * dtype_epsilon(s->dtype)), what);
}

/* ---- by elimination ---- */

static z_t exact_determinant(const dense_t *A) {
  LOCAL(dense) X = dense_copy(A);
  const int64_t n = X.n;
  z_t product = 1;
  for (int64_t p = 0; p < n; p++) {
    int64_t pivot = p;
    for (int64_t i = p + 1; i < n; i++)
      if (cabsl(X.at[p * n + i]) > cabsl(X.at[p * n + pivot]))
        pivot = i;
    for (int64_t j = 0; j < n && pivot != p; j++) {
      const z_t x = X.at[j * n + p];
      X.at[j * n + p] = X.at[j * n + pivot];
      X.at[j * n + pivot] = x;
    }
    product *= X.at[p * n + p] * (pivot == p ? 1 : -1);
    for (int64_t i = p + 1; i < n && X.at[p * n + p] != 0; i++) {
      const z_t factor = X.at[p * n + i] / X.at[p * n + p];
      for (int64_t j = 0; j < n; j++)
        X.at[j * n + i] -= factor * X.at[j * n + p];
    }
  }
  return product;
}

/* conj of the cofactor: d det / d conj(A_ij) in the convention of the gradients. */
static z_t cofactor(const dense_t *A, int64_t row, int64_t column) {
  const int64_t n = A->n;
  LOCAL(dense) minor = dense_zero(n - 1, n - 1);
  for (int64_t j = 0; j < n - 1; j++)
    for (int64_t i = 0; i < n - 1; i++)
      minor.at[j * (n - 1) + i] = A->at[(j + (j >= column)) * n + i + (i >= row)];
  return conjl(exact_determinant(&minor)) * ((row + column) % 2 ? -1 : 1);
}

static dense_t cofactors(const dense_t *A) {
  dense_t C = dense_zero(A->n, A->n);
  for (int64_t j = 0; j < A->n; j++)
    for (int64_t i = 0; i < A->n; i++)
      C.at[j * A->n + i] = cofactor(A, i, j);
  return C;
}

/* Bounds of the first and the second derivative of det: sums over products of all singular values but one and but two.
 * A singular value is known to within eps s_1 only, so a smaller one counts as eps s_1. */
typedef struct condition {
  long double first, second;
} condition_t;

static condition_t condition_of(functions_t *x) {
  cr_assert_eq(fixture_forward(&x->f, 0), SVDGRAD_STATUS_SUCCESS);
  long double *s = load_S(&x->f, 0);
  condition_t c = {0, 0};
  for (int64_t i = x->f.S.rows - 1; i >= 0; i--)
    s[i] += dtype_epsilon(x->f.desc.dtype) * s[0];
  for (int64_t i = 0; i < x->f.S.rows; i++) {
    long double all_but_one = 1;
    for (int64_t j = 0; j < x->f.S.rows; j++)
      all_but_one *= j == i ? 1 : s[j];
    c.first += all_but_one;
    for (int64_t l = 0; l < x->f.S.rows; l++) {
      long double all_but_two = 1;
      for (int64_t j = 0; j < x->f.S.rows; j++)
        all_but_two *= j == i || j == l ? 1 : s[j];
      c.second += l == i ? 0 : all_but_two;
    }
  }
  c.first *= s[0], c.second *= s[0];
  free(s);
  return c;
}

static void check_determinant(const setting_t *s, worst_t *worst) {
  if (s->m != s->n || s->n > 40)
    return;
  LOCAL(functions) x = start(s);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  const condition_t c = condition_of(&x);
  const z_t exact = exact_determinant(&A);
  run(&x, SVDGRAD_OP_DETERMINANT, 0);
  note(worst, s, cabsl(number(&x.det) - exact), c.first, "det");
  const long double relative = c.first / cabsl(exact);
  if (relative * dtype_epsilon(s->dtype) < 0.01L) {
    note(worst, s, cabsl(number(&x.sign) - exact / cabsl(exact)), relative, "sign");
    note(worst, s, fabsl(creall(number(&x.log_abs)) - logl(cabsl(exact))), relative + fabsl(logl(cabsl(exact))), "log");
  }
  if (s->n > 17)
    return;
  LOCAL(dense) exact_gA = cofactors(&A);
  LOCAL(dense) gA = adjugate(&x);
  note(worst, s, dense_distance(&gA, &exact_gA), c.second + dense_norm(&exact_gA), "adjugate");
}

Test(determinant, elimination_and_cofactors) {
  worst_t worst = worst_make("determinant");
  settings_for_each_hard(check_determinant, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- singular matrices ---- */

typedef void (*type_check_t)(svdgrad_backend_t backend, svdgrad_dtype_t dtype);

static void for_each_type(type_check_t check) {
  for (int b = 0; b < test_backend_count; b++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      check(test_backends[b], dtype);
}

static void set_all(const buffer_t *buffer, const double *rows) {
  for (int64_t i = 0; i < buffer->rows; i++)
    for (int64_t j = 0; j < buffer->cols; j++)
      buffer_set(buffer, 0, i, j, rows[i * buffer->cols + j]);
}

/* |gA - rows|, rows row-major */
static double difference(const dense_t *gA, const double *rows) {
  long double most = 0;
  for (int64_t i = 0; i < gA->m; i++)
    for (int64_t j = 0; j < gA->n; j++)
      most = fmaxl(most, cabsl(gA->at[j * gA->m + i] - rows[i * gA->n + j]));
  return (double)most;
}

static void check_small(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  static const struct {
    int64_t n;
    double A[9], gA[9], size;
  } cases[] = {
      {2, {1, 2, 2, 4}, {4, -2, -2, 1}, 5},
      {2, {0, 0, 0, 0}, {0, 0, 0, 0}, 1},
      {2, {0, 3, 0, 0}, {0, 0, -3, 0}, 3},
      {1, {0}, {1}, 1},
      {1, {-5}, {1}, 1},
      {3, {0, 0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0, 0}, 1},
      {3, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {-3, 6, -3, 6, -12, 6, -3, 6, -3}, 36},
      {3, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 0, 0, 0, 0}, 3},
      {3, {2, 0, 0, 0, 3, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0, 6}, 6},
      {3, {2, 0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0, 0}, 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    LOCAL(functions) x = problem(backend, dtype, cases[i].n);
    set_all(&x.f.A, cases[i].A);
    LOCAL(dense) gA = adjugate(&x);
    cr_expect(difference(&gA, cases[i].gA) <= 16 * dtype_epsilon(dtype) * cases[i].size, "%s %s case %d: %g eps",
              backend_name(backend), dtype_name(dtype), (int)i, difference(&gA, cases[i].gA) / dtype_epsilon(dtype));
    cr_expect_eq(x.f.info[0], SVDGRAD_INFO_OK);
  }
}

Test(determinant, gradient_is_the_adjugate_at_singular_matrices) { for_each_type(check_small); }

/* A singular value is exactly 0: sign 0, log -Inf, and under all policies but EXACT no gradient is divided by it. */
static void check_zero(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  static const double A[] = {2, 0, 0, 0, 3, 0, 0, 0, 0};
  LOCAL(functions) x = problem(backend, dtype, 3);
  set_all(&x.f.A, A);
  buffer_set(&x.g_log_abs, 0, 0, 0, 6);
  LOCAL(dense) gA = gradient(&x, WITHOUT_DET);
  cr_expect(number(&x.det) == 0 && number(&x.sign) == 0 && number(&x.log_abs) == -INFINITY, "%s %s",
            backend_name(backend), dtype_name(dtype));
  static const double kept[] = {3, 0, 0, 0, 2, 0, 0, 0, 0};
  cr_expect(difference(&gA, kept) <= 16 * dtype_epsilon(dtype), "%s %s", backend_name(backend), dtype_name(dtype));
  x.f.desc.gap_policy = SVDGRAD_GAP_EXACT;
  LOCAL(dense) exact = gradient(&x, WITHOUT_DET);
  cr_expect(!isfinite((double)dense_norm(&exact)));
  LOCAL(dense) of_det = adjugate(&x); /* needs no division */
  static const double others[] = {0, 0, 0, 0, 0, 0, 0, 0, 6};
  cr_expect(difference(&of_det, others) <= 16 * dtype_epsilon(dtype));
}

Test(determinant, of_an_exact_zero) { for_each_type(check_zero); }

/* ---- scales ---- */

static z_t scaled(z_t value, int64_t exponent) {
  return CMPLXL(ldexpl(creall(value), (int)exponent), cimagl(value) == 0 ? 0 : ldexpl(cimagl(value), (int)exponent));
}

static long double most_of(svdgrad_dtype_t dtype) { return dtype_real(dtype) == SVDGRAD_F32 ? 3.4e38L : 1.79e308L; }
static long double least_of(svdgrad_dtype_t dtype) { return dtype_real(dtype) == SVDGRAD_F32 ? 1e-37L : 1e-307L; }

/* det(2^p A) = 2^(n p) det(A), exactly if the result is a normal number.  A larger result is infinite, with info
 * OVERFLOW; a smaller one is about 0.  gA grows by 2^((n-1) p), log |det| by n p log 2.  The sign stays. */
static void check_scale(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  for (int64_t n = 1; n <= 6; n++) {
    const int most = dtype_real(dtype) == SVDGRAD_F32 ? 100 : 900;
    LOCAL(functions) x = problem(backend, dtype, n);
    LOCAL(dense) A = buffer_load(&x.f.A, 0);
    LOCAL(dense) gA = adjugate(&x);
    const z_t det = number(&x.det), sign = number(&x.sign), log_abs = number(&x.log_abs);
    for (int p = -most; p <= most; p += most / 2) {
      LOCAL(dense) moved = dense_sum(ldexpl(1, p), &A, 0, &A);
      buffer_store(&x.f.A, 0, &moved);
      LOCAL(dense) moved_gA = adjugate(&x);
      const z_t expected = scaled(det, n * p);
      const long double size = cabsl(expected), log_expected = creall(log_abs) + (long double)(n * p) * logl(2);
      const int held = size < most_of(dtype) / 2 && fabsl(creall(expected)) > least_of(dtype) &&
                       (cimagl(det) == 0 || fabsl(cimagl(expected)) > least_of(dtype));
      if (held)
        cr_expect(number(&x.det) == expected, "%s %s %d 2^%d", backend_name(backend), dtype_name(dtype), (int)n, p);
      else if (size > 1)
        cr_expect(isinf(cabsl(number(&x.det))));
      else
        cr_expect(cabsl(number(&x.det)) <= 2 * least_of(dtype));
      cr_expect_eq(x.f.info[0], size < most_of(dtype) / 2 ? SVDGRAD_INFO_OK : SVDGRAD_INFO_OVERFLOW);
      cr_expect(number(&x.sign) == sign);
      cr_expect(fabsl(creall(number(&x.log_abs)) - log_expected) <=
                4 * dtype_epsilon(dtype) * (1 + fabsl(log_expected) + fabsl(creall(log_abs))));
      LOCAL(dense) expected_gA = dense_sum(ldexpl(1, (int)(n - 1) * p), &gA, 0, &gA);
      const long double gradient_size = dense_norm(&expected_gA);
      if (gradient_size < most_of(dtype) / 4 && gradient_size > least_of(dtype) * 1e9L)
        cr_expect(dense_distance(&moved_gA, &expected_gA) <= 4 * dtype_epsilon(dtype) * gradient_size,
                  "%s %s %d 2^%d: gA", backend_name(backend), dtype_name(dtype), (int)n, p);
    }
  }
}

Test(determinant, scales) { for_each_type(check_scale); }

/* info is about det alone: without det there is no overflow. */
static void check_overflow(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  LOCAL(functions) x = problem(backend, dtype, 3);
  const double big = dtype_real(dtype) == SVDGRAD_F32 ? 1e30 : 1e250;
  const double A[] = {big, 0, 0, 0, -big, 0, 0, 0, big};
  set_all(&x.f.A, A);
  run(&x, SVDGRAD_OP_DETERMINANT, 0);
  cr_expect(creall(number(&x.det)) == -INFINITY && creall(number(&x.sign)) == -1 &&
            x.f.info[0] == SVDGRAD_INFO_OVERFLOW);
  run(&x, SVDGRAD_OP_DETERMINANT, ABSENT(OPERAND_DET));
  cr_expect_eq(x.f.info[0], SVDGRAD_INFO_OK);
}

Test(determinant, overflow) { for_each_type(check_overflow); }

/* ---- differences ---- */

/* Re(conj(g_det) det + conj(g_sign) sign) + g_log_abs log_abs at A + step dA. */
static long double loss_after(functions_t *x, const dense_t *A, long double step) {
  LOCAL(dense) dA = buffer_load(&x->dA, 0);
  LOCAL(dense) moved = dense_sum(1, A, step, &dA);
  buffer_store(&x->f.A, 0, &moved);
  run(x, SVDGRAD_OP_DETERMINANT, 0);
  return creall(conjl(number(&x->g_det)) * number(&x->det) + conjl(number(&x->g_sign)) * number(&x->sign) +
                number(&x->g_log_abs) * number(&x->log_abs));
}

static void check_difference(const setting_t *s, worst_t *worst) {
  const long double h = 1e-5L;
  if (dtype_real(s->dtype) == SVDGRAD_F32 || s->m != s->n || s->n > 12)
    return;
  LOCAL(functions) x = start(s);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) dA = buffer_load(&x.dA, 0);
  const long double after = loss_after(&x, &A, h), before = loss_after(&x, &A, -h);
  buffer_store(&x.f.A, 0, &A);
  LOCAL(dense) gA = gradient(&x, 0);
  const long double error = fabsl(dense_inner(&gA, &dA) - (after - before) / (2 * h));
  settings_note(worst, s, (double)(error / ((dense_norm(&gA) + 1) * dense_norm(&dA))), "");
}

Test(determinant, central_differences) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_IDENTITY};
  worst_t worst = worst_make("determinant differences");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_difference, &worst);
  cr_assert(worst_within(&worst, 1e-6));
}

/* gA is linear in the cotangents, alpha and beta. */
static void check_scalars(const setting_t *s, worst_t *worst) {
  if (s->m != s->n)
    return;
  LOCAL(functions) x = start(s);
  LOCAL(dense) before = buffer_load(&x.f.gA, 0);
  LOCAL(dense) plain = gradient(&x, 0);
  LOCAL(dense) of_det = gradient(&x, WITHOUT_LOG);
  LOCAL(dense) rest = gradient(&x, WITHOUT_DET);
  LOCAL(dense) sum = dense_sum(1, &of_det, 1, &rest);
  LOCAL(dense) exact = dense_sum(-1.5L, &plain, 0.25L, &before);
  buffer_store(&x.f.gA, 0, &before);
  cr_assert_eq(functions_run(&x, SVDGRAD_OP_DETERMINANT_GRADIENT, 0, -1.5, 0.25), SVDGRAD_STATUS_SUCCESS);
  LOCAL(dense) gA = buffer_load(&x.f.gA, 0);
  const long double scale = dense_norm(&of_det) + dense_norm(&rest) + dense_norm(&before);
  note(worst, s, dense_distance(&sum, &plain), scale, "cotangents");
  note(worst, s, dense_distance(&gA, &exact), scale, "alpha, beta");
}

Test(determinant, cotangents_alpha_and_beta) {
  worst_t worst = worst_make("determinant alpha, beta");
  settings_for_each_separated(check_scalars, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- no matrix ---- */

static void check_empty(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  LOCAL(functions) x = problem(backend, dtype, 0);
  run(&x, SVDGRAD_OP_DETERMINANT_GRADIENT, 0);
  cr_expect(number(&x.det) == 1 && number(&x.sign) == 1 && number(&x.log_abs) == 0 && x.f.info[0] == SVDGRAD_INFO_OK);
}

Test(determinant, of_no_rows_is_one) { for_each_type(check_empty); }
