// SPDX-License-Identifier: BSD-3-Clause
// A real kernel: one-sided Jacobi SVD of N x N matrices (N = 8, 16, 32), one warp per matrix, WARPS warps per
// block.  Static shared memory holds A, dynamic shared memory V, both with padded columns.  The same file
// compiles under nvcc.
#include "jacobi.h"
#ifdef __CUDACC__
#include <cuda_runtime.h>
// clang-format off
#define SIMT_LAUNCH(kernel, grid, block, bytes, stream, ...)                                                           \
  ((kernel)<<<grid, block, bytes, stream>>>(__VA_ARGS__), cudaGetLastError())
// clang-format on
#define SIMT_DYN_SHARED(T, name)                                                                                       \
  extern __shared__ __align__(16) unsigned char simt_dynamic[];                                                        \
  T *name = reinterpret_cast<T *>(simt_dynamic)
#else
#include "simt.hpp"
#endif

static const unsigned all_lanes = 0xffffffffu;
static const int WARPS = 4;

template <typename T> __device__ T sum_over(T x, int lanes) {
#pragma unroll
  for (int distance = 16; distance; distance >>= 1)
    if (distance < lanes)
      x += __shfl_xor_sync(all_lanes, x, distance);
  return x;
}

template <typename T> __device__ __forceinline__ void rotate(T *x, T *y, T c, T s) {
  const T xi = *x, yi = *y;
  *x = c * xi - s * yi;
  *y = s * xi + c * yi;
}

// All threads of the block load all its matrices.
template <typename T, int N> __device__ void load(const T *__restrict__ from, T (*A)[N * (N + 1)], T *V, int matrices) {
  for (int i = static_cast<int>(threadIdx.x); i < matrices * N * N; i += static_cast<int>(blockDim.x)) {
    const int k = i / (N * N), e = i % (N * N), at = (e / N) * (N + 1) + e % N;
    A[k][at] = from[i];
    V[k * N * (N + 1) + at] = e / N == e % N ? T(1) : T(0);
  }
}

// Makes columns p and q of A orthogonal; L lanes share the work.  Returns whether they were not.
template <typename T, int N> __device__ bool rotate_pair(T *A, T *V, int p, int q, int sub, int L) {
  T *x = A + p * (N + 1), *y = A + q * (N + 1), *vx = V + p * (N + 1), *vy = V + q * (N + 1);
  T xx = 0, yy = 0, xy = 0;
  for (int i = sub; i < N; i += L)
    xx += x[i] * x[i], yy += y[i] * y[i], xy += x[i] * y[i];
  xx = sum_over(xx, L), yy = sum_over(yy, L), xy = sum_over(xy, L);
  const T tolerance = sizeof(T) == 8 ? T(1e-15) : T(1e-7f);
  if (!(fabs(xy) > tolerance * sqrt(xx * yy)))
    return false;
  const T zeta = (yy - xx) / (T(2) * xy);
  const T t = (zeta >= 0 ? T(1) : T(-1)) / (fabs(zeta) + sqrt(T(1) + zeta * zeta));
  const T c = rsqrt(T(1) + t * t), s = c * t;
  for (int i = sub; i < N; i += L) {
    rotate(&x[i], &y[i], c, s);
    rotate(&vx[i], &vy[i], c, s);
  }
  return true;
}

// One round-robin of all pairs; returns whether any pair was rotated.
template <typename T, int N, int BUG> __device__ bool sweep(T *A, T *V, int lane) {
  const int L = 64 / N, group = lane / L, sub = lane % L;
  bool rotated = false;
  for (int round = 0; round < N - 1; round++) {
    const int p = group == 0 ? N - 1 : (round + group) % (N - 1);
    const int q = group == 0 ? round : (round + N - 1 - group) % (N - 1);
    rotated |= rotate_pair<T, N>(A, V, p, q, sub, L);
    if (BUG != BUG_NO_SYNCWARP)
      __syncwarp();
  }
  return __any_sync(all_lanes, rotated);
}

template <typename T, int N, int BUG>
__global__ void __launch_bounds__(32 * WARPS) jacobi_kernel(const T *a, T *u, T *s, T *v, int batch, int *sweeps) {
  __shared__ T A_all[WARPS][N * (N + 1)];
  SIMT_DYN_SHARED(T, V_all);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int first = static_cast<int>(blockIdx.x) * WARPS, matrix = first + warp;
  load<T, N>(a + static_cast<size_t>(first) * N * N, A_all, V_all, min(WARPS, batch - first));
  if (BUG != BUG_NO_SYNCTHREADS)
    __syncthreads();
  if (matrix >= batch)
    return;
  T *A = A_all[warp], *V = V_all + warp * N * (N + 1);
  int count = 0;
  while (count < 30 && sweep<T, N, BUG>(A, V, lane))
    count++;
  if (lane < N) {
    T norm = 0;
    for (int i = 0; i < N; i++)
      norm += A[lane * (N + 1) + i] * A[lane * (N + 1) + i];
    norm = sqrt(norm);
    s[static_cast<size_t>(matrix) * N + lane] = norm;
    for (int i = 0; i < N; i++) {
      const size_t to = static_cast<size_t>(matrix) * N * N + lane * N + i;
      u[to] = A[lane * (N + 1) + i] / norm;
      v[to] = V[lane * (N + 1) + i];
    }
  }
  if (BUG == BUG_DIVERGENT_BARRIER && lane < 16)
    __syncthreads();
  if (BUG == BUG_OUT_OF_BOUNDS && lane == 0)
    s[static_cast<size_t>(batch) * N] = T(1);
  if (lane == 0)
    atomicAdd(sweeps, count);
}

template <typename T, int N, int BUG = BUG_NONE>
static cudaError_t start(const T *a, T *u, T *s, T *v, int batch, int *sweeps, cudaStream_t stream) {
  const size_t bytes = sizeof(T) * WARPS * N * (N + 1);
  cudaError_t e = cudaFuncSetAttribute(jacobi_kernel<T, N, BUG>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                       static_cast<int>(bytes));
  if (e)
    return e;
  return SIMT_LAUNCH((jacobi_kernel<T, N, BUG>), static_cast<unsigned>((batch + WARPS - 1) / WARPS), 32 * WARPS, bytes,
                     stream, a, u, s, v, batch, sweeps);
}

extern "C" cudaError_t jacobi_f32_8(const float *a, float *u, float *s, float *v, int batch, int *sweeps,
                                    cudaStream_t stream) {
  return start<float, 8>(a, u, s, v, batch, sweeps, stream);
}

extern "C" cudaError_t jacobi_f64_8(const double *a, double *u, double *s, double *v, int batch, int *sweeps,
                                    cudaStream_t stream, int bug) {
  switch (bug) {
  case BUG_NO_SYNCWARP: return start<double, 8, BUG_NO_SYNCWARP>(a, u, s, v, batch, sweeps, stream);
  case BUG_NO_SYNCTHREADS: return start<double, 8, BUG_NO_SYNCTHREADS>(a, u, s, v, batch, sweeps, stream);
  case BUG_DIVERGENT_BARRIER: return start<double, 8, BUG_DIVERGENT_BARRIER>(a, u, s, v, batch, sweeps, stream);
  case BUG_OUT_OF_BOUNDS: return start<double, 8, BUG_OUT_OF_BOUNDS>(a, u, s, v, batch, sweeps, stream);
  default: return start<double, 8>(a, u, s, v, batch, sweeps, stream);
  }
}

// The same through the typed cudaLaunchKernel.
extern "C" cudaError_t jacobi_f64_32(const double *a, double *u, double *s, double *v, int batch, int *sweeps,
                                     cudaStream_t stream) {
  const size_t bytes = sizeof(double) * WARPS * 32 * 33;
  cudaError_t e = cudaFuncSetAttribute(jacobi_kernel<double, 32, BUG_NONE>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                       static_cast<int>(bytes));
  if (e)
    return e;
  void *arguments[] = {&a, &u, &s, &v, &batch, &sweeps};
  return cudaLaunchKernel(jacobi_kernel<double, 32, BUG_NONE>, dim3(static_cast<unsigned>((batch + WARPS - 1) / WARPS)),
                          dim3(32 * WARPS), arguments, bytes, stream);
}
