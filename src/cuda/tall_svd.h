/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD A = X S Y^H of packed tall matrices by one-sided Jacobi on their triangular factors (Z. Drmac and K. Veselic,
 * SIAM J. Matrix Anal. Appl. 29, 2008): A P = Q R, columns by descending norm; Jacobi on R^H, which converges in fewer
 * sweeps than on A and hardly depends on the condition number; X = Q W.  The launches are the same whatever the data. */
#ifndef SVDGRAD_CUDA_TALL_SVD_H
#define SVDGRAD_CUDA_TALL_SVD_H
#include "cuda_choice.h"
#include "jacobi_blocked.h"

typedef struct tall_svd {
  const cuda_kernels_t *kernels;
  cuda_algorithm_t solver;       /* of the triangular factor: CUDA_JACOBI_WARP, _PANELS or _BLOCKED */
  int64_t rows, columns, wanted; /* columns of X: all rows with full_matrices */
  int vectors;
  void *A;         /* the caller's of this: rows-by-columns, entries such that squares are safe; out: reflectors */
  void *S;         /* columns, descending */
  void *X, *Y;     /* rows-by-wanted, columns-by-columns, always orthonormal */
  int32_t *failed; /* per matrix: non-zero if the sweep limit was reached */
  void *tau, *L, *W, *small, *norms;
  int32_t *order;
  jacobi_blocked_t blocked;
} tall_svd_t;

/* Takes everything but A from the layout; kernels, solver, rows, columns, wanted and vectors are set. */
void tall_svd_take(tall_svd_t *w, batch_layout_t *layout);

cudaError_t tall_svd_run(const tall_svd_t *w, int64_t batch_count, int max_sweeps, cudaStream_t stream);

#endif
