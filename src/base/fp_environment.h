/* SPDX-License-Identifier: BSD-3-Clause */
/* The floating-point environment of a thread (C11, 7.6) on entry to and return from the library.  The library computes
 * in the default environment (round to nearest, subnormal numbers, no traps), then restores the caller's, flags
 * included.  fegetenv() and fesetenv() are slow beside a small SVD: x86-64 and AArch64 access the registers. */
#ifndef SVDGRAD_FP_ENVIRONMENT_H
#define SVDGRAD_FP_ENVIRONMENT_H
#include <stdint.h>

#if defined(__x86_64__)
enum { MXCSR_DEFAULT = 0x1F80, MXCSR_FLUSHING = 0x9FC0, X87_CONTROL_DEFAULT = 0x037F, FP_FLAGS = 0x3F };

typedef struct fp_environment {
  uint32_t mxcsr;
  uint16_t x87_control, x87_status;
} fp_environment_t;

/* Loading a control register is slow: it is done only where the value differs. */
static inline fp_environment_t fp_environment_enter(void) {
  fp_environment_t caller;
  const uint32_t mxcsr = MXCSR_DEFAULT;
  const uint16_t control = X87_CONTROL_DEFAULT;
  __asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tfnstsw %2"
                   : "=m"(caller.mxcsr), "=m"(caller.x87_control), "=m"(caller.x87_status)
                   :
                   : "memory");
  if ((caller.mxcsr | FP_FLAGS) != (MXCSR_DEFAULT | FP_FLAGS))
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory");
  if (caller.x87_control != control)
    __asm__ volatile("fldcw %0" : : "m"(control) : "memory");
  return caller;
}

static inline fp_environment_t fp_environment_flush(void) {
  const fp_environment_t caller = fp_environment_enter();
  const uint32_t mxcsr = MXCSR_FLUSHING;
  __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory");
  return caller;
}

/* How a thread computes, without its flags: what another thread takes over that shares its work. */
typedef uint32_t fp_mode_t;

static inline fp_mode_t fp_mode_now(void) {
  uint32_t mxcsr;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : : "memory");
  return mxcsr & ~(uint32_t)FP_FLAGS;
}

static inline fp_environment_t fp_environment_enter_mode(fp_mode_t mode) {
  const fp_environment_t caller = fp_environment_enter();
  if (mode != (MXCSR_DEFAULT & ~(uint32_t)FP_FLAGS))
    __asm__ volatile("ldmxcsr %0" : : "m"(mode) : "memory");
  return caller;
}

/* x87 flags can only be set together with the whole environment.  The flags that the call raised are cleared first,
 * before the caller's traps are enabled again. */
static inline void fp_environment_leave(const fp_environment_t *caller) {
  uint32_t mxcsr;
  uint16_t status;
  __asm__ volatile("stmxcsr %0\n\tfnstsw %1" : "=m"(mxcsr), "=m"(status) : : "memory");
  if ((status ^ caller->x87_status) & FP_FLAGS) {
    uint32_t whole[7];
    __asm__ volatile("fnstenv %0" : "=m"(whole) : : "memory");
    whole[1] = (whole[1] & ~(uint32_t)FP_FLAGS) | (caller->x87_status & FP_FLAGS);
    __asm__ volatile("fldenv %0" : : "m"(whole) : "memory");
  }
  if (caller->x87_control != X87_CONTROL_DEFAULT)
    __asm__ volatile("fldcw %0" : : "m"(caller->x87_control) : "memory");
  if (mxcsr != caller->mxcsr)
    __asm__ volatile("ldmxcsr %0" : : "m"(caller->mxcsr) : "memory");
}

#elif defined(__aarch64__)
typedef struct fp_environment {
  uint64_t control, status;
} fp_environment_t;

static inline fp_environment_t fp_environment_enter(void) {
  fp_environment_t caller;
  __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(caller.control), "=r"(caller.status) : : "memory");
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
  return caller;
}

static inline fp_environment_t fp_environment_flush(void) {
  const fp_environment_t caller = fp_environment_enter();
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24) : "memory");
  return caller;
}

typedef uint64_t fp_mode_t;

static inline fp_mode_t fp_mode_now(void) {
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control) : : "memory");
  return control;
}

static inline fp_environment_t fp_environment_enter_mode(fp_mode_t mode) {
  const fp_environment_t caller = fp_environment_enter();
  __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
  return caller;
}

static inline void fp_environment_leave(const fp_environment_t *caller) {
  __asm__ volatile("msr fpsr, %1\n\tmsr fpcr, %0" : : "r"(caller->control), "r"(caller->status) : "memory");
}

#else
#include <fenv.h>
typedef fenv_t fp_environment_t;

static inline fp_environment_t fp_environment_enter(void) {
  fp_environment_t caller;
  (void)fegetenv(&caller);
  (void)fesetenv(FE_DFL_ENV);
  return caller;
}

static inline fp_environment_t fp_environment_flush(void) { return fp_environment_enter(); } /* C has none */

typedef int fp_mode_t;
static inline fp_mode_t fp_mode_now(void) { return 0; }
static inline fp_environment_t fp_environment_enter_mode(fp_mode_t mode) {
  (void)mode;
  return fp_environment_enter();
}

static inline void fp_environment_leave(const fp_environment_t *caller) { (void)fesetenv(caller); }
#endif

/* A declaration: the mode of another thread until the block is left, in any way. */
#define IN_FP_MODE(mode)                                                                                               \
  __attribute__((cleanup(fp_environment_leave), unused)) const fp_environment_t fp_environment_of_thread =             \
      fp_environment_enter_mode(mode)

/* A declaration: the default environment until the block is left, in any way. */
#define IN_DEFAULT_FP_ENVIRONMENT                                                                                      \
  __attribute__((cleanup(fp_environment_leave), unused)) const fp_environment_t fp_environment_of_caller =             \
      fp_environment_enter()

/* A declaration: subnormal numbers count as zero until the block is left.  Operations on them take a hundred times as
 * long as others.  For matrices that are scaled such that these numbers are far below rounding errors. */
#define WITHOUT_SUBNORMALS                                                                                             \
  __attribute__((cleanup(fp_environment_leave), unused)) const fp_environment_t fp_environment_before =                \
      fp_environment_flush()

#endif
