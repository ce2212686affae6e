/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass by the BLAS.  Truncated rank takes two stages; the first is the SVD of the discarded part, by the
 * algorithm that any SVD of that size takes, in lanes where it is small. */
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

static void find_gradient(const context_t *context, const svd_backward_call_t *call, const rest_t *rest, void *work) {
  const cpu_backward_plan_t plan = {&call->p, call, rest};
  cpu_run_blas(&context->parallel, gradient_batch(&plan), work);
}

/* ---- truncated rank ---- */

/* VENDOR stays VENDOR.  JACOBI becomes AUTO, since not every size fits lanes. */
static svdgrad_algo_t rest_algo(const problem_t *p) {
  return p->algo == SVDGRAD_ALGO_VENDOR ? SVDGRAD_ALGO_VENDOR : SVDGRAD_ALGO_AUTO;
}

static void truncated_stages(stages_t *stages, const void *argument) {
  const svd_backward_call_t *call = argument;
  const rest_call_t of = {"svdgrad_svd_backward", call->A, call->U, call->Vh, call->S};
  const rest_t rest = rest_factorize(stages, &of, rest_algo(&call->p));
  void *work = stages_other(stages, stages->measuring ? gradient_workspace(&call->p) : 0);
  if (!stages->measuring && !stages->status)
    find_gradient(stages->context, call, &rest, work);
}

static const composition_t truncated = {
    truncated_stages,
    {CALL_FIELDS(svd_backward_call_t, A, gA, S, gS), .report = offsetof(svd_backward_call_t, report)}};

/* ---- both ---- */

size_t cpu_blas_backward_workspace(const context_t *context, const problem_t *p) {
  const svd_backward_call_t call = {.p = *p};
  return is_truncated(p) ? stages_workspace(context, &truncated, &call) : gradient_workspace(p);
}

svdgrad_status_t cpu_blas_backward(const context_t *context, const svd_backward_call_t *call) {
  if (is_truncated(&call->p) && (call->gU.data || call->gVh.data))
    return stages_run(context, &truncated, call, call->work);
  find_gradient(context, call, NULL, call->work);
  return SVDGRAD_STATUS_SUCCESS;
}
