/* SPDX-License-Identifier: BSD-3-Clause */
/* Norms of A and their gradients U h(S) Vh: at once, where the backend can, or its SVD into the workspace, and a program
 * that sums it up. */
#include "functions.h"
#include "stages.h"

/* The factors between the two. */
typedef struct norm_stages {
  const norm_call_t *call;
  int gradient;
  problem_t thin;
  svdgrad_matrix_t U, Vh;
  svdgrad_vector_t S; /* times 2^-exponent: in the caller's units they might be Inf, or have lost digits */
  int32_t *exponent;
  stages_t stages;
} norm_stages_t;

static void norm_program(machine_t *machine, const void *argument) {
  const norm_stages_t *between = argument;
  const norm_call_t *call = between->call;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const int64_t m = between->gradient ? p->m : 0, n = between->gradient ? p->n : 0;
  const values_t values = ops->take_values(machine, p->k);
  const reals_t value = ops->take_reals(machine, 1), g = ops->take_reals(machine, 1);
  const reals_t weight = ops->take_reals(machine, between->gradient ? p->k : 0);
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
  ops->load_scaled_values(machine, between->S, between->exponent, values);
  ops->load_reals(machine, call->g, g);
  ops->form_norm(machine, &form);
  ops->store_reals(machine, value, call->value);
  if (!between->gradient)
    return;
  ops->load(machine, between->U, PLAIN, U);
  ops->load(machine, between->Vh, HERMITIAN, V);
  ops->scale_columns(machine, weight, U);
  ops->multiply(machine, 1, PLAIN, U, HERMITIAN, V, 0, gA);
  ops->store(machine, gA, PLAIN, call->alpha, call->beta, call->gA);
}

static norm_stages_t take_stages(const context_t *context, const problem_t *p, int gradient, void *work) {
  norm_stages_t w = {.gradient = gradient, .thin = stages_thin(p)};
  const program_t program = {"", p, &w, norm_program};
  w.stages = stages_make(p, NULL, 0);
  if (p->mn > 0)
    stages_share(&w.stages,
                 context->backend->workspace_size(context, gradient ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS, &w.thin));
  stages_share(&w.stages, context->backend->program_workspace(context, &program));
  w.stages = stages_make(p, work, w.stages.shared);
  w.S = stages_reals(&w.stages, p->mn);
  w.exponent = stages_words(&w.stages);
  if (gradient) {
    w.U = stages_matrix(&w.stages, p->m, p->mn);
    w.Vh = stages_matrix(&w.stages, p->mn, p->n);
  }
  return w;
}

static size_t bytes_of_values(const context_t *context, const problem_t *p) {
  const norm_stages_t w = take_stages(context, p, 0, NULL);
  return stages_bytes(&w.stages);
}

static size_t bytes_of_gradient(const context_t *context, const problem_t *p) {
  const norm_stages_t w = take_stages(context, p, 1, NULL);
  return stages_bytes(&w.stages);
}

static norm_call_t part_of(const norm_call_t *call, int64_t first, int64_t count, void *work) {
  const svdgrad_dtype_t dtype = call->p.dtype;
  norm_call_t part = *call;
  part.p.batch_count = count;
  part.A = matrix_from(call->A, first, dtype), part.gA = matrix_from(call->gA, first, dtype);
  part.value = reals_from(call->value, first, dtype), part.g = reals_from(call->g, first, dtype);
  part.info = call->info ? call->info + first : NULL;
  part.work = work;
  return part;
}

static svdgrad_status_t norm_part(const context_t *context, const void *argument, int64_t first, int64_t count,
                                  void *work) {
  const norm_call_t part = part_of(argument, first, count, work), *call = &part;
  norm_stages_t w = take_stages(context, &call->p, call->gA.data != NULL, call->work);
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
                          .keep_small = call->kind == SVDGRAD_NORM_LOG_DETERMINANT};
  const program_t program = {"svdgrad_norm", &w.thin, &w, norm_program};
  const svdgrad_status_t status = context->backend->svd(context, &svd);
  return status ? status : context->backend->program_run(context, &program, call->stream, call->work);
}

int norm_is_never_fused(const context_t *context, const problem_t *p) {
  (void)context, (void)p;
  return 0;
}

static int is_fused(const context_t *context, const problem_t *p, int gradient) {
  return gradient && context->backend->fuses_norm(context, p);
}

size_t norm_workspace(const context_t *context, const problem_t *p, int gradient) {
  if (is_fused(context, p, gradient))
    return 0;
  return stages_workspace(context, p, gradient ? bytes_of_gradient : bytes_of_values);
}

svdgrad_status_t norm(const context_t *context, const norm_call_t *call) {
  if (is_fused(context, &call->p, call->gA.data != NULL))
    return context->backend->fused_norm(context, call);
  return stages_run(context, &call->p, call->gA.data ? bytes_of_gradient : bytes_of_values, norm_part, call,
                    call->work);
}
