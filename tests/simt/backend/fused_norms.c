/* SPDX-License-Identifier: BSD-3-Clause */
/* A norm with its gradient is one launch without workspace where a thread or lanes of a warp solve a matrix, several with
 * one everywhere else, and both ways agree; it says what did not converge. */
#include "functions.h"
#include "settings.h"
#include "simt_test.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

typedef struct cost {
  unsigned long launches;
  size_t workspace;
} cost_t;

static cost_t cost_of(svdgrad_op_t op, const svdgrad_desc_t *desc) {
  cost_t cost;
  LOCAL(functions) x = functions_make(SVDGRAD_BACKEND_CUDA, desc, SVDGRAD_FORM_UVH, LAYOUT_ROW_PADDED);
  for (int64_t b = 0; b < desc->batch_count; b++)
    functions_fill(&x, b, (uint64_t)b + 1);
  x.norm = SVDGRAD_NORM_NUCLEAR;
  cr_assert_eq(svdgrad_workspace_size(x.f.handle, op, desc, &cost.workspace), SVDGRAD_STATUS_SUCCESS);
  const unsigned long before = simt_launches();
  cr_assert_eq(functions_run(&x, op, 0, 1, 0.5), SVDGRAD_STATUS_SUCCESS);
  cost.launches = simt_launches() - before;
  return cost;
}

static svdgrad_desc_t describe(svdgrad_dtype_t dtype, int64_t m, int64_t n, svdgrad_algo_t algo) {
  svdgrad_desc_t desc = make_desc(dtype, m, n, 2);
  desc.algo = algo;
  return desc;
}

static int64_t most_rows(svdgrad_dtype_t dtype) { return dtype == SVDGRAD_C128 ? 16 : 32; }

Test(fused_norms, one_launch_and_no_workspace) {
  static const test_shape_t shapes[] = {{1, 1}, {3, 3},   {4, 2},   {2, 4},   {8, 8},   {5, 12},
                                        {9, 5}, {16, 16}, {17, 20}, {24, 24}, {32, 32}, {32, 6}};
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
      for (svdgrad_algo_t algo = SVDGRAD_ALGO_AUTO; algo <= SVDGRAD_ALGO_JACOBI; algo++) {
        const svdgrad_desc_t desc = describe(dtype, shapes[i].m, shapes[i].n, algo);
        if (desc.m > most_rows(dtype) || desc.n > most_rows(dtype))
          continue;
        const cost_t cost = cost_of(SVDGRAD_OP_NORM_GRADIENT, &desc);
        cr_expect(cost.launches == 1 && cost.workspace == 0);
      }
}

static void expect_steps(svdgrad_op_t op, const svdgrad_desc_t *desc) {
  const cost_t cost = cost_of(op, desc);
  cr_expect(cost.launches > 2 && cost.workspace > 0);
}

/* cuSOLVER, rows that go through QR first, a block per matrix, the policy that needs null vectors, values alone. */
Test(fused_norms, all_others_in_steps) {
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
    const int64_t beyond = most_rows(dtype) + 1;
    const svdgrad_desc_t others[] = {
        describe(dtype, 3, 3, SVDGRAD_ALGO_VENDOR),    describe(dtype, 8, 8, SVDGRAD_ALGO_VENDOR),
        describe(dtype, 5, 3, SVDGRAD_ALGO_AUTO),      describe(dtype, beyond, 8, SVDGRAD_ALGO_AUTO),
        describe(dtype, 8, beyond, SVDGRAD_ALGO_AUTO), describe(dtype, beyond, beyond, SVDGRAD_ALGO_AUTO)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
      expect_steps(SVDGRAD_OP_NORM_GRADIENT, &others[i]);
    svdgrad_desc_t desc = describe(dtype, 8, 8, SVDGRAD_ALGO_AUTO);
    expect_steps(SVDGRAD_OP_NORM, &desc);
    desc.gap_policy = SVDGRAD_GAP_EXACT;
    expect_steps(SVDGRAD_OP_NORM_GRADIENT, &desc);
  }
}

Test(fused_norms, too_few_sweeps_show_in_info) {
  static const test_shape_t shapes[] = {{4, 3}, {8, 8}, {9, 12}};
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
      svdgrad_desc_t desc = make_desc(dtype, shapes[i].m, shapes[i].n, 1);
      desc.max_sweeps = 1;
      LOCAL(functions) x = functions_make(SVDGRAD_BACKEND_CUDA, &desc, SVDGRAD_FORM_UVH, LAYOUT_ROW_MAJOR);
      functions_fill(&x, 0, 1);
      cr_assert_eq(functions_run(&x, SVDGRAD_OP_NORM_GRADIENT, 0, 1, 0), SVDGRAD_STATUS_SUCCESS);
      cr_expect_eq(x.f.info[0], SVDGRAD_INFO_NOT_CONVERGED);
    }
}

typedef struct norm_case {
  svdgrad_norm_kind_t kind;
  double p;
} norm_case_t;
static const norm_case_t norms[] = {{SVDGRAD_NORM_NUCLEAR, 0},     {SVDGRAD_NORM_SPECTRAL, 0},
                                    {SVDGRAD_NORM_SCHATTEN, 0.5},  {SVDGRAD_NORM_SCHATTEN, 3.5},
                                    {SVDGRAD_NORM_SCHATTEN, 40.0}, {SVDGRAD_NORM_LOG_DETERMINANT, 0}};
enum { NORM_COUNT = sizeof norms / sizeof *norms };

/* The value, and alpha g (gradient) + beta gA.  EXACT takes the steps; without small values it is like DEFAULT. */
static dense_t run(functions_t *x, svdgrad_gap_policy_t policy, const dense_t *gA, long double *value) {
  buffer_store(&x->f.gA, 0, gA);
  x->f.desc.gap_policy = policy;
  cr_assert_eq(functions_run(x, SVDGRAD_OP_NORM_GRADIENT, 0, -1.5, 0.25), SVDGRAD_STATUS_SUCCESS);
  cr_assert(x->f.intact && x->f.info[0] == SVDGRAD_INFO_OK);
  *value = creall(buffer_get(&x->value, 0, 0, 0));
  return buffer_load(&x->f.gA, 0);
}

static void check_ways(const setting_t *s, worst_t *worst) {
  if (s->m > most_rows(s->dtype) || s->n > most_rows(s->dtype))
    return;
  const svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, 1);
  LOCAL(functions) x = functions_make(s->backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_ROW_PADDED);
  LOCAL(dense) A = settings_matrix(s);
  functions_fill(&x, 0, 7);
  buffer_store(&x.f.A, 0, &A);
  LOCAL(dense) before = buffer_load(&x.f.gA, 0);
  for (int i = 0; i < NORM_COUNT; i++) {
    long double value, exact_value;
    x.norm = norms[i].kind;
    x.p = norms[i].p;
    LOCAL(dense) gA = run(&x, SVDGRAD_GAP_DEFAULT, &before, &value);
    LOCAL(dense) exact = run(&x, SVDGRAD_GAP_EXACT, &before, &exact_value);
    LOCAL(dense) difference = dense_sum(1, &gA, -1, &exact);
    char what[48];
    (void)snprintf(what, sizeof what, "norm %d p %g", (int)norms[i].kind, norms[i].p);
    const double epsilon = dtype_epsilon(s->dtype);
    settings_note(worst, s, ratio_of(dense_norm(&difference), dense_norm(&exact) * epsilon), what);
    settings_note(worst, s, ratio_of(fabsl(value - exact_value), fabsl(exact_value) * epsilon), what);
  }
}

Test(fused_norms, agree_with_the_steps) {
  static const spectrum_t spectra[] = {SPECTRUM_NORMAL, SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_IDENTITY};
  worst_t worst = worst_make("fused norms");
  settings_for_each(spectra, sizeof spectra / sizeof *spectra, check_ways, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}
