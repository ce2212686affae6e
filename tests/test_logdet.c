/* SPDX-License-Identifier: BSD-3-Clause */
/* log |det| of a matrix of full rank is right however much its rows or columns differ in size.  The matrices are
 * triangular with permuted rows and columns, so that log |det| is the sum of the logarithms of the diagonal. */
#include "functions.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

typedef enum grading { DIAGONAL, ROWS_LOWER, ROWS_UPPER, COLUMNS_LOWER, COLUMNS_UPPER, GRADING_COUNT } grading_t;

typedef struct setting {
  svdgrad_backend_t backend;
  svdgrad_dtype_t dtype;
  svdgrad_algo_t algo;
  int64_t m, n;
  grading_t grading;
  int permuted, shift; /* shift: times 2^shift */
} graded_t;

static int is_single(svdgrad_dtype_t dtype) { return dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64; }

static functions_t start(const graded_t *s) {
  svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, 1);
  desc.algo = s->algo;
  functions_t x = functions_make(s->backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  functions_fill(&x, 0, 7);
  for (int64_t j = 0; j < s->n; j++)
    for (int64_t i = 0; i < s->m; i++)
      buffer_set(&x.f.A, 0, i, j, 0);
  return x;
}

static void expect_log(functions_t *x, const graded_t *s, long double exact) {
  x->norm = SVDGRAD_NORM_LOG_DETERMINANT;
  const long double bound = 2e-3L + 1e-5L * fabsl(exact);
  static const svdgrad_op_t ops[] = {SVDGRAD_OP_NORM, SVDGRAD_OP_NORM_GRADIENT};
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(functions_run(x, ops[i], 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
    const long double value = creall(buffer_get(&x->value, 0, 0, 0));
    cr_expect(fabsl(value - exact) <= bound,
              "%s type %d algorithm %d %d-by-%d grading %d order %d shift %d: %Lg for %Lg", backend_name(s->backend),
              (int)s->dtype, (int)s->algo, (int)s->m, (int)s->n, (int)s->grading, s->permuted, s->shift, value, exact);
  }
}

static void expect_determinant(functions_t *x, const graded_t *s, long double exact, long double sign) {
  cr_assert_eq(functions_run(x, SVDGRAD_OP_DETERMINANT, 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  const long double value = creall(buffer_get(&x->log_abs, 0, 0, 0));
  cr_expect(fabsl(value - exact) <= 2e-3L + 1e-5L * fabsl(exact),
            "%s type %d algorithm %d n %d grading %d: %Lg for %Lg", backend_name(s->backend), (int)s->dtype,
            (int)s->algo, (int)s->n, (int)s->grading, value, exact);
  cr_expect(cabsl(buffer_get(&x->sign, 0, 0, 0) - sign) <= 1e-3L,
            "%s type %d algorithm %d n %d grading %d order %d: sign", backend_name(s->backend), (int)s->dtype,
            (int)s->algo, (int)s->n, (int)s->grading, s->permuted);
}

/* Pseudo-random in [-1/2, 1/2). */
static double entry_of(int64_t i, int64_t j) {
  return fmod((double)(i * i * 37 + j * 91 + i * j * 53) * 0.618034, 1) - 0.5;
}

/* 1 to 2^-140 in float, 2^-997 in double, falling; the largest ones that 2^shift leaves in the range of the type. */
static long double size_of(const graded_t *s, int64_t i) {
  const int all = (is_single(s->dtype) ? 140 : 997) + (s->shift < 0 ? s->shift : 0);
  return ldexpl(i % 2 ? -1 : 1, (int)(s->shift - all * i / (s->n - 1)));
}

static long double graded_entry(const graded_t *s, int64_t i, int64_t j) {
  const int lower = s->grading == ROWS_LOWER || s->grading == COLUMNS_LOWER;
  if (i == j)
    return size_of(s, i);
  if (s->grading == DIAGONAL || (i > j) != lower)
    return 0;
  return entry_of(i, j) * size_of(s, s->grading == ROWS_LOWER || s->grading == ROWS_UPPER ? i : j);
}

static void check_graded(const graded_t *s) {
  functions_t x = start(s);
  long double exact = 0, sign = 1;
  for (int64_t i = 0; i < s->n; i++) {
    exact += logl(fabsl(size_of(s, i)));
    sign *= size_of(s, i) < 0 ? -1 : 1;
    /* A cycle of the rows, and the reverse order of the columns. */
    const int64_t row = s->permuted & 1 ? (i + 1) % s->n : i;
    for (int64_t j = 0; j < s->n; j++)
      buffer_set(&x.f.A, 0, row, s->permuted & 2 ? s->n - 1 - j : j, graded_entry(s, i, j));
  }
  if (s->permuted & 1)
    sign *= s->n % 2 ? 1 : -1;
  if (s->permuted & 2)
    sign *= s->n / 2 % 2 ? -1 : 1;
  expect_log(&x, s, exact);
  expect_determinant(&x, s, exact, sign);
  functions_free(&x);
}

/* [1 corner; 0 y], whose determinant is y. */
static void check_two(const graded_t *of, long double corner, long double y) {
  graded_t s = *of;
  s.m = s.n = 2;
  functions_t x = start(&s);
  buffer_set(&x.f.A, 0, 0, 0, 1);
  buffer_set(&x.f.A, 0, 0, 1, corner);
  buffer_set(&x.f.A, 0, 1, 1, y);
  const long double exact = logl(fabsl(creall(buffer_get(&x.f.A, 0, 1, 1))));
  expect_log(&x, &s, exact);
  expect_determinant(&x, &s, exact, y < 0 ? -1 : 1);
  functions_free(&x);
}

/* The rows 0, [y y] and [2 3], and the transpose of that. */
static void check_rectangular(const graded_t *of, int wide) {
  graded_t s = *of;
  const long double y = is_single(s.dtype) ? 0x1p-100L : 0x1p-900L;
  s.m = wide ? 2 : 3, s.n = wide ? 3 : 2;
  functions_t x = start(&s);
  for (int64_t i = 1; i < 3; i++)
    for (int64_t j = 0; j < 2; j++)
      buffer_set(&x.f.A, 0, wide ? j : i, wide ? i : j, (i == 1 ? 1 : j + 2) * (i == 1 ? y : 1));
  expect_log(&x, &s, logl(y)); /* the one minor that is not zero is 3 y - 2 y */
  functions_free(&x);
}

static void for_all(void (*check)(const graded_t *)) {
  static const svdgrad_dtype_t types[] = {SVDGRAD_F32, SVDGRAD_F64, SVDGRAD_C64, SVDGRAD_C128};
  static const svdgrad_algo_t algorithms[] = {SVDGRAD_ALGO_AUTO, SVDGRAD_ALGO_JACOBI, SVDGRAD_ALGO_VENDOR};
  for (int i = 0; i < test_backend_count; i++)
    for (int t = 0; t < 4; t++)
      for (int a = 0; a < 3; a++) {
        const graded_t s = {.backend = test_backends[i], .dtype = types[t], .algo = algorithms[a]};
        if (backend_has(s.backend, s.algo))
          check(&s);
      }
}

static void graded_matrices(const graded_t *of) {
  static const int64_t sizes[] = {3, 8, 40};
  for (int c = 0; c < 3 * GRADING_COUNT * 4; c++) {
    graded_t s = *of;
    s.m = s.n = sizes[c % 3];
    s.grading = (grading_t)(c / 3 % GRADING_COUNT);
    s.permuted = c / 3 / GRADING_COUNT;
    s.shift = s.n == 40 ? 0 : c % 2 ? 100 : -100; /* about 1e30 and 1e-30 */
    if (s.n == 40 && (s.permuted % 3 || (s.backend == SVDGRAD_BACKEND_CUDA && s.permuted)))
      continue; /* too slow */
    check_graded(&s);
    s.shift = 0;
    if (s.n < 40)
      check_graded(&s);
  }
}

static void two_by_two(const graded_t *s) {
  static const long double small[] = {1e-10L, 1e-20L, -1e-30L, 1e-40L, 1e-300L};
  for (int i = 0; i < (is_single(s->dtype) ? 4 : 5); i++)
    for (int corner = 0; corner <= 3; corner++)
      check_two(s, corner, small[i]);
}

static void rectangular(const graded_t *s) {
  check_rectangular(s, 0);
  check_rectangular(s, 1);
}

Test(logdet, of_graded_matrices) { for_all(graded_matrices); }
Test(logdet, of_two_by_two) { for_all(two_by_two); }
Test(logdet, of_rectangular_ones) { for_all(rectangular); }
