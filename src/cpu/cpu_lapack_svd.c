/* SPDX-License-Identifier: BSD-3-Clause */
/* LAPACK or the bidiagonal path first, then the reference algorithm where the bidiagonal path did not converge, or small
 * singular values matter. */
#include "cpu_lapack_svd.h"

#include "ref/ref_kernels.h"

/* Largest matrices that the reference algorithm solves again.  It takes about a second for these, and minutes at a
 * thousand columns. */
enum { SOLVED_AGAIN_MOST_COLUMNS = 128, SOLVED_AGAIN_MOST_ELEMENTS = 1 << 16 };

static int is_solved_again(const problem_t *p) {
  return p->mn <= SOLVED_AGAIN_MOST_COLUMNS && (double)p->m * (double)p->n <= SOLVED_AGAIN_MOST_ELEMENTS &&
         !p->full_matrices;
}

size_t cpu_lapack_svd_scratch(const cpu_svd_plan_t *plan) {
  const problem_t *p = plan->p;
  const size_t lapack = cpu_kernels[p->dtype]->svd_scratch(plan);
  const size_t again = is_solved_again(p) ? ref_kernels[p->dtype]->svd_scratch(p) : 0;
  return lapack > again ? lapack : again;
}

static int needs_again(const cpu_svd_plan_t *plan, int64_t b) {
  const svd_call_t *call = plan->call;
  if (call->info[b] == SVDGRAD_INFO_NONFINITE)
    return 0;
  return (plan->bidiagonal && call->info[b] == SVDGRAD_INFO_NOT_CONVERGED) ||
         (call->keep_small && cpu_kernels[call->p.dtype]->lost_values(call, b));
}

void cpu_lapack_svd(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const cpu_svd_plan_t *plan = argument;
  const svd_call_t *call = plan->call;
  const svdgrad_dtype_t dtype = call->p.dtype;
  cpu_kernels[dtype]->svd(plan, first, count, scratch);
  for (int64_t b = first; b < first + count && is_solved_again(&call->p); b++)
    if (needs_again(plan, b))
      ref_kernels[dtype]->svd(call, b, 1, scratch);
}
