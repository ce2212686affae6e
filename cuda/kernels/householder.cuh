/* SPDX-License-Identifier: BSD-3-Clause */
/* Householder QR of one tall matrix by one block, column-major in global memory (G. H. Golub and C. F. Van Loan, Matrix
 * Computations, 5.2): for each column a reduction over the block for its norm, then one warp per column to the right.
 * H_j = I - tau_j v v^H with v_j = 1; v below the diagonal, R on and above it; H_j^H is applied, so that R has a real
 * diagonal and A = H_0 H_1 ... R.  About 4 n^2 (m - n/3) flops.  Shared memory: one real per warp, and one T. */
#pragma once
#include "block.cuh"
#include "strided.cuh"

/* x <- (I - t v v^H) x on rows j.., v = [1; A(j+1.., j)], by one warp. */
template <class T> __device__ inline void reflect_column(int64_t m, int64_t j, const T *v, T t, T *x) {
  T along = lane_index() == 0 ? x[j] : from_real<T>(0);
  for (int64_t i = j + 1 + lane_index(); i < m; i += WARP)
    along = fused(along, conj(v[i]), x[i]);
  along = t * warp_sum(along);
  __syncwarp();
  for (int64_t i = j + 1 + lane_index(); i < m; i += WARP)
    x[i] = fused(x[i], -v[i], along);
  if (lane_index() == 0)
    x[j] = x[j] - along;
  __syncwarp();
}

/* The reflector that maps column j, rows j.., to a real multiple of e_j; LAPACK's larfg.  What is too short for its
 * square to be a normal number is zero. */
template <class T> __device__ inline T make_reflector(int64_t m, int64_t j, T *a, real_t<T> *scratch) {
  typedef real_t<T> R;
  R below = 0;
  for (int64_t i = j + 1 + threadIdx.x; i < m; i += blockDim.x)
    below += abs2(a[i]);
  below = block_reduce<sum_of<R>>(below, scratch);
  const T alpha = a[j];
  const R square = abs2(alpha) + below;
  const bool negligible = square < limits<R>::smallest_square();
  const R beta = negligible ? 0 : -copysign(sqrt(square), re(alpha));
  const T pivot = alpha - from_real<T>(beta);
  const T inverse = negligible ? from_real<T>(0) : ((R)1 / abs2(pivot)) * conj(pivot);
  __syncthreads(); /* everybody has read a[j] */
  for (int64_t i = j + 1 + threadIdx.x; i < m; i += blockDim.x)
    a[i] = a[i] * inverse;
  if (threadIdx.x == 0)
    a[j] = from_real<T>(beta);
  __syncthreads();
  return negligible ? from_real<T>(0) : ((R)1 / beta) * (from_real<T>(beta) - alpha);
}

template <class T> __device__ inline void householder_qr(int64_t m, int64_t n, T *A, T *tau, real_t<T> *scratch) {
  for (int64_t j = 0; j < n; j++) {
    const T t = make_reflector(m, j, A + j * m, scratch);
    if (threadIdx.x == 0)
      tau[j] = t;
    for (int64_t c = j + 1 + warp_index(); c < n; c += warp_count())
      reflect_column(m, j, A + j * m, conj(t), A + c * m);
    __syncthreads();
  }
}

/* x <- Q x for one column, by one warp: reflectors do not wait for each other's columns. */
template <class T> __device__ inline void apply_reflectors(int64_t m, int64_t n, const T *A, const T *tau, T *x) {
  for (int64_t j = n - 1; j >= 0; j--)
    reflect_column(m, j, A + j * m, tau[j], x);
}

template <class T> __global__ void qr_kernel(qr_args_t args) {
  __shared__ real_t<T> scratch[WARP];
  const int64_t m = args.rows, n = args.columns;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    T *A = (T *)args.A + b * m * n, *R = (T *)args.R + b * n * n;
    householder_qr(m, n, A, (T *)args.tau + b * n, scratch);
    for (int64_t e = threadIdx.x; e < n * n; e += blockDim.x)
      R[e] = e % n <= e / n ? A[e / n * m + e % n] : from_real<T>(0);
    __syncthreads();
  }
}

template <class T> __global__ void apply_q_kernel(apply_q_args_t args) {
  const int64_t m = args.rows, n = args.columns;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const T *A = (const T *)args.A + b * m * n, *tau = (const T *)args.tau + b * n;
    const T *small = (const T *)args.small + b * n * n;
    for (int64_t c = warp_index(); c < n; c += warp_count()) {
      T *x = (T *)args.X + b * args.x_stride + c * m;
      for (int64_t i = lane_index(); i < m; i += WARP)
        x[i] = i < n ? small[c * n + i] : from_real<T>(0);
      __syncwarp();
      apply_reflectors(m, n, A, tau, x);
    }
  }
}
