/* SPDX-License-Identifier: BSD-3-Clause */
/* A norm and its gradient of matrices of at most 4 rows and columns, one per thread, from A to gA in one kernel: the SVD
 * of jacobi_thread.cuh, of which nothing is stored.  Global memory is touched once per element of A and of gA (twice if
 * beta is not 0). */
#pragma once
#include "jacobi_thread.cuh"
#include "norm_weights.cuh"

/* The value and info to the caller, and X times diag(weight), by way of shared memory: it can be indexed. */
template <class T, int N>
__device__ __forceinline__ void weigh_small(const norm_args_t &args, int64_t b, int exponent, bool finite, bool failed,
                                            T *shared, small_svd<T, N, true> &svd) {
  typedef real_t<T> R;
  R *own = (R *)shared + lane_index() * (N | 1); /* odd: no bank conflicts */
#pragma unroll
  for (int j = 0; j < N; j++)
    own[j] = svd.S[j];
  bool overflow;
  const R value = weigh_values<1>(args, b, exponent, svd.S[0], (int)args.svd.columns, own, &overflow);
  if (b < args.svd.batch_count)
    store_norm(args, b, value, finite, failed, overflow);
#pragma unroll
  for (int j = 0; j < N; j++) {
    const R weight = own[j];
#pragma unroll
    for (int i = 0; i < N; i++)
      svd.X[j][i] = weight * svd.X[j][i];
  }
  __syncwarp();
}

/* Y[i][j] becomes element (i, j) of X Y^H. */
template <class T, int N> __device__ __forceinline__ void multiply_small(small_svd<T, N, true> &svd) {
#pragma unroll
  for (int j = 0; j < N; j++) {
    T column[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
      column[i] = from_real<T>(0);
#pragma unroll
      for (int c = 0; c < N; c++)
        column[i] = fused(column[i], svd.X[c][i], conj(svd.Y[c][j]));
    }
#pragma unroll
    for (int i = 0; i < N; i++)
      svd.Y[i][j] = column[i];
  }
}

template <class T, int N>
__device__ __forceinline__ void norm_small(const norm_args_t &args, int64_t first, int active, T *shared) {
  const direct_args_t &of = args.svd;
  const bool transposed = of.transposed != 0;
  small_svd<T, N, true> svd;
  bool finite, failed;
  const int exponent = solve_small(of, first, active, shared, svd, &finite, &failed);
  weigh_small(args, first + lane_index(), exponent, finite, failed, shared, svd);
  multiply_small(svd);
  const warp_operand<T> gA = make_operand(args.gA, transposed, of.rows, of.columns, first, active, shared);
  if (args.beta != 0)
    gA.template load<N>([](int, int, T &) {}); /* to where store() has it */
  gA.template store<N>([&](int i, int j, T &to) {
    const T x = !finite ? not_a_number<T>() : transposed ? conj(svd.Y[i][j]) : svd.Y[i][j];
    to = updated(args, x, to);
  });
}

template <class T, int N>
__global__ void __launch_bounds__(THREAD_WARPS *WARP, 1) norm_thread_kernel(norm_args_t args) {
  __shared__ T memory[THREAD_WARPS][WARP * (N * N | 1)];
  visit_warps(args.svd.batch_count,
              [&](int64_t first, int active) { norm_small<T, N>(args, first, active, memory[warp_index()]); });
}

/* rows <= 4 */
template <class T> cudaError_t norm_thread_launch(const norm_args_t *args, cudaStream_t stream) {
  return launch_threads(args->svd.rows, args->svd.batch_count, [&](auto size, dim3 grid, dim3 block) {
    return SIMT_LAUNCH((norm_thread_kernel<T, decltype(size)::value>), grid, block, 0, stream, *args);
  });
}
