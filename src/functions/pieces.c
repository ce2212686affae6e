/* SPDX-License-Identifier: BSD-3-Clause */
/* The stages of a composed operation, piece by piece of the batch, on a CPU backend.  A piece is the largest number of
 * whole groups whose arrays fit in the cache, so that the arrays stay there between two backend calls. */
#include "functions/pieces.h"

enum { PIECE_BYTES = 65536 };

typedef struct job {
  context_t context; /* of one thread */
  const staged_t *staged;
} job_t;

static void run_piece(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const job_t *job = argument;
  (void)job->staged->run(&job->context, job->staged, first, count, scratch.base); /* CPU backends do not fail */
}

/* How many groups, of which the first takes `one` bytes: a group has some memory of its own, and some for each matrix.  To
 * measure takes long beside a small matrix, so the only group of a batch is measured once. */
static int groups_of_piece(const context_t *context, const staged_t *staged, int group, size_t one) {
  if (one >= PIECE_BYTES || staged->p->batch_count <= group)
    return 1;
  const size_t two = staged->bytes(context, staged, 2 * (int64_t)group);
  const size_t more = two > one ? (PIECE_BYTES - one) / (two - one) : PIECE_BYTES / (size_t)group - 1;
  return 1 + (int)more;
}

static batch_t batch_of(const context_t *context, const staged_t *staged, int group) {
  const problem_t *p = staged->p;
  const size_t one = staged->bytes(context, staged, group);
  const int groups = groups_of_piece(context, staged, group, one), piece = groups * group;
  return (batch_t){.task = run_piece,
                   .batch_count = p->batch_count,
                   .group = piece,
                   .matrix_cost = 200 + 2.0 * (double)p->m * (double)p->n * (double)p->mn,
                   .scratch = groups > 1 ? staged->bytes(context, staged, piece) : one};
}

size_t pieces_workspace(const context_t *context, const staged_t *staged, int group) {
  const batch_t batch = batch_of(context, staged, group);
  return batch_workspace(&batch);
}

/* A matrix that takes so many nanoseconds gives threads something to share. */
enum { LONG = 30000000 };

svdgrad_status_t pieces_run(const context_t *context, const staged_t *staged, int group, void *work) {
  static const parallel_t alone = {.num_threads = 1};
  job_t job = {*context, staged};
  batch_t batch = batch_of(context, staged, group);
  const int is_inside = batch.matrix_cost >= LONG && parallel_is_inside(&context->parallel, batch.batch_count);
  if (!is_inside)
    job.context.parallel = alone;
  batch.call = &job, batch.work = work;
  batch_run(is_inside ? &alone : &context->parallel, batch);
  return SVDGRAD_STATUS_SUCCESS;
}
