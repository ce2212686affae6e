/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads over the batch: the one loop of the CPU backends. */
#ifndef SVDGRAD_PARALLEL_H
#define SVDGRAD_PARALLEL_H
#include <svdgrad/svdgrad.h>

#include "base/arena.h"

typedef struct parallel {
  svdgrad_parallel_for_t run; /* the caller's, or NULL: built-in threads (thread_pool.h), or OpenMP's */
  void *pool;
  int num_threads; /* built-in ones; 0, of OpenMP alone: as many as it likes */
} parallel_t;

/* Computes matrices first..first+count-1 of a call, in scratch memory that no other thread uses meanwhile. */
typedef void (*batch_task_t)(const void *call, int64_t first, int64_t count, arena_t scratch);

typedef struct batch {
  batch_task_t task;
  const void *call;
  int64_t batch_count;
  int group;          /* most matrices that a task takes at once */
  double matrix_cost; /* estimate, nanoseconds of one matrix */
  size_t scratch;     /* bytes for a group, however few matrices it has */
  void *work;         /* batch_workspace() bytes */
} batch_t;

/* Bytes of workspace for a batch (SIZE_MAX: too many): at most a constant and so much for each matrix, and enough for
 * every smaller batch.  Of small scratch there is that of one group alone, of tiny scratch none. */
size_t batch_workspace(const batch_t *batch);

/* Runs the task over the whole batch. */
void batch_run(const parallel_t *parallel, batch_t batch);

/* Of a handle: with the default number of threads, */
void parallel_open(parallel_t *parallel);
/* with another; 0: the default. */
void parallel_set_threads(parallel_t *parallel, int num_threads);
void parallel_close(void);

#endif
