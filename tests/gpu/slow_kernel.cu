/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../src/cuda/kernels/launch_kernel.cuh"

#include "slow_kernel.h"

/* One block of 256 threads, so that no thread copies before the clock of the block says so. */
__global__ void slow_copy_kernel(unsigned char *to, const unsigned char *from, size_t bytes, long long ticks) {
#ifdef __CUDACC__
  if (threadIdx.x == 0) {
    const long long start = clock64();
    while (clock64() - start < ticks) {}
  }
#else
  (void)ticks;
#endif
  __syncthreads();
  for (size_t i = threadIdx.x; i < bytes; i += blockDim.x)
    to[i] = from[i];
}

extern "C" cudaError_t slow_copy(void *to, const void *from, size_t bytes, int milliseconds, cudaStream_t stream) {
  const long long ticks_per_millisecond = 1500000; /* clock64 counts the multiprocessor's clock: 1 to 2 GHz */
  return SIMT_LAUNCH(slow_copy_kernel, dim3(1), dim3(256), 0, stream, static_cast<unsigned char *>(to),
                     static_cast<const unsigned char *>(from), bytes, milliseconds * ticks_per_millisecond);
}
