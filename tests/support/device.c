/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#if TEST_HAVE_CUDA
#include <cuda_runtime_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#if TEST_SIMT
#include "simt_test.h"
#endif

static void check(cudaError_t error) {
  if (error == cudaSuccess)
    return;
  fprintf(stderr, "test: CUDA error %d: %s\n", (int)error, cudaGetErrorString(error));
  abort();
}

int device_is_there(void) {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

device_call_t device_call_begin(svdgrad_backend_t backend) {
  device_call_t call = {.on_device = backend == SVDGRAD_BACKEND_CUDA};
  cudaStream_t stream = NULL;
  if (call.on_device)
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  call.stream = stream;
  return call;
}

void *device_call_memory(device_call_t *call, void *host, size_t bytes) {
  void *device = NULL;
  if (!call->on_device || !host || bytes == 0)
    return host;
  /* Misaligned here, misaligned there; or, where TEST_ALIGNED asks for it, aligned as frameworks align memory. */
  const size_t offset = getenv("TEST_ALIGNED") ? 0 : (uintptr_t)host % 256;
  check(cudaMalloc(&device, offset + bytes));
  call->copy[call->count].allocation = device;
  device = (unsigned char *)device + offset;
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, (cudaStream_t)call->stream));
  call->copy[call->count].host = host;
  call->copy[call->count].device = device;
  call->copy[call->count++].bytes = bytes;
  return device;
}

/* A stream holds about 1,024 launches: where a call queues more, the host waits for the device.  The copies are counted,
 * too; of a GPU's stream nobody tells the number. */
static void check_queue(const device_call_t *call) {
#if TEST_SIMT
  enum { STREAM_HOLDS = 1000 };
  if (simt_queued(call->stream) <= STREAM_HOLDS)
    return;
  fprintf(stderr, "test: a call has queued %zu pieces of work, a stream holds %d\n", simt_queued(call->stream),
          (int)STREAM_HOLDS);
  abort();
#else
  (void)call;
#endif
}

void device_call_end(device_call_t *call) {
  if (!call->on_device)
    return;
  const cudaStream_t stream = (cudaStream_t)call->stream;
  check_queue(call);
  for (int i = 0; i < call->count; i++)
    check(
        cudaMemcpyAsync(call->copy[i].host, call->copy[i].device, call->copy[i].bytes, cudaMemcpyDeviceToHost, stream));
  check(cudaStreamSynchronize(stream));
  for (int i = 0; i < call->count; i++)
    check(cudaFree(call->copy[i].allocation));
  check(cudaStreamDestroy(stream));
}

#else

int device_is_there(void) { return 0; }

device_call_t device_call_begin(svdgrad_backend_t backend) {
  (void)backend;
  return (device_call_t){0};
}

void *device_call_memory(device_call_t *call, void *host, size_t bytes) {
  (void)call;
  (void)bytes;
  return host;
}

void device_call_end(device_call_t *call) { (void)call; }

#endif

svdgrad_matrix_t device_call_matrix(device_call_t *call, const buffer_t *buffer) {
  svdgrad_matrix_t matrix = buffer->matrix;
  if (!matrix.data) /* the test passes NULL on purpose */
    return matrix;
  unsigned char *memory = device_call_memory(call, buffer->memory, buffer->bytes);
  matrix.data = memory + ((unsigned char *)buffer->matrix.data - buffer->memory);
  return matrix;
}

svdgrad_vector_t device_call_vector(device_call_t *call, const buffer_t *buffer) {
  return (svdgrad_vector_t){device_call_matrix(call, buffer).data, buffer->vector.stride, buffer->vector.batch_stride};
}
