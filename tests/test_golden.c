/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD and its backward pass against golden vectors: singular values and gradients of small matrices, computed with
 * 80 digits (vectors/generate.py), on every backend and type that can hold a case. */
#include "golden.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* Element i of a golden array. */
static z_t golden_at(const golden_t *g, const double *array, int64_t i) {
  return g->is_complex ? CMPLXL(array[2 * i], array[2 * i + 1]) : (z_t)array[i];
}

static void fill(const buffer_t *buffer, const golden_t *g, const double *array) {
  for (int64_t i = 0; i < buffer->rows && array; i++)
    for (int64_t j = 0; j < buffer->cols; j++)
      buffer_set(buffer, 0, i, j, golden_at(g, array, i * buffer->cols + j));
}

static void fill_real(const buffer_t *buffer, const double *array) {
  for (int64_t i = 0; i < buffer->rows && array; i++)
    buffer_set(buffer, 0, i, 0, array[i]);
}

static long double norm_of(const buffer_t *buffer, int given) {
  if (!given)
    return 0;
  dense_t A = buffer_load(buffer, 0);
  const long double norm = dense_norm(&A);
  dense_free(&A);
  return norm;
}

static fixture_t fixture_of(const golden_t *g, svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  svdgrad_desc_t desc = make_desc(dtype, g->m, g->n, 1);
  desc.rank = g->rank;
  desc.full_matrices = g->full_matrices;
  desc.gap_policy = (svdgrad_gap_policy_t)g->gap_policy;
  desc.gap_param = g->gap_param;
  fixture_t f = fixture_make(backend, &desc, LAYOUT_ROW_MAJOR);
  fill(&f.A, g, g->A);
  return f;
}

/* One-sided Jacobi computes small singular values of badly scaled columns to full relative accuracy, if their squares
 * relative to that of the largest one do not underflow; in the wider type of the reference they never do.  LAPACK's
 * gesdd has no such accuracy. */
static int keeps_small_values(const fixture_t *f, double value) {
  const char *name = svdgrad_algorithm_name(f->handle, SVDGRAD_OP_SVD, &f->desc);
  const double least = dtype_real(f->desc.dtype) == SVDGRAD_F32 ? 0x1p-64 : 0x1p-640;
  return strstr(name, "jacobi") && (value > least || strstr(name, "reference"));
}

static void check_forward(const golden_t *g, svdgrad_backend_t backend, svdgrad_dtype_t dtype, worst_t *absolute,
                          worst_t *relative) {
  fixture_t f = fixture_of(g, backend, dtype);
  const double eps = dtype_epsilon(dtype);
  cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert_eq(f.info[0], SVDGRAD_INFO_OK);
  for (int64_t i = 0; i < f.S.rows; i++) {
    const long double error = fabsl(creall(buffer_get(&f.S, 0, i, 0)) - g->S[i]);
    worst_note(absolute, ratio_of(error, (long double)g->S[0] * eps * (long double)f.S.rows), "%s %s %s",
               backend_name(backend), dtype_name(dtype), g->name);
    if (g->relative_S && keeps_small_values(&f, (double)g->S[i] / (double)g->S[0]))
      worst_note(relative, ratio_of(error, (long double)g->S[i] * eps), "%s %s %s", backend_name(backend),
                 dtype_name(dtype), g->name);
  }
  fixture_free(&f);
}

static void check_backward(const golden_t *g, svdgrad_backend_t backend, svdgrad_dtype_t dtype, worst_t *worst) {
  fixture_t f = fixture_of(g, backend, dtype);
  fill_real(&f.S, g->S);
  fill(&f.U, g, g->U);
  fill(&f.Vh, g, g->Vh);
  fill_real(&f.gS, g->gS);
  fill(&f.gU, g, g->gU);
  fill(&f.gVh, g, g->gVh);
  const int with = (g->gS ? WITH_GS : 0) | (g->gU ? WITH_GU : 0) | (g->gVh ? WITH_GVH : 0);
  cr_assert_eq(fixture_backward(&f, with, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(f.intact);
  dense_t gA = buffer_load(&f.gA, 0);
  fill(&f.gA, g, g->gA);
  dense_t exact = buffer_load(&f.gA, 0), error = dense_sum(1, &gA, -1, &exact);
  const long double vectors = norm_of(&f.gU, g->gU != NULL) + norm_of(&f.gVh, g->gVh != NULL);
  const long double scale =
      dense_norm(&exact) + norm_of(&f.gS, g->gS != NULL) + (g->S[0] > 0 ? vectors / (long double)g->S[0] : 0);
  worst_note(worst, ratio_of(dense_norm(&error), scale * dtype_epsilon(dtype) * g->condition), "%s %s %s",
             backend_name(backend), dtype_name(dtype), g->name);
  dense_free(&gA);
  dense_free(&exact);
  dense_free(&error);
  fixture_free(&f);
}

Test(golden, singular_values) {
  worst_t absolute = worst_make("golden S"), relative = worst_make("golden S relative");
  for (int c = 0; c < golden_case_count; c++)
    for (int b = 0; b < test_backend_count; b++)
      for (int d = golden_cases[c].is_complex ? SVDGRAD_C64 : SVDGRAD_F32; d <= SVDGRAD_C128; d++)
        check_forward(&golden_cases[c], test_backends[b], (svdgrad_dtype_t)d, &absolute, &relative);
  cr_expect(worst_within(&absolute, RATIO_LIMIT));
  cr_expect(worst_within(&relative, RATIO_LIMIT));
}

/* A float cannot tell a gap from a tie where eps * condition is not small: those cases are for double alone. */
Test(golden, gradients) {
  worst_t worst = worst_make("golden gA");
  for (int c = 0; c < golden_case_count; c++)
    for (int b = 0; b < test_backend_count; b++)
      for (int d = golden_cases[c].is_complex ? SVDGRAD_C64 : SVDGRAD_F32; d <= SVDGRAD_C128; d++)
        if (golden_cases[c].gA && dtype_epsilon((svdgrad_dtype_t)d) * golden_cases[c].condition < 0.1)
          check_backward(&golden_cases[c], test_backends[b], (svdgrad_dtype_t)d, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}
