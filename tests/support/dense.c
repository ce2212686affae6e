/* SPDX-License-Identifier: BSD-3-Clause */
#include "dense.h"

#ifdef __linux__
#include <malloc.h>
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Matrices come and go by the thousand: their memory stays in the process instead of going back to the system each time. */
__attribute__((constructor)) static void keep_memory(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
#endif
}

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

/* The real and imaginary parts of a matrix, or of its transpose, apart: x87 is slow enough that products of matrices
 * without an imaginary part are worth a path of their own. */
typedef struct parts {
  int64_t length;      /* of a column */
  long double *at[2];  /* columns of re, of im */
  long double sign[2]; /* 1, or -1 where the conjugate is taken */
  int zero[2];         /* all elements are */
} parts_t;

static parts_t parts_make(const dense_t *A, int transpose, int conjugate) {
  parts_t x = {transpose ? A->n : A->m, {NULL, NULL}, {1, conjugate ? -1 : 1}, {1, 1}};
  for (int part = 0; part < 2; part++) {
    x.at[part] = (long double *)allocate(A->m * A->n); /* twice what is needed */
    for (int64_t j = 0; j < A->n; j++)
      for (int64_t i = 0; i < A->m; i++) {
        const long double value = part ? cimagl(A->at[j * A->m + i]) : creall(A->at[j * A->m + i]);
        x.at[part][transpose ? i * A->n + j : j * A->m + i] = value;
        x.zero[part] &= value == 0;
      }
  }
  return x;
}

static void parts_free(parts_t *x) {
  free(x->at[0]);
  free(x->at[1]);
}

/* The dot products of columns x, x + length with y, y + length: four at once read each element half as often. */
static void four_dots(int64_t length, const long double *x, const long double *y, long double dots[4]) {
  long double a = 0, b = 0, c = 0, d = 0;
  for (int64_t l = 0; l < length; l++) {
    a += x[l] * y[l];
    b += x[length + l] * y[l];
    c += x[l] * y[length + l];
    d += x[length + l] * y[length + l];
  }
  dots[0] = a, dots[1] = b, dots[2] = c, dots[3] = d;
}

static long double one_dot(int64_t length, const long double *x, const long double *y) {
  long double sum = 0;
  for (int64_t l = 0; l < length; l++)
    sum += x[l] * y[l];
  return sum;
}

/* C += scale X^T Y, X and Y real. */
static void add_dots(int64_t length, const long double *X, const long double *Y, z_t scale, dense_t *C) {
  for (int64_t j = 0; j < C->n; j += 2)
    for (int64_t i = 0; i < C->m; i += 2) {
      const long double *x = X + i * length, *y = Y + j * length;
      const int wide = i + 1 < C->m, high = j + 1 < C->n;
      long double dots[4] = {0};
      if (wide && high) {
        four_dots(length, x, y, dots);
      } else {
        dots[0] = one_dot(length, x, y);
        if (wide)
          dots[1] = one_dot(length, x + length, y);
        if (high)
          dots[2] = one_dot(length, x, y + length);
      }
      for (int e = 0; e < 4; e++)
        if ((wide || !(e & 1)) && (high || !(e & 2)))
          C->at[(j + e / 2) * C->m + i + e % 2] += scale * dots[e];
    }
}

/* C = X^T Y, and frees X and Y. */
static dense_t product_of_parts(int64_t m, int64_t n, parts_t X, parts_t Y) {
  dense_t C = dense_zero(m, n);
  for (int p = 0; p < 2; p++)
    for (int q = 0; q < 2; q++)
      if (!X.zero[p] && !Y.zero[q]) {
        const long double sign = X.sign[p] * Y.sign[q] * (p && q ? -1 : 1);
        add_dots(X.length, X.at[p], Y.at[q], p == q ? sign : sign * (z_t)_Complex_I, &C);
      }
  parts_free(&X);
  parts_free(&Y);
  return C;
}

dense_t dense_product(const dense_t *A, const dense_t *B) {
  return product_of_parts(A->m, B->n, parts_make(A, 1, 0), parts_make(B, 0, 0));
}

dense_t dense_product_h(const dense_t *A, const dense_t *B) {
  return product_of_parts(A->m, B->m, parts_make(A, 1, 0), parts_make(B, 1, 1));
}

dense_t dense_h_product(const dense_t *A, const dense_t *B) {
  return product_of_parts(A->n, B->n, parts_make(A, 0, 1), parts_make(B, 0, 0));
}

dense_t dense_sum(z_t alpha, const dense_t *A, z_t beta, const dense_t *B) {
  dense_t C = dense_zero(A->m, A->n);
  for (int64_t i = 0; i < A->m * A->n; i++)
    C.at[i] = alpha * A->at[i] + beta * B->at[i];
  return C;
}

dense_t dense_hermitian_part(const dense_t *A) {
  dense_t Ah = dense_conjugate_transpose(A), H = dense_sum(0.5L, A, 0.5L, &Ah);
  dense_free(&Ah);
  return H;
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

long double dense_distance(const dense_t *A, const dense_t *B) {
  dense_t difference = dense_sum(1, A, -1, B);
  const long double norm = dense_norm(&difference);
  dense_free(&difference);
  return norm;
}

long double dense_inner(const dense_t *A, const dense_t *B) {
  long double sum = 0;
  for (int64_t i = 0; i < A->m * A->n; i++)
    sum += creall(A->at[i]) * creall(B->at[i]) + cimagl(A->at[i]) * cimagl(B->at[i]);
  return sum;
}
