/* SPDX-License-Identifier: BSD-3-Clause */
/* The matrix product of group.h for one lane: plain loops in the compute type (compute.h). */
#ifndef SVDGRAD_HOST_PRODUCT_H
#define SVDGRAD_HOST_PRODUCT_H
#include "base/compute.h"
#include "group.h"

static void multiply_plainly(const group_product_t *p) {
  const compute_t *A = p->A, *B = p->B;
  for (int64_t j = 0; j < p->n; j++)
    for (int64_t i = 0; i < p->m; i++) {
      compute_t sum = 0, *c = (compute_t *)p->c + j * p->ldc + i;
      for (int64_t l = 0; l < p->k; l++) {
        const compute_t a = p->hermitian_a ? CONJ(A[i * p->lda + l]) : A[l * p->lda + i];
        sum += a * (p->hermitian_b ? CONJ(B[l * p->ldb + j]) : B[j * p->ldb + l]);
      }
      *c = (compute_real_t)p->alpha * sum + (p->beta == 0 ? 0 : (compute_real_t)p->beta * *c);
    }
}

#endif
