/* SPDX-License-Identifier: BSD-3-Clause */
/* LAPACK or the bidiagonal path first, then one precision wider where small singular values matter. */
#include "cpu_lapack_svd.h"

/* Largest matrices that are solved again. */
enum { SOLVED_AGAIN_MOST_COLUMNS = 128, SOLVED_AGAIN_MOST_ELEMENTS = 1 << 16 };

static int is_solved_again(const problem_t *p) {
  return p->mn <= SOLVED_AGAIN_MOST_COLUMNS && (double)p->m * (double)p->n <= SOLVED_AGAIN_MOST_ELEMENTS &&
         !p->full_matrices;
}

size_t cpu_lapack_svd_scratch(const cpu_svd_plan_t *plan) {
  const problem_t *p = plan->p;
  const size_t lapack = cpu_kernels[p->dtype]->svd_scratch(plan);
  const size_t again = is_solved_again(p) ? cpu_kernels[p->dtype]->again_scratch(p) : 0;
  return lapack > again ? lapack : again;
}

void cpu_lapack_svd(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const cpu_svd_plan_t *plan = argument;
  const svd_call_t *call = plan->call;
  const svdgrad_dtype_t dtype = call->p.dtype;
  cpu_kernels[dtype]->svd(plan, first, count, scratch);
  if (!call->keep_small || !is_solved_again(&call->p))
    return;
  for (int64_t b = first; b < first + count; b++)
    if (call->info[b] != SVDGRAD_INFO_NONFINITE)
      cpu_kernels[dtype]->solve_again(call, b, 0, scratch);
}
