/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_device.h"

#include "base/error.h"

const cuda_state_t *cuda_state(const context_t *context) { return context->state; }

const cuda_kernels_t *cuda_kernels_of(svdgrad_dtype_t dtype) {
  switch (dtype) {
  case SVDGRAD_F32: return &svdgrad_cuda_kernels_f32;
  case SVDGRAD_F64: return &svdgrad_cuda_kernels_f64;
  case SVDGRAD_C64: return &svdgrad_cuda_kernels_c64;
  case SVDGRAD_C128: break;
  }
  return &svdgrad_cuda_kernels_c128;
}

cudaError_t device_enter(device_guard_t *guard, int device) {
  guard->device = guard->previous = device;
  const cudaError_t error = cudaGetDevice(&guard->previous);
  return error || guard->previous == device ? error : cudaSetDevice(device);
}

void device_leave(const device_guard_t *guard) {
  if (guard->previous != guard->device)
    (void)cudaSetDevice(guard->previous);
}

svdgrad_status_t cuda_status(const char *function, cudaError_t error) {
  if (error == cudaSuccess)
    return SVDGRAD_STATUS_SUCCESS;
  (void)cudaGetLastError();
  return error_status(SVDGRAD_STATUS_BACKEND_ERROR, "%s: CUDA error %d: %s", function, (int)error,
                      cudaGetErrorString(error));
}
