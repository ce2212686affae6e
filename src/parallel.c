/* SPDX-License-Identifier: BSD-3-Clause */
#include "parallel.h"

#if SVDGRAD_HAVE_OPENMP
#include <omp.h>
#endif

/* Scratch up to here lies on the stack of the thread, which is always in its cache; the workspace of a batch of many
 * tiny matrices would otherwise be larger than the batch. */
enum { SCRATCH_ON_STACK = 16384, SLOT_ALIGNMENT = 256 };

typedef struct batch {
  matrix_task_t task;
  const void *call;
  unsigned char *work;
  size_t slot; /* bytes of workspace per matrix; 0: scratch is on the stack */
} batch_t;

static size_t slot_size(size_t scratch) {
  if (scratch <= SCRATCH_ON_STACK)
    return 0;
  return scratch > SIZE_MAX - SLOT_ALIGNMENT ? SIZE_MAX
                                             : (scratch + SLOT_ALIGNMENT - 1) / SLOT_ALIGNMENT * SLOT_ALIGNMENT;
}

size_t batch_workspace(int64_t batch_count, size_t scratch) {
  const size_t slot = slot_size(scratch);
  if (slot == 0 || batch_count == 0)
    return 0;
  return slot == SIZE_MAX || (uint64_t)batch_count > SIZE_MAX / slot ? SIZE_MAX : slot * (size_t)batch_count;
}

/* The slots of matrices first..last-1 belong to this piece alone, so it uses the first of them for every matrix:
 * that memory stays in the cache, and no thread needs to know its number. */
static void run_piece(int64_t first, int64_t last, void *argument) {
  const batch_t *batch = argument;
  if (batch->slot == 0) {
    _Alignas(ARENA_ALIGNMENT) unsigned char stack[SCRATCH_ON_STACK];
    for (int64_t b = first; b < last; b++)
      batch->task(batch->call, b, (arena_t){stack, 0});
  } else {
    for (int64_t b = first; b < last; b++)
      batch->task(batch->call, b, (arena_t){batch->work + batch->slot * (size_t)first, 0});
  }
}

#if SVDGRAD_HAVE_OPENMP
static void openmp_for(int num_threads, int64_t count, int64_t grain, batch_t *batch) {
  const int64_t pieces = (count + grain - 1) / grain;
  const int most = num_threads > 0 ? num_threads : omp_get_max_threads();
  const int threads = pieces < most ? (int)pieces : most;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t i = 0; i < pieces; i++)
    run_piece(i * grain, (i + 1) * grain < count ? (i + 1) * grain : count, batch);
}
#endif

void batch_run(const parallel_t *parallel, int64_t batch_count, double matrix_cost, size_t scratch, void *work,
               matrix_task_t task, const void *call) {
  batch_t batch = {task, call, work, slot_size(scratch)};
  const double piece_cost = 1e5; /* 0.1 ms: long beside handing a piece out, short beside a core that waits */
  const int64_t grain = matrix_cost >= piece_cost ? 1 : (int64_t)(piece_cost / matrix_cost) + 1;
  if (parallel->run) {
    parallel->run(parallel->pool, batch_count, grain, run_piece, &batch);
    return;
  }
#if SVDGRAD_HAVE_OPENMP
  if (batch_count > grain && parallel->num_threads != 1) {
    openmp_for(parallel->num_threads, batch_count, grain, &batch);
    return;
  }
#endif
  run_piece(0, batch_count, &batch);
}
