/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies between the caller's matrices, of any strides, and packed column-major storage. */
#ifndef SVDGRAD_DENSE_COPY_H
#define SVDGRAD_DENSE_COPY_H
#include "backend.h"
#include "base/type.h"
#include "base/strided.h"

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

/* Copies between the caller's memory and packed storage; `caller` is whichever of the two is the caller's. */
static void copy_matrix(int64_t rows, int64_t columns, int conjugated, place_t from, place_t to, place_t caller) {
  if (caller.row <= caller.column)
    copy_downwards(rows, columns, conjugated, from, to);
  else
    copy_downwards(columns, rows, conjugated, transposed_place(from), transposed_place(to));
}

#endif
