/* SPDX-License-Identifier: BSD-3-Clause */
/* What the device can do at best: a copy through its memory, and fused multiply-adds from registers. */
#include "../../src/cuda/kernels/launch_kernel.cuh"

#include "device_work.h"

struct alignas(16) sixteen_t {
  uint64_t part[2];
};

__global__ void copy_kernel(sixteen_t *to, const sixteen_t *from, size_t count) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride)
    to[i] = from[i];
}

extern "C" cudaError_t copy_bytes(void *to, const void *from, size_t bytes, cudaStream_t stream) {
  const size_t count = bytes / sizeof(sixteen_t), blocks = (count + 1023) / 1024;
  return SIMT_LAUNCH(copy_kernel, dim3(static_cast<unsigned>(blocks ? blocks : 1)), dim3(256), 0, stream,
                     static_cast<sixteen_t *>(to), static_cast<const sixteen_t *>(from), count);
}

/* Eight chains per thread, which is more than the latency of one asks for. */
template <class T> __global__ void multiply_add_kernel(T *to, int rounds, T factor, T addend) {
  enum { CHAINS = 8 };
  T x[CHAINS];
  for (int c = 0; c < CHAINS; c++)
    x[c] = static_cast<T>(threadIdx.x + static_cast<unsigned>(c));
  for (int r = 0; r < rounds; r++)
#ifdef __CUDACC__
#pragma unroll
#endif
    for (int i = 0; i < FMA_PER_ROUND; i++)
      x[i % CHAINS] = fma(x[i % CHAINS], factor, addend);
  T sum = 0;
  for (int c = 0; c < CHAINS; c++)
    sum += x[c];
  to[static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x] = sum;
}

extern "C" cudaError_t multiply_add(void *to, int blocks, int rounds, int is_double, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(blocks)), block(FMA_THREADS);
  if (is_double)
    return SIMT_LAUNCH(multiply_add_kernel<double>, grid, block, 0, stream, static_cast<double *>(to), rounds, 0.999,
                       0.001);
  return SIMT_LAUNCH(multiply_add_kernel<float>, grid, block, 0, stream, static_cast<float *>(to), rounds, 0.999F,
                     0.001F);
}
