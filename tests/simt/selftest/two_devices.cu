// SPDX-License-Identifier: BSD-3-Clause
// Run with SIMT_DEVICES=2.  Everything belongs to the device that was current when it was made.
#include "simt.hpp"
#include "selftest.h"
#include "simt_test.h"
#include <thread>

__global__ void set_kernel(int *at) { *at = 1; }

template <class F> static F driver_function(const char *name) {
  void *found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  CUDA(cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result));
  CHECK(found && result == cudaDriverEntryPointSuccess);
  return reinterpret_cast<F>(found);
}

// A context on top of the driver's stack is the current one; below it all stays as it was.
static void check_contexts() {
  int device = -1;
  void *context = nullptr;
  CUDA(cudaGetDevice(&device));
  CHECK(device == 0 && !simt_has_context(0) && !simt_has_context(1));
  CHECK(driver_function<int (*)(void **, int)>("cuDevicePrimaryCtxRetain")(&context, 1) == 0);
  CHECK(driver_function<int (*)(void *)>("cuCtxPushCurrent")(context) == 0);
  CUDA(cudaGetDevice(&device));
  CHECK(device == 1);
  CHECK(driver_function<int (*)(void **)>("cuCtxPopCurrent")(&context) == 0);
  CUDA(cudaGetDevice(&device));
  CHECK(device == 0 && !simt_has_context(0) && simt_has_context(1));
  CUDA(cudaSetDevice(0));
  CHECK(simt_has_context(0));
}

static void check_ownership() {
  int count = 0, device = -1, value = 0;
  CUDA(cudaGetDeviceCount(&count));
  CHECK(count == 2);
  CUDA_GIVES(cudaErrorInvalidDevice, cudaSetDevice(2));
  CUDA(cudaFuncSetAttribute(set_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 65536));
  CUDA(cudaSetDevice(1));
  std::thread([] { // the current device belongs to the thread
    int other = -1;
    CUDA(cudaGetDevice(&other));
    CHECK(other == 0);
  })
      .join();
  CUDA(cudaGetDevice(&device));
  CHECK(device == 1);
  int *data;
  cudaStream_t stream;
  cudaPointerAttributes attributes;
  CUDA(cudaMalloc(&data, sizeof *data));
  CUDA(cudaPointerGetAttributes(&attributes, data));
  CHECK(attributes.type == cudaMemoryTypeDevice && attributes.device == 1);
  CUDA(cudaStreamCreate(&stream));
  // An attribute is set for one device.
  CUDA_GIVES(cudaErrorInvalidValue, SIMT_LAUNCH(set_kernel, 1, 1, 65536, stream, data));
  CUDA(SIMT_LAUNCH(set_kernel, 1, 1, 0, stream, data));
  CUDA(cudaStreamSynchronize(stream));
  CUDA(cudaSetDevice(0));
  CUDA_GIVES(cudaErrorInvalidResourceHandle, SIMT_LAUNCH(set_kernel, 1, 1, 0, stream, data));
  CUDA(cudaMemcpyAsync(&value, data, sizeof value, cudaMemcpyDeviceToHost, stream)); // copies need not be current
  CUDA(cudaStreamSynchronize(stream));
  CHECK(value == 1);
  CUDA(cudaFree(data));
  CUDA(cudaStreamDestroy(stream));
}

int main(int argc, char **argv) {
  if (CASE("right")) {
    check_contexts();
    check_ownership();
  } else if (CASE("bug-memory-of-the-other")) {
    int *data;
    CUDA(cudaMalloc(&data, sizeof *data));
    CUDA(cudaSetDevice(1));
    CUDA(SIMT_LAUNCH(set_kernel, 1, 1, 0, 0, data));
    CUDA(cudaDeviceSynchronize());
  } else
    NO_SUCH_CASE;
  return 0;
}
