// SPDX-License-Identifier: BSD-3-Clause
// A fibre is a stack of its own that the host thread can step onto and off again.
#pragma once
#include <stddef.h>

namespace simt {

class Fibre {
public:
  explicit Fibre(void (*body)(), const char *name); // body must never return
  void resume();                                    // run it; returns when it suspends itself
  static void suspend();                            // from within: back to who resumed it
  void *sanitizer_handle() const { return tsan_; }  // what the thread sanitizer calls it

  static constexpr size_t stack_bytes = 256 << 10;

private:
  static void enter();

  void (*body_)();
  char *stack_;
  void *stack_pointer_ = nullptr;
  void *context_ = nullptr; // ucontext_t, where there is no switch in assembler
  void *tsan_ = nullptr;
  void *fake_stack_ = nullptr; // of the address sanitizer
};

} // namespace simt
