/* SPDX-License-Identifier: BSD-3-Clause */
#include "tall_svd.h"

void tall_svd_take(tall_svd_t *w, batch_layout_t *layout) {
  const size_t T = w->kernels->element_size, R = w->kernels->real_size;
  const int64_t n = w->columns, squares = w->vectors ? n * n : 0;
  w->S = layout_take(layout, n, R);
  w->X = layout_take(layout, w->vectors ? w->rows * w->wanted : 0, T);
  w->Y = layout_take(layout, squares, T);
  w->failed = layout_take(layout, 1, sizeof(int32_t));
  w->tau = layout_take(layout, n, T);
  w->L = layout_take(layout, n * n, T);
  w->small = layout_take(layout, squares, T);
  if (w->solver == CUDA_JACOBI_WARP)
    return;
  w->W = layout_take(layout, squares, T);
  w->norms = layout_take(layout, n, T); /* and tau of the completion */
  w->order = layout_take(layout, n, sizeof(int32_t));
  if (w->solver == CUDA_JACOBI_BLOCKED)
    jacobi_blocked_take(&w->blocked, layout, w->kernels, n);
}

static cudaError_t factor(const tall_svd_t *w, int64_t batch_count, cudaStream_t stream) {
  const qr_args_t args = {.batch_count = batch_count,
                          .rows = w->rows,
                          .columns = w->columns,
                          .A = w->A,
                          .tau = w->tau,
                          .order = w->order,
                          .R = w->L,
                          .lower = 1};
  return w->kernels->qr(&args, stream);
}

/* L = Y S small^H in one go. */
static cudaError_t solve_by_warp(const tall_svd_t *w, int64_t batch_count, int max_sweeps, cudaStream_t stream) {
  const int64_t n = w->columns;
  const direct_args_t args = {.batch_count = batch_count,
                              .rows = n,
                              .columns = n,
                              .max_sweeps = max_sweeps,
                              .k = n,
                              .u_cols = n,
                              .vh_rows = n,
                              .A = {w->L, 1, n, n * n},
                              .U = {w->Y, 1, n, n * n},
                              .Vh = {w->small, 1, n, n * n},
                              .S = {w->S, 1, n},
                              .info = w->failed};
  return w->kernels->jacobi_warp(&args, stream);
}

static cudaError_t rotate(const tall_svd_t *w, int64_t batch_count, int max_sweeps, cudaStream_t stream) {
  const rotate_args_t args = {
      .batch_count = batch_count, .n = w->columns, .A = w->L, .W = w->W, .left = w->failed, .max_sweeps = max_sweeps};
  return w->solver == CUDA_JACOBI_PANELS ? w->kernels->jacobi_panels(&args, stream)
                                         : jacobi_blocked_run(&w->blocked, &args, stream);
}

/* Columns of Y that belong to a zero S. */
static cudaError_t complete(const tall_svd_t *w, int64_t batch_count, cudaStream_t stream) {
  const complete_args_t args = {.batch_count = batch_count,
                                .rows = w->columns,
                                .columns = w->columns,
                                .wanted = w->columns,
                                .X = w->Y,
                                .S = w->S,
                                .reflectors = w->L,
                                .tau = w->norms,
                                .trust_null = 1};
  return w->kernels->complete(&args, stream);
}

static cudaError_t solve_by_rotation(const tall_svd_t *w, int64_t batch_count, int max_sweeps, cudaStream_t stream) {
  const normalize_args_t args = {.batch_count = batch_count,
                                 .n = w->columns,
                                 .L = w->L,
                                 .W = w->W,
                                 .order = w->order,
                                 .norms = w->norms,
                                 .S = w->S,
                                 .X = w->small,
                                 .Y = w->Y};
  cudaError_t error = rotate(w, batch_count, max_sweeps, stream);
  if (!error)
    error = w->kernels->normalize(&args, stream);
  return error || !w->vectors ? error : complete(w, batch_count, stream);
}

static cudaError_t apply_q(const tall_svd_t *w, int64_t batch_count, cudaStream_t stream) {
  const apply_q_args_t args = {.batch_count = batch_count,
                               .rows = w->rows,
                               .columns = w->columns,
                               .wanted = w->wanted,
                               .A = w->A,
                               .tau = w->tau,
                               .order = w->order,
                               .small = w->small,
                               .adjoint = w->solver == CUDA_JACOBI_WARP,
                               .X = w->X,
                               .x_stride = w->rows * w->wanted};
  return w->kernels->apply_q(&args, stream);
}

cudaError_t tall_svd_run(const tall_svd_t *w, int64_t batch_count, int max_sweeps, cudaStream_t stream) {
  cudaError_t error = factor(w, batch_count, stream);
  if (!error)
    error = w->solver == CUDA_JACOBI_WARP ? solve_by_warp(w, batch_count, max_sweeps, stream)
                                          : solve_by_rotation(w, batch_count, max_sweeps, stream);
  return error || !w->vectors ? error : apply_q(w, batch_count, stream);
}
