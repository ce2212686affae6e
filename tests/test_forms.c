/* SPDX-License-Identifier: BSD-3-Clause */
/* The k-by-k steps of gradients take the same decisions on every backend as on the reference backend, in every kind of
 * spectrum and under every gap policy: reports are equal, and so are results to rounding.  The factors are unit vectors
 * and the singular values small integers times a power of two, so that no gap is anywhere near a threshold.  Matrices of
 * one batch differ, so that each lane of a group has decisions of its own. */
#include "functions.h"
#include "random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

enum { MATRICES = 19, LONGEST = 17 }; /* a full group of lanes at least, and a part of one */

/* Spectra in units of eighths; the rest of each is 0. */
static const int spectra[][LONGEST] = {
    {80, 72, 64, 56, 48, 40, 32, 28, 24, 20, 16, 12, 10, 8, 6, 4, 2}, /* separated */
    {80, 80, 64, 64, 64, 40, 40, 28, 28, 28, 16, 16, 8, 8, 8, 4, 4},  /* ties */
    {80, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72}, /* a tie across every cut */
    {80, 40, 8},                                                      /* zeros */
    {80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80},
    {8},
    {0},
};
enum { SPECTRA = sizeof spectra / sizeof *spectra };

typedef struct form_case {
  svdgrad_dtype_t dtype;
  int64_t m, n, rank;
  int full_matrices;
  svdgrad_gap_policy_t policy;
  double param;
  int exponent; /* singular values are times 2^exponent */
} form_case_t;

static double value_at(const form_case_t *c, int64_t b, int64_t i) {
  return i < LONGEST ? ldexp(spectra[b % SPECTRA][i], c->exponent - 3) : 0;
}

/* A = U diag(s) Vh, where the columns of U and the rows of Vh are unit vectors: e_0, e_1, ... and their order reversed. */
static void set_factors(fixture_t *f, const form_case_t *c, int64_t b) {
  const int64_t mn = c->m < c->n ? c->m : c->n, k = c->rank ? c->rank : mn;
  for (int64_t i = 0; i < c->m; i++)
    for (int64_t j = 0; j < c->n; j++)
      buffer_set(&f->A, b, i, j, i == c->n - 1 - j && j >= c->n - mn ? value_at(c, b, i) : 0);
  for (int64_t l = 0; l < f->U.cols; l++)
    for (int64_t i = 0; i < c->m; i++)
      buffer_set(&f->U, b, i, l, i == l);
  for (int64_t l = 0; l < f->Vh.rows; l++)
    for (int64_t j = 0; j < c->n; j++)
      buffer_set(&f->Vh, b, l, j, j == c->n - 1 - l);
  for (int64_t l = 0; l < k; l++)
    buffer_set(&f->S, b, l, 0, value_at(c, b, l));
}

/* Some cotangents are zero, so that some pairs have no numerator; not where that depends on a choice of bases. */
static void thin_out(const buffer_t *x, int64_t b) {
  for (int64_t i = 0; i < x->rows && b % 3 == 1; i++)
    for (int64_t j = 0; j < x->cols; j++)
      if ((i + 2 * j + b) % 4)
        buffer_set(x, b, i, j, 0);
}

static functions_t start(svdgrad_backend_t backend, const form_case_t *c, svdgrad_form_t form) {
  svdgrad_desc_t desc = make_desc(c->dtype, c->m, c->n, MATRICES);
  desc.rank = c->rank;
  desc.full_matrices = c->full_matrices;
  desc.gap_policy = c->policy;
  desc.gap_param = c->param;
  functions_t x = functions_make(backend, &desc, form, LAYOUT_ROW_MAJOR);
  for (int64_t b = 0; b < MATRICES; b++) {
    functions_fill(&x, b, 11 + (uint64_t)b);
    set_factors(&x.f, c, b);
    if (c->rank == 0 || b % SPECTRA == 0) {
      thin_out(&x.f.gU, b);
      thin_out(&x.f.gVh, b);
      thin_out(&x.gY, b);
    }
  }
  return x;
}

/* ---- comparison ---- */

static int are_close(double x, double y, double eps) {
  return x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= 64 * eps * fabs(y);
}

/* What truncated gradients of two backends can agree in.  The singular vectors of equal discarded values are any;
 * amplification and the number of dropped pairs depend on them, and under MASK and LORENTZ the gradient. */
typedef struct agreement {
  int amplification, dropped, gradient;
} agreement_t;

static agreement_t agreement_of(const form_case_t *c, int64_t b) {
  const int one_basis = c->rank == 0 || b % SPECTRA == 0;
  return (agreement_t){.amplification = one_basis,
                       .dropped = one_basis,
                       .gradient = one_basis || (c->policy != SVDGRAD_GAP_LORENTZ && c->policy != SVDGRAD_GAP_MASK)};
}

static void expect_report(const svdgrad_report_t *r, const svdgrad_report_t *e, double eps, agreement_t in,
                          const char *what) {
  const int same = (!in.dropped || r->dropped_pairs == e->dropped_pairs) && r->flags == e->flags &&
                   are_close(r->min_gap, e->min_gap, eps) &&
                   (!in.amplification || are_close(r->amplification, e->amplification, eps)) &&
                   fabs(r->gauge_residual - e->gauge_residual) <= 64 * eps;
  cr_assert(same, "%s: min_gap %g, amplification %g, gauge %g, dropped %d, flags %d; must be %g, %g, %g, %d, %d", what,
            r->min_gap, r->amplification, r->gauge_residual, (int)r->dropped_pairs, (int)r->flags, e->min_gap,
            e->amplification, e->gauge_residual, (int)e->dropped_pairs, (int)e->flags);
}

/* Of Inf and NaN alone that both have one. */
static void expect_matrix(const buffer_t *x, const buffer_t *y, int64_t b, double eps, const char *what) {
  LOCAL(dense) X = buffer_load(x, b);
  LOCAL(dense) Y = buffer_load(y, b);
  LOCAL(dense) difference = dense_sum(1, &X, -1, &Y);
  const long double size = dense_norm(&Y), error = dense_norm(&difference);
  if (!isfinite((double)size))
    cr_assert(!isfinite((double)dense_norm(&X)), "%s: finite, must not be", what);
  else
    cr_assert(error <= 100 * eps * size, "%s: error %Lg of %Lg", what, error, size);
}

static void describe(const form_case_t *c, svdgrad_backend_t backend, int64_t b, const char *operation, char *what) {
  (void)snprintf(what, 160, "%s %s: %s %dx%d rank %d, policy %d, exponent %d, matrix %d", backend_name(backend),
                 operation, dtype_name(c->dtype), (int)c->m, (int)c->n, (int)c->rank, (int)c->policy, c->exponent,
                 (int)b);
}

static void compare(const functions_t *x, const functions_t *y, const buffer_t *of_x, const buffer_t *of_y,
                    const form_case_t *c, int has_report, const char *operation) {
  const double eps = dtype_epsilon(c->dtype);
  char what[160];
  for (int64_t b = 0; b < MATRICES; b++) {
    describe(c, x->f.backend, b, operation, what);
    if (has_report)
      expect_report(&x->f.report[b], &y->f.report[b], eps, agreement_of(c, b), what);
    if (agreement_of(c, b).gradient)
      expect_matrix(of_x, of_y, b, eps, what);
  }
}

/* ---- all cases ---- */

typedef void check_t(svdgrad_backend_t backend, const form_case_t *c);

static const int64_t shapes[][3] = {{2, 2, 1}, {3, 3, 1}, {4, 4, 2}, {8, 7, 4}, {5, 9, 3}};

static void for_each_case(check_t *check, int truncated, int full_matrices) {
  static const int exponents[] = {0, 7, -60};
  for (int backend = 0; backend < test_backend_count; backend++)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
      for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
        for (int policy = SVDGRAD_GAP_DEFAULT; policy <= SVDGRAD_GAP_LORENTZ; policy++) {
          if (shapes[s][0] > 3 && dtype != SVDGRAD_F32 && dtype != SVDGRAD_C128)
            continue;
          const form_case_t c = {(svdgrad_dtype_t)dtype,
                                 shapes[s][0],
                                 shapes[s][1],
                                 truncated ? shapes[s][2] : 0,
                                 full_matrices,
                                 (svdgrad_gap_policy_t)policy,
                                 policy == SVDGRAD_GAP_MASK ? 0.13 : 0.07,
                                 exponents[(s + (size_t)policy) % 3]};
          check(test_backends[backend], &c);
        }
}

static void run(functions_t *x, svdgrad_op_t op) {
  cr_assert_eq(functions_run(x, op, 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(x->f.intact);
}

static void check_backward(svdgrad_backend_t backend, const form_case_t *c) {
  LOCAL(functions) x = start(backend, c, SVDGRAD_FORM_UVH);
  LOCAL(functions) y = start(SVDGRAD_BACKEND_REF, c, SVDGRAD_FORM_UVH);
  cr_assert_eq(fixture_backward(&x.f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  cr_assert_eq(fixture_backward(&y.f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  compare(&x, &y, &x.f.gA, &y.f.gA, c, 1, "backward");
}

Test(forms, truncated_backward) { for_each_case(check_backward, 1, 0); }
Test(forms, backward) { for_each_case(check_backward, 0, 0); }
Test(forms, backward_with_full_matrices) { for_each_case(check_backward, 0, 1); }

static void check_function(functions_t *x, functions_t *y, const form_case_t *c, svdgrad_function_kind_t kind,
                           double param, int relative) {
  char name[64];
  (void)snprintf(name, sizeof name, "function %d of %d rows, t %g%s", kind, (int)x->Y.rows, param,
                 relative ? " s_1" : "");
  x->function.kind = y->function.kind = kind;
  x->function.param = y->function.param = param;
  x->function.relative = y->function.relative = relative;
  run(x, SVDGRAD_OP_MATRIX_FUNCTION);
  run(y, SVDGRAD_OP_MATRIX_FUNCTION);
  compare(x, y, &x->Y, &y->Y, c, 0, name);
  run(x, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD);
  run(y, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD);
  compare(x, y, &x->f.gA, &y->f.gA, c, 1, name);
}

/* A threshold between the values, and one that is a value; in units of s_1, too. */
static void check_thresholds(functions_t *x, functions_t *y, const form_case_t *c, svdgrad_function_kind_t kind) {
  check_function(x, y, c, kind, ldexp(4.5, c->exponent), 0);
  check_function(x, y, c, kind, ldexp(5, c->exponent), 0);
  check_function(x, y, c, kind, 0, 0);
  check_function(x, y, c, kind, 0.5, 1);
}

/* The policies beside EXACT act as DEFAULT. */
static void check_functions(svdgrad_backend_t backend, const form_case_t *c) {
  for (int form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH && c->policy <= SVDGRAD_GAP_EXACT; form++) {
    LOCAL(functions) x = start(backend, c, (svdgrad_form_t)form);
    LOCAL(functions) y = start(SVDGRAD_BACKEND_REF, c, (svdgrad_form_t)form);
    check_function(&x, &y, c, SVDGRAD_FUNCTION_POLAR, 0, 0);
    check_function(&x, &y, c, SVDGRAD_FUNCTION_RANK, 1, 0);
    check_function(&x, &y, c, SVDGRAD_FUNCTION_POWER, 1, 0);
    if (x.f.backend != SVDGRAD_BACKEND_CUDA) /* in single precision a large power leaves the range there */
      check_function(&x, &y, c, SVDGRAD_FUNCTION_POWER, 60, 0);
    check_function(&x, &y, c, SVDGRAD_FUNCTION_INVERSE, 0, 0);
    check_function(&x, &y, c, SVDGRAD_FUNCTION_SIGN, 0, 0);
    if (c->m == c->n && form == SVDGRAD_FORM_UVH)
      check_function(&x, &y, c, SVDGRAD_FUNCTION_ROTATION, 0, 0);
    check_thresholds(&x, &y, c, SVDGRAD_FUNCTION_SOFT_THRESHOLD);
    check_thresholds(&x, &y, c, SVDGRAD_FUNCTION_HARD_THRESHOLD);
    check_thresholds(&x, &y, c, SVDGRAD_FUNCTION_CLIP);
  }
}

Test(forms, functions) { for_each_case(check_functions, 0, 0); }

/* Values, info codes and gradients of norms. */
static void check_norms(svdgrad_backend_t backend, const form_case_t *c) {
  static const char *const names[] = {"nuclear norm", "spectral norm", "Schatten norm", "log-determinant"};
  if (c->policy > SVDGRAD_GAP_EXACT)
    return;
  for (int kind = SVDGRAD_NORM_NUCLEAR; kind <= SVDGRAD_NORM_SPECTRAL; kind++) {
    LOCAL(functions) x = start(backend, c, SVDGRAD_FORM_UVH);
    LOCAL(functions) y = start(SVDGRAD_BACKEND_REF, c, SVDGRAD_FORM_UVH);
    x.norm = y.norm = (svdgrad_norm_kind_t)kind;
    run(&x, SVDGRAD_OP_NORM_GRADIENT);
    run(&y, SVDGRAD_OP_NORM_GRADIENT);
    compare(&x, &y, &x.value, &y.value, c, 0, names[kind]);
    for (int64_t b = 0; b < MATRICES; b++)
      cr_assert_eq(x.f.info[b], y.f.info[b]);
    if (kind == SVDGRAD_NORM_NUCLEAR || c->policy == SVDGRAD_GAP_DEFAULT)
      compare(&x, &y, &x.f.gA, &y.f.gA, c, 0, names[kind]);
  }
}

Test(forms, norms) { for_each_case(check_norms, 0, 0); }
