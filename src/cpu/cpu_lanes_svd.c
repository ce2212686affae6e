/* SPDX-License-Identifier: BSD-3-Clause */
/* SIMD lanes first, then one by one the matrices with lost singular values. */
#include "cpu_lanes_svd.h"

#include "cpu_kernels.h"

size_t cpu_lanes_svd_scratch(const svd_ops_t *ops, const problem_t *p, int vectors) {
  const size_t lanes = ops->scratch(p, vectors), one = cpu_kernels[p->dtype]->again_scratch(p);
  return lanes > one ? lanes : one;
}

void cpu_lanes_svd(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const cpu_lanes_svd_t *plan = argument;
  const svd_call_t *call = plan->call;
  plan->ops->group(call, first, count, scratch);
  for (int64_t b = first; b < first + count; b++) {
    const int has_zero = call->info[b] & INFO_HAS_ZERO;
    call->info[b] &= ~INFO_HAS_ZERO;
    if (call->info[b] != SVDGRAD_INFO_NONFINITE && (has_zero || call->keep_small))
      cpu_kernels[call->p.dtype]->solve_again(call, b, has_zero, scratch);
  }
}
