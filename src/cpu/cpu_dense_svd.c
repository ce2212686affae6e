/* SPDX-License-Identifier: BSD-3-Clause */
/* The bidiagonal path or LAPACK first.  Then one precision wider where small singular values matter, and by the reference
 * algorithm where the bidiagonal path did not converge. */
#include "cpu_dense_svd.h"

#include "ref/ref_kernels.h"

/* Largest matrices that are solved again. */
enum { SOLVED_AGAIN_MOST_COLUMNS = 128, SOLVED_AGAIN_MOST_ELEMENTS = 1 << 16 };

static int is_solved_again(const problem_t *p) {
  return p->mn <= SOLVED_AGAIN_MOST_COLUMNS && (double)p->m * (double)p->n <= SOLVED_AGAIN_MOST_ELEMENTS &&
         !p->full_matrices;
}

static size_t larger_of(size_t x, size_t y) { return x > y ? x : y; }

static size_t again_scratch(const problem_t *p) {
  return larger_of(cpu_kernels[p->dtype]->again_scratch(p), ref_kernels[p->dtype]->svd_scratch(p));
}

size_t cpu_dense_svd_scratch(const cpu_svd_plan_t *plan) {
  const problem_t *p = plan->p;
  const size_t first = cpu_kernels[p->dtype]->svd_scratch(plan);
  return is_solved_again(p) ? larger_of(first, again_scratch(p)) : first;
}

void cpu_dense_svd(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const cpu_svd_plan_t *plan = argument;
  const svd_call_t *call = plan->call;
  const svdgrad_dtype_t dtype = call->p.dtype;
  cpu_kernels[dtype]->svd(plan, first, count, scratch);
  for (int64_t b = first; b < first + count && is_solved_again(&call->p); b++) {
    if (plan->bidiagonal && call->info[b] == SVDGRAD_INFO_NOT_CONVERGED)
      ref_kernels[dtype]->svd(call, b, 1, scratch);
    else if (call->keep_small && call->info[b] != SVDGRAD_INFO_NONFINITE)
      cpu_kernels[dtype]->solve_again(call, b, 0, scratch);
  }
}
