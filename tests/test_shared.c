/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads share the work on one large matrix where a batch has fewer matrices than threads: results and gradients have
 * the bits of one thread, for any number of threads, any size of a small batch, and any way in which a caller's pool
 * runs the pieces.  To be run under the thread sanitizer, too. */
#define _POSIX_C_SOURCE 200809L
#include "cases.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct variant {
  int64_t m, n;
  int with;
  spectrum_t spectrum;
} variant_t;

/* Reduced at once; QR first; wide; a factor left out; values alone; with deflation; and numbers below the normal ones. */
static const variant_t variants[] = {
    {300, 300, WITH_VECTORS, SPECTRUM_NORMAL},
    {830, 270, WITH_VECTORS, SPECTRUM_NORMAL},
    {260, 400, WITH_VECTORS, SPECTRUM_NORMAL},
    {290, 290, WITH_VH, SPECTRUM_NORMAL},
    {400, 300, 0, SPECTRUM_NORMAL},
    {280, 280, WITH_VECTORS, SPECTRUM_GEOMETRIC},
    {300, 300, WITH_VECTORS, SPECTRUM_ONES},
};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants, MOST_MATRICES = 5 };

/* ---- callers' pools, which count what they are given ---- */

static void backwards(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  atomic_fetch_add((atomic_int *)pool, (int)count);
  for (int64_t last = count; last > 0; last -= grain)
    body(last > grain ? last - grain : 0, last, arg);
}

static void in_one_piece(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  atomic_fetch_add((atomic_int *)pool, (int)count);
  (void)grain;
  body(0, count, arg);
}

typedef struct half {
  int64_t first, last;
  void (*body)(int64_t first, int64_t last, void *arg);
  void *arg;
} half_t;

static void *run_half(void *argument) {
  const half_t *half = argument;
  half->body(half->first, half->last, half->arg);
  return NULL;
}

static void in_two_threads(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *),
                           void *arg) {
  half_t lower = {0, count / 2, body, arg};
  pthread_t thread;
  atomic_fetch_add((atomic_int *)pool, (int)count);
  const int is_started = count >= 2 * grain && pthread_create(&thread, NULL, run_half, &lower) == 0;
  body(is_started ? count / 2 : 0, count, arg);
  if (is_started)
    (void)pthread_join(thread, NULL);
}

/* ---- a run ---- */

typedef struct sharing {
  const char *name;
  int threads;
  svdgrad_parallel_for_t run;
} sharing_t;

static const sharing_t sharings[] = {{"1 thread", 1, NULL},
                                     {"2 threads", 2, NULL},
                                     {"3 threads", 3, NULL},
                                     {"4 threads", 4, NULL},
                                     {"7 threads", 7, NULL},
                                     {"a pool, backwards", 8, backwards},
                                     {"a pool, at once", 8, in_one_piece},
                                     {"a pool of two", 8, in_two_threads}};
enum { SHARING_COUNT = sizeof sharings / sizeof *sharings };

/* Under a sanitizer a large matrix takes seconds: an odd number of threads, a pool of one thread, and one of two. */
static int is_shared_so(int i) { return !test_sampled || i == 2 || i == 5 || i == 7; }

static fixture_t make(const variant_t *v, svdgrad_dtype_t dtype, int64_t first, int64_t count) {
  const svdgrad_desc_t desc = make_desc(dtype, v->m, v->n, count);
  fixture_t f = fixture_make(SVDGRAD_BACKEND_CPU, &desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < count; b++) {
    fixture_fill(&f, b, (uint64_t)(first + b));
    if (v->spectrum != SPECTRUM_NORMAL) {
      dense_t A = make_matrix(v->spectrum, dtype, v->m, v->n, (uint64_t)(first + b));
      buffer_store(&f.A, b, &A);
      dense_free(&A);
    }
  }
  return f;
}

/* Returns how many items the pool was given, matrices or pieces of one. */
static int compute(fixture_t *f, const variant_t *v, const sharing_t *sharing) {
  atomic_int items = 0;
  cr_assert_eq(svdgrad_set_num_threads(f->handle, sharing->threads), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(svdgrad_set_parallel_for(f->handle, sharing->run, &items), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(fixture_forward(f, v->with), SVDGRAD_STATUS_SUCCESS);
  if (v->with == WITH_VECTORS)
    cr_assert_eq(fixture_backward(f, WITH_COTANGENTS, 0.7, 0.3), SVDGRAD_STATUS_SUCCESS);
  cr_expect(f->intact);
  return atomic_load(&items);
}

static int is_same(const fixture_t *x, int64_t bx, const fixture_t *y, int64_t by, int with) {
  return fixture_same_forward(x, bx, y, by, with) && (with != WITH_VECTORS || fixture_same_backward(x, bx, y, by));
}

static int is_tried(void) {
  for (int i = 0; i < test_backend_count; i++)
    if (test_backends[i] == SVDGRAD_BACKEND_CPU)
      return 1;
  return 0;
}

static void check_matrix(const variant_t *v, svdgrad_dtype_t dtype) {
  fixture_t expected = make(v, dtype, 0, 1);
  (void)compute(&expected, v, &sharings[0]);
  for (int i = 1; i < SHARING_COUNT; i++) {
    if (!is_shared_so(i))
      continue;
    fixture_t f = make(v, dtype, 0, 1);
    (void)compute(&f, v, &sharings[i]);
    cr_expect(is_same(&f, 0, &expected, 0, v->with), "%s %dx%d, %s: %s", dtype_name(dtype), (int)v->m, (int)v->n,
              spectrum_name(v->spectrum), sharings[i].name);
    fixture_free(&f);
  }
  fixture_free(&expected);
}

Test(shared, one_matrix_has_the_bits_of_one_thread) {
  for (int v = 0; v < VARIANT_COUNT && is_tried(); v++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      if (v == 0 || test_type_is_sampled(dtype))
        check_matrix(&variants[v], dtype);
}

/* So large that a step of the reduction is worth a call of a caller's pool. */
Test(shared, a_larger_matrix_has_the_bits_of_one_thread) {
  static const variant_t large = {760, 760, WITH_VECTORS, SPECTRUM_NORMAL};
  for (int i = test_sampled; i < 2 && is_tried(); i++)
    check_matrix(&large, i ? SVDGRAD_F64 : SVDGRAD_C128);
}

/* One after the other, side by side, and some with help. */
Test(shared, a_small_batch_has_the_bits_of_its_matrices_alone) {
  const variant_t *v = &variants[0];
  fixture_t alone[MOST_MATRICES];
  for (int b = 0; b < MOST_MATRICES && is_tried(); b++) {
    alone[b] = make(v, SVDGRAD_F64, b, 1);
    (void)compute(&alone[b], v, &sharings[0]);
  }
  for (int64_t count = 1; count <= MOST_MATRICES && is_tried(); count++)
    for (int i = 0; i < SHARING_COUNT; i++) {
      if (!is_shared_so(i))
        continue;
      fixture_t f = make(v, SVDGRAD_F64, 0, count);
      (void)compute(&f, v, &sharings[i]);
      for (int64_t b = 0; b < count; b++)
        cr_expect(is_same(&f, b, &alone[b], 0, v->with), "matrix %d of %d: %s", (int)b, (int)count, sharings[i].name);
      fixture_free(&f);
    }
  for (int b = 0; b < MOST_MATRICES && is_tried(); b++)
    fixture_free(&alone[b]);
}

/* A caller's pool is asked for parts of the matrix, unless its owner says that it has one thread. */
Test(shared, a_callers_pool_is_used_inside_of_a_matrix) {
  const variant_t *v = &variants[0];
  const sharing_t one = {"", 1, backwards}, many = {"", 8, backwards};
  for (int i = 0; i < 2 && is_tried(); i++) {
    fixture_t f = make(v, SVDGRAD_F64, 0, 1);
    const int items = compute(&f, v, i ? &many : &one);
    cr_expect(i ? items > 2 : items == 2, "%d items", items); /* forward and backward pass */
    fixture_free(&f);
  }
}
