/* SPDX-License-Identifier: BSD-3-Clause */
/* Any number of threads may use one handle at once: their results have the bits of one thread alone, also where a
 * caller's pool runs the batches, and every thread has its own error message.  To be run under the thread sanitizer,
 * too. */
#define _POSIX_C_SOURCE 200809L /* barriers */
#include "fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 8, REPEATS = 4 };

typedef struct variant {
  int64_t m, n, batch_count, rank;
} variant_t;
static const variant_t variants[] = {{3, 3, 300, 0}, {8, 5, 60, 2}, {20, 33, 3, 0}, {24, 24, 3, 6}, {40, 2, 50, 0}};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants };

/* One thread's problem, its results computed serially beforehand, and how often they differed. */
typedef struct job {
  fixture_t expected, own;
  uint64_t seed;
  pthread_barrier_t *start;
  int failures;
} job_t;

static int compute(fixture_t *f) {
  return fixture_forward(f, WITH_VECTORS) == SVDGRAD_STATUS_SUCCESS &&
         fixture_backward(f, WITH_COTANGENTS, 1, 0.5) == SVDGRAD_STATUS_SUCCESS && f->intact;
}

static int same(const fixture_t *x, const fixture_t *y) {
  int equal = 1;
  for (int64_t b = 0; b < x->desc.batch_count; b++)
    equal &= fixture_same_forward(x, b, y, b, WITH_VECTORS) && fixture_same_backward(x, b, y, b);
  return equal;
}

static void fill(fixture_t *f, uint64_t seed) {
  for (int64_t b = 0; b < f->desc.batch_count; b++)
    fixture_fill(f, b, seed + (uint64_t)b);
}

static void *run_job(void *argument) {
  job_t *job = argument;
  (void)pthread_barrier_wait(job->start);
  for (int i = 0; i < REPEATS; i++) {
    fill(&job->own, job->seed);
    job->failures += !compute(&job->own) || !same(&job->own, &job->expected);
  }
  return NULL;
}

static job_t job_make(svdgrad_handle_t handle, svdgrad_backend_t backend, const svdgrad_desc_t *desc, uint64_t seed,
                      pthread_barrier_t *start) {
  job_t job = {.own = fixture_make(backend, desc, LAYOUT_ROW_MAJOR), .seed = seed, .start = start};
  job.expected = fixture_make(backend, desc, LAYOUT_COLUMN_MAJOR);
  cr_assert_eq(svdgrad_set_num_threads(job.expected.handle, 1), SVDGRAD_STATUS_SUCCESS);
  fill(&job.expected, seed);
  cr_assert(compute(&job.expected));
  (void)svdgrad_destroy(job.own.handle);
  job.own.handle = handle;
  return job;
}

static void job_free(job_t *job) {
  job->own.handle = NULL; /* the handle is shared */
  fixture_free(&job->own);
  fixture_free(&job->expected);
}

static void start_threads(pthread_t threads[THREADS], void *(*body)(void *), void *arguments, size_t size) {
  for (int t = 0; t < THREADS; t++)
    cr_assert_eq(pthread_create(&threads[t], NULL, body, (char *)arguments + (size_t)t * size), 0);
}

static void join_threads(const pthread_t threads[THREADS]) {
  for (int t = 0; t < THREADS; t++)
    cr_assert_eq(pthread_join(threads[t], NULL), 0);
}

/* Which threads compute: the handle's pool, built-in threads, or, with PER_CALL, a pool given with each call. */
typedef enum sharing { OF_HANDLE, PER_CALL } sharing_t;

/* Every thread has its own variant, element type and data. */
static void run_jobs(svdgrad_backend_t backend, svdgrad_parallel_for_t run, void *pool, sharing_t sharing) {
  svdgrad_handle_t handle;
  pthread_barrier_t start;
  pthread_t threads[THREADS];
  job_t jobs[THREADS];
  cr_assert_eq(svdgrad_create(backend, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  if (sharing == OF_HANDLE)
    cr_assert_eq(svdgrad_set_parallel_for(handle, run, pool), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(svdgrad_set_num_threads(handle, 3), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
  for (int t = 0; t < THREADS; t++) {
    const variant_t *v = &variants[t % VARIANT_COUNT];
    svdgrad_desc_t desc = make_desc((svdgrad_dtype_t)(t / 2 % 4), v->m, v->n, v->batch_count);
    desc.rank = v->rank;
    jobs[t] = job_make(handle, backend, &desc, 100 * (uint64_t)t, &start);
    if (sharing == PER_CALL && t % 2) /* the others with built-in threads meanwhile */
      jobs[t].own.desc.parallel_for = run, jobs[t].own.desc.pool = (atomic_int *)pool + t;
  }
  start_threads(threads, run_job, jobs, sizeof *jobs);
  join_threads(threads);
  for (int t = 0; t < THREADS; t++) {
    cr_expect_eq(jobs[t].failures, 0, "%s: thread %d differs from the serial run", backend_name(backend), t);
    job_free(&jobs[t]);
  }
  (void)pthread_barrier_destroy(&start);
  (void)svdgrad_destroy(handle);
}

Test(threads, one_handle_serves_many) {
  for (int i = 0; i < test_backend_count; i++)
    run_jobs(test_backends[i], NULL, NULL, OF_HANDLE);
}

/* A caller's pool: threads that take the next piece until none is left.  Pieces are a little larger than the grain. */
typedef struct loop {
  atomic_int_fast64_t next;
  int64_t count, piece;
  void (*body)(int64_t first, int64_t last, void *arg);
  void *arg;
} loop_t;

static void *take_pieces(void *argument) {
  loop_t *loop = argument;
  for (;;) {
    const int64_t first = atomic_fetch_add(&loop->next, loop->piece), last = first + loop->piece;
    if (first >= loop->count)
      return NULL;
    loop->body(first, last < loop->count ? last : loop->count, loop->arg);
  }
}

/* `pool` counts the calls. */
static void pool_for(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  enum { WORKERS = 3 };
  pthread_t workers[WORKERS];
  int started = 0;
  loop_t loop = {.count = count, .piece = grain + 1, .body = body, .arg = arg};
  atomic_fetch_add((atomic_int *)pool, 1);
  while (started < WORKERS && pthread_create(&workers[started], NULL, take_pieces, &loop) == 0)
    started++;
  (void)take_pieces(&loop);
  while (started > 0)
    (void)pthread_join(workers[--started], NULL);
}

Test(threads, callers_pool_from_many_threads_at_once) {
  for (int i = 0; i < test_backend_count; i++) {
    atomic_int calls = 0;
    run_jobs(test_backends[i], pool_for, &calls, OF_HANDLE);
    cr_expect_eq(atomic_load(&calls), 2 * REPEATS * THREADS);
  }
}

Test(threads, a_pool_of_each_call) {
  for (int i = 0; i < test_backend_count; i++) {
    atomic_int calls[THREADS] = {0};
    run_jobs(test_backends[i], pool_for, calls, PER_CALL);
    for (int t = 0; t < THREADS; t++)
      cr_expect_eq(atomic_load(&calls[t]), t % 2 ? 2 * REPEATS : 0);
  }
}

/* Handles come and go while other threads compute: the workers end with the last handle and start again. */
static void *open_compute_close(void *argument) {
  job_t *job = argument;
  (void)pthread_barrier_wait(job->start);
  for (int i = 0; i < REPEATS; i++) {
    svdgrad_handle_t handle;
    job->failures += svdgrad_create(job->own.backend, 0, &handle) != SVDGRAD_STATUS_SUCCESS;
    (void)svdgrad_set_num_threads(handle, 1 + i);
    job->own.handle = handle;
    fill(&job->own, job->seed);
    job->failures += !compute(&job->own) || !same(&job->own, &job->expected);
    (void)svdgrad_destroy(handle);
  }
  return NULL;
}

Test(threads, handles_come_and_go) {
  pthread_barrier_t start;
  pthread_t threads[THREADS];
  job_t jobs[THREADS];
  cr_assert_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
  for (int t = 0; t < THREADS; t++) {
    const svdgrad_desc_t desc = make_desc(SVDGRAD_F32, 8, 8, 500);
    jobs[t] = job_make(NULL, SVDGRAD_BACKEND_CPU, &desc, 100 * (uint64_t)t, &start);
    (void)svdgrad_destroy(jobs[t].expected.handle);
    jobs[t].expected.handle = NULL;
  }
  start_threads(threads, open_compute_close, jobs, sizeof *jobs);
  join_threads(threads);
  for (int t = 0; t < THREADS; t++) {
    cr_expect_eq(jobs[t].failures, 0, "thread %d differs from the serial run", t);
    job_free(&jobs[t]);
  }
  (void)pthread_barrier_destroy(&start);
}

/* A thread whose calls fail in its own way. */
typedef struct failure {
  svdgrad_handle_t handle;
  pthread_barrier_t *step;
  int number, wrong;
} failure_t;

static void *fail(void *argument) {
  failure_t *failure = argument;
  char expected[64];
  (void)snprintf(expected, sizeof expected, "desc.m is %d,", -failure->number);
  const svdgrad_desc_t desc = make_desc(SVDGRAD_F32, -failure->number, 2, 1);
  for (int i = 0; i < 100; i++) {
    size_t bytes;
    failure->wrong += svdgrad_workspace_size(failure->handle, SVDGRAD_OP_SVD, &desc, &bytes) == SVDGRAD_STATUS_SUCCESS;
    (void)pthread_barrier_wait(failure->step); /* all have failed since */
    failure->wrong += strstr(svdgrad_last_error_message(), expected) == NULL;
    (void)pthread_barrier_wait(failure->step);
  }
  return NULL;
}

Test(threads, every_thread_has_its_own_error_message) {
  svdgrad_handle_t handle;
  pthread_barrier_t step;
  pthread_t threads[THREADS];
  failure_t failures[THREADS];
  cr_assert_eq(svdgrad_create(SVDGRAD_BACKEND_REF, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(svdgrad_set_num_threads(handle, -77), SVDGRAD_STATUS_INVALID_ARGUMENT);
  cr_assert_eq(pthread_barrier_init(&step, NULL, THREADS), 0);
  for (int t = 0; t < THREADS; t++)
    failures[t] = (failure_t){handle, &step, t + 1, 0};
  start_threads(threads, fail, failures, sizeof *failures);
  join_threads(threads);
  for (int t = 0; t < THREADS; t++)
    cr_expect_eq(failures[t].wrong, 0, "thread %d saw another's message", t);
  cr_expect_not_null(strstr(svdgrad_last_error_message(), "-77"));
  (void)pthread_barrier_destroy(&step);
  (void)svdgrad_destroy(handle);
}
