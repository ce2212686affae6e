/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_norm.h"

#include "cuda_forward.h"

/* EXACT may give a weight to the vectors of a zero singular value, which a fused kernel does not complete. */
static int is_fused(const context_t *context, const problem_t *p) {
  const cuda_algorithm_t algorithm = cuda_choose(cuda_state(context), SVDGRAD_OP_SVD, p);
  const int in_registers = algorithm == CUDA_JACOBI_THREAD || algorithm == CUDA_JACOBI_WARP;
  return p->mn > 0 && p->gap_policy != SVDGRAD_GAP_EXACT && in_registers && cuda_forward_is_direct(algorithm, p);
}

static svdgrad_status_t fused_norm(const context_t *context, const norm_call_t *call) {
  static const char function[] = "svdgrad_norm";
  const problem_t *p = &call->p;
  const cuda_kernels_t *kernels = cuda_kernels_of(p->dtype);
  const svd_call_t svd = {.p = *p, .stream = call->stream, .A = call->A, .info = call->info};
  const norm_args_t args = {.svd = cuda_direct_args(&svd),
                            .kind = call->kind,
                            .p = call->exponent,
                            .value = call->value,
                            .g = call->g,
                            .gA = call->gA,
                            .alpha = call->alpha,
                            .beta = call->beta};
  const full_rank_args_t logarithm = {.batch_count = p->batch_count,
                                      .rows = args.svd.rows,
                                      .columns = args.svd.columns,
                                      .transposed = args.svd.transposed,
                                      .A = call->A,
                                      .value = call->value};
  const int tiny = cuda_choose(cuda_state(context), SVDGRAD_OP_SVD, p) == CUDA_JACOBI_THREAD;
  device_guard_t guard;
  cudaError_t error = device_enter(&guard, cuda_state(context)->device);
  if (error)
    return cuda_status(function, error);
  error = tiny ? kernels->norm_thread(&args, call->stream) : kernels->norm_warp(&args, call->stream);
  if (!error && call->kind == SVDGRAD_NORM_LOG_DETERMINANT)
    error = kernels->full_rank(&logarithm, call->stream);
  device_leave(&guard);
  return cuda_status(function, error);
}

/* Of every kind. */
fused_norm_t *cuda_fused_norm(const context_t *context, const problem_t *p, svdgrad_norm_kind_t kind) {
  (void)kind;
  return is_fused(context, p) ? fused_norm : NULL;
}
