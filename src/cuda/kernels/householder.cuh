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
    below = plus_abs2(below, a[i]);
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

/* Columns of a packed matrix in the order that a permutation gives; NULL: as they are. */
template <class T> struct columns_t {
  T *A;
  int64_t m;
  const int32_t *order;
  __device__ T *operator[](int64_t j) const { return A + (order ? order[j] : j) * m; }
};

template <class T>
__device__ inline void householder_qr(int64_t m, int64_t n, columns_t<T> A, T *tau, real_t<T> *scratch) {
  for (int64_t j = 0; j < n; j++) {
    const T t = make_reflector(m, j, A[j], scratch);
    if (threadIdx.x == 0)
      tau[j] = t;
    for (int64_t c = j + 1 + warp_index(); c < n; c += warp_count())
      reflect_column(m, j, A[j], conj(t), A[c]);
    __syncthreads();
  }
}

/* x <- Q x for one column, by one warp: reflectors do not wait for each other's columns. */
template <class T> __device__ inline void apply_reflectors(int64_t m, int64_t n, columns_t<T> A, const T *tau, T *x) {
  for (int64_t j = n - 1; j >= 0; j--)
    reflect_column(m, j, A[j], tau[j], x);
}

/* order: columns by descending norm, equal ones as they come; `norms` is scratch. */
template <class T> __device__ inline void order_by_norm(int64_t m, int64_t n, const T *A, T *norms, int32_t *order) {
  typedef real_t<T> R;
  for (int64_t j = warp_index(); j < n; j += warp_count()) {
    R square = 0;
    for (int64_t i = lane_index(); i < m; i += WARP)
      square = plus_abs2(square, A[j * m + i]);
    square = warp_sum(square);
    if (lane_index() == 0)
      norms[j] = from_real<T>(square);
  }
  __syncthreads();
  for (int64_t j = threadIdx.x; j < n; j += blockDim.x) {
    const R mine = re(norms[j]);
    int64_t place = 0;
    for (int64_t i = 0; i < n; i++)
      place += re(norms[i]) > mine || (re(norms[i]) == mine && i < j);
    order[place] = (int32_t)j;
  }
  __syncthreads();
}

template <class T> __global__ void qr_kernel(qr_args_t args) {
  __shared__ real_t<T> scratch[WARP];
  const int64_t m = args.rows, n = args.columns;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    T *A = (T *)args.A + b * m * n, *R = (T *)args.R + b * n * n, *tau = (T *)args.tau + b * n;
    int32_t *order = args.order ? args.order + b * n : nullptr;
    if (order)
      order_by_norm(m, n, A, tau, order);
    const columns_t<T> columns = {A, m, order};
    householder_qr(m, n, columns, tau, scratch);
    for (int64_t e = threadIdx.x; e < n * n; e += blockDim.x) {
      const int64_t i = args.lower ? e / n : e % n, j = args.lower ? e % n : e / n;
      const T r = i <= j ? columns[j][i] : from_real<T>(0);
      R[e] = args.lower ? conj(r) : r;
    }
    __syncthreads();
  }
}

template <class T> __global__ void apply_q_kernel(apply_q_args_t args) {
  const int64_t m = args.rows, n = args.columns;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const int32_t *order = args.order ? args.order + b * n : nullptr;
    const columns_t<T> A = {(T *)args.A + b * m * n, m, order};
    const T *tau = (const T *)args.tau + b * n, *small = (const T *)args.small + b * n * n;
    for (int64_t c = warp_index(); c < args.wanted; c += warp_count()) {
      T *x = (T *)args.X + b * args.x_stride + c * m;
      for (int64_t i = lane_index(); i < m; i += WARP)
        if (c >= n || i >= n)
          x[i] = from_real<T>(i == c);
        else
          x[i] = args.adjoint ? conj(small[i * n + c]) : small[c * n + i];
      __syncwarp();
      apply_reflectors(m, n, A, tau, x);
    }
  }
}
