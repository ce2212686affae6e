// SPDX-License-Identifier: BSD-3-Clause
// Runtime functions about memory.
#include "device_memory.hpp"
#include "runtime.hpp"
#include "simt_test.h"
#include <stdlib.h>
#include <string.h>

using namespace simt;

// ---- allocation

static cudaError_t allocate_on(void **to, size_t bytes, int device) {
  *to = nullptr;
  if (!bytes)
    return cudaSuccess;
  use_device(device);
  *to = allocate(bytes, device);
  return *to ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}

SIMT_API cudaMalloc(void **to, size_t bytes) {
  SIMT_ENTER;
  note_forbidden("cudaMalloc");
  SIMT_TRY(forbid_while_capturing());
  return allocate_on(to, bytes, current_device());
}

SIMT_API cudaFree(void *p) {
  SIMT_ENTER;
  note_forbidden("cudaFree");
  SIMT_TRY(forbid_while_capturing());
  if (!p)
    return cudaSuccess;
  if (device_of(p) >= 0)
    run_device(device_of(p)); // it waits for all work
  return deallocate(p) ? cudaSuccess : fail(cudaErrorInvalidValue);
}

SIMT_API cudaMallocHost(void **to, size_t bytes) {
  SIMT_ENTER;
  note_forbidden("cudaMallocHost");
  SIMT_TRY(forbid_while_capturing());
  *to = malloc(bytes ? bytes : 1);
  return *to ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}

SIMT_API cudaFreeHost(void *p) {
  SIMT_ENTER;
  note_forbidden("cudaFreeHost");
  SIMT_TRY(forbid_while_capturing());
  run_device(current_device());
  free(p);
  return cudaSuccess;
}

// A GPU can capture these two; the shim cannot.
SIMT_API cudaMallocAsync(void **to, size_t bytes, cudaStream_t handle) {
  SIMT_ENTER;
  note_forbidden("cudaMallocAsync");
  const StreamPointer stream = find_stream(handle, current_device());
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  SIMT_TRY(forbid_in_capture(*stream));
  return allocate_on(to, bytes, stream->device);
}

SIMT_API cudaFreeAsync(void *p, cudaStream_t handle) {
  SIMT_ENTER;
  note_forbidden("cudaFreeAsync");
  const StreamPointer stream = find_stream(handle, current_device());
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  SIMT_TRY(forbid_in_capture(*stream));
  if (p && device_of(p) < 0)
    return fail(cudaErrorInvalidValue);
  return fail(add_work(stream, [p] { deallocate(p); }));
}

SIMT_API cudaPointerGetAttributes(struct cudaPointerAttributes *to, const void *p) {
  SIMT_ENTER;
  memset(to, 0, sizeof *to);
  to->device = device_of(p);
  to->type = to->device >= 0 ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  to->devicePointer = to->device >= 0 ? const_cast<void *>(p) : nullptr;
  to->hostPointer = to->device >= 0 ? nullptr : const_cast<void *>(p);
  if (to->device < 0)
    to->device = -2; // cudaInvalidDeviceId
  return cudaSuccess;
}

// ---- copies and fills

static bool fits(const void *p, size_t bytes, bool on_device) {
  return on_device ? is_device_range(p, bytes) : device_of(p) < 0;
}

static bool fits(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return !bytes || kind == cudaMemcpyDefault || (fits(to, bytes, to_device) && fits(from, bytes, from_device));
}

static cudaError_t add_copy(const StreamPointer &stream, void *to, const void *from, size_t bytes,
                            enum cudaMemcpyKind kind) {
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  if (!fits(to, from, bytes, kind))
    return fail(cudaErrorInvalidValue);
  return fail(add_work(stream, [=] { memmove(to, from, bytes); }));
}

static cudaError_t add_fill(const StreamPointer &stream, void *to, int value, size_t bytes) {
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  if (bytes && !is_device_range(to, bytes))
    return fail(cudaErrorInvalidValue);
  return fail(add_work(stream, [=] { memset(to, value, bytes); }));
}

SIMT_API cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t handle) {
  SIMT_ENTER;
  const StreamPointer stream = find_stream(handle, current_device());
  note_if_default(stream, "cudaMemcpyAsync on the default stream");
  return add_copy(stream, to, from, bytes, kind);
}

SIMT_API cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
  SIMT_ENTER;
  note_forbidden("cudaMemcpy");
  SIMT_TRY(forbid_while_capturing());
  const StreamPointer stream = find_stream(nullptr, current_device());
  SIMT_TRY(add_copy(stream, to, from, bytes, kind));
  run_stream(stream);
  return cudaSuccess;
}

SIMT_API cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t handle) {
  SIMT_ENTER;
  const StreamPointer stream = find_stream(handle, current_device());
  note_if_default(stream, "cudaMemsetAsync on the default stream");
  return add_fill(stream, to, value, bytes);
}

SIMT_API cudaMemset(void *to, int value, size_t bytes) { // returns before it is done, as on a GPU
  SIMT_ENTER;
  note_forbidden("cudaMemset");
  return add_fill(find_stream(nullptr, current_device()), to, value, bytes);
}

extern "C" size_t simt_leaked(void) {
  Call call;
  return allocation_count();
}
