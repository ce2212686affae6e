/* SPDX-License-Identifier: BSD-3-Clause */
/* SIMD lanes first, then one by one the matrices with lost singular values. */
#include "cpu_lanes_svd.h"

#include "base/parallel.h"
#include "cpu_kernels.h"

/* Scratch of matrices of up to so many rows and columns is tiny, and is not added up: that would be a third of the time of a
 * call with one of 2 x 2. */
enum { TINY_SIZE = 4 };

size_t cpu_lanes_svd_scratch(const svd_ops_t *ops, const problem_t *p, int vectors) {
  if (p->m <= TINY_SIZE && p->n <= TINY_SIZE)
    return TINY_SCRATCH;
  const size_t lanes = ops->scratch(p, vectors), one = cpu_kernels[p->dtype]->again_scratch(p);
  return lanes > one ? lanes : one;
}

void cpu_lanes_svd(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const cpu_lanes_svd_t *plan = argument;
  const svd_call_t *call = plan->call;
  const svd_ops_t *narrow = plan->ops->narrow;
  const svd_ops_t *ops = narrow && count <= narrow->lanes ? narrow : plan->ops;
  ops->group(call, first, count, scratch);
  for (int64_t b = first; b < first + count; b++) {
    const int has_zero = call->info[b] & INFO_HAS_ZERO;
    call->info[b] &= ~INFO_HAS_ZERO;
    if (call->info[b] != SVDGRAD_INFO_NONFINITE && (has_zero || call->keep_small))
      cpu_kernels[call->p.dtype]->solve_again(call, b, has_zero, scratch);
  }
}
