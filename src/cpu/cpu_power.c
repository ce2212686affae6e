/* SPDX-License-Identifier: BSD-3-Clause */
/* The power iteration on batches: small matrices in lanes (simd/many/power.c), others one at a time (power/). */
#include "cpu_power.h"

#include "power/power_kernels.h"

static const power_kernels_t *const kernels_of[4] = {[SVDGRAD_F32] = &power_kernels_f32,
                                                     [SVDGRAD_F64] = &power_kernels_f64,
                                                     [SVDGRAD_C64] = &power_kernels_c64,
                                                     [SVDGRAD_C128] = &power_kernels_c128};

/* Largest m and n computed in lanes: a group stays in the cache. */
enum { LANES_MOST = 16 };

static int in_lanes(const problem_t *p) { return p->m <= LANES_MOST && p->n <= LANES_MOST; }

static size_t larger(size_t x, size_t y) { return x > y ? x : y; }

/* Enough for both layouts of A and any number of iterations. */
static size_t scratch_of(const lane_kernels_t *kernels, const problem_t *p) {
  const walk_t by_rows = walk_make(p->dtype, 0, p->m, p->n), by_columns = walk_make(p->dtype, 1, p->n, p->m);
  const size_t alone = larger(kernels_of[p->dtype]->scratch(&by_rows), kernels_of[p->dtype]->scratch(&by_columns));
  return in_lanes(p) ? larger(alone, kernels->power->scratch(p)) : alone;
}

static int group_of(const lane_kernels_t *kernels, const problem_t *p) { return in_lanes(p) ? kernels->lanes : 1; }

size_t cpu_power_workspace(const lane_kernels_t *kernels, const problem_t *p) {
  const batch_t batch = {
      .batch_count = p->batch_count, .group = group_of(kernels, p), .scratch = scratch_of(kernels, p)};
  return batch_workspace(&batch);
}

static void lanes_task(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const power_plan_t *plan = argument;
  int32_t is_fine[GROUP_MOST_LANES];
  plan->kernels->power->group(plan->call, first, (int)count, scratch, is_fine);
  for (int64_t l = 0; l < count; l++)
    if (!is_fine[l])
      kernels_of[plan->call->p.dtype]->iterate(plan, first + l, 1, scratch);
}

static void one_by_one(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const power_plan_t *plan = argument;
  for (int64_t l = 0; l < count; l++)
    kernels_of[plan->call->p.dtype]->iterate(plan, first + l, 1, scratch);
}

/* Rough nanoseconds per matrix. */
static double cost_of(const problem_t *p, double passes) {
  return 100 + passes * (50 + (double)p->m * (double)p->n / 4);
}

void cpu_power_iteration(const parallel_t *parallel, const lane_kernels_t *kernels, const power_call_t *call) {
  const problem_t *p = &call->p;
  const walk_t walk = walk_of(p, &call->A);
  const sharing_t sharing = share(parallel, &walk, p->batch_count);
  const power_plan_t plan = {call, kernels, walk, sharing.chunks};
  batch_run(sharing.matrices, (batch_t){.task = in_lanes(p) && call->iterations > 0 ? lanes_task : one_by_one,
                                        .call = &plan,
                                        .batch_count = p->batch_count,
                                        .group = group_of(kernels, p),
                                        .matrix_cost = cost_of(p, 1 + call->iterations),
                                        .scratch = scratch_of(kernels, p),
                                        .work = call->work});
}

void cpu_normalize_backward(const parallel_t *parallel, const normalize_backward_call_t *call) {
  const problem_t *p = &call->p;
  const walk_t walk = walk_of(p, &call->gA);
  const sharing_t sharing = share(parallel, &walk, p->batch_count);
  const gradient_plan_t plan = {call, walk, sharing.chunks};
  batch_run(sharing.matrices, (batch_t){.task = kernels_of[p->dtype]->backward,
                                        .call = &plan,
                                        .batch_count = p->batch_count,
                                        .group = 1,
                                        .matrix_cost = cost_of(p, 4)});
}
