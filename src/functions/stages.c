/* SPDX-License-Identifier: BSD-3-Clause */
#include "stages.h"

#include "../parallel.h"

/* The arrays of a piece, as many whole groups of the backend's as fit, stay in the cache between one of its calls and the
 * next; where they can be, in small scratch (parallel.c), so that they never reach memory. */
enum { PIECE_BYTES = 65536 };

typedef struct job {
  context_t context; /* of one thread: the pieces are what is parallel */
  stages_part_t part;
  const void *call;
} job_t;

static void run_part(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const job_t *job = argument;
  (void)job->part(&job->context, job->call, first, count, scratch.base); /* CPU backends do not fail */
}

static size_t bytes_of(const context_t *context, const problem_t *p, stages_bytes_t bytes, int count) {
  problem_t part = *p;
  part.batch_count = count;
  return bytes(context, &part);
}

/* Matrices of a piece: a group has some memory of its own, and some for each matrix. */
static int piece_of(const context_t *context, const problem_t *p, stages_bytes_t bytes) {
  const int least = context->backend->svd_group(context, p);
  const size_t one = bytes_of(context, p, bytes, least), two = bytes_of(context, p, bytes, 2 * least);
  if (one >= PIECE_BYTES)
    return least;
  const size_t more = two > one ? (PIECE_BYTES - one) / (two - one) : PIECE_BYTES / (size_t)least - 1;
  return least * (int)(1 + more);
}

static batch_t batch_of(const context_t *context, const problem_t *p, stages_bytes_t bytes) {
  const int group = piece_of(context, p, bytes);
  return (batch_t){.task = run_part,
                   .batch_count = p->batch_count,
                   .group = group,
                   .matrix_cost = 200 + 2.0 * (double)p->m * (double)p->n * (double)p->mn,
                   .scratch = bytes_of(context, p, bytes, group)};
}

size_t stages_workspace(const context_t *context, const problem_t *p, stages_bytes_t bytes) {
  if (context->id == SVDGRAD_BACKEND_CUDA)
    return bytes(context, p);
  const batch_t batch = batch_of(context, p, bytes);
  return batch_workspace(&batch);
}

svdgrad_status_t stages_run(const context_t *context, const problem_t *p, stages_bytes_t bytes, stages_part_t part,
                            const void *call, void *work) {
  if (context->id == SVDGRAD_BACKEND_CUDA)
    return part(context, call, 0, p->batch_count, work);
  job_t job = {*context, part, call};
  job.context.parallel = (parallel_t){.num_threads = 1};
  batch_t batch = batch_of(context, p, bytes);
  batch.call = &job, batch.work = work;
  batch_run(&context->parallel, batch);
  return SVDGRAD_STATUS_SUCCESS;
}
