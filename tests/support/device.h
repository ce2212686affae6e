/* SPDX-License-Identifier: BSD-3-Clause */
/* Operands of a call in the memory of the backend: host memory itself, or device copies of it during the call. */
#ifndef TEST_DEVICE_H
#define TEST_DEVICE_H
#include "buffer.h"

#include <stddef.h>
#include <svdgrad/svdgrad.h>

enum { DEVICE_COPIES = 16 };

typedef struct device_call {
  int on_device;
  void *stream;
  int count;
  struct {
    void *host, *device, *allocation;
    size_t bytes;
  } copy[DEVICE_COPIES];
} device_call_t;

device_call_t device_call_begin(svdgrad_backend_t backend);

/* Where the backend finds `bytes` bytes of `host`. */
void *device_call_memory(device_call_t *call, void *host, size_t bytes);
svdgrad_matrix_t device_call_matrix(device_call_t *call, const buffer_t *buffer);
svdgrad_vector_t device_call_vector(device_call_t *call, const buffer_t *buffer);

/* Waits for the stream and copies everything back.  On failure of the device: prints and aborts. */
void device_call_end(device_call_t *call);

/* Whether the build has the CUDA backend and a device to test it on. */
int device_is_there(void);

#endif
