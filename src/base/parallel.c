/* SPDX-License-Identifier: BSD-3-Clause */
/* How a batch is cut into pieces for the threads, and where the scratch memory of each piece lies. */
#include "base/parallel.h"

#include "base/fp_environment.h"
#include "base/team.h"
#include "base/thread_pool.h"

#include <pthread.h>
#include <stdatomic.h>

#if SVDGRAD_HAVE_OPENMP
#include <omp.h>
#endif

/* Tiny scratch (bytes per group) lies on the stack.  Small scratch lies on the stacks of built-in threads and of a
 * caller's pool: workspace for every small matrix would be larger than the batch itself.  The calling thread may have
 * little stack; its small scratch of one group lies in the workspace. */
enum { SMALL_SCRATCH = 131072, SLOT_ALIGNMENT = 256 };

/* Threads of the built-in pool can share the work on one matrix while others have matrices of their own. */
enum { CAN_NEST = !SVDGRAD_HAVE_OPENMP };

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

typedef struct crew {
  const batch_t *batch;
  int64_t grain; /* matrices per piece: whole groups */
  atomic_int_fast64_t pieces;
  int is_one_piece;          /* take_piece() gives none: one thread runs all, or a caller's pool gives pieces */
  pthread_mutex_t one_group; /* caller's pool: its holder may use the scratch that belongs to no piece */
} crew_t;

static int take_piece(crew_t *crew, int64_t *first, int64_t *last) {
  const int64_t count = crew->batch->batch_count;
  if (crew->is_one_piece)
    return 0;
  *first = atomic_fetch_add_explicit(&crew->pieces, 1, memory_order_relaxed) * crew->grain;
  *last = count - *first < crew->grain ? count : *first + crew->grain;
  return *first < count;
}

static void run_groups(const batch_t *batch, int64_t first, int64_t last, unsigned char *scratch) {
  for (int64_t b = first; b < last; b += batch->group)
    batch->task(batch->call, b, last - b < batch->group ? last - b : batch->group, (arena_t){scratch, 0});
}

/* Runs this piece, then every piece that this thread can take. */
static void run_pieces(crew_t *crew, int64_t first, int64_t last, unsigned char *scratch) {
  do
    run_groups(crew->batch, first, last, scratch);
  while (take_piece(crew, &first, &last));
}

static __attribute__((noinline)) void run_on_little_stack(crew_t *crew, int64_t first, int64_t last) {
  _Alignas(ARENA_ALIGNMENT) unsigned char stack[TINY_SCRATCH];
  run_pieces(crew, first, last, stack);
}

static __attribute__((noinline)) void run_on_large_stack(crew_t *crew, int64_t first, int64_t last) {
  _Alignas(ARENA_ALIGNMENT) unsigned char stack[SMALL_SCRATCH];
  run_pieces(crew, first, last, stack);
}

/* ---- built-in threads: a free thread takes the next piece ---- */

/* A thread uses the slots of its first piece for all its pieces, so that they stay in its cache.  The slots of one more
 * group follow the batch, and so there is room for a whole group behind any first matrix. */
static void run_from(crew_t *crew, int64_t first, int64_t last, int is_caller) {
  if (is_tiny(crew->batch))
    run_on_little_stack(crew, first, last);
  else if (!is_small(crew->batch))
    run_pieces(crew, first, last, slot_of(crew->batch, first));
  else if (is_caller)
    run_pieces(crew, first, last, crew->batch->work);
  else
    run_on_large_stack(crew, first, last);
}

static void take_part(void *argument, int thread) {
  IN_DEFAULT_FP_ENVIRONMENT;
  const crew_t *crew = argument;
  int64_t first, last;
  if (take_piece(argument, &first, &last))
    run_from(argument, first, last, thread == 0);
  if (crew->batch->team && thread > 0 && CAN_NEST)
    team_add(crew->batch->team);
}

static void run_alone(const batch_t *batch) {
  crew_t crew = {.batch = batch, .is_one_piece = 1};
  run_from(&crew, 0, batch->batch_count, 1);
}

void parallel_run_threads(int threads, int most, void (*part)(void *argument, int thread), void *argument) {
#if SVDGRAD_HAVE_OPENMP
  (void)most;
#pragma omp parallel num_threads(threads)
  part(argument, omp_get_thread_num());
#else
  thread_pool_start(most);
  thread_pool_run(threads, part, argument);
#endif
}

static void run_crew(const batch_t *batch, int64_t grain, int most) {
  const int64_t pieces = (batch->batch_count + grain - 1) / grain;
  const int threads = pieces < most ? (int)pieces : most;
  if (threads < 2) {
    run_alone(batch);
    return;
  }
  crew_t crew = {.batch = batch, .grain = grain};
  parallel_run_threads(threads, threads, take_part, &crew);
}

/* ---- a caller's parallel_for: it chooses the pieces and the threads ---- */

static void run_small_piece(crew_t *crew, int64_t first, int64_t last) {
  if (pthread_mutex_trylock(&crew->one_group)) {
    run_on_large_stack(crew, first, last);
    return;
  }
  run_pieces(crew, first, last, crew->batch->work);
  (void)pthread_mutex_unlock(&crew->one_group);
}

/* Uses the slots of the piece.  A piece smaller than a group uses the slots of the extra group. */
static void run_large_piece(crew_t *crew, int64_t first, int64_t last) {
  const batch_t *batch = crew->batch;
  if (last - first >= batch->group) {
    run_pieces(crew, first, last, slot_of(batch, first));
    return;
  }
  (void)pthread_mutex_lock(&crew->one_group);
  run_pieces(crew, first, last, slot_of(batch, (int64_t)slots(batch) - batch->group));
  (void)pthread_mutex_unlock(&crew->one_group);
}

static void run_piece(int64_t first, int64_t last, void *argument) {
  IN_DEFAULT_FP_ENVIRONMENT;
  crew_t *crew = argument;
  if (is_tiny(crew->batch))
    run_on_little_stack(crew, first, last);
  else if (is_small(crew->batch))
    run_small_piece(crew, first, last);
  else
    run_large_piece(crew, first, last);
}

static void run_lent(const parallel_t *parallel, const batch_t *batch, int64_t grain) {
  crew_t crew = {.batch = batch, .grain = grain, .is_one_piece = 1, .one_group = PTHREAD_MUTEX_INITIALIZER};
  parallel->run(parallel->pool, batch->batch_count, grain, run_piece, &crew);
  (void)pthread_mutex_destroy(&crew.one_group);
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

/* Threads of a call, the calling one included.  A caller's pool does not say how many it has: a guess. */
static int most_threads(const parallel_t *parallel) {
#if SVDGRAD_HAVE_OPENMP
  return parallel->num_threads > 0 ? parallel->num_threads : omp_get_max_threads();
#else
  return parallel->num_threads;
#endif
}

/* Inside of a matrix threads are not used as well as on one each. */
int parallel_is_inside(const parallel_t *parallel, int64_t batch_count) {
  enum { THREADS_EACH = 4 };
  const int64_t most = most_threads(parallel);
  return batch_count == 1 ? most > 1 : batch_count <= most / THREADS_EACH;
}

void batch_run(const parallel_t *parallel, batch_t batch) {
  const int64_t grain = grain_of(&batch), pieces = (batch.batch_count + grain - 1) / grain;
  const int most = most_threads(parallel), nests = CAN_NEST && !parallel->run;
  const int is_inside = batch.team && !nests && parallel_is_inside(parallel, batch.batch_count);
  if (batch.team)
    team_open(batch.team, parallel, most, is_inside ? most - 1 : nests && pieces < most ? most - (int)pieces : 0);
  if (is_inside)
    run_alone(&batch);
  else if (parallel->run)
    run_lent(parallel, &batch, grain);
  else
    run_crew(&batch, grain, most);
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
