/* SPDX-License-Identifier: BSD-3-Clause */
/* The singular values alone of a real upper bidiagonal matrix: by the qd algorithm, or by QR iteration where that fails. */
#ifndef SVDGRAD_CONQUER_VALUES_H
#define SVDGRAD_CONQUER_VALUES_H
#include "leaf.h"
#include "qd.h"

typedef struct values_work {
  qd_t qd;
  R *d, *e, *work;
  int64_t *order;
} values_work_t;

static values_work_t values_take(arena_t *arena, int64_t n) {
  values_work_t v = {.qd = qd_take(arena, n)};
  v.d = take_reals(arena, n), v.e = take_reals(arena, n), v.work = take_reals(arena, QR_WORK * n);
  v.order = arena_take(arena, n, sizeof *v.order);
  return v;
}

static int values_by_qr(const values_work_t *v, int64_t n, R *S) {
  const qr_iteration_t q = {.n = n, .d = v->d, .e = v->e, .work = v->work};
  const int converged = iterate_qr(&q);
  sort_values(n, v->d, v->order);
  for (int64_t i = 0; i < n; i++)
    S[i] = v->d[v->order[n - 1 - i]];
  return converged;
}

/* S of the matrix of d and e, by decreasing value.  Returns 0 if it did not converge. */
static int bidiagonal_values(const values_work_t *v, const R *d, const R *e, R *S) {
  const int64_t n = v->qd.n;
  const power_t up = power_of(load_scaled(n, d, e, v->d, v->e));
  if (!values_by_qd(&v->qd, v->d, v->e, S) && !values_by_qr(v, n, S))
    return 0;
  for (int64_t i = 0; i < n; i++)
    S[i] = scaled_by(S[i], up);
  return 1;
}

#endif
