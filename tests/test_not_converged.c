/* SPDX-License-Identifier: BSD-3-Clause */
/* The bidiagonal path where a part of it does not converge.  No matrix is known for which one does not.  The kernels are
 * therefore called with tables of which one function fails: without roots of the secular equation QR iteration solves the
 * whole, and without a bidiagonal matrix of numbers the reference algorithm solves small matrices; larger ones say so. */
#include "cpu/cpu_kernels.h"
#include "cpu/cpu_dense_svd.h"
#include "cpu/simd/kernels.h"
#include "cases.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 30 };

static int secular_calls, reduce_calls;

static int no_roots(const secular_t *secular) {
  (void)secular;
  secular_calls++;
  return 0;
}

static void reduce_to_nan(const reduction_t *r, size_t real) {
  reduce_calls++;
  memset(r->d, 0xFF, (size_t)r->n * real);
  memset(r->e, 0xFF, (size_t)r->n * real);
}

static void reduce_to_nan_f32(const reduction_t *r) { reduce_to_nan(r, sizeof(float)); }
static void reduce_to_nan_f64(const reduction_t *r) { reduce_to_nan(r, sizeof(double)); }

static int32_t solve(const fixture_t *f, int by_rows, int vectors, const conquer_ops_t *conquer,
                     const reflector_ops_t *reflectors) {
  const int64_t m = f->desc.m, n = f->desc.n, k = m < n ? m : n;
  svd_call_t call = {.p = {.dtype = f->desc.dtype,
                           .m = m,
                           .n = n,
                           .batch_count = 1,
                           .mn = k,
                           .k = k,
                           .u_cols = f->U.cols,
                           .vh_rows = f->Vh.rows,
                           .full_matrices = f->desc.full_matrices},
                     .A = f->A.matrix,
                     .S = f->S.vector,
                     .info = f->info};
  if (vectors)
    call.U = f->U.matrix, call.Vh = f->Vh.matrix;
  const cpu_svd_plan_t plan = {.p = &call.p,
                               .call = &call,
                               .vectors = vectors,
                               .bidiagonal = reflectors,
                               .conquer = conquer,
                               .tall = by_rows ? reflectors : NULL,
                               .completes = reflectors};
  const size_t bytes = (cpu_dense_svd_scratch(&plan) + ARENA_ALIGNMENT) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
  unsigned char *memory = aligned_alloc(ARENA_ALIGNMENT, bytes);
  cr_assert(memory);
  memset(memory, 0xFF, bytes);
  cpu_dense_svd(&plan, 0, 1, (arena_t){memory, 0});
  free(memory);
  return f->info[0];
}

/* |X - Y| / (|Y| scale eps); NaN stays NaN. */
static double ratio_of(const dense_t *X, const dense_t *Y, double scale, svdgrad_dtype_t dtype) {
  dense_t difference = dense_sum(1, X, -1, Y);
  const long double ratio = dense_norm(&difference) / (dense_norm(Y) * scale * dtype_epsilon(dtype));
  dense_free(&difference);
  return (double)ratio;
}

static double unitary_ratio(const buffer_t *buffer, int rows) {
  dense_t X = buffer_load(buffer, 0);
  dense_t gram = rows ? dense_product_h(&X, &X) : dense_h_product(&X, &X), identity = dense_identity(gram.m, gram.n);
  const double ratio = ratio_of(&gram, &identity, (double)(X.m + X.n), buffer->dtype);
  dense_free(&X), dense_free(&gram), dense_free(&identity);
  return ratio;
}

/* U^H A V against diag(S). */
static double residual_ratio(const fixture_t *f) {
  dense_t A = buffer_load(&f->A, 0), U = buffer_load(&f->U, 0), Vh = buffer_load(&f->Vh, 0);
  dense_t UhA = dense_h_product(&U, &A), UhAV = dense_product_h(&UhA, &Vh), S = dense_zero(U.n, Vh.m);
  for (int64_t i = 0; i < f->S.rows; i++)
    S.at[i * S.m + i] = buffer_get(&f->S, 0, i, 0);
  const double ratio = ratio_of(&UhAV, &S, (double)(A.m + A.n), f->desc.dtype);
  dense_free(&A), dense_free(&U), dense_free(&Vh), dense_free(&UhA), dense_free(&UhAV), dense_free(&S);
  return ratio;
}

static void expect_factors(const fixture_t *f, const char *what) {
  const double ratios[] = {residual_ratio(f), unitary_ratio(&f->U, 0), unitary_ratio(&f->Vh, 1)};
  for (int i = 0; i < 3; i++)
    cr_expect(ratios[i] <= LIMIT, "%s, %s %dx%d: ratio %d is %g", what, dtype_name(f->desc.dtype), (int)f->desc.m,
              (int)f->desc.n, i, ratios[i]);
}

static double value_of(const fixture_t *f, int64_t i) { return (double)creall(buffer_get(&f->S, 0, i, 0)); }

/* Values alone, then those with vectors: the same but for rounding. */
static void expect_same_values(const fixture_t *f, const double *alone, const char *what) {
  const double bound = (double)(LIMIT + f->S.rows) * dtype_epsilon(f->desc.dtype) * value_of(f, 0);
  for (int64_t i = 0; i < f->S.rows; i++)
    cr_expect(fabs(alone[i] - value_of(f, i)) <= bound, "%s, %s %dx%d: value %d alone is %.17g, %.17g with vectors",
              what, dtype_name(f->desc.dtype), (int)f->desc.m, (int)f->desc.n, (int)i, alone[i], value_of(f, i));
}

static void check(svdgrad_dtype_t dtype, int64_t m, int64_t n, int full, int fails) {
  static const char *const names[] = {"no roots", "no bidiagonal matrix"};
  const lane_kernels_t *kernels = lanes_choose()->kernels[dtype];
  const int64_t k = m < n ? m : n, mx = m < n ? n : m;
  const int by_rows = mx >= 4 * k && !full, expects_failure = fails && (k > 128 || full);
  conquer_ops_t conquer = *kernels->conquer;
  reflector_ops_t reflectors = *kernels->reflectors;
  if (fails)
    reflectors.reduce = dtype_real(dtype) == SVDGRAD_F32 ? reduce_to_nan_f32 : reduce_to_nan_f64;
  else
    conquer.solve = no_roots;
  svdgrad_desc_t desc = make_desc(dtype, m, n, 1);
  desc.full_matrices = full;
  fixture_t f = fixture_make(SVDGRAD_BACKEND_REF, &desc, LAYOUT_COLUMN_MAJOR);
  dense_t A = make_matrix(SPECTRUM_LINEAR, dtype, m, n, 3);
  double *alone = calloc((size_t)k, sizeof *alone);
  buffer_store(&f.A, 0, &A);
  secular_calls = reduce_calls = 0;
  const int32_t values_info = solve(&f, by_rows, 0, &conquer, &reflectors);
  for (int64_t i = 0; i < k; i++)
    alone[i] = value_of(&f, i);
  const int32_t info = solve(&f, by_rows, 1, &conquer, &reflectors);
  cr_expect(fails ? reduce_calls == 2 : secular_calls > 0, "%s: the function was not called", names[fails]);
  cr_expect_eq(info, expects_failure ? SVDGRAD_INFO_NOT_CONVERGED : SVDGRAD_INFO_OK);
  cr_expect_eq(values_info, info);
  if (!expects_failure) {
    expect_factors(&f, names[fails]);
    expect_same_values(&f, alone, names[fails]);
  }
  free(alone);
  dense_free(&A);
  fixture_free(&f);
}

Test(not_converged, another_algorithm_takes_over_or_info_says_so) {
  static const struct {
    int64_t m, n;
    int full;
  } shapes[] = {{60, 60, 0}, {61, 44, 0}, {40, 52, 0}, {400, 40, 0}, {60, 50, 1}, {40, 60, 1}, {140, 135, 0}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int fails = 0; fails < 2; fails++)
        check(dtype, shapes[s].m, shapes[s].n, shapes[s].full, fails);
}
