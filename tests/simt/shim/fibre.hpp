// SPDX-License-Identifier: BSD-3-Clause
// A fibre is a stack of its own that the host thread can step onto and off again.
#pragma once
#include <stddef.h>

namespace simt {

class Fibre {
public:
  // `body` must never return.  `number` sets the tops of stacks apart: at equal distances of whole pages they would share
  // a few lines of the cache.
  Fibre(void (*body)(), int number, const char *name);
  void resume();                                    // from the host: run it; returns when one suspends itself
  static void suspend();                            // from a fibre: back to the host
  void take_over();                                 // from another fibre, which waits: run this one
  void *sanitizer_handle() const { return tsan_; }  // what the thread sanitizer calls it

  void free_stack();                                // it never runs again

  static constexpr size_t stack_bytes = 256 << 10;

private:
  static void enter();
  static void arrive(void *fake_stack);

  void (*body_)();
  char *stack_;
  void *stack_pointer_ = nullptr;
  void *context_ = nullptr; // ucontext_t, where there is no switch in assembler
  void *tsan_ = nullptr;
  void *fake_stack_ = nullptr; // of the address sanitizer
};

} // namespace simt
