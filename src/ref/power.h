/* SPDX-License-Identifier: BSD-3-Clause */
/* Power iteration on A^H A of one matrix, spectral normalization A / sigma and its gradient (T. Miyato, T. Kataoka,
 * M. Koyama, Y. Yoshida, "Spectral normalization for generative adversarial networks", ICLR 2018).  Loops in W. */
#ifndef SVDGRAD_REF_POWER_H
#define SVDGRAD_REF_POWER_H
#include "backend.h"
#include "base/strided.h"
#include "jacobi.h"

typedef struct iterates {
  W *u, *v;    /* m, n */
  W *Av, *Ahu; /* m, n */
} iterates_t;

static iterates_t iterates_take(arena_t *arena, const problem_t *p) {
  iterates_t x;
  x.u = arena_take(arena, p->m, sizeof(W));
  x.v = arena_take(arena, p->n, sizeof(W));
  x.Av = arena_take(arena, p->m, sizeof(W));
  x.Ahu = arena_take(arena, p->n, sizeof(W));
  return x;
}

static size_t ref_power_scratch(const problem_t *p) {
  arena_t arena = {NULL, 0};
  (void)iterates_take(&arena, p);
  return arena.used;
}

static void load_vector(const svdgrad_vector_t *from, int64_t b, int64_t count, W *to) {
  for (int64_t i = 0; i < count; i++)
    to[i] = (W)*component(from, b, i);
}

static void store_vector(const svdgrad_vector_t *to, int64_t b, int64_t count, const W *from) {
  for (int64_t i = 0; i < count; i++)
    *component(to, b, i) = (T)from[i];
}

static W element_of_A(const power_call_t *call, int64_t b, int64_t i, int64_t j) {
  return (W)*element(&call->A, b, i, j);
}

static void form_Av(const power_call_t *call, int64_t b, const iterates_t *x) {
  for (int64_t i = 0; i < call->p.m; i++) {
    x->Av[i] = 0;
    for (int64_t j = 0; j < call->p.n; j++)
      x->Av[i] += element_of_A(call, b, i, j) * x->v[j];
  }
}

static void form_Ahu(const power_call_t *call, int64_t b, const iterates_t *x) {
  for (int64_t j = 0; j < call->p.n; j++) {
    x->Ahu[j] = 0;
    for (int64_t i = 0; i < call->p.m; i++)
      x->Ahu[j] += CONJ(element_of_A(call, b, i, j)) * x->u[i];
  }
}

/* |x - scale y| */
static WR distance(int64_t count, const W *x, WR scale, const W *y) {
  WR square = 0;
  for (int64_t i = 0; i < count; i++)
    square += ABS2(x[i] - scale * y[i]);
  return sqrt(square);
}

/* to <- x / |x|.  If x is zero, returns 0 and leaves `to` unchanged. */
static int to_unit(int64_t count, const W *x, W *to) {
  const WR length = norm(count, x);
  for (int64_t i = 0; i < count && length > 0; i++)
    to[i] = x[i] / length;
  return length > 0;
}

static int is_finite(W x) { return isfinite(RE(x)) && isfinite(IM(x)); }

static int is_finite_vector(int64_t count, const W *x) {
  for (int64_t i = 0; i < count; i++)
    if (!is_finite(x[i]))
      return 0;
  return 1;
}

/* Is A zero, or not finite? */
typedef enum kind { NONZERO, ZERO, NONFINITE } kind_t;

static kind_t kind_of_A(const power_call_t *call, int64_t b) {
  kind_t kind = ZERO;
  for (int64_t i = 0; i < call->p.m; i++)
    for (int64_t j = 0; j < call->p.n; j++) {
      const W a = element_of_A(call, b, i, j);
      if (!is_finite(a))
        return NONFINITE;
      kind = a == 0 ? kind : NONZERO;
    }
  return kind;
}

/* The start: u, and v too if there are no iterations. */
static int start_is_finite(const power_call_t *call, const iterates_t *x) {
  return is_finite_vector(call->p.m, x->u) && (call->iterations > 0 || is_finite_vector(call->p.n, x->v));
}

/* Returns 0 if A^H u is zero: then u and v stay unchanged. */
static int iterate(const power_call_t *call, int64_t b, const iterates_t *x) {
  for (int32_t i = 0; i < call->iterations; i++) {
    form_Ahu(call, b, x);
    if (!to_unit(call->p.n, x->Ahu, x->v))
      return 0;
    form_Av(call, b, x);
    (void)to_unit(call->p.m, x->Av, x->u);
  }
  return 1;
}

/* Returns 0 if one of them overflows R. */
static int store_sigma(const power_call_t *call, int64_t b, WR sigma, WR residual) {
  *entry(&call->sigma, b, 0) = (R)sigma;
  if (call->residual.data)
    *entry(&call->residual, b, 0) = (R)residual;
  return !isinf((R)sigma) && !(call->residual.data && isinf((R)residual));
}

/* The stored sigma is subnormal or infinite: then the unrounded value is the divisor. */
static int has_lost_bits(R sigma) { return fpclassify(sigma) == FP_SUBNORMAL || isinf(sigma); }

static void store_quotient(const power_call_t *call, int64_t b, WR sigma) {
  for (int64_t i = 0; i < call->p.m && call->Y.data; i++)
    for (int64_t j = 0; j < call->p.n; j++)
      *element(&call->Y, b, i, j) = (T)(sigma == 0 ? 0 : element_of_A(call, b, i, j) / sigma);
}

static void store_power_nan(const power_call_t *call, int64_t b) {
  (void)store_sigma(call, b, (WR)NAN, (WR)NAN);
  for (int64_t i = 0; i < call->p.m; i++)
    *component(&call->u, b, i) = not_a_number();
  for (int64_t j = 0; j < call->p.n; j++)
    *component(&call->v, b, j) = not_a_number();
  for (int64_t i = 0; i < call->p.m && call->Y.data; i++)
    for (int64_t j = 0; j < call->p.n; j++)
      *element(&call->Y, b, i, j) = not_a_number();
}

/* Stores sigma and the residual of the last iterates, and info; returns sigma. */
static WR evaluate(const power_call_t *call, int64_t b, const iterates_t *x, int moved) {
  form_Av(call, b, x);
  form_Ahu(call, b, x);
  const WR sigma = moved ? RE(dot(call->p.m, x->u, x->Av)) : 0;
  const WR on_left = distance(call->p.m, x->Av, sigma, x->u);
  const WR on_right = distance(call->p.n, x->Ahu, sigma, x->v);
  const int in_range = store_sigma(call, b, sigma, sqrt(on_left * on_left + (moved ? on_right * on_right : 0)));
  call->info[b] = in_range ? SVDGRAD_INFO_OK : SVDGRAD_INFO_OVERFLOW;
  return sigma;
}

/* A zero matrix: sigma and residual are zero, whatever v holds. */
static WR store_zero(const power_call_t *call, int64_t b) {
  (void)store_sigma(call, b, 0, 0);
  call->info[b] = SVDGRAD_INFO_OK;
  return 0;
}

static void ref_power_matrix(const void *argument, int64_t b, int64_t count, arena_t scratch) {
  (void)count; /* one at a time */
  const power_call_t *call = argument;
  const iterates_t x = iterates_take(&scratch, &call->p);
  const kind_t kind = kind_of_A(call, b);
  load_vector(&call->u, b, call->p.m, x.u);
  load_vector(&call->v, b, call->p.n, x.v);
  if (kind == NONFINITE || !start_is_finite(call, &x)) {
    store_power_nan(call, b);
    call->info[b] = SVDGRAD_INFO_NONFINITE;
    return;
  }
  const int moved = iterate(call, b, &x);
  const WR exact = kind == NONZERO ? evaluate(call, b, &x, moved) : store_zero(call, b);
  const R sigma = *entry(&call->sigma, b, 0);
  if (moved && call->iterations > 0) {
    store_vector(&call->u, b, call->p.m, x.u);
    store_vector(&call->v, b, call->p.n, x.v);
  }
  store_quotient(call, b, has_lost_bits(sigma) ? exact : (WR)sigma);
}

/* Re(u^H A v) */
static WR sigma_of(const normalize_backward_call_t *call, int64_t b) {
  WR sigma = 0;
  for (int64_t i = 0; i < call->p.m; i++)
    for (int64_t j = 0; j < call->p.n; j++)
      sigma += RE(CONJ((W)*component(&call->u, b, i)) * (W)*element(&call->A, b, i, j) * (W)*component(&call->v, b, j));
  return sigma;
}

/* gA = alpha (gY - Re<gY, A / sigma> u v^H) / sigma + beta gA, without sigma^2, which may over- or underflow. */
static void ref_normalize_backward(const void *argument, int64_t b, int64_t count, arena_t scratch) {
  (void)count, (void)scratch;
  const normalize_backward_call_t *call = argument;
  const R given = *entry(&call->sigma, b, 0);
  const WR sigma = has_lost_bits(given) ? sigma_of(call, b) : (WR)given;
  WR along = 0;
  for (int64_t i = 0; i < call->p.m && sigma != 0; i++)
    for (int64_t j = 0; j < call->p.n; j++)
      along += RE(CONJ((W)*element(&call->gY, b, i, j)) * ((W)*element(&call->A, b, i, j) / sigma));
  for (int64_t i = 0; i < call->p.m; i++)
    for (int64_t j = 0; j < call->p.n; j++) {
      const W uv = (W)*component(&call->u, b, i) * CONJ((W)*component(&call->v, b, j));
      const W gradient = sigma == 0 ? 0 : ((W)*element(&call->gY, b, i, j) - along * uv) / sigma;
      T *gA = element(&call->gA, b, i, j);
      *gA = (T)((WR)call->alpha * gradient + (call->beta == 0 ? 0 : (WR)call->beta * (W)*gA));
    }
}

#endif
