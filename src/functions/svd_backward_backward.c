/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass of the backward pass.  With gA = U M Vh + (I - U U^H) gU S^-1 Vh + U S^-1 gV^H (I - V
 * V^H) (svdgrad.h), G = ggA, Z = U^H G V, and Dm, Dp as in the JVP:
 *   gradients of gU, gS, gV: the JVP along G;
 *   of U:  Ub = G V M^H - gU K,  K = herm(Z) Dm + skew(Z) Dp as in the JVP
 *   of V:  Vb = G^H U M - gV N,  N = herm(Z) Dm - skew(Z) Dp
 *   of S:  sb_j, from the divisors s_j - s_i and s_i + s_j of M;
 *   m > k: with W = (I - U U^H) gU and B = G V S^-1 also
 *          Ub -= B (gU^H U) + gU (B^H U),  Vb += G^H W S^-1,  sb_j -= Re(W_j^H B_j) / s_j;   n > k: alike;
 *   of A:  the first backward pass of (Ub, sb, Vb). */
#include "functions/functions.h"
#include "functions/stages.h"

typedef struct second_task {
  const svd_backward_backward_call_t *call;
  svdgrad_matrix_t Ub, Vbh;
  svdgrad_vector_t sb;
} second_task_t;

/* The arrays of U, or of V; comments name those of U. */
typedef struct side {
  tensor_t basis, g; /* U, gU */
  tensor_t G;        /* ggA V, then the tangent of gU */
  tensor_t inner;    /* U^H gU */
  tensor_t bar;      /* Ub */
  tensor_t W;        /* for rows > k: (I - U U^H) gU, then W S^-1 */
  tensor_t crossing; /* B^H U */
} side_t;

static side_t take_side(machine_t *machine, int64_t rows) {
  const machine_ops_t *ops = machine->ops;
  const int64_t k = machine->p->k, outside = rows > k ? k : 0;
  return (side_t){.basis = ops->take(machine, rows, k),
                  .g = ops->take(machine, rows, k),
                  .G = ops->take(machine, rows, k),
                  .inner = ops->take(machine, k, k),
                  .bar = ops->take(machine, rows, k),
                  .W = ops->take(machine, rows, outside),
                  .crossing = ops->take(machine, k, outside)};
}

static int has_outside(const side_t *side) { return side->W.columns > 0; }

/* inner and W from basis and g; W is g as yet. */
static void split_side(machine_t *machine, const side_t *side) {
  const machine_ops_t *ops = machine->ops;
  ops->multiply(machine, 1, HERMITIAN, side->basis, PLAIN, side->g, 0, side->inner);
  if (has_outside(side))
    ops->multiply(machine, -1, PLAIN, side->basis, PLAIN, side->inner, 1, side->W);
}

/* G and W become G / s and W / s, and sb_j loses Re(W_j^H G_j) / s_j^2.  That product is taken between two divisions,
 * by a power of two and by what is left of s_j, so that it is of the size of sb: W^H G alone may over- or underflow. */
static void divide_outside(machine_t *machine, const side_t *side, const svd_backward_backward_form_t *form) {
  const machine_ops_t *ops = machine->ops;
  ops->scale_columns_in_steps(machine, form->power, form->step, side->G);
  ops->scale_columns_in_steps(machine, form->power, form->step, side->W);
  ops->multiply(machine, 1, HERMITIAN, side->W, PLAIN, side->G, 0, form->D);
  ops->form_outside(machine, form);
  ops->scale_columns(machine, form->inverse, side->G);
  ops->scale_columns(machine, form->inverse, side->W);
}

/* bar = G op(M) - g K, and for rows > k also bar -= B inner^H + g (B^H basis), B = G / s.  On return G holds the
 * tangent basis K + (G - basis Z) / s. */
static void finish_side(machine_t *machine, const side_t *side, const svd_backward_backward_form_t *form,
                        machine_operation_t op, tensor_t K) {
  const machine_ops_t *ops = machine->ops;
  ops->multiply(machine, 1, PLAIN, side->G, op, form->M, 0, side->bar);
  ops->multiply(machine, -1, PLAIN, side->g, PLAIN, K, 1, side->bar);
  if (has_outside(side)) {
    divide_outside(machine, side, form);
    ops->multiply(machine, -1, PLAIN, side->G, HERMITIAN, side->inner, 1, side->bar);
    ops->multiply(machine, 1, HERMITIAN, side->G, PLAIN, side->basis, 0, side->crossing);
    ops->multiply(machine, -1, PLAIN, side->g, PLAIN, side->crossing, 1, side->bar);
    /* (G - basis Z) / s = B - basis (basis^H B), since Z = basis^H G. */
    ops->multiply(machine, -1, PLAIN, side->basis, HERMITIAN, side->crossing, 1, side->G);
  }
  ops->multiply(machine, 1, PLAIN, side->basis, PLAIN, K, has_outside(side), side->G);
}

static void load_side(machine_t *machine, const side_t *side, svdgrad_matrix_t basis, svdgrad_matrix_t g,
                      machine_operation_t op) {
  const machine_ops_t *ops = machine->ops;
  ops->load(machine, basis, op, side->basis);
  ops->load(machine, g, op, side->g);
  if (has_outside(side))
    ops->load(machine, g, op, side->W);
}

/* All that is loaded, then ggA V and ggA^H U. */
static void load_all(machine_t *machine, const svd_backward_backward_call_t *call, const side_t *u, const side_t *v,
                     tensor_t ggA, const svd_backward_backward_form_t *form) {
  const machine_ops_t *ops = machine->ops;
  load_side(machine, u, call->U, call->gU, PLAIN);
  load_side(machine, v, call->Vh, call->gVh, HERMITIAN);
  ops->load(machine, call->ggA, PLAIN, ggA);
  ops->load_values(machine, call->S, form->values);
  ops->load_reals(machine, call->gS, form->gS);
  ops->multiply(machine, 1, PLAIN, ggA, PLAIN, v->basis, 0, u->G);
  ops->multiply(machine, 1, HERMITIAN, ggA, PLAIN, u->basis, 0, v->G);
}

static svd_backward_backward_form_t take_form(machine_t *machine, const side_t *u, const side_t *v) {
  const machine_ops_t *ops = machine->ops;
  const int64_t k = machine->p->k;
  const int outside = has_outside(u) || has_outside(v);
  return (svd_backward_backward_form_t){.values = ops->take_values(machine, k),
                                        .P = u->inner,
                                        .Q = v->inner,
                                        .Z = ops->take(machine, k, k),
                                        .gS = ops->take_reals(machine, k),
                                        .D = ops->take(machine, k, outside ? k : 0),
                                        .M = ops->take(machine, k, k),
                                        .K = ops->take(machine, k, k),
                                        .N = ops->take(machine, k, k),
                                        .dS = ops->take_reals(machine, k),
                                        .sb = ops->take_reals(machine, k),
                                        .power = ops->take_reals(machine, k),
                                        .inverse = ops->take_reals(machine, k),
                                        .step = ops->take_reals(machine, 1),
                                        .outside = outside};
}

static void second_program(machine_t *machine, const void *argument) {
  const second_task_t *w = argument;
  const svd_backward_backward_call_t *call = w->call;
  const problem_t *p = machine->p;
  const machine_ops_t *ops = machine->ops;
  const side_t u = take_side(machine, p->m), v = take_side(machine, p->n);
  const tensor_t ggA = ops->take(machine, p->m, p->n);
  svd_backward_backward_form_t form = take_form(machine, &u, &v);
  form.report = call->report;
  if (machine->measuring)
    return;
  load_all(machine, call, &u, &v, ggA, &form);
  ops->multiply(machine, 1, HERMITIAN, u.basis, PLAIN, u.G, 0, form.Z);
  split_side(machine, &u);
  split_side(machine, &v);
  ops->form_second(machine, &form);
  finish_side(machine, &u, &form, HERMITIAN, form.K);
  finish_side(machine, &v, &form, PLAIN, form.N);
  if (has_outside(&u))
    ops->multiply(machine, 1, HERMITIAN, ggA, PLAIN, u.W, 1, v.bar);
  if (has_outside(&v))
    ops->multiply(machine, 1, PLAIN, ggA, PLAIN, v.W, 1, u.bar);
  ops->store_reals(machine, form.dS, call->ggS);
  ops->store(machine, u.G, PLAIN, 1, 0, call->ggU);
  ops->store(machine, v.G, HERMITIAN, 1, 0, call->ggVh);
  ops->store_reals(machine, form.sb, w->sb);
  ops->store(machine, u.bar, PLAIN, 1, 0, w->Ub);
  ops->store(machine, v.bar, HERMITIAN, 1, 0, w->Vbh);
}

static void second_stages(stages_t *stages, const void *argument) {
  const svd_backward_backward_call_t *call = argument;
  const problem_t *p = &call->p;
  second_task_t task = {.call = call};
  task.Ub = stages_matrix(stages, p->m, p->k);
  task.Vbh = stages_matrix(stages, p->k, p->n);
  task.sb = stages_reals(stages, p->k);
  stages_program(stages, (program_t){"svdgrad_svd_backward_backward", p, &task, second_program, PROGRAM_PLAIN});
  if (stages->measuring || call->gA.data)
    stages_svd_backward(stages, &(svd_backward_call_t){.p = *p,
                                                       .U = call->U,
                                                       .Vh = call->Vh,
                                                       .S = call->S,
                                                       .gU = task.Ub,
                                                       .gVh = task.Vbh,
                                                       .gS = task.sb,
                                                       .gA = call->gA,
                                                       .alpha = call->alpha,
                                                       .beta = call->beta});
}

static const composition_t composition = {second_stages,
                                          {CALL_FIELDS(svd_backward_backward_call_t, U, gA, S, ggS),
                                           .report = offsetof(svd_backward_backward_call_t, report)}};

size_t second_workspace(const context_t *context, const problem_t *p) {
  const svd_backward_backward_call_t call = {.p = *p};
  return stages_workspace(context, &composition, &call);
}

svdgrad_status_t svd_backward_backward(const context_t *context, const svd_backward_backward_call_t *call) {
  return stages_run(context, &composition, call, call->work);
}
