/* SPDX-License-Identifier: BSD-3-Clause */
/* What peers.py needs in C: the loop over gesdd, spread over threads as one would do it by hand, and the cotangents of
 * the loss Re tr(G^H U_r f(S_r) Vh_r), which a caller of svdgrad computes.  All arrays are packed and row-major: a
 * row-major A is the column-major A^T, so gesdd gets m and n, and U and Vh, in each other's place. */
#include "gesdd_loop.h"
#include "native_cotangents.h"

static const size_t element[4] = {
    [SVDGRAD_F32] = sizeof(float),
    [SVDGRAD_F64] = sizeof(double),
    [SVDGRAD_C64] = sizeof(float _Complex),
    [SVDGRAD_C128] = sizeof(double _Complex),
};

static void *at(const void *base, int dtype, int64_t index) {
  return base ? (char *)(uintptr_t)base + (size_t)index * element[dtype] : NULL;
}

/* Called through ctypes; the declarations are for the compiler. */
int64_t native_gesdd(int dtype, int64_t m, int64_t n, int64_t batch_count, int threads, const void *A, void *S, void *U,
                     void *Vh);
void native_cotangents(int dtype, int f, int64_t m, int64_t n, int64_t k, int64_t r, int64_t batch_count, int threads,
                       const void *G, const void *S, const void *U, const void *Vh, void *gS, void *gU, void *gVh);

/* Without U and Vh: singular values only.  Number of matrices that did not converge. */
int64_t native_gesdd(int dtype, int64_t m, int64_t n, int64_t batch_count, int threads, const void *A, void *S, void *U,
                     void *Vh) {
  const int64_t k = m < n ? m : n, pieces = batch_count < threads ? batch_count : threads;
  const int real = dtype == SVDGRAD_C64 ? SVDGRAD_F32 : dtype == SVDGRAD_C128 ? SVDGRAD_F64 : dtype;
  int64_t failures = 0;
#pragma omp parallel for num_threads((int)pieces) reduction(+ : failures)
  for (int64_t piece = 0; piece < pieces; piece++) {
    const int64_t first = batch_count * piece / pieces, last = batch_count * (piece + 1) / pieces;
    gesdd_loop_t loop = gesdd_loop_make((svdgrad_dtype_t)dtype, n, m, U != NULL);
    failures += gesdd_loop_run(&loop, last - first, at(A, dtype, first * m * n), at(S, real, first * k),
                               at(Vh, dtype, first * k * n), at(U, dtype, first * m * k));
    gesdd_loop_free(&loop);
  }
  return failures;
}

/* U is m-by-k and Vh k-by-n; the first r columns of gU, rows of gVh and elements of gS are written. */
void native_cotangents(int dtype, int f, int64_t m, int64_t n, int64_t k, int64_t r, int64_t batch_count, int threads,
                       const void *G, const void *S, const void *U, const void *Vh, void *gS, void *gU, void *gVh) {
  static cotangents_t *const kernels[4] = {cotangents_f32, cotangents_f64, cotangents_c64, cotangents_c128};
  const int64_t pieces = batch_count < threads ? batch_count : threads;
  const int size[4] = {(int)m, (int)n, (int)k, (int)r};
#pragma omp parallel for num_threads((int)pieces)
  for (int64_t piece = 0; piece < pieces; piece++)
    kernels[dtype]((function_t)f, size, batch_count * piece / pieces, batch_count * (piece + 1) / pieces, G, S, U, Vh,
                   gS, gU, gVh);
}
