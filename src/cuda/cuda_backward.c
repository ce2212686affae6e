/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_backward.h"

cudaError_t cuda_backward_fused(cuda_algorithm_t algorithm, const svd_backward_call_t *call) {
  const cuda_kernels_t *kernels = cuda_kernels_of(call->p.dtype);
  const problem_t *p = &call->p;
  const fused_args_t args = {.batch_count = p->batch_count,
                             .m = p->m,
                             .n = p->n,
                             .k = p->k,
                             .U = call->U,
                             .Vh = call->Vh,
                             .gU = call->gU,
                             .gVh = call->gVh,
                             .gA = call->gA,
                             .S = call->S,
                             .gS = call->gS,
                             .alpha = call->alpha,
                             .beta = call->beta,
                             .gap_param = p->gap_param,
                             .gap_policy = p->gap_policy,
                             .report = call->report};
  return (algorithm == CUDA_BACKWARD_THREAD ? kernels->backward_thread
          : algorithm == CUDA_BACKWARD_WARP ? kernels->backward_warp
                                            : kernels->backward_fused)(&args, call->stream);
}
