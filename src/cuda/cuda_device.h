/* SPDX-License-Identifier: BSD-3-Clause */
/* The device of a handle, and errors of the CUDA runtime. */
#ifndef SVDGRAD_CUDA_DEVICE_H
#define SVDGRAD_CUDA_DEVICE_H
#include "backend.h"
#include "launch.h"

typedef struct cuda_state {
  int device;
  size_t shared_bytes; /* most that a block may ask for */
} cuda_state_t;

const cuda_state_t *cuda_state(const context_t *context);
const cuda_kernels_t *cuda_kernels_of(svdgrad_dtype_t dtype);

/* Makes a context on the device, if there is none yet, which stays as long as the process; the current one is another's. */
void device_hold(int device);

/* Makes the handle's device current, of which device_hold has made the context; the guard remembers the caller's.
 * cudaSetDevice alone does not do: to go back to a device on which the caller has no context would make one there, which
 * takes some hundred megabytes and may even fail. */
typedef struct device_guard {
  int device, previous;
  int is_pushed; /* the context of the device is on the driver's stack of this thread, above the caller's */
} device_guard_t;
cudaError_t device_enter(device_guard_t *guard, int device);
void device_leave(const device_guard_t *guard);

/* SUCCESS, or BACKEND_ERROR with a message that names the function and what CUDA said; clears the pending error, which
 * would otherwise surface in the caller's next call. */
svdgrad_status_t cuda_status(const char *function, cudaError_t error);

#endif
