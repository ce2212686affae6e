/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies the caller's matrices into lanes, and back.  The elements keep the caller's order, so that neighbours move in
 * chunks (chunks.h), and a tile is described by its pair of strides: no element moves twice. */
#ifndef SVDGRAD_MEMORY_OPERANDS_H
#define SVDGRAD_MEMORY_OPERANDS_H
#include "ahead.h"
#include "chunks.h"
#include "backend.h"

/* The caller's matrices of one group, `count` of which exist; strides in reals. */
typedef struct strided {
  R *data; /* NULL: absent */
  int64_t batch, row, column;
} strided_t;

/* The same matrices in lanes: element (i, j) is element i * row + j * column of the array. */
typedef struct tile {
  R *data;
  int64_t row, column;
} tile_t;

INLINE strided_t strided_of(const svdgrad_matrix_t *X, int64_t first, int transposed) {
  R *data = X->data ? (R *)((T *)X->data + first * X->batch_stride) : NULL;
  const int64_t row = PARTS * X->row_stride, column = PARTS * X->col_stride;
  return (strided_t){data, PARTS * X->batch_stride, transposed ? column : row, transposed ? row : column};
}

INLINE strided_t strided_vector(const svdgrad_vector_t *x, int64_t first) {
  return (strided_t){x->data ? (R *)x->data + first * x->batch_stride : NULL, x->batch_stride, x->stride, x->stride};
}

/* Rows first.. of X. */
INLINE strided_t rows_from(const strided_t *X, int64_t first) {
  return (strided_t){X->data ? X->data + first * X->row : NULL, X->batch, X->row, X->column};
}

/* How the elements of `parts` reals lie in the caller's memory: `lines` lines, `next` reals apart, of `length`
 * elements, `step` reals apart. */
typedef struct lines {
  int by_columns; /* a line is a column */
  int64_t length, step, lines, next;
} lines_t;

INLINE lines_t lines_of(const strided_t *X, int64_t rows, int64_t columns, int parts) {
  const int by_columns = columns == 1 || (rows > 1 && X->row <= X->column);
  lines_t l =
      by_columns ? (lines_t){1, rows, X->row, columns, X->column} : (lines_t){0, columns, X->column, rows, X->row};
  if (l.length == 1)
    l.step = parts;
  if (l.step == parts && (l.next == l.length * parts || l.lines == 1)) {
    l.length *= l.lines;
    l.lines = 1;
  }
  return l;
}

INLINE tile_t tile_of(R *data, const lines_t *l, int64_t rows, int64_t columns) {
  return (tile_t){data, l->by_columns ? 1 : columns, l->by_columns ? rows : 1};
}

/* Prefetches `count` matrices, if they are contiguous in memory. */
INLINE void prefetch_later(ahead_t *ahead, const strided_t *X, int64_t rows, int64_t columns, int64_t count) {
  const lines_t l = lines_of(X, rows, columns, PARTS);
  if (X->data && l.lines == 1 && l.step == PARTS && X->batch == l.length * PARTS)
    ahead_add(ahead, X->data, count * X->batch * (int64_t)sizeof(R));
}

/* Where the chunk at real e of a line starts: the last chunk overlaps the one before. */
INLINE int64_t chunk_start(int64_t e, int64_t reals) { return e + CHUNK <= reals ? e : reals - CHUNK; }

/* A line of at least CHUNK reals. */
INLINE void line_in(const R *from, int64_t batch, int64_t reals, R *to) {
  int64_t e = 0;
  for (; e + WIDE <= reals; e += WIDE)
    wide_chunk_in(from + e, batch, to + e * LANES);
  for (; e < reals; e += CHUNK) {
    const int64_t at = chunk_start(e, reals);
    chunk_in(from + at, batch, to + at * LANES);
  }
}

INLINE void line_out(const R *from, R *to, int64_t batch, int64_t reals) {
  int64_t e = 0;
  for (; e + WIDE <= reals; e += WIDE)
    wide_chunk_out(from + e * LANES, to + e, batch);
  for (; e < reals; e += CHUNK) {
    const int64_t at = chunk_start(e, reals);
    chunk_out(from + at * LANES, to + at, batch);
  }
}

INLINE int in_chunks(const lines_t *l, int parts) { return l->step == parts && l->length * parts >= CHUNK; }

/* ---- fewer matrices than lanes ----
 *
 * The other lanes hold copies of the last matrix, which are ready when it is.  Zeros would not be: Jacobi looks for noise in
 * columns of zeros in every sweep, which doubled the time of one matrix of 16 columns. */

/* The matrix of each lane. */
typedef struct lane_sources {
  const R *of[LANES];
} lane_sources_t;

INLINE lane_sources_t lane_sources(const R *from, int64_t batch, int count) {
  lane_sources_t sources;
  for (int lane = 0; lane < LANES; lane++)
    sources.of[lane] = from + (lane < count ? lane : count - 1) * batch;
  return sources;
}

INLINE void spread_one(const R *from, int64_t reals, R *to) {
  for (int64_t e = 0; e < reals; e++)
    store_real(to + e * LANES, broadcast(from[e]));
}

INLINE void chunk_out_to_some(const R *from, R *to, int64_t batch, int count) {
  _Alignas(LANES_BYTES) R chunks[LANES * CHUNK];
  chunk_out(from, chunks, CHUNK);
  for (int lane = 0; lane < count; lane++)
    memcpy(to + lane * batch, chunks + lane * CHUNK, CHUNK * sizeof(R));
}

/* As line_in() and line_out(). */
NOINLINE void line_in_of_some(const R *from, int64_t batch, int64_t reals, R *to, int count) {
  if (count == 1) {
    spread_one(from, reals, to);
    return;
  }
  const lane_sources_t sources = lane_sources(from, batch, count);
  for (int64_t e = 0; e < reals; e += CHUNK) {
    const int64_t at = chunk_start(e, reals);
    chunk_in_of(sources.of, at, to + at * LANES);
  }
}

NOINLINE void line_out_to_some(const R *from, R *to, int64_t batch, int64_t reals, int count) {
  for (int64_t e = 0; e < reals; e += CHUNK) {
    const int64_t at = chunk_start(e, reals);
    chunk_out_to_some(from + at * LANES, to + at, batch, count);
  }
}

/* ---- lines whose elements are not neighbours ---- */

/* A line whose elements are not neighbours is copied in runs of elements, one matrix after the other: matrices whose
 * distance is a power of two compete for the same few cache lines. */
enum { RUN = 16 };

/* Copies a run of `length` elements; lanes from `count` on become zero, which rows of one matrix need
 * (one/row_block.h). */
INLINE void run_in(const R *from, int64_t batch, int64_t step, int64_t length, int parts, R *to, int count) {
  for (int lane = 0; lane < LANES; lane++)
    for (int64_t e = 0; e < length; e++)
      for (int part = 0; part < parts; part++)
        to[(e * parts + part) * LANES + lane] = lane < count ? from[lane * batch + e * step + part] : 0;
}

/* The same of `count` matrices, and copies of the last one. */
INLINE void matrices_in(const R *from, int64_t batch, int64_t step, int64_t length, int parts, R *to, int count) {
  if (count == LANES) {
    run_in(from, batch, step, length, parts, to, LANES);
    return;
  }
  const lane_sources_t sources = lane_sources(from, batch, count);
  for (int lane = 0; lane < LANES; lane++)
    for (int64_t e = 0; e < length; e++)
      for (int part = 0; part < parts; part++)
        to[(e * parts + part) * LANES + lane] = sources.of[lane][e * step + part];
}

INLINE void run_out(const R *from, R *to, int64_t batch, int64_t step, int64_t length, int parts, int count) {
  for (int lane = 0; lane < count; lane++)
    for (int64_t e = 0; e < length; e++)
      for (int part = 0; part < parts; part++)
        to[lane * batch + e * step + part] = from[(e * parts + part) * LANES + lane];
}

INLINE int64_t run_length(int64_t e, int64_t length) { return length - e < RUN ? length - e : RUN; }

INLINE tile_t fetch_inline(const strided_t *X, int64_t rows, int64_t columns, int parts, R *data, int count) {
  const lines_t l = lines_of(X, rows, columns, parts);
  const int64_t reals = l.length * parts;
  for (int64_t line = 0; line < l.lines; line++) {
    const R *from = X->data + line * l.next;
    R *to = data + line * reals * LANES;
    if (!in_chunks(&l, parts))
      for (int64_t e = 0; e < l.length; e += RUN)
        matrices_in(from + e * l.step, X->batch, l.step, run_length(e, l.length), parts, to + e * parts * LANES, count);
    else if (count == LANES)
      line_in(from, X->batch, reals, to);
    else
      line_in_of_some(from, X->batch, reals, to, count);
  }
  return tile_of(data, &l, rows, columns);
}

INLINE void put_back_inline(const strided_t *X, int64_t rows, int64_t columns, int parts, const R *data, int count) {
  const lines_t l = lines_of(X, rows, columns, parts);
  const int64_t reals = l.length * parts;
  for (int64_t line = 0; line < l.lines; line++) {
    const R *from = data + line * reals * LANES;
    R *to = X->data + line * l.next;
    if (!in_chunks(&l, parts))
      for (int64_t e = 0; e < l.length; e += RUN)
        run_out(from + e * parts * LANES, to + e * l.step, X->batch, l.step, run_length(e, l.length), parts, count);
    else if (count == LANES)
      line_out(from, to, X->batch, reals);
    else
      line_out_to_some(from, to, X->batch, reals, count);
  }
}

NOINLINE tile_t fetch_any(const strided_t *X, int64_t rows, int64_t columns, int parts, R *data, int count) {
  return fetch_inline(X, rows, columns, parts, data, count);
}

NOINLINE void put_back_any(const strided_t *X, int64_t rows, int64_t columns, int parts, const R *data, int count) {
  put_back_inline(X, rows, columns, parts, data, count);
}

/* A size that is known at compile time, and small enough that inlined copies pay. */
#define IS_SMALL(rows, columns) (__builtin_constant_p((rows) * (columns)) && (rows) * (columns) <= 16)

INLINE tile_t fetch(const strided_t *X, int64_t rows, int64_t columns, int parts, R *data, int count) {
  return IS_SMALL(rows, columns) ? fetch_inline(X, rows, columns, parts, data, count)
                                 : fetch_any(X, rows, columns, parts, data, count);
}

INLINE void put_back(const strided_t *X, int64_t rows, int64_t columns, int parts, const R *data, int count) {
  if (IS_SMALL(rows, columns))
    put_back_inline(X, rows, columns, parts, data, count);
  else
    put_back_any(X, rows, columns, parts, data, count);
}

#endif
