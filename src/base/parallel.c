/* SPDX-License-Identifier: BSD-3-Clause */
/* How a batch is cut into pieces for the threads, and where the scratch memory of each piece lies. */
#include "base/parallel.h"

#include "base/fp_environment.h"
#include "base/thread_pool.h"

#include <pthread.h>
#include <stdatomic.h>

#if SVDGRAD_HAVE_OPENMP
#include <omp.h>
#endif

/* Tiny scratch (bytes per group) lies on the stack.  Small scratch lies on the stacks of built-in threads and of a
 * caller's pool: workspace for every small matrix would be larger than the batch itself.  The calling thread may have
 * little stack; its small scratch of one group lies in the workspace. */
enum { TINY_SCRATCH = 16384, SMALL_SCRATCH = 131072, SLOT_ALIGNMENT = 256 };

static int is_tiny(const batch_t *batch) { return batch->scratch <= TINY_SCRATCH; }
static int is_small(const batch_t *batch) { return batch->scratch <= SMALL_SCRATCH; }

/* Bytes of workspace per matrix where the scratch is not small. */
static size_t slot_size(const batch_t *batch) {
  const size_t group = (size_t)batch->group, unit = group * SLOT_ALIGNMENT;
  return batch->scratch > SIZE_MAX - unit ? SIZE_MAX : (batch->scratch + unit - 1) / unit * SLOT_ALIGNMENT;
}

/* Slots in the workspace.  A partial group needs as much as a full one.  The slots of one more group therefore follow
 * those of the batch, unless the batch is at most one group. */
static uint64_t slots(const batch_t *batch) {
  const uint64_t count = (uint64_t)batch->batch_count, group = (uint64_t)batch->group;
  return count <= group ? group : group > 1 ? count + group : count;
}

size_t batch_workspace(const batch_t *batch) {
  if (batch->batch_count == 0 || is_tiny(batch))
    return 0;
  if (is_small(batch))
    return (batch->scratch + SLOT_ALIGNMENT - 1) / SLOT_ALIGNMENT * SLOT_ALIGNMENT;
  const size_t slot = slot_size(batch);
  return slot == SIZE_MAX || slots(batch) > SIZE_MAX / slot ? SIZE_MAX : slot * (size_t)slots(batch);
}

static unsigned char *slot_of(const batch_t *batch, int64_t matrix) {
  return (unsigned char *)batch->work + slot_size(batch) * (size_t)matrix;
}

/* ---- pieces of the batch, one after the other on a thread ---- */

typedef struct team {
  const batch_t *batch;
  int64_t grain; /* matrices per piece: whole groups */
  atomic_int_fast64_t pieces;
  int is_one_piece;          /* take_piece() gives none: one thread runs all, or a caller's pool gives pieces */
  pthread_mutex_t one_group; /* caller's pool: its holder may use the scratch that belongs to no piece */
} team_t;

static int take_piece(team_t *team, int64_t *first, int64_t *last) {
  const int64_t count = team->batch->batch_count;
  if (team->is_one_piece)
    return 0;
  *first = atomic_fetch_add_explicit(&team->pieces, 1, memory_order_relaxed) * team->grain;
  *last = count - *first < team->grain ? count : *first + team->grain;
  return *first < count;
}

static void run_groups(const batch_t *batch, int64_t first, int64_t last, unsigned char *scratch) {
  for (int64_t b = first; b < last; b += batch->group)
    batch->task(batch->call, b, last - b < batch->group ? last - b : batch->group, (arena_t){scratch, 0});
}

/* Runs this piece, then every piece that this thread can take. */
static void run_pieces(team_t *team, int64_t first, int64_t last, unsigned char *scratch) {
  do
    run_groups(team->batch, first, last, scratch);
  while (take_piece(team, &first, &last));
}

static __attribute__((noinline)) void run_on_little_stack(team_t *team, int64_t first, int64_t last) {
  _Alignas(ARENA_ALIGNMENT) unsigned char stack[TINY_SCRATCH];
  run_pieces(team, first, last, stack);
}

static __attribute__((noinline)) void run_on_large_stack(team_t *team, int64_t first, int64_t last) {
  _Alignas(ARENA_ALIGNMENT) unsigned char stack[SMALL_SCRATCH];
  run_pieces(team, first, last, stack);
}

/* ---- built-in threads: a free thread takes the next piece ---- */

/* A thread uses the slots of its first piece for all its pieces, so that they stay in its cache.  The slots of one more
 * group follow the batch, and so there is room for a whole group behind any first matrix. */
static void run_from(team_t *team, int64_t first, int64_t last, int is_caller) {
  if (is_tiny(team->batch))
    run_on_little_stack(team, first, last);
  else if (!is_small(team->batch))
    run_pieces(team, first, last, slot_of(team->batch, first));
  else if (is_caller)
    run_pieces(team, first, last, team->batch->work);
  else
    run_on_large_stack(team, first, last);
}

static void take_part(void *argument, int is_caller) {
  IN_DEFAULT_FP_ENVIRONMENT;
  int64_t first, last;
  if (take_piece(argument, &first, &last))
    run_from(argument, first, last, is_caller);
}

static void run_alone(const batch_t *batch) {
  team_t team = {.batch = batch, .is_one_piece = 1};
  run_from(&team, 0, batch->batch_count, 1);
}

static void run_team(const batch_t *batch, int64_t grain, int num_threads) {
  const int64_t pieces = (batch->batch_count + grain - 1) / grain;
#if SVDGRAD_HAVE_OPENMP
  const int most = num_threads > 0 ? num_threads : omp_get_max_threads();
#else
  const int most = num_threads;
#endif
  const int threads = pieces < most ? (int)pieces : most;
  if (threads < 2) {
    run_alone(batch);
    return;
  }
  team_t team = {.batch = batch, .grain = grain};
#if SVDGRAD_HAVE_OPENMP
#pragma omp parallel num_threads(threads)
  take_part(&team, omp_get_thread_num() == 0);
#else
  thread_pool_run(threads, take_part, &team);
#endif
}

/* ---- a caller's parallel_for: it chooses the pieces and the threads ---- */

static void run_small_piece(team_t *team, int64_t first, int64_t last) {
  if (pthread_mutex_trylock(&team->one_group)) {
    run_on_large_stack(team, first, last);
    return;
  }
  run_pieces(team, first, last, team->batch->work);
  (void)pthread_mutex_unlock(&team->one_group);
}

/* Uses the slots of the piece.  A piece smaller than a group uses the slots of the extra group. */
static void run_large_piece(team_t *team, int64_t first, int64_t last) {
  const batch_t *batch = team->batch;
  if (last - first >= batch->group) {
    run_pieces(team, first, last, slot_of(batch, first));
    return;
  }
  (void)pthread_mutex_lock(&team->one_group);
  run_pieces(team, first, last, slot_of(batch, (int64_t)slots(batch) - batch->group));
  (void)pthread_mutex_unlock(&team->one_group);
}

static void run_piece(int64_t first, int64_t last, void *argument) {
  IN_DEFAULT_FP_ENVIRONMENT;
  team_t *team = argument;
  if (is_tiny(team->batch))
    run_on_little_stack(team, first, last);
  else if (is_small(team->batch))
    run_small_piece(team, first, last);
  else
    run_large_piece(team, first, last);
}

static void run_lent(const parallel_t *parallel, const batch_t *batch, int64_t grain) {
  team_t team = {.batch = batch, .grain = grain, .is_one_piece = 1, .one_group = PTHREAD_MUTEX_INITIALIZER};
  parallel->run(parallel->pool, batch->batch_count, grain, run_piece, &team);
  (void)pthread_mutex_destroy(&team.one_group);
}

/* ---- both ---- */

/* Matrices per piece: whole groups.  A piece is long compared with the cost of taking it, and short enough that the
 * threads finish at about the same time. */
static int64_t grain_of(const batch_t *batch) {
  const double piece_cost = 1e5; /* 0.1 ms */
  const double matrices = piece_cost / batch->matrix_cost;
  const int64_t groups = matrices > 1e9 ? 1000000000 : (int64_t)(matrices / batch->group) + 1;
  return groups * batch->group;
}

void batch_run(const parallel_t *parallel, batch_t batch) {
  const int64_t grain = grain_of(&batch);
  if (parallel->run)
    run_lent(parallel, &batch, grain);
  else
    run_team(&batch, grain, parallel->num_threads);
}

void parallel_open(parallel_t *parallel) {
#if !SVDGRAD_HAVE_OPENMP
  thread_pool_open();
#endif
  parallel_set_threads(parallel, 0);
}

void parallel_set_threads(parallel_t *parallel, int num_threads) {
#if !SVDGRAD_HAVE_OPENMP
  if (num_threads == 0)
    num_threads = thread_pool_default_threads();
#endif
  parallel->num_threads = num_threads;
}

void parallel_close(void) {
#if !SVDGRAD_HAVE_OPENMP
  thread_pool_close();
#endif
}
