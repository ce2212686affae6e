/* SPDX-License-Identifier: BSD-3-Clause */
/* The outputs of a matrix that contains NaN or Inf.  A typed file (type.h). */
#ifndef SVDGRAD_NONFINITE_H
#define SVDGRAD_NONFINITE_H
#include "backend.h"
#include "strided.h"

/* Makes all outputs of matrix b NaN. */
static void store_nan(const svd_call_t *call, int64_t b) {
  const problem_t *p = &call->p;
  if (call->exponent)
    call->exponent[b] = 0;
  for (int64_t j = 0; j < p->k; j++)
    *entry(&call->S, b, j) = (R)NAN;
  for (int64_t j = 0; j < p->u_cols && call->U.data; j++)
    for (int64_t i = 0; i < p->m; i++)
      *element(&call->U, b, i, j) = not_a_number();
  for (int64_t i = 0; i < p->n && call->Vh.data; i++)
    for (int64_t j = 0; j < p->vh_rows; j++)
      *element(&call->Vh, b, j, i) = not_a_number();
}

#endif
