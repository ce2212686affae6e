/* SPDX-License-Identifier: BSD-3-Clause */
/* The determinant with its sign, log |det|, and their gradients U diag(w) Vh (svdgrad.h): the backend's SVD into the
 * workspace, and a program that finds the phase of det(U Vh) and multiplies the singular values. */
#include "functions.h"
#include "stages.h"

/* The factors between the two. */
typedef struct determinant_stages {
  const determinant_call_t *call;
  int gradient;
  problem_t thin;
  svdgrad_matrix_t U, Vh;
  svdgrad_vector_t S; /* times 2^-exponent */
  int32_t *exponent;
  stages_t stages;
} determinant_stages_t;

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

/* U Vh, then gA, share their memory. */
static void determinant_program(machine_t *machine, const void *argument) {
  const determinant_stages_t *between = argument;
  const determinant_call_t *call = between->call;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const int64_t n = p->n;
  determinant_form_t form = {.values = ops->take_values(machine, n), .phase = ops->take(machine, 1, 1)};
  form.g_det = ops->take(machine, 1, 1), form.g_sign = ops->take(machine, 1, 1);
  form.g_log_abs = ops->take_reals(machine, 1);
  form.det = ops->take(machine, 1, 1), form.sign = ops->take(machine, 1, 1);
  form.log_abs = ops->take_reals(machine, 1);
  form.weight = ops->take(machine, between->gradient ? n : 0, 1);
  const tensor_t U = ops->take(machine, n, n), V = ops->take(machine, n, n), square = ops->take(machine, n, n);
  if (machine->measuring)
    return;
  form.info = call->det.data ? call->info : NULL;
  ops->load_scaled_values(machine, between->S, between->exponent, form.values);
  ops->load(machine, between->U, PLAIN, U);
  ops->load(machine, between->Vh, HERMITIAN, V);
  load_cotangents(machine, call, &form);
  ops->multiply(machine, 1, PLAIN, U, HERMITIAN, V, 0, square);
  ops->determinant_phase(machine, square, form.phase);
  ops->form_determinant(machine, &form);
  store_results(machine, call, &form);
  if (!between->gradient)
    return;
  ops->scale_columns_by(machine, form.weight, U);
  ops->multiply(machine, 1, PLAIN, U, HERMITIAN, V, 0, square);
  ops->store(machine, square, PLAIN, call->alpha, call->beta, call->gA);
}

static determinant_stages_t take_stages(const context_t *context, const problem_t *p, int gradient, void *work) {
  determinant_stages_t w = {.gradient = gradient, .thin = stages_thin(p)};
  const program_t program = {"", p, &w, determinant_program};
  w.stages = stages_make(p, NULL, 0);
  if (p->mn > 0)
    stages_share(&w.stages, context->backend->workspace_size(context, SVDGRAD_OP_SVD, &w.thin));
  stages_share(&w.stages, context->backend->program_workspace(context, &program));
  w.stages = stages_make(p, work, w.stages.shared);
  w.S = stages_reals(&w.stages, p->n);
  w.exponent = stages_words(&w.stages);
  w.U = stages_matrix(&w.stages, p->n, p->n);
  w.Vh = stages_matrix(&w.stages, p->n, p->n);
  return w;
}

static size_t bytes_of_values(const context_t *context, const problem_t *p) {
  const determinant_stages_t w = take_stages(context, p, 0, NULL);
  return stages_bytes(&w.stages);
}

static size_t bytes_of_gradient(const context_t *context, const problem_t *p) {
  const determinant_stages_t w = take_stages(context, p, 1, NULL);
  return stages_bytes(&w.stages);
}

static determinant_call_t part_of(const determinant_call_t *call, int64_t first, int64_t count, void *work) {
  const svdgrad_dtype_t dtype = call->p.dtype;
  determinant_call_t part = *call;
  part.p.batch_count = count;
  part.A = matrix_from(call->A, first, dtype), part.gA = matrix_from(call->gA, first, dtype);
  part.det = matrix_from(call->det, first, dtype), part.sign = matrix_from(call->sign, first, dtype);
  part.g_det = matrix_from(call->g_det, first, dtype), part.g_sign = matrix_from(call->g_sign, first, dtype);
  part.log_abs = reals_from(call->log_abs, first, dtype), part.g_log_abs = reals_from(call->g_log_abs, first, dtype);
  part.info = call->info ? call->info + first : NULL;
  part.work = work;
  return part;
}

static svdgrad_status_t determinant_part(const context_t *context, const void *argument, int64_t first, int64_t count,
                                         void *work) {
  const determinant_call_t part = part_of(argument, first, count, work), *call = &part;
  determinant_stages_t w = take_stages(context, &call->p, call->gA.data != NULL, call->work);
  w.call = call;
  const svd_call_t svd = {.p = w.thin,
                          .stream = call->stream,
                          .A = call->A,
                          .U = w.U,
                          .Vh = w.Vh,
                          .S = w.S,
                          .info = call->info,
                          .work = call->work,
                          .exponent = w.exponent,
                          .keep_small = call->log_abs.data != NULL || call->sign.data != NULL};
  const program_t program = {"svdgrad_determinant", &w.thin, &w, determinant_program};
  const svdgrad_status_t status = context->backend->svd(context, &svd);
  return status ? status : context->backend->program_run(context, &program, call->stream, call->work);
}

size_t determinant_workspace(const context_t *context, const problem_t *p, int gradient) {
  return stages_workspace(context, p, gradient ? bytes_of_gradient : bytes_of_values);
}

svdgrad_status_t determinant(const context_t *context, const determinant_call_t *call) {
  return stages_run(context, &call->p, call->gA.data ? bytes_of_gradient : bytes_of_values, determinant_part, call,
                    call->work);
}
