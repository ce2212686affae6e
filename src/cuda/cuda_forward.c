/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_forward.h"

#include "tall_svd.h"
#include "vendor_svd.h"

/* 10 are enough for most matrices, 14 for all that are known (tests/test_sweeps.c).  In the blocked tier every sweep is
 * a list of launches, of which a stream holds about a thousand before the host waits. */
enum { DEFAULT_SWEEPS = 24, BLOCKED_SWEEPS = 15 };

static int jacobi_sweeps(const problem_t *p, cuda_algorithm_t algorithm) {
  return p->max_sweeps ? p->max_sweeps : algorithm == CUDA_JACOBI_BLOCKED ? BLOCKED_SWEEPS : DEFAULT_SWEEPS;
}

/* Tall is A, or A^H where m < n; packed arrays of the whole batch (launch.h). */
typedef struct forward {
  const cuda_kernels_t *kernels;
  cuda_algorithm_t algorithm;
  int64_t rows, columns, wanted; /* columns of X: all rows with full_matrices */
  void *tall;
  int32_t *exponent, *state;
  int64_t parts; /* that prepare divides a matrix into */
  void *largest;
  tall_svd_t jacobi; /* one of these two */
  vendor_svd_t vendor;
  int by_vendor;
} forward_t;

int cuda_forward_is_direct(cuda_algorithm_t algorithm, const problem_t *p) {
  const int64_t rows = p->m < p->n ? p->n : p->m;
  return algorithm == CUDA_JACOBI_THREAD || algorithm == CUDA_JACOBI_SKINNY ||
         (algorithm == CUDA_JACOBI_WARP && rows <= cuda_kernels_of(p->dtype)->warp_limit);
}

static cusolver_routine_t routine_of(cuda_algorithm_t algorithm) {
  return algorithm == CUDA_GESVDJ_BATCHED ? CUSOLVER_GESVDJ_BATCHED
         : algorithm == CUDA_GESVDJ       ? CUSOLVER_GESVDJ
                                          : CUSOLVER_GESVD;
}

/* So many that a block has enough to do, and one can look at what all have found. */
static int64_t parts_of(int64_t elements) {
  enum { PART_ELEMENTS = 8192, MOST_PARTS = 256 };
  const int64_t parts = elements / PART_ELEMENTS;
  return parts < 1 ? 1 : parts > MOST_PARTS ? MOST_PARTS : parts;
}

/* 0 if cuSOLVER could not be asked for its workspace. */
static int forward_take(forward_t *w, batch_layout_t *layout, cuda_algorithm_t algorithm, const problem_t *p,
                        int vectors, cusolver_pool_t *pool) {
  const cuda_kernels_t *kernels = cuda_kernels_of(p->dtype);
  const int64_t rows = p->m < p->n ? p->n : p->m, columns = p->mn, wanted = p->full_matrices ? rows : columns;
  *w = (forward_t){.kernels = kernels, .algorithm = algorithm, .rows = rows, .columns = columns, .wanted = wanted};
  w->tall = layout_take(layout, rows * columns, kernels->element_size);
  w->exponent = layout_take(layout, 1, sizeof(int32_t));
  w->state = layout_take(layout, 1, sizeof(int32_t));
  w->parts = parts_of(rows * columns);
  w->largest = layout_take(layout, w->parts > 1 ? w->parts : 0, kernels->real_size);
  w->by_vendor = cuda_algorithm_is_vendor(algorithm);
  if (!w->by_vendor) {
    w->jacobi = (tall_svd_t){.kernels = kernels,
                             .solver = algorithm,
                             .rows = rows,
                             .columns = columns,
                             .wanted = wanted,
                             .vectors = vectors,
                             .A = w->tall};
    tall_svd_take(&w->jacobi, layout);
    return 1;
  }
  w->vendor = (vendor_svd_t){.kernels = kernels,
                             .pool = pool,
                             .routine = routine_of(algorithm),
                             .dtype = p->dtype,
                             .rows = rows,
                             .columns = columns,
                             .wanted = wanted,
                             .vectors = vectors,
                             .A = w->tall};
  return vendor_svd_take(&w->vendor, layout);
}

size_t cuda_forward_workspace(cuda_algorithm_t algorithm, const problem_t *p, int vectors, cusolver_pool_t *pool) {
  forward_t w;
  batch_layout_t layout = {NULL, p->batch_count, 0, 0, 0};
  if (cuda_forward_is_direct(algorithm, p)) {
    if (algorithm == CUDA_JACOBI_SKINNY)
      (void)layout_take(&layout, p->m * p->n, cuda_kernels_of(p->dtype)->element_size);
    return layout_bytes(&layout);
  }
  return forward_take(&w, &layout, algorithm, p, vectors, pool) ? layout_bytes(&layout) : SIZE_MAX;
}

direct_args_t cuda_direct_args(const svd_call_t *call) {
  const problem_t *p = &call->p;
  return (direct_args_t){.batch_count = p->batch_count,
                         .rows = p->m < p->n ? p->n : p->m,
                         .columns = p->mn,
                         .transposed = p->m < p->n,
                         .positive_gauge = p->positive_gauge,
                         .max_sweeps = jacobi_sweeps(p, CUDA_JACOBI_WARP),
                         .k = p->k,
                         .u_cols = p->u_cols,
                         .vh_rows = p->vh_rows,
                         .A = call->A,
                         .U = call->U,
                         .Vh = call->Vh,
                         .S = call->S,
                         .info = call->info,
                         .work = call->work,
                         .exponent = call->exponent};
}

static cudaError_t direct(cuda_algorithm_t algorithm, const svd_call_t *call) {
  const cuda_kernels_t *kernels = cuda_kernels_of(call->p.dtype);
  const direct_args_t args = cuda_direct_args(call);
  return algorithm == CUDA_JACOBI_THREAD   ? kernels->jacobi_thread(&args, call->stream)
         : algorithm == CUDA_JACOBI_SKINNY ? kernels->jacobi_skinny(&args, call->stream)
                                           : kernels->jacobi_warp(&args, call->stream);
}

static int scaled_exponent(const forward_t *w) { return w->by_vendor ? 0 : w->kernels->scaled_exponent; }

static cudaError_t prepare(const forward_t *w, const svd_call_t *call) {
  const prepare_args_t args = {.A = call->A,
                               .batch_count = call->p.batch_count,
                               .rows = w->rows,
                               .columns = w->columns,
                               .transposed = call->p.m < call->p.n,
                               .scaled_exponent = scaled_exponent(w),
                               .tall = w->tall,
                               .exponent = w->exponent,
                               .state = w->state,
                               .parts = w->parts,
                               .largest = w->largest};
  return w->kernels->prepare(&args, call->stream);
}

static svdgrad_status_t factorize(const forward_t *w, const problem_t *p, cudaStream_t stream) {
  if (w->by_vendor)
    return vendor_svd_run(&w->vendor, p->batch_count, p->max_sweeps, stream);
  return cuda_status("svdgrad_svd", tall_svd_run(&w->jacobi, p->batch_count, jacobi_sweeps(p, w->algorithm), stream));
}

static cudaError_t store(const forward_t *w, const svd_call_t *call) {
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
                             .X = w->by_vendor ? w->vendor.X : w->jacobi.X,
                             .Y = w->by_vendor ? w->vendor.Y : w->jacobi.Y,
                             .S = w->by_vendor ? w->vendor.S : w->jacobi.S,
                             .x_stride = w->rows * w->wanted,
                             .y_stride = w->columns * w->columns,
                             .conjugate_y = w->algorithm == CUDA_GESVD,
                             .exponent = w->exponent,
                             .state = w->state,
                             .scaled_exponent = scaled_exponent(w),
                             .failed = w->by_vendor ? w->vendor.failed : w->jacobi.failed,
                             .U = call->U,
                             .Vh = call->Vh,
                             .S_out = call->S,
                             .exponent_out = call->exponent,
                             .info = call->info};
  return w->kernels->store(&args, call->stream);
}

/* `work` has room for A; NULL where that is shared memory's. */
static cudaError_t keep_small(const svd_call_t *call, void *work) {
  const problem_t *p = &call->p;
  const full_rank_args_t args = {.batch_count = p->batch_count,
                                 .rows = p->m < p->n ? p->n : p->m,
                                 .columns = p->mn,
                                 .transposed = p->m < p->n,
                                 .A = call->A,
                                 .work = work,
                                 .S = call->S,
                                 .exponent = call->exponent,
                                 .U = call->U,
                                 .Vh = call->Vh};
  if (!call->keep_small || p->k < p->mn)
    return cudaSuccess;
  return cuda_kernels_of(p->dtype)->full_rank(&args, call->stream);
}

svdgrad_status_t cuda_forward(cuda_algorithm_t algorithm, const svd_call_t *call, cusolver_pool_t *pool) {
  static const char function[] = "svdgrad_svd";
  const problem_t *p = &call->p;
  const int vectors = call->U.data || call->Vh.data;
  forward_t w;
  batch_layout_t layout = {call->work, p->batch_count, 0, 0, 0};
  if (cuda_forward_is_direct(algorithm, p)) {
    const cudaError_t failed = direct(algorithm, call);
    return cuda_status(function,
                       failed ? failed : keep_small(call, algorithm == CUDA_JACOBI_SKINNY ? call->work : NULL));
  }
  if (!forward_take(&w, &layout, algorithm, p, vectors, pool))
    return SVDGRAD_STATUS_BACKEND_ERROR;
  const cudaError_t error = prepare(&w, call);
  const svdgrad_status_t status = error ? cuda_status(function, error) : factorize(&w, p, call->stream);
  if (status)
    return status;
  const cudaError_t failed = store(&w, call);
  return cuda_status(function, failed ? failed : keep_small(call, w.tall));
}
