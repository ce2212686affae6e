// SPDX-License-Identifier: BSD-3-Clause
// The functions through which the sanitizers are told of fibres and of barriers.  SIMT_TSAN and SIMT_ASAN say
// which sanitizer the program is built with; the shim itself is never instrumented by the thread sanitizer.
#pragma once
#include <stddef.h>

#ifdef SIMT_TSAN
extern "C" {
void *__tsan_get_current_fiber();
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fibre);
void __tsan_switch_to_fiber(void *fibre, unsigned flags);
void __tsan_set_fiber_name(void *fibre, const char *name);
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
}
#endif

#ifdef SIMT_ASAN
extern "C" {
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **old_bottom, size_t *old_size);
}
#endif

namespace simt {

// What a thread did before release(p) is ordered before what another does after acquire(p).
inline void release([[maybe_unused]] void *p) {
#ifdef SIMT_TSAN
  __tsan_release(p);
#endif
}
inline void acquire([[maybe_unused]] void *p) {
#ifdef SIMT_TSAN
  __tsan_acquire(p);
#endif
}

// What this stack does is of no interest to the race check; fibres have stacks of their own.
inline void ignore_accesses([[maybe_unused]] bool ignore) {
#ifdef SIMT_TSAN
  if (ignore) {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  } else {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
#endif
}

} // namespace simt
