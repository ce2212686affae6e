/* SPDX-License-Identifier: BSD-3-Clause */
/* What one-sided Jacobi leaves, A P = Q R and R^H W = L with orthogonal columns, as singular values and vectors: S are
 * the norms of L's columns in descending order (equal ones in the order of their columns), the left factor of R is W in
 * that order, and the right one of A is P times the normalized columns of L.  Those of a zero S stay zero.
 *
 * One warp per column, in two launches: every column must know the norms of all. */
#pragma once
#include "rotation.cuh"
#include "block.cuh"
#include "grid.cuh"
#include "strided.cuh"

/* Calls visit(b, j) for every column of every matrix, by one warp. */
template <class Visit> __device__ inline void visit_columns(int64_t batch_count, int64_t columns, Visit visit) {
  const int64_t warps = (int64_t)gridDim.x * warp_count();
  for (int64_t c = (int64_t)blockIdx.x * warp_count() + warp_index(); c < batch_count * columns; c += warps)
    visit(c / columns, c % columns);
}

template <class T> __global__ void normalize_norms_kernel(normalize_args_t args) {
  typedef real_t<T> R;
  const int64_t n = args.n;
  visit_columns(args.batch_count, n, [&](int64_t b, int64_t j) {
    const T *L = (const T *)args.L + (b * n + j) * n;
    R square = 0;
    for (int64_t i = lane_index(); i < n; i += WARP)
      square = plus_abs2(square, L[i]);
    square = warp_sum(square);
    if (lane_index() == 0)
      ((R *)args.norms)[b * n + j] = is_null(square) ? 0 : sqrt(square);
  });
}

template <class T> __global__ void normalize_kernel(normalize_args_t args) {
  typedef real_t<T> R;
  const int64_t n = args.n;
  visit_columns(args.batch_count, n, [&](int64_t b, int64_t j) {
    const R *norms = (const R *)args.norms + b * n;
    const R norm = norms[j], inverse = norm > 0 ? 1 / norm : 0;
    int place = 0;
    for (int64_t i = lane_index(); i < n; i += WARP)
      place += norms[i] > norm || (norms[i] == norm && i < j);
    for (int offset = WARP / 2; offset; offset /= 2)
      place += __shfl_xor_sync(FULL_WARP, place, offset);
    if (lane_index() == 0)
      ((R *)args.S)[b * n + place] = norm;
    if (!args.W)
      return;
    const T *L = (const T *)args.L + (b * n + j) * n, *W = (const T *)args.W + (b * n + j) * n;
    T *X = (T *)args.X + (b * n + place) * n, *Y = (T *)args.Y + (b * n + place) * n;
    const int32_t *order = args.order + b * n;
    for (int64_t i = lane_index(); i < n; i += WARP) {
      X[i] = W[i];
      Y[order[i]] = inverse * L[i];
    }
  });
}

template <class T> cudaError_t normalize_launch(const normalize_args_t *args, cudaStream_t stream) {
  enum { WARPS = 8, COLUMNS = 4 * WARPS }; /* of a block */
  const dim3 grid = grid_of((args->batch_count * args->n + COLUMNS - 1) / COLUMNS), block(WARPS * WARP);
  const cudaError_t error = SIMT_LAUNCH(normalize_norms_kernel<T>, grid, block, 0, stream, *args);
  return error ? error : SIMT_LAUNCH(normalize_kernel<T>, grid, block, 0, stream, *args);
}
