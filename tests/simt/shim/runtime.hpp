// SPDX-License-Identifier: BSD-3-Clause
// What the functions of the fake runtime share.  One lock is held during every call, kernels included
// (big_lock.hpp): they run one at a time, whichever thread waits for them.
#pragma once
#include "stream.hpp"
#include <cuda_runtime_api.h>

namespace simt {

// Opens every runtime function.  `refused` is the error of a call that may not be made at all: on a machine
// without a driver, or from work that runs in a stream (cudaLaunchHostFunc).
class Call {
public:
  Call();
  ~Call();
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;
  cudaError_t refused = cudaSuccess;

private:
  bool locked_ = false;
};

cudaError_t fail(cudaError_t error); // keeps it for cudaGetLastError
int current_device();
void use_device(int used); // makes its context, if there is none

void note_forbidden(const char *name); // simt_test.h counts these
void note_if_default(const StreamPointer &stream, const char *name);

} // namespace simt

#define SIMT_API extern "C" cudaError_t
#define SIMT_ENTER                                                                                                     \
  simt::Call call;                                                                                                     \
  if (call.refused)                                                                                                    \
  return simt::fail(call.refused)
// Returns from the caller with an error, if there is one.
#define SIMT_TRY(expression)                                                                                           \
  do {                                                                                                                 \
    if (cudaError_t error_ = (expression))                                                                             \
      return simt::fail(error_);                                                                                       \
  } while (0)
