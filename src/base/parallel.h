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

/* Scratch of up to so many bytes lies on the stack. */
enum { TINY_SCRATCH = 16384 };

/* Computes matrices first..first+count-1 of a call.  No other thread uses `scratch` meanwhile. */
typedef void (*batch_task_t)(const void *call, int64_t first, int64_t count, arena_t scratch);

/* The threads that share the work on one matrix (team.h). */
typedef struct team team_t;

typedef struct batch {
  batch_task_t task;
  const void *call;
  int64_t batch_count;
  int group;          /* largest `count` of a task */
  double matrix_cost; /* estimated nanoseconds per matrix */
  size_t scratch;     /* bytes for one group; a partial group needs as many */
  void *work;         /* batch_workspace() bytes */
  team_t *team;       /* NULL, or what the tasks may share their work with: batch_run() fills it */
} batch_t;

/* Bytes of workspace for a batch; SIZE_MAX if too many.  At most a constant plus a fixed number for each matrix, and
 * enough for every smaller batch.  Small scratch counts for one group, tiny scratch for none (parallel.c). */
size_t batch_workspace(const batch_t *batch);

/* Runs the task over the whole batch. */
void batch_run(const parallel_t *parallel, batch_t batch);

/* Whether a batch has so few matrices that its threads are better used inside of them, one matrix after the other. */
int parallel_is_inside(const parallel_t *parallel, int64_t batch_count);

/* Calls part(argument, thread) on this thread, as number 0, and on at most threads - 1 others of ours, whose numbers
 * stay the same from call to call.  A part takes work until none is left.  The call itself may have `most` threads. */
void parallel_run_threads(int threads, int most, void (*part)(void *argument, int thread), void *argument);

/* For a new handle, with the default number of threads. */
void parallel_open(parallel_t *parallel);
/* 0: the default number. */
void parallel_set_threads(parallel_t *parallel, int num_threads);
void parallel_close(void);

#endif
