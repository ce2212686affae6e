/* SPDX-License-Identifier: BSD-3-Clause */
/* Norms of A and their gradients U h(S) Vh: by the backend's fused kernel where there is one; otherwise the SVD goes
 * into the workspace, and a program computes the norm and h from the singular values. */
#include "functions/functions.h"
#include "functions/stages.h"

typedef struct norm_task {
  const norm_call_t *call;
  scaled_svd_t svd;
} norm_task_t;

static void norm_program(machine_t *machine, const void *argument) {
  const norm_task_t *task = argument;
  const norm_call_t *call = task->call;
  const scaled_svd_t *svd = &task->svd;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const int64_t m = svd->vectors ? p->m : 0, n = svd->vectors ? p->n : 0;
  const values_t values = ops->take_values(machine, p->k);
  const reals_t value = ops->take_reals(machine, 1), g = ops->take_reals(machine, 1);
  const reals_t weight = ops->take_reals(machine, svd->vectors ? p->k : 0);
  const tensor_t U = ops->take(machine, m, p->k), V = ops->take(machine, n, p->k), gA = ops->take(machine, m, n);
  if (machine->measuring)
    return;
  const norm_form_t form = {.kind = call->kind,
                            .p = call->exponent,
                            .larger = p->m > p->n ? p->m : p->n,
                            .values = values,
                            .g = call->g.data ? g : (reals_t){NULL, 0},
                            .value = value,
                            .weight = weight,
                            .info = call->info};
  ops->load_scaled_values(machine, svd->S, svd->exponent, values);
  ops->load_reals(machine, call->g, g);
  if (svd->vectors) {
    ops->load(machine, svd->U, PLAIN, U);
    ops->load(machine, svd->Vh, HERMITIAN, V);
  }
  ops->form_norm(machine, &form);
  if (svd->vectors) {
    ops->scale_columns(machine, weight, U);
    ops->multiply(machine, 1, PLAIN, U, HERMITIAN, V, 0, gA);
    ops->store(machine, gA, PLAIN, call->alpha, call->beta, call->gA);
  }
  ops->store_reals(machine, value, call->value);
}

static void norm_stages(stages_t *stages, const void *argument) {
  const norm_call_t *call = argument;
  const int keep_small = call->kind == SVDGRAD_NORM_LOG_DETERMINANT;
  const norm_task_t task = {call, stages_scaled_svd(stages, call->A, call->gradient, keep_small, call->info)};
  stages_program(stages, (program_t){"svdgrad_norm", &task.svd.thin, &task, norm_program, PROGRAM_PLAIN});
}

static const composition_t composition = {
    norm_stages, {CALL_FIELDS(norm_call_t, A, gA, value, g), .info = offsetof(norm_call_t, info)}};

fused_norm_t *no_fused_norm(const context_t *context, const problem_t *p, svdgrad_norm_kind_t kind) {
  (void)context, (void)p, (void)kind;
  return NULL;
}

size_t norm_workspace(const context_t *context, const problem_t *p) {
  const norm_call_t call = {.p = *p};
  return stages_workspace(context, &composition, &call);
}

/* The caller does not say which norm it will be. */
static int are_all_fused(const context_t *context, const problem_t *p) {
  for (svdgrad_norm_kind_t kind = SVDGRAD_NORM_NUCLEAR; kind <= SVDGRAD_NORM_LOG_DETERMINANT; kind++)
    if (!context->backend->fused_norm(context, p, kind))
      return 0;
  return 1;
}

size_t norm_gradient_workspace(const context_t *context, const problem_t *p) {
  const norm_call_t call = {.p = *p, .gradient = 1};
  return are_all_fused(context, p) ? 0 : stages_workspace(context, &composition, &call);
}

svdgrad_status_t norm(const context_t *context, const norm_call_t *call) {
  fused_norm_t *fused = call->gradient ? context->backend->fused_norm(context, &call->p, call->kind) : NULL;
  return fused ? fused(context, call) : stages_run(context, &composition, call, call->work);
}
