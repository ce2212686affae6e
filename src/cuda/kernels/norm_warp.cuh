/* SPDX-License-Identifier: BSD-3-Clause */
/* A norm and its gradient of matrices of up to 32 rows (16 in double complex) from A to gA in one kernel: the SVD of
 * jacobi_warp.cuh, of which nothing is stored.
 *
 * The product X diag(weight) Y^H has its left factor in registers, a row or a few per lane, and its right one in the
 * tile, row j of Y where column j of the result goes.  It adds up over the columns of L in the order that QR gave them,
 * sorted or not: N^3 multiplications per matrix, and no register that is indexed. */
#pragma once
#include "jacobi_warp.cuh"
#include "norm_weights.cuh"

/* The columns as QR had them, whatever sweeps of other matrices did to them. */
template <class T, int N, int ROWS> __device__ __forceinline__ void reverse_columns(T (&x)[ROWS][N]) {
#pragma unroll
  for (int r = 0; r < ROWS; r++)
#pragma unroll
    for (int j = 0; j < N / 2; j++) {
      const T first = x[r][j];
      x[r][j] = x[r][N - 1 - j];
      x[r][N - 1 - j] = first;
    }
}

/* Row j of Y, conjugated, to column j of the tile: the columns of L normalized, its rows in the order of A's columns. */
template <class T, int N, int ROWS>
__device__ __forceinline__ void fill_transposed(const T (&L)[ROWS][N], const warp_vectors<T, N> &shared, T *tile) {
  typedef warp_shape<T, N> shape;
#pragma unroll
  for (int q = 0; q < N / shape::PER_PACK; q++) {
    pack<T> y[ROWS];
#pragma unroll
    for (int e = 0; e < shape::PER_PACK; e++) {
      const int j = q * shape::PER_PACK + e;
      const real_t<T> norm = shared.norms[j], inverse = norm == 0 ? 0 : 1 / norm;
#pragma unroll
      for (int r = 0; r < ROWS; r++)
        y[r].at[e] = inverse * conj(L[r][j]);
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      const int slot = lane_in_group<shape::GROUP>() + r * shape::GROUP;
      reinterpret_cast<pack<T> *>(tile + shared.order[slot] * shape::STRIDE)[q] = y[r];
    }
  }
  __syncwarp();
}

/* The value and info to the caller, and X times diag(weight).  The norms are gone after this. */
template <class T, int N, int ROWS>
__device__ __forceinline__ void weigh_columns(const norm_args_t &args, int64_t b, warp_vectors<T, N> &shared,
                                              T (&X)[ROWS][N]) {
  constexpr int GROUP = warp_shape<T, N>::GROUP;
  real_t<T> *weights = shared.norms;
  bool overflow;
  const real_t<T> value =
      weigh_values<GROUP>(args, b, shared.exponent, shared.S[0], (int)args.svd.columns, weights, &overflow);
  if (b < args.svd.batch_count && lane_in_group<GROUP>() == 0) {
    store_norm(args, b, value, shared.finite, shared.failed, overflow);
  }
  __syncwarp();
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int r = 0; r < ROWS; r++)
      X[r][j] = weights[j] * X[r][j];
}

/* Column j of the tile, which is row j of Y, becomes X times that, for the first n. */
template <class T, int N, int ROWS>
__device__ __forceinline__ void multiply_tile(int n, const T (&X)[ROWS][N], T *tile) {
  typedef warp_shape<T, N> shape;
#pragma unroll 1
  for (int j = 0; j < n; j++) {
    T *column = tile + j * shape::STRIDE, y[N], sum[ROWS];
    read_column<T, N>(column, y);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      sum[r] = from_real<T>(0);
#pragma unroll
      for (int c = 0; c < N; c++)
        sum[r] = fused(sum[r], X[r][c], y[c]);
    }
    __syncwarp();
#pragma unroll
    for (int r = 0; r < ROWS; r++)
      if (const int slot = lane_in_group<shape::GROUP>() + r * shape::GROUP; slot < N)
        column[slot] = sum[r];
  }
  __syncwarp();
}

/* The tiles to gA; NaN for the matrices of `nan`, one bit per lane. */
template <class T, int N>
__device__ __forceinline__ void update_gradients(const norm_args_t &args, int64_t first, unsigned nan,
                                                 warp_memory<T, N> &memory) {
  constexpr int AT_ONCE = 4; /* loads under way, if beta is not 0 */
  const direct_args_t &of = args.svd;
  const tall_view<T> gA = view_of<T>(args.gA, of.transposed, of.transposed);
  const tile_walk<T, N> walk((int)of.rows, (int)of.columns, of.columns == 1 || gA.row <= gA.column);
#pragma unroll 1
  for (int step = 0; step < walk.STEPS; step += AT_ONCE) {
    T before[AT_ONCE] = {};
    int matrix, i, j;
#pragma unroll
    for (int s = 0; s < AT_ONCE; s++)
      if (args.beta != 0 && walk.step(step + s, &matrix, &i, &j) && first + matrix < of.batch_count)
        before[s] = *gA.at(first + matrix, i, j);
#pragma unroll
    for (int s = 0; s < AT_ONCE; s++)
      if (walk.step(step + s, &matrix, &i, &j) && first + matrix < of.batch_count) {
        const bool is_nan = nan >> (matrix * warp_shape<T, N>::GROUP) & 1;
        const T x = is_nan ? not_a_number<T>() : gA.converted(memory.column(matrix, j)[i]);
        *gA.at(first + matrix, i, j) = updated(args, x, before[s]);
      }
  }
}

/* Blocks per multiprocessor that registers must suffice for: powers take a few more than the sweeps. */
template <class T, int N> constexpr int norm_warp_blocks() {
  return warp_shape<T, N>::BLOCKS < 12 ? warp_shape<T, N>::BLOCKS : 12;
}

/* The matrices from `first` on. */
template <class T, int N>
__global__ void __launch_bounds__(WARP, norm_warp_blocks<T, N>()) norm_warp_kernel(norm_args_t args, int64_t first) {
  typedef warp_shape<T, N> shape;
  __shared__ warp_memory<T, N> memory;
  const int matrix = lane_index() / shape::GROUP;
  T *tile = memory.column(matrix, 0);
  warp_vectors<T, N> &shared = memory.vectors[matrix];
  first += (int64_t)blockIdx.x * shape::MATRICES;
  T L[shape::ROWS][N], X[shape::ROWS][N];
  if (solve_tiles<T, N, shape::ROWS, true>(args.svd, first, L, X, memory)) {
    reverse_columns(L);
    reverse_columns(X);
  }
  fill_transposed(L, shared, tile);
  weigh_columns(args, first + matrix, shared, X);
  multiply_tile((int)args.svd.columns, X, tile);
  update_gradients(args, first, __ballot_sync(FULL_WARP, !shared.finite), memory);
}

/* rows <= jacobi_warp_limit<T>() */
template <class T> cudaError_t norm_warp_launch(const norm_args_t *args, cudaStream_t stream) {
  return launch_warps<T>(args->svd.rows, args->svd.batch_count, [&](auto size, dim3 grid, int64_t first) {
    return SIMT_LAUNCH((norm_warp_kernel<T, decltype(size)::value>), grid, dim3(WARP), 0, stream, *args, first);
  });
}
