/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_device.h"

#include "base/error.h"

#include <pthread.h>
#include <string.h>

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

/* Functions of the driver, which nothing is linked with; their error is 0 if all is well.  CUDA C Driver API, "Primary
 * Context Management" and "Context Management". */
typedef struct driver {
  int (*device_get)(int *device, int ordinal);
  int (*context_retain)(void **context, int device);
  int (*context_release)(int device);
  int (*context_push)(void *context);
  int (*context_pop)(void **context);
  int is_there;
} driver_t;

static driver_t driver;

static int find_function(const char *name, void *to) {
  enum cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  void *found = NULL;
#if CUDART_VERSION >= 12050
  const cudaError_t error = cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result);
#else
  const cudaError_t error = cudaGetDriverEntryPoint(name, &found, cudaEnableDefault, &result);
#endif
  if (error)
    (void)cudaGetLastError();       /* or the next launch would report it */
  memcpy(to, &found, sizeof found); /* C has no conversion from void * to a function */
  return !error && result == cudaDriverEntryPointSuccess && found;
}

static void find_driver(void) {
  driver.is_there = find_function("cuDeviceGet", &driver.device_get) &&
                    find_function("cuDevicePrimaryCtxRetain", &driver.context_retain) &&
                    find_function("cuDevicePrimaryCtxRelease", &driver.context_release) &&
                    find_function("cuCtxPushCurrent", &driver.context_push) &&
                    find_function("cuCtxPopCurrent", &driver.context_pop);
}

/* Takes one more reference to the primary context of a device; 0 where the driver cannot give it. */
static int retain_context(int ordinal, int *device, void **context) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, find_driver);
  return driver.is_there && !driver.device_get(device, ordinal) && !driver.context_retain(context, *device);
}

void device_hold(int device) {
  int of_driver;
  void *context;
  (void)retain_context(device, &of_driver, &context);
}

static int push_device(int ordinal) {
  int device;
  void *context;
  if (!retain_context(ordinal, &device, &context))
    return 0;
  if (!driver.context_push(context))
    return 1;
  (void)driver.context_release(device);
  return 0;
}

static void pop_device(int ordinal) {
  int device;
  void *context;
  (void)driver.context_pop(&context);
  if (!driver.device_get(&device, ordinal))
    (void)driver.context_release(device); /* not the last one: device_hold has another */
}

cudaError_t device_enter(device_guard_t *guard, int device) {
  *guard = (device_guard_t){device, device, 0};
  const cudaError_t error = cudaGetDevice(&guard->previous);
  if (error || guard->previous == device)
    return error;
  guard->is_pushed = push_device(device);
  return guard->is_pushed ? cudaSuccess : cudaSetDevice(device);
}

void device_leave(const device_guard_t *guard) {
  if (guard->is_pushed)
    pop_device(guard->device);
  else if (guard->previous != guard->device)
    (void)cudaSetDevice(guard->previous);
}

svdgrad_status_t cuda_status(const char *function, cudaError_t error) {
  if (error == cudaSuccess)
    return SVDGRAD_STATUS_SUCCESS;
  (void)cudaGetLastError();
  return error_status(SVDGRAD_STATUS_BACKEND_ERROR, "%s: CUDA error %d: %s", function, (int)error,
                      cudaGetErrorString(error));
}
