/* SPDX-License-Identifier: BSD-3-Clause */
/* The result is that of the default floating-point environment, whatever environment the calling thread, the built-in
 * threads or a caller's pool have.  Afterwards every environment is unchanged, flags included. */
#define _GNU_SOURCE /* feenableexcept */
#include "fixture.h"
#include "workspace.h"

#include <criterion/criterion.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <time.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

enum { BATCH = 300, SETTINGS = 5 };

static void flush_to_zero(void) {
#if defined(__SSE2__)
  _mm_setcsr(_mm_getcsr() | 0x8040); /* and subnormal numbers are read as zero */
#endif
}

static void set_environment(int setting) {
  switch (setting) {
  case 1: flush_to_zero(); break;
  case 2: (void)fesetround(FE_UPWARD); break;
  case 3: (void)fesetround(FE_TOWARDZERO); break;
  case 4:
#if defined(__GLIBC__)
    (void)feclearexcept(FE_ALL_EXCEPT);
    (void)feenableexcept(FE_ALL_EXCEPT);
#endif
    break;
  default: break;
  }
}

static unsigned control_word(void) {
#if defined(__SSE2__)
  return _mm_getcsr();
#else
  return (unsigned)fegetround();
#endif
}

/* Numbers down to the subnormal ones, and a NaN in one matrix. */
static fixture_t make(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t n, int64_t batch_count) {
  const svdgrad_desc_t desc = make_desc(dtype, n, n, batch_count);
  const double tiny = dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? 0x1p-147 : 0x1p-1072;
  fixture_t f = fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < batch_count; b++) {
    fixture_fill(&f, b, (uint64_t)b % 8);
    for (int64_t i = 0; i < n && b % 3 == 0; i++)
      buffer_set(&f.A, b, i, (i + 1) % n, tiny);
  }
  buffer_set(&f.A, 1, 0, 0, (long double)NAN);
  return f;
}

static int compute(fixture_t *f, int setting) {
  fenv_t before;
  set_environment(0);
  (void)fegetenv(&before);
  workspace_t forward = workspace_make(f->handle, SVDGRAD_OP_SVD, &f->desc, 0xFF);
  workspace_t backward = workspace_make(f->handle, SVDGRAD_OP_SVD_BACKWARD, &f->desc, 0xFF);
  set_environment(setting);
  const int flags = fetestexcept(FE_ALL_EXCEPT);
  const unsigned control = control_word();
  const svdgrad_status_t first = fixture_call_forward(f, WITH_VECTORS, forward.work, forward.bytes);
  const svdgrad_status_t second = fixture_call_backward(f, WITH_COTANGENTS, 1, 0, backward.work, backward.bytes);
  const int same = control_word() == control && fetestexcept(FE_ALL_EXCEPT) == flags;
  (void)fesetenv(&before);
  cr_expect(workspace_free(&forward) && workspace_free(&backward));
  return first == SVDGRAD_STATUS_SUCCESS && second == SVDGRAD_STATUS_SUCCESS && same;
}

static int same(const fixture_t *x, const fixture_t *y) {
  int equal = 1;
  for (int64_t b = 0; b < x->desc.batch_count; b++)
    equal &= fixture_same_forward(x, b, y, b, WITH_VECTORS) && fixture_same_backward(x, b, y, b);
  return equal;
}

/* A caller's pool: one thread at a time, with a floating-point environment of its own. */
typedef struct piece {
  int64_t first, last;
  void (*body)(int64_t first, int64_t last, void *arg);
  void *arg;
  int setting, is_intact;
} piece_t;

static void *run_piece(void *argument) {
  piece_t *piece = argument;
  fenv_t before;
  (void)fegetenv(&before);
  set_environment(piece->setting);
  const int flags = fetestexcept(FE_ALL_EXCEPT);
  const unsigned control = control_word();
  piece->body(piece->first, piece->last, piece->arg);
  piece->is_intact = control_word() == control && fetestexcept(FE_ALL_EXCEPT) == flags;
  (void)fesetenv(&before);
  return NULL;
}

static void pool_for(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  for (int64_t first = 0; first < count; first += grain) {
    piece_t piece = {first, first + grain < count ? first + grain : count, body, arg, *(int *)pool, 0};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, run_piece, &piece), 0);
    (void)pthread_join(thread, NULL);
    cr_expect(piece.is_intact, "the environment of a pool's thread has changed");
  }
}

static void check_settings(fixture_t *f, const fixture_t *expected, int threads, const char *who) {
  for (int setting = 0; setting < SETTINGS; setting++) {
    int own = setting;
    (void)svdgrad_set_num_threads(f->handle, threads ? threads : 1);
    (void)svdgrad_set_parallel_for(f->handle, threads ? NULL : pool_for, &own);
    cr_expect(compute(f, setting), "%s %s, %s: setting %d has changed", backend_name(f->backend),
              dtype_name(f->desc.dtype), who, setting);
    cr_expect(same(f, expected), "%s %s %dx%d, %s: setting %d matters", backend_name(f->backend),
              dtype_name(f->desc.dtype), (int)f->desc.m, (int)f->desc.m, who, setting);
  }
}

static void check(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t n, int64_t batch_count) {
  fixture_t expected = make(backend, dtype, n, batch_count), f = make(backend, dtype, n, batch_count);
  (void)svdgrad_set_num_threads(expected.handle, 1);
  cr_assert(compute(&expected, 0));
  check_settings(&f, &expected, 1, "one thread");
  check_settings(&f, &expected, 4, "four threads");
  check_settings(&f, &expected, 0, "a caller's pool");
  fixture_free(&expected);
  fixture_free(&f);
}

Test(environment, neither_matters_nor_changes) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      check(test_backends[i], dtype, 3, BATCH);
      if (test_backends[i] == SVDGRAD_BACKEND_CPU)
        check(test_backends[i], dtype, 70, 6);
    }
}

/* A refused call raises no floating-point exception either. */
Test(environment, refusals_raise_nothing) {
  fixture_t f = make(SVDGRAD_BACKEND_CPU, SVDGRAD_F64, 3, 2);
  size_t bytes;
  f.desc.gap_param = NAN;
  set_environment(4);
  const svdgrad_status_t status = svdgrad_workspace_size(f.handle, SVDGRAD_OP_SVD, &f.desc, &bytes);
  const int flags = fetestexcept(FE_ALL_EXCEPT);
  (void)fesetenv(FE_DFL_ENV);
  cr_expect_eq(status, SVDGRAD_STATUS_INVALID_ARGUMENT);
  cr_expect_eq(flags, 0);
  fixture_free(&f);
}

/* Least processor time of a few calls. */
static double seconds_of(const fixture_t *f, int with) {
  workspace_t w = workspace_make(f->handle, with ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS, &f->desc, 0xFF);
  double least = INFINITY;
  for (int round = 0; round < 7; round++) {
    struct timespec from, to;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    (void)fixture_call_forward(f, with, w.work, w.bytes);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    least = fmin(least, (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec));
  }
  cr_expect(workspace_free(&w));
  return least;
}

static void expect_usual_time(svdgrad_dtype_t dtype, int64_t n, int64_t batch_count, int with) {
  const svdgrad_desc_t desc = make_desc(dtype, n, n, batch_count);
  fixture_t f = fixture_make(SVDGRAD_BACKEND_CPU, &desc, LAYOUT_COLUMN_MAJOR);
  (void)svdgrad_set_num_threads(f.handle, 1);
  for (int64_t b = 0; b < batch_count; b++)
    fixture_fill(&f, b, (uint64_t)b);
  const double usual = seconds_of(&f, with);
  for (int64_t b = 0; b < batch_count; b++)
    for (int64_t i = 0; i < n * n; i++)
      buffer_set(&f.A, b, i / n, i % n, 0.1L);
  const double equal = seconds_of(&f, with);
  cr_expect(equal < 3 * usual, "%s %dx%d: %g s, and %g s with random entries", dtype_name(dtype), (int)n, (int)n, equal,
            usual);
  fixture_free(&f);
}

/* The reduction of a matrix of equal entries leaves rounding errors, then rounding errors of these, down to the subnormal
 * numbers, which are slow: ten times the time of a matrix of random entries, if they are computed with. */
Test(environment, subnormal_numbers_take_no_time) {
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    expect_usual_time(dtype, 128, 1, WITH_VECTORS);
  expect_usual_time(SVDGRAD_F32, 64, 64, 0);
  expect_usual_time(SVDGRAD_F32, 20, 64, WITH_VECTORS);
}
