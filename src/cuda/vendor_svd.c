/* SPDX-License-Identifier: BSD-3-Clause */
#include "vendor_svd.h"

#include "cuda_device.h"

static int64_t solved_rows(const vendor_svd_t *w) { return w->by_qr ? w->columns : w->rows; }

static cusolver_call_t call_of(const vendor_svd_t *w, int batch_count) {
  return (cusolver_call_t){.routine = w->routine,
                           .dtype = w->dtype,
                           .rows = (int)solved_rows(w),
                           .columns = (int)w->columns,
                           .batch_count = batch_count};
}

int vendor_svd_take(vendor_svd_t *w, batch_layout_t *layout) {
  const size_t T = w->kernels->element_size, R = w->kernels->real_size;
  const int64_t rows = w->rows, n = w->columns;
  w->by_qr = w->routine == CUSOLVER_GESVDJ_BATCHED ? rows > n : rows >= 2 * n;
  w->S = layout_take(layout, n, R);
  w->X = layout_take(layout, rows * w->wanted, T);
  w->Y = layout_take(layout, n * n, T);
  w->failed = layout_take(layout, 1, sizeof(int32_t));
  w->completion_tau = layout_take(layout, n, T);
  if (w->by_qr) {
    w->tau = layout_take(layout, n, T);
    w->R = layout_take(layout, n * n, T);
    w->small = layout_take(layout, n * n, T);
  }
  const cusolver_call_t query = call_of(w, 1);
  w->lwork = cusolver_lwork(w->pool, &query);
  /* The workspace is linear in the batch, though most routines take one matrix at a time.  What cuSOLVER works in serves
   * the completion afterwards. */
  w->work = layout_take(layout, w->lwork > rows * n ? w->lwork : rows * n, T);
  w->reflectors = w->work;
  return w->lwork >= 0;
}

static cudaError_t factor(const vendor_svd_t *w, int64_t batch_count, cudaStream_t stream) {
  const qr_args_t args = {
      .batch_count = batch_count, .rows = w->rows, .columns = w->columns, .A = w->A, .tau = w->tau, .R = w->R};
  return w->kernels->qr(&args, stream);
}

static cudaError_t apply_q(const vendor_svd_t *w, int64_t batch_count, cudaStream_t stream) {
  const apply_q_args_t args = {.batch_count = batch_count,
                               .rows = w->rows,
                               .columns = w->columns,
                               .wanted = w->columns, /* complete adds the others */
                               .A = w->A,
                               .tau = w->tau,
                               .small = w->small,
                               .X = w->X,
                               .x_stride = w->rows * w->wanted};
  return w->kernels->apply_q(&args, stream);
}

static cudaError_t complete(const vendor_svd_t *w, int64_t batch_count, cudaStream_t stream) {
  const complete_args_t args = {.batch_count = batch_count,
                                .rows = w->rows,
                                .columns = w->columns,
                                .wanted = w->wanted,
                                .X = w->X,
                                .S = w->S,
                                .reflectors = w->reflectors,
                                .tau = w->completion_tau};
  return w->kernels->complete(&args, stream);
}

/* Most matrices of a batch whose workspace fits into that of `batch_count` single ones. */
static int chunk_of(const vendor_svd_t *w, int64_t batch_count) {
  if (w->routine != CUSOLVER_GESVDJ_BATCHED)
    return 1;
  int chunk = batch_count < (1 << 20) ? (int)batch_count : 1 << 20;
  for (; chunk > 1; chunk = (chunk + 1) / 2) {
    const cusolver_call_t query = call_of(w, chunk);
    const int lwork = cusolver_lwork(w->pool, &query);
    if (lwork >= 0 && lwork <= (int64_t)chunk * w->lwork)
      break;
  }
  return chunk;
}

static svdgrad_status_t solve(const vendor_svd_t *w, int64_t batch_count, int max_sweeps, cudaStream_t stream) {
  const int64_t columns = w->columns, rows = solved_rows(w);
  const int64_t x_stride = w->by_qr ? columns * columns : w->rows * w->wanted;
  const size_t T = w->kernels->element_size, R = w->kernels->real_size;
  const int chunk = chunk_of(w, batch_count);
  for (int64_t b = 0; b < batch_count; b += chunk) {
    const int64_t left = batch_count - b;
    cusolver_call_t call = call_of(w, left < chunk ? (int)left : chunk);
    call.max_sweeps = max_sweeps;
    call.A = (char *)(w->by_qr ? w->R : w->A) + (size_t)(b * rows * columns) * T;
    call.S = (char *)w->S + (size_t)(b * columns) * R;
    call.X = (char *)(w->by_qr ? w->small : w->X) + (size_t)(b * x_stride) * T;
    call.Y = (char *)w->Y + (size_t)(b * columns * columns) * T;
    call.work = w->work;
    call.lwork = cusolver_lwork(w->pool, &call);
    call.info = w->failed + b;
    const svdgrad_status_t status =
        call.lwork < 0 ? SVDGRAD_STATUS_BACKEND_ERROR : cusolver_run(w->pool, &call, stream);
    if (status)
      return status;
  }
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t vendor_svd_run(const vendor_svd_t *w, int64_t batch_count, int max_sweeps, cudaStream_t stream) {
  static const char function[] = "svdgrad_svd";
  cudaError_t error = w->by_qr ? factor(w, batch_count, stream) : cudaSuccess;
  if (error)
    return cuda_status(function, error);
  const svdgrad_status_t status = solve(w, batch_count, max_sweeps, stream);
  if (status || !w->vectors)
    return status;
  if (w->by_qr)
    error = apply_q(w, batch_count, stream);
  if (!error)
    error = complete(w, batch_count, stream);
  return cuda_status(function, error);
}
