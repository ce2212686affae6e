/* SPDX-License-Identifier: BSD-3-Clause */
/* What one-sided Jacobi leaves, A P = Q R and R^H W = L with orthogonal columns, as singular values and vectors: S are
 * the norms of L's columns in descending order (equal ones in the order of their columns), the left factor of R is W in
 * that order, and the right one of A is P times the normalized columns of L.  Those of a zero S stay zero.
 *
 * One block per matrix, one warp per column. */
#pragma once
#include "rotation.cuh"
#include "block.cuh"
#include "strided.cuh"

template <class T> __global__ void normalize_kernel(normalize_args_t args) {
  typedef real_t<T> R;
  const int64_t n = args.n;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const T *L = (const T *)args.L + b * n * n;
    R *norms = (R *)args.norms + b * n, *S = (R *)args.S + b * n;
    const int32_t *order = args.order + b * n;
    for (int64_t j = warp_index(); j < n; j += warp_count()) {
      R square = 0;
      for (int64_t i = lane_index(); i < n; i += WARP)
        square = plus_abs2(square, L[j * n + i]);
      square = warp_sum(square);
      if (lane_index() == 0)
        norms[j] = is_null(square) ? 0 : sqrt(square);
    }
    __syncthreads();
    for (int64_t j = warp_index(); j < n; j += warp_count()) {
      const R norm = norms[j], inverse = norm > 0 ? 1 / norm : 0;
      int place = 0;
      for (int64_t i = lane_index(); i < n; i += WARP)
        place += norms[i] > norm || (norms[i] == norm && i < j);
      for (int offset = WARP / 2; offset; offset /= 2)
        place += __shfl_xor_sync(FULL_WARP, place, offset);
      if (lane_index() == 0)
        S[place] = norm;
      if (!args.W)
        continue;
      const T *W = (const T *)args.W + (b * n + j) * n;
      T *X = (T *)args.X + (b * n + place) * n, *Y = (T *)args.Y + (b * n + place) * n;
      for (int64_t i = lane_index(); i < n; i += WARP) {
        X[i] = W[i];
        Y[order[i]] = inverse * L[j * n + i];
      }
    }
    __syncthreads();
  }
}
