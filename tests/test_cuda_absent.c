/* SPDX-License-Identifier: BSD-3-Clause */
/* Without a CUDA device, or without CUDA in this build, creating a CUDA handle fails at once with a clear message, from
 * any number of threads, and does not disturb the CPU backends of the process. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime, barriers */
#include "fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { THREADS = 8, MESSAGE = 512 };

typedef struct attempt {
  pthread_barrier_t *start; /* or NULL */
  svdgrad_handle_t handle;
  svdgrad_status_t status;
  char message[MESSAGE];
  double seconds;
} attempt_t;

static double now(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *ask(void *argument) {
  static int anything;
  attempt_t *attempt = argument;
  attempt->handle = (svdgrad_handle_t)(void *)&anything;
  if (attempt->start)
    (void)pthread_barrier_wait(attempt->start);
  const double begin = now();
  attempt->status = svdgrad_create(SVDGRAD_BACKEND_CUDA, 0, &attempt->handle);
  attempt->seconds = now() - begin;
  (void)strncpy(attempt->message, svdgrad_last_error_message(), MESSAGE - 1);
  return NULL;
}

static void check(const attempt_t *attempt) {
  if (attempt->status == SVDGRAD_STATUS_SUCCESS) {
    (void)svdgrad_destroy(attempt->handle);
    cr_skip_test("there is a CUDA device");
  }
  cr_expect_eq(attempt->status, SVDGRAD_STATUS_BACKEND_UNAVAILABLE);
  cr_expect_null(attempt->handle);
  cr_expect_not_null(strstr(attempt->message, "svdgrad_create"), "the message is '%s'", attempt->message);
  /* The module lies beside the library. */
  cr_expect_null(strstr(attempt->message, "cannot be loaded"), "the message is '%s'", attempt->message);
  cr_expect_lt(attempt->seconds, 1, "it took %g s", attempt->seconds);
}

static int cpu_works(svdgrad_backend_t backend) {
  const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, 8, 5, 2);
  fixture_t f = fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
  int works;
  fixture_fill(&f, 0, 1);
  fixture_fill(&f, 1, 2);
  works = fixture_forward(&f, WITH_VECTORS) == SVDGRAD_STATUS_SUCCESS &&
          fixture_backward(&f, WITH_COTANGENTS, 1, 0) == SVDGRAD_STATUS_SUCCESS && f.info[0] == SVDGRAD_INFO_OK &&
          f.info[1] == SVDGRAD_INFO_OK && f.intact;
  fixture_free(&f);
  return works;
}

Test(cuda_absent, says_so_and_says_it_again) {
  for (int i = 0; i < 2; i++) {
    attempt_t attempt = {0};
    (void)ask(&attempt);
    check(&attempt);
  }
}

Test(cuda_absent, threads_ask_at_once) {
  attempt_t attempts[THREADS] = {{0}};
  pthread_t threads[THREADS];
  pthread_barrier_t start;
  cr_assert_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
  for (int i = 0; i < THREADS; i++) {
    attempts[i].start = &start;
    cr_assert_eq(pthread_create(&threads[i], NULL, ask, &attempts[i]), 0);
  }
  for (int i = 0; i < THREADS; i++)
    (void)pthread_join(threads[i], NULL);
  (void)pthread_barrier_destroy(&start);
  for (int i = 0; i < THREADS; i++)
    check(&attempts[i]);
}

Test(cuda_absent, cpu_backends_go_on) {
  attempt_t attempt = {0};
  (void)ask(&attempt);
  check(&attempt);
  cr_expect(cpu_works(SVDGRAD_BACKEND_REF));
  cr_expect(cpu_works(SVDGRAD_BACKEND_CPU));
}
