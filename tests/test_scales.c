/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values at the ends of the range: too large for their type, and so far apart that squares leave it. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <math.h>

static fixture_t start(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t n, int64_t batch_count) {
  const svdgrad_desc_t desc = make_desc(dtype, n, n, batch_count);
  fixture_t f = fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < batch_count; b++)
    for (int64_t j = 0; j < n; j++)
      for (int64_t i = 0; i < n; i++)
        buffer_set(&f.A, b, i, j, 0);
  return f;
}

static void factorize(fixture_t *f) {
  cr_assert_eq(fixture_forward(f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
}

static double value_of(const fixture_t *f, int64_t b, int64_t j) { return (double)creall(buffer_get(&f->S, b, j, 0)); }

static void overflows(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  const double largest = dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? 3e38 : 1.7e308;
  fixture_t f = start(backend, dtype, 2, 1);
  for (int64_t i = 0; i < 4; i++)
    buffer_set(&f.A, 0, i / 2, i % 2, i == 3 ? -largest : largest);
  factorize(&f);
  cr_expect_eq(f.info[0], SVDGRAD_INFO_OVERFLOW);
  for (int64_t j = 0; j < 2; j++)
    cr_expect(isinf(value_of(&f, 0, j)));
  for (int64_t i = 0; i < 4; i++) {
    cr_expect(isfinite(creall(buffer_get(&f.U, 0, i / 2, i % 2))));
    cr_expect(isfinite(creall(buffer_get(&f.Vh, 0, i / 2, i % 2))));
  }
  fixture_free(&f);
}

/* diag(1, .., 1, x) for every matrix but the first one, which has a true zero. */
static void keeps_small(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t n) {
  const double x = dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? 0x1p-110 : 0x1p-1000;
  fixture_t f = start(backend, dtype, n, 17);
  if (f.desc.algo == SVDGRAD_ALGO_VENDOR) { /* right to c eps s_1 alone */
    fixture_free(&f);
    return;
  }
  for (int64_t b = 0; b < 17; b++)
    for (int64_t i = 0; i < n; i++)
      buffer_set(&f.A, b, i, i, i < n - 1 ? 1 : b ? x : 0);
  factorize(&f);
  for (int64_t b = 0; b < 17; b++)
    cr_expect_float_eq(value_of(&f, b, n - 1) / x, b != 0, 1e-5, "%s type %d n %d", backend_name(backend), (int)dtype,
                       (int)n);
  fixture_free(&f);
}

static void for_all(void (*check)(svdgrad_backend_t backend, svdgrad_dtype_t dtype)) {
  static const svdgrad_dtype_t types[] = {SVDGRAD_F32, SVDGRAD_F64, SVDGRAD_C64, SVDGRAD_C128};
  for (int i = 0; i < test_backend_count; i++)
    for (int t = 0; t < 4; t++)
      check(test_backends[i], types[t]);
}

static void keeps_small_at_sizes(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  static const int64_t sizes[] = {2, 3, 5, 8, 20, 40};
  for (int i = 0; i < 6; i++)
    if (backend == SVDGRAD_BACKEND_REF || backend == SVDGRAD_BACKEND_CPU)
      keeps_small(backend, dtype, sizes[i]);
}

Test(scales, values_too_large_are_infinite_and_say_so) { for_all(overflows); }
Test(scales, values_far_below_the_largest_are_kept) { for_all(keeps_small_at_sizes); }
