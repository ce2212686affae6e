/* SPDX-License-Identifier: BSD-3-Clause */
/* The order in which the power iteration reads a matrix, and how threads share the work: each takes whole matrices of
 * the batch, or chunks of the rows of one matrix after the other. */
#ifndef SVDGRAD_POWER_WALK_H
#define SVDGRAD_POWER_WALK_H
#include "calls.h"
#include "base/parallel.h"

/* M is A, or A^T where the columns of A are contiguous, so that the rows of M are contiguous. */
typedef struct walk {
  int transposed;             /* M is A^T */
  int64_t rows, columns;      /* of M */
  int64_t chunks, chunk_rows; /* a pure function of rows, columns and type */
} walk_t;

enum { MOST_CHUNKS = 256 };

walk_t walk_make(svdgrad_dtype_t dtype, int transposed, int64_t rows, int64_t columns);
walk_t walk_of(const problem_t *p, const svdgrad_matrix_t *X);

/* X with the strides of M. */
static inline svdgrad_matrix_t as_walked(const walk_t *walk, svdgrad_matrix_t X) {
  if (walk->transposed)
    return (svdgrad_matrix_t){X.data, X.col_stride, X.row_stride, X.batch_stride};
  return X;
}

static inline int64_t first_row(const walk_t *walk, int64_t chunk) { return chunk * walk->chunk_rows; }

/* The row behind the last one of the chunk. */
static inline int64_t last_row(const walk_t *walk, int64_t chunk) {
  const int64_t last = (chunk + 1) * walk->chunk_rows;
  return last < walk->rows ? last : walk->rows;
}

/* Threads for the matrices of the batch, and for the chunks of one matrix; chunks NULL: the thread of the matrix. */
typedef struct sharing {
  const parallel_t *matrices, *chunks;
} sharing_t;

/* Parallel over whichever are more: matrices or chunks. */
sharing_t share(const parallel_t *parallel, const walk_t *walk, int64_t batch_count);

/* Calls the task for every chunk, with that sharing.chunks; the task gets no scratch memory. */
void run_chunks(const parallel_t *chunks, const walk_t *walk, batch_task_t task, const void *call);

#endif
