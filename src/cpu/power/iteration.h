/* SPDX-License-Identifier: BSD-3-Clause */
/* The power iteration of one matrix: iterates, sigma, residual, A / sigma. */
#ifndef SVDGRAD_POWER_ITERATION_H
#define SVDGRAD_POWER_ITERATION_H
#include "iterates.h"
#include "quotient.h"

/* M is A: the iteration starts from y, which is u. */
static outcome_t iterate_from_y(power_t *q, int64_t b) {
  const walk_t *walk = &q->plan->walk;
  if (!load_y(q, b))
    return NONFINITE;
  const outcome_t outcome = run_pass(q, PASS_SUMS | PASS_GIVEN | PASS_FIRST);
  if (outcome != ITERATED)
    return outcome;
  if (!advance_x(q)) {
    (void)load_x(q, b);
    (void)run_pass(q, PASS_PRODUCTS);
    return UNCHANGED;
  }
  for (int32_t i = 0; i < q->plan->call->iterations; i++) {
    if (i > 0)
      (void)advance_x(q);
    (void)run_pass(q, PASS_PRODUCTS | PASS_SUMS);
  }
  int exponent;
  const double norm = scaled_norm(q, walk->rows, q->s, &exponent);
  scale(PARTS * walk->columns, (R *)q->w, ldexp(1, -exponent) / norm);
  (void)advance_y(q);
  return ITERATED;
}

/* M is A^T: the iteration starts from x, which is u, conjugated. */
static outcome_t iterate_from_x(power_t *q, int64_t b) {
  if (!load_x(q, b))
    return NONFINITE;
  for (int32_t i = 0; i < q->plan->call->iterations; i++) {
    const outcome_t outcome = run_pass(q, PASS_PRODUCTS | PASS_SUMS | (i == 0 ? PASS_FIRST : 0));
    if (outcome != ITERATED)
      return outcome;
    if (!advance_y(q)) {
      (void)load_y(q, b);
      (void)run_pass(q, PASS_SUMS | PASS_GIVEN);
      return UNCHANGED;
    }
    (void)advance_x(q);
  }
  return run_pass(q, PASS_PRODUCTS | PASS_SUMS | PASS_GIVEN);
}

static outcome_t iterate(power_t *q, int64_t b) {
  if (q->plan->call->iterations > 0)
    return q->plan->walk.transposed ? iterate_from_x(q, b) : iterate_from_y(q, b);
  const int x_finite = load_x(q, b), y_finite = load_y(q, b);
  if (!x_finite || !y_finite)
    return NONFINITE;
  return run_pass(q, PASS_PRODUCTS | PASS_SUMS | PASS_GIVEN | PASS_FIRST);
}

/* Re(x^H y) */
static double real_inner(int64_t count, const T *x, const T *y) {
  const R *a = (const R *)x, *b = (const R *)y;
  double sum = 0;
  for (int64_t i = 0; i < PARTS * count; i++)
    sum += (double)a[i] * (double)b[i];
  return sum;
}

/* |x - scale y| */
static double distance(int64_t count, const T *x, double scale, const T *y) {
  const R *a = (const R *)x, *b = (const R *)y;
  double square = 0;
  for (int64_t i = 0; i < PARTS * count; i++) {
    const double difference = (double)a[i] - scale * (double)b[i];
    square += difference * difference;
  }
  return sqrt(square);
}

typedef struct value {
  WR sigma; /* not rounded to R: that may overflow, or leave few bits */
  double residual;
} value_t;

/* sigma and the residual, the scales of M, x and y put back in. */
static value_t evaluate(const power_t *q) {
  const walk_t *walk = &q->plan->walk;
  const double sigma = real_inner(walk->rows, q->y, q->s);
  const double left = distance(walk->rows, q->s, ldexp(sigma, 2 * q->y_exponent), q->y);
  const double right = distance(walk->columns, q->w, ldexp(sigma, 2 * q->x_exponent), q->x);
  return (value_t){ldexp((WR)sigma, q->exponent + q->x_exponent + q->y_exponent),
                   hypot(ldexp(left, q->exponent + q->x_exponent), ldexp(right, q->exponent + q->y_exponent))};
}

/* A^H u is zero, so that only |A v| is left. */
static value_t evaluate_unchanged(const power_t *q) {
  const walk_t *walk = &q->plan->walk;
  int exponent;
  const double norm =
      walk->transposed ? scaled_norm(q, walk->columns, q->w, &exponent) : scaled_norm(q, walk->rows, q->s, &exponent);
  return (value_t){0, ldexp(norm, exponent + q->exponent + (walk->transposed ? q->y_exponent : q->x_exponent))};
}

static value_t value_of(const power_t *q, outcome_t outcome) {
  switch (outcome) {
  case ITERATED: return evaluate(q);
  case UNCHANGED: return evaluate_unchanged(q);
  case ZERO: return (value_t){0, 0};
  case NONFINITE: break;
  }
  return (value_t){NAN, NAN};
}

static void fill_nan(int64_t count, T *x) {
  for (int64_t i = 0; i < count; i++)
    x[i] = not_a_number();
}

static void store_iterates(const power_t *q, int64_t b) {
  const power_call_t *call = q->plan->call;
  const walk_t *walk = &q->plan->walk;
  store_iterate(q, walk->transposed ? &call->u : &call->v, b, walk->columns, q->x);
  store_iterate(q, walk->transposed ? &call->v : &call->u, b, walk->rows, q->y);
}

static int32_t info_of(const power_call_t *call, outcome_t outcome, value_t value) {
  const int overflows = isinf((R)value.sigma) || (call->residual.data && isinf((R)value.residual));
  return outcome == NONFINITE ? SVDGRAD_INFO_NONFINITE : overflows ? SVDGRAD_INFO_OVERFLOW : SVDGRAD_INFO_OK;
}

static void power_matrix(const void *argument, int64_t b, int64_t count, arena_t scratch) {
  (void)count; /* one at a time */
  const power_plan_t *plan = argument;
  const power_call_t *call = plan->call;
  const svdgrad_matrix_t M = as_walked(&plan->walk, call->A);
  power_t q = power_take(&scratch, &plan->walk);
  q.plan = plan;
  q.M = element(&M, b, 0, 0);
  q.row_stride = M.row_stride, q.column_stride = plan->walk.columns == 1 ? 1 : M.col_stride;
  const outcome_t outcome = iterate(&q, b);
  const value_t value = value_of(&q, outcome);
  *entry(&call->sigma, b, 0) = (R)value.sigma;
  if (call->residual.data)
    *entry(&call->residual, b, 0) = (R)value.residual;
  if (outcome == NONFINITE) {
    fill_nan(plan->walk.columns, q.x);
    fill_nan(plan->walk.rows, q.y);
  }
  if (outcome == NONFINITE || (outcome == ITERATED && call->iterations > 0))
    store_iterates(&q, b);
  const quotient_t quotient = {plan, b, divisor_of(value.sigma)};
  if (call->Y.data)
    run_chunks(plan->chunks, &plan->walk, quotient_task, &quotient);
  call->info[b] = info_of(call, outcome, value);
}

#endif
