/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD A = X S Y^H of packed tall matrices by cuSOLVER; where that would compute a rows-by-rows U, or touch all rows
 * again and again, by our QR first. */
#ifndef SVDGRAD_CUDA_VENDOR_SVD_H
#define SVDGRAD_CUDA_VENDOR_SVD_H
#include "base/batch_layout.h"
#include "cusolver.h"

typedef struct vendor_svd {
  const cuda_kernels_t *kernels;
  cusolver_pool_t *pool;
  cusolver_routine_t routine;
  svdgrad_dtype_t dtype;
  int64_t rows, columns, wanted; /* columns of X: all rows with full_matrices */
  int vectors;
  void *A;         /* the caller's of this: rows-by-columns, destroyed */
  void *S;         /* columns, descending */
  void *X, *Y;     /* rows-by-wanted, columns-by-columns; gesvd: Y^H */
  int32_t *failed; /* per matrix: non-zero if it did not converge */
  int by_qr;       /* the SVD is that of the square factor R */
  void *tau, *R, *small, *reflectors, *completion_tau;
  void *work;
  int lwork; /* elements for one matrix */
} vendor_svd_t;

/* Takes everything but A from the layout; kernels to vectors are set.  0 if cuSOLVER could not be asked. */
int vendor_svd_take(vendor_svd_t *w, batch_layout_t *layout);

svdgrad_status_t vendor_svd_run(const vendor_svd_t *w, int64_t batch_count, int max_sweeps, cudaStream_t stream);

#endif
