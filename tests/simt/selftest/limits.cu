// SPDX-License-Identifier: BSD-3-Clause
// Limits of a launch, and misuse that the shim itself reports.
#include "simt.hpp"
#include "selftest.h"

__global__ void write_kernel(float *out) { out[0] = 1; }
__global__ void uninitialised_kernel(float *out) {
  SIMT_DYN_SHARED(float, s);
  out[threadIdx.x] = s[threadIdx.x];
}
// Two blocks: neither sees what the other has left.
template <class T> __device__ T *left_behind() {
  __shared__ T of_a_function[32];
  return of_a_function;
}
template <class T> __global__ void uninitialised_static_kernel(T *out) {
  __shared__ T own[32];
  out[threadIdx.x] = own[threadIdx.x];
  out[32 + threadIdx.x] = left_behind<T>()[threadIdx.x];
  own[threadIdx.x] = left_behind<T>()[threadIdx.x] = 1;
}
__global__ void large_static_kernel(float *out) {
  __shared__ float large[10 << 10]; // 40 KiB
  large[threadIdx.x] = 1;
  __syncwarp();
  out[threadIdx.x] = large[31 - threadIdx.x];
}
template <int N> __global__ void __launch_bounds__(2 * N, 1) bounded_kernel(float *out) { out[0] = N; }
__global__ void overrun_kernel(float *out) {
  SIMT_DYN_SHARED(float, s);
  s[32 + threadIdx.x] = 1;
  out[0] = s[0];
}
__global__ void global_overrun_kernel(float *out) { out[64 + threadIdx.x] = 1; }
__global__ void outside_mask_kernel(float *out) {
  if (threadIdx.x < 16)
    out[threadIdx.x] = __shfl_xor_sync(0xffffu, 1.0f, 16);
}
__global__ void wrong_mask_kernel(float *out) {
  if (threadIdx.x < 16)
    out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  else
    __syncwarp();
}
__global__ void copy_kernel(float *out) { out[1] = out[0]; }

static void check_limits(float *out) {
  CUDA_GIVES(cudaErrorInvalidValue, SIMT_LAUNCH(write_kernel, 1, 32, 49153, 0, out));
  CUDA(cudaFuncSetAttribute(write_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 232448));
  CUDA(SIMT_LAUNCH(write_kernel, 1, 32, 232448, 0, out));
  CUDA_GIVES(cudaErrorInvalidValue,
             cudaFuncSetAttribute(write_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 232449));
  CUDA_GIVES(cudaErrorInvalidConfiguration, SIMT_LAUNCH(write_kernel, 1, 1056, 0, 0, out));
  CUDA_GIVES(cudaErrorInvalidConfiguration, SIMT_LAUNCH(write_kernel, dim3(1, 65536), 32, 0, 0, out));
  CUDA_GIVES(cudaErrorInvalidConfiguration, SIMT_LAUNCH(write_kernel, 0, 32, 0, 0, out));
  CUDA(SIMT_LAUNCH((bounded_kernel<64>), 1, 128, 0, 0, out));
  CUDA_GIVES(cudaErrorLaunchOutOfResources, SIMT_LAUNCH((bounded_kernel<64>), 1, 160, 0, 0, out));
  CUDA_GIVES(cudaErrorLaunchOutOfResources, SIMT_LAUNCH((bounded_kernel<16>), 1, dim3(16, 3), 0, 0, out));
  CHECK(cudaFree(&out) == cudaErrorInvalidValue && cudaPeekAtLastError() == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess);
}

// The limits are those of static and dynamic memory together.
static void check_static_memory(float *out) {
  struct cudaFuncAttributes attributes;
  CUDA(cudaFuncGetAttributes(&attributes, large_static_kernel));
  CHECK(attributes.sharedSizeBytes == 40 << 10 && attributes.maxDynamicSharedSizeBytes == 8 << 10);
  CUDA(SIMT_LAUNCH(large_static_kernel, 1, 32, 8 << 10, 0, out));
  CUDA_GIVES(cudaErrorInvalidValue, SIMT_LAUNCH(large_static_kernel, 1, 32, (8 << 10) + 1, 0, out));
  const int most = 232448 - (40 << 10);
  CUDA_GIVES(cudaErrorInvalidValue,
             cudaFuncSetAttribute(large_static_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most + 1));
  CUDA(cudaFuncSetAttribute(large_static_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most));
  CUDA(SIMT_LAUNCH(large_static_kernel, 1, 32, static_cast<size_t>(most), 0, out));
  for (int launch = 0; launch < 2; launch++) {
    float host[64];
    CUDA(SIMT_LAUNCH((uninitialised_static_kernel<float>), 2, 32, 0, 0, out));
    CUDA(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
    for (float x : host)
      CHECK(isnan(x));
  }
}

static void check_memory(float *out) {
  float host[32], other[1];
  CUDA_GIVES(cudaErrorInvalidValue, cudaMemcpy(host, other, 4, cudaMemcpyDeviceToHost));
  CUDA_GIVES(cudaErrorInvalidValue, cudaMemcpy(out, host, 260, cudaMemcpyHostToDevice));
  CUDA(SIMT_LAUNCH(uninitialised_kernel, 1, 32, 128, 0, out));
  CUDA(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
  for (float x : host)
    CHECK(isnan(x));
}

// The arguments of a launch are copied at the launch.
static void check_arguments(float *out) {
  struct {
    float *at;
  } holder = {out};
  cudaStream_t stream;
  CUDA(cudaStreamCreate(&stream));
  CUDA(SIMT_LAUNCH(write_kernel, 1, 1, 0, stream, holder.at));
  CUDA(SIMT_LAUNCH(copy_kernel, 1, 1, 0, stream, holder.at));
  holder.at = nullptr;
  CUDA(cudaStreamSynchronize(stream));
  float host[2];
  CUDA(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
  CHECK(host[0] == 1 && host[1] == 1);
  CUDA(cudaStreamDestroy(stream));
}

int main(int argc, char **argv) {
  float *out;
  CUDA(cudaMalloc(&out, 64 * sizeof *out));
  if (CASE("right")) {
    check_limits(out);
    check_memory(out);
    check_static_memory(out);
    check_arguments(out);
  } else if (CASE("bug-dynamic-shared-overrun"))
    CUDA(SIMT_LAUNCH(overrun_kernel, 1, 32, 128, 0, out));
  else if (CASE("bug-global-overrun"))
    CUDA(SIMT_LAUNCH(global_overrun_kernel, 1, 32, 0, 0, out));
  else if (CASE("bug-lane-outside-mask")) {
    CUDA(SIMT_LAUNCH(outside_mask_kernel, 1, 32, 0, 0, out));
    float x;
    CUDA(cudaMemcpy(&x, out, sizeof x, cudaMemcpyDeviceToHost));
    return isnan(x);
  } else if (CASE("bug-wrong-mask"))
    CUDA(SIMT_LAUNCH(wrong_mask_kernel, 1, 32, 0, 0, out));
  else
    NO_SUCH_CASE;
  CUDA(cudaDeviceSynchronize());
  CUDA(cudaFree(out));
  return 0;
}
