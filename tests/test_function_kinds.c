/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of the singular values, continued: SIGN, thresholds in units of s_1, null_value, the nearest special
 * unitary matrix.  They are tested by identities between them and with A, and by finite differences.  Errors are in
 * units of eps unless a comment says otherwise. */
#include "functions.h"
#include "random.h"
#include "settings.h"

#include <complex.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>

typedef struct shape_of_test {
  int64_t m, n;
} shape_of_test_t;
static const shape_of_test_t shapes[] = {{1, 1}, {2, 2}, {3, 3}, {5, 3}, {3, 5}, {8, 8}, {4, 9}, {20, 17}};

static functions_t start(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, svdgrad_form_t form,
                         const dense_t *A) {
  svdgrad_desc_t desc = make_desc(dtype, m, n, 1);
  functions_t x = functions_make(backend, &desc, form, LAYOUT_COLUMN_MAJOR);
  functions_fill(&x, 0, 7);
  buffer_store(&x.f.A, 0, A);
  cr_assert_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  return x;
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

static setting_t setting_of(const functions_t *x, int64_t m, int64_t n) {
  return (setting_t){x->f.backend, x->f.desc.dtype, SPECTRUM_NORMAL, m, n};
}

typedef void (*check_t)(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, worst_t *worst);

static void for_each(check_t check, worst_t *worst) {
  for (int b = 0; b < test_backend_count; b++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check(test_backends[b], dtype, shapes[i].m, shapes[i].n, worst);
}

static dense_t normal(int64_t m, int64_t n, svdgrad_dtype_t dtype, uint64_t seed) {
  random_t random = random_seed(seed);
  return random_matrix(&random, m, n, dtype_is_complex(dtype));
}

/* ---- finite differences, f64 and c128 ---- */

/* CUSTOM: f(s) = 1 / sqrt(s^2 + 1/2), with f(0) for the null space: whitening with epsilon. */
static void set_whitening(functions_t *x) {
  x->function.kind = SVDGRAD_FUNCTION_CUSTOM;
  x->function.null_value = x->function.form == SVDGRAD_FORM_VVH ? sqrt(2) : 0;
  for (int64_t i = 0; i < x->f.S.rows; i++) {
    const long double s = creall(buffer_get(&x->f.S, 0, i, 0)), f = 1 / sqrtl(s * s + 0.5L);
    buffer_set(&x->values, 0, i, 0, f);
    buffer_set(&x->derivatives, 0, i, 0, -s * f * f * f);
  }
}

static void move(functions_t *x, const dense_t *A, const dense_t *dA, long double step) {
  LOCAL(dense) moved = dense_sum(1, A, step, dA);
  buffer_store(&x->f.A, 0, &moved);
  cr_assert_eq(fixture_forward(&x->f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  if (x->function.kind == SVDGRAD_FUNCTION_CUSTOM)
    set_whitening(x);
}

/* |<gA, dA> - <gY, dY>| over the size of the terms. */
static void check_difference(functions_t *x, worst_t *worst) {
  const long double h = 1e-5L;
  LOCAL(dense) A = buffer_load(&x->f.A, 0);
  LOCAL(dense) dA = buffer_load(&x->dA, 0);
  LOCAL(dense) gY = buffer_load(&x->gY, 0);
  LOCAL(dense) gA = gradient(x);
  move(x, &A, &dA, h);
  LOCAL(dense) after = value(x);
  move(x, &A, &dA, -h);
  LOCAL(dense) before = value(x);
  move(x, &A, &dA, 0);
  LOCAL(dense) dY = dense_sum(1 / (2 * h), &after, -1 / (2 * h), &before);
  const long double error = fabsl(dense_inner(&gA, &dA) - dense_inner(&gY, &dY));
  const setting_t s = setting_of(x, x->f.desc.m, x->f.desc.n);
  char what[80];
  (void)snprintf(what, sizeof what, "kind %d form %d param %g relative %d null %g", (int)x->function.kind,
                 (int)x->function.form, x->function.param, (int)x->function.relative, x->function.null_value);
  settings_note(worst, &s, ratio_of(error, dense_norm(&gA) * dense_norm(&dA) + dense_norm(&gY) * (1 + dense_norm(&dY))),
                what);
}

static void check_differences(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, worst_t *worst) {
  static const struct {
    svdgrad_function_kind_t kind;
    double param;
    int relative;
  } functions[] = {
      {SVDGRAD_FUNCTION_SIGN, 0, 0},
      {SVDGRAD_FUNCTION_SIGN, 0.43, 0},
      {SVDGRAD_FUNCTION_SOFT_THRESHOLD, 0.43, 1},
      {SVDGRAD_FUNCTION_SOFT_THRESHOLD, 1.5, 1},
      {SVDGRAD_FUNCTION_HARD_THRESHOLD, 0.43, 1},
      {SVDGRAD_FUNCTION_CLIP, 0.43, 1},
      {SVDGRAD_FUNCTION_CLIP, 1.5, 1},
      {SVDGRAD_FUNCTION_POWER, 2, 0},
  };
  if (dtype_real(dtype) == SVDGRAD_F32)
    return;
  LOCAL(dense) A = normal(m, n, dtype, (uint64_t)(17 * m + n));
  for (svdgrad_form_t form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH; form++) {
    LOCAL(functions) x = start(backend, dtype, m, n, form, &A);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
      x.function.kind = functions[i].kind;
      x.function.param = functions[i].param;
      x.function.relative = functions[i].relative;
      x.function.null_value = form == SVDGRAD_FORM_VVH ? 0.7 : 0;
      check_difference(&x, worst);
    }
    x.function.relative = 0;
    set_whitening(&x);
    check_difference(&x, worst);
  }
  if (m != n || !dtype_is_complex(dtype))
    return;
  LOCAL(functions) x = start(backend, dtype, m, n, SVDGRAD_FORM_UVH, &A);
  x.function.kind = SVDGRAD_FUNCTION_ROTATION;
  check_difference(&x, worst);
}

Test(function_kinds, central_differences) {
  worst_t worst = worst_make("function kinds, differences");
  for_each(check_differences, &worst);
  cr_assert(worst_within(&worst, 1e-6));
}

/* ---- SIGN ---- */

/* For A of rank r, Y = U_r V_r^H; the null space affects neither Y nor its gradient. */
static void check_sign(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, worst_t *worst) {
  const int64_t k = m < n ? m : n, r = k / 2;
  random_t random = random_seed(5);
  LOCAL(dense) U = random_orthonormal(&random, m, k, dtype_is_complex(dtype));
  LOCAL(dense) V = random_orthonormal(&random, n, k, dtype_is_complex(dtype));
  LOCAL(dense) Ur = dense_columns(&U, 0, r);
  LOCAL(dense) Vr = dense_columns(&V, 0, r);
  LOCAL(dense) exact = dense_product_h(&Ur, &Vr);
  for (int64_t j = 0; j < r; j++)
    for (int64_t i = 0; i < m; i++)
      Ur.at[j * m + i] *= 1 + j;
  LOCAL(dense) A = dense_product_h(&Ur, &Vr);
  LOCAL(functions) x = start(backend, dtype, m, n, SVDGRAD_FORM_UVH, &A);
  const setting_t s = setting_of(&x, m, n);
  x.function.kind = SVDGRAD_FUNCTION_SIGN;
  LOCAL(dense) Y = value(&x);
  LOCAL(dense) gA = gradient(&x);
  const long double unit = dtype_epsilon(dtype) * (long double)(m + n);
  settings_note(worst, &s, ratio_of(dense_distance(&Y, &exact), unit), "Y of low rank");
  cr_expect(dense_norm(&gA) <= 1e3L * (long double)(m + n), "no derivative of the null space: %Lg", dense_norm(&gA));
  LOCAL(dense) zero = dense_zero(m, n);
  buffer_store(&x.f.A, 0, &zero);
  cr_assert_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  LOCAL(dense) Y0 = value(&x);
  LOCAL(dense) g0 = gradient(&x);
  cr_expect(dense_norm(&Y0) == 0 && dense_norm(&g0) == 0, "the zero matrix has sign and gradient 0");
}

Test(function_kinds, sign_is_zero_where_A_is) {
  worst_t worst = worst_make("function sign");
  for_each(check_sign, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- thresholds in units of s_1 ---- */

/* The values are those of the threshold tau s_1, and scale with A. */
static void check_relative(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, worst_t *worst) {
  static const svdgrad_function_kind_t kinds[] = {SVDGRAD_FUNCTION_SOFT_THRESHOLD, SVDGRAD_FUNCTION_HARD_THRESHOLD,
                                                  SVDGRAD_FUNCTION_CLIP};
  LOCAL(dense) A = normal(m, n, dtype, 3);
  LOCAL(functions) x = start(backend, dtype, m, n, SVDGRAD_FORM_UVH, &A);
  const setting_t s = setting_of(&x, m, n);
  const double s1 = (double)creall(buffer_get(&x.f.S, 0, 0, 0));
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    x.function.kind = kinds[i], x.function.param = 0.3 * s1, x.function.relative = 0;
    LOCAL(dense) absolute = value(&x);
    x.function.param = 0.3, x.function.relative = 1;
    LOCAL(dense) relative = value(&x);
    settings_note(worst, &s, ratio_of(dense_distance(&absolute, &relative), dtype_epsilon(dtype) * s1),
                  "relative threshold");
  }
}

Test(function_kinds, relative_thresholds_count_in_units_of_the_first_value) {
  worst_t worst = worst_make("function relative");
  for_each(check_relative, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- the null space ---- */

/* Y (A^H A + I / 2) Y = I for the whitening matrix Y, also of wide A. */
static void check_whitening(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, worst_t *worst) {
  LOCAL(dense) random = normal(m, n, dtype, 4);
  LOCAL(functions) x = start(backend, dtype, m, n, SVDGRAD_FORM_VVH, &random);
  const setting_t s = setting_of(&x, m, n);
  set_whitening(&x);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) identity = dense_identity(n, n);
  LOCAL(dense) gram = dense_h_product(&A, &A);
  LOCAL(dense) covariance = dense_sum(1, &gram, 0.5L, &identity);
  LOCAL(dense) Y = value(&x);
  LOCAL(dense) left = dense_product(&Y, &covariance);
  LOCAL(dense) white = dense_product(&left, &Y);
  const long double s1 = creall(buffer_get(&x.f.S, 0, 0, 0));
  settings_note(worst, &s,
                ratio_of(dense_distance(&white, &identity), dtype_epsilon(dtype) * (double)(n + m) * (s1 * s1 + 1)),
                "whitening");
}

Test(function_kinds, whitening_with_epsilon) {
  worst_t worst = worst_make("function whitening");
  for_each(check_whitening, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- ROTATION of complex types ---- */

static z_t determinant(const dense_t *A) {
  LOCAL(dense) X = dense_copy(A);
  const int64_t n = X.n;
  z_t product = 1;
  for (int64_t p = 0; p < n; p++) {
    int64_t pivot = p;
    for (int64_t i = p + 1; i < n; i++)
      pivot = cabsl(X.at[p * n + i]) > cabsl(X.at[p * n + pivot]) ? i : pivot;
    for (int64_t j = 0; j < n && pivot != p; j++) {
      const z_t t = X.at[j * n + p];
      X.at[j * n + p] = X.at[j * n + pivot];
      X.at[j * n + pivot] = t;
    }
    product *= X.at[p * n + p] * (pivot == p ? 1 : -1);
    for (int64_t i = p + 1; i < n; i++) {
      const z_t factor = X.at[p * n + i] / X.at[p * n + p];
      for (int64_t j = p; j < n; j++)
        X.at[j * n + i] -= factor * X.at[j * n + p];
    }
  }
  return product;
}

/* Y is unitary with determinant 1, and Y^H A is Hermitian but for a multiple of i: the condition of a stationary
 * trace. */
static void note_rotation(functions_t *x, worst_t *worst, const char *what) {
  const int64_t n = x->f.desc.n;
  const setting_t s = setting_of(x, n, n);
  LOCAL(dense) A = buffer_load(&x->f.A, 0);
  LOCAL(dense) Y = value(x);
  LOCAL(dense) identity = dense_identity(n, n);
  LOCAL(dense) gram = dense_h_product(&Y, &Y);
  LOCAL(dense) H = dense_h_product(&Y, &A);
  const long double unit = dtype_epsilon(s.dtype) * (double)n, norm = dense_norm(&A);
  long double skew = 0;
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < n; i++) {
      const z_t part = (H.at[j * n + i] - conjl(H.at[i * n + j])) / 2;
      const z_t multiple = i == j ? (H.at[0] - conjl(H.at[0])) / 2 : 0;
      skew = fmaxl(skew, cabsl(part - multiple));
    }
  settings_note(worst, &s, ratio_of(dense_distance(&gram, &identity), unit), what);
  settings_note(worst, &s, ratio_of(cabsl(determinant(&Y) - 1), unit), what);
  settings_note(worst, &s, ratio_of(skew, unit * norm), what);
}

/* No special unitary matrix is nearer: Y times diagonal and random ones with determinant 1. */
static void expect_nearest(functions_t *x) {
  const int64_t n = x->f.desc.n;
  random_t random = random_seed(11);
  LOCAL(dense) A = buffer_load(&x->f.A, 0);
  LOCAL(dense) Y = value(x);
  const long double best = dense_inner(&Y, &A), unit = dtype_epsilon(x->f.desc.dtype) * (double)n * dense_norm(&A);
  for (int trial = 0; trial < 200; trial++) {
    LOCAL(dense) Q = random_orthonormal(&random, n, n, 1);
    LOCAL(dense) turned = dense_copy(&Q);
    const long double angle = trial < 100 ? 0.1L : 3;
    long double sum = 0;
    for (int64_t j = 0; j < n; j++) {
      const long double theta = j + 1 < n ? angle * (long double)random_normal(&random) : -sum;
      sum += theta;
      for (int64_t i = 0; i < n; i++)
        turned.at[j * n + i] *= cosl(theta) + I * sinl(theta);
    }
    LOCAL(dense) unitary = dense_product_h(&turned, &Q);
    LOCAL(dense) other = dense_product(&Y, &unitary);
    cr_expect(dense_inner(&other, &A) <= best + 10 * unit, "%s n = %d: %Lg is above %Lg", dtype_name(x->f.desc.dtype),
              (int)n, dense_inner(&other, &A), best);
  }
}

static void check_rotation(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, worst_t *worst) {
  if (m != n || !dtype_is_complex(dtype))
    return;
  LOCAL(dense) A = normal(n, n, dtype, 9);
  LOCAL(functions) x = start(backend, dtype, n, n, SVDGRAD_FORM_UVH, &A);
  x.function.kind = SVDGRAD_FUNCTION_ROTATION;
  note_rotation(&x, worst, "normal");
  expect_nearest(&x);
  LOCAL(dense) tied = dense_identity(n, n); /* ties, and a phase of det that is nearly pi, or more than all angles */
  for (int64_t j = 0; j < n; j++)
    tied.at[j * n + j] = j == 0 ? -1 + 0.2L * I : 1;
  buffer_store(&x.f.A, 0, &tied);
  cr_assert_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  note_rotation(&x, worst, "ties");
  expect_nearest(&x);
  LOCAL(dense) singular = dense_copy(&A);
  for (int64_t i = 0; i < n; i++)
    singular.at[(n - 1) * n + i] = 0;
  buffer_store(&x.f.A, 0, &singular);
  cr_assert_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  note_rotation(&x, worst, "singular");
}

Test(function_kinds, nearest_special_unitary_matrix) {
  worst_t worst = worst_make("function special unitary");
  for_each(check_rotation, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- callers of 0.1 ---- */

static void check_old_struct(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, worst_t *worst) {
  LOCAL(dense) A = normal(m, n, dtype, 2);
  LOCAL(functions) x = start(backend, dtype, m, n, SVDGRAD_FORM_VVH, &A);
  (void)worst;
  x.function.kind = SVDGRAD_FUNCTION_POWER, x.function.param = 1;
  LOCAL(dense) now = value(&x);
  x.function.struct_size = offsetof(svdgrad_function_t, null_value);
  x.function.null_value = 3, x.function.relative = 1; /* these fields lie behind the caller's struct */
  LOCAL(dense) then = value(&x);
  cr_expect(dense_distance(&now, &then) == 0);
}

Test(function_kinds, the_struct_of_0_1_is_accepted) {
  worst_t worst = worst_make("");
  for_each(check_old_struct, &worst);
}
