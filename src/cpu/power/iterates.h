/* SPDX-License-Identifier: BSD-3-Clause */
/* The iterates x and y of a power iteration (pass.h): from and to the caller's u and v, and their lengths. */
#ifndef SVDGRAD_POWER_ITERATES_H
#define SVDGRAD_POWER_ITERATES_H
#include "pass.h"

/* x as simd/one/rows.h reads it. */
static void set_spread(const power_t *q) {
  const int64_t columns = q->plan->walk.columns;
  for (int64_t j = 0; j < columns && IS_COMPLEX; j++) {
    R *x = q->spread + 2 * j, *second = x + 2 * columns;
    x[0] = (R)RE(q->x[j]), x[1] = (R)-IM(q->x[j]);
    second[0] = (R)IM(q->x[j]), second[1] = (R)RE(q->x[j]);
  }
}

/* |x| 2^-exponent */
static double scaled_norm(const power_t *q, int64_t count, const T *x, int *exponent) {
  const R *part = (const R *)x;
  const double largest = q->plan->kernels->rows->largest(x, count);
  double square = 0;
  *exponent = 0;
  if (largest == 0 || isnan(largest))
    return largest;
  *exponent = exponent_of(largest, 1000);
  const double factor = ldexp(1, -*exponent);
  for (int64_t i = 0; i < PARTS * count; i++)
    square += (double)part[i] * factor * ((double)part[i] * factor);
  return sqrt(square);
}

/* to <- x / |x|.  If x is zero, returns 0 and leaves `to` unchanged. */
static int to_unit(const power_t *q, int64_t count, const T *x, T *to) {
  int exponent;
  const double norm = scaled_norm(q, count, x, &exponent), factor = ldexp(1, -exponent) / norm;
  for (int64_t i = 0; i < PARTS * count && norm != 0; i++)
    ((R *)to)[i] = (R)((double)((const R *)x)[i] * factor);
  return norm != 0;
}

static int advance_x(power_t *q) {
  if (!to_unit(q, q->plan->walk.columns, q->w, q->x))
    return 0;
  q->x_exponent = 0;
  set_spread(q);
  return 1;
}

static int advance_y(power_t *q) {
  if (!to_unit(q, q->plan->walk.rows, q->s, q->y))
    return 0;
  q->y_exponent = 0;
  return 1;
}

/* to <- the caller's vector times 2^-exponent, conjugated if M is A^T.  Returns 0 if it has NaN or Inf. */
static int load_iterate(const power_t *q, const svdgrad_vector_t *from, int64_t b, int64_t count, T *to,
                        int *exponent) {
  const int conjugated = q->plan->walk.transposed;
  for (int64_t i = 0; i < count; i++)
    to[i] = conjugated ? CONJ(*component(from, b, i)) : *component(from, b, i);
  const double largest = q->plan->kernels->rows->largest(to, count);
  *exponent = largest > 0 ? exponent_of(largest, FURTHEST) : 0;
  scale(PARTS * count, (R *)to, ldexp(1, -*exponent));
  return !isnan(largest);
}

static int load_x(power_t *q, int64_t b) {
  const power_call_t *call = q->plan->call;
  const walk_t *walk = &q->plan->walk;
  const int finite = load_iterate(q, walk->transposed ? &call->u : &call->v, b, walk->columns, q->x, &q->x_exponent);
  set_spread(q);
  return finite;
}

static int load_y(power_t *q, int64_t b) {
  const power_call_t *call = q->plan->call;
  const walk_t *walk = &q->plan->walk;
  return load_iterate(q, walk->transposed ? &call->v : &call->u, b, walk->rows, q->y, &q->y_exponent);
}

static void store_iterate(const power_t *q, const svdgrad_vector_t *to, int64_t b, int64_t count, const T *from) {
  const int conjugated = q->plan->walk.transposed;
  for (int64_t i = 0; i < count; i++)
    *component(to, b, i) = conjugated ? CONJ(from[i]) : from[i];
}

#endif
