/* SPDX-License-Identifier: BSD-3-Clause */
/* A program computes R = A - U S Vh, and the backend its SVD.  Other programs solve systems with it. */
#include "functions/discarded.h"

typedef struct rest_task {
  const rest_call_t *call;
  svdgrad_matrix_t R;
} rest_task_t;

static void rest_program(machine_t *machine, const void *argument) {
  const rest_task_t *w = argument;
  const rest_call_t *call = w->call;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const values_t values = ops->take_values(machine, p->k);
  const tensor_t U = ops->take(machine, p->m, p->k), V = ops->take(machine, p->n, p->k);
  const tensor_t R = ops->take(machine, p->m, p->n);
  if (machine->measuring)
    return;
  ops->load_values(machine, call->S, values);
  ops->load(machine, call->U, PLAIN, U);
  ops->load(machine, call->Vh, HERMITIAN, V);
  ops->load(machine, call->A, PLAIN, R);
  ops->normalize(machine, values, R);
  ops->scale_columns(machine, values.s, U);
  ops->multiply(machine, -1, PLAIN, U, HERMITIAN, V, 1, R);
  ops->store(machine, R, PLAIN, 1, 0, w->R);
}

/* R has at most min(m, n) - k non-zero singular values.  The caller's max_sweeps does not apply to this SVD. */
static problem_t thin_problem(const problem_t *p, svdgrad_algo_t algo) {
  problem_t thin = stages_thin(p);
  thin.k = thin.u_cols = thin.vh_rows = p->mn - p->k;
  thin.algo = algo;
  thin.max_sweeps = 0;
  return thin;
}

rest_t rest_factorize(stages_t *stages, const rest_call_t *call, svdgrad_algo_t algo) {
  const problem_t *p = stages->p;
  const rest_task_t task = {call, stages_matrix(stages, p->m, p->n)};
  rest_t rest = {.thin = thin_problem(p, algo)};
  rest.U = stages_matrix(stages, p->m, rest.thin.k);
  rest.Vh = stages_matrix(stages, rest.thin.k, p->n);
  rest.S = stages_reals(stages, rest.thin.k);
  rest.info = stages_words(stages);
  stages_program(stages, (program_t){call->function, p, &task, rest_program, PROGRAM_PLAIN});
  stages_svd(stages, SVDGRAD_OP_SVD,
             &(svd_call_t){.p = rest.thin, .A = task.R, .U = rest.U, .Vh = rest.Vh, .S = rest.S, .info = rest.info});
  return rest;
}

/* ---- the system ---- */

outside_t outside_take(machine_t *machine, int64_t rows) {
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const int64_t rest = p->mn - p->k;
  return (outside_t){.part = ops->take(machine, rows, p->k),
                     .basis = ops->take(machine, rows, rest),
                     .in = ops->take(machine, rest, p->k),
                     .out = ops->take(machine, rest, p->k)};
}

rest_form_t outside_rest(machine_t *machine, const rest_t *rest, const outside_t *u, const outside_t *v) {
  return (rest_form_t){.r = machine->ops->take_reals(machine, u->basis.columns),
                       .p = u->in,
                       .q = v->in,
                       .x = u->out,
                       .y = v->out,
                       .failed = rest->info};
}

void outside_load(machine_t *machine, const rest_t *rest, const rest_form_t *form, const outside_t *u,
                  const outside_t *v) {
  if (!is_truncated(machine->p))
    return;
  machine->ops->load_reals(machine, rest->S, form->r);
  machine->ops->load(machine, rest->U, PLAIN, u->basis);
  machine->ops->load(machine, rest->Vh, HERMITIAN, v->basis);
}

void outside_project(machine_t *machine, const outside_t *outside) {
  if (outside->basis.columns > 0)
    machine->ops->multiply(machine, 1, HERMITIAN, outside->basis, PLAIN, outside->part, 0, outside->in);
}

/* part = basis out + (part - basis in) / s. */
void outside_solve(machine_t *machine, const outside_t *outside, reals_t inverse, reals_t step) {
  const machine_ops_t *ops = machine->ops;
  if (outside->basis.columns > 0)
    ops->multiply(machine, -1, PLAIN, outside->basis, PLAIN, outside->in, 1, outside->part);
  ops->scale_columns_in_steps(machine, inverse, step, outside->part);
  if (outside->basis.columns > 0)
    ops->multiply(machine, 1, PLAIN, outside->basis, PLAIN, outside->out, 1, outside->part);
}
