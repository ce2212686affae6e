/* SPDX-License-Identifier: BSD-3-Clause */
/* The gradient of A / Re(u^H A v) with u and v held: gA = alpha (gY - Re<gY, A / sigma> u v^H) / sigma + beta gA, in
 * which no square of sigma over- or underflows.  Element (i, j) of u v^H is outer_i inner_j along the walk. */
#ifndef SVDGRAD_POWER_GRADIENT_H
#define SVDGRAD_POWER_GRADIENT_H
#include "exponent.h"
#include "quotient.h"

typedef struct gradient {
  const gradient_plan_t *plan;
  int64_t b;
  divisor_t sigma;
  R scale;                       /* a power of two, about 1 / sigma */
  T along;                       /* Re<gY, A / sigma> */
  double parts[MOST_CHUNKS + 1]; /* of each chunk: Re<gY, scale A> */
} gradient_t;

enum { SUMS = 8 }; /* at once, so that they fill registers */

/* Its inverse is a normal number, too. */
enum { LARGEST_SCALE = sizeof(R) == sizeof(float) ? 126 : 1022 };

static inline R row_inner(int64_t count, const T *g, int64_t g_step, const T *a, int64_t a_step, R scale) {
  R sum[SUMS] = {0}, total = 0;
  int64_t j = 0;
  for (; j + SUMS <= count; j += SUMS)
    for (int l = 0; l < SUMS; l++)
      sum[l] += (R)RE(CONJ(g[(j + l) * g_step]) * (scale * a[(j + l) * a_step]));
  for (; j < count; j++)
    total += (R)RE(CONJ(g[j * g_step]) * (scale * a[j * a_step]));
  for (int l = 0; l < SUMS; l++)
    total += sum[l];
  return total;
}

static void inner_task(const void *argument, int64_t chunk, int64_t count, arena_t scratch) {
  (void)count, (void)scratch;
  gradient_t *q = *(gradient_t *const *)argument;
  const walk_t *walk = &q->plan->walk;
  const svdgrad_matrix_t A = as_walked(walk, q->plan->call->A), gY = as_walked(walk, q->plan->call->gY);
  double sum = 0;
  for (int64_t i = first_row(walk, chunk); i < last_row(walk, chunk); i++) {
    const T *a = element(&A, q->b, i, 0), *g = element(&gY, q->b, i, 0);
    if (A.col_stride == 1 && gY.col_stride == 1)
      sum += (double)row_inner(walk->columns, g, 1, a, 1, q->scale);
    else
      sum += (double)row_inner(walk->columns, g, gY.col_stride, a, A.col_stride, q->scale);
  }
  q->parts[chunk] = sum;
}

typedef struct row_gradient {
  const T *g, *inner;
  T *to;
  int64_t g_step, inner_step, to_step;
  int conjugated; /* inner */
} row_gradient_t;

/* to <- alpha (g - outer inner) / sigma + beta to */
static inline void gradient_row(const row_gradient_t *r, int64_t count, T outer, divisor_t sigma, R alpha, R beta) {
  for (int64_t j = 0; j < count; j++) {
    const T inner = r->inner[j * r->inner_step];
    T *to = r->to + j * r->to_step;
    const T g = r->g[j * r->g_step] - outer * (r->conjugated ? CONJ(inner) : inner);
    const T gradient = alpha * (sigma.number == 0 ? 0 : sigma.scale * g / sigma.number);
    *to = beta == 0 ? gradient : gradient + beta * *to;
  }
}

static void gradient_task(const void *argument, int64_t chunk, int64_t count, arena_t scratch) {
  (void)count, (void)scratch;
  const gradient_t *q = *(gradient_t *const *)argument;
  const normalize_backward_call_t *call = q->plan->call;
  const walk_t *walk = &q->plan->walk;
  const svdgrad_matrix_t gY = as_walked(walk, call->gY), gA = as_walked(walk, call->gA);
  const svdgrad_vector_t *u = walk->transposed ? &call->v : &call->u, *v = walk->transposed ? &call->u : &call->v;
  for (int64_t i = first_row(walk, chunk); i < last_row(walk, chunk); i++) {
    const T outer = *component(u, q->b, i);
    const row_gradient_t row = {.g = element(&gY, q->b, i, 0),
                                .inner = component(v, q->b, 0),
                                .to = element(&gA, q->b, i, 0),
                                .g_step = gY.col_stride,
                                .inner_step = v->stride,
                                .to_step = gA.col_stride,
                                .conjugated = !walk->transposed};
    gradient_row(&row, walk->columns, q->along * (walk->transposed ? CONJ(outer) : outer), q->sigma, (R)call->alpha,
                 (R)call->beta);
  }
}

/* Re(u^H A v) */
static WR sigma_again(const gradient_plan_t *plan, int64_t b) {
  const normalize_backward_call_t *call = plan->call;
  WR sigma = 0;
  for (int64_t i = 0; i < call->p.m; i++)
    for (int64_t j = 0; j < call->p.n; j++)
      sigma += RE(CONJ((W)*component(&call->u, b, i)) * (W)*element(&call->A, b, i, j) * (W)*component(&call->v, b, j));
  return sigma;
}

/* As it was given, but where that has lost bits at an end of the range. */
static WR sigma_of(const gradient_plan_t *plan, int64_t b) {
  const R sigma = *entry(&plan->call->sigma, b, 0);
  const int kind = fpclassify(sigma);
  return kind == FP_SUBNORMAL || kind == FP_INFINITE ? sigma_again(plan, b) : (WR)sigma;
}

static void gradient_matrix(const void *argument, int64_t b, int64_t count, arena_t scratch) {
  (void)count, (void)scratch;
  const gradient_plan_t *plan = argument;
  const WR sigma = sigma_of(plan, b);
  gradient_t q = {.plan = plan, .b = b, .sigma = divisor_of(sigma)}, *pointer = &q;
  const double size = fmin(fabs((double)sigma), DBL_MAX);
  q.scale = (R)(size > 0 && !isnan(sigma) ? ldexp(1.0, -exponent_of(size, LARGEST_SCALE)) : 1);
  if (q.sigma.number != 0) {
    double sum = 0;
    run_chunks(plan->chunks, &plan->walk, inner_task, &pointer);
    for (int64_t chunk = 0; chunk < plan->walk.chunks; chunk++)
      sum += q.parts[chunk];
    q.along = (R)(sum / (double)(sigma * (WR)q.scale));
  }
  run_chunks(plan->chunks, &plan->walk, gradient_task, &pointer);
}

#endif
