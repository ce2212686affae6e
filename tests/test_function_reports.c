/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports and gap policies of the gradients of functions: of diagonal matrices, whose numbers can be written down. */
#include "function_values.h"

#include <criterion/criterion.h>
#include <math.h>

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

Test(function_reports, reports) {
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
      functions_set(&x, cases[i].kind, cases[i].param);
      LOCAL(dense) gA = functions_gradient(&x);
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
Test(function_reports, policies) {
  static const double s[] = {4, 0, 0}, tied[] = {4, 1, 1};
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) zeros = diagonal(test_backends[b], s, SVDGRAD_FORM_UVH);
    LOCAL(functions) cut = diagonal(test_backends[b], tied, SVDGRAD_FORM_UVH);
    functions_set(&cut, SVDGRAD_FUNCTION_RANK, 2);
    LOCAL(dense) polar = functions_value_of(&zeros, SVDGRAD_FUNCTION_POLAR, 0);
    LOCAL(dense) gA = functions_gradient(&zeros);
    for (int policy = SVDGRAD_GAP_DEFAULT; policy <= SVDGRAD_GAP_LORENTZ; policy++) {
      zeros.f.desc.gap_policy = cut.f.desc.gap_policy = (svdgrad_gap_policy_t)policy;
      zeros.f.desc.gap_param = 0.5;
      LOCAL(dense) under_policy = functions_gradient(&zeros);
      LOCAL(dense) of_cut = functions_gradient(&cut);
      const int exact = policy == SVDGRAD_GAP_EXACT;
      cr_expect(exact ? !isfinite((double)dense_norm(&under_policy)) : dense_distance(&under_policy, &gA) == 0,
                "policy %d", policy);
      cr_expect(exact == !isfinite((double)dense_norm(&of_cut)), "policy %d", policy);
      cr_expect(exact == !zeros.f.report[0].dropped_pairs);
    }
  }
}

/* Negative powers of values <= 4 eps s_1 are 0, but for EXACT. */
Test(function_reports, negative_power_of_zero) {
  static const double s[] = {4, 2, 0};
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = diagonal(test_backends[b], s, SVDGRAD_FORM_UVH);
    LOCAL(dense) Y = functions_value_of(&x, SVDGRAD_FUNCTION_POWER, -1);
    cr_expect(creall(Y.at[0]) == 0.25L && creall(Y.at[4]) == 0.5L && creall(Y.at[8]) == 0);
    LOCAL(dense) gA = functions_gradient(&x);
    cr_expect(isfinite((double)dense_norm(&gA)));
    x.f.desc.gap_policy = SVDGRAD_GAP_EXACT;
    LOCAL(dense) exact = functions_value(&x);
    cr_expect(!isfinite((double)dense_norm(&exact)));
  }
}
