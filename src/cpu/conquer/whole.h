/* SPDX-License-Identifier: BSD-3-Clause */
/* The algorithms of this folder, each for itself, from and to the caller's memory: bidiagonal_problem_t. */
#ifndef SVDGRAD_CONQUER_WHOLE_H
#define SVDGRAD_CONQUER_WHOLE_H
#include "cpu/cpu_kernels.h"
#include "conquer.h"
#include "values.h"

static void store_whole(const bidiagonal_problem_t *p, const conquer_t *c, power_t up) {
  const int64_t n = p->n;
  for (int64_t j = 0; j < n; j++)
    ((R *)p->S)[j] = scaled_by(c->d[conquered_column(c, j)], up);
  for (int64_t j = 0; j < p->leading; j++) {
    const int64_t column = conquered_column(c, j);
    memcpy((R *)p->U + j * n, c->U + column * c->stride, (size_t)n * sizeof(R));
    for (int64_t i = 0; i < n; i++)
      ((R *)p->Vh)[i * n + j] = c->V[column * c->stride + i];
  }
}

/* By dividing, a matrix of as many rows as a leaf has is one. */
static int factor_whole(const bidiagonal_problem_t *p, conquer_t *c) {
  const power_t up = power_of(load_scaled(c->n, p->d, p->e, c->d, c->e));
  c->leading = p->leading;
  if (!(p->method == BY_DIVIDING ? solve_parts(c) : solve_without_dividing(c)))
    return 0;
  store_whole(p, c, up);
  return 1;
}

static int values_of_whole(const bidiagonal_problem_t *p, values_work_t *v) {
  const power_t up = power_of(load_scaled(p->n, p->d, p->e, v->d, v->e));
  R *S = p->S;
  if (!(p->method == VALUES_BY_QD ? values_by_qd(&v->qd, v->d, v->e, S) : values_by_qr(v, p->n, S)))
    return 0;
  for (int64_t i = 0; i < p->n; i++)
    S[i] = scaled_by(S[i], up);
  return 1;
}

/* Without memory in `scratch` it only measures.  Returns 0 if it did not converge. */
static int solve_whole(const bidiagonal_problem_t *p, arena_t *scratch) {
  conquer_t c = conquer_take(scratch, p->n, p->ops);
  values_work_t v = values_take(scratch, p->n);
  if (!scratch->base)
    return 1;
  return p->method <= BY_QR ? factor_whole(p, &c) : values_of_whole(p, &v);
}

#endif
