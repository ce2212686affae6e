/* SPDX-License-Identifier: BSD-3-Clause */
/* SIMD lanes first, then the reference algorithm for matrices with lost singular values. */
#include "cpu_lanes_svd.h"

#include "ref/ref_kernels.h"
#include "cpu_kernels.h"

size_t cpu_lanes_svd_scratch(const svd_ops_t *ops, const problem_t *p, int vectors) {
  const size_t lanes = ops->scratch(p, vectors), one = ref_kernels[p->dtype]->svd_scratch(p);
  return lanes > one ? lanes : one;
}

void cpu_lanes_svd(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const cpu_lanes_svd_t *plan = argument;
  const svd_call_t *call = plan->call;
  const svdgrad_dtype_t dtype = call->p.dtype;
  plan->ops->group(call, first, count, scratch);
  for (int64_t b = first; b < first + count; b++)
    if (call->info[b] != SVDGRAD_INFO_NONFINITE && cpu_kernels[dtype]->lost_values(call, b))
      ref_kernels[dtype]->svd(call, b, 1, scratch);
}
