/* SPDX-License-Identifier: BSD-3-Clause */
/* Values alone in lanes, with any limit on the number of sweeps: a matrix that needs more of them gets the result of
 * Jacobi, with that result's bits, and the others of its group keep theirs.  Neighbours go to Jacobi together. */
#include "cpu/simd/many/svd.h"
#include "cpu/simd/many/values.h"
#include "random.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { N = 9, BATCH = 2 * QD_GROUPS * LANES - 1, MOST = 30 * N };

typedef struct problem_of_values {
  svd_call_t call;
  R A[BATCH * N * N], S[BATCH * N];
  int32_t info[BATCH];
  void *work;
} problem_of_values_t;

static int again_calls;
static int64_t again_matrices;

static void jacobi(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  again_calls++;
  again_matrices += count;
  cr_expect(count <= LANES);
  svd_group(argument, first, 0, (int)count, scratch);
}

static void fill(problem_of_values_t *p) {
  random_t random = random_seed(5);
  for (int b = 0; b < BATCH; b++)
    for (int i = 0; i < N * N; i++)
      p->A[b * N * N + i] = b % 3 == 2 ? (R)(i % (N + 1) == 0) : (R)random_normal(&random);
  p->A[0] = (R)NAN;
  p->call = (svd_call_t){.p = {.dtype = SVDGRAD_F64, .m = N, .n = N, .batch_count = BATCH, .mn = N, .k = N},
                         .A = {p->A, 1, N, N * N},
                         .S = {p->S, 1, N},
                         .info = p->info};
  arena_t arena = {NULL, 0}, other = {NULL, 0};
  (void)value_group_take(&arena, &p->call.p);
  (void)lane_group_take_any(&other, &p->call.p, 0);
  p->work = aligned_alloc(ARENA_ALIGNMENT, arena.used > other.used ? arena.used : other.used);
  cr_assert(p->work);
}

static void run(problem_of_values_t *p, int64_t most_sweeps) {
  const int full = value_groups(&p->call.p) * LANES;
  again_calls = 0, again_matrices = 0;
  for (int first = 0; first < BATCH; first += full)
    values_group(&p->call, first, BATCH - first < full ? BATCH - first : full, (arena_t){p->work, 0}, most_sweeps,
                 jacobi);
}

static int same(const R *x, const R *y) { return memcmp(x, y, N * sizeof *x) == 0; }

Test(qd, a_matrix_over_the_limit_goes_to_jacobi) {
  static problem_of_values_t p;
  static R by_jacobi[BATCH * N], by_qd[BATCH * N];
  fill(&p);
  run(&p, MOST);
  cr_expect_eq(again_calls, 0);
  memcpy(by_qd, p.S, sizeof by_qd);
  run(&p, 0);
  cr_expect_eq(again_matrices, BATCH);
  cr_expect_eq(again_calls, (BATCH + LANES - 1) / LANES, "neighbours go together");
  memcpy(by_jacobi, p.S, sizeof by_jacobi);
  int mixed = 0;
  for (int64_t most = 1; most <= 4 * N; most++) {
    int calls = 0;
    run(&p, most);
    for (int b = 1; b < BATCH; b++) {
      const int again = same(p.S + b * N, by_jacobi + b * N) && !same(by_jacobi + b * N, by_qd + b * N);
      cr_expect(again || same(p.S + b * N, by_qd + b * N), "matrix %d, %d sweeps", b, (int)most);
      cr_expect_eq(p.info[b], SVDGRAD_INFO_OK);
      for (int k = 0; k < N; k++)
        cr_expect(fabs(p.S[b * N + k] - by_jacobi[b * N + k]) <= 4 * N * EPSILON * by_jacobi[b * N]);
      calls += again;
    }
    cr_expect_eq(p.info[0], SVDGRAD_INFO_NONFINITE);
    cr_expect(calls <= again_matrices);
    mixed += calls > 0 && calls < BATCH - 1;
  }
  cr_expect(mixed > 0);
  free(p.work);
}
