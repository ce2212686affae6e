/* SPDX-License-Identifier: BSD-3-Clause */
/* The power iteration of matrices that are more chunks of rows than one block sums up (src/cuda/kernels/power.cuh), the
 * chunks in one unit or, where rows are near the ends of the range, in several. */
#include "cases.h"
#include "fixture.h"
#include "power.h"

#include <criterion/criterion.h>
#include <math.h>

enum { M = 1100, N = 128, BATCH = 2 }; /* nine chunks of 128 rows, the last one not whole */

/* A second matrix has its rows from one end of the range to the other. */
static power_problem_t problem_of(svdgrad_dtype_t dtype, layout_t layout) {
  const svdgrad_desc_t desc = make_desc(dtype, M, N, BATCH);
  const int furthest = dtype_real(dtype) == SVDGRAD_F32 ? 110 : 1000;
  power_problem_t p = power_make(SVDGRAD_BACKEND_CUDA, &desc, layout, 0);
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t A = make_matrix(SPECTRUM_NORMAL, dtype, M, N, (uint64_t)b + 1);
    buffer_store(&p.A, b, &A);
    dense_free(&A);
    power_fill(&p, b, (uint64_t)b + 1);
  }
  for (int64_t i = 0; i < M; i++)
    for (int64_t j = 0; j < N; j++) {
      const z_t x = buffer_get(&p.A, 1, i, j);
      const int exponent = (int)(2 * furthest * i / (M - 1)) - furthest;
      buffer_set(&p.A, 1, i, j, CMPLXL(ldexpl(creall(x), exponent), ldexpl(cimagl(x), exponent)));
    }
  return p;
}

static long double distance(const buffer_t *x, int64_t b, const dense_t *y) {
  long double square = 0;
  for (int64_t i = 0; i < y->m; i++) {
    const z_t d = buffer_get(x, b, i, 0) - y->at[i];
    square += creall(d) * creall(d) + cimagl(d) * cimagl(d);
  }
  return sqrtl(square);
}

static void check(svdgrad_dtype_t dtype, layout_t layout) {
  enum { ITERATIONS = 2 };
  const long double bound = 100 * dtype_epsilon(dtype);
  power_problem_t p = problem_of(dtype, layout);
  power_oracle_t oracle[BATCH];
  for (int64_t b = 0; b < BATCH; b++)
    oracle[b] = power_oracle_of(&p, b, ITERATIONS);
  cr_assert_eq(power_iterate(&p, ITERATIONS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  for (int64_t b = 0; b < BATCH; b++) {
    const long double sigma = creall(buffer_get(&p.sigma, b, 0, 0));
    cr_expect(fabsl(sigma - oracle[b].sigma) <= bound * oracle[b].sigma, "%s matrix %d: sigma", dtype_name(dtype),
              (int)b);
    cr_expect(distance(&p.u, b, &oracle[b].u) <= bound, "%s matrix %d: u", dtype_name(dtype), (int)b);
    cr_expect(distance(&p.v, b, &oracle[b].v) <= bound, "%s matrix %d: v", dtype_name(dtype), (int)b);
    power_oracle_free(&oracle[b]);
  }
  power_free(&p);
}

Test(power_chunks, many_chunks) {
  check(SVDGRAD_F32, LAYOUT_ROW_MAJOR);
  check(SVDGRAD_C128, LAYOUT_COLUMN_MAJOR);
}
