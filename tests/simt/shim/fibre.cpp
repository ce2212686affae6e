// SPDX-License-Identifier: BSD-3-Clause
// Fibres are never freed: a pool of them serves all launches.
#include "fibre.hpp"
#include "options.hpp"
#include "sanitizers.hpp"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__x86_64__) && !defined(SIMT_UCONTEXT)
#define SIMT_SWITCH_ASM 1
// simt_switch(save, load): pushes the callee-saved registers, changes stacks, pops.  Ten times as fast as
// swapcontext, which makes a system call for the signal mask.
asm(R"(
.text
.hidden simt_switch
.globl simt_switch
.type simt_switch,@function
simt_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp,(%rdi)
  mov %rsi,%rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size simt_switch,.-simt_switch
)");
extern "C" __attribute__((visibility("hidden"))) void simt_switch(void **save, void *load);
#endif

namespace simt {

static const size_t page = 4096;

// The stack that resumed the first of the fibres.  Only one fibre runs at a time in the process.
static struct {
  void *stack_pointer;
  ucontext_t context;
  void *tsan;
  const void *stack;
  size_t stack_bytes;
  bool left_last; // that of a fibre otherwise
} host;
static Fibre *running;

// The sanitizers hear of a change of stack before it and (ASan) after it.

static void before_switch([[maybe_unused]] void *tsan, [[maybe_unused]] void **fake_stack,
                          [[maybe_unused]] const void *stack, [[maybe_unused]] size_t bytes) {
#ifdef SIMT_TSAN
  __tsan_switch_to_fiber(tsan, 1); // 1: the change itself orders nothing
#endif
#ifdef SIMT_ASAN
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
#endif
}

static void after_switch([[maybe_unused]] void *fake_stack, [[maybe_unused]] const void **old_stack,
                         [[maybe_unused]] size_t *old_bytes) {
#ifdef SIMT_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, old_stack, old_bytes);
#endif
}

Fibre::Fibre(void (*body)(), int number, [[maybe_unused]] const char *name) : body_(body) {
  void *memory =
      mmap(nullptr, page + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    perror("simt: no memory for the stack of a CUDA thread");
    abort();
  }
  // The page catches a stack that overflows.  Blocks on threads of their own have so many stacks that the pages between them
  // would reach the kernel's limit of mappings.
  if (!options().blocks_apart)
    mprotect(memory, page, PROT_NONE);
  stack_ = static_cast<char *>(memory) + page;
#ifdef SIMT_TSAN
  tsan_ = __tsan_create_fiber(0);
  __tsan_set_fiber_name(tsan_, name);
#endif
#ifdef SIMT_SWITCH_ASM
  void **top = reinterpret_cast<void **>(stack_ + stack_bytes - 16 - number % 32 * 128);
  *--top = nullptr; // keeps the stack aligned as after a call
  *--top = reinterpret_cast<void *>(&Fibre::enter);
  for (int i = 0; i < 6; i++)
    *--top = nullptr; // the registers that simt_switch pops
  stack_pointer_ = top;
#else
  ucontext_t *context = new ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = stack_;
  context->uc_stack.ss_size = stack_bytes;
  context->uc_link = nullptr;
  makecontext(context, &Fibre::enter, 0);
  context_ = context;
#endif
}

void Fibre::free_stack() { munmap(stack_ - page, page + stack_bytes); }

// What a fibre does first, where it was left or begins.
void Fibre::arrive(void *fake_stack) {
  if (host.left_last)
    after_switch(fake_stack, &host.stack, &host.stack_bytes);
  else
    after_switch(fake_stack, nullptr, nullptr);
}

void Fibre::enter() {
  arrive(nullptr);
  running->body_();
  abort();
}

void Fibre::resume() {
  running = this;
  host.left_last = true;
#ifdef SIMT_TSAN
  host.tsan = __tsan_get_current_fiber(); // any host thread may run kernels, one at a time
#endif
  void *fake_stack = nullptr;
  before_switch(tsan_, &fake_stack, stack_, stack_bytes);
#ifdef SIMT_SWITCH_ASM
  simt_switch(&host.stack_pointer, stack_pointer_);
#else
  swapcontext(&host.context, static_cast<ucontext_t *>(context_));
#endif
  after_switch(fake_stack, nullptr, nullptr);
}

void Fibre::suspend() {
  Fibre *me = running;
  before_switch(host.tsan, &me->fake_stack_, host.stack, host.stack_bytes);
#ifdef SIMT_SWITCH_ASM
  simt_switch(&me->stack_pointer_, host.stack_pointer);
#else
  swapcontext(static_cast<ucontext_t *>(me->context_), &host.context);
#endif
  arrive(me->fake_stack_);
}

void Fibre::take_over() {
  Fibre *me = running;
  running = this;
  host.left_last = false;
  before_switch(tsan_, &me->fake_stack_, stack_, stack_bytes);
#ifdef SIMT_SWITCH_ASM
  simt_switch(&me->stack_pointer_, stack_pointer_);
#else
  swapcontext(static_cast<ucontext_t *>(me->context_), static_cast<ucontext_t *>(context_));
#endif
  arrive(me->fake_stack_);
}

} // namespace simt
