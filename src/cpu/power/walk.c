/* SPDX-License-Identifier: BSD-3-Clause */
#include "walk.h"

#include "base/element_size.h"

enum { CHUNK_BYTES = 1 << 18, CHUNK_ROWS = 32, ROW_GROUP = 8 };

/* A chunk takes long compared with handing it to a thread, and has so many rows that the sums of all chunks are small
 * compared with M. */
walk_t walk_make(svdgrad_dtype_t dtype, int transposed, int64_t rows, int64_t columns) {
  const double bytes = (double)rows * (double)columns * (double)element_size(dtype);
  int64_t chunks = rows / CHUNK_ROWS < MOST_CHUNKS ? rows / CHUNK_ROWS : MOST_CHUNKS;
  if (bytes < (double)chunks * CHUNK_BYTES)
    chunks = (int64_t)(bytes / CHUNK_BYTES);
  if (chunks < 1)
    chunks = 1;
  const int64_t chunk_rows = ((rows + chunks - 1) / chunks + ROW_GROUP - 1) / ROW_GROUP * ROW_GROUP;
  return (walk_t){transposed, rows, columns, (rows + chunk_rows - 1) / chunk_rows, chunk_rows};
}

walk_t walk_of(const problem_t *p, const svdgrad_matrix_t *X) {
  const int transposed = p->n == 1 || (p->m > 1 && X->row_stride < X->col_stride);
  return walk_make(p->dtype, transposed, transposed ? p->n : p->m, transposed ? p->m : p->n);
}

sharing_t share(const parallel_t *parallel, const walk_t *walk, int64_t batch_count) {
  static const parallel_t serial = {.num_threads = 1};
  const int by_chunks = batch_count < walk->chunks && (parallel->run || parallel->num_threads != 1);
  return by_chunks ? (sharing_t){&serial, parallel} : (sharing_t){parallel, NULL};
}

void run_chunks(const parallel_t *chunks, const walk_t *walk, batch_task_t task, const void *call) {
  const arena_t none = {NULL, 0};
  if (!chunks) {
    for (int64_t chunk = 0; chunk < walk->chunks; chunk++)
      task(call, chunk, 1, none);
    return;
  }
  batch_run(chunks, (batch_t){.task = task,
                              .call = call,
                              .batch_count = walk->chunks,
                              .group = 1,
                              .matrix_cost = (double)walk->chunk_rows * (double)walk->columns / 4});
}
