/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of one matrix: by reduction to bidiagonal form (bidiagonal.h), or by LAPACK (gesdd.c) where VENDOR asks for it;
 * with few columns, or more rows than LAPACK can count, by blocks of rows (tall.h).  All work is done in scratch memory of fixed alignment,
 * packed by columns or in the SIMD layout, so that a result does not depend on where the caller's matrix lies.
 *
 * The solved matrix is tall: A, or A^H where m < n.
 *
 * The matrix is scaled by a power of two such that its largest entry is in [1, 2). This is exact, and A times 2^p has
 * the same U and Vh to the last bit. */
#ifndef SVDGRAD_DENSE_SVD_H
#define SVDGRAD_DENSE_SVD_H
#include "cpu/cpu_kernels.h"
#include "copy.h"
#include "tall.h"
#include "base/nonfinite.h"

/* Largest |x_i|; NaN if any x_i is NaN or Inf.  LANES independent maxima, so that the compiler can vectorize. */
static R largest_size(int64_t count, const R *x) {
  enum { LANES = 8 };
  R largest[LANES] = {0}, poison[LANES] = {0}, all = 0;
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int l = 0; l < LANES; l++) {
      const R size = (R)fabs(x[i + l]);
      largest[l] = size > largest[l] ? size : largest[l];
      poison[l] += size * 0; /* NaN for Inf and NaN */
    }
  for (; i < count; i++) {
    const R size = (R)fabs(x[i]);
    largest[0] = size > largest[0] ? size : largest[0];
    poison[0] += size * 0;
  }
  for (int l = 0; l < LANES; l++)
    all = (largest[l] > all ? largest[l] : all) + poison[l];
  return all;
}

/* Copies A, or A^H for m < n, into packed storage.  Returns the largest |real or imaginary part|, NaN if an entry is
 * NaN or Inf. */
static R pack(team_t *team, const svdgrad_matrix_t *A, int64_t b, int64_t m, int64_t n, T *packed) {
  const int wide = m < n;
  const place_t from = place_of(A, b), tall = wide ? transposed_place(from) : from;
  copy_matrix(team, wide ? n : m, wide ? m : n, wide, tall, (place_t){packed, 1, wide ? n : m}, tall);
  return largest_size((1 + IS_COMPLEX) * m * n, (const R *)packed);
}

/* x <- 2^exponent x, in two steps, since 2^exponent itself may over- or underflow. */
static void scale_by_power(int64_t count, T *x, int exponent) {
  const R half = (R)ldexp(1, exponent / 2), rest = (R)ldexp(1, exponent - exponent / 2);
  for (int64_t i = 0; i < count && exponent != 0; i++)
    x[i] = x[i] * half * rest;
}

typedef struct forward {
  dense_svd_t svd;         /* of the tall matrix */
  bidiagonal_t bidiagonal; /* of the tall matrix, or of tall.core */
  tall_t tall;
  T *rest; /* full_matrices and m != n: the columns that complete the larger factor to a square one */
  qr_t qr; /* for these, and their products with its reflectors */
  block_work_t block;
  team_t *team;
} forward_t;

/* By blocks of rows.  U goes straight to the caller, except where its gauge is fixed, which takes all of it. */
static forward_t tall_forward_take(arena_t *arena, const cpu_svd_plan_t *plan) {
  const problem_t *p = plan->p;
  const int64_t mx = p->m < p->n ? p->n : p->m, n = p->mn;
  forward_t w = {.team = plan->team, .tall = tall_take(arena, mx, n, plan->vectors, plan->lwork, plan->tall)};
  const dense_svd_t *core = &w.tall.core;
  w.svd = (dense_svd_t){.m = mx, .n = n, .leading = n, .S = core->S, .Vh = core->Vh};
  if (plan->vectors && p->positive_gauge && p->m >= p->n)
    w.svd.U = arena_take(arena, mx * n, sizeof(T));
  if (plan->bidiagonal)
    w.bidiagonal = bidiagonal_take(arena, n, n, plan);
  return w;
}

static forward_t forward_take(arena_t *arena, const cpu_svd_plan_t *plan) {
  const problem_t *p = plan->p;
  const int64_t mx = p->m < p->n ? p->n : p->m;
  if (plan->tall)
    return tall_forward_take(arena, plan);
  forward_t w = {.team = plan->team, .svd = dense_svd_take(arena, mx, p->mn, plan->vectors, plan->lwork)};
  w.svd.leading = p->full_matrices ? p->mn : p->k;
  if (plan->bidiagonal)
    w.bidiagonal = bidiagonal_take(arena, mx, p->mn, plan);
  if (plan->vectors && p->full_matrices && p->m != p->n) {
    products_t products = products_take(arena, plan->completes->products, sizeof(T), mx, product_slots(mx, p->mn));
    products.team = plan->team;
    w.rest = arena_take(arena, mx * (mx - p->mn), sizeof(T));
    w.qr = qr_take(arena, mx, p->mn, plan->completes->lanes, &products);
    w.block = block_work_take(arena, mx, p->mn, mx - p->mn, &products);
  }
  return w;
}

/* Completes U to an orthonormal basis: U = Q R, whose Q is unitary, and the further columns of Q are the rest. */
static void complete_factor(const forward_t *w, const reflector_ops_t *ops) {
  const dense_svd_t *svd = &w->svd;
  const int64_t m = svd->m, n = svd->n;
  const reflectors_t Q = {m, n, 0, NULL, w->qr.triangles, svd->A, m * (1 + IS_COMPLEX), NULL};
  memcpy(svd->A, svd->U, (size_t)(m * n) * sizeof(T)); /* A has been destroyed before */
  factor_tall(m, n, svd->A, &w->qr, ops);
  memset(w->rest, 0, (size_t)(m * (m - n)) * sizeof(T));
  for (int64_t j = 0; j < m - n; j++)
    w->rest[j * m + n + j] = 1;
  multiply_left(&Q, m - n, w->rest, m, &w->block);
}

/* A column of a factor: `count` entries, `step` apart. */
typedef struct line {
  T *x;
  int64_t count, step;
} line_t;

static void multiply_line(const line_t *line, T phase) {
  for (int64_t i = 0; i < line->count; i++)
    line->x[i * line->step] *= phase;
}

/* Makes the largest entry (the first of equal ones) real and positive; returns the factor applied. */
static T fix_line(const line_t *line) {
  double largest = -1;
  T *entry = line->x;
  for (int64_t i = 0; i < line->count; i++) {
    T *u = &line->x[i * line->step];
    const double size = (double)RE(*u) * (double)RE(*u) + (double)IM(*u) * (double)IM(*u);
    if (size > largest) {
      largest = size;
      entry = u;
    }
  }
  const T phase = CONJ(*entry) / (R)sqrt(largest);
  multiply_line(line, phase);
  *entry = (R)RE(*entry);
  return phase;
}

/* Fixes the gauge of the caller's U, which is Vh^H here where the tall matrix is A^H. */
static void fix_gauges(const forward_t *w, int transposed) {
  const dense_svd_t *svd = &w->svd;
  for (int64_t j = 0; j < svd->leading; j++) {
    const line_t x = {svd->U + j * svd->m, svd->m, 1}, y = {svd->Vh + j, svd->n, svd->n};
    const T phase = fix_line(transposed ? &y : &x);
    multiply_line(transposed ? &x : &y, CONJ(phase));
  }
  for (int64_t j = 0; j < svd->m - svd->n && w->rest && !transposed; j++) {
    const line_t x = {w->rest + j * svd->m, svd->m, 1};
    (void)fix_line(&x);
  }
}

/* Stores columns 0..columns-1 of the tall matrix's left factor. */
static void store_left(const svdgrad_matrix_t *to, int64_t b, int adjoint, int64_t columns, const forward_t *w) {
  const dense_svd_t *svd = &w->svd;
  const int64_t known = columns < svd->n ? columns : svd->n;
  if (!to->data)
    return;
  place_t out = place_of(to, b);
  out = adjoint ? transposed_place(out) : out;
  copy_matrix(w->team, svd->m, known, adjoint, (place_t){svd->U, 1, svd->m}, out, out);
  if (columns == known)
    return; /* unused strides may have any value */
  out.x += known * out.column;
  copy_matrix(w->team, svd->m, columns - known, adjoint, (place_t){w->rest, 1, svd->m}, out, out);
}

/* Stores columns 0..columns-1 of its right factor, svd->Vh^H. */
static void store_right(const svdgrad_matrix_t *to, int64_t b, int adjoint, int64_t columns, const forward_t *w) {
  const dense_svd_t *svd = &w->svd;
  if (!to->data)
    return;
  const place_t caller = place_of(to, b), out = adjoint ? transposed_place(caller) : caller;
  copy_matrix(w->team, svd->n, columns, !adjoint, (place_t){svd->Vh, svd->n, 1}, out, out);
}

/* + 0 turns a negative zero, which LAPACK may return, into a positive one.  Returns 0 if S[0] overflows R. */
static int store_values(const svd_call_t *call, int64_t b, const R *S, int exponent) {
  const int kept = call->exponent ? 0 : exponent;
  for (int64_t j = 0; j < call->p.k; j++)
    *entry(&call->S, b, j) = (R)ldexp(S[j], kept) + 0;
  if (call->exponent)
    call->exponent[b] = exponent;
  return isfinite((R)ldexp(S[0], kept));
}

static void store_forward(const svd_call_t *call, int64_t b, const forward_t *w) {
  const problem_t *p = &call->p;
  if (p->m < p->n) {
    store_left(&call->Vh, b, 1, p->vh_rows, w);
    store_right(&call->U, b, 0, p->u_cols, w);
  } else {
    store_left(&call->U, b, 0, p->u_cols, w);
    store_right(&call->Vh, b, 1, p->vh_rows, w);
  }
}

static size_t cpu_svd_scratch(const cpu_svd_plan_t *plan) {
  arena_t arena = {NULL, 0};
  (void)forward_take(&arena, plan);
  return arena.used;
}

/* SVD of w->svd.A, which is 2^-exponent times the tall matrix.  Returns 0 if it did not converge. */
static int solve_forward(const cpu_svd_plan_t *plan, int64_t b, const forward_t *w, int exponent) {
  const problem_t *p = &plan->call->p;
  const gesdd_ops_t *gesdd = cpu_gesdd[p->dtype];
  if (plan->bidiagonal)
    return bidiagonal_svd(&w->svd, &w->bidiagonal, plan->bidiagonal);
  if (gesdd->by_dividing(&w->svd))
    return 1;
  (void)pack(plan->team, &plan->call->A, b, p->m, p->n, w->svd.A);
  scale_by_power(p->m * p->n, w->svd.A, -exponent);
  return gesdd->by_qr(&w->svd);
}

static void store_nonfinite(const svd_call_t *call, int64_t b) {
  store_nan(call, b);
  call->info[b] = SVDGRAD_INFO_NONFINITE;
}

static int32_t info_of(int converged, int in_range) {
  return !converged ? SVDGRAD_INFO_NOT_CONVERGED : in_range ? SVDGRAD_INFO_OK : SVDGRAD_INFO_OVERFLOW;
}

static void svd_packed(const cpu_svd_plan_t *plan, int64_t b, const forward_t *w) {
  const svd_call_t *call = plan->call;
  const problem_t *p = &call->p;
  const R largest = pack(plan->team, &call->A, b, p->m, p->n, w->svd.A);
  if (!isfinite(largest)) {
    store_nonfinite(call, b);
    return;
  }
  const int exponent = exponent_of(largest);
  scale_by_power(p->m * p->n, w->svd.A, -exponent);
  const int converged = solve_forward(plan, b, w, exponent);
  if (w->rest)
    complete_factor(w, plan->completes);
  if (p->positive_gauge && plan->vectors)
    fix_gauges(w, p->m < p->n);
  const int in_range = store_values(call, b, w->svd.S, exponent);
  store_forward(call, b, w);
  call->info[b] = info_of(converged, in_range);
}

/* The gauge of a tall U follows from all of it; that of a wide matrix from the core, whose V is U. */
static void store_tall(const cpu_svd_plan_t *plan, int64_t b, const forward_t *w) {
  const svd_call_t *call = plan->call;
  const problem_t *p = &call->p;
  const int wide = p->m < p->n;
  const svdgrad_matrix_t *left = wide ? &call->Vh : &call->U;
  if (w->svd.U) {
    tall_form(&w->tall, (place_t){w->svd.U, 1, w->svd.m}, p->mn, 0);
    fix_gauges(w, 0);
    store_left(left, b, 0, p->k, w);
  } else {
    const forward_t core = {.svd = w->tall.core};
    const place_t caller = place_of(left, b);
    if (p->positive_gauge)
      fix_gauges(&core, 1);
    if (left->data)
      tall_form(&w->tall, wide ? transposed_place(caller) : caller, p->k, wide);
  }
  store_right(wide ? &call->U : &call->Vh, b, !wide, p->k, w);
}

static void svd_tall(const cpu_svd_plan_t *plan, int64_t b, const forward_t *w) {
  const svd_call_t *call = plan->call;
  const problem_t *p = &call->p;
  const int wide = p->m < p->n;
  const place_t A = place_of(&call->A, b);
  int exponent = 0;
  if (!tall_factor(&w->tall, wide ? transposed_place(A) : A, wide, &exponent)) {
    store_nonfinite(call, b);
    return;
  }
  const int converged = tall_core_svd(&w->tall, plan, &w->bidiagonal);
  const int in_range = store_values(call, b, w->svd.S, exponent);
  if (plan->vectors)
    store_tall(plan, b, w);
  call->info[b] = info_of(converged, in_range);
}

static void cpu_svd_matrix(const void *argument, int64_t b, int64_t count, arena_t scratch) {
  (void)count; /* one at a time */
  const cpu_svd_plan_t *plan = argument;
  const forward_t w = forward_take(&scratch, plan);
  if (plan->tall)
    svd_tall(plan, b, &w);
  else
    svd_packed(plan, b, &w);
}

#endif
