/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_forward.h"

#include "cuda_layout.h"

enum { JACOBI_DEFAULT_SWEEPS = 40 };

/* Packed arrays of the whole batch (launch.h).  Tall is A, or A^H where m < n. */
typedef struct forward {
  const cuda_kernels_t *kernels;
  cuda_algorithm_t algorithm;
  int64_t rows, columns, wanted; /* columns of X: all rows with full_matrices */
  int by_qr;                     /* the SVD is that of the square factor R */
  void *tall, *tau;              /* the matrix, later its reflectors */
  void *R;                       /* by_qr: columns-by-columns */
  void *small_X;                 /* by_qr: left vectors of R */
  void *X, *Y, *S, *norms, *rotations;
  void *reflectors, *completion_tau; /* of complete; they begin where the SVD has done with its arrays */
  int32_t *exponent, *state, *failed;
  void *vendor_work;
  int vendor_lwork; /* elements for one matrix */
} forward_t;

static cusolver_routine_t routine_of(cuda_algorithm_t algorithm) {
  return algorithm == CUDA_GESVDJ_BATCHED ? CUSOLVER_GESVDJ_BATCHED
         : algorithm == CUDA_GESVDJ       ? CUSOLVER_GESVDJ
                                          : CUSOLVER_GESVD;
}

/* A QR costs 2 rows columns^2 and saves the rest of the work from touching more than columns rows; gesvdjBatched would
 * even compute a rows-by-rows U. */
static int goes_by_qr(cuda_algorithm_t algorithm, int64_t rows, int64_t columns) {
  return algorithm == CUDA_GESVDJ_BATCHED ? rows > columns : rows >= 2 * columns;
}

static cusolver_call_t vendor_call(const forward_t *w, svdgrad_dtype_t dtype, int batch_count) {
  return (cusolver_call_t){.routine = routine_of(w->algorithm),
                           .dtype = dtype,
                           .rows = (int)(w->by_qr ? w->columns : w->rows),
                           .columns = (int)w->columns,
                           .batch_count = batch_count};
}

/* 0 if cuSOLVER could not be asked for its workspace. */
static int forward_take(forward_t *w, cuda_layout_t *layout, cuda_algorithm_t algorithm, const problem_t *p,
                        cusolver_pool_t *pool) {
  const cuda_kernels_t *kernels = cuda_kernels_of(p->dtype);
  const size_t T = kernels->element_size, R = kernels->real_size;
  const int64_t rows = p->m < p->n ? p->n : p->m, columns = p->mn;
  *w = (forward_t){.kernels = kernels, .algorithm = algorithm, .rows = rows, .columns = columns};
  w->wanted = p->full_matrices ? rows : columns;
  w->by_qr = goes_by_qr(algorithm, rows, columns);
  w->tall = layout_take(layout, rows * columns, T);
  w->X = layout_take(layout, rows * w->wanted, T);
  w->Y = layout_take(layout, columns * columns, T);
  w->S = layout_take(layout, columns, R);
  w->reflectors = layout_take(layout, rows * columns, T);
  w->completion_tau = layout_take(layout, columns, T);
  if (w->by_qr) {
    w->tau = layout_take(layout, columns, T);
    w->R = layout_take(layout, columns * columns, T);
    w->small_X = layout_take(layout, columns * columns, T);
  }
  w->exponent = layout_take(layout, 1, sizeof(int32_t));
  w->state = layout_take(layout, 1, sizeof(int32_t));
  w->failed = layout_take(layout, 1, sizeof(int32_t));
  if (algorithm == CUDA_JACOBI_BLOCK) {
    w->norms = layout_take(layout, columns, R);
    w->rotations = layout_take(layout, columns * columns, T);
    return 1;
  }
  const cusolver_call_t query = vendor_call(w, p->dtype, 1);
  w->vendor_lwork = cusolver_lwork(pool, &query);
  w->vendor_work = layout_take(layout, w->vendor_lwork, T);
  return w->vendor_lwork >= 0;
}

size_t cuda_forward_workspace(cuda_algorithm_t algorithm, const problem_t *p, cusolver_pool_t *pool) {
  forward_t w;
  cuda_layout_t layout = {NULL, p->batch_count, 0, 0, 0};
  return forward_take(&w, &layout, algorithm, p, pool) ? layout_bytes(&layout) : SIZE_MAX;
}

static cudaError_t prepare(const forward_t *w, const svd_call_t *call, cudaStream_t stream) {
  const prepare_args_t args = {.A = call->A,
                               .batch_count = call->p.batch_count,
                               .rows = w->rows,
                               .columns = w->columns,
                               .transposed = call->p.m < call->p.n,
                               .scaled_exponent = w->algorithm == CUDA_JACOBI_BLOCK ? w->kernels->scaled_exponent : 0,
                               .tall = w->tall,
                               .exponent = w->exponent,
                               .state = w->state};
  return w->kernels->prepare(&args, stream);
}

static cudaError_t factor_tall(const forward_t *w, int64_t batch_count, cudaStream_t stream) {
  const qr_args_t args = {batch_count, w->rows, w->columns, w->tall, w->tau, w->R};
  return w->kernels->qr(&args, stream);
}

static cudaError_t apply_q(const forward_t *w, int64_t batch_count, cudaStream_t stream) {
  const apply_q_args_t args = {batch_count, w->rows,    w->columns, w->tall,
                               w->tau,      w->small_X, w->X,       w->rows * w->wanted};
  return w->kernels->apply_q(&args, stream);
}

static cudaError_t jacobi(const forward_t *w, const problem_t *p, cudaStream_t stream) {
  const jacobi_args_t args = {.batch_count = p->batch_count,
                              .rows = w->by_qr ? w->columns : w->rows,
                              .columns = w->columns,
                              .A = w->by_qr ? w->R : w->tall,
                              .rotations = w->rotations,
                              .norms = w->norms,
                              .S = w->S,
                              .X = w->by_qr ? w->small_X : w->X,
                              .Y = w->Y,
                              .x_stride = w->by_qr ? w->columns * w->columns : w->rows * w->wanted,
                              .failed = w->failed,
                              .max_sweeps = p->max_sweeps ? p->max_sweeps : JACOBI_DEFAULT_SWEEPS};
  return w->kernels->jacobi(&args, stream);
}

/* Most matrices of a batch whose workspace fits into that of `batch_count` single ones. */
static int vendor_chunk(const forward_t *w, const problem_t *p, cusolver_pool_t *pool) {
  if (w->algorithm != CUDA_GESVDJ_BATCHED)
    return 1;
  int chunk = p->batch_count < (1 << 20) ? (int)p->batch_count : 1 << 20;
  for (; chunk > 1; chunk = (chunk + 1) / 2) {
    const cusolver_call_t query = vendor_call(w, p->dtype, chunk);
    const int lwork = cusolver_lwork(pool, &query);
    if (lwork >= 0 && lwork <= (int64_t)chunk * w->vendor_lwork)
      break;
  }
  return chunk;
}

static svdgrad_status_t vendor(const forward_t *w, const problem_t *p, cusolver_pool_t *pool, cudaStream_t stream) {
  const int64_t columns = w->columns, rows = w->by_qr ? columns : w->rows;
  const int64_t x_stride = w->by_qr ? columns * columns : w->rows * w->wanted;
  const size_t T = w->kernels->element_size, R = w->kernels->real_size;
  const int chunk = vendor_chunk(w, p, pool);
  for (int64_t b = 0; b < p->batch_count; b += chunk) {
    const int64_t left = p->batch_count - b;
    cusolver_call_t call = vendor_call(w, p->dtype, left < chunk ? (int)left : chunk);
    call.max_sweeps = p->max_sweeps;
    call.A = (char *)(w->by_qr ? w->R : w->tall) + (size_t)(b * rows * columns) * T;
    call.S = (char *)w->S + (size_t)(b * columns) * R;
    call.X = (char *)(w->by_qr ? w->small_X : w->X) + (size_t)(b * x_stride) * T;
    call.Y = (char *)w->Y + (size_t)(b * columns * columns) * T;
    call.work = w->vendor_work;
    call.lwork = cusolver_lwork(pool, &call);
    call.info = w->failed + b;
    const svdgrad_status_t status = call.lwork < 0 ? SVDGRAD_STATUS_BACKEND_ERROR : cusolver_run(pool, &call, stream);
    if (status)
      return status;
  }
  return SVDGRAD_STATUS_SUCCESS;
}

static cudaError_t complete(const forward_t *w, int64_t batch_count, cudaStream_t stream) {
  const complete_args_t args = {.batch_count = batch_count,
                                .rows = w->rows,
                                .columns = w->columns,
                                .wanted = w->wanted,
                                .X = w->X,
                                .S = w->S,
                                .reflectors = w->reflectors,
                                .tau = w->completion_tau,
                                .trust_null = w->algorithm == CUDA_JACOBI_BLOCK};
  return w->kernels->complete(&args, stream);
}

static cudaError_t store(const forward_t *w, const svd_call_t *call, cudaStream_t stream) {
  const problem_t *p = &call->p;
  const store_args_t args = {.batch_count = p->batch_count,
                             .rows = w->rows,
                             .columns = w->columns,
                             .wanted = w->wanted,
                             .k = p->k,
                             .u_cols = p->u_cols,
                             .vh_rows = p->vh_rows,
                             .m = p->m,
                             .n = p->n,
                             .transposed = p->m < p->n,
                             .positive_gauge = p->positive_gauge,
                             .X = w->X,
                             .Y = w->Y,
                             .S = w->S,
                             .x_stride = w->rows * w->wanted,
                             .y_stride = w->columns * w->columns,
                             .conjugate_y = w->algorithm == CUDA_GESVD,
                             .exponent = w->exponent,
                             .state = w->state,
                             .failed = w->failed,
                             .U = call->U,
                             .Vh = call->Vh,
                             .S_out = call->S,
                             .info = call->info};
  return w->kernels->store(&args, stream);
}

svdgrad_status_t cuda_forward(cuda_algorithm_t algorithm, const svd_call_t *call, cusolver_pool_t *pool) {
  static const char function[] = "svdgrad_svd";
  const problem_t *p = &call->p;
  const cudaStream_t stream = call->stream;
  const int vectors = call->U.data || call->Vh.data;
  forward_t w;
  cuda_layout_t layout = {call->work, p->batch_count, 0, 0, 0};
  if (!forward_take(&w, &layout, algorithm, p, pool))
    return SVDGRAD_STATUS_BACKEND_ERROR;
  cudaError_t error = prepare(&w, call, stream);
  if (!error && w.by_qr)
    error = factor_tall(&w, p->batch_count, stream);
  if (!error && algorithm == CUDA_JACOBI_BLOCK)
    error = jacobi(&w, p, stream);
  if (error)
    return cuda_status(function, error);
  if (algorithm != CUDA_JACOBI_BLOCK) {
    const svdgrad_status_t status = vendor(&w, p, pool, stream);
    if (status)
      return status;
  }
  if (w.by_qr && vectors)
    error = apply_q(&w, p->batch_count, stream);
  if (!error && vectors)
    error = complete(&w, p->batch_count, stream);
  if (!error)
    error = store(&w, call, stream);
  return cuda_status(function, error);
}
