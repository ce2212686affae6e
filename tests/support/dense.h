/* SPDX-License-Identifier: BSD-3-Clause */
/* Dense column-major matrices in long double complex, in which the tests compute their expected results. */
#ifndef TEST_DENSE_H
#define TEST_DENSE_H
#include <complex.h>
#include <stdint.h>

typedef long double _Complex z_t;

typedef struct dense {
  int64_t m, n;
  z_t *at; /* element (i, j) is at[j * m + i]; owned */
} dense_t;

dense_t dense_zero(int64_t m, int64_t n);
dense_t dense_identity(int64_t m, int64_t n);
dense_t dense_copy(const dense_t *A);
dense_t dense_columns(const dense_t *A, int64_t first, int64_t count);
void dense_free(dense_t *A);

/* All return a new matrix; `h` stands for the conjugate transpose of an operand. */
dense_t dense_product(const dense_t *A, const dense_t *B);   /* A B */
dense_t dense_product_h(const dense_t *A, const dense_t *B); /* A B^H */
dense_t dense_h_product(const dense_t *A, const dense_t *B); /* A^H B */
dense_t dense_conjugate_transpose(const dense_t *A);
dense_t dense_hermitian_part(const dense_t *A);                             /* (A + A^H) / 2 */
dense_t dense_sum(z_t alpha, const dense_t *A, z_t beta, const dense_t *B); /* alpha A + beta B */

void dense_scale_columns(dense_t *A, const long double *s); /* A <- A diag(s) */
long double dense_norm1(const dense_t *A); /* largest column sum, as LAPACK's tests use; NaN if A has one */
long double dense_norm(const dense_t *A);  /* Frobenius; NaN if A has one */
long double dense_distance(const dense_t *A, const dense_t *B); /* |A - B|, Frobenius */
long double dense_inner(const dense_t *A, const dense_t *B);    /* Re tr(A^H B) */

#endif
