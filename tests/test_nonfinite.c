/* SPDX-License-Identifier: BSD-3-Clause */
/* Failures are reported, for the matrix concerned only.  A NaN or Inf in a matrix makes its outputs NaN and its info
 * NONFINITE, and changes no bit of other matrices.  Too few sweeps give NOT_CONVERGED.  Finite input, however extreme
 * or degenerate, gives finite results (under the default gap policy). */
#include "cases.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

enum { BATCH = 3, BAD = 1 };

typedef struct variant {
  int64_t m, n, rank;
  int full_matrices;
} variant_t;
static const variant_t variants[] = {{1, 1, 0, 0}, {3, 3, 0, 0}, {5, 3, 0, 1},  {3, 5, 0, 1},
                                     {8, 6, 0, 0}, {6, 8, 3, 0}, {17, 14, 4, 0}};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants };

typedef void (*check_t)(svdgrad_backend_t backend, const svdgrad_desc_t *desc);

static void for_each_problem(check_t check) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int v = 0; v < VARIANT_COUNT; v++) {
        svdgrad_desc_t desc = make_desc(dtype, variants[v].m, variants[v].n, BATCH);
        desc.rank = variants[v].rank;
        desc.full_matrices = variants[v].full_matrices;
        check(test_backends[i], &desc);
      }
}

static fixture_t filled(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  fixture_t f = fixture_make(backend, desc, LAYOUT_COLUMN_PADDED);
  for (int64_t b = 0; b < desc->batch_count; b++)
    fixture_fill(&f, b, (uint64_t)b + 1);
  return f;
}

static void forward(fixture_t *f, int with) { cr_assert_eq(fixture_forward(f, with), SVDGRAD_STATUS_SUCCESS); }

static void backward(fixture_t *f, int with) { cr_assert_eq(fixture_backward(f, with, 1, 0), SVDGRAD_STATUS_SUCCESS); }

static int is_nan(z_t x) { return isnan(creall(x)) || isnan(cimagl(x)); }
static int is_finite(z_t x) { return isfinite(creall(x)) && isfinite(cimagl(x)); }

/* The number of elements of matrix b with the property. */
static int64_t count(const buffer_t *buffer, int64_t b, int (*property)(z_t x)) {
  int64_t total = 0;
  for (int64_t j = 0; j < buffer->cols; j++)
    for (int64_t i = 0; i < buffer->rows; i++)
      total += property(buffer_get(buffer, b, i, j));
  return total;
}

static int all(const buffer_t *buffer, int64_t b, int (*property)(z_t x)) {
  return count(buffer, b, property) == buffer->rows * buffer->cols;
}

static void describe(char text[96], svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  (void)snprintf(text, 96, "%s %s %dx%d rank %d full %d", backend_name(backend), dtype_name(desc->dtype), (int)desc->m,
                 (int)desc->n, (int)desc->rank, desc->full_matrices);
}

/* NaN, Inf, -Inf; then the same as imaginary parts. */
enum { POISONS = 6 };
static z_t poison(int kind) {
  const long double values[] = {(long double)NAN, (long double)INFINITY, -(long double)INFINITY};
  return kind < 3 ? CMPLXL(values[kind], 0) : CMPLXL(1, values[kind - 3]);
}

/* Everything computed from a batch in which one entry of one matrix is not finite. */
static void check_poisoned(const fixture_t *clean, fixture_t *f, const char *problem) {
  forward(f, WITH_VECTORS);
  cr_expect(all(&f->S, BAD, is_nan) && all(&f->U, BAD, is_nan) && all(&f->Vh, BAD, is_nan), "%s: not all NaN", problem);
  for (int64_t b = 0; b < BATCH; b++) {
    cr_expect_eq(f->info[b], b == BAD ? SVDGRAD_INFO_NONFINITE : SVDGRAD_INFO_OK, "%s: info", problem);
    cr_expect(b == BAD || fixture_same_forward(f, b, clean, b, WITH_VECTORS), "%s: a neighbour changed", problem);
  }
  backward(f, WITH_COTANGENTS);
  cr_expect(count(&f->gA, BAD, is_nan) > 0, "%s: gA is not NaN", problem);
  for (int64_t b = 0; b < BATCH; b++)
    cr_expect(b == BAD || fixture_same_backward(f, b, clean, b), "%s: gA of a neighbour changed", problem);
  backward(f, WITH_GS);
  cr_expect(count(&f->gA, BAD, is_nan) > 0, "%s: gA from gS is not NaN", problem);
  cr_expect(f->intact);
}

static void check_poisoned_values(const fixture_t *clean, fixture_t *f, const char *problem) {
  forward(f, 0);
  cr_expect(all(&f->S, BAD, is_nan), "%s: S is not NaN", problem);
  for (int64_t b = 0; b < BATCH; b++) {
    cr_expect_eq(f->info[b], b == BAD ? SVDGRAD_INFO_NONFINITE : SVDGRAD_INFO_OK, "%s: info of the values", problem);
    cr_expect(b == BAD || fixture_same_forward(f, b, clean, b, 0), "%s: values of a neighbour changed", problem);
  }
}

static void check_poisons(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  char problem[96];
  describe(problem, backend, desc);
  fixture_t clean = filled(backend, desc), clean_values = filled(backend, desc);
  forward(&clean, WITH_VECTORS);
  backward(&clean, WITH_COTANGENTS);
  forward(&clean_values, 0);
  for (int kind = 0; kind < (dtype_is_complex(desc->dtype) ? POISONS : POISONS / 2); kind++)
    for (int place = 0; place < 3; place++) { /* the first entry, one within, the last */
      fixture_t f = filled(backend, desc);
      buffer_set(&f.A, BAD, place * (desc->m - 1) / 2, place * (desc->n - 1) / 2, poison(kind));
      check_poisoned(&clean, &f, problem);
      check_poisoned_values(&clean_values, &f, problem);
      fixture_free(&f);
    }
  fixture_free(&clean);
  fixture_free(&clean_values);
}

Test(nonfinite, one_bad_matrix_stays_alone) { for_each_problem(check_poisons); }

static void check_beta_zero(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  char problem[96];
  describe(problem, backend, desc);
  fixture_t clean = filled(backend, desc), f = filled(backend, desc);
  for (int64_t b = 0; b < BATCH; b++)
    for (int64_t j = 0; j < desc->n; j++)
      for (int64_t i = 0; i < desc->m; i++)
        buffer_set(&f.gA, b, i, j, poison((int)(i + j) % POISONS));
  fixture_t *const both[] = {&clean, &f};
  for (int i = 0; i < 2; i++) {
    forward(both[i], WITH_VECTORS);
    backward(both[i], WITH_COTANGENTS);
  }
  for (int64_t b = 0; b < BATCH; b++)
    cr_expect(fixture_same_backward(&f, b, &clean, b), "%s: beta = 0 and gA was read", problem);
  fixture_free(&clean);
  fixture_free(&f);
}

Test(nonfinite, beta_zero_does_not_read_gA) { for_each_problem(check_beta_zero); }

/* Entries at the edges of the number format. */
typedef struct limits {
  long double largest, smallest; /* finite; and subnormal */
  long double large, small;      /* whose quotient is beyond the exponent range */
} limits_t;
static limits_t limits_of(svdgrad_dtype_t dtype) {
  return dtype_real(dtype) == SVDGRAD_F32 ? (limits_t){FLT_MAX, 0x1p-149L, 1e37L, 1e-37L}
                                          : (limits_t){DBL_MAX, 0x1p-1074L, 1e300L, 1e-300L};
}

/* Forward of one matrix; U and Vh must be finite, info as told. */
static fixture_t forward_of(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const dense_t *A, int32_t info) {
  const svdgrad_desc_t desc = make_desc(dtype, A->m, A->n, 1);
  fixture_t f = fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
  char problem[96];
  describe(problem, backend, &desc);
  buffer_store(&f.A, 0, A);
  forward(&f, WITH_VECTORS);
  cr_expect_eq(f.info[0], info, "%s: info is %d, not %d", problem, (int)f.info[0], (int)info);
  cr_expect(all(&f.U, 0, is_finite) && all(&f.Vh, 0, is_finite), "%s: factors are not finite", problem);
  return f;
}

/* The singular values of an m-by-3 diagonal matrix, to `tolerance`. */
static void expect_diagonal(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const long double d[3],
                            long double tolerance) {
  for (int64_t m = 3; m < 6; m++) {
    dense_t A = dense_zero(m, 3);
    for (int64_t i = 0; i < 3; i++)
      A.at[i * m + i] = d[i];
    fixture_t f = forward_of(backend, dtype, &A, SVDGRAD_INFO_OK);
    for (int64_t i = 0; i < 3; i++) {
      const long double s = creall(buffer_get(&f.S, 0, i, 0));
      cr_expect(fabsl(s - d[i]) <= tolerance, "%s %s %dx3: S[%d] is %Lg, not %Lg", backend_name(backend),
                dtype_name(dtype), (int)m, (int)i, s, d[i]);
    }
    fixture_free(&f);
    dense_free(&A);
  }
}

static void for_each_type(void (*check)(svdgrad_backend_t backend, svdgrad_dtype_t dtype)) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      check(test_backends[i], dtype);
}

static void check_edges(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  const limits_t x = limits_of(dtype);
  const long double eps = dtype_epsilon(dtype);
  expect_diagonal(backend, dtype, (long double[]){x.largest, x.largest / 2, x.largest / 4}, 4 * eps * x.largest);
  expect_diagonal(backend, dtype, (long double[]){x.largest, 1, x.smallest}, 4 * eps * x.largest);
  expect_diagonal(backend, dtype, (long double[]){3 * x.smallest, 2 * x.smallest, x.smallest}, 0);
  expect_diagonal(backend, dtype, (long double[]){x.smallest, 0, 0}, 0);
  expect_diagonal(backend, dtype, (long double[]){x.large, x.small, 0}, 4 * eps * x.large);
}

Test(nonfinite, entries_at_the_edges_give_finite_values) { for_each_type(check_edges); }

/* Every entry the same: s_1 = |entry| sqrt(m n), the others are zero. */
static void expect_rank_one(svdgrad_backend_t backend, svdgrad_dtype_t dtype, z_t entry, long double largest) {
  const int64_t m = 5, n = 4;
  dense_t A = dense_zero(m, n);
  for (int64_t i = 0; i < m * n; i++)
    A.at[i] = entry;
  const long double eps = dtype_epsilon(dtype), s_1 = cabsl(entry) * sqrtl((long double)(m * n));
  fixture_t f = forward_of(backend, dtype, &A, s_1 > largest ? SVDGRAD_INFO_OVERFLOW : SVDGRAD_INFO_OK);
  for (int64_t i = 0; i < n; i++) {
    const long double s = creall(buffer_get(&f.S, 0, i, 0)), expected = i == 0 ? s_1 : 0;
    const int overflows = expected > largest;
    cr_expect(overflows ? isinf(s) && s > 0 : fabsl(s - expected) <= 10 * eps * s_1 + 4 * limits_of(dtype).smallest,
              "%s %s: S[%d] is %Lg, not %Lg", backend_name(backend), dtype_name(dtype), (int)i, s, expected);
  }
  fixture_free(&f);
  dense_free(&A);
}

static void check_rank_one(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  const limits_t x = limits_of(dtype);
  const long double entries[] = {x.largest, x.largest / 8, x.large, x.small, 5 * x.smallest, x.smallest};
  for (int i = 0; i < 6; i++) {
    expect_rank_one(backend, dtype, entries[i], x.largest);
    if (dtype_is_complex(dtype))
      expect_rank_one(backend, dtype, CMPLXL(entries[i], -entries[i]), x.largest);
  }
}

Test(nonfinite, only_what_is_too_large_overflows) { for_each_type(check_rank_one); }

static void expect_sweeps(svdgrad_dtype_t dtype, int sweeps, int32_t info) {
  svdgrad_desc_t desc = make_desc(dtype, 12, 9, 2);
  desc.max_sweeps = sweeps;
  fixture_t f = filled(SVDGRAD_BACKEND_REF, &desc);
  forward(&f, WITH_VECTORS);
  for (int64_t b = 0; b < 2; b++) {
    cr_expect_eq(f.info[b], info, "%s: info is %d after %d sweeps", dtype_name(dtype), (int)f.info[b], sweeps);
    cr_expect(all(&f.S, b, is_finite) && all(&f.U, b, is_finite) && all(&f.Vh, b, is_finite));
  }
  forward(&f, 0);
  cr_expect_eq(f.info[0], info, "%s: info of the values is %d after %d sweeps", dtype_name(dtype), (int)f.info[0],
               sweeps);
  fixture_free(&f);
}

Test(nonfinite, too_few_sweeps_are_never_silent) {
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
    expect_sweeps(dtype, 1, SVDGRAD_INFO_NOT_CONVERGED);
    expect_sweeps(dtype, 2, SVDGRAD_INFO_NOT_CONVERGED);
    expect_sweeps(dtype, 30, SVDGRAD_INFO_OK);
    expect_sweeps(dtype, 0, SVDGRAD_INFO_OK);
  }
}

/* All cotangents, and each alone. */
static void expect_finite_gradients(svdgrad_backend_t backend, const svdgrad_desc_t *desc, spectrum_t spectrum) {
  static const int with[] = {WITH_COTANGENTS, WITH_GU, WITH_GVH, WITH_GS};
  char problem[96];
  describe(problem, backend, desc);
  fixture_t f = fixture_make(backend, desc, LAYOUT_COLUMN_MAJOR);
  dense_t A = make_matrix(spectrum, desc->dtype, desc->m, desc->n, 5);
  buffer_store(&f.A, 0, &A);
  dense_free(&A);
  fixture_random_cotangents(&f, 6);
  forward(&f, WITH_VECTORS);
  cr_expect_eq(f.info[0], SVDGRAD_INFO_OK, "%s %s: info is %d", problem, spectrum_name(spectrum), (int)f.info[0]);
  for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
    backward(&f, with[i]);
    cr_expect(all(&f.gA, 0, is_finite), "%s %s: gA is not finite with cotangents %d", problem, spectrum_name(spectrum),
              with[i]);
    cr_expect(!isnan(f.report->amplification) && !isnan(f.report->min_gap) && !isnan(f.report->gauge_residual),
              "%s %s: the report has a NaN with cotangents %d", problem, spectrum_name(spectrum), with[i]);
  }
  fixture_free(&f);
}

/* Whole, truncated to about half and to one, and with square factors. */
static void expect_finite_at(svdgrad_backend_t backend, svdgrad_dtype_t dtype, test_shape_t shape,
                             spectrum_t spectrum) {
  const int64_t k = shape.m < shape.n ? shape.m : shape.n;
  const struct {
    int64_t rank;
    int full_matrices;
  } kinds[] = {{0, 0}, {(k + 1) / 2, 0}, {1, 0}, {0, 1}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    svdgrad_desc_t desc = make_desc(dtype, shape.m, shape.n, 1);
    desc.rank = kinds[i].rank;
    desc.full_matrices = kinds[i].full_matrices;
    expect_finite_gradients(backend, &desc, spectrum);
  }
}

static void check_degenerate(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  static const spectrum_t spectra[] = {SPECTRUM_ZERO,      SPECTRUM_IDENTITY, SPECTRUM_ONES,      SPECTRUM_REPEATED,
                                       SPECTRUM_DEFICIENT, SPECTRUM_GRADED,   SPECTRUM_CLUSTERED, SPECTRUM_GEOMETRIC};
  for (size_t i = 0; i < sizeof spectra / sizeof *spectra; i++)
    for (int s = 0; s < test_shape_count; s++)
      if (backend != SVDGRAD_BACKEND_REF || test_shapes[s].m * test_shapes[s].n <= 500) /* the reference is slow */
        expect_finite_at(backend, dtype, test_shapes[s], spectra[i]);
}

Test(nonfinite, default_policy_never_gives_a_nonfinite_gradient) { for_each_type(check_degenerate); }
