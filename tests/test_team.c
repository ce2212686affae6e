/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that share the work on one matrix (src/base/team.h): every piece runs once, in the floating-point mode of its
 * caller; free threads do help, also where matrices are computed side by side; and a call never has more threads than it
 * may have. */
#define _POSIX_C_SOURCE 200809L
#include "base/team.h"
#include "base/fp_environment.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <time.h>

enum { MOST_PIECES = 300, LONG = 1000000, SECONDS = 20 };

static const int thread_counts[] = {1, 2, 3, 7};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts };

static double now(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The threads of one run. */
typedef struct crowd {
  int awaited;                      /* a piece waits until so many threads have come, */
  double end;                       /* but not longer than until then */
  int sleeps;                       /* every piece sleeps a little, so that many threads are in one */
  atomic_int threads, active, most; /* so far; now; at most at a time */
  int number;                       /* no other run has it */
} crowd_t;

static crowd_t crowd_of(int awaited) {
  static int runs;
  return (crowd_t){.awaited = awaited, .end = now() + SECONDS, .number = ++runs};
}

static _Thread_local int last_run;

static void enter(crowd_t *crowd) {
  const int active = atomic_fetch_add(&crowd->active, 1) + 1;
  int most = atomic_load(&crowd->most);
  while (active > most && !atomic_compare_exchange_weak(&crowd->most, &most, active))
    ;
  if (last_run != crowd->number)
    atomic_fetch_add(&crowd->threads, 1);
  last_run = crowd->number;
  while (atomic_load(&crowd->threads) < crowd->awaited && now() < crowd->end)
    ;
  if (crowd->sleeps)
    (void)nanosleep(&(struct timespec){0, 20000}, NULL);
}

static void leave(crowd_t *crowd) { atomic_fetch_sub(&crowd->active, 1); }

/* A section, and how often each of its pieces ran. */
typedef struct section {
  crowd_t *crowd;
  int runs[MOST_PIECES];
} section_t;

static void count_piece(const void *argument, int64_t piece) {
  section_t *section = *(section_t *const *)argument;
  enter(section->crowd);
  section->runs[piece]++;
  leave(section->crowd);
}

static int runs_once(team_t *team, crowd_t *crowd, int64_t pieces, double cost) {
  section_t section = {.crowd = crowd}, *argument = &section;
  int once = 1;
  team_run(team, pieces, cost, count_piece, &argument);
  for (int64_t i = 0; i < MOST_PIECES; i++)
    once &= section.runs[i] == (i < pieces);
  return once;
}

/* ---- one matrix, in a batch of one ---- */

typedef struct one {
  team_t team;
  crowd_t crowd;
  int64_t pieces;
  double cost;
  int is_once;
} one_t;

static void one_task(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  one_t *one = *(one_t *const *)argument;
  (void)first, (void)count, (void)scratch;
  one->is_once = runs_once(&one->team, &one->crowd, one->pieces, one->cost);
}

static void run_one(const parallel_t *parallel, one_t *one) {
  batch_run(
      parallel,
      (batch_t){.task = one_task, .call = &one, .batch_count = 1, .group = 1, .matrix_cost = 1e9, .team = &one->team});
}

static void expect_once(const parallel_t *parallel, int64_t pieces, double cost, const char *what) {
  one_t one = {.crowd = crowd_of(0), .pieces = pieces, .cost = cost};
  run_one(parallel, &one);
  cr_expect(one.is_once, "%s, %d threads: %d pieces of %g ns", what, parallel->num_threads, (int)pieces, cost);
}

static void expect_all_once(parallel_t *parallel, const char *what) {
  static const int64_t pieces[] = {0, 1, 2, 3, 5, 64, 65, MOST_PIECES};
  static const double costs[] = {0, 100, 3000, LONG};
  for (int t = 0; t < THREAD_COUNTS; t++)
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
      for (size_t c = 0; c < sizeof costs / sizeof *costs; c++) {
        parallel_set_threads(parallel, thread_counts[t]);
        expect_once(parallel, pieces[i], costs[c], what);
      }
}

Test(team, every_piece_runs_once) {
  parallel_t parallel = {NULL, NULL, 0};
  parallel_open(&parallel);
  expect_all_once(&parallel, "built-in threads");
  parallel_close();
}

/* Callers' pools: what they run is counted. */
static void backwards(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  *(int64_t *)pool += count;
  for (int64_t last = count; last > 0; last -= grain)
    body(last > grain ? last - grain : 0, last, arg);
}

static void at_once(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  *(int64_t *)pool += count;
  (void)grain;
  body(0, count, arg);
}

Test(team, every_piece_runs_once_on_a_callers_pool) {
  int64_t pieces = 0;
  parallel_t back = {backwards, &pieces, 0}, whole = {at_once, &pieces, 0};
  expect_all_once(&back, "backwards");
  cr_expect(pieces > MOST_PIECES);
  pieces = 0;
  expect_all_once(&whole, "at once");
  cr_expect(pieces > MOST_PIECES);
}

/* One thread may be all there is to a caller who says so. */
Test(team, a_callers_pool_of_one_thread_is_left_alone) {
  int64_t pieces = 0;
  one_t one = {.crowd = crowd_of(0), .pieces = 64, .cost = LONG};
  const parallel_t parallel = {backwards, &pieces, 1};
  run_one(&parallel, &one);
  cr_expect_eq(pieces, 1, "not the matrix alone, but %d pieces", (int)pieces);
}

Test(team, free_threads_help) {
  parallel_t parallel = {NULL, NULL, 0};
  parallel_open(&parallel);
  for (int threads = 2; threads <= 7; threads++) {
    one_t one = {.crowd = crowd_of(threads), .pieces = 64, .cost = LONG};
    parallel_set_threads(&parallel, threads);
    run_one(&parallel, &one);
    cr_expect_eq(atomic_load(&one.crowd.threads), threads);
    cr_expect(one.is_once);
  }
  parallel_close();
}

/* What would take longer to hand out than to do is not shared: no spare thread is taken. */
static void note_spare(const void *argument, int64_t piece) {
  team_t *team = *(team_t *const *)argument;
  cr_expect_eq(atomic_load(&team->spare), 3, "piece %d", (int)piece);
}

Test(team, short_sections_are_not_shared) {
  const parallel_t parallel = {NULL, NULL, 4};
  team_t team, *argument = &team;
  team_open(&team, &parallel, 4, 3);
  team_run(&team, 64, 10, note_spare, &argument);
  team_run(&team, 1, LONG, note_spare, &argument);
}

/* ---- matrices side by side ---- */

enum { MATRICES = 5 };

typedef struct many {
  team_t team;
  crowd_t crowd;
  atomic_int wrong;
} many_t;

static void many_task(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  many_t *many = *(many_t *const *)argument;
  (void)first, (void)count, (void)scratch; /* count is 1 */
  for (int section = 0; section < 20; section++)
    if (!runs_once(&many->team, &many->crowd, 40, LONG))
      atomic_store(&many->wrong, 1);
}

static many_t run_many(const parallel_t *parallel, int64_t matrices, int awaited) {
  many_t many = {.crowd = crowd_of(awaited)}, *call = &many;
  many.crowd.sleeps = 1;
  batch_run(parallel, (batch_t){.task = many_task,
                                .call = &call,
                                .batch_count = matrices,
                                .group = 1,
                                .matrix_cost = 1e9,
                                .team = &many.team});
  return many;
}

/* Another handle's call has started more workers than these calls may have. */
Test(team, no_more_threads_than_the_call_may_have) {
  parallel_t parallel = {NULL, NULL, 0}, other = {NULL, NULL, 0};
  parallel_open(&parallel);
  parallel_open(&other);
  parallel_set_threads(&other, 12);
  one_t one = {.crowd = crowd_of(12), .pieces = 64, .cost = LONG};
  run_one(&other, &one);
  for (int t = 0; t < THREAD_COUNTS; t++)
    for (int64_t matrices = 1; matrices <= MATRICES; matrices++) {
      parallel_set_threads(&parallel, thread_counts[t]);
      const many_t many = run_many(&parallel, matrices, 0);
      cr_expect(!many.wrong, "%d matrices, %d threads", (int)matrices, thread_counts[t]);
      cr_expect(many.crowd.most <= thread_counts[t], "%d matrices: %d threads of %d", (int)matrices, many.crowd.most,
                thread_counts[t]);
    }
  parallel_close();
  parallel_close();
}

/* Two matrices, three threads.  The calling thread waits until a thread of the library has had help with its matrix. */
typedef struct pair {
  team_t team;
  pthread_t caller;
  crowd_t crowd;
} pair_t;

static void pair_task(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  pair_t *pair = *(pair_t *const *)argument;
  (void)first, (void)count, (void)scratch;
  if (!pthread_equal(pthread_self(), pair->caller))
    (void)runs_once(&pair->team, &pair->crowd, 64, LONG);
  while (atomic_load(&pair->crowd.threads) < pair->crowd.awaited && now() < pair->crowd.end)
    ;
}

Test(team, threads_without_a_matrix_help_those_with_one) {
  if (SVDGRAD_HAVE_OPENMP) /* whose regions do not nest */
    return;
  parallel_t parallel = {NULL, NULL, 0};
  pair_t pair = {.caller = pthread_self(), .crowd = crowd_of(2)}, *call = &pair;
  parallel_open(&parallel);
  parallel_set_threads(&parallel, 3);
  batch_run(
      &parallel,
      (batch_t){
          .task = pair_task, .call = &call, .batch_count = 2, .group = 1, .matrix_cost = 1e9, .team = &pair.team});
  cr_expect_eq(pair.crowd.threads, 2);
  parallel_close();
}

/* ---- the floating-point mode ---- */

static void halve(const void *argument, int64_t piece) {
  volatile double *x = *(volatile double *const *)argument;
  x[piece] /= 2;
}

Test(team, pieces_compute_in_the_mode_of_the_caller) {
  enum { PIECES = 64 };
  volatile double x[PIECES], *argument = x;
  parallel_t parallel = {NULL, NULL, 0};
  parallel_open(&parallel);
  parallel_set_threads(&parallel, 4);
  team_t team;
  for (int flushing = 0; flushing < 2; flushing++)
    for (int repeat = 0; repeat < 50; repeat++) {
      team_open(&team, &parallel, 4, 3);
      for (int i = 0; i < PIECES; i++)
        x[i] = 0x1p-1022;
      if (flushing) {
        WITHOUT_SUBNORMALS;
        team_run(&team, PIECES, LONG, halve, &argument);
      } else {
        IN_DEFAULT_FP_ENVIRONMENT;
        team_run(&team, PIECES, LONG, halve, &argument);
      }
      for (int i = 0; i < PIECES; i++)
        cr_expect_eq(x[i] == 0, flushing, "piece %d", i);
    }
  parallel_close();
}
