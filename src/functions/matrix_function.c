/* SPDX-License-Identifier: BSD-3-Clause */
/* Y = U f(S) Vh or V f(S) Vh, and its backward pass (svdgrad.h). */
#include "base/element_size.h"
#include "functions/functions.h"
#include "functions/machine.h"

/* The leading k columns of the caller's factors. */
typedef struct factors {
  tensor_t U, V;
  values_t values;
} factors_t;

static factors_t take_factors(machine_t *machine) {
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  return (factors_t){ops->take(machine, p->m, p->k), ops->take(machine, p->n, p->k), ops->take_values(machine, p->k)};
}

static void load_factors(machine_t *machine, const function_call_t *call, const factors_t *f) {
  const machine_ops_t *ops = machine->ops;
  ops->load(machine, call->U, PLAIN, f->U);
  ops->load(machine, call->Vh, HERMITIAN, f->V);
  ops->load_values(machine, call->S, f->values);
}

/* f(0), for the space outside the rows of A; 0 where that space is empty. */
static double null_value(const problem_t *p, const function_call_t *call) {
  return call->function.form == SVDGRAD_FORM_VVH && p->k < p->n ? call->function.null_value : 0;
}

function_form_t function_form_of(const function_call_t *call, int backward) {
  const problem_t *p = &call->p;
  const int64_t larger = p->m > p->n ? p->m : p->n;
  return (function_form_t){.kind = call->function.kind,
                           .form = call->function.form,
                           .param = call->function.param,
                           .null_value = null_value(p, call),
                           .relative = call->function.relative,
                           .larger = larger,
                           .outside = backward && p->k < (call->function.form == SVDGRAD_FORM_UVH ? larger : p->n),
                           .report = backward ? call->report : NULL};
}

/* With the caller's f and f' (CUSTOM), and the phase and angles of ROTATION. */
static function_form_t take_form(machine_t *machine, const function_call_t *call, const factors_t *f, int backward) {
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  function_form_t form = function_form_of(call, backward);
  form.values = f->values;
  form.f = ops->take_reals(machine, p->k);
  form.df = ops->take_reals(machine, p->k);
  form.phase = ops->take(machine, 1, 1);
  if (form.kind == SVDGRAD_FUNCTION_ROTATION && type_is_complex(p->dtype))
    form.phases = ops->take(machine, p->k, 1);
  return form;
}

static void load_form(machine_t *machine, const function_call_t *call, const factors_t *f, tensor_t square,
                      const function_form_t *form) {
  const machine_ops_t *ops = machine->ops;
  if (form->kind == SVDGRAD_FUNCTION_CUSTOM) {
    ops->load_reals(machine, call->function.f, form->f);
    ops->load_reals(machine, call->function.df, form->df);
  }
  if (form->kind == SVDGRAD_FUNCTION_ROTATION) {
    ops->multiply(machine, 1, PLAIN, f->U, HERMITIAN, f->V, 0, square);
    ops->determinant_phase(machine, square, form->phase);
  }
}

/* The left factor times f(S) times the right factor; with f(0) != 0: V (f(S) - f(0)) Vh + f(0) I. */
static void forward_program(machine_t *machine, const void *argument) {
  const function_call_t *call = argument;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const int both = call->function.form == SVDGRAD_FORM_UVH;
  const factors_t f = take_factors(machine);
  function_form_t form = take_form(machine, call, &f, 0);
  form.result = ops->take_reals(machine, p->k);
  const tensor_t Y = ops->take(machine, both ? p->m : p->n, p->n);
  const tensor_t scaled_V = ops->take(machine, both ? 0 : p->n, p->k);
  if (machine->measuring)
    return;
  load_factors(machine, call, &f);
  if (!both)
    ops->load(machine, call->Vh, HERMITIAN, scaled_V);
  load_form(machine, call, &f, Y, &form);
  ops->form_values(machine, &form);
  if (form.phases.data)
    ops->scale_columns_by(machine, form.phases, f.U);
  else
    ops->scale_columns(machine, form.result, both ? f.U : scaled_V);
  ops->multiply(machine, 1, PLAIN, both ? f.U : scaled_V, HERMITIAN, f.V, 0, Y);
  if (form.null_value != 0)
    ops->add_identity(machine, form.null_value, Y);
  ops->store(machine, Y, PLAIN, 1, 0, call->Y);
}

/* X <- (X - basis inside) factor + basis M: the part outside the span of the basis, scaled, plus the part inside.
 * Where the span is the whole space, X is not read. */
static void complete_side(machine_t *machine, const function_form_t *form, tensor_t basis, tensor_t inside,
                          machine_operation_t op, tensor_t X) {
  const machine_ops_t *ops = machine->ops;
  if (form->outside) {
    ops->multiply(machine, -1, PLAIN, basis, op, inside, 1, X);
    ops->scale_columns_in_steps(machine, form->factor, form->step, X);
  }
  ops->multiply(machine, 1, PLAIN, basis, op, form->M, form->outside, X);
}

/* U f(S) Vh for m >= n; X has the shape of U. */
static void tall_gradient(machine_t *machine, const factors_t *f, const function_form_t *form, tensor_t G, tensor_t X,
                          tensor_t gA) {
  const machine_ops_t *ops = machine->ops;
  ops->multiply(machine, 1, PLAIN, G, PLAIN, f->V, 0, X);
  ops->multiply(machine, 1, HERMITIAN, f->U, PLAIN, X, 0, form->P);
  ops->form_pairs(machine, form);
  complete_side(machine, form, f->U, form->P, PLAIN, X);
  ops->multiply(machine, 1, PLAIN, X, HERMITIAN, f->V, 0, gA);
}

/* U f(S) Vh for m < n; X has the shape of V. */
static void wide_gradient(machine_t *machine, const factors_t *f, const function_form_t *form, tensor_t G, tensor_t X,
                          tensor_t gA) {
  const machine_ops_t *ops = machine->ops;
  ops->multiply(machine, 1, HERMITIAN, G, PLAIN, f->U, 0, X);
  ops->multiply(machine, 1, HERMITIAN, X, PLAIN, f->V, 0, form->P);
  ops->form_pairs(machine, form);
  complete_side(machine, form, f->V, form->P, HERMITIAN, X);
  ops->multiply(machine, 1, PLAIN, f->U, HERMITIAN, X, 0, gA);
}

/* V f(S) Vh: depends only on the Hermitian part of G. */
static void square_gradient(machine_t *machine, const factors_t *f, const function_form_t *form, tensor_t G, tensor_t X,
                            tensor_t gA) {
  const machine_ops_t *ops = machine->ops;
  ops->multiply(machine, 0.5, PLAIN, G, PLAIN, f->V, 0, X);
  ops->multiply(machine, 0.5, HERMITIAN, G, PLAIN, f->V, 1, X);
  ops->multiply(machine, 1, HERMITIAN, f->V, PLAIN, X, 0, form->P);
  ops->form_pairs(machine, form);
  complete_side(machine, form, f->V, form->P, HERMITIAN, X);
  ops->multiply(machine, 1, PLAIN, f->U, HERMITIAN, X, 0, gA);
}

static void backward_program(machine_t *machine, const void *argument) {
  const function_call_t *call = argument;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const int both = call->function.form == SVDGRAD_FORM_UVH, tall = both && p->m >= p->n;
  const factors_t f = take_factors(machine);
  function_form_t form = take_form(machine, call, &f, 1);
  const tensor_t G = ops->take(machine, both ? p->m : p->n, p->n), gA = ops->take(machine, p->m, p->n);
  const tensor_t X = ops->take(machine, tall ? p->m : p->n, p->k);
  form.P = ops->take(machine, p->k, p->k);
  form.M = ops->take(machine, p->k, p->k);
  form.factor = ops->take_reals(machine, p->k);
  form.step = ops->take_reals(machine, 1);
  form.points = ops->take_reals(machine, 3 * p->k);
  if (machine->measuring)
    return;
  load_factors(machine, call, &f);
  ops->load(machine, call->Y, PLAIN, G);
  load_form(machine, call, &f, gA, &form);
  (!both ? square_gradient : tall ? tall_gradient : wide_gradient)(machine, &f, &form, G, X, gA);
  ops->store(machine, gA, PLAIN, call->alpha, call->beta, call->gA);
}

/* The larger need of the two forms. */
static size_t workspace(const context_t *context, const problem_t *p, void (*run)(machine_t *, const void *)) {
  function_call_t call = {.p = *p, .function = {.kind = SVDGRAD_FUNCTION_ROTATION}}; /* the kind that takes most */
  size_t most = 0;
  for (int form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH; form++) {
    call.function.form = (svdgrad_form_t)form;
    const program_t program = {"", p, &call, run, PROGRAM_PLAIN};
    const size_t bytes = context->backend->program_workspace(context, &program);
    most = bytes > most ? bytes : most;
  }
  return most;
}

size_t matrix_function_workspace(const context_t *context, const problem_t *p) {
  return workspace(context, p, forward_program);
}

size_t matrix_function_backward_workspace(const context_t *context, const problem_t *p) {
  return workspace(context, p, backward_program);
}

svdgrad_status_t matrix_function(const context_t *context, const function_call_t *call) {
  const program_t program = {"svdgrad_matrix_function", &call->p, call, forward_program, PROGRAM_FUNCTION};
  return context->backend->program_run(context, &program, call->stream, call->work);
}

svdgrad_status_t matrix_function_backward(const context_t *context, const function_call_t *call) {
  const program_t program = {"svdgrad_matrix_function_backward", &call->p, call, backward_program,
                             PROGRAM_FUNCTION_BACKWARD};
  return context->backend->program_run(context, &program, call->stream, call->work);
}
