/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of one matrix: load, factorize (jacobi.h), fix the gauge, store. */
#ifndef SVDGRAD_REF_SVD_H
#define SVDGRAD_REF_SVD_H
#include "base/nonfinite.h"
#include "jacobi.h"

/* Returns 0 if A contains NaN or Inf. */
static int load_factors(const svd_call_t *call, int64_t b, const factors_t *f) {
  int finite = 1;
  for (int64_t i = 0; i < f->m; i++)
    for (int64_t j = 0; j < f->n; j++) {
      const T a = *element(&call->A, b, i, j);
      finite &= isfinite(RE(a)) && isfinite(IM(a));
      set_element(f, i, j, (W)a);
    }
  return finite;
}

/* Row of the largest entry of a column; the first one of equal entries. */
static int64_t largest_row(int64_t m, const W *u) {
  int64_t largest = 0;
  for (int64_t i = 1; i < m; i++)
    if (ABS2(u[i]) > ABS2(u[largest]))
      largest = i;
  return largest;
}

/* Multiplies column j of U by the phase that makes its largest entry positive; if `paired`, column j of V too. */
static void fix_gauge(const factors_t *f, int64_t j, int paired) {
  W *u = f->U + j * f->m, *v = f->V + j * f->n;
  const int64_t row = largest_row(f->m, u);
  const WR size = sqrt(ABS2(u[row]));
  const W phase = CONJ(u[row]) / size;
  for (int64_t i = 0; i < f->m; i++)
    u[i] *= phase;
  for (int64_t i = 0; i < f->n && paired; i++)
    v[i] *= phase;
  u[row] = size;
}

/* Returns 0 if the largest value overflows R. */
static int store_values(const svd_call_t *call, int64_t b, const factors_t *f) {
  const WR s1 = f->s[f->order[0]];
  int exponent = 0;
  if (call->exponent) {
    if (s1 > 0) {
      (void)frexp(s1, &exponent);
      exponent--; /* s_1 in [1, 2) */
    }
    call->exponent[b] = exponent;
  }
  for (int64_t j = 0; j < call->p.k; j++)
    *entry(&call->S, b, j) = (R)ldexp(f->s[f->order[j]], -exponent);
  return isfinite((R)ldexp(s1, -exponent));
}

static void store_factors(const svd_call_t *call, int64_t b, const factors_t *f) {
  const problem_t *p = &call->p;
  for (int64_t j = 0; j < p->u_cols && call->U.data; j++)
    for (int64_t i = 0; i < p->m; i++)
      *element(&call->U, b, i, j) = (T)f->U[f->order[j] * p->m + i];
  for (int64_t j = 0; j < p->vh_rows && call->Vh.data; j++)
    for (int64_t i = 0; i < p->n; i++)
      *element(&call->Vh, b, j, i) = (T)CONJ(f->V[f->order[j] * p->n + i]);
}

static size_t ref_svd_scratch(const problem_t *p) {
  arena_t arena = {NULL, 0};
  (void)factors_take(&arena, p->m, p->n, p->full_matrices);
  return arena.used;
}

static void ref_svd_matrix(const void *argument, int64_t b, int64_t count, arena_t scratch) {
  (void)count; /* one at a time */
  const svd_call_t *call = argument;
  const problem_t *p = &call->p;
  const factors_t f = factors_take(&scratch, p->m, p->n, p->full_matrices);
  if (!load_factors(call, b, &f)) {
    store_nan(call, b);
    call->info[b] = SVDGRAD_INFO_NONFINITE;
    return;
  }
  const int converged = factorize(&f, p->max_sweeps);
  const int64_t u_columns = p->full_matrices ? p->m : p->mn;
  for (int64_t j = 0; j < u_columns && p->positive_gauge; j++)
    fix_gauge(&f, j, j < p->mn);
  const int in_range = store_values(call, b, &f);
  store_factors(call, b, &f);
  call->info[b] = !converged ? SVDGRAD_INFO_NOT_CONVERGED : in_range ? SVDGRAD_INFO_OK : SVDGRAD_INFO_OVERFLOW;
}

#endif
