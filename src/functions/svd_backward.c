/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass (formula and sources: svdgrad.h), for the problems that a backend has no fused kernel for:
 *   gA = U M Vh + X_ Vh + U Y_^H,
 * where M is k-by-k, and X_, Y_ solve the system of discarded.h with the parts of gU and gV outside the spans of U and V. */
#include "functions/functions.h"
#include "functions/discarded.h"

typedef struct backward_task {
  const svd_backward_call_t *call;
  rest_t rest;
} backward_task_t;

/* The arrays of U, or of V; comments name those of U. */
typedef struct side {
  tensor_t basis, g;          /* all columns; the first k belong to S */
  tensor_t inner;             /* U1^H gU1 of those */
  outside_t outside;          /* of gU */
  tensor_t crossing, further; /* full_matrices: gU2^H U1 and U2^H gU2, of the further columns */
} side_t;

static side_t take_side(machine_t *machine, int64_t rows, int64_t columns) {
  const machine_ops_t *ops = machine->ops;
  const int64_t k = machine->p->k, further = columns - k;
  return (side_t){.basis = ops->take(machine, rows, columns),
                  .g = ops->take(machine, rows, columns),
                  .inner = ops->take(machine, k, k),
                  .outside = outside_take(machine, rows),
                  .crossing = ops->take(machine, further, k),
                  .further = ops->take(machine, further, further)};
}

/* Both sides are loaded before the first product: CUDA has one launch for transfers in a row. */
static void load_side(machine_t *machine, const side_t *side, svdgrad_matrix_t g, machine_operation_t op) {
  const machine_ops_t *ops = machine->ops;
  if (outside_exists(&side->outside))
    ops->load(machine, g, op, side->outside.part);
  if (g.data) {
    ops->load(machine, g, op, side->g);
  } else {
    ops->load(machine, g, op, side->inner);
    ops->load(machine, g, op, side->outside.in);
  }
}

/* The part outside is gU1 - U1 inner - U2 crossing.  Further columns U2 move so that they stay orthogonal to U1: only
 * the component of gU2 along U1 acts, and that along U2 is gauge. */
static void split_side(machine_t *machine, const side_t *side, svdgrad_matrix_t g) {
  const machine_ops_t *ops = machine->ops;
  const int64_t k = machine->p->k, further = side->further.columns;
  const tensor_t U1 = columns_of(side->basis, 0, k), U2 = columns_of(side->basis, k, further);
  const tensor_t gU1 = columns_of(side->g, 0, k), gU2 = columns_of(side->g, k, further);
  if (!g.data)
    return;
  ops->multiply(machine, 1, HERMITIAN, U1, PLAIN, gU1, 0, side->inner);
  if (!outside_exists(&side->outside))
    return;
  ops->multiply(machine, -1, PLAIN, U1, PLAIN, side->inner, 1, side->outside.part);
  if (further > 0) {
    ops->multiply(machine, 1, HERMITIAN, gU2, PLAIN, U1, 0, side->crossing);
    ops->multiply(machine, -1, PLAIN, U2, PLAIN, side->crossing, 1, side->outside.part);
    ops->multiply(machine, 1, HERMITIAN, U2, PLAIN, gU2, 0, side->further);
  }
  outside_project(machine, &side->outside);
}

/* gA; two products suffice where X_ or Y_ is absent. */
static void assemble(machine_t *machine, const side_t *u, const side_t *v, tensor_t M, tensor_t gA) {
  const machine_ops_t *ops = machine->ops;
  const int64_t k = machine->p->k;
  const int has_x = outside_exists(&u->outside), has_y = outside_exists(&v->outside);
  const tensor_t U = columns_of(u->basis, 0, k), V = columns_of(v->basis, 0, k);
  const tensor_t X_ = u->outside.part, Y_ = v->outside.part;
  if (has_x || !has_y) {
    ops->multiply(machine, 1, PLAIN, U, PLAIN, M, has_x, X_);
    ops->multiply(machine, 1, PLAIN, X_, HERMITIAN, V, 0, gA);
    if (has_y)
      ops->multiply(machine, 1, PLAIN, U, HERMITIAN, Y_, 1, gA);
  } else {
    ops->multiply(machine, 1, PLAIN, V, HERMITIAN, M, 1, Y_);
    ops->multiply(machine, 1, PLAIN, U, HERMITIAN, Y_, 0, gA);
  }
}

static int has_vectors(const svd_backward_call_t *call) { return call->gU.data || call->gVh.data; }

static void gradient_of_vectors(machine_t *machine, const backward_task_t *w, const side_t *u, const side_t *v,
                                const backward_form_t *form, tensor_t gA) {
  outside_load(machine, &w->rest, &form->rest, &u->outside, &v->outside);
  load_side(machine, u, w->call->gU, PLAIN);
  load_side(machine, v, w->call->gVh, HERMITIAN);
  split_side(machine, u, w->call->gU);
  split_side(machine, v, w->call->gVh);
  machine->ops->form_backward(machine, form);
  if (outside_exists(&u->outside))
    outside_solve(machine, &u->outside, form->inverse, form->step);
  if (outside_exists(&v->outside))
    outside_solve(machine, &v->outside, form->inverse, form->step);
  assemble(machine, u, v, form->M, gA);
}

/* Only gS is given: gA = U diag(gS) Vh.  No gap is used, under any policy. */
static void gradient_of_values(machine_t *machine, const side_t *u, const side_t *v, const backward_form_t *form,
                               tensor_t gA) {
  const machine_ops_t *ops = machine->ops;
  const int64_t k = machine->p->k;
  const tensor_t U = columns_of(u->basis, 0, k), V = columns_of(v->basis, 0, k);
  const backward_form_t of_values = {.values = form->values, .report = form->report};
  ops->form_backward(machine, &of_values);
  ops->scale_columns(machine, form->gS, U);
  ops->multiply(machine, 1, PLAIN, U, HERMITIAN, V, 0, gA);
}

/* Operands that are not there, and tensors that are not used, are none. */
static backward_form_t take_form(machine_t *machine, const backward_task_t *w, const side_t *u, const side_t *v) {
  const machine_ops_t *ops = machine->ops;
  const svd_backward_call_t *call = w->call;
  const int64_t k = machine->p->k;
  const tensor_t none = {NULL, 0, 0, 0, 0};
  return (backward_form_t){.values = ops->take_values(machine, k),
                           .gU = call->gU.data ? u->g : none,
                           .gV = call->gVh.data ? v->g : none,
                           .P = u->inner,
                           .Q = v->inner,
                           .further_U = call->gU.data ? u->further : none,
                           .further_V = call->gVh.data ? v->further : none,
                           .outside_U = outside_exists(&u->outside) ? u->outside.part : none,
                           .outside_V = outside_exists(&v->outside) ? v->outside.part : none,
                           .gS = ops->take_reals(machine, k),
                           .M = ops->take(machine, k, k),
                           .inverse = ops->take_reals(machine, k),
                           .step = ops->take_reals(machine, 1),
                           .squares = ops->take_reals(machine, u->basis.columns + v->basis.columns),
                           .rest = outside_rest(machine, &w->rest, &u->outside, &v->outside),
                           .report = call->report};
}

static void backward_program(machine_t *machine, const void *argument) {
  const backward_task_t *w = argument;
  const svd_backward_call_t *call = w->call;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const side_t u = take_side(machine, p->m, p->u_cols), v = take_side(machine, p->n, p->vh_rows);
  const backward_form_t form = take_form(machine, w, &u, &v);
  const tensor_t gA = ops->take(machine, p->m, p->n);
  if (machine->measuring)
    return;
  ops->load(machine, call->U, PLAIN, u.basis);
  ops->load(machine, call->Vh, HERMITIAN, v.basis);
  ops->load_values(machine, call->S, form.values);
  ops->load_reals(machine, call->gS, form.gS);
  if (has_vectors(call))
    gradient_of_vectors(machine, w, &u, &v, &form, gA);
  else
    gradient_of_values(machine, &u, &v, &form, gA);
  ops->store(machine, gA, PLAIN, call->alpha, call->beta, call->gA);
}

static void backward_stages(stages_t *stages, const void *argument) {
  const svd_backward_call_t *call = argument;
  const problem_t *p = &call->p;
  const rest_call_t of = {"svdgrad_svd_backward", call->A, call->U, call->Vh, call->S};
  const int has_rest = is_truncated(p) && (stages->measuring || has_vectors(call));
  const backward_task_t task = {call, has_rest ? rest_factorize(stages, &of, p->algo) : (rest_t){.info = NULL}};
  stages_program(stages, (program_t){"svdgrad_svd_backward", p, &task, backward_program, PROGRAM_PLAIN});
}

static const composition_t composition = {
    backward_stages, {CALL_FIELDS(svd_backward_call_t, A, gA, S, gS), .report = offsetof(svd_backward_call_t, report)}};

size_t svd_backward_workspace(const context_t *context, const problem_t *p) {
  const svd_backward_call_t call = {.p = *p};
  return stages_workspace(context, &composition, &call);
}

svdgrad_status_t svd_backward(const context_t *context, const svd_backward_call_t *call) {
  return stages_run(context, &composition, call, call->work);
}
