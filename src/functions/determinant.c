/* SPDX-License-Identifier: BSD-3-Clause */
/* det, sign and log |det|, and their gradients U diag(w) Vh (svdgrad.h).  The backend's SVD goes into the workspace; a
 * program then computes the phase of det(U Vh) and the product of the singular values. */
#include "functions/functions.h"
#include "functions/stages.h"

typedef struct determinant_task {
  const determinant_call_t *call;
  scaled_svd_t svd;
} determinant_task_t;

static void load_cotangents(machine_t *machine, const determinant_call_t *call, const determinant_form_t *form) {
  const machine_ops_t *ops = machine->ops;
  ops->load(machine, call->g_det, PLAIN, form->g_det);
  ops->load(machine, call->g_sign, PLAIN, form->g_sign);
  ops->load_reals(machine, call->g_log_abs, form->g_log_abs);
}

static void store_results(machine_t *machine, const determinant_call_t *call, const determinant_form_t *form) {
  const machine_ops_t *ops = machine->ops;
  ops->store(machine, form->det, PLAIN, 1, 0, call->det);
  ops->store(machine, form->sign, PLAIN, 1, 0, call->sign);
  ops->store_reals(machine, form->log_abs, call->log_abs);
}

/* `square` holds U Vh, later gA. */
static void determinant_program(machine_t *machine, const void *argument) {
  const determinant_task_t *task = argument;
  const determinant_call_t *call = task->call;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const int64_t n = p->n;
  determinant_form_t form = {.values = ops->take_values(machine, n), .phase = ops->take(machine, 1, 1)};
  form.g_det = ops->take(machine, 1, 1), form.g_sign = ops->take(machine, 1, 1);
  form.g_log_abs = ops->take_reals(machine, 1);
  form.det = ops->take(machine, 1, 1), form.sign = ops->take(machine, 1, 1);
  form.log_abs = ops->take_reals(machine, 1);
  form.weight = ops->take(machine, call->gradient ? n : 0, 1);
  const tensor_t U = ops->take(machine, n, n), V = ops->take(machine, n, n), square = ops->take(machine, n, n);
  if (machine->measuring)
    return;
  form.info = call->det.data ? call->info : NULL;
  ops->load_scaled_values(machine, task->svd.S, task->svd.exponent, form.values);
  ops->load(machine, task->svd.U, PLAIN, U);
  ops->load(machine, task->svd.Vh, HERMITIAN, V);
  load_cotangents(machine, call, &form);
  ops->multiply(machine, 1, PLAIN, U, HERMITIAN, V, 0, square);
  ops->determinant_phase(machine, square, form.phase);
  ops->form_determinant(machine, &form);
  if (call->gradient) {
    ops->scale_columns_by(machine, form.weight, U);
    ops->multiply(machine, 1, PLAIN, U, HERMITIAN, V, 0, square);
    ops->store(machine, square, PLAIN, call->alpha, call->beta, call->gA);
  }
  store_results(machine, call, &form);
}

static void determinant_stages(stages_t *stages, const void *argument) {
  const determinant_call_t *call = argument;
  const int keep_small = call->log_abs.data != NULL || call->sign.data != NULL;
  const determinant_task_t task = {call, stages_scaled_svd(stages, call->A, 1, keep_small, call->info)};
  stages_program(stages, (program_t){"svdgrad_determinant", &task.svd.thin, &task, determinant_program, PROGRAM_PLAIN});
}

static const composition_t composition = {
    determinant_stages,
    {CALL_FIELDS(determinant_call_t, A, g_sign, log_abs, g_log_abs), .info = offsetof(determinant_call_t, info)}};

size_t determinant_workspace(const context_t *context, const problem_t *p) {
  const determinant_call_t call = {.p = *p};
  return stages_workspace(context, &composition, &call);
}

size_t determinant_gradient_workspace(const context_t *context, const problem_t *p) {
  const determinant_call_t call = {.p = *p, .gradient = 1};
  return stages_workspace(context, &composition, &call);
}

svdgrad_status_t determinant(const context_t *context, const determinant_call_t *call) {
  return stages_run(context, &composition, call, call->work);
}
