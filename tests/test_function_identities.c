/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of the singular values and their gradients keep the identities that hold between them and with A, also at
 * ties.  Errors are in units of eps times the largest quotient in the formula of the gradient. */
#include "function_values.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- POWER 1 is the identity ---- */

/* Y = A and gA = gY, to a few eps for every A: the formula has no division, and drops nothing. */
static void check_identity(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  LOCAL(dense) Y = functions_value_of(&x, SVDGRAD_FUNCTION_POWER, 1);
  LOCAL(dense) gA = functions_gradient(&x);
  const long double root = sqrtl((long double)(s->m > s->n ? s->m : s->n));
  functions_note(worst, s, &Y, &A, root * dense_norm(&A), "Y");
  functions_note(worst, s, &gA, &gY, root * dense_norm(&gY), "gA");
  const svdgrad_report_t *report = &x.f.report[0];
  cr_expect(report->dropped_pairs == 0 && report->flags == 0 && isinf(report->min_gap) && report->amplification == 0);
}

enum { IDENTITY_LIMIT = 16 };

Test(function_identities, power_one_is_the_identity) {
  static const spectrum_t edges[] = {SPECTRUM_LINEAR, SPECTRUM_SMALL, SPECTRUM_LARGE};
  worst_t worst = worst_make("function identity");
  settings_for_each_hard(check_identity, &worst);
  settings_for_each(edges, sizeof edges / sizeof *edges, check_identity, &worst);
  cr_assert(worst_within(&worst, IDENTITY_LIMIT));
}

/* ---- identities between the functions ---- */

/* SOFT(t) + CLIP(t) is the identity, kink or not. */
static void check_soft_and_clip(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  const double first = (double)creall(buffer_get(&x.f.S, 0, 0, 0));
  const double thresholds[] = {0, functions_split(&x).threshold, first, 2 * first};
  const long double root = sqrtl((long double)settings_larger(s));
  for (size_t i = 0; i < sizeof thresholds / sizeof *thresholds; i++) {
    LOCAL(dense) soft = functions_value_of(&x, SVDGRAD_FUNCTION_SOFT_THRESHOLD, thresholds[i]);
    LOCAL(dense) soft_gradient = functions_gradient(&x);
    LOCAL(dense) clip = functions_value_of(&x, SVDGRAD_FUNCTION_CLIP, thresholds[i]);
    LOCAL(dense) clip_gradient = functions_gradient(&x);
    LOCAL(dense) sum = dense_sum(1, &soft, 1, &clip);
    LOCAL(dense) sum_gradient = dense_sum(1, &soft_gradient, 1, &clip_gradient);
    functions_note(worst, s, &sum, &A, root * dense_norm(&A), "Y");
    functions_note(worst, s, &sum_gradient, &gY, root * dense_norm(&gY), "gA");
  }
}

Test(function_identities, soft_threshold_and_clip_add_up) {
  worst_t worst = worst_make("function soft + clip");
  settings_for_each_hard(check_soft_and_clip, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* HARD with a threshold in a gap equals RANK bit for bit. */
static void check_hard_and_rank(const setting_t *s, worst_t *worst) {
  LOCAL(functions) hard = functions_start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(functions) rank = functions_start(s, SVDGRAD_FORM_UVH, 0);
  const functions_split_t split = functions_split(&hard);
  functions_set(&hard, SVDGRAD_FUNCTION_HARD_THRESHOLD, split.threshold);
  functions_set(&rank, SVDGRAD_FUNCTION_RANK, (double)split.rank);
  LOCAL(dense) Y = functions_value(&hard);
  LOCAL(dense) truncated = functions_value(&rank);
  LOCAL(dense) gA = functions_gradient(&hard);
  LOCAL(dense) truncated_gradient = functions_gradient(&rank);
  const int same = functions_same(&hard, 0, &rank, 0, SVDGRAD_OP_MATRIX_FUNCTION) &&
                   functions_same(&hard, 0, &rank, 0, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD);
  settings_note(worst, s, same ? 0 : INFINITY, "");
}

Test(function_identities, hard_threshold_in_a_gap_is_rank) {
  worst_t worst = worst_make("function hard - rank");
  settings_for_each_hard(check_hard_and_rank, &worst);
  cr_assert(worst_within(&worst, 0));
}

/* Below all values SOFT(t) is A - t POLAR, gradients too: at ties, where POLAR's is what is left of a tie. */
static void check_soft_and_polar(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  const double t = (double)creall(buffer_get(&x.f.S, 0, x.f.S.rows - 1, 0)) / 2;
  LOCAL(dense) soft = functions_value_of(&x, SVDGRAD_FUNCTION_SOFT_THRESHOLD, t);
  LOCAL(dense) soft_gradient = functions_gradient(&x);
  LOCAL(dense) polar = functions_value_of(&x, SVDGRAD_FUNCTION_POLAR, 0);
  LOCAL(dense) polar_gradient = functions_gradient(&x);
  LOCAL(dense) exact = dense_sum(1, &A, -t, &polar);
  LOCAL(dense) exact_gradient = dense_sum(1, &gY, -t, &polar_gradient);
  const long double root = sqrtl((long double)settings_larger(s));
  functions_note(worst, s, &soft, &exact, root * dense_norm(&A), "Y");
  functions_note(worst, s, &soft_gradient, &exact_gradient, root * dense_norm(&gY), "gA");
}

Test(function_identities, soft_threshold_below_all_values_also_at_ties) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_IDENTITY, SPECTRUM_CLUSTERED};
  worst_t worst = worst_make("function soft - polar");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_soft_and_polar, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- CUSTOM ---- */

/* What the library knows of POWER 3 the caller can say through CUSTOM. */
static void check_custom(const setting_t *s, worst_t *worst) {
  for (svdgrad_form_t form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH; form++) {
    LOCAL(functions) x = functions_start(s, form, 0);
    LOCAL(dense) gY = buffer_load(&x.gY, 0);
    const long double s1 = creall(buffer_get(&x.f.S, 0, 0, 0)), root = sqrtl((long double)settings_larger(s));
    LOCAL(dense) exact = functions_value_of(&x, SVDGRAD_FUNCTION_POWER, 3);
    LOCAL(dense) exact_gradient = functions_gradient(&x);
    functions_set_cube(&x);
    LOCAL(dense) Y = functions_value(&x);
    LOCAL(dense) gA = functions_gradient(&x);
    functions_note(worst, s, &Y, &exact, root * dense_norm(&exact), "Y");
    functions_note(worst, s, &gA, &exact_gradient, root * dense_norm(&gY) * s1 * s1, "gA");
  }
}

Test(function_identities, custom_cube_is_power_three) {
  worst_t worst = worst_make("function custom");
  settings_for_each_hard(check_custom, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- POLAR ---- */

/* A = c Q, Q with orthonormal columns (rows), all values tied: Y = Q, and with G' the part of gY within the column
 * (row) space of Q, gA = (gY - (G' + Q gY^H Q) / 2) / c. */
static void check_polar_of_orthonormal(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_UVH, 0);
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
  LOCAL(dense) Y = functions_value_of(&x, SVDGRAD_FUNCTION_POLAR, 0);
  LOCAL(dense) gA = functions_gradient(&x);
  const long double root = sqrtl((long double)settings_larger(s));
  functions_note(worst, s, &Y, &Q, root * dense_norm(&Q), "Y");
  functions_note(worst, s, &gA, &exact, root * dense_norm(&gY) / c, "gA");
  cr_expect(x.f.report[0].dropped_pairs == 0 && x.f.report[0].flags == 0);
}

Test(function_identities, polar_of_an_orthonormal_matrix) {
  static const spectrum_t spectra[] = {SPECTRUM_REPEATED, SPECTRUM_IDENTITY};
  worst_t worst = worst_make("function polar");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_polar_of_orthonormal, &worst);
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
  functions_note(worst, s, &ABA, &A, dense_norm(&A) * condition, "ABA");
  functions_note(worst, s, &BAB, B, dense_norm(B) * condition, "BAB");
  functions_note(worst, s, &ABh, &AB, condition * dense_norm(&A) * dense_norm(B), "AB");
  functions_note(worst, s, &BAh, &BA, condition * dense_norm(&A) * dense_norm(B), "BA");
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
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_UVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  LOCAL(dense) Y = functions_value_of(&x, SVDGRAD_FUNCTION_INVERSE, cut);
  LOCAL(dense) gA = functions_gradient(&x);
  LOCAL(dense) B = dense_conjugate_transpose(&Y);
  LOCAL(dense) exact = pseudo_inverse_gradient(&A, &B, &gY);
  const long double condition = condition_of(&x, cut) * sqrtl((long double)settings_larger(s));
  check_penrose(s, &x, &B, condition, worst);
  functions_note(worst, s, &gA, &exact, condition * dense_norm(&B) * dense_norm(&B) * dense_norm(&gY), "gA");
  cr_expect_eq(x.f.report[0].flags, 0);
}

Test(function_identities, inverse_is_the_pseudo_inverse) {
  static const spectrum_t spectra[] = {SPECTRUM_NORMAL,   SPECTRUM_LINEAR, SPECTRUM_DEFICIENT, SPECTRUM_ONES,
                                       SPECTRUM_REPEATED, SPECTRUM_ZERO,   SPECTRUM_IDENTITY};
  worst_t worst = worst_make("function inverse");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_inverse, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- V f(S) Vh ---- */

/* POWER 1 is the root of A^H A, POWER 2 that itself; its U may be absent. */
static void check_root(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_VVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) AhA = dense_h_product(&A, &A);
  LOCAL(dense) root = functions_value_of(&x, SVDGRAD_FUNCTION_POWER, 1);
  LOCAL(dense) squared = dense_product(&root, &root);
  LOCAL(dense) square = functions_value_of(&x, SVDGRAD_FUNCTION_POWER, 2);
  const long double scale = dense_norm(&A) * dense_norm(&A) * sqrtl((long double)settings_larger(s));
  functions_note(worst, s, &squared, &AhA, scale, "root");
  functions_note(worst, s, &square, &AhA, scale, "square");
  cr_assert_eq(functions_run(&x, SVDGRAD_OP_MATRIX_FUNCTION, ABSENT(OPERAND_U), 1, 0), SVDGRAD_STATUS_SUCCESS);
  LOCAL(dense) without_U = buffer_load(&x.Y, 0);
  cr_expect(dense_distance(&without_U, &square) == 0);
}

Test(function_identities, root_of_the_gram_matrix) {
  worst_t worst = worst_make("function root");
  settings_for_each_hard(check_root, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* The gradient of A^H A is 2 A herm(gY), whatever A is. */
static void check_square_gradient(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_VVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) gY = buffer_load(&x.gY, 0);
  LOCAL(dense) G = dense_hermitian_part(&gY);
  LOCAL(dense) AG = dense_product(&A, &G);
  LOCAL(dense) exact = dense_sum(2, &AG, 0, &AG);
  functions_set(&x, SVDGRAD_FUNCTION_POWER, 2);
  LOCAL(dense) gA = functions_gradient(&x);
  functions_note(worst, s, &gA, &exact, sqrtl((long double)settings_larger(s)) * dense_norm(&A) * dense_norm(&gY), "");
}

Test(function_identities, gradient_of_the_gram_matrix) {
  worst_t worst = worst_make("function gram gradient");
  settings_for_each_hard(check_square_gradient, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* INVERSE whitens: A Y has orthonormal columns if A has full column rank. */
static void check_whitening(const setting_t *s, worst_t *worst) {
  if (s->m < s->n)
    return;
  LOCAL(functions) x = functions_start(s, SVDGRAD_FORM_VVH, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) Y = functions_value_of(&x, SVDGRAD_FUNCTION_INVERSE, 0);
  LOCAL(dense) white = dense_product(&A, &Y);
  LOCAL(dense) gram = dense_h_product(&white, &white);
  LOCAL(dense) exact = dense_identity(s->n, s->n);
  functions_note(worst, s, &gram, &exact, condition_of(&x, 0) * sqrtl((long double)settings_larger(s)), "");
}

Test(function_identities, inverse_root_whitens) {
  worst_t worst = worst_make("function whitening");
  settings_for_each_separated(check_whitening, &worst);
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
  LOCAL(dense) Y = functions_value(x);
  LOCAL(dense) gA = functions_gradient(x);
  for (int p = -most; p <= most; p += most / 2) {
    LOCAL(dense) scaled_S = dense_sum(ldexpl(1, p), &S, 0, &S);
    buffer_store(&x->f.S, 0, &scaled_S);
    x->function.param = has_units ? ldexp(param, p) : param;
    LOCAL(dense) scaled_Y = functions_value(x);
    LOCAL(dense) scaled_gA = functions_gradient(x);
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
    LOCAL(functions) x = functions_start(s, form, 0);
    const functions_split_t split = functions_split(&x);
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
      functions_set(&x, functions[i].kind, functions[i].param);
      check_scale_of(s, &x, functions[i].degree, functions[i].has_units, worst);
    }
  }
}

Test(function_identities, powers_of_two_are_exact) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("function powers of two");
  settings_for_each(spectra, 1, check_scale, &worst);
  cr_assert(worst_within(&worst, 0));
}
