/* SPDX-License-Identifier: BSD-3-Clause */
#include "dense.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static z_t *allocate(int64_t count) {
  z_t *at = calloc(count > 0 ? (size_t)count : 1, sizeof *at);
  if (!at) {
    fputs("test: out of memory\n", stderr);
    abort();
  }
  return at;
}

dense_t dense_zero(int64_t m, int64_t n) { return (dense_t){m, n, allocate(m * n)}; }

dense_t dense_identity(int64_t m, int64_t n) {
  dense_t A = dense_zero(m, n);
  for (int64_t i = 0; i < m && i < n; i++)
    A.at[i * m + i] = 1;
  return A;
}

dense_t dense_columns(const dense_t *A, int64_t first, int64_t count) {
  dense_t B = dense_zero(A->m, count);
  if (count > 0)
    memcpy(B.at, A->at + first * A->m, (size_t)(A->m * count) * sizeof *B.at);
  return B;
}

dense_t dense_copy(const dense_t *A) { return dense_columns(A, 0, A->n); }

void dense_free(dense_t *A) {
  free(A->at);
  A->at = NULL;
}

dense_t dense_conjugate_transpose(const dense_t *A) {
  dense_t B = dense_zero(A->n, A->m);
  for (int64_t j = 0; j < A->n; j++)
    for (int64_t i = 0; i < A->m; i++)
      B.at[i * A->n + j] = conjl(A->at[j * A->m + i]);
  return B;
}

dense_t dense_product(const dense_t *A, const dense_t *B) {
  dense_t C = dense_zero(A->m, B->n);
  for (int64_t j = 0; j < B->n; j++)
    for (int64_t k = 0; k < A->n; k++) {
      const z_t b = B->at[j * B->m + k];
      for (int64_t i = 0; i < A->m; i++)
        C.at[j * A->m + i] += A->at[k * A->m + i] * b;
    }
  return C;
}

dense_t dense_product_h(const dense_t *A, const dense_t *B) {
  dense_t Bh = dense_conjugate_transpose(B), C = dense_product(A, &Bh);
  dense_free(&Bh);
  return C;
}

dense_t dense_h_product(const dense_t *A, const dense_t *B) {
  dense_t Ah = dense_conjugate_transpose(A), C = dense_product(&Ah, B);
  dense_free(&Ah);
  return C;
}

dense_t dense_sum(z_t alpha, const dense_t *A, z_t beta, const dense_t *B) {
  dense_t C = dense_zero(A->m, A->n);
  for (int64_t i = 0; i < A->m * A->n; i++)
    C.at[i] = alpha * A->at[i] + beta * B->at[i];
  return C;
}

void dense_scale_columns(dense_t *A, const long double *s) {
  for (int64_t j = 0; j < A->n; j++)
    for (int64_t i = 0; i < A->m; i++)
      A->at[j * A->m + i] *= s[j];
}

long double dense_norm1(const dense_t *A) {
  long double largest = 0;
  for (int64_t j = 0; j < A->n; j++) {
    long double sum = 0;
    for (int64_t i = 0; i < A->m; i++)
      sum += cabsl(A->at[j * A->m + i]);
    largest = sum <= largest ? largest : sum; /* a NaN stays */
  }
  return largest;
}

long double dense_norm(const dense_t *A) { return sqrtl(dense_inner(A, A)); }

long double dense_inner(const dense_t *A, const dense_t *B) {
  long double sum = 0;
  for (int64_t i = 0; i < A->m * A->n; i++)
    sum += creall(A->at[i]) * creall(B->at[i]) + cimagl(A->at[i]) * cimagl(B->at[i]);
  return sum;
}
