/* SPDX-License-Identifier: BSD-3-Clause */
/* How threads share the pieces of a section.  Pieces have homes: a thread takes those of its own part of the section
 * first, so that from one section to the next it meets what lies in its cache, and then those of others. */
#include "base/team.h"

#include "base/fp_environment.h"

#include <limits.h>

/* Nanoseconds of work that are worth a thread of ours; of a caller's pool, whose cost is not known; and for the whole
 * section before a caller's pool is asked. */
enum { LEAST_SHARE = 15000, LEAST_LENT_PIECE = 50000, LEAST_LENT = 200000 };

enum { MOST_HOMES = 64, CACHE_LINE = 64 };

/* The pieces of one home that are not taken yet. */
typedef struct home {
  _Alignas(CACHE_LINE) atomic_int_fast64_t next;
  int64_t end;
} home_t;

typedef struct job {
  team_piece_t piece;
  const void *argument;
  fp_mode_t mode; /* the caller's */
} job_t;

typedef struct section {
  job_t job;
  int homes;
  home_t home[MOST_HOMES];
} section_t;

void team_open(team_t *team, const parallel_t *parallel, int threads, int spare) {
  team->parallel = parallel, team->threads = threads;
  atomic_init(&team->spare, spare);
}

void team_add(team_t *team) { atomic_fetch_add_explicit(&team->spare, 1, memory_order_relaxed); }

int team_threads(const team_t *team) { return team ? 1 + atomic_load_explicit(&team->spare, memory_order_relaxed) : 1; }

/* Takes up to `wanted` of the spare threads. */
static int take_spare(team_t *team, int wanted) {
  int spare = atomic_load_explicit(&team->spare, memory_order_relaxed), taken;
  do
    taken = spare < wanted ? spare : wanted;
  while (taken > 0 && !atomic_compare_exchange_weak(&team->spare, &spare, spare - taken));
  return taken > 0 ? taken : 0;
}

static void run_pieces(const job_t *job, int64_t first, int64_t last) {
  for (int64_t i = first; i < last; i++)
    job->piece(job->argument, i);
}

static void run_home(const job_t *job, home_t *home) {
  for (;;) {
    const int64_t i = atomic_fetch_add_explicit(&home->next, 1, memory_order_relaxed);
    if (i >= home->end)
      return;
    run_pieces(job, i, i + 1);
  }
}

static void take_part(void *argument, int thread) {
  section_t *s = argument;
  IN_FP_MODE(s->job.mode);
  for (int i = 0; i < s->homes; i++)
    run_home(&s->job, &s->home[(thread + i) % s->homes]);
}

/* On this thread and `helpers` others. */
static void run_shared(const team_t *team, const job_t *job, int64_t pieces, int helpers) {
  section_t s;
  s.job = *job;
  s.homes = helpers < MOST_HOMES ? helpers + 1 : MOST_HOMES;
  for (int i = 0; i < s.homes; i++) {
    atomic_init(&s.home[i].next, pieces * i / s.homes);
    s.home[i].end = pieces * (i + 1) / s.homes;
  }
  parallel_run_threads(helpers + 1, team->threads, take_part, &s);
}

/* Some pieces on a thread of a caller's pool. */
static void run_lent(int64_t first, int64_t last, void *argument) {
  const job_t *job = argument;
  IN_FP_MODE(job->mode);
  run_pieces(job, first, last);
}

/* Threads that are worth their time. */
static int threads_for(int64_t pieces, double total) {
  const double threads = total / LEAST_SHARE;
  return threads < (double)pieces ? (int)threads : pieces < INT_MAX ? (int)pieces : INT_MAX;
}

void team_run(team_t *team, int64_t pieces, double cost, team_piece_t piece, const void *argument) {
  job_t job = {piece, argument, fp_mode_now()};
  const double total = cost * (double)pieces;
  const int is_lent = team && team->parallel->run;
  const int wanted = is_lent ? total >= LEAST_LENT && pieces > 1 : threads_for(pieces, total) - 1;
  const int helpers = team && wanted > 0 ? take_spare(team, wanted) : 0;
  if (helpers == 0)
    run_pieces(&job, 0, pieces);
  else if (is_lent)
    team->parallel->run(team->parallel->pool, pieces, 1 + (int64_t)(LEAST_LENT_PIECE / cost), run_lent, &job);
  else
    run_shared(team, &job, pieces, helpers);
  if (helpers > 0)
    atomic_fetch_add_explicit(&team->spare, helpers, memory_order_relaxed);
}
