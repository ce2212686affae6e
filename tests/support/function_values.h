/* SPDX-License-Identifier: BSD-3-Clause */
/* Value and gradient of a function of the singular values of one matrix, as several tests compare them. */
#ifndef TEST_FUNCTION_VALUES_H
#define TEST_FUNCTION_VALUES_H
#include "functions.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* A of the setting, its factors, and random cotangents. */
static inline functions_t functions_start(const setting_t *s, svdgrad_form_t form, int full_matrices) {
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

static inline void functions_set(functions_t *x, svdgrad_function_kind_t kind, double param) {
  x->function.kind = kind;
  x->function.param = param;
}

/* Y, and below gA, of the function that is set. */
static inline dense_t functions_value(functions_t *x) {
  cr_assert_eq(functions_run(x, SVDGRAD_OP_MATRIX_FUNCTION, 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  cr_assert(x->f.intact);
  return buffer_load(&x->Y, 0);
}

static inline dense_t functions_gradient(functions_t *x) {
  cr_assert_eq(functions_run(x, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  cr_assert(x->f.intact);
  return buffer_load(&x->f.gA, 0);
}

static inline dense_t functions_value_of(functions_t *x, svdgrad_function_kind_t kind, double param) {
  functions_set(x, kind, param);
  return functions_value(x);
}

/* |computed - exact|_F / (scale eps) */
static inline void functions_note(worst_t *worst, const setting_t *s, const dense_t *computed, const dense_t *exact,
                                  long double scale, const char *what) {
  settings_note(worst, s, ratio_of(dense_distance(computed, exact), scale * dtype_epsilon(s->dtype)), what);
}

/* Where the values have a gap, if possible in their middle: how many are above it, its own middle, and how wide it is
 * relative to s_1. */
typedef struct functions_split {
  int64_t rank;
  double threshold, gap;
} functions_split_t;

static inline functions_split_t functions_split(const functions_t *x) {
  const int64_t k = x->f.S.rows;
  long double *s = load_S(&x->f, 0);
  functions_split_t split = {k, 0, 1}; /* of the zero matrix */
  for (int64_t i = 0; i < k && s[0] > 0; i++) {
    const int64_t rank = ((k + 1) / 2 + i - 1) % k + 1;
    const long double above = s[rank - 1], below = s[rank];
    split = (functions_split_t){rank, (double)((above + below) / 2), (double)((above - below) / s[0])};
    if (split.gap > 0.01)
      break;
  }
  free(s);
  return split;
}

/* CUSTOM with F(s) = s^4 / 4, f = F' = s^3. */
static inline void functions_set_cube(functions_t *x) {
  functions_set(x, SVDGRAD_FUNCTION_CUSTOM, 0);
  for (int64_t i = 0; i < x->f.S.rows; i++) {
    const long double s = creall(buffer_get(&x->f.S, 0, i, 0));
    buffer_set(&x->values, 0, i, 0, s * s * s);
    buffer_set(&x->derivatives, 0, i, 0, 3 * s * s);
  }
}

#endif
