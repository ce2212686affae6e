/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of the singular values are right, and so are their gradients: by the formula evaluated in long double, by
 * what the functions are to each other and to A, and by finite differences; at ties as everywhere else.  Errors are in
 * units of eps times the largest quotient that enters. */
#include "functions.h"
#include "random.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <math.h>
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

/* Y = A and gA = gY, to a few eps whatever A is: nothing is divided, nothing dropped. */
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

enum { IDENTITY_LIMIT = 8 };

Test(functions, power_one_is_the_identity) {
  static const spectrum_t edges[] = {SPECTRUM_LINEAR, SPECTRUM_SMALL, SPECTRUM_LARGE};
  worst_t worst = worst_make("function identity");
  settings_for_each_hard(check_identity, &worst);
  settings_for_each(edges, sizeof edges / sizeof *edges, check_identity, &worst);
  cr_assert(worst_within(&worst, IDENTITY_LIMIT));
}
