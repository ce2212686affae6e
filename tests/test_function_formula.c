/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of the singular values and their gradients are those of the formula in long double, also at ties; their
 * gradients are self-adjoint maps, and what finite differences say.  Errors are in units of eps times the largest quotient
 * in the formula. */
#include "function_values.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the formula ---- */

/* By elimination with partial pivoting, of a real matrix. */
static long double determinant(const dense_t *A) {
  LOCAL(dense) X = dense_copy(A);
  const int64_t n = X.n;
  long double product = 1;
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
    product *= creall(X.at[p * n + p]) * (pivot == p ? 1 : -1);
    for (int64_t i = p + 1; i < n; i++) {
      const z_t factor = X.at[p * n + i] / X.at[p * n + p];
      for (int64_t j = p; j < n; j++)
        X.at[j * n + i] -= factor * X.at[j * n + p];
    }
  }
  return product;
}

static long double sign_of_determinant(const buffer_t *A) {
  LOCAL(dense) X = buffer_load(A, 0);
  return determinant(&X) < 0 ? -1 : 1;
}

/* f and f' of every kind, in long double. */
static long double function_at(const functions_t *x, int64_t i, long double s, long double s1) {
  const long double t = x->function.param;
  switch (x->function.kind) {
  case SVDGRAD_FUNCTION_RANK: return (long double)i < t ? s : 0;
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD: return s > t ? s - t : 0;
  case SVDGRAD_FUNCTION_HARD_THRESHOLD: return s > t ? s : 0;
  case SVDGRAD_FUNCTION_CLIP: return s < t ? s : t;
  case SVDGRAD_FUNCTION_POWER: return powl(s, t);
  case SVDGRAD_FUNCTION_INVERSE: return s > t * s1 ? 1 / s : 0;
  case SVDGRAD_FUNCTION_CUSTOM: return creall(buffer_get(&x->values, 0, i, 0));
  case SVDGRAD_FUNCTION_ROTATION: return i < x->f.S.rows - 1 ? 1 : sign_of_determinant(&x->f.A);
  default: return 1;
  }
}

static long double derivative_at(const functions_t *x, int64_t i, long double s, long double s1) {
  const long double t = x->function.param;
  switch (x->function.kind) {
  case SVDGRAD_FUNCTION_RANK: return (long double)i < t;
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD:
  case SVDGRAD_FUNCTION_HARD_THRESHOLD: return s > t;
  case SVDGRAD_FUNCTION_CLIP: return s < t;
  case SVDGRAD_FUNCTION_POWER: return t * powl(s, t - 1);
  case SVDGRAD_FUNCTION_INVERSE: return s > t * s1 ? -1 / (s * s) : 0;
  case SVDGRAD_FUNCTION_CUSTOM: return creall(buffer_get(&x->derivatives, 0, i, 0));
  default: return 0;
  }
}

/* Values and divided differences of the function at the singular values. */
typedef struct quotients {
  int64_t k;
  long double *s, *f;
  dense_t f1, f2;
  long double largest; /* of those that the gradient has, in absolute value */
} quotients_t;

static void quotients_free(quotients_t *q) {
  free(q->s);
  free(q->f);
  dense_free(&q->f1);
  dense_free(&q->f2);
}

/* Of values this close the quotient of the differences has fewer right digits than the derivative between them. */
static const long double tie = 1e-5L;

static quotients_t quotients_of(const functions_t *x) {
  const int64_t k = x->f.S.rows;
  const int one = x->function.form == SVDGRAD_FORM_VVH;
  quotients_t q = {k, load_S(&x->f, 0), load_S(&x->f, 0), dense_zero(k, k), dense_zero(k, k), 0};
  const long double *s = q.s, s1 = s[0];
  for (int64_t i = 0; i < k; i++)
    q.f[i] = function_at(x, i, s[i], s1);
  for (int64_t j = 0; j < k; j++)
    for (int64_t i = 0; i < k; i++) {
      const long double gap = s[i] - s[j], mean = (derivative_at(x, i, s[i], s1) + derivative_at(x, j, s[j], s1)) / 2;
      const long double f1 = fabsl(gap) <= tie * s1 ? mean : (q.f[i] - q.f[j]) / gap;
      const long double f2 = (q.f[i] + q.f[j]) / (s[i] + s[j]);
      q.f1.at[j * k + i] = f1;
      q.f2.at[j * k + i] = f2;
      q.largest = fmaxl(q.largest, fabsl(one ? 2 * s[i] * f1 / (s[i] + s[j]) : f1));
      q.largest = fmaxl(q.largest, fabsl(f2) * (one ? 2 : 1));
    }
  return q;
}

/* Y = U f(S) Vh or V f(S) Vh */
static dense_t exact_value(const functions_t *x, const quotients_t *q) {
  LOCAL(dense) U = load_U(&x->f, 0);
  LOCAL(dense) V = load_V(&x->f, 0);
  LOCAL(dense) left = dense_columns(x->function.form == SVDGRAD_FORM_UVH ? &U : &V, 0, q->k);
  LOCAL(dense) right = dense_columns(&V, 0, q->k);
  dense_scale_columns(&left, q->f);
  return dense_product_h(&left, &right);
}

/* X - basis (basis^H X), its columns times f_j / s_j, where there is something outside the span of the basis. */
static dense_t outside_of(const dense_t *basis, const dense_t *X, const quotients_t *q) {
  LOCAL(dense) inner = dense_h_product(basis, X);
  LOCAL(dense) inside = dense_product(basis, &inner);
  dense_t outside = dense_sum(1, X, -1, &inside);
  for (int64_t j = 0; j < X->n; j++)
    for (int64_t i = 0; i < X->m; i++)
      outside.at[j * X->m + i] *= basis->m > basis->n ? creall(q->f2.at[j * q->k + j]) : 0;
  return outside;
}

/* U (f1 herm(P) + f2 skew(P)) Vh + (I - U U^H) gY V (f/s) Vh + U (f/s) U^H gY (I - V V^H), P = U^H gY V */
static dense_t exact_gradient_of_both(const dense_t *U, const dense_t *V, const dense_t *gY, const quotients_t *q) {
  LOCAL(dense) GV = dense_product(gY, V);
  LOCAL(dense) GhU = dense_h_product(gY, U);
  LOCAL(dense) M = dense_h_product(U, &GV);
  LOCAL(dense) H = dense_hermitian_part(&M);
  for (int64_t i = 0; i < q->k * q->k; i++)
    M.at[i] = q->f1.at[i] * H.at[i] + q->f2.at[i] * (M.at[i] - H.at[i]);
  LOCAL(dense) left = outside_of(U, &GV, q);
  LOCAL(dense) right = outside_of(V, &GhU, q);
  LOCAL(dense) UM = dense_product(U, &M);
  LOCAL(dense) sum = dense_sum(1, &UM, 1, &left);
  LOCAL(dense) first = dense_product_h(&sum, V);
  LOCAL(dense) second = dense_product_h(U, &right);
  return dense_sum(1, &first, 1, &second);
}

/* 2 U (s_i f1_ij / (s_i + s_j) P) Vh + 2 U (f/s) V^H G (I - V V^H), G = herm(gY), P = V^H G V */
static dense_t exact_gradient_of_one(const dense_t *U, const dense_t *V, const dense_t *gY, const quotients_t *q) {
  LOCAL(dense) G = dense_hermitian_part(gY);
  LOCAL(dense) GV = dense_product(&G, V);
  LOCAL(dense) M = dense_h_product(V, &GV);
  for (int64_t j = 0; j < q->k; j++)
    for (int64_t i = 0; i < q->k; i++)
      M.at[j * q->k + i] *= q->s[i] * q->f1.at[j * q->k + i] / (q->s[i] + q->s[j]);
  LOCAL(dense) right = outside_of(V, &GV, q);
  LOCAL(dense) VMh = dense_product_h(V, &M);
  LOCAL(dense) sum = dense_sum(2, &VMh, 2, &right);
  return dense_product_h(U, &sum);
}

static dense_t exact_gradient(const functions_t *x, const quotients_t *q) {
  LOCAL(dense) all_U = load_U(&x->f, 0);
  LOCAL(dense) all_V = load_V(&x->f, 0);
  LOCAL(dense) U = dense_columns(&all_U, 0, q->k);
  LOCAL(dense) V = dense_columns(&all_V, 0, q->k);
  LOCAL(dense) gY = buffer_load(&x->gY, 0);
  return (x->function.form == SVDGRAD_FORM_UVH ? exact_gradient_of_both : exact_gradient_of_one)(&U, &V, &gY, q);
}

/* f(s) = s / (1 + s), which is smooth, in the buffers of CUSTOM. */
static void set_smooth(functions_t *x) {
  functions_set(x, SVDGRAD_FUNCTION_CUSTOM, 0);
  for (int64_t i = 0; i < x->f.S.rows; i++) {
    const long double s = creall(buffer_get(&x->f.S, 0, i, 0));
    buffer_set(&x->values, 0, i, 0, s / (1 + s));
    buffer_set(&x->derivatives, 0, i, 0, 1 / ((1 + s) * (1 + s)));
  }
}

typedef void (*function_check_t)(const setting_t *s, functions_t *x, worst_t *worst);

static int has_rotation(const setting_t *s, const functions_t *x) {
  const int separated = s->spectrum == SPECTRUM_NORMAL || s->spectrum == SPECTRUM_LINEAR;
  return s->m == s->n && !dtype_is_complex(s->dtype) && x->function.form == SVDGRAD_FORM_UVH && separated;
}

/* Of every kind, thresholds in a gap. */
static void for_each_function(const setting_t *s, functions_t *x, function_check_t check, worst_t *worst) {
  const functions_split_t split = functions_split(x);
  const double s1 = (double)creall(buffer_get(&x->f.S, 0, 0, 0));
  const struct {
    svdgrad_function_kind_t kind;
    double param;
  } functions[] = {
      {SVDGRAD_FUNCTION_POLAR, 0},
      {SVDGRAD_FUNCTION_RANK, (double)split.rank},
      {SVDGRAD_FUNCTION_SOFT_THRESHOLD, split.threshold},
      {SVDGRAD_FUNCTION_HARD_THRESHOLD, split.threshold},
      {SVDGRAD_FUNCTION_CLIP, split.threshold},
      {SVDGRAD_FUNCTION_POWER, 2},
      {SVDGRAD_FUNCTION_POWER, 0.5},
      {SVDGRAD_FUNCTION_POWER, 2.7},
      {SVDGRAD_FUNCTION_POWER, -1.3},
      {SVDGRAD_FUNCTION_INVERSE, 0},
      {SVDGRAD_FUNCTION_INVERSE, split.threshold / s1},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    functions_set(x, functions[i].kind, functions[i].param);
    check(s, x, worst);
  }
  set_smooth(x);
  check(s, x, worst);
  if (has_rotation(s, x)) {
    functions_set(x, SVDGRAD_FUNCTION_ROTATION, 0);
    check(s, x, worst);
  }
}

static void check_formula_of(const setting_t *s, functions_t *x, worst_t *worst) {
  char what[40];
  (void)snprintf(what, sizeof what, "kind %d form %d", (int)x->function.kind, (int)x->function.form);
  LOCAL(quotients) q = quotients_of(x);
  LOCAL(dense) exact_Y = exact_value(x, &q);
  LOCAL(dense) exact_gA = exact_gradient(x, &q);
  LOCAL(dense) gY = buffer_load(&x->gY, 0);
  LOCAL(dense) Y = functions_value(x);
  LOCAL(dense) gA = functions_gradient(x);
  const long double root = sqrtl((long double)settings_larger(s));
  functions_note(worst, s, &Y, &exact_Y, root * dense_norm(&exact_Y), what);
  functions_note(worst, s, &gA, &exact_gA, root * dense_norm(&gY) * q.largest, what);
}

static void check_formula(const setting_t *s, worst_t *worst) {
  const int slow = s->m * s->n > 450; /* and nothing new */
  for (svdgrad_form_t form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH && !slow; form++) {
    LOCAL(functions) x = functions_start(s, form, settings_larger(s) % 2 == 1);
    for_each_function(s, &x, check_formula_of, worst);
  }
}

Test(function_formula, formula_in_long_double_also_at_ties) {
  static const spectrum_t spectra[] = {SPECTRUM_NORMAL, SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_CLUSTERED};
  worst_t worst = worst_make("function formula");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_formula, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- RANK ---- */

/* Singular values of A become `values`, in the memory of the backend. */
static void set_values(functions_t *x, const long double *values) {
  for (int64_t i = 0; i < x->f.S.rows; i++)
    buffer_set(&x->f.S, 0, i, 0, values[i]);
}

/* Turns columns i and i+1 of U and V alike, which changes nothing where their values are the same. */
static void turn_pair(functions_t *x, int64_t i) {
  const long double c = 0.6L, d = 0.8L;
  for (int64_t row = 0; row < x->f.U.rows; row++) {
    const z_t u = buffer_get(&x->f.U, 0, row, i), v = buffer_get(&x->f.U, 0, row, i + 1);
    buffer_set(&x->f.U, 0, row, i, c * u + d * v);
    buffer_set(&x->f.U, 0, row, i + 1, c * v - d * u);
  }
  for (int64_t row = 0; row < x->f.Vh.cols; row++) {
    const z_t u = buffer_get(&x->f.Vh, 0, i, row), v = buffer_get(&x->f.Vh, 0, i + 1, row);
    buffer_set(&x->f.Vh, 0, i, row, c * u + d * v);
    buffer_set(&x->f.Vh, 0, i + 1, row, c * v - d * u);
  }
}

/* Of values 2 2 .. 2 | 1 1 .. 1: ties on both sides of the cut; split by a few eps, or with other singular vectors of
 * the same, the gradient is that of the ties. */
static void check_rank_at_ties(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_UVH, 0);
  const int64_t k = x.f.S.rows, rank = (k + 1) / 2;
  const double eps = dtype_epsilon(s->dtype);
  long double *tied = load_S(&x.f, 0), *apart = load_S(&x.f, 0);
  for (int64_t i = 0; i < k; i++) {
    tied[i] = i < rank ? 2 : 1;
    apart[i] = tied[i] * (1 + 4 * eps * (long double)(k - i));
  }
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  const long double scale = 2 * sqrtl((long double)settings_larger(s)) * dense_norm(&gY);
  functions_set(&x, SVDGRAD_FUNCTION_RANK, (double)rank);
  set_values(&x, tied);
  LOCAL(dense) exact = functions_gradient(&x);
  cr_expect_eq(x.f.report[0].flags, 0);
  cr_expect(k == 1 || fabs(x.f.report[0].min_gap - 0.5) <= eps);
  set_values(&x, apart);
  LOCAL(dense) split = functions_gradient(&x);
  functions_note(worst, s, &split, &exact, scale * (long double)k, "split");
  set_values(&x, tied);
  for (int64_t i = 0; i + 1 < k; i++)
    if (i + 1 != rank)
      turn_pair(&x, i);
  LOCAL(dense) turned = functions_gradient(&x);
  functions_note(worst, s, &turned, &exact, scale, "turned");
  free(tied);
  free(apart);
}

Test(function_formula, rank_does_not_see_ties_beside_the_cut) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("function rank at ties");
  settings_for_each(spectra, 1, check_rank_at_ties, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- ROTATION ---- */

/* The factors of A with its first column the other way round. */
static void flip(functions_t *x) {
  for (int64_t i = 0; i < x->f.A.rows; i++)
    buffer_set(&x->f.A, 0, i, 0, -buffer_get(&x->f.A, 0, i, 0));
  cr_assert_eq(fixture_forward(&x->f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
}

/* Y is a rotation, and the nearest one: Y^T A has the singular values but for the sign of the last, so it is symmetric
 * and its trace is their sum; a tangent of Y is Y times a skew matrix. */
static void check_rotation_of(const setting_t *s, functions_t *x, worst_t *worst) {
  LOCAL(dense) A = buffer_load(&x->f.A, 0);
  LOCAL(dense) Y = functions_value_of(x, SVDGRAD_FUNCTION_ROTATION, 0);
  LOCAL(dense) dA = buffer_load(&x->gY, 0); /* the map is self-adjoint */
  LOCAL(dense) dY = functions_gradient(x);
  LOCAL(dense) YtA = dense_h_product(&Y, &A);
  LOCAL(dense) symmetric = dense_hermitian_part(&YtA);
  LOCAL(dense) YtdY = dense_h_product(&Y, &dY);
  LOCAL(dense) not_skew = dense_hermitian_part(&YtdY);
  LOCAL(dense) zero = dense_zero(s->n, s->n);
  const double eps = dtype_epsilon(s->dtype);
  LOCAL(quotients) q = quotients_of(x);
  const long double root = sqrtl((long double)s->n);
  long double trace = 0;
  for (int64_t i = 0; i < s->n; i++)
    trace += q.f[i] * q.s[i] - creall(YtA.at[i * s->n + i]);
  settings_note(worst, s, ratio_orthonormal(&Y, eps), "orthogonal");
  settings_note(worst, s, (double)(fabsl(determinant(&Y) - 1) / (eps * (long double)s->n)), "determinant");
  settings_note(worst, s, (double)(fabsl(trace) / (eps * root * dense_norm(&A))), "trace");
  functions_note(worst, s, &symmetric, &YtA, root * dense_norm(&A), "symmetric");
  functions_note(worst, s, &not_skew, &zero, root * q.largest * dense_norm(&dA), "skew");
}

static void check_rotation(const setting_t *s, worst_t *worst) {
  if (s->m != s->n || dtype_is_complex(s->dtype))
    return;
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_UVH, 0);
  check_rotation_of(s, &x, worst);
  flip(&x);
  check_rotation_of(s, &x, worst);
}

Test(function_formula, rotation) {
  worst_t worst = worst_make("function rotation");
  settings_for_each_separated(check_rotation, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- the gradient as a map ---- */

/* <H, map(G)> = <map(H), G> */
static void check_self_adjoint_of(const setting_t *s, functions_t *x, worst_t *worst) {
  LOCAL(quotients) q = quotients_of(x);
  LOCAL(dense) G = buffer_load(&x->gY, 0);
  LOCAL(dense) H = buffer_load(&x->dA, 0);
  LOCAL(dense) mapped_G = functions_gradient(x);
  buffer_store(&x->gY, 0, &H);
  LOCAL(dense) mapped_H = functions_gradient(x);
  buffer_store(&x->gY, 0, &G);
  const long double error = fabsl(dense_inner(&H, &mapped_G) - dense_inner(&mapped_H, &G));
  const long double scale = dense_norm(&G) * dense_norm(&H) * q.largest;
  char what[40];
  (void)snprintf(what, sizeof what, "kind %d param %g", (int)x->function.kind, x->function.param);
  settings_note(worst, s, ratio_of(error, scale * dtype_epsilon(s->dtype)), what);
}

static void check_self_adjoint(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_UVH, 0);
  for_each_function(s, &x, check_self_adjoint_of, worst);
}

Test(function_formula, gradients_are_self_adjoint) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_REPEATED};
  worst_t worst = worst_make("function self-adjoint");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_self_adjoint, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- finite differences ---- */

/* A + step dA, its factors, and CUSTOM's f there. */
static void move(functions_t *x, const dense_t *A, long double step) {
  LOCAL(dense) dA = buffer_load(&x->dA, 0);
  LOCAL(dense) moved = dense_sum(1, A, step, &dA);
  buffer_store(&x->f.A, 0, &moved);
  cr_assert_eq(fixture_forward(&x->f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  if (x->function.kind == SVDGRAD_FUNCTION_CUSTOM)
    set_smooth(x);
}

/* <gA, dA> = <gY, dY>, dY by central differences. */
static void check_difference_of(const setting_t *s, functions_t *x, worst_t *worst) {
  const long double h = 1e-5L;
  LOCAL(quotients) q = quotients_of(x);
  LOCAL(dense) A = buffer_load(&x->f.A, 0);
  LOCAL(dense) dA = buffer_load(&x->dA, 0);
  LOCAL(dense) gY = buffer_load(&x->gY, 0);
  LOCAL(dense) gA = functions_gradient(x);
  move(x, &A, h);
  LOCAL(dense) after = functions_value(x);
  move(x, &A, -h);
  LOCAL(dense) before = functions_value(x);
  move(x, &A, 0);
  LOCAL(dense) dY = dense_sum(1 / (2 * h), &after, -1 / (2 * h), &before);
  const long double error = fabsl(dense_inner(&gA, &dA) - dense_inner(&gY, &dY));
  char what[40];
  (void)snprintf(what, sizeof what, "kind %d form %d", (int)x->function.kind, (int)x->function.form);
  settings_note(worst, s, ratio_of(error, (dense_norm(&gA) + dense_norm(&gY) * q.largest) * dense_norm(&dA)), what);
}

/* Of the reference backend, which the others are compared with. */
static void check_difference(const setting_t *setting, worst_t *worst) {
  setting_t s = *setting;
  s.backend = SVDGRAD_BACKEND_REF;
  if (dtype_real(s.dtype) == SVDGRAD_F32 || s.m * s.n > 30 || setting->backend != test_backends[0])
    return;
  for (svdgrad_form_t form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH; form++) {
    LOCAL(functions) x = functions_start(&s, form, 0);
    for_each_function(&s, &x, check_difference_of, worst);
  }
  LOCAL(functions) x = functions_start(&s, SVDGRAD_FORM_UVH, 0);
  flip(&x);
  if (has_rotation(&s, &x)) {
    functions_set(&x, SVDGRAD_FUNCTION_ROTATION, 0);
    check_difference_of(&s, &x, worst);
  }
}

Test(function_formula, central_differences) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("function differences");
  settings_for_each(spectra, 1, check_difference, &worst);
  cr_assert(worst_within(&worst, 1e-6));
}

/* The gradient of sum F(s_i) at A + step dA, by svdgrad_svd_backward(). */
static dense_t gradient_of_sum(functions_t *x, const dense_t *A, long double step) {
  move(x, A, step);
  functions_set_cube(x);
  LOCAL(dense) gS = buffer_load(&x->values, 0);
  buffer_store(&x->f.gS, 0, &gS);
  cr_assert_eq(fixture_backward(&x->f, WITH_GS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  return buffer_load(&x->f.gA, 0);
}

/* With f = F' the map is the Hessian of sum F(s_i): at distinct values, at ties and at zeros. */
static void check_hessian(const setting_t *setting, worst_t *worst) {
  setting_t s = *setting;
  s.backend = SVDGRAD_BACKEND_REF;
  if (dtype_real(s.dtype) == SVDGRAD_F32 || s.m * s.n > 100 || setting->backend != test_backends[0])
    return;
  const long double h = 1e-5L;
  LOCAL(functions) x = functions_start(&s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) dA = buffer_load(&x.dA, 0);
  LOCAL(dense) after = gradient_of_sum(&x, &A, h);
  LOCAL(dense) before = gradient_of_sum(&x, &A, -h);
  LOCAL(dense) exact = dense_sum(1 / (2 * h), &after, -1 / (2 * h), &before);
  move(&x, &A, 0);
  functions_set_cube(&x);
  buffer_store(&x.gY, 0, &dA);
  LOCAL(dense) product = functions_gradient(&x);
  const long double s1 = creall(buffer_get(&x.f.S, 0, 0, 0)), scale = dense_norm(&dA) * (s1 * s1 + 1);
  settings_note(worst, &s, (double)(dense_distance(&product, &exact) / scale), "");
}

Test(function_formula, custom_is_the_hessian_of_a_sum) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_IDENTITY, SPECTRUM_DEFICIENT,
                                       SPECTRUM_ZERO};
  worst_t worst = worst_make("function hessian");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_hessian, &worst);
  cr_assert(worst_within(&worst, 1e-6));
}
