/* SPDX-License-Identifier: BSD-3-Clause */
/* The CPU backend: LAPACK per matrix, threads over the batch. */
#include "../empty.h"
#include "blas_threads.h"
#include "cpu_choice.h"
#include "cpu_kernels.h"

static svdgrad_status_t cpu_create(context_t *context, int device) {
  (void)context;
  (void)device;
  return SVDGRAD_STATUS_SUCCESS;
}

static void cpu_destroy(context_t *context) { (void)context; }

static const char *cpu_algorithm_name(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  (void)context;
  return cpu_algorithm_string(cpu_choose(op, problem));
}

static int cpu_is_capturable(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  (void)context;
  (void)op;
  (void)problem;
  return 0;
}

static cpu_svd_plan_t plan_svd(svdgrad_op_t op, const problem_t *p, const svd_call_t *call) {
  const int vectors = op == SVDGRAD_OP_SVD;
  const int lwork = cpu_kernels[p->dtype].svd_lwork((int)p->m, (int)p->n, vectors, p->full_matrices);
  return (cpu_svd_plan_t){p, call, vectors, lwork};
}

static cpu_backward_plan_t plan_backward(const problem_t *p, const svd_backward_call_t *call) {
  const int truncated = p->k < p->mn;
  const int lwork = truncated ? cpu_kernels[p->dtype].svd_lwork((int)p->m, (int)p->n, 1, 0) : 0;
  return (cpu_backward_plan_t){p, call, lwork};
}

static size_t cpu_workspace_size(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  (void)context;
  if (op == SVDGRAD_OP_SVD_BACKWARD) {
    const cpu_backward_plan_t plan = plan_backward(p, NULL);
    return batch_workspace(p->batch_count, cpu_kernels[p->dtype].backward_scratch(&plan));
  }
  const cpu_svd_plan_t plan = plan_svd(op, p, NULL);
  return batch_workspace(p->batch_count, cpu_kernels[p->dtype].svd_scratch(&plan));
}

/* Nanoseconds of one matrix, roughly: a fixed part, and some flops per element of the product. */
static double cpu_cost(const problem_t *p, double flops) {
  return 1000 + flops * (double)p->m * (double)p->n * (double)p->mn;
}

static svdgrad_status_t cpu_svd(const context_t *context, const svd_call_t *call) {
  const problem_t *p = &call->p;
  if (p->mn == 0) {
    empty_svd(call);
    return SVDGRAD_STATUS_SUCCESS;
  }
  const svdgrad_op_t op = call->U.data || call->Vh.data ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS;
  const cpu_svd_plan_t plan = plan_svd(op, p, call);
  const size_t scratch = cpu_kernels[p->dtype].svd_scratch(&plan);
  blas_threads_hold();
  batch_run(&context->parallel, p->batch_count, cpu_cost(p, 3), scratch, call->work, cpu_kernels[p->dtype].svd, &plan);
  blas_threads_release();
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t cpu_svd_backward(const context_t *context, const svd_backward_call_t *call) {
  const problem_t *p = &call->p;
  if (p->mn == 0) {
    empty_svd_backward(call);
    return SVDGRAD_STATUS_SUCCESS;
  }
  const cpu_backward_plan_t plan = plan_backward(p, call);
  const size_t scratch = cpu_kernels[p->dtype].backward_scratch(&plan);
  blas_threads_hold();
  batch_run(&context->parallel, p->batch_count, cpu_cost(p, 1), scratch, call->work, cpu_kernels[p->dtype].backward,
            &plan);
  blas_threads_release();
  return SVDGRAD_STATUS_SUCCESS;
}

const backend_t cpu_backend = {
    .name = "cpu",
    .create = cpu_create,
    .destroy = cpu_destroy,
    .algorithm_name = cpu_algorithm_name,
    .is_capturable = cpu_is_capturable,
    .workspace_size = cpu_workspace_size,
    .svd = cpu_svd,
    .svd_backward = cpu_svd_backward,
};
