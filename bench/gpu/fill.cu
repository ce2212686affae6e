/* SPDX-License-Identifier: BSD-3-Clause */
/* Random matrices: splitmix64 of seed and index, then Box and Muller (tests/support/random.c). */
#include "../../src/cuda/kernels/launch_kernel.cuh"

#include "device_work.h"

static __device__ uint64_t mixed(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static __device__ double uniform(uint64_t seed, uint64_t i) {
  const uint64_t bits = mixed(seed * 0xd1342543de82ef95u + (i + 1) * 0x9e3779b97f4a7c15u);
  return static_cast<double>(bits >> 11) * (1.0 / 9007199254740992.0);
}

template <class T> __global__ void fill_kernel(T *to, int64_t count, uint64_t seed) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    const uint64_t at = 2 * static_cast<uint64_t>(i);
    to[i] = static_cast<T>(sqrt(-2 * log(1 - uniform(seed, at))) * cos(6.283185307179586477 * uniform(seed, at + 1)));
  }
}

extern "C" cudaError_t fill_normal(void *to, int64_t count, int is_double, uint64_t seed, cudaStream_t stream) {
  const int64_t wanted = (count + 255) / 256, most = 1 << 16;
  const dim3 grid(static_cast<unsigned>(wanted < 1 ? 1 : wanted < most ? wanted : most)), block(256);
  if (is_double)
    return SIMT_LAUNCH(fill_kernel<double>, grid, block, 0, stream, static_cast<double *>(to), count, seed);
  return SIMT_LAUNCH(fill_kernel<float>, grid, block, 0, stream, static_cast<float *>(to), count, seed);
}
