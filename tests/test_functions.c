/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of the singular values and their gradients are right, also at ties.  They are compared with the formula in
 * long double, with identities between the functions and with A, and with finite differences.  Errors are in units of
 * eps times the largest quotient in the formula. */
#include "functions.h"
#include "random.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A of the setting, its factors, and random cotangents. */
static functions_t start(const setting_t *s, svdgrad_form_t form, int full_matrices) {
  svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, 1);
  desc.full_matrices = full_matrices;
  functions_t x = functions_make(s->backend, &desc, form, LAYOUT_COLUMN_MAJOR);
  LOCAL(dense) A = settings_matrix(s);
  functions_fill(&x, 0, 7);
  buffer_store(&x.f.A, 0, &A);
  cr_assert_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert_eq(x.f.info[0], SVDGRAD_INFO_OK);
  return x;
}

static void set_function(functions_t *x, svdgrad_function_kind_t kind, double param) {
  x->function.kind = kind;
  x->function.param = param;
}

static dense_t value(functions_t *x) {
  cr_assert_eq(functions_run(x, SVDGRAD_OP_MATRIX_FUNCTION, 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  cr_assert(x->f.intact);
  return buffer_load(&x->Y, 0);
}

static dense_t gradient(functions_t *x) {
  cr_assert_eq(functions_run(x, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  cr_assert(x->f.intact);
  return buffer_load(&x->f.gA, 0);
}

static dense_t value_of(functions_t *x, svdgrad_function_kind_t kind, double param) {
  set_function(x, kind, param);
  return value(x);
}

static long double distance(const dense_t *X, const dense_t *Y) {
  LOCAL(dense) difference = dense_sum(1, X, -1, Y);
  return dense_norm(&difference);
}

/* |computed - exact|_F / (scale eps) */
static void note(worst_t *worst, const setting_t *s, const dense_t *computed, const dense_t *exact, long double scale,
                 const char *what) {
  settings_note(worst, s, ratio_of(distance(computed, exact), scale * dtype_epsilon(s->dtype)), what);
}

/* ---- POWER 1 is the identity ---- */

/* Y = A and gA = gY, to a few eps for every A: the formula has no division, and drops nothing. */
static void check_identity(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  LOCAL(dense) Y = value_of(&x, SVDGRAD_FUNCTION_POWER, 1);
  LOCAL(dense) gA = gradient(&x);
  const long double root = sqrtl((long double)(s->m > s->n ? s->m : s->n));
  note(worst, s, &Y, &A, root * dense_norm(&A), "Y");
  note(worst, s, &gA, &gY, root * dense_norm(&gY), "gA");
  const svdgrad_report_t *report = &x.f.report[0];
  cr_expect(report->dropped_pairs == 0 && report->flags == 0 && isinf(report->min_gap) && report->amplification == 0);
}

enum { IDENTITY_LIMIT = 16 };

Test(functions, power_one_is_the_identity) {
  static const spectrum_t edges[] = {SPECTRUM_LINEAR, SPECTRUM_SMALL, SPECTRUM_LARGE};
  worst_t worst = worst_make("function identity");
  settings_for_each_hard(check_identity, &worst);
  settings_for_each(edges, sizeof edges / sizeof *edges, check_identity, &worst);
  cr_assert(worst_within(&worst, IDENTITY_LIMIT));
}
/* ---- identities between the functions ---- */

static int64_t larger(const setting_t *s) { return s->m > s->n ? s->m : s->n; }

/* Where the values have a gap, if possible in their middle: how many are above it, its own middle, and how wide it is
 * relative to s_1. */
typedef struct split {
  int64_t rank;
  double threshold, gap;
} split_t;

static split_t split_of(const functions_t *x) {
  const int64_t k = x->f.S.rows;
  long double *s = load_S(&x->f, 0);
  split_t split = {k, 0, 1}; /* of the zero matrix */
  for (int64_t i = 0; i < k && s[0] > 0; i++) {
    const int64_t rank = ((k + 1) / 2 + i - 1) % k + 1;
    const long double above = s[rank - 1], below = s[rank];
    split = (split_t){rank, (double)((above + below) / 2), (double)((above - below) / s[0])};
    if (split.gap > 0.01)
      break;
  }
  free(s);
  return split;
}

/* SOFT(t) + CLIP(t) is the identity, kink or not. */
static void check_soft_and_clip(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  const double first = (double)creall(buffer_get(&x.f.S, 0, 0, 0));
  const double thresholds[] = {0, split_of(&x).threshold, first, 2 * first};
  const long double root = sqrtl((long double)larger(s));
  for (size_t i = 0; i < sizeof thresholds / sizeof *thresholds; i++) {
    LOCAL(dense) soft = value_of(&x, SVDGRAD_FUNCTION_SOFT_THRESHOLD, thresholds[i]);
    LOCAL(dense) soft_gradient = gradient(&x);
    LOCAL(dense) clip = value_of(&x, SVDGRAD_FUNCTION_CLIP, thresholds[i]);
    LOCAL(dense) clip_gradient = gradient(&x);
    LOCAL(dense) sum = dense_sum(1, &soft, 1, &clip);
    LOCAL(dense) sum_gradient = dense_sum(1, &soft_gradient, 1, &clip_gradient);
    note(worst, s, &sum, &A, root * dense_norm(&A), "Y");
    note(worst, s, &sum_gradient, &gY, root * dense_norm(&gY), "gA");
  }
}

Test(functions, soft_threshold_and_clip_add_up) {
  worst_t worst = worst_make("function soft + clip");
  settings_for_each_hard(check_soft_and_clip, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* HARD with a threshold in a gap equals RANK bit for bit. */
static void check_hard_and_rank(const setting_t *s, worst_t *worst) {
  LOCAL(functions) hard = start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(functions) rank = start(s, SVDGRAD_FORM_UVH, 0);
  const split_t split = split_of(&hard);
  set_function(&hard, SVDGRAD_FUNCTION_HARD_THRESHOLD, split.threshold);
  set_function(&rank, SVDGRAD_FUNCTION_RANK, (double)split.rank);
  LOCAL(dense) Y = value(&hard);
  LOCAL(dense) truncated = value(&rank);
  LOCAL(dense) gA = gradient(&hard);
  LOCAL(dense) truncated_gradient = gradient(&rank);
  const int same = functions_same(&hard, 0, &rank, 0, SVDGRAD_OP_MATRIX_FUNCTION) &&
                   functions_same(&hard, 0, &rank, 0, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD);
  settings_note(worst, s, same ? 0 : INFINITY, "");
}

Test(functions, hard_threshold_in_a_gap_is_rank) {
  worst_t worst = worst_make("function hard - rank");
  settings_for_each_hard(check_hard_and_rank, &worst);
  cr_assert(worst_within(&worst, 0));
}

/* Below all values SOFT(t) is A - t POLAR, gradients too: at ties, where POLAR's is what is left of a tie. */
static void check_soft_and_polar(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  const double t = (double)creall(buffer_get(&x.f.S, 0, x.f.S.rows - 1, 0)) / 2;
  LOCAL(dense) soft = value_of(&x, SVDGRAD_FUNCTION_SOFT_THRESHOLD, t);
  LOCAL(dense) soft_gradient = gradient(&x);
  LOCAL(dense) polar = value_of(&x, SVDGRAD_FUNCTION_POLAR, 0);
  LOCAL(dense) polar_gradient = gradient(&x);
  LOCAL(dense) exact = dense_sum(1, &A, -t, &polar);
  LOCAL(dense) exact_gradient = dense_sum(1, &gY, -t, &polar_gradient);
  const long double root = sqrtl((long double)larger(s));
  note(worst, s, &soft, &exact, root * dense_norm(&A), "Y");
  note(worst, s, &soft_gradient, &exact_gradient, root * dense_norm(&gY), "gA");
}

Test(functions, soft_threshold_below_all_values_also_at_ties) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_IDENTITY, SPECTRUM_CLUSTERED};
  worst_t worst = worst_make("function soft - polar");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_soft_and_polar, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- POLAR ---- */

/* A = c Q, Q with orthonormal columns (rows), all values tied: Y = Q, and with G' the part of gY within the column
 * (row) space of Q, gA = (gY - (G' + Q gY^H Q) / 2) / c. */
static void check_polar_of_orthonormal(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  const long double c = dense_norm(&A) / sqrtl((long double)x.f.S.rows);
  LOCAL(dense) Q = dense_sum(1 / c, &A, 0, &A);
  LOCAL(dense) QhG = dense_h_product(&Q, &gY);
  LOCAL(dense) GQh = dense_product_h(&gY, &Q);
  LOCAL(dense) inside = s->m >= s->n ? dense_product(&Q, &QhG) : dense_product(&GQh, &Q);
  LOCAL(dense) QGh = dense_product_h(&Q, &gY);
  LOCAL(dense) QGhQ = dense_product(&QGh, &Q);
  LOCAL(dense) mean = dense_sum(0.5L, &inside, 0.5L, &QGhQ);
  LOCAL(dense) exact = dense_sum(1 / c, &gY, -1 / c, &mean);
  LOCAL(dense) Y = value_of(&x, SVDGRAD_FUNCTION_POLAR, 0);
  LOCAL(dense) gA = gradient(&x);
  const long double root = sqrtl((long double)larger(s));
  note(worst, s, &Y, &Q, root * dense_norm(&Q), "Y");
  note(worst, s, &gA, &exact, root * dense_norm(&gY) / c, "gA");
  cr_expect(x.f.report[0].dropped_pairs == 0 && x.f.report[0].flags == 0);
}

Test(functions, polar_of_an_orthonormal_matrix) {
  static const spectrum_t spectra[] = {SPECTRUM_REPEATED, SPECTRUM_IDENTITY};
  worst_t worst = worst_make("function polar");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_polar_of_orthonormal, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

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

static dense_t hermitian_part(const dense_t *X) {
  LOCAL(dense) Xh = dense_conjugate_transpose(X);
  return dense_sum(0.5L, X, 0.5L, &Xh);
}

/* U (f1 herm(P) + f2 skew(P)) Vh + (I - U U^H) gY V (f/s) Vh + U (f/s) U^H gY (I - V V^H), P = U^H gY V */
static dense_t exact_gradient_of_both(const dense_t *U, const dense_t *V, const dense_t *gY, const quotients_t *q) {
  LOCAL(dense) GV = dense_product(gY, V);
  LOCAL(dense) GhU = dense_h_product(gY, U);
  LOCAL(dense) M = dense_h_product(U, &GV);
  LOCAL(dense) H = hermitian_part(&M);
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
  LOCAL(dense) G = hermitian_part(gY);
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
  set_function(x, SVDGRAD_FUNCTION_CUSTOM, 0);
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
  const split_t split = split_of(x);
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
    set_function(x, functions[i].kind, functions[i].param);
    check(s, x, worst);
  }
  set_smooth(x);
  check(s, x, worst);
  if (has_rotation(s, x)) {
    set_function(x, SVDGRAD_FUNCTION_ROTATION, 0);
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
  LOCAL(dense) Y = value(x);
  LOCAL(dense) gA = gradient(x);
  const long double root = sqrtl((long double)larger(s));
  note(worst, s, &Y, &exact_Y, root * dense_norm(&exact_Y), what);
  note(worst, s, &gA, &exact_gA, root * dense_norm(&gY) * q.largest, what);
}

static void check_formula(const setting_t *s, worst_t *worst) {
  const int slow = s->m * s->n > 450; /* and nothing new */
  for (svdgrad_form_t form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH && !slow; form++) {
    LOCAL(functions) x = start(s, form, larger(s) % 2 == 1);
    for_each_function(s, &x, check_formula_of, worst);
  }
}

Test(functions, formula_in_long_double_also_at_ties) {
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
  LOCAL(functions) x = start(s, SVDGRAD_FORM_UVH, 0);
  const int64_t k = x.f.S.rows, rank = (k + 1) / 2;
  const double eps = dtype_epsilon(s->dtype);
  long double *tied = load_S(&x.f, 0), *apart = load_S(&x.f, 0);
  for (int64_t i = 0; i < k; i++) {
    tied[i] = i < rank ? 2 : 1;
    apart[i] = tied[i] * (1 + 4 * eps * (long double)(k - i));
  }
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  const long double scale = 2 * sqrtl((long double)larger(s)) * dense_norm(&gY);
  set_function(&x, SVDGRAD_FUNCTION_RANK, (double)rank);
  set_values(&x, tied);
  LOCAL(dense) exact = gradient(&x);
  cr_expect_eq(x.f.report[0].flags, 0);
  cr_expect(k == 1 || fabs(x.f.report[0].min_gap - 0.5) <= eps);
  set_values(&x, apart);
  LOCAL(dense) split = gradient(&x);
  note(worst, s, &split, &exact, scale * (long double)k, "split");
  set_values(&x, tied);
  for (int64_t i = 0; i + 1 < k; i++)
    if (i + 1 != rank)
      turn_pair(&x, i);
  LOCAL(dense) turned = gradient(&x);
  note(worst, s, &turned, &exact, scale, "turned");
  free(tied);
  free(apart);
}

Test(functions, rank_does_not_see_ties_beside_the_cut) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("function rank at ties");
  settings_for_each(spectra, 1, check_rank_at_ties, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- INVERSE ---- */

/* s_1 / (smallest value above the cut of INVERSE), and how far |B| goes. */
static long double condition_of(const functions_t *x, double cut) {
  long double *s = load_S(&x->f, 0), smallest = s[0];
  for (int64_t i = 0; i < x->f.S.rows; i++)
    smallest = s[i] > cut * s[0] ? s[i] : smallest;
  const long double condition = smallest > 0 ? s[0] / smallest : 1;
  free(s);
  return condition;
}

/* A B A = A, B A B = B, A B and B A Hermitian (Penrose), B = Y^H. */
static void check_penrose(const setting_t *s, const functions_t *x, const dense_t *B, long double condition,
                          worst_t *worst) {
  LOCAL(dense) A = buffer_load(&x->f.A, 0);
  LOCAL(dense) AB = dense_product(&A, B);
  LOCAL(dense) BA = dense_product(B, &A);
  LOCAL(dense) ABA = dense_product(&AB, &A);
  LOCAL(dense) BAB = dense_product(&BA, B);
  LOCAL(dense) ABh = dense_conjugate_transpose(&AB);
  LOCAL(dense) BAh = dense_conjugate_transpose(&BA);
  note(worst, s, &ABA, &A, dense_norm(&A) * condition, "ABA");
  note(worst, s, &BAB, B, dense_norm(B) * condition, "BAB");
  note(worst, s, &ABh, &AB, condition * dense_norm(&A) * dense_norm(B), "AB");
  note(worst, s, &BAh, &BA, condition * dense_norm(&A) * dense_norm(B), "BA");
}

/* gA = -B^H gY^H B^H + (I - A B) gY B B^H + B^H B gY (I - B A): Golub and Pereyra, of Y = B^H. */
static dense_t pseudo_inverse_gradient(const dense_t *A, const dense_t *B, const dense_t *gY) {
  LOCAL(dense) Bh = dense_conjugate_transpose(B);
  LOCAL(dense) GB = dense_product(gY, B);
  LOCAL(dense) BG = dense_product(B, gY);
  LOCAL(dense) BhGh = dense_conjugate_transpose(&GB);
  LOCAL(dense) first = dense_product(&BhGh, &Bh);
  LOCAL(dense) left = dense_product(&GB, &Bh);
  LOCAL(dense) Bleft = dense_product(B, &left);
  LOCAL(dense) ABleft = dense_product(A, &Bleft);
  LOCAL(dense) right = dense_product(&Bh, &BG);
  LOCAL(dense) rightB = dense_product(&right, B);
  LOCAL(dense) rightBA = dense_product(&rightB, A);
  LOCAL(dense) sum = dense_sum(-1, &first, 1, &left);
  LOCAL(dense) without = dense_sum(1, &sum, -1, &ABleft);
  LOCAL(dense) with = dense_sum(1, &without, 1, &right);
  return dense_sum(1, &with, -1, &rightBA);
}

static void check_inverse(const setting_t *s, worst_t *worst) {
  const double cut = s->spectrum == SPECTRUM_NORMAL ? 0 : 0.01; /* 0: the default */
  LOCAL(functions) x = start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  LOCAL(dense) Y = value_of(&x, SVDGRAD_FUNCTION_INVERSE, cut);
  LOCAL(dense) gA = gradient(&x);
  LOCAL(dense) B = dense_conjugate_transpose(&Y);
  LOCAL(dense) exact = pseudo_inverse_gradient(&A, &B, &gY);
  const long double condition = condition_of(&x, cut) * sqrtl((long double)larger(s));
  check_penrose(s, &x, &B, condition, worst);
  note(worst, s, &gA, &exact, condition * dense_norm(&B) * dense_norm(&B) * dense_norm(&gY), "gA");
  cr_expect_eq(x.f.report[0].flags, 0);
}

Test(functions, inverse_is_the_pseudo_inverse) {
  static const spectrum_t spectra[] = {SPECTRUM_NORMAL,   SPECTRUM_LINEAR, SPECTRUM_DEFICIENT, SPECTRUM_ONES,
                                       SPECTRUM_REPEATED, SPECTRUM_ZERO,   SPECTRUM_IDENTITY};
  worst_t worst = worst_make("function inverse");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_inverse, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- V f(S) Vh ---- */

/* POWER 1 is the root of A^H A, POWER 2 that itself; its U may be absent. */
static void check_root(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, SVDGRAD_FORM_VVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) AhA = dense_h_product(&A, &A);
  LOCAL(dense) root = value_of(&x, SVDGRAD_FUNCTION_POWER, 1);
  LOCAL(dense) squared = dense_product(&root, &root);
  LOCAL(dense) square = value_of(&x, SVDGRAD_FUNCTION_POWER, 2);
  const long double scale = dense_norm(&A) * dense_norm(&A) * sqrtl((long double)larger(s));
  note(worst, s, &squared, &AhA, scale, "root");
  note(worst, s, &square, &AhA, scale, "square");
  cr_assert_eq(functions_run(&x, SVDGRAD_OP_MATRIX_FUNCTION, ABSENT(OPERAND_U), 1, 0), SVDGRAD_STATUS_SUCCESS);
  LOCAL(dense) without_U = buffer_load(&x.Y, 0);
  cr_expect(distance(&without_U, &square) == 0);
}

Test(functions, root_of_the_gram_matrix) {
  worst_t worst = worst_make("function root");
  settings_for_each_hard(check_root, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* The gradient of A^H A is 2 A herm(gY), whatever A is. */
static void check_square_gradient(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, SVDGRAD_FORM_VVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  LOCAL(dense) G = hermitian_part(&gY);
  LOCAL(dense) AG = dense_product(&A, &G);
  LOCAL(dense) exact = dense_sum(2, &AG, 0, &AG);
  set_function(&x, SVDGRAD_FUNCTION_POWER, 2);
  LOCAL(dense) gA = gradient(&x);
  note(worst, s, &gA, &exact, sqrtl((long double)larger(s)) * dense_norm(&A) * dense_norm(&gY), "");
}

Test(functions, gradient_of_the_gram_matrix) {
  worst_t worst = worst_make("function gram gradient");
  settings_for_each_hard(check_square_gradient, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* INVERSE whitens: A Y has orthonormal columns if A has full column rank. */
static void check_whitening(const setting_t *s, worst_t *worst) {
  if (s->m < s->n)
    return;
  LOCAL(functions) x = start(s, SVDGRAD_FORM_VVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) Y = value_of(&x, SVDGRAD_FUNCTION_INVERSE, 0);
  LOCAL(dense) white = dense_product(&A, &Y);
  LOCAL(dense) gram = dense_h_product(&white, &white);
  LOCAL(dense) exact = dense_identity(s->n, s->n);
  note(worst, s, &gram, &exact, condition_of(&x, 0) * sqrtl((long double)larger(s)), "");
}

Test(functions, inverse_root_whitens) {
  worst_t worst = worst_make("function whitening");
  settings_for_each_separated(check_whitening, &worst);
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
  LOCAL(dense) Y = value_of(x, SVDGRAD_FUNCTION_ROTATION, 0);
  LOCAL(dense) dA = buffer_load(&x->gY, 0); /* the map is self-adjoint */
  LOCAL(dense) dY = gradient(x);
  LOCAL(dense) YtA = dense_h_product(&Y, &A);
  LOCAL(dense) symmetric = hermitian_part(&YtA);
  LOCAL(dense) YtdY = dense_h_product(&Y, &dY);
  LOCAL(dense) not_skew = hermitian_part(&YtdY);
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
  note(worst, s, &symmetric, &YtA, root * dense_norm(&A), "symmetric");
  note(worst, s, &not_skew, &zero, root * q.largest * dense_norm(&dA), "skew");
}

static void check_rotation(const setting_t *s, worst_t *worst) {
  if (s->m != s->n || dtype_is_complex(s->dtype))
    return;
  LOCAL(functions) x = start(s, SVDGRAD_FORM_UVH, 0);
  check_rotation_of(s, &x, worst);
  flip(&x);
  check_rotation_of(s, &x, worst);
}

Test(functions, rotation) {
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
  LOCAL(dense) mapped_G = gradient(x);
  buffer_store(&x->gY, 0, &H);
  LOCAL(dense) mapped_H = gradient(x);
  buffer_store(&x->gY, 0, &G);
  const long double error = fabsl(dense_inner(&H, &mapped_G) - dense_inner(&mapped_H, &G));
  const long double scale = dense_norm(&G) * dense_norm(&H) * q.largest;
  char what[40];
  (void)snprintf(what, sizeof what, "kind %d param %g", (int)x->function.kind, x->function.param);
  settings_note(worst, s, ratio_of(error, scale * dtype_epsilon(s->dtype)), what);
}

static void check_self_adjoint(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, SVDGRAD_FORM_UVH, 0);
  for_each_function(s, &x, check_self_adjoint_of, worst);
}

Test(functions, gradients_are_self_adjoint) {
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
  LOCAL(dense) gA = gradient(x);
  move(x, &A, h);
  LOCAL(dense) after = value(x);
  move(x, &A, -h);
  LOCAL(dense) before = value(x);
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
    LOCAL(functions) x = start(&s, form, 0);
    for_each_function(&s, &x, check_difference_of, worst);
  }
  LOCAL(functions) x = start(&s, SVDGRAD_FORM_UVH, 0);
  flip(&x);
  if (has_rotation(&s, &x)) {
    set_function(&x, SVDGRAD_FUNCTION_ROTATION, 0);
    check_difference_of(&s, &x, worst);
  }
}

Test(functions, central_differences) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("function differences");
  settings_for_each(spectra, 1, check_difference, &worst);
  cr_assert(worst_within(&worst, 1e-6));
}

/* F(s) = s^4 / 4, f = F' = s^3 in the buffers of CUSTOM. */
static void set_cube(functions_t *x) {
  set_function(x, SVDGRAD_FUNCTION_CUSTOM, 0);
  for (int64_t i = 0; i < x->f.S.rows; i++) {
    const long double s = creall(buffer_get(&x->f.S, 0, i, 0));
    buffer_set(&x->values, 0, i, 0, s * s * s);
    buffer_set(&x->derivatives, 0, i, 0, 3 * s * s);
  }
}

/* The gradient of sum F(s_i) at A + step dA, by svdgrad_svd_backward(). */
static dense_t gradient_of_sum(functions_t *x, const dense_t *A, long double step) {
  move(x, A, step);
  set_cube(x);
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
  LOCAL(functions) x = start(&s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) dA = buffer_load(&x.dA, 0);
  LOCAL(dense) after = gradient_of_sum(&x, &A, h);
  LOCAL(dense) before = gradient_of_sum(&x, &A, -h);
  LOCAL(dense) exact = dense_sum(1 / (2 * h), &after, -1 / (2 * h), &before);
  move(&x, &A, 0);
  set_cube(&x);
  buffer_store(&x.gY, 0, &dA);
  LOCAL(dense) product = gradient(&x);
  const long double s1 = creall(buffer_get(&x.f.S, 0, 0, 0)), scale = dense_norm(&dA) * (s1 * s1 + 1);
  settings_note(worst, &s, (double)(distance(&product, &exact) / scale), "");
}

Test(functions, custom_is_the_hessian_of_a_sum) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_IDENTITY, SPECTRUM_DEFICIENT,
                                       SPECTRUM_ZERO};
  worst_t worst = worst_make("function hessian");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_hessian, &worst);
  cr_assert(worst_within(&worst, 1e-6));
}

/* What the library knows of POWER 3 the caller can say through CUSTOM. */
static void check_custom(const setting_t *s, worst_t *worst) {
  for (svdgrad_form_t form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH; form++) {
    LOCAL(functions) x = start(s, form, 0);
    LOCAL(dense) gY = buffer_load(&x.gY, 0);
    const long double s1 = creall(buffer_get(&x.f.S, 0, 0, 0)), root = sqrtl((long double)larger(s));
    LOCAL(dense) exact = value_of(&x, SVDGRAD_FUNCTION_POWER, 3);
    LOCAL(dense) exact_gradient = gradient(&x);
    set_cube(&x);
    LOCAL(dense) Y = value(&x);
    LOCAL(dense) gA = gradient(&x);
    note(worst, s, &Y, &exact, root * dense_norm(&exact), "Y");
    note(worst, s, &gA, &exact_gradient, root * dense_norm(&gY) * s1 * s1, "gA");
  }
}

Test(functions, custom_cube_is_power_three) {
  worst_t worst = worst_make("function custom");
  settings_for_each_hard(check_custom, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- scale ---- */

static int is_scaled(const dense_t *X, const dense_t *Y, int exponent) {
  int same = 1;
  for (int64_t i = 0; i < X->m * X->n; i++)
    same &= X->at[i] * ldexpl(1, exponent) == Y->at[i];
  return same;
}

/* f(2^p s) = 2^(d p) f(s), parameters in the units of s: Y is 2^(d p) times as large, gA 2^((d-1) p), to the bit. */
static void check_scale_of(const setting_t *s, functions_t *x, int degree, int has_units, worst_t *worst) {
  const int most = (dtype_real(s->dtype) == SVDGRAD_F32 ? 60 : 900) / (degree == 1 || degree == 0 ? 1 : 2);
  const double param = x->function.param;
  LOCAL(dense) S = buffer_load(&x->f.S, 0);
  LOCAL(dense) Y = value(x);
  LOCAL(dense) gA = gradient(x);
  for (int p = -most; p <= most; p += most / 2) {
    LOCAL(dense) scaled_S = dense_sum(ldexpl(1, p), &S, 0, &S);
    buffer_store(&x->f.S, 0, &scaled_S);
    x->function.param = has_units ? ldexp(param, p) : param;
    LOCAL(dense) scaled_Y = value(x);
    LOCAL(dense) scaled_gA = gradient(x);
    const int same = is_scaled(&Y, &scaled_Y, degree * p) && is_scaled(&gA, &scaled_gA, (degree - 1) * p);
    char what[60];
    (void)snprintf(what, sizeof what, "kind %d form %d times 2^%d", (int)x->function.kind, (int)x->function.form, p);
    settings_note(worst, s, same ? 0 : INFINITY, what);
  }
  buffer_store(&x->f.S, 0, &S);
}

static void check_scale(const setting_t *s, worst_t *worst) {
  const int slow = s->m * s->n > 450;
  for (svdgrad_form_t form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH && !slow; form++) {
    LOCAL(functions) x = start(s, form, 0);
    const split_t split = split_of(&x);
    const struct {
      svdgrad_function_kind_t kind;
      double param;
      int degree, has_units;
    } functions[] = {
        {SVDGRAD_FUNCTION_POLAR, 0, 0, 0},
        {SVDGRAD_FUNCTION_RANK, (double)split.rank, 1, 0},
        {SVDGRAD_FUNCTION_SOFT_THRESHOLD, split.threshold, 1, 1},
        {SVDGRAD_FUNCTION_HARD_THRESHOLD, split.threshold, 1, 1},
        {SVDGRAD_FUNCTION_CLIP, split.threshold, 1, 1},
        {SVDGRAD_FUNCTION_POWER, 1, 1, 0},
        {SVDGRAD_FUNCTION_POWER, 2, 2, 0},
        {SVDGRAD_FUNCTION_INVERSE, 0, -1, 0},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
      set_function(&x, functions[i].kind, functions[i].param);
      check_scale_of(s, &x, functions[i].degree, functions[i].has_units, worst);
    }
  }
}

Test(functions, powers_of_two_are_exact) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("function powers of two");
  settings_for_each(spectra, 1, check_scale, &worst);
  cr_assert(worst_within(&worst, 0));
}

/* ---- reports and policies ---- */

/* diag(s) with its trivial factors. */
static functions_t diagonal(svdgrad_backend_t backend, const double *s, svdgrad_form_t form) {
  const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, 3, 3, 1);
  functions_t x = functions_make(backend, &desc, form, LAYOUT_ROW_MAJOR);
  functions_fill(&x, 0, 3);
  LOCAL(dense) One = dense_identity(3, 3);
  buffer_store(&x.f.U, 0, &One);
  buffer_store(&x.f.Vh, 0, &One);
  for (int64_t i = 0; i < 3; i++)
    buffer_set(&x.f.S, 0, i, 0, s[i]);
  return x;
}

typedef struct report_case {
  double s[3];
  svdgrad_form_t form;
  svdgrad_function_kind_t kind;
  double param;
  svdgrad_report_t expected;
} report_case_t;

Test(functions, reports) {
  static const report_case_t cases[] = {
      /* kept and discarded: 3 - 1 is the smallest divisor */
      {{4, 3, 1}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_RANK, 2, {0.5, 0, 0.5, 0, 0}},
      {{4, 3, 1}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_HARD_THRESHOLD, 1.5, {0.5, 0, 0.5, 0, 0}},
      {{400, 300, 100}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_RANK, 2, {0.5, 0, 0.005, 0, 0}},
      /* sums alone */
      {{4, 3, 1}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_POLAR, 0, {1, 0, 0.25, 0, 0}},
      {{4, 4, 4}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_POLAR, 0, {2, 0, 0.125, 0, 0}},
      /* nothing is divided */
      {{4, 4, 0}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_POWER, 1, {INFINITY, 0, 0, 0, 0}},
      {{4, 4, 0}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_RANK, 3, {INFINITY, 0, 0, 0, 0}},
      {{4, 3, 0}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_RANK, 0, {INFINITY, 0, 0, 0, 0}},
      {{4, 2, 1}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_INVERSE, 0, {INFINITY, 0, 0, 0, 0}},
      /* a cut through a cluster */
      {{4, 1, 1}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_RANK, 2, {0, 0, 0.5, 1, 1 | 4}},
      /* POLAR at two zeros: their pair */
      {{4, 0, 0}, SVDGRAD_FORM_UVH, SVDGRAD_FUNCTION_POLAR, 0, {0, 0, 0.25, 1, 1}},
      /* the root of A^H A divides by s_i + s_j, on the diagonal too */
      {{4, 3, 1}, SVDGRAD_FORM_VVH, SVDGRAD_FUNCTION_POWER, 1, {0.5, 0, 0.5, 0, 0}},
      {{4, 3, 0}, SVDGRAD_FORM_VVH, SVDGRAD_FUNCTION_POWER, 1, {0, 0, 1 / 3.0, 1, 1}},
  };
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      LOCAL(functions) x = diagonal(test_backends[b], cases[i].s, cases[i].form);
      set_function(&x, cases[i].kind, cases[i].param);
      LOCAL(dense) gA = gradient(&x);
      const svdgrad_report_t *r = &x.f.report[0], *e = &cases[i].expected;
      cr_expect(isfinite((double)dense_norm(&gA)));
      cr_expect(r->min_gap == e->min_gap || fabs(r->min_gap - e->min_gap) < 1e-15, "case %d: min_gap %g", (int)i,
                r->min_gap);
      cr_expect_float_eq(r->amplification, e->amplification, 1e-15, "case %d: amplification %g", (int)i,
                         r->amplification);
      cr_expect(r->gauge_residual == 0 && r->dropped_pairs == e->dropped_pairs && r->flags == e->flags,
                "case %d: dropped %d, flags %d", (int)i, (int)r->dropped_pairs, (int)r->flags);
    }
}

/* EXACT divides by zero as the mathematics does; the other policies are DEFAULT. */
Test(functions, policies) {
  static const double s[] = {4, 0, 0}, tied[] = {4, 1, 1};
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) zeros = diagonal(test_backends[b], s, SVDGRAD_FORM_UVH);
    LOCAL(functions) cut = diagonal(test_backends[b], tied, SVDGRAD_FORM_UVH);
    set_function(&cut, SVDGRAD_FUNCTION_RANK, 2);
    LOCAL(dense) polar = value_of(&zeros, SVDGRAD_FUNCTION_POLAR, 0);
    LOCAL(dense) gA = gradient(&zeros);
    for (int policy = SVDGRAD_GAP_DEFAULT; policy <= SVDGRAD_GAP_LORENTZ; policy++) {
      zeros.f.desc.gap_policy = cut.f.desc.gap_policy = (svdgrad_gap_policy_t)policy;
      zeros.f.desc.gap_param = 0.5;
      LOCAL(dense) under_policy = gradient(&zeros);
      LOCAL(dense) of_cut = gradient(&cut);
      const int exact = policy == SVDGRAD_GAP_EXACT;
      cr_expect(exact ? !isfinite((double)dense_norm(&under_policy)) : distance(&under_policy, &gA) == 0, "policy %d",
                policy);
      cr_expect(exact == !isfinite((double)dense_norm(&of_cut)), "policy %d", policy);
      cr_expect(exact == !zeros.f.report[0].dropped_pairs);
    }
  }
}

/* Negative powers of values <= 4 eps s_1 are 0, but for EXACT. */
Test(functions, negative_power_of_zero) {
  static const double s[] = {4, 2, 0};
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = diagonal(test_backends[b], s, SVDGRAD_FORM_UVH);
    LOCAL(dense) Y = value_of(&x, SVDGRAD_FUNCTION_POWER, -1);
    cr_expect(creall(Y.at[0]) == 0.25L && creall(Y.at[4]) == 0.5L && creall(Y.at[8]) == 0);
    LOCAL(dense) gA = gradient(&x);
    cr_expect(isfinite((double)dense_norm(&gA)));
    x.f.desc.gap_policy = SVDGRAD_GAP_EXACT;
    LOCAL(dense) exact = value(&x);
    cr_expect(!isfinite((double)dense_norm(&exact)));
  }
}
