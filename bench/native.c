/* SPDX-License-Identifier: BSD-3-Clause */
/* What peers.py needs in C: the loop over gesdd, spread over threads as one would do it by hand, calls of svdgrad,
 * and the cotangents of the loss Re tr(G^H U_r f(S_r) Vh_r), which a caller of svdgrad computes.  Calls are repeated
 * `calls` times, so that what a call from Python costs is not measured.  All arrays are packed and row-major: a row-major
 * A is the column-major A^T, so gesdd gets m and n, and U and Vh, in each other's place. */
#include "gesdd_loop.h"
#include "native_cotangents.h"

#include <stdlib.h>

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
int native_svd(int calls, svdgrad_handle_t handle, const svdgrad_desc_t *desc, const svdgrad_matrix_t *A,
               const svdgrad_vector_t *S, const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh, int32_t *info,
               void *work, size_t work_bytes);
int native_fwdbwd_rank(int calls, svdgrad_handle_t handle, const svdgrad_desc_t *desc, int64_t r, int threads,
                       const void *G, const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                       const svdgrad_matrix_t *Vh, const svdgrad_vector_t *gS, const svdgrad_matrix_t *gU,
                       const svdgrad_matrix_t *gVh, const svdgrad_matrix_t *gA, int32_t *info, void *work,
                       size_t work_bytes);
int64_t native_gesdd(gesdd_t *gesdd, int calls, int dtype, int64_t m, int64_t n, int64_t batch_count, int threads,
                     const void *A, void *S, void *U, void *Vh);
void native_cotangents(int dtype, int f, int64_t m, int64_t n, int64_t k, int64_t r, int64_t batch_count, int threads,
                       const void *G, const void *S, const void *U, const void *Vh, void *gS, void *gU, void *gVh);

/* svdgrad_svd(); the status of the first call that fails. */
int native_svd(int calls, svdgrad_handle_t handle, const svdgrad_desc_t *desc, const svdgrad_matrix_t *A,
               const svdgrad_vector_t *S, const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh, int32_t *info,
               void *work, size_t work_bytes) {
  svdgrad_status_t status = SVDGRAD_STATUS_SUCCESS;
  for (int call = 0; call < calls && status == SVDGRAD_STATUS_SUCCESS; call++)
    status = svdgrad_svd(handle, NULL, desc, A, S, U, Vh, info, work, work_bytes);
  return (int)status;
}

/* Forward pass, cotangents of the loss with f(s) = s, and backward pass; `work` is enough for either. */
int native_fwdbwd_rank(int calls, svdgrad_handle_t handle, const svdgrad_desc_t *desc, int64_t r, int threads,
                       const void *G, const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                       const svdgrad_matrix_t *Vh, const svdgrad_vector_t *gS, const svdgrad_matrix_t *gU,
                       const svdgrad_matrix_t *gVh, const svdgrad_matrix_t *gA, int32_t *info, void *work,
                       size_t work_bytes) {
  const int64_t m = desc->m, n = desc->n, k = m < n ? m : n;
  for (int call = 0; call < calls; call++) {
    svdgrad_status_t status = svdgrad_svd(handle, NULL, desc, A, S, U, Vh, info, work, work_bytes);
    if (status == SVDGRAD_STATUS_SUCCESS) {
      native_cotangents((int)desc->dtype, IDENTITY, m, n, k, r, desc->batch_count, threads, G, S->data, U->data,
                        Vh->data, gS->data, gU->data, gVh->data);
      status = svdgrad_svd_backward(handle, NULL, desc, A, S, U, Vh, gS, gU, gVh, 1, 0, gA, NULL, work, work_bytes);
    }
    if (status != SVDGRAD_STATUS_SUCCESS)
      return (int)status;
  }
  return SVDGRAD_STATUS_SUCCESS;
}

/* Without U and Vh: singular values only.  gesdd NULL: of the LAPACK that this file is linked with.  Number of matrices
 * that did not converge. */
int64_t native_gesdd(gesdd_t *gesdd, int calls, int dtype, int64_t m, int64_t n, int64_t batch_count, int threads,
                     const void *A, void *S, void *U, void *Vh) {
  const int64_t k = m < n ? m : n, pieces = batch_count < threads ? batch_count : threads;
  const int real = dtype == SVDGRAD_C64 ? SVDGRAD_F32 : dtype == SVDGRAD_C128 ? SVDGRAD_F64 : dtype;
  int64_t failures = 0;
  gesdd_loop_t *loops = calloc((size_t)pieces, sizeof *loops);
  if (!loops)
    return batch_count;
  for (int64_t piece = 0; piece < pieces; piece++)
    loops[piece] = gesdd_loop_make(gesdd, (svdgrad_dtype_t)dtype, n, m, U != NULL);
  for (int call = 0; call < calls; call++) {
#pragma omp parallel for num_threads((int)pieces) reduction(+ : failures)
    for (int64_t piece = 0; piece < pieces; piece++) {
      const int64_t first = batch_count * piece / pieces, last = batch_count * (piece + 1) / pieces;
      failures += gesdd_loop_run(&loops[piece], last - first, at(A, dtype, first * m * n), at(S, real, first * k),
                                 at(Vh, dtype, first * k * n), at(U, dtype, first * m * k));
    }
  }
  for (int64_t piece = 0; piece < pieces; piece++)
    gesdd_loop_free(&loops[piece]);
  free(loops);
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
