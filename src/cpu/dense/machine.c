/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of programs in the type of the operands.  Products of one large matrix use the BLAS; groups of small
 * matrices are multiplied in lanes. */
#include "functions/host_product.h"
#include "lapack.h"

/* Up to so many multiplications a BLAS call costs more than plain loops (measured: about 12^3, OpenBLAS 0.3.21). */
enum { SMALL_PRODUCT = 2000 };

static void multiply_by_blas(const group_product_t *p) {
  const int m = (int)p->m, n = (int)p->n, k = (int)p->k;
  const int lda = (int)p->lda, ldb = (int)p->ldb, ldc = (int)p->ldc;
  const T alpha = (R)p->alpha, beta = (R)p->beta;
  LAPACK(gemm)
  (p->hermitian_a ? CONJUGATE : "N", p->hermitian_b ? CONJUGATE : "N", &m, &n, &k, &alpha, p->A, &lda, p->B, &ldb,
   &beta, p->c, &ldc, 1, 1);
}

static void multiply_one(const group_product_t *p) {
  if ((double)p->m * (double)p->n * (double)p->k > SMALL_PRODUCT)
    multiply_by_blas(p);
  else
    multiply_plainly(p);
}

#define MULTIPLY   multiply_one
#define HOST_TABLE TYPED(cpu_machine)
#include "functions/host_table.h"
