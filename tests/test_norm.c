/* SPDX-License-Identifier: BSD-3-Clause */
/* Norms and their gradients are right, also at kinks.  They are compared with the singular values and the backward pass
 * of the SVD, with Euler's identity for homogeneous functions, and with finite differences.  Errors are in units of
 * eps. */
#include "functions.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct norm_case {
  svdgrad_norm_kind_t kind;
  double p;
} norm_case_t;
static const norm_case_t norms[] = {{SVDGRAD_NORM_NUCLEAR, 0},    {SVDGRAD_NORM_SPECTRAL, 0},
                                    {SVDGRAD_NORM_SCHATTEN, 1},   {SVDGRAD_NORM_SCHATTEN, 2},
                                    {SVDGRAD_NORM_SCHATTEN, 3.5}, {SVDGRAD_NORM_SCHATTEN, 0.5},
                                    {SVDGRAD_NORM_SCHATTEN, 40},  {SVDGRAD_NORM_LOG_DETERMINANT, 0}};
enum { NORM_COUNT = sizeof norms / sizeof *norms };

static functions_t start(const setting_t *s) {
  const svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, 1);
  functions_t x = functions_make(s->backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  LOCAL(dense) A = settings_matrix(s);
  functions_fill(&x, 0, 7);
  buffer_store(&x.f.A, 0, &A);
  return x;
}

static void factorize(functions_t *x) {
  cr_assert_eq(fixture_forward(&x->f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
}

static void set_norm(functions_t *x, const norm_case_t *norm) {
  x->norm = norm->kind;
  x->p = norm->p;
}

/* With g absent, which means 1. */
static long double value(functions_t *x, svdgrad_op_t op) {
  cr_assert_eq(functions_run(x, op, ABSENT(OPERAND_G), 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  cr_assert(x->f.intact);
  cr_assert_eq(x->f.info[0], SVDGRAD_INFO_OK);
  return creall(buffer_get(&x->value, 0, 0, 0));
}

static dense_t gradient(functions_t *x) {
  (void)value(x, SVDGRAD_OP_NORM_GRADIENT);
  return buffer_load(&x->f.gA, 0);
}

static void describe(char text[48], const functions_t *x) {
  (void)snprintf(text, 48, "norm %d p %g", (int)x->norm, x->p);
}

static void note(worst_t *worst, const setting_t *s, const functions_t *x, long double error, long double scale) {
  char what[48];
  describe(what, x);
  settings_note(worst, s, ratio_of(error, scale * dtype_epsilon(s->dtype)), what);
}

/* ---- values ---- */

/* The norm of the vector of singular values, and its change if each of them changes by s_1. */
typedef struct exact_norm {
  long double value, condition;
} exact_norm_t;

static exact_norm_t exact_norm(const functions_t *x, const long double *s, int64_t k) {
  const long double s1 = s[0];
  exact_norm_t norm = {0, 0};
  for (int64_t i = 0; i < k; i++)
    switch (x->norm) {
    case SVDGRAD_NORM_NUCLEAR: norm.value += s[i], norm.condition += s1; break;
    case SVDGRAD_NORM_SPECTRAL: norm = (exact_norm_t){s1, s1}; break;
    case SVDGRAD_NORM_SCHATTEN: norm.value += powl(s[i] / s1, x->p), norm.condition += powl(s[i] / s1, x->p - 1); break;
    case SVDGRAD_NORM_LOG_DETERMINANT: norm.value += logl(s[i]), norm.condition += s1 / s[i]; break;
    }
  if (x->norm == SVDGRAD_NORM_SCHATTEN) {
    const long double root = powl(norm.value, 1 / (long double)x->p);
    norm.condition *= s1 * root / norm.value;
    norm.value = s1 * root;
  }
  norm.condition += fabsl(norm.value);
  return norm;
}

static void check_values(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s);
  cr_assert_eq(fixture_forward(&x.f, 0), SVDGRAD_STATUS_SUCCESS);
  long double *S = load_S(&x.f, 0);
  for (int i = 0; i < NORM_COUNT; i++) {
    set_norm(&x, &norms[i]);
    const exact_norm_t exact = exact_norm(&x, S, x.f.S.rows);
    note(worst, s, &x, fabsl(value(&x, SVDGRAD_OP_NORM) - exact.value), exact.condition);
    note(worst, s, &x, fabsl(value(&x, SVDGRAD_OP_NORM_GRADIENT) - exact.value), exact.condition);
  }
  free(S);
}

Test(norm, values_are_those_of_the_singular_values) {
  static const spectrum_t spectra[] = {SPECTRUM_NORMAL, SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_CLUSTERED,
                                       SPECTRUM_IDENTITY};
  worst_t worst = worst_make("norm values");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_values, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* SCHATTEN 2 is the norm of Frobenius, which needs no singular values. */
static void check_frobenius(const setting_t *s, worst_t *worst) {
  static const norm_case_t frobenius = {SVDGRAD_NORM_SCHATTEN, 2};
  LOCAL(functions) x = start(s);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  const long double exact = dense_norm(&A);
  set_norm(&x, &frobenius);
  note(worst, s, &x, fabsl(value(&x, SVDGRAD_OP_NORM) - exact), exact * sqrtl((long double)x.f.S.rows));
  if (exact == 0)
    return;
  LOCAL(dense) gA = gradient(&x);
  LOCAL(dense) exact_gA = dense_sum(1 / exact, &A, 0, &A);
  note(worst, s, &x, dense_distance(&gA, &exact_gA), sqrtl((long double)(s->m > s->n ? s->m : s->n)));
}

Test(norm, schatten_two_is_frobenius) {
  static const spectrum_t edges[] = {SPECTRUM_SMALL, SPECTRUM_LARGE};
  worst_t worst = worst_make("norm frobenius");
  settings_for_each_hard(check_frobenius, &worst);
  settings_for_each(edges, sizeof edges / sizeof *edges, check_frobenius, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- gradients ---- */

static long double weight(const functions_t *x, const long double *s, int64_t i, long double norm) {
  switch (x->norm) {
  case SVDGRAD_NORM_NUCLEAR: return 1;
  case SVDGRAD_NORM_SPECTRAL: return i == 0;
  case SVDGRAD_NORM_SCHATTEN: return powl(s[i] / norm, x->p - 1);
  case SVDGRAD_NORM_LOG_DETERMINANT: break;
  }
  return 1 / s[i];
}

/* svdgrad_svd_backward() of the derivative by the singular values. */
static void check_gradients(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s);
  factorize(&x);
  long double *S = load_S(&x.f, 0);
  const int64_t k = x.f.S.rows;
  for (int i = 0; i < NORM_COUNT; i++) {
    set_norm(&x, &norms[i]);
    const exact_norm_t norm = exact_norm(&x, S, k);
    for (int64_t j = 0; j < k; j++)
      buffer_set(&x.f.gS, 0, j, 0, weight(&x, S, j, norm.value));
    cr_assert_eq(fixture_backward(&x.f, WITH_GS, 1, 0), SVDGRAD_STATUS_SUCCESS);
    LOCAL(dense) exact = buffer_load(&x.f.gA, 0);
    LOCAL(dense) gA = gradient(&x);
    note(worst, s, &x, dense_distance(&gA, &exact), dense_norm(&exact) * (S[0] / S[k - 1]));
  }
  free(S);
}

Test(norm, gradients_are_those_of_the_backward_pass) {
  worst_t worst = worst_make("norm gradients");
  settings_for_each_separated(check_gradients, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* <gradient, A> = norm(A), kinks or not; of LOG_DETERMINANT it is the number of singular values. */
static void check_euler(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  for (int i = 0; i < NORM_COUNT; i++) {
    const int counts = norms[i].kind == SVDGRAD_NORM_LOG_DETERMINANT;
    if ((counts || norms[i].p == 0.5) && s->spectrum != SPECTRUM_LINEAR && s->spectrum != SPECTRUM_REPEATED)
      continue; /* there values of rounding noise matter */
    set_norm(&x, &norms[i]);
    LOCAL(dense) gA = gradient(&x);
    const long double norm = counts ? (long double)x.f.S.rows : creall(buffer_get(&x.value, 0, 0, 0));
    note(worst, s, &x, fabsl(dense_inner(&gA, &A) - norm), dense_norm(&gA) * dense_norm(&A) * sqrtl(s->m + s->n));
  }
}

Test(norm, euler) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_SMALL, SPECTRUM_LARGE};
  worst_t worst = worst_make("norm euler");
  settings_for_each_hard(check_euler, &worst);
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_euler, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

static long double value_after(functions_t *x, const dense_t *A, long double step) {
  LOCAL(dense) dA = buffer_load(&x->dA, 0);
  LOCAL(dense) moved = dense_sum(1, A, step, &dA);
  buffer_store(&x->f.A, 0, &moved);
  return value(x, SVDGRAD_OP_NORM);
}

/* <gradient, dA> by central differences. */
static void check_difference(const setting_t *s, worst_t *worst) {
  const long double h = 1e-5L;
  if (dtype_real(s->dtype) == SVDGRAD_F32 || s->m * s->n > 100)
    return;
  LOCAL(functions) x = start(s);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) dA = buffer_load(&x.dA, 0);
  for (int i = 0; i < NORM_COUNT; i++) {
    set_norm(&x, &norms[i]);
    const long double after = value_after(&x, &A, h), before = value_after(&x, &A, -h);
    buffer_store(&x.f.A, 0, &A);
    LOCAL(dense) gA = gradient(&x);
    const long double error = fabsl(dense_inner(&gA, &dA) - (after - before) / (2 * h));
    char what[48];
    describe(what, &x);
    settings_note(worst, s, (double)(error / (dense_norm(&gA) * dense_norm(&dA))), what);
  }
}

Test(norm, central_differences) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("norm differences");
  settings_for_each(spectra, 1, check_difference, &worst);
  cr_assert(worst_within(&worst, 1e-6));
}

/* gA = alpha g (gradient) + beta gA */
static void check_scalars(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s);
  LOCAL(dense) before = buffer_load(&x.f.gA, 0);
  const long double g = creall(buffer_get(&x.g, 0, 0, 0));
  for (int i = 0; i < NORM_COUNT; i++) {
    set_norm(&x, &norms[i]);
    LOCAL(dense) plain = gradient(&x);
    LOCAL(dense) exact = dense_sum(-1.5L * g, &plain, 0.25L, &before);
    buffer_store(&x.f.gA, 0, &before);
    cr_assert_eq(functions_run(&x, SVDGRAD_OP_NORM_GRADIENT, 0, -1.5, 0.25), SVDGRAD_STATUS_SUCCESS);
    LOCAL(dense) gA = buffer_load(&x.f.gA, 0);
    note(worst, s, &x, dense_distance(&gA, &exact), fabsl(g) * dense_norm(&plain) + dense_norm(&before));
  }
}

Test(norm, g_alpha_and_beta) {
  worst_t worst = worst_make("norm alpha, beta");
  settings_for_each_separated(check_scalars, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- kinks ---- */

/* G G^H G = G: the singular values are 1 and 0. */
static void check_nuclear(const setting_t *s, worst_t *worst) {
  const int64_t k = s->m < s->n ? s->m : s->n;
  const int64_t rank = s->spectrum == SPECTRUM_ONES ? 1 : k;
  LOCAL(functions) x = start(s);
  set_norm(&x, &norms[0]);
  LOCAL(dense) G = gradient(&x);
  LOCAL(dense) GGh = dense_product_h(&G, &G);
  LOCAL(dense) GGhG = dense_product(&GGh, &G);
  const long double counted = dense_norm(&G) * dense_norm(&G), root = sqrtl((long double)(s->m + s->n));
  note(worst, s, &x, dense_distance(&GGhG, &G), root * dense_norm(&G));
  if (s->spectrum != SPECTRUM_DEFICIENT) /* there a rounding error in A may count as a value */
    note(worst, s, &x, fabsl(counted - (long double)rank), root * (long double)rank);
}

Test(norm, nuclear_counts_what_is_not_rounding_noise) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_IDENTITY, SPECTRUM_ONES,
                                       SPECTRUM_DEFICIENT};
  worst_t worst = worst_make("norm nuclear kink");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_nuclear, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* A = c Q, all values tied: A / (c k). */
static void check_shared(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  const long double k = (long double)x.f.S.rows, c = dense_norm(&A) / sqrtl(k);
  set_norm(&x, &norms[1]);
  LOCAL(dense) gA = gradient(&x);
  LOCAL(dense) exact = dense_sum(1 / (c * k), &A, 0, &A);
  note(worst, s, &x, dense_distance(&gA, &exact), dense_norm(&exact) * sqrtl((long double)(s->m + s->n)));
}

/* Rounding separates the singular values of an orthonormal matrix, more so if it is large; those of I stay equal. */
Test(norm, spectral_shares_between_ties) {
  static const spectrum_t spectra[] = {SPECTRUM_IDENTITY};
  worst_t worst = worst_make("norm spectral tie");
  settings_for_each(spectra, 1, check_shared, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* diag(s) in f64 */
static functions_t diagonal(svdgrad_backend_t backend, const double *s) {
  const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, 3, 3, 1);
  functions_t x = functions_make(backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_ROW_MAJOR);
  for (int64_t i = 0; i < 3; i++)
    for (int64_t j = 0; j < 3; j++)
      buffer_set(&x.f.A, 0, i, j, i == j ? s[i] : 0);
  return x;
}

typedef struct kink_case {
  norm_case_t norm;
  double s[3], value, weight[3];
} kink_case_t;

/* The gradients that the header promises at each kink and at the zero matrix. */
Test(norm, kinks) {
  static const double eps = 2.220446049250313e-16;
  static const kink_case_t cases[] = {
      {{SVDGRAD_NORM_NUCLEAR, 0}, {2, 1, 0}, 3, {1, 1, 0}},
      {{SVDGRAD_NORM_NUCLEAR, 0}, {2, 1, 5 * eps}, 3 + 5 * eps, {1, 1, 0}},
      {{SVDGRAD_NORM_NUCLEAR, 0}, {2, 1, 7 * eps}, 3 + 7 * eps, {1, 1, 1}},
      {{SVDGRAD_NORM_SPECTRAL, 0}, {2, 2, 1}, 2, {0.5, 0.5, 0}},
      {{SVDGRAD_NORM_SPECTRAL, 0}, {2, 2 - 6 * eps, 1}, 2, {0.5, 0.5, 0}},
      {{SVDGRAD_NORM_SPECTRAL, 0}, {2, 2 - 12 * eps, 1}, 2, {1, 0, 0}},
      {{SVDGRAD_NORM_SCHATTEN, 1}, {2, 1, 0}, 3, {1, 1, 0}},
      {{SVDGRAD_NORM_SCHATTEN, 0.5}, {4, 4, 0}, 16, {2, 2, 0}},
      {{SVDGRAD_NORM_SCHATTEN, 2}, {4, 3, 0}, 5, {0.8, 0.6, 0}},
      {{SVDGRAD_NORM_LOG_DETERMINANT, 0}, {4, 2, 0}, -INFINITY, {0.25, 0.5, 0}},
      {{SVDGRAD_NORM_NUCLEAR, 0}, {0, 0, 0}, 0, {0, 0, 0}},
      {{SVDGRAD_NORM_SPECTRAL, 0}, {0, 0, 0}, 0, {0, 0, 0}},
      {{SVDGRAD_NORM_SCHATTEN, 0.5}, {0, 0, 0}, 0, {0, 0, 0}},
      {{SVDGRAD_NORM_SCHATTEN, 3}, {0, 0, 0}, 0, {0, 0, 0}},
      {{SVDGRAD_NORM_LOG_DETERMINANT, 0}, {0, 0, 0}, -INFINITY, {0, 0, 0}},
  };
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      LOCAL(functions) x = diagonal(test_backends[b], cases[i].s);
      set_norm(&x, &cases[i].norm);
      LOCAL(dense) gA = gradient(&x);
      const double computed = (double)creall(buffer_get(&x.value, 0, 0, 0));
      cr_expect(computed == cases[i].value || fabs(computed - cases[i].value) < 8 * eps * fabs(cases[i].value),
                "%s case %d: %g", backend_name(test_backends[b]), (int)i, computed);
      for (int64_t j = 0; j < 9; j++)
        cr_expect(cabsl(gA.at[j] - (j % 4 ? 0 : cases[i].weight[j / 4])) < 8 * eps, "%s case %d: %g",
                  backend_name(test_backends[b]), (int)i, (double)creall(gA.at[j]));
    }
}

/* EXACT divides by zero as the mathematics does, where the norm has a negative power. */
Test(norm, exact_policy) {
  static const double s[] = {2, 1, 0};
  for (int b = 0; b < test_backend_count; b++)
    for (int i = 0; i < NORM_COUNT; i++) {
      LOCAL(functions) x = diagonal(test_backends[b], s);
      set_norm(&x, &norms[i]);
      x.f.desc.gap_policy = SVDGRAD_GAP_EXACT;
      LOCAL(dense) gA = gradient(&x);
      const int negative = norms[i].p == 0.5 || norms[i].kind == SVDGRAD_NORM_LOG_DETERMINANT;
      cr_expect(isfinite((double)dense_norm(&gA)) == !negative, "%s norm %d p %g", backend_name(test_backends[b]),
                (int)norms[i].kind, norms[i].p);
    }
}

/* ---- scale ---- */

/* norm(2^p A) = 2^p norm(A), with the same gradient, to the bit; LOG_DETERMINANT has 2^-p times that. */
static void check_scale(const setting_t *s, worst_t *worst) {
  const int most = dtype_real(s->dtype) == SVDGRAD_F32 ? 60 : 900;
  LOCAL(functions) x = start(s);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  for (int i = 0; i < NORM_COUNT; i++) {
    const int is_log = norms[i].kind == SVDGRAD_NORM_LOG_DETERMINANT;
    set_norm(&x, &norms[i]);
    buffer_store(&x.f.A, 0, &A);
    LOCAL(dense) gA = gradient(&x);
    const long double norm = creall(buffer_get(&x.value, 0, 0, 0));
    for (int p = -most; p <= most; p += most / 2) {
      LOCAL(dense) scaled_A = dense_sum(ldexpl(1, p), &A, 0, &A);
      buffer_store(&x.f.A, 0, &scaled_A);
      LOCAL(dense) scaled_gA = gradient(&x);
      int same = is_log || norm * ldexpl(1, p) == creall(buffer_get(&x.value, 0, 0, 0));
      for (int64_t j = 0; j < A.m * A.n; j++)
        same &= gA.at[j] * ldexpl(1, is_log ? -p : 0) == scaled_gA.at[j];
      char what[48];
      (void)snprintf(what, sizeof what, "norm %d times 2^%d", (int)x.norm, p);
      settings_note(worst, s, same ? 0 : INFINITY, what);
    }
  }
}

Test(norm, powers_of_two_are_exact) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("norm powers of two");
  settings_for_each(spectra, 1, check_scale, &worst);
  cr_assert(worst_within(&worst, 0));
}
