/* SPDX-License-Identifier: BSD-3-Clause */
/* The parallel loop over a batch, which all CPU backends use. */
#ifndef SVDGRAD_PARALLEL_H
#define SVDGRAD_PARALLEL_H
#include <svdgrad/svdgrad.h>

#include "base/arena.h"

typedef struct parallel {
  svdgrad_parallel_for_t run; /* the caller's; NULL: built-in threads (thread_pool.h), or OpenMP's */
  void *pool;
  int num_threads; /* if run is NULL; 0, with OpenMP only: OpenMP's default */
} parallel_t;

/* Computes matrices first..first+count-1 of a call.  No other thread uses `scratch` meanwhile. */
typedef void (*batch_task_t)(const void *call, int64_t first, int64_t count, arena_t scratch);

typedef struct batch {
  batch_task_t task;
  const void *call;
  int64_t batch_count;
  int group;          /* largest `count` of a task */
  double matrix_cost; /* estimated nanoseconds per matrix */
  size_t scratch;     /* bytes for one group; a partial group needs as many */
  void *work;         /* batch_workspace() bytes */
} batch_t;

/* Bytes of workspace for a batch; SIZE_MAX if too many.  At most a constant plus a fixed number for each matrix, and
 * enough for every smaller batch.  Small scratch counts for one group, tiny scratch for none (parallel.c). */
size_t batch_workspace(const batch_t *batch);

/* Runs the task over the whole batch. */
void batch_run(const parallel_t *parallel, batch_t batch);

/* For a new handle, with the default number of threads. */
void parallel_open(parallel_t *parallel);
/* 0: the default number. */
void parallel_set_threads(parallel_t *parallel, int num_threads);
void parallel_close(void);

#endif
