/* SPDX-License-Identifier: BSD-3-Clause */
/* cuSOLVER, opened when the vendor algorithm is first asked for: a table of its entry points, and a pool of its handles
 * so that one svdgrad handle serves many threads and streams. */
#ifndef SVDGRAD_CUSOLVER_H
#define SVDGRAD_CUSOLVER_H
#include "cuda_device.h"

typedef struct cusolver_pool cusolver_pool_t;

/* NULL with a message if the library cannot be opened. */
cusolver_pool_t *cusolver_pool_create(void);
void cusolver_pool_destroy(cusolver_pool_t *pool);

/* One matrix after the other, or a batch: column-major, packed, rows >= columns. */
typedef enum cusolver_routine { CUSOLVER_GESVDJ_BATCHED, CUSOLVER_GESVDJ, CUSOLVER_GESVD } cusolver_routine_t;

typedef struct cusolver_call {
  cusolver_routine_t routine;
  svdgrad_dtype_t dtype;
  int rows, columns, batch_count; /* batch_count 1 but for the batched routine, where rows == columns */
  int max_sweeps;                 /* 0: the library's default */
  void *A;                        /* rows-by-columns, destroyed */
  void *S;                        /* columns, descending */
  void *X;                        /* rows-by-columns, left vectors */
  void *Y;                        /* columns-by-columns, right vectors; gesvd: their conjugate transpose */
  void *work;
  int lwork;     /* elements */
  int32_t *info; /* per matrix: 0, or not converged */
} cusolver_call_t;

/* Makes sure that a handle is there for a stream that has none yet, so that a call on it allocates nothing, which may be
 * captured.  0 if cuSOLVER gives none. */
int cusolver_reserve(cusolver_pool_t *pool);

/* Elements of workspace for the sizes in `call`; -1 on failure. */
int cusolver_lwork(cusolver_pool_t *pool, const cusolver_call_t *call);

/* Enqueues the routine; BACKEND_ERROR with a message where the library refuses. */
svdgrad_status_t cusolver_run(cusolver_pool_t *pool, const cusolver_call_t *call, cudaStream_t stream);

#endif
