/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of column-major matrices: plain loops for small ones, cheaper than a BLAS call; the BLAS for others. */
#ifndef SVDGRAD_DENSE_PRODUCTS_H
#define SVDGRAD_DENSE_PRODUCTS_H
#include "lapack.h"

#include <stdint.h>

/* Up to so many multiplications a BLAS call costs more than plain loops (measured: about 12^3, OpenBLAS 0.3.21). */
enum { SMALL_PRODUCT = 2000 };

static int is_small_product(int64_t m, int64_t n, int64_t k) {
  return (double)m * (double)n * (double)k <= SMALL_PRODUCT;
}

/* C = alpha A B + beta C; A m-by-k, B k-by-n. */
static void multiply(int64_t m, int64_t n, int64_t k, R alpha, const T *A, const T *B, R beta, T *C) {
  if (!is_small_product(m, n, k)) {
    const int mi = (int)m, ni = (int)n, ki = (int)k;
    const T a = alpha, b = beta;
    LAPACK(gemm)("N", "N", &mi, &ni, &ki, &a, A, &mi, B, &ki, &b, C, &mi, 1, 1);
    return;
  }
  for (int64_t j = 0; j < n; j++) {
    T *c = C + j * m;
    for (int64_t i = 0; i < m; i++)
      c[i] = beta == 0 ? 0 : beta * c[i];
    for (int64_t l = 0; l < k; l++) {
      const T b = alpha * B[j * k + l];
      for (int64_t i = 0; i < m; i++)
        c[i] += A[l * m + i] * b;
    }
  }
}

/* C = A^H B; A k-by-m, B k-by-n. */
static void multiply_hermitian(int64_t m, int64_t n, int64_t k, const T *A, const T *B, T *C) {
  if (!is_small_product(m, n, k)) {
    const int mi = (int)m, ni = (int)n, ki = (int)k;
    const T one = 1, zero = 0;
    LAPACK(gemm)(CONJUGATE, "N", &mi, &ni, &ki, &one, A, &ki, B, &ki, &zero, C, &mi, 1, 1);
    return;
  }
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < m; i++) {
      T sum = 0;
      for (int64_t l = 0; l < k; l++)
        sum += CONJ(A[i * k + l]) * B[j * k + l];
      C[j * m + i] = sum;
    }
}

/* C = A B^H + beta C; A m-by-k, B n-by-k. */
static void multiply_by_hermitian(int64_t m, int64_t n, int64_t k, const T *A, const T *B, R beta, T *C) {
  if (!is_small_product(m, n, k)) {
    const int mi = (int)m, ni = (int)n, ki = (int)k;
    const T one = 1, b = beta;
    LAPACK(gemm)("N", CONJUGATE, &mi, &ni, &ki, &one, A, &mi, B, &ni, &b, C, &mi, 1, 1);
    return;
  }
  for (int64_t j = 0; j < n; j++) {
    T *c = C + j * m;
    for (int64_t i = 0; i < m; i++)
      c[i] = beta == 0 ? 0 : beta * c[i];
    for (int64_t l = 0; l < k; l++) {
      const T b = CONJ(B[l * n + j]);
      for (int64_t i = 0; i < m; i++)
        c[i] += A[l * m + i] * b;
    }
  }
}

#endif
