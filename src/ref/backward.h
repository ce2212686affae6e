/* SPDX-License-Identifier: BSD-3-Clause */
/* Backward pass of one matrix, by the formula of svdgrad.h: J. Townsend, "Differentiating the singular value
 * decomposition" (2016); complex: Z.-Q. Wan and S.-X. Zhang, arXiv:1909.02659; truncated: A. Francuz, N. Schuch,
 * B. Vanhecke, Phys. Rev. Research 7, 013237 (2025).  Plain loops over column-major arrays in W;
 * functions/backward_core.h divides by gaps. */
#ifndef SVDGRAD_REF_BACKWARD_H
#define SVDGRAD_REF_BACKWARD_H
#include "base/strided.h"
#include "functions/backward_core.h"
#include "jacobi.h"

#include <string.h>

typedef struct backward {
  int64_t m, n, k, u_cols, v_cols;
  W *U, *V, *gU, *gV;       /* m-by-u_cols, n-by-v_cols; absent cotangents are zero */
  WR *s, *gS;               /* k */
  W *UhgU, *VhgV, *M;       /* k-by-k */
  W *outside_U, *outside_V; /* cotangents outside the spans of U and V: m-by-k, n-by-k; later X_, Y_ */
  W *gA;                    /* m-by-n */
  factors_t rest;           /* truncated: A - U S Vh */
  W *p, *q, *x, *y;         /* truncated: one kept column in the singular basis of `rest`, mn - k entries */
  int exponent;             /* of S: s = 2^-exponent S, 1 <= s_1 < 2 */
  power_t scale;            /* 2^-exponent */
} backward_t;

static backward_t backward_take(arena_t *arena, const problem_t *p) {
  const int64_t m = p->m, n = p->n, k = p->k;
  backward_t w = {.m = m, .n = n, .k = k, .u_cols = p->u_cols, .v_cols = p->vh_rows};
  w.U = arena_take(arena, m * w.u_cols, sizeof(W));
  w.V = arena_take(arena, n * w.v_cols, sizeof(W));
  w.gU = arena_take(arena, m * w.u_cols, sizeof(W));
  w.gV = arena_take(arena, n * w.v_cols, sizeof(W));
  w.s = arena_take(arena, k, sizeof(WR));
  w.gS = arena_take(arena, k, sizeof(WR));
  w.UhgU = arena_take(arena, k * k, sizeof(W));
  w.VhgV = arena_take(arena, k * k, sizeof(W));
  w.M = arena_take(arena, k * k, sizeof(W));
  w.outside_U = arena_take(arena, m * k, sizeof(W));
  w.outside_V = arena_take(arena, n * k, sizeof(W));
  w.gA = arena_take(arena, m * n, sizeof(W));
  if (k < p->mn) {
    w.rest = factors_take(arena, m, n, 0);
    w.p = arena_take(arena, p->mn, sizeof(W));
    w.q = arena_take(arena, p->mn, sizeof(W));
    w.x = arena_take(arena, p->mn, sizeof(W));
    w.y = arena_take(arena, p->mn, sizeof(W));
  }
  return w;
}

static void load_columns(const svdgrad_matrix_t *X, int64_t b, int64_t rows, int64_t columns, W *to) {
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < rows; i++)
      to[j * rows + i] = X->data ? (W)*element(X, b, i, j) : 0;
}

static void load_rows(const svdgrad_matrix_t *Xh, int64_t b, int64_t rows, int64_t columns, W *to) {
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < rows; i++)
      to[j * rows + i] = Xh->data ? (W)CONJ(*element(Xh, b, j, i)) : 0;
}

static void load_backward(const svd_backward_call_t *call, int64_t b, backward_t *w) {
  load_columns(&call->U, b, w->m, w->u_cols, w->U);
  load_columns(&call->gU, b, w->m, w->u_cols, w->gU);
  load_rows(&call->Vh, b, w->n, w->v_cols, w->V);
  load_rows(&call->gVh, b, w->n, w->v_cols, w->gV);
  w->exponent = gap_exponent((double)*entry(&call->S, b, 0), 2000);
  w->scale = power_of(-w->exponent);
  for (int64_t j = 0; j < w->k; j++) {
    w->s[j] = (WR)*entry(&call->S, b, j) * w->scale.first * w->scale.second;
    w->gS[j] = call->gS.data ? (WR)*entry(&call->gS, b, j) : 0;
  }
}

/* P = U1^H gU1, U1 = U(:, 0..k-1), and the part of the cotangent outside the span of U1, which is zero for k = m.
 * Further columns U2 (full_matrices) move so that they stay orthogonal to U1: U2^H dU1 = -(U1^H dU2)^H.  Their
 * cotangents therefore add -U2 (gU2^H U1); the component of gU2 along U2 is gauge. */
static void split_cotangent(int64_t m, int64_t k, int64_t columns, const W *U, const W *gU, W *P, W *outside) {
  for (int64_t j = 0; j < k; j++) {
    for (int64_t i = 0; i < k; i++)
      P[j * k + i] = dot(m, U + i * m, gU + j * m);
    for (int64_t r = 0; r < m; r++) {
      W sum = gU[j * m + r];
      for (int64_t i = 0; i < k; i++)
        sum -= U[i * m + r] * P[j * k + i];
      for (int64_t i = k; i < columns; i++)
        sum -= U[i * m + r] * dot(m, gU + i * m, U + j * m);
      outside[j * m + r] = k < m ? sum : 0;
    }
  }
}

/* Gauge part of the further columns: largest entry of the skew-Hermitian matrix U2^H gU2 - gU2^H U2. */
static double extra_gauge(int64_t m, int64_t k, int64_t columns, const W *U, const W *gU) {
  WR largest = 0;
  for (int64_t i = k; i < columns; i++)
    for (int64_t j = i; j < columns; j++) {
      const W x = dot(m, U + i * m, gU + j * m) - dot(m, gU + i * m, U + j * m);
      largest = fmax(largest, sqrt(ABS2(x)));
    }
  return (double)largest;
}

static void tally_gauge(const backward_t *w, gap_policy_t *policy, double norm) {
  gap_gauge(policy, extra_gauge(w->m, w->k, w->u_cols, w->U, w->gU), norm);
  gap_gauge(policy, extra_gauge(w->n, w->k, w->v_cols, w->V, w->gV), norm);
}

static double column_norm(int64_t m, const W *x) { return cotangent_size(m, 1, (const WR *)x, 1).norm; }

static void form_M(const backward_t *w, gap_policy_t *policy, double norm) {
  const int64_t k = w->k;
  const W *P = w->UhgU, *Q = w->VhgV;
  for (int64_t j = 0; j < k; j++) {
    for (int64_t i = 0; i < j; i++) {
      const int64_t ij = j * k + i, ji = i * k + j;
      const entries_t M = divide_pair(policy, (double)w->s[i], (double)w->s[j], (entries_t){P[ij], P[ji]},
                                      (entries_t){Q[ij], Q[ji]}, w->scale);
      w->M[ij] = M.ij;
      w->M[ji] = M.ji;
    }
    const int64_t jj = j * k + j;
    w->M[jj] = w->gS[j] + divide_diagonal(policy, (double)w->s[j], P[jj], Q[jj], norm, w->scale);
  }
}

static void scale_outside(const backward_t *w, gap_policy_t *policy, int64_t m, W *outside) {
  for (int64_t j = 0; j < w->k; j++) {
    W *column = outside + j * m;
    const double inverse = gap_outside(policy, (double)w->s[j], column_norm(m, column));
    for (int64_t i = 0; i < m; i++)
      column[i] *= (WR)inverse * w->scale.first * w->scale.second;
  }
}

/* SVD of A - U S Vh: the discarded part of the spectrum.  Returns 0 if the sweep limit was reached. */
static int factorize_rest(const svd_backward_call_t *call, int64_t b, const backward_t *w) {
  for (int64_t i = 0; i < w->m; i++)
    for (int64_t j = 0; j < w->n; j++) {
      W a = (W)*element(&call->A, b, i, j) * w->scale.first * w->scale.second;
      for (int64_t r = 0; r < w->k; r++)
        a -= w->U[r * w->m + i] * w->s[r] * CONJ(w->V[r * w->n + j]);
      set_element(&w->rest, i, j, a);
    }
  return factorize(&w->rest, 0);
}

/* The discarded values and their vectors: `rest` has k more triplets, whose values are zero up to rounding and whose
 * vectors are any.  A pair of these would mean something else than 1/s under LORENTZ and MASK. */
static int64_t discarded_count(const backward_t *w) { return w->rest.small - w->k; }

/* outside <- basis x + (outside - basis p) inverse, for one kept column; p and x have `count` entries, for the columns of
 * the basis that `order` names. */
static void expand(int64_t m, int64_t count, const int64_t *order, const W *basis, const W *p, const W *x, WR inverse,
                   W *outside) {
  for (int64_t i = 0; i < m; i++) {
    W inside = 0, solved = 0;
    for (int64_t r = 0; r < count; r++) {
      inside += basis[order[r] * m + i] * p[r];
      solved += basis[order[r] * m + i] * x[r];
    }
    outside[i] = solved + (outside[i] - inside) * inverse;
  }
}

/* What stands for 1/s_j before the parts outside the spans.  Where it is dropped, that counts if a part may also lie outside
 * the span of all min(m, n) vectors: pairs count for the others. */
static double inverse_outside(const backward_t *w, gap_policy_t *policy, int64_t j, const W *gu, const W *gv) {
  const double left = w->m > w->rest.small ? column_norm(w->m, gu) : 0;
  const double right = w->n > w->rest.small ? column_norm(w->n, gv) : 0;
  gap_policy_t tally = *policy;
  const double inverse = gap_outside(&tally, (double)w->s[j], 1);
  if (left + right > 0)
    *policy = tally;
  return inverse;
}

static void solve_truncated(const backward_t *w, gap_policy_t *policy) {
  const int64_t m = w->m, n = w->n, count = discarded_count(w), *order = w->rest.order;
  for (int64_t j = 0; j < w->k; j++) {
    W *gu = w->outside_U + j * m, *gv = w->outside_V + j * n;
    for (int64_t i = 0; i < count; i++) {
      w->p[i] = dot(m, w->rest.U + order[i] * m, gu);
      w->q[i] = dot(n, w->rest.V + order[i] * n, gv);
    }
    const double outside = column_norm(m, gu) + column_norm(n, gv);
    for (int64_t i = 0; i < count; i++) {
      const double r = gap_discarded((double)w->rest.s[order[i]], (double)w->s[w->k - 1]);
      const solution_t z = solve_discarded(policy, r, (double)w->s[j], w->p[i], w->q[i], outside, w->scale);
      w->x[i] = z.x;
      w->y[i] = z.y;
    }
    const WR inverse = (WR)inverse_outside(w, policy, j, gu, gv) * w->scale.first * w->scale.second;
    expand(m, count, order, w->rest.U, w->p, w->x, inverse, gu);
    expand(n, count, order, w->rest.V, w->q, w->y, inverse, gv);
  }
  gap_cut(policy, (double)w->s[w->k - 1], (double)w->rest.s[order[0]]);
}

/* gA = U M Vh + X_ Vh + U Y_^H */
static void assemble(const backward_t *w) {
  const int64_t m = w->m, n = w->n, k = w->k;
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < m; i++) {
      W sum = 0;
      for (int64_t c = 0; c < k; c++) {
        W left = w->outside_U[c * m + i];
        for (int64_t r = 0; r < k; r++)
          left += w->U[r * m + i] * w->M[c * k + r];
        sum += left * CONJ(w->V[c * n + j]) + w->U[c * m + i] * CONJ(w->outside_V[c * n + j]);
      }
      w->gA[j * m + i] = sum;
    }
}

static void store_gradient(const svd_backward_call_t *call, int64_t b, const backward_t *w) {
  for (int64_t j = 0; j < w->n; j++)
    for (int64_t i = 0; i < w->m; i++) {
      T *gA = element(&call->gA, b, i, j);
      const W gradient = (WR)call->alpha * w->gA[j * w->m + i];
      *gA = (T)(call->beta == 0 ? gradient : gradient + (WR)call->beta * (W)*gA);
    }
}

static size_t ref_backward_scratch(const problem_t *p) {
  arena_t arena = {NULL, 0};
  (void)backward_take(&arena, p);
  return arena.used;
}

/* Only gS is given: no gap is used, under any policy. */
static void gradient_of_values(const backward_t *w) {
  for (int64_t j = 0; j < w->k; j++)
    for (int64_t i = 0; i < w->k; i++)
      w->M[j * w->k + i] = i == j ? w->gS[i] : 0;
}

/* Returns 0 if the SVD of the discarded part did not converge. */
static int gradient_of_vectors(const svd_backward_call_t *call, int64_t b, const backward_t *w, gap_policy_t *policy,
                               double norm) {
  tally_gauge(w, policy, norm);
  form_M(w, policy, norm);
  if (w->k == call->p.mn) {
    if (w->k < w->m)
      scale_outside(w, policy, w->m, w->outside_U);
    if (w->k < w->n)
      scale_outside(w, policy, w->n, w->outside_V);
    return 1;
  }
  const int converged = factorize_rest(call, b, w);
  solve_truncated(w, policy);
  return converged;
}

static void ref_backward_matrix(const void *argument, int64_t b, int64_t count, arena_t scratch) {
  (void)count; /* one at a time */
  const svd_backward_call_t *call = argument;
  backward_t w = backward_take(&scratch, &call->p);
  load_backward(call, b, &w);
  split_cotangent(w.m, w.k, w.u_cols, w.U, w.gU, w.UhgU, w.outside_U);
  split_cotangent(w.n, w.k, w.v_cols, w.V, w.gV, w.VhgV, w.outside_V);
  const cotangent_size_t gU = cotangent_size(w.m, w.u_cols, (const WR *)w.gU, 1),
                         gV = cotangent_size(w.n, w.v_cols, (const WR *)w.gV, 1);
  gap_policy_t policy = policy_of(&call->p, (double)w.s[0], gU, gV);
  int converged = 1;
  if (call->gU.data || call->gVh.data)
    converged = gradient_of_vectors(call, b, &w, &policy, gU.norm + gV.norm);
  else
    gradient_of_values(&w);
  assemble(&w);
  for (int64_t i = 0; i < w.m * w.n && !converged; i++)
    w.gA[i] = (WR)NAN; /* the backward pass has no info: NaN is the only signal */
  store_gradient(call, b, &w);
  if (call->report)
    call->report[b] = gap_report(&policy, w.exponent);
}

#endif
