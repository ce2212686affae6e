// SPDX-License-Identifier: BSD-3-Clause
// The lock that is held during every call of the runtime, kernels included.  The thread sanitizer must not see
// it: it would order all host code that calls CUDA, and so hide its races.  Nor must it see what the shim
// does meanwhile.  What a GPU does order is told in stream.cpp.
#pragma once
#include "sanitizers.hpp"

#ifndef SIMT_TSAN

#include <mutex>

namespace simt {

using BigLock = std::mutex;

} // namespace simt

#else

#include <unistd.h>

namespace simt {

class BigLock {
public:
  void lock() {
    while (__atomic_exchange_n(&taken_, true, __ATOMIC_ACQUIRE)) // not instrumented here
      usleep(50);
    ignore_accesses(true);
  }
  void unlock() {
    ignore_accesses(false);
    __atomic_store_n(&taken_, false, __ATOMIC_RELEASE);
  }

private:
  bool taken_ = false;
};

} // namespace simt

#endif
