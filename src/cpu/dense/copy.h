/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies between the caller's matrices, of any strides, and packed column-major storage. */
#ifndef SVDGRAD_DENSE_COPY_H
#define SVDGRAD_DENSE_COPY_H
#include "backend.h"
#include "base/type.h"
#include "base/strided.h"
#include "base/team.h"

/* A matrix in memory: entry (i, j) is x[i * row + j * column]. */
typedef struct place {
  T *x;
  int64_t row, column;
} place_t;

static place_t place_of(const svdgrad_matrix_t *X, int64_t b) {
  return (place_t){element(X, b, 0, 0), X->row_stride, X->col_stride};
}

static place_t transposed_place(place_t p) { return (place_t){p.x, p.column, p.row}; }

/* Copies one tile.  Inlined, so that the compiler vectorizes calls whose row stride is the constant 1. */
static inline __attribute__((always_inline)) void copy_tile(int64_t rows, int64_t columns, int conjugated, place_t from,
                                                            place_t to) {
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < rows; i++) {
      const T x = from.x[i * from.row + j * from.column];
      to.x[i * to.row + j * to.column] = conjugated ? CONJ(x) : x;
    }
}

/* Copies in square tiles, one below the other.  Between a row-major and a column-major side, only a few rows and
 * columns are in use at a time, and the column-major side is accessed sequentially, which the prefetcher follows.  A
 * tile is at most a cache line wide: of larger ones the lines do not fit the cache where strides are powers of two. */
static void copy_downwards(int64_t rows, int64_t columns, int conjugated, place_t from, place_t to) {
  enum { TILE = sizeof(T) > 8 ? 4 : 8 };
  for (int64_t first_j = 0; first_j < columns; first_j += TILE)
    for (int64_t first_i = 0; first_i < rows; first_i += TILE) {
      const int64_t width = columns - first_j < TILE ? columns - first_j : TILE;
      const int64_t height = rows - first_i < TILE ? rows - first_i : TILE;
      const place_t x = {from.x + first_i * from.row + first_j * from.column, from.row, from.column};
      const place_t y = {to.x + first_i * to.row + first_j * to.column, to.row, to.column};
      if (x.row == 1 && y.row == 1)
        copy_tile(height, width, conjugated, (place_t){x.x, 1, x.column}, (place_t){y.x, 1, y.column});
      else
        copy_tile(height, width, conjugated, x, y);
    }
}

/* Columns that threads share, in pieces.  An entry takes about a tenth of a nanosecond for each of its bytes. */
enum { SHARED_LINES = 64 };

static void share_lines(team_t *team, int64_t count, int64_t length, team_piece_t piece, const void *argument) {
  const double cost = 0.1 * sizeof(T) * SHARED_LINES * (double)length;
  team_run(team, (count + SHARED_LINES - 1) / SHARED_LINES, cost, piece, argument);
}

static int64_t lines_end(int64_t piece, int64_t count) {
  return (piece + 1) * SHARED_LINES < count ? (piece + 1) * SHARED_LINES : count;
}

typedef struct copy {
  int64_t rows, columns;
  int conjugated;
  place_t from, to;
} copy_t;

static void copy_piece(const void *argument, int64_t piece) {
  const copy_t *c = argument;
  const int64_t j = piece * SHARED_LINES;
  copy_downwards(c->rows, lines_end(piece, c->columns) - j, c->conjugated,
                 (place_t){c->from.x + j * c->from.column, c->from.row, c->from.column},
                 (place_t){c->to.x + j * c->to.column, c->to.row, c->to.column});
}

/* Copies between the caller's memory and packed storage; `caller` is whichever of the two is the caller's. */
static void copy_matrix(team_t *team, int64_t rows, int64_t columns, int conjugated, place_t from, place_t to,
                        place_t caller) {
  const copy_t downwards = {rows, columns, conjugated, from, to};
  const copy_t sideways = {columns, rows, conjugated, transposed_place(from), transposed_place(to)};
  const copy_t *copy = caller.row <= caller.column ? &downwards : &sideways;
  share_lines(team, copy->columns, copy->rows, copy_piece, copy);
}

#endif
