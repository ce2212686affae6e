/* SPDX-License-Identifier: BSD-3-Clause */
/* A program forks after it has computed with several threads, as data loaders do.  The child computes the same results
 * as the parent, with several threads, through the inherited handle and through its own; also if other threads of the
 * parent are in a call during the fork.  An alarm ends a child that hangs. */
#define _POSIX_C_SOURCE 200809L
#include "fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, SECONDS = 60, FORKS = 30 };

typedef struct variant {
  int64_t m, batch_count;
  svdgrad_dtype_t dtype;
  svdgrad_algo_t algo;
} variant_t;
/* Solved in lanes; one at a time; by LAPACK, where there is one; and so large that threads share one matrix. */
static const variant_t variants[] = {{8, 2000, SVDGRAD_F32, SVDGRAD_ALGO_AUTO},
                                     {100, 12, SVDGRAD_F64, SVDGRAD_ALGO_AUTO},
                                     {33, 40, SVDGRAD_C128, SVDGRAD_ALGO_VENDOR},
                                     {300, 1, SVDGRAD_F64, SVDGRAD_ALGO_AUTO}};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants };

static fixture_t make(svdgrad_backend_t backend, const variant_t *variant) {
  svdgrad_desc_t desc = make_desc(variant->dtype, variant->m, variant->m, variant->batch_count);
  desc.algo = backend_has(backend, variant->algo) ? variant->algo : SVDGRAD_ALGO_AUTO;
  fixture_t f = fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < desc.batch_count; b++)
    fixture_fill(&f, b, (uint64_t)b % 8);
  cr_assert_eq(svdgrad_set_num_threads(f.handle, THREADS), SVDGRAD_STATUS_SUCCESS);
  return f;
}

static int compute(fixture_t *f) {
  return fixture_forward(f, WITH_VECTORS) == SVDGRAD_STATUS_SUCCESS &&
         fixture_backward(f, WITH_COTANGENTS, 1, 0) == SVDGRAD_STATUS_SUCCESS && f->intact;
}

static int same(const fixture_t *x, const fixture_t *y) {
  int equal = 1;
  for (int64_t b = 0; b < x->desc.batch_count; b++)
    equal &= fixture_same_forward(x, b, y, b, WITH_VECTORS) && fixture_same_backward(x, b, y, b);
  return equal;
}

/* In a child: through the handle of `again`, and through one of its own. */
static int child_computes(const variant_t *variant, const fixture_t *expected, fixture_t *again) {
  fixture_t own = make(expected->backend, variant);
  const int fine = compute(again) && same(again, expected) && compute(&own) && same(&own, expected);
  fixture_free(&own);
  return fine;
}

static void expect_fine_child(const variant_t *variant, const fixture_t *expected, fixture_t *again) {
  const pid_t child = fork();
  cr_assert(child >= 0);
  if (child == 0) {
    (void)alarm(SECONDS);
    _exit(child_computes(variant, expected, again) ? 0 : 1);
  }
  int status = -1;
  cr_assert_eq(waitpid(child, &status, 0), child);
  cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s %dx%d: the child %s", backend_name(expected->backend),
            (int)variant->m, (int)variant->m, WIFEXITED(status) ? "computes something else" : "hangs or dies");
}

static void check_child(svdgrad_backend_t backend, const variant_t *variant) {
  fixture_t expected = make(backend, variant), again = make(backend, variant);
  cr_assert(compute(&expected) && compute(&again));
  expect_fine_child(variant, &expected, &again);
  cr_expect(compute(&again) && same(&again, &expected), "the parent does not compute any more");
  fixture_free(&expected);
  fixture_free(&again);
}

Test(fork, a_child_computes_as_its_parent) {
  for (int i = 0; i < test_backend_count; i++)
    for (int v = 0; v < VARIANT_COUNT; v++)
      if (test_backends[i] == SVDGRAD_BACKEND_CPU || variants[v].m < 10)
        check_child(test_backends[i], &variants[v]);
}

typedef struct busy {
  const variant_t *variant;
  atomic_int stop, calls;
} busy_t;

static void *compute_until_stopped(void *argument) {
  busy_t *busy = argument;
  fixture_t f = make(SVDGRAD_BACKEND_CPU, busy->variant);
  while (!atomic_load(&busy->stop)) {
    (void)compute(&f);
    atomic_fetch_add(&busy->calls, 1);
  }
  fixture_free(&f);
  return NULL;
}

Test(fork, while_another_thread_is_in_a_call) {
  for (int v = 0; v < VARIANT_COUNT; v++) {
    busy_t busy = {.variant = &variants[v]};
    fixture_t expected = make(SVDGRAD_BACKEND_CPU, &variants[v]), again = make(SVDGRAD_BACKEND_CPU, &variants[v]);
    pthread_t thread;
    cr_assert(compute(&expected));
    cr_assert_eq(pthread_create(&thread, NULL, compute_until_stopped, &busy), 0);
    for (int i = 0; i < FORKS / VARIANT_COUNT; i++) {
      while (atomic_load(&busy.calls) <= i)
        ;
      expect_fine_child(&variants[v], &expected, &again);
    }
    atomic_store(&busy.stop, 1);
    (void)pthread_join(thread, NULL);
    fixture_free(&expected);
    fixture_free(&again);
  }
}

/* Handles may outlive main(), and a child may end with handles of its parent. */
static svdgrad_handle_t lasting;
static void destroy_lasting(void) { (void)svdgrad_destroy(lasting); }

Test(fork, a_handle_is_destroyed_at_exit) {
  fixture_t f = make(SVDGRAD_BACKEND_CPU, &variants[0]);
  cr_assert(compute(&f));
  lasting = f.handle;
  const pid_t child = fork();
  cr_assert(child >= 0);
  if (child == 0) {
    (void)alarm(SECONDS);
    (void)atexit(destroy_lasting);
    exit(compute(&f) ? 0 : 1);
  }
  int status = -1;
  cr_assert_eq(waitpid(child, &status, 0), child);
  cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  fixture_free(&f);
}
