// SPDX-License-Identifier: BSD-3-Clause
// The counter of calls that stream-ordered code must not make.
#include "simt.hpp"
#include "selftest.h"
#include "simt_test.h"

__global__ void set_kernel(int *at) { *at = 1; }
__global__ void unloaded_kernel(int *at) { *at = 2; }

int main(void) {
  cudaStream_t stream;
  cudaEvent_t event;
  int *data, *more, host;
  CUDA(cudaStreamCreate(&stream));
  CUDA(cudaEventCreate(&event));
  CUDA(cudaMalloc(&data, sizeof *data));

  CUDA(SIMT_LAUNCH(set_kernel, 1, 1, 0, stream, data)); // which loads it

  simt_forbidden_begin(); // what is allowed
  CUDA(SIMT_LAUNCH(set_kernel, 1, 1, 0, stream, data));
  CUDA(cudaMemsetAsync(data, 0, sizeof *data, stream));
  CUDA(cudaMemcpyAsync(&host, data, sizeof host, cudaMemcpyDeviceToHost, stream));
  CUDA(cudaEventRecord(event, stream));
  CUDA(cudaStreamWaitEvent(stream, event, 0));
  CHECK(simt_forbidden_end() == 0);

  simt_forbidden_begin(); // what is not
  CUDA(cudaMalloc(&more, sizeof *more));
  CUDA(cudaFree(more));
  CUDA(cudaMallocAsync(reinterpret_cast<void **>(&more), sizeof *more, stream));
  CUDA(cudaFreeAsync(more, stream));
  CUDA(cudaMemcpy(&host, data, sizeof host, cudaMemcpyDeviceToHost));
  CUDA(cudaStreamSynchronize(stream));
  CUDA(cudaDeviceSynchronize());
  CUDA(cudaEventSynchronize(event));
  CUDA(SIMT_LAUNCH(set_kernel, 1, 1, 0, 0, data));
  CUDA(SIMT_LAUNCH(unloaded_kernel, 1, 1, 0, stream, data));
  CUDA(cudaMemsetAsync(data, 0, sizeof *data, 0));
  CHECK(simt_forbidden_end() == 11);

  CUDA(cudaDeviceSynchronize()); // outside it does not matter
  CHECK(simt_forbidden_end() == 11);
  CUDA(cudaFree(data));
  CUDA(cudaEventDestroy(event));
  CUDA(cudaStreamDestroy(stream));
  return 0;
}
