/* SPDX-License-Identifier: BSD-3-Clause */
/* Truncated rank takes two stages, the first of which finds the discarded part of the spectrum: by whatever algorithm an SVD
 * of that size takes, and so in lanes where it is small. */
#include "cpu_blas_backward.h"

#include "cpu_kernels.h"

static batch_t gradient_batch(const cpu_backward_plan_t *plan) {
  const problem_t *p = plan->p;
  return (batch_t){.task = cpu_kernels[p->dtype]->backward,
                   .call = plan,
                   .batch_count = p->batch_count,
                   .group = 1,
                   .matrix_cost = cpu_cost(p, 1000, 1),
                   .scratch = cpu_kernels[p->dtype]->backward_scratch(plan)};
}

static size_t gradient_workspace(const problem_t *p) {
  const cpu_backward_plan_t plan = {p, NULL, NULL};
  const batch_t batch = gradient_batch(&plan);
  return batch_workspace(&batch);
}

static void find_gradient(const context_t *context, const svd_backward_call_t *call, const rest_t *rest) {
  const cpu_backward_plan_t plan = {&call->p, call, rest};
  cpu_run_blas(&context->parallel, gradient_batch(&plan), call->work);
}

/* ---- truncated rank ---- */

typedef struct truncated_stages {
  rest_t rest;
  stages_t stages;
} truncated_stages_t;

/* LAPACK's, or what is best: not every size fits lanes. */
static svdgrad_algo_t rest_algo(const problem_t *p) {
  return p->algo == SVDGRAD_ALGO_VENDOR ? SVDGRAD_ALGO_VENDOR : SVDGRAD_ALGO_AUTO;
}

static truncated_stages_t take_stages(const context_t *context, const problem_t *p, void *work) {
  truncated_stages_t w = {.stages = stages_make(p, NULL, 0)};
  stages_share(&w.stages, gradient_workspace(p));
  stages_share(&w.stages, rest_workspace(context, p, rest_algo(p)));
  w.stages = stages_make(p, work, w.stages.shared);
  w.rest = rest_take(&w.stages, rest_algo(p));
  return w;
}

static size_t bytes_of_stages(const context_t *context, const problem_t *p) {
  const truncated_stages_t w = take_stages(context, p, NULL);
  return stages_bytes(&w.stages);
}

static svd_backward_call_t part_of(const svd_backward_call_t *call, int64_t first, int64_t count, void *work) {
  const svdgrad_dtype_t dtype = call->p.dtype;
  svd_backward_call_t part = *call;
  part.p.batch_count = count;
  part.A = matrix_from(call->A, first, dtype), part.gA = matrix_from(call->gA, first, dtype);
  part.U = matrix_from(call->U, first, dtype), part.gU = matrix_from(call->gU, first, dtype);
  part.Vh = matrix_from(call->Vh, first, dtype), part.gVh = matrix_from(call->gVh, first, dtype);
  part.S = reals_from(call->S, first, dtype), part.gS = reals_from(call->gS, first, dtype);
  part.report = call->report ? call->report + first : NULL;
  part.work = work;
  return part;
}

static svdgrad_status_t truncated_part(const context_t *context, const void *argument, int64_t first, int64_t count,
                                       void *work) {
  const svd_backward_call_t part = part_of(argument, first, count, work), *call = &part;
  const truncated_stages_t w = take_stages(context, &call->p, work);
  const rest_call_t of = {"svdgrad_svd_backward", &call->p, NULL, call->A, call->U, call->Vh, call->S, work};
  const svdgrad_status_t status = rest_factorize(context, &of, &w.rest);
  if (!status)
    find_gradient(context, call, &w.rest);
  return status;
}

/* ---- either ---- */

size_t cpu_blas_backward_workspace(const context_t *context, const problem_t *p) {
  return is_truncated(p) ? stages_workspace(context, p, bytes_of_stages) : gradient_workspace(p);
}

svdgrad_status_t cpu_blas_backward(const context_t *context, const svd_backward_call_t *call) {
  if (is_truncated(&call->p) && (call->gU.data || call->gVh.data))
    return stages_run(context, &call->p, bytes_of_stages, truncated_part, call, call->work);
  find_gradient(context, call, NULL);
  return SVDGRAD_STATUS_SUCCESS;
}
