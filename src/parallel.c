/* SPDX-License-Identifier: BSD-3-Clause */
#include "parallel.h"

#if SVDGRAD_HAVE_OPENMP
#include <omp.h>
#endif

/* Scratch of a group up to here lies on the stack of the thread, which is always in its cache; the workspace of a batch
 * of many tiny matrices would otherwise be larger than the batch. */
enum { SCRATCH_ON_STACK = 65536, SLOT_ALIGNMENT = 256 };

/* Bytes of workspace per matrix; 0: scratch is on the stack. */
static size_t slot_size(const batch_t *batch) {
  const size_t group = (size_t)batch->group, unit = group * SLOT_ALIGNMENT;
  if (batch->scratch <= SCRATCH_ON_STACK)
    return 0;
  return batch->scratch > SIZE_MAX - unit ? SIZE_MAX : (batch->scratch + unit - 1) / unit * SLOT_ALIGNMENT;
}

size_t batch_workspace(const batch_t *batch) {
  const size_t slot = slot_size(batch);
  if (slot == 0 || batch->batch_count == 0)
    return 0;
  return slot == SIZE_MAX || (uint64_t)batch->batch_count > SIZE_MAX / slot ? SIZE_MAX
                                                                            : slot * (size_t)batch->batch_count;
}

static void run_groups(const batch_t *batch, int64_t first, int64_t last, unsigned char *scratch) {
  for (int64_t b = first; b < last; b += batch->group)
    batch->task(batch->call, b, last - b < batch->group ? last - b : batch->group, (arena_t){scratch, 0});
}

static void run_on_stack(const batch_t *batch, int64_t first, int64_t last) {
  _Alignas(ARENA_ALIGNMENT) unsigned char stack[SCRATCH_ON_STACK];
  run_groups(batch, first, last, stack);
}

static void run_in_spare(const batch_t *batch, int64_t first, int64_t last) {
  run_groups(batch, first, last, spare_take(batch->spare, batch->scratch));
  spare_give(batch->spare);
}

/* The slots of matrices first..last-1 belong to this piece alone, so it uses the first of them for all of it: that
 * memory stays in the cache, and no thread needs to know its number. */
static void run_piece(int64_t first, int64_t last, void *argument) {
  const batch_t *batch = argument;
  const size_t slot = slot_size(batch);
  if (slot == 0)
    run_on_stack(batch, first, last);
  else if (batch->padded && last - first < batch->group)
    run_in_spare(batch, first, last);
  else
    run_groups(batch, first, last, (unsigned char *)batch->work + slot * (size_t)first);
}

/* Matrices handed to a thread at once: whole groups, long beside handing a piece out, short beside a core that waits. */
static int64_t grain_of(const batch_t *batch) {
  const double piece_cost = 1e5; /* 0.1 ms */
  const double matrices = piece_cost / batch->matrix_cost;
  const int64_t groups = matrices > 1e9 ? 1000000000 : (int64_t)(matrices / batch->group) + 1;
  return groups * batch->group;
}

#if SVDGRAD_HAVE_OPENMP
static void openmp_for(int num_threads, int64_t grain, batch_t *batch) {
  const int64_t count = batch->batch_count, pieces = (count + grain - 1) / grain;
  const int most = num_threads > 0 ? num_threads : omp_get_max_threads();
  const int threads = pieces < most ? (int)pieces : most;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t i = 0; i < pieces; i++)
    run_piece(i * grain, (i + 1) * grain < count ? (i + 1) * grain : count, batch);
}
#endif

void batch_run(const parallel_t *parallel, batch_t batch) {
  const int64_t grain = grain_of(&batch);
  batch.spare = parallel->spare;
  if (parallel->run) {
    parallel->run(parallel->pool, batch.batch_count, grain, run_piece, &batch);
    return;
  }
#if SVDGRAD_HAVE_OPENMP
  if (batch.batch_count > grain && parallel->num_threads != 1) {
    openmp_for(parallel->num_threads, grain, &batch);
    return;
  }
#endif
  run_piece(0, batch.batch_count, &batch);
}
