/* SPDX-License-Identifier: BSD-3-Clause */
/* Tangents of the factors (formula: svdgrad.h).  Their components X_, Y_ outside the spans of U and V solve the system
 * of discarded.h with (I - U U^H) dA V and (I - V V^H) dA^H U. */
#include "functions/functions.h"
#include "functions/discarded.h"

typedef struct jvp_task {
  const svd_jvp_call_t *call;
  rest_t rest;
} jvp_task_t;

/* The arrays of U, or of V: both are treated alike. */
typedef struct side {
  tensor_t basis;             /* all columns; the first k belong to S */
  outside_t outside;          /* its part becomes dU at last */
  tensor_t tangent;           /* that part; first dA V */
  tensor_t crossing, further; /* full_matrices: dU^H U2, and dU2 of the further columns U2 */
} side_t;

static side_t take_side(machine_t *machine, int64_t rows, int64_t columns) {
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const int64_t further = columns - p->k;
  const outside_t outside = outside_take(machine, rows);
  return (side_t){.basis = ops->take(machine, rows, columns),
                  .outside = outside,
                  .tangent = outside.part,
                  .crossing = ops->take(machine, p->k, further),
                  .further = ops->take(machine, rows, further)};
}

/* The part of dA V (op PLAIN) or dA^H U outside the span of the basis, also in the basis of the rest. */
static void split_side(machine_t *machine, const side_t *side, tensor_t E, machine_operation_t op) {
  const machine_ops_t *ops = machine->ops;
  const tensor_t basis = columns_of(side->basis, 0, machine->p->k);
  if (!outside_exists(&side->outside))
    return;
  ops->multiply(machine, -1, PLAIN, basis, op, E, 1, side->tangent);
  outside_project(machine, &side->outside);
}

/* tangent = basis K + X_.  Further columns move so that they stay orthogonal. */
static void finish_side(machine_t *machine, const side_t *side, tensor_t K, const jvp_form_t *form) {
  const machine_ops_t *ops = machine->ops;
  const int64_t k = machine->p->k, further = side->further.columns;
  const tensor_t basis = columns_of(side->basis, 0, k), U2 = columns_of(side->basis, k, further);
  const int outside = outside_exists(&side->outside);
  if (outside)
    outside_solve(machine, &side->outside, form->inverse, form->step);
  ops->multiply(machine, 1, PLAIN, basis, PLAIN, K, outside, side->tangent);
  if (further > 0) {
    ops->multiply(machine, 1, HERMITIAN, side->tangent, PLAIN, U2, 0, side->crossing);
    ops->multiply(machine, -1, PLAIN, basis, PLAIN, side->crossing, 0, side->further);
  }
}

/* The caller's matrix from column (row) k on. */
static svdgrad_matrix_t from_column(const problem_t *p, svdgrad_matrix_t X, int64_t stride) {
  if (X.data)
    X.data = (unsigned char *)X.data + (size_t)(p->k * stride) * element_size(p->dtype);
  return X;
}

static void store_side(machine_t *machine, const side_t *side, machine_operation_t op, svdgrad_matrix_t to) {
  const machine_ops_t *ops = machine->ops;
  const int64_t stride = op == PLAIN ? to.col_stride : to.row_stride;
  ops->store(machine, side->tangent, op, 1, 0, to);
  ops->store(machine, side->further, op, 1, 0, from_column(machine->p, to, stride));
}

static void jvp_program(machine_t *machine, const void *argument) {
  const jvp_task_t *w = argument;
  const svd_jvp_call_t *call = w->call;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const int64_t k = p->k;
  const side_t u = take_side(machine, p->m, p->u_cols), v = take_side(machine, p->n, p->vh_rows);
  const tensor_t dA = ops->take(machine, p->m, p->n);
  jvp_form_t form = {.values = ops->take_values(machine, k)};
  form.E = ops->take(machine, k, k);
  form.K = ops->take(machine, k, k);
  form.N = ops->take(machine, k, k);
  form.dS = ops->take_reals(machine, k);
  form.inverse = ops->take_reals(machine, k);
  form.step = ops->take_reals(machine, 1);
  form.rest = outside_rest(machine, &w->rest, &u.outside, &v.outside);
  form.outside = outside_exists(&u.outside) || outside_exists(&v.outside);
  form.report = call->report;
  if (machine->measuring)
    return;
  ops->load(machine, call->U, PLAIN, u.basis);
  ops->load(machine, call->Vh, HERMITIAN, v.basis);
  outside_load(machine, &w->rest, &form.rest, &u.outside, &v.outside);
  ops->load_values(machine, call->S, form.values);
  ops->load(machine, call->dA, PLAIN, dA);
  ops->multiply(machine, 1, PLAIN, dA, PLAIN, columns_of(v.basis, 0, k), 0, u.tangent);
  ops->multiply(machine, 1, HERMITIAN, dA, PLAIN, columns_of(u.basis, 0, k), 0, v.tangent);
  ops->multiply(machine, 1, HERMITIAN, columns_of(u.basis, 0, k), PLAIN, u.tangent, 0, form.E);
  split_side(machine, &u, form.E, PLAIN);
  split_side(machine, &v, form.E, HERMITIAN);
  ops->form_jvp(machine, &form);
  finish_side(machine, &u, form.K, &form);
  finish_side(machine, &v, form.N, &form);
  ops->store_reals(machine, form.dS, call->dS);
  store_side(machine, &u, PLAIN, call->dU);
  store_side(machine, &v, HERMITIAN, call->dVh);
}

static void jvp_stages(stages_t *stages, const void *argument) {
  const svd_jvp_call_t *call = argument;
  const rest_call_t of = {"svdgrad_svd_jvp", call->A, call->U, call->Vh, call->S};
  const jvp_task_t task = {call, is_truncated(&call->p) ? rest_factorize(stages, &of, SVDGRAD_ALGO_AUTO)
                                                        : (rest_t){.info = NULL}};
  stages_program(stages, (program_t){"svdgrad_svd_jvp", &call->p, &task, jvp_program, PROGRAM_PLAIN});
}

static const composition_t composition = {
    jvp_stages, {CALL_FIELDS(svd_jvp_call_t, A, dVh, S, dS), .report = offsetof(svd_jvp_call_t, report)}};

size_t svd_jvp_workspace(const context_t *context, const problem_t *p) {
  const svd_jvp_call_t call = {.p = *p};
  return stages_workspace(context, &composition, &call);
}

svdgrad_status_t svd_jvp(const context_t *context, const svd_jvp_call_t *call) {
  return stages_run(context, &composition, call, call->work);
}
