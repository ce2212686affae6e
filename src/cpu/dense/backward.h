/* SPDX-License-Identifier: BSD-3-Clause */
/* Backward pass of one matrix (formula and sources: svdgrad.h, ref/backward.h) in packed column-major scratch.
 * products.h multiplies, functions/backward_core.h divides by gaps.  About 2mnk + 6mk^2 + 4nk^2 flops. */
#ifndef SVDGRAD_DENSE_BACKWARD_H
#define SVDGRAD_DENSE_BACKWARD_H
#include "cpu/cpu_kernels.h"
#include "functions/backward_core.h"
#include "base/arena.h"
#include "copy.h"
#include "products.h"

#include <string.h>

/* The arrays of U, or of V: both are treated alike. */
typedef struct side {
  int64_t rows, columns; /* of the basis; columns > k with full_matrices */
  int given;             /* non-zero: has a cotangent */
  T *basis, *g;          /* rows-by-columns */
  T *projection;         /* basis(:, 0..k-1)^H g(:, 0..k-1), k-by-k */
  T *outside;            /* rows-by-k: the cotangent outside the span, later X_ or Y_; NULL if k = rows */
  T *scratch;            /* rows-by-columns */
} side_t;

/* Truncated: the discarded triplets (functions/rest.h); S is times 2^-exponent. */
typedef struct discarded_factors {
  int64_t count;
  const R *S;
  const T *U; /* m-by-count */
  T *V;       /* n-by-count */
} discarded_factors_t;

typedef struct cpu_backward {
  int64_t m, n, k;
  side_t u, v;
  R *s, *gS;
  T *M;  /* k-by-k */
  T *gA; /* m-by-n */
  discarded_factors_t rest;
  T *p, *q, *x, *y; /* truncated, count-by-k: `outside` of U and V in the basis of the rest; the solution there */
  int exponent;
  scale_t scale; /* 2^-exponent */
} cpu_backward_t;

static side_t side_take(arena_t *arena, int64_t rows, int64_t columns, int64_t k) {
  side_t side = {.rows = rows, .columns = columns};
  side.basis = arena_take(arena, rows * columns, sizeof(T));
  side.g = arena_take(arena, rows * columns, sizeof(T));
  side.projection = arena_take(arena, k * k, sizeof(T));
  side.scratch = arena_take(arena, rows * columns, sizeof(T));
  if (k < rows)
    side.outside = arena_take(arena, rows * k, sizeof(T));
  return side;
}

static cpu_backward_t cpu_backward_take(arena_t *arena, const cpu_backward_plan_t *plan) {
  const problem_t *p = plan->p;
  cpu_backward_t w = {.m = p->m, .n = p->n, .k = p->k};
  w.u = side_take(arena, p->m, p->u_cols, p->k);
  w.v = side_take(arena, p->n, p->vh_rows, p->k);
  w.s = arena_take(arena, p->k, sizeof(R));
  w.gS = arena_take(arena, p->k, sizeof(R));
  w.M = arena_take(arena, p->k * p->k, sizeof(T));
  w.gA = arena_take(arena, p->m * p->n, sizeof(T));
  const int64_t rest = w.rest.count = p->mn - p->k;
  if (rest > 0) {
    w.rest.V = arena_take(arena, p->n * rest, sizeof(T));
    w.p = arena_take(arena, rest * p->k, sizeof(T));
    w.q = arena_take(arena, rest * p->k, sizeof(T));
    w.x = arena_take(arena, rest * p->k, sizeof(T));
    w.y = arena_take(arena, rest * p->k, sizeof(T));
  }
  return w;
}

static void load_hermitian(const svdgrad_matrix_t *Xh, int64_t b, int64_t rows, int64_t columns, T *to) {
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < rows; i++)
      to[j * rows + i] = CONJ(*element(Xh, b, j, i));
}

static void load_call(const svd_backward_call_t *call, int64_t b, cpu_backward_t *w) {
  load_matrix(&call->U, b, w->m, w->u.columns, w->u.basis);
  load_hermitian(&call->Vh, b, w->n, w->v.columns, w->v.basis);
  if ((w->u.given = call->gU.data != NULL))
    load_matrix(&call->gU, b, w->m, w->u.columns, w->u.g);
  if ((w->v.given = call->gVh.data != NULL))
    load_hermitian(&call->gVh, b, w->n, w->v.columns, w->v.g);
  w->exponent = gap_exponent((double)*entry(&call->S, b, 0), 2000);
  w->scale = scale_of(w->exponent);
  for (int64_t j = 0; j < w->k; j++) {
    w->s[j] = (R)(*entry(&call->S, b, j) * w->scale.first * w->scale.second);
    w->gS[j] = call->gS.data ? *entry(&call->gS, b, j) : 0;
  }
}

/* projection = B1^H g1 and outside = g1 - B1 projection - B2 (g2^H B1).  B2 are the further columns of full_matrices;
 * only the component of g2 along B1 acts.  Both are zero without a cotangent. */
static void split_side(int64_t k, side_t *side, T *product) {
  const int64_t rows = side->rows, extra = side->columns - k;
  if (!side->given) {
    memset(side->projection, 0, (size_t)(k * k) * sizeof(T));
    if (side->outside)
      memset(side->outside, 0, (size_t)(rows * k) * sizeof(T));
    return;
  }
  multiply_hermitian(k, k, rows, side->basis, side->g, side->projection);
  if (!side->outside)
    return;
  memcpy(side->outside, side->g, (size_t)(rows * k) * sizeof(T));
  multiply(rows, k, k, -1, side->basis, side->projection, 1, side->outside);
  if (extra > 0) {
    multiply_hermitian(extra, k, rows, side->g + rows * k, side->basis, product);
    multiply(rows, k, extra, -1, side->basis + rows * k, product, 1, side->outside);
  }
}

/* Gauge part of the further columns: largest entry of the skew-Hermitian matrix B2^H g2 - g2^H B2. */
static double extra_gauge(int64_t k, const side_t *side, T *product) {
  const int64_t rows = side->rows, extra = side->columns - k;
  double largest = 0;
  if (extra <= 0 || !side->given)
    return 0;
  multiply_hermitian(extra, extra, rows, side->basis + rows * k, side->g + rows * k, product);
  for (int64_t j = 0; j < extra; j++)
    for (int64_t i = 0; i <= j; i++)
      largest = fmax(largest, magnitude(product[j * extra + i] - CONJ(product[i * extra + j])));
  return largest;
}

static void scale_outside(const cpu_backward_t *w, gap_policy_t *policy, const side_t *side) {
  for (int64_t j = 0; j < w->k && side->outside; j++) {
    T *column = side->outside + j * side->rows;
    const double inverse = gap_outside(policy, (double)w->s[j], column_norm(side->rows, column));
    for (int64_t i = 0; i < side->rows; i++)
      column[i] = (T)(column[i] * inverse * w->scale.first * w->scale.second);
  }
}

/* Returns 0 if the SVD of the discarded part did not converge. */
static int load_rest(const rest_t *rest, int64_t b, discarded_factors_t *to) {
  if (!svd_is_valid(rest->info[b]))
    return 0;
  to->S = entry(&rest->S, b, 0);
  to->U = element(&rest->U, b, 0, 0);
  load_hermitian(&rest->Vh, b, rest->thin.n, to->count, to->V);
  return 1;
}

/* outside <- basis x + (outside - basis p) inverse scale: the solution in the discarded basis, and the part outside
 * that basis divided by s. */
static void expand(int64_t k, int64_t count, const T *basis, const T *p, const T *x, const R *inverse, scale_t scale,
                   const side_t *side) {
  multiply(side->rows, k, count, -1, basis, p, 1, side->outside);
  for (int64_t j = 0; j < k; j++)
    for (int64_t i = 0; i < side->rows; i++)
      side->outside[j * side->rows + i] =
          (T)(side->outside[j * side->rows + i] * (double)inverse[j] * scale.first * scale.second);
  multiply(side->rows, k, count, 1, basis, x, 1, side->outside);
}

static void solve_truncated(const cpu_backward_t *w, gap_policy_t *policy) {
  const discarded_factors_t *rest = &w->rest;
  const int64_t k = w->k, count = rest->count;
  R *inverse = (R *)w->u.scratch;
  multiply_hermitian(count, k, w->m, rest->U, w->u.outside, w->p);
  multiply_hermitian(count, k, w->n, rest->V, w->v.outside, w->q);
  for (int64_t j = 0; j < k; j++) {
    const double size = column_norm(w->m, w->u.outside + j * w->m) + column_norm(w->n, w->v.outside + j * w->n);
    solve_discarded(count, rest->S, w->s[j], w->p + j * count, w->q + j * count, w->scale, policy, w->x + j * count,
                    w->y + j * count);
    inverse[j] = (R)gap_outside(policy, (double)w->s[j], size);
  }
  expand(k, count, rest->U, w->p, w->x, inverse, w->scale, &w->u);
  expand(k, count, rest->V, w->q, w->y, inverse, w->scale, &w->v);
  gap_cut(policy, (double)w->s[k - 1], (double)rest->S[0]);
}

/* gA = U M Vh + X_ Vh + U Y_^H, with two products where one of X_ and Y_ is absent. */
static void assemble(const cpu_backward_t *w) {
  const int64_t m = w->m, n = w->n, k = w->k;
  if (w->u.outside || !w->v.outside) {
    T *left = w->u.scratch;
    multiply(m, k, k, 1, w->u.basis, w->M, 0, left);
    for (int64_t i = 0; i < m * k && w->u.outside; i++)
      left[i] += w->u.outside[i];
    multiply_by_hermitian(m, n, k, left, w->v.basis, 0, w->gA);
    if (w->v.outside)
      multiply_by_hermitian(m, n, k, w->u.basis, w->v.outside, 1, w->gA);
  } else {
    T *right = w->v.scratch;
    multiply_by_hermitian(n, k, k, w->v.basis, w->M, 0, right);
    for (int64_t i = 0; i < n * k; i++)
      right[i] += w->v.outside[i];
    multiply_by_hermitian(m, n, k, w->u.basis, right, 0, w->gA);
  }
}

/* Returns 0 if the SVD of the discarded part did not converge. */
static int gradient_of_vectors(const rest_t *rest, int64_t b, cpu_backward_t *w, gap_policy_t *policy, double norm) {
  split_side(w->k, &w->u, w->gA); /* gA is free until assemble(): scratch for the product */
  split_side(w->k, &w->v, w->gA);
  tally_phases(w->k, w->u.projection, w->v.projection, norm, policy);
  gap_gauge(policy, extra_gauge(w->k, &w->u, w->u.scratch), norm);
  gap_gauge(policy, extra_gauge(w->k, &w->v, w->v.scratch), norm);
  form_M(w->k, w->u.projection, w->v.projection, w->s, w->gS, w->scale, policy, w->M);
  int converged = 1;
  if (rest) {
    converged = load_rest(rest, b, &w->rest);
    if (converged)
      solve_truncated(w, policy);
  } else {
    scale_outside(w, policy, &w->u);
    scale_outside(w, policy, &w->v);
  }
  assemble(w);
  return converged;
}

/* Only gS is given: gA = U diag(gS) Vh; no gap is used, under any policy. */
static void gradient_of_values(const cpu_backward_t *w) {
  T *left = w->u.scratch;
  for (int64_t j = 0; j < w->k; j++)
    for (int64_t i = 0; i < w->m; i++)
      left[j * w->m + i] = w->u.basis[j * w->m + i] * w->gS[j];
  multiply_by_hermitian(w->m, w->n, w->k, left, w->v.basis, 0, w->gA);
}

static void store_gradient(const svd_backward_call_t *call, int64_t b, const cpu_backward_t *w) {
  const R alpha = (R)call->alpha, beta = (R)call->beta;
  for (int64_t j = 0; j < w->n; j++)
    for (int64_t i = 0; i < w->m; i++) {
      T *gA = element(&call->gA, b, i, j);
      *gA = call->beta == 0 ? alpha * w->gA[j * w->m + i] : alpha * w->gA[j * w->m + i] + beta * *gA;
    }
}

static size_t cpu_backward_scratch(const cpu_backward_plan_t *plan) {
  arena_t arena = {NULL, 0};
  (void)cpu_backward_take(&arena, plan);
  return arena.used;
}

static void cpu_backward_matrix(const void *argument, int64_t b, int64_t count, arena_t scratch) {
  (void)count; /* one at a time */
  const cpu_backward_plan_t *plan = argument;
  const svd_backward_call_t *call = plan->call;
  cpu_backward_t w = cpu_backward_take(&scratch, plan);
  load_call(call, b, &w);
  const cotangent_size_t gU = cotangent_size(w.m, w.u.columns, w.u.given ? w.u.g : NULL);
  const cotangent_size_t gV = cotangent_size(w.n, w.v.columns, w.v.given ? w.v.g : NULL);
  gap_policy_t policy = policy_of(plan->p, (double)w.s[0], gU, gV);
  int converged = 1;
  if (w.u.given || w.v.given)
    converged = gradient_of_vectors(plan->rest, b, &w, &policy, gU.norm + gV.norm);
  else
    gradient_of_values(&w);
  for (int64_t i = 0; i < w.m * w.n && !converged; i++)
    w.gA[i] = not_a_number(); /* the backward pass has no info: NaN is the only signal */
  store_gradient(call, b, &w);
  if (call->report)
    call->report[b] = gap_report(&policy, w.exponent);
}

#endif
