/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads over the batch: the one loop of the CPU backends. */
#ifndef SVDGRAD_PARALLEL_H
#define SVDGRAD_PARALLEL_H
#include <svdgrad/svdgrad.h>

#include "arena.h"

typedef struct parallel {
  svdgrad_parallel_for_t run; /* the caller's, or NULL: OpenMP where compiled in */
  void *pool;
  int num_threads; /* of OpenMP; 0: all cores */
} parallel_t;

/* Computes matrix b of a call with scratch memory that no other thread uses meanwhile. */
typedef void (*matrix_task_t)(const void *call, int64_t b, arena_t scratch);

/* Bytes of workspace for a batch whose matrices need `scratch` bytes each (SIZE_MAX: too many).  Small scratch lives
 * on the stack and needs none. */
size_t batch_workspace(int64_t batch_count, size_t scratch);

/* Runs task(call, b, ...) for every b of the batch.  `matrix_cost` estimates the nanoseconds of one. */
void batch_run(const parallel_t *parallel, int64_t batch_count, double matrix_cost, size_t scratch, void *work,
               matrix_task_t task, const void *call);

#endif
