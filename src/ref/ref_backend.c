/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference backend: the simplest correct code, one precision wider than the operands.  The tests compare every
 * other backend with it.  Read jacobi.h, svd.h, backward.h, power.h. */
#include "empty.h"
#include "base/error.h"
#include "functions/functions.h"
#include "functions/pieces.h"
#include "ref_kernels.h"
#include "ref_machine.h"

static svdgrad_status_t ref_create(context_t *context, int device) {
  (void)context;
  (void)device;
  return SVDGRAD_STATUS_SUCCESS;
}

static void ref_destroy(context_t *context) { (void)context; }

static const char *ref_algorithm_name(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  (void)context;
  switch (op) {
  case SVDGRAD_OP_SVD:
  case SVDGRAD_OP_SVDVALS: return problem->algo == SVDGRAD_ALGO_VENDOR ? NULL : "reference-jacobi";
  case SVDGRAD_OP_SVD_BACKWARD: return "reference-backward";
  case SVDGRAD_OP_POWER_ITERATION:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD: return "reference-power-iteration";
  default: return "reference-program";
  }
}

static const char *ref_instruction_set(const context_t *context) {
  (void)context;
  return "portable";
}

static int ref_is_capturable(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  (void)context;
  (void)op;
  (void)problem;
  return 0;
}

static const char *ref_limit(svdgrad_op_t op, const problem_t *problem) {
  (void)op;
  (void)problem;
  return NULL;
}

static size_t ref_scratch(svdgrad_op_t op, const problem_t *problem) {
  const ref_kernels_t *kernels = ref_kernels[problem->dtype];
  switch (op) {
  case SVDGRAD_OP_SVD_BACKWARD: return kernels->backward_scratch(problem);
  case SVDGRAD_OP_POWER_ITERATION:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE: return kernels->power_scratch(problem);
  case SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD: return 0;
  default: return kernels->svd_scratch(problem);
  }
}

static size_t ref_workspace_size(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  (void)context;
  const batch_t batch = {.batch_count = problem->batch_count, .group = 1, .scratch = ref_scratch(op, problem)};
  return batch_workspace(&batch);
}

/* Nanoseconds of one matrix, roughly. */
static double ref_cost(const problem_t *p) { return 500 + 100.0 * (double)p->m * (double)p->n * (double)p->mn; }

static batch_t ref_batch(svdgrad_op_t op, const problem_t *p, batch_task_t task, const void *call, void *work) {
  return (batch_t){.task = task,
                   .call = call,
                   .batch_count = p->batch_count,
                   .group = 1,
                   .matrix_cost = ref_cost(p),
                   .scratch = ref_scratch(op, p),
                   .work = work};
}

static svdgrad_status_t ref_svd(const context_t *context, const svd_call_t *call) {
  const problem_t *p = &call->p;
  if (p->mn == 0)
    empty_svd(call);
  else
    batch_run(&context->parallel, ref_batch(SVDGRAD_OP_SVD, p, ref_kernels[p->dtype]->svd, call, call->work));
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t ref_svd_backward(const context_t *context, const svd_backward_call_t *call) {
  const problem_t *p = &call->p;
  if (p->mn == 0)
    empty_svd_backward(call);
  else
    batch_run(&context->parallel,
              ref_batch(SVDGRAD_OP_SVD_BACKWARD, p, ref_kernels[p->dtype]->backward, call, call->work));
  return SVDGRAD_STATUS_SUCCESS;
}

/* A program costs about as much as the backward pass. */
static batch_t ref_program_batch(const host_program_t *plan, void *work) {
  const problem_t *p = plan->program->p;
  return (batch_t){.task = host_program_task,
                   .call = plan,
                   .batch_count = p->batch_count,
                   .group = 1,
                   .matrix_cost = ref_cost(p),
                   .scratch = host_program_scratch(plan),
                   .work = work};
}

static size_t ref_program_workspace(const context_t *context, const program_t *program) {
  (void)context;
  const host_program_t plan = {.program = program, .ops = ref_machine_ops[program->p->dtype]};
  const batch_t batch = ref_program_batch(&plan, NULL);
  return batch_workspace(&batch);
}

static svdgrad_status_t ref_program_run(const context_t *context, const program_t *program, void *stream, void *work) {
  (void)stream;
  const host_program_t plan = {.program = program, .ops = ref_machine_ops[program->p->dtype]};
  batch_run(&context->parallel, ref_program_batch(&plan, work));
  return SVDGRAD_STATUS_SUCCESS;
}

static size_t ref_staged_workspace(const context_t *context, const staged_t *staged) {
  return pieces_workspace(context, staged, 1);
}

static svdgrad_status_t ref_staged_run(const context_t *context, const staged_t *staged, void *work) {
  return pieces_run(context, staged, 1, work);
}

/* passes: how often A, or A and gY, is read. */
static batch_t ref_power_batch(svdgrad_op_t op, const problem_t *p, int64_t passes, batch_task_t task, const void *call,
                               void *work) {
  batch_t batch = ref_batch(op, p, task, call, work);
  batch.matrix_cost = 100 + 10.0 * (double)passes * (double)p->m * (double)p->n;
  return batch;
}

static svdgrad_status_t ref_power_iteration(const context_t *context, const power_call_t *call) {
  const problem_t *p = &call->p;
  if (p->mn == 0)
    empty_power_iteration(call);
  else
    batch_run(&context->parallel, ref_power_batch(SVDGRAD_OP_POWER_ITERATION, p, 2 * (int64_t)call->iterations + 3,
                                                  ref_kernels[p->dtype]->power, call, call->work));
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t ref_normalize_backward(const context_t *context, const normalize_backward_call_t *call) {
  const problem_t *p = &call->p;
  if (p->mn > 0)
    batch_run(&context->parallel, ref_power_batch(SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD, p, 2,
                                                  ref_kernels[p->dtype]->normalize_backward, call, call->work));
  return SVDGRAD_STATUS_SUCCESS;
}

static const backend_traits_t traits = {.takes_stream = 0, .has_threads = 1};

const backend_t ref_backend = {
    .name = "ref",
    .traits = &traits,
    .create = ref_create,
    .destroy = ref_destroy,
    .instruction_set = ref_instruction_set,
    .algorithm_name = ref_algorithm_name,
    .limit = ref_limit,
    .is_capturable = ref_is_capturable,
    .workspace_size = ref_workspace_size,
    .svd = ref_svd,
    .svd_backward = ref_svd_backward,
    .program_workspace = ref_program_workspace,
    .program_run = ref_program_run,
    .staged_workspace = ref_staged_workspace,
    .staged_run = ref_staged_run,
    .choice_below = no_choice_below,
    .fused_norm = no_fused_norm,
    .power_iteration = ref_power_iteration,
    .normalize_backward = ref_normalize_backward,
};
