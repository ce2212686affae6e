/* SPDX-License-Identifier: BSD-3-Clause */
/* The cotangents of native_cotangents.h.  A typed file (src/base/type.h). */
#include "native_cotangents.h"

#include "base/type.h"

#include <stddef.h>

void LAPACK(gemm)(const char *transA, const char *transB, const int *m, const int *n, const int *k, const T *alpha,
                  const T *A, const int *lda, const T *B, const int *ldb, const T *beta, T *C, const int *ldc,
                  size_t length_of_transA, size_t length_of_transB);

/* Elements first..first+width-1 of x B; width is a constant, so that the sums stay in registers. */
static inline void some_columns(int width, int first, int depth, int stride, const T *x, const T *B, T *y) {
  T sum[4] = {0};
  for (int l = 0; l < depth; l++) {
#pragma omp simd
    for (int j = 0; j < width; j++)
      sum[j] += x[l] * B[l * stride + first + j];
  }
  for (int j = 0; j < width; j++)
    y[first + j] = sum[j];
}

/* y = x B: depth elements of x, rows of B `stride` apart. */
static void row_times(int depth, int columns, int stride, const T *x, const T *B, T *y) {
  int j = 0;
  for (; j + 4 <= columns; j += 4)
    some_columns(4, j, depth, stride, x, B, y);
  for (; j < columns; j++)
    some_columns(1, j, depth, stride, x, B, y);
}

enum { SMALL = 4096 };

/* gU = G V and gVh = U^H G.  A call of gemm costs more than the product of small matrices. */
static void products(int m, int n, int k, int r, const T *G, const T *U, const T *Vh, T *gU, T *gVh) {
  const char *const adjoint = IS_COMPLEX ? "C" : "T";
  const T one = 1, zero = 0;
  T V[SMALL];
  if ((int64_t)m * n * r > SMALL) {
    LAPACK(gemm)(adjoint, "N", &r, &m, &n, &one, Vh, &n, G, &n, &zero, gU, &k, 1, 1);
    LAPACK(gemm)("N", adjoint, &n, &r, &m, &one, G, &n, U, &k, &zero, gVh, &n, 1, 1);
    return;
  }
  for (int l = 0; l < n; l++)
    for (int j = 0; j < r; j++)
      V[l * r + j] = CONJ(Vh[j * n + l]);
  for (int i = 0; i < m; i++)
    row_times(n, r, r, G + i * n, V, gU + i * k);
  for (int j = 0; j < r; j++) {
    T u[SMALL];
    for (int i = 0; i < m; i++)
      u[i] = CONJ(U[i * k + j]);
    row_times(m, n, n, u, G, gVh + j * n);
  }
}

static R value_of(function_t f, R s) { return f == INVERSE ? 1 / s : f == POLAR ? 1 : s; }

static R slope_of(function_t f, R s) { return f == INVERSE ? -1 / (s * s) : f == POLAR ? 0 : 1; }

static void scale(function_t f, int m, int n, int k, int r, const R *S, const T *U, R *gS, T *gU, T *gVh) {
  for (int j = 0; j < r; j++) {
    const R value = value_of(f, S[j]);
    R sum = 0;
    for (int i = 0; i < m; i++) {
      sum += (R)RE(CONJ(U[i * k + j]) * gU[i * k + j]);
      gU[i * k + j] *= value;
    }
    gS[j] = sum * slope_of(f, S[j]);
    for (int l = 0; l < n; l++)
      gVh[j * n + l] *= value;
  }
}

void TYPED(cotangents)(function_t f, const int size[4], int64_t first, int64_t last, const void *G, const void *S,
                       const void *U, const void *Vh, void *gS, void *gU, void *gVh) {
  const int m = size[0], n = size[1], k = size[2], r = size[3];
  for (int64_t b = first; b < last; b++) {
    const T *Ub = (const T *)U + b * m * k;
    T *gUb = (T *)gU + b * m * k, *gVhb = (T *)gVh + b * k * n;
    products(m, n, k, r, (const T *)G + b * m * n, Ub, (const T *)Vh + b * k * n, gUb, gVhb);
    scale(f, m, n, k, r, (const R *)S + b * k, Ub, (R *)gS + b * k, gUb, gVhb);
  }
}
