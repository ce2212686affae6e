// SPDX-License-Identifier: BSD-3-Clause
// Runtime functions about errors, versions and devices.
#include "runtime.hpp"
#include "big_lock.hpp"
#include "crash_report.hpp"
#include "options.hpp"
#include "simt_test.h"
#include <set>
#include <string.h>
#include <vector>

namespace simt {

static BigLock big_lock;
static thread_local bool in_call;
static thread_local cudaError_t last_error;
static thread_local int device;

Call::Call() {
  if (options().no_gpu)
    refused = cudaErrorInsufficientDriver;
  else if (options().devices < 1)
    refused = cudaErrorNoDevice;
  else if (in_call)
    refused = cudaErrorNotPermitted;
  else {
    big_lock.lock();
    in_call = locked_ = true;
    report_crashes();
  }
}

Call::~Call() {
  if (!locked_)
    return;
  in_call = false;
  big_lock.unlock();
}

cudaError_t fail(cudaError_t error) {
  if (error)
    last_error = error;
  return error;
}

// The driver's stack of contexts, by their devices.  Under it is what cudaSetDevice has set.
static thread_local std::vector<int> pushed;

int current_device() { return pushed.empty() ? device : pushed.back(); }

static std::set<int> &contexts() { // devices that have one
  static auto &all = *new std::set<int>;
  return all;
}

void use_device(int used) { contexts().insert(used); }

} // namespace simt

using namespace simt;

// ---- errors and versions

SIMT_API cudaGetLastError(void) {
  const cudaError_t error = cudaPeekAtLastError();
  last_error = cudaSuccess;
  return error;
}

SIMT_API cudaPeekAtLastError(void) { return options().no_gpu ? cudaErrorInsufficientDriver : last_error; }

static const struct {
  cudaError_t error;
  const char *name, *text;
} errors[] = {
#define ERROR(e, text)                                                                                                 \
  { e, #e, text }
    ERROR(cudaSuccess, "no error"),
    ERROR(cudaErrorInvalidValue, "invalid argument"),
    ERROR(cudaErrorMemoryAllocation, "out of memory"),
    ERROR(cudaErrorInitializationError, "initialization error"),
    ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    ERROR(cudaErrorNotReady, "device not ready"),
    ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    ERROR(cudaErrorNotPermitted, "operation not permitted"),
    ERROR(cudaErrorNotSupported, "operation not supported"),
    ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    ERROR(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"),
    ERROR(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    ERROR(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    ERROR(cudaErrorStreamCaptureImplicit,
          "operation would make the legacy stream depend on a capturing blocking stream"),
    ERROR(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    ERROR(cudaErrorStreamCaptureWrongThread,
          "attempt to terminate a thread-local capture sequence from another thread"),
    ERROR(cudaErrorUnknown, "unknown error"),
#undef ERROR
};

extern "C" const char *cudaGetErrorName(cudaError_t error) {
  for (const auto &e : errors)
    if (e.error == error)
      return e.name;
  return "unrecognized error code";
}

extern "C" const char *cudaGetErrorString(cudaError_t error) {
  for (const auto &e : errors)
    if (e.error == error)
      return e.text;
  return "unrecognized error code";
}

SIMT_API cudaRuntimeGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

SIMT_API cudaDriverGetVersion(int *version) {
  *version = options().no_gpu ? 0 : CUDART_VERSION;
  return cudaSuccess;
}

// ---- devices

SIMT_API cudaGetDeviceCount(int *count) {
  SIMT_ENTER;
  *count = options().devices;
  return cudaSuccess;
}

SIMT_API cudaGetDevice(int *to) {
  SIMT_ENTER;
  *to = current_device();
  return cudaSuccess;
}

SIMT_API cudaSetDevice(int to) {
  SIMT_ENTER;
  if (to < 0 || to >= options().devices)
    return fail(cudaErrorInvalidDevice);
  (pushed.empty() ? device : pushed.back()) = to;
  use_device(to); // since CUDA 12
  return cudaSuccess;
}

SIMT_API cudaDeviceSynchronize(void) {
  SIMT_ENTER;
  note_forbidden("cudaDeviceSynchronize");
  SIMT_TRY(forbid_while_capturing());
  run_device(current_device());
  return cudaSuccess;
}

// The figures of an H100.
static const struct {
  cudaDeviceAttr attribute;
  int value;
} attributes[] = {
    {cudaDevAttrMaxThreadsPerBlock, 1024},
    {cudaDevAttrMaxGridDimX, 2147483647},
    {cudaDevAttrMaxGridDimY, 65535},
    {cudaDevAttrMaxGridDimZ, 65535},
    {cudaDevAttrMaxSharedMemoryPerBlock, 49152},
    {cudaDevAttrWarpSize, 32},
    {cudaDevAttrMaxRegistersPerBlock, 65536},
    {cudaDevAttrMultiProcessorCount, 132},
    {cudaDevAttrL2CacheSize, 52428800},
    {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
    {cudaDevAttrComputeCapabilityMajor, 9},
    {cudaDevAttrComputeCapabilityMinor, 0},
    {cudaDevAttrMaxSharedMemoryPerMultiprocessor, 233472},
    {cudaDevAttrMaxRegistersPerMultiprocessor, 65536},
    {cudaDevAttrMaxBlocksPerMultiprocessor, 32},
    {cudaDevAttrReservedSharedMemoryPerBlock, 1024},
    {cudaDevAttrMemoryPoolsSupported, 1},
};

SIMT_API cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int of) {
  SIMT_ENTER;
  if (of < 0 || of >= options().devices)
    return fail(cudaErrorInvalidDevice);
  if (attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin) {
    *value = options().shared_kib * 1024;
    return cudaSuccess;
  }
  for (const auto &a : attributes)
    if (a.attribute == attribute) {
      *value = a.value;
      return cudaSuccess;
    }
  return fail(cudaErrorInvalidValue); // add it to the table
}

// ---- the driver's functions for contexts; one of these is its device + 1

enum { driver_success = 0, driver_invalid_value = 1, driver_not_initialized = 3, driver_invalid_context = 201 };

static void *context_of(int of) { return reinterpret_cast<void *>(static_cast<intptr_t>(of) + 1); }

static int driver_device_get(int *to, int ordinal) {
  Call call;
  if (call.refused)
    return driver_not_initialized;
  *to = ordinal;
  return ordinal >= 0 && ordinal < options().devices ? driver_success : driver_invalid_value;
}

static int driver_context_retain(void **to, int of) {
  Call call;
  if (call.refused)
    return driver_not_initialized;
  use_device(of);
  *to = context_of(of);
  return driver_success;
}

static int driver_context_release(int) { return driver_success; }

static int driver_context_push(void *context) {
  Call call;
  if (call.refused)
    return driver_not_initialized;
  pushed.push_back(static_cast<int>(reinterpret_cast<intptr_t>(context)) - 1);
  return driver_success;
}

static int driver_context_pop(void **to) {
  Call call;
  if (call.refused || pushed.empty())
    return driver_invalid_context;
  *to = context_of(pushed.back());
  pushed.pop_back();
  return driver_success;
}

SIMT_API cudaGetDriverEntryPointByVersion(const char *symbol, void **to, unsigned, unsigned long long,
                                          enum cudaDriverEntryPointQueryResult *result) {
  SIMT_ENTER;
  static const struct {
    const char *name;
    void *function;
  } functions[] = {{"cuDeviceGet", reinterpret_cast<void *>(driver_device_get)},
                   {"cuDevicePrimaryCtxRetain", reinterpret_cast<void *>(driver_context_retain)},
                   {"cuDevicePrimaryCtxRelease", reinterpret_cast<void *>(driver_context_release)},
                   {"cuCtxPushCurrent", reinterpret_cast<void *>(driver_context_push)},
                   {"cuCtxPopCurrent", reinterpret_cast<void *>(driver_context_pop)}};
  *to = nullptr;
  for (const auto &f : functions)
    if (!strcmp(f.name, symbol))
      *to = f.function;
  if (result)
    *result = *to ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

extern "C" int simt_has_context(int of) {
  Call call;
  return contexts().count(of) != 0;
}
