/* SPDX-License-Identifier: BSD-3-Clause */
/* Jacobi converges in few sweeps, whatever the spectrum.  A missing barrier or a wrong rotation angle often costs
 * sweeps only, not accuracy, because later sweeps repair the damage: only this test shows such a fault. */
#include "cases.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <string.h>

/* Sweeps of the algorithm that a problem gets: the most that was seen over the table, and one more.  The reference does
 * without the QR that makes the count independent of the condition number.  0: it does not iterate by sweeps. */
static int32_t sweep_bound(const fixture_t *f) {
  const int64_t k = f->S.rows;
  const char *name = svdgrad_algorithm_name(f->handle, SVDGRAD_OP_SVD, &f->desc);
  cr_assert(name);
  if (!strstr(name, "jacobi"))
    return 0;
  if (strstr(name, "reference"))
    return 45;
  return k <= 8 ? 10 : k <= 16 ? 10 : k <= 32 ? 14 : k <= 64 ? 13 : 15;
}

static fixture_t problem(svdgrad_backend_t backend, svdgrad_dtype_t dtype, spectrum_t spectrum, test_shape_t shape,
                         int64_t batch_count) {
  svdgrad_desc_t desc = make_desc(dtype, shape.m, shape.n, batch_count);
  fixture_t f = fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < desc.batch_count; b++) {
    dense_t A = make_matrix(spectrum, dtype, shape.m, shape.n, (uint64_t)(31 * b + 7 * shape.m + shape.n));
    buffer_store(&f.A, b, &A);
    dense_free(&A);
  }
  return f;
}

static int64_t smaller(test_shape_t shape) { return shape.m < shape.n ? shape.m : shape.n; }

static void check_bound(svdgrad_backend_t backend, svdgrad_dtype_t dtype, spectrum_t spectrum, test_shape_t shape) {
  fixture_t f = problem(backend, dtype, spectrum, shape, test_table == TABLE_LARGE ? 1 : 2);
  f.desc.max_sweeps = sweep_bound(&f);
  if (f.desc.max_sweeps) {
    cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
    for (int64_t b = 0; b < f.desc.batch_count; b++)
      cr_expect_eq(f.info[b], SVDGRAD_INFO_OK, "not within %d sweeps: %s %s %s %dx%d", (int)f.desc.max_sweeps,
                   backend_name(backend), dtype_name(dtype), spectrum_name(spectrum), (int)shape.m, (int)shape.n);
  }
  fixture_free(&f);
}

/* The large shapes are slow; of a sample each spectrum has half of the types, the other half at the next shape. */
static int is_tried(int dtype, int spectrum, int shape) {
  if (test_table != TABLE_LARGE)
    return 1;
  if (spectrum != SPECTRUM_NORMAL && spectrum != SPECTRUM_DEFICIENT && spectrum != SPECTRUM_GRADED)
    return 0;
  return !test_sampled || (dtype + spectrum + shape) % 2 == 0;
}

Test(sweeps, are_few) {
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int spectrum = 0; spectrum < SPECTRUM_COUNT; spectrum++)
        for (int shape = 0; shape < test_shape_count; shape++)
          if (is_tried(dtype, spectrum, shape))
            check_bound(test_backends[backend], (svdgrad_dtype_t)dtype, (spectrum_t)spectrum, test_shapes[shape]);
}

/* Integers of rank two.  Rotations reduce the other columns to rounding noise whose squares underflow; those columns
 * need not be orthogonal to each other. */
static dense_t rank_two(int64_t n, int other) {
  dense_t A = dense_zero(n, n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      A.at[j * n + i] = i > 0 ? 1 : j == 0 ? 6 : j < other ? j + 2 : 0;
  return A;
}

static void check_noise(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t n) {
  enum { KINDS = 3 };
  fixture_t f = problem(backend, dtype, SPECTRUM_ZERO, (test_shape_t){n, n}, KINDS);
  for (int kind = 0; kind < KINDS; kind++) {
    dense_t A = rank_two(n, kind + 1);
    buffer_store(&f.A, kind, &A);
    dense_free(&A);
  }
  cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  for (int kind = 0; kind < KINDS; kind++)
    cr_expect_eq(f.info[kind], SVDGRAD_INFO_OK, "%s %s %dx%d, kind %d", backend_name(backend), dtype_name(dtype),
                 (int)n, (int)n, kind);
  fixture_free(&f);
}

Test(sweeps, noise_of_low_rank_converges) {
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int64_t n = 3; n <= 24; n++)
        check_noise(test_backends[backend], (svdgrad_dtype_t)dtype, n);
}

/* NOT_CONVERGED is reported for the matrix that needs more sweeps, whose singular values have the right magnitude; the
 * other matrix, diagonal, needs one sweep. */
static void check_report(svdgrad_backend_t backend, svdgrad_dtype_t dtype, test_shape_t shape) {
  fixture_t f = problem(backend, dtype, SPECTRUM_NORMAL, shape, 2);
  dense_t diagonal = make_matrix(SPECTRUM_IDENTITY, dtype, shape.m, shape.n, 1);
  buffer_store(&f.A, 1, &diagonal);
  f.desc.max_sweeps = 1;
  if (sweep_bound(&f)) {
    cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
    cr_expect_eq(f.info[0], SVDGRAD_INFO_NOT_CONVERGED);
    cr_expect_eq(f.info[1], SVDGRAD_INFO_OK);
    for (int64_t i = 0; i < f.S.rows; i++)
      cr_expect(creall(buffer_get(&f.S, 0, i, 0)) < 10 * (double)(shape.m + shape.n));
  }
  dense_free(&diagonal);
  fixture_free(&f);
}

Test(sweeps, too_few_are_reported) {
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int shape = 0; shape < test_shape_count; shape++)
        if (smaller(test_shapes[shape]) > 2) /* two columns need one sweep */
          check_report(test_backends[backend], (svdgrad_dtype_t)dtype, test_shapes[shape]);
}
