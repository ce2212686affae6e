/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies of matrices from one order to another.  A warp reads neighbours of the source and writes neighbours of the
 * target; where these are not the same elements, they change places in a tile of shared memory (G. Ruetsch and
 * P. Micikevicius, Optimizing Matrix Transpose in CUDA, 2009).  Its rows have an odd length, so that rows as well as
 * columns of it lie in different banks.
 *
 * x runs along neighbours of the source: down a column of the matrix, or, if that is swapped, along a row.  A tile is a
 * part of a large matrix, or some whole small ones. */
#pragma once
#include "block.cuh"

/* 16 elements of 16 bytes are 8 sectors, more than a request of a warp has at a time. */
template <class T> struct tile_size {
  static const int edge = sizeof(T) == 16 ? 16 : 32, capacity = edge * (edge + 1);
};
static const int TILE_RUN = 1024; /* elements of a tile that needs no shared memory */

/* e / divisor for e and divisor up to 1056, without a division: the error of 2^-21 e is less than 1 / divisor. */
struct small_divisor {
  unsigned factor;
  __host__ __device__ static small_divisor of(int divisor) {
    return {((1u << 21) + (unsigned)divisor - 1) / (unsigned)divisor};
  }
  __device__ int quotient(int e) const { return (int)(((unsigned)e * factor) >> 21); }
};

struct tiling_t {
  int64_t batch_count, nx, ny;
  int swapped, through; /* x counts columns; the target has its neighbours along y */
  int w, h, matrices, pitch;
  int64_t across, tiles; /* tiles along x, of all matrices */
  small_divisor by_w, by_h;
};

static inline int64_t least_of(int64_t a, int64_t b) { return a < b ? a : b; }

/* `room` elements in a tile: w by h, or as many matrices as have room. */
static inline void set_tile(tiling_t *t, int64_t w, int64_t room) {
  t->w = (int)(w > 1 ? w : 1);
  t->pitch = t->through ? t->w | 1 : t->w;
  t->h = (int)(t->ny > 0 ? least_of(t->ny, room / t->pitch) : 1);
  t->matrices = t->w >= t->nx && t->h >= t->ny ? (int)(room / (t->pitch * t->h)) : 1;
  t->matrices -= t->matrices > 8 ? t->matrices % 8 : 0; /* whole sectors, whatever the size */
  t->across = (t->nx + t->w - 1) / t->w;
  t->tiles = t->across * ((t->ny + t->h - 1) / t->h) * ((t->batch_count + t->matrices - 1) / t->matrices);
  t->by_w = small_divisor::of(t->w);
  t->by_h = small_divisor::of(t->h);
}

/* For rows-by-columns matrices; down: neighbours lie in a column, there (source) and here (target). */
template <class T>
tiling_t make_tiling(int64_t batch_count, int64_t rows, int64_t columns, int source_down, int target_down) {
  const int edge = tile_size<T>::edge, capacity = tile_size<T>::capacity;
  tiling_t t = {};
  t.batch_count = batch_count;
  t.swapped = !source_down;
  t.nx = source_down ? rows : columns;
  t.ny = source_down ? columns : rows;
  t.through = source_down != target_down && rows > 1 && columns > 1;
  if (t.through)
    set_tile(&t, least_of(t.nx, t.ny < edge ? capacity / t.ny - 1 : edge), capacity);
  else
    set_tile(&t, least_of(t.nx, TILE_RUN), TILE_RUN);
  return t;
}

/* Where in all matrices a tile begins. */
struct tile_origin {
  int64_t b, x, y;
  __device__ tile_origin(const tiling_t &t, int64_t tile) {
    const int64_t down = (t.ny + t.h - 1) / t.h, row = tile / t.across, group = row / down;
    b = group * t.matrices;
    x = (tile - row * t.across) * t.w;
    y = (row - group * down) * t.h;
  }
};

/* Calls visit(b, i, j, slot) for the elements of a tile, neighbouring threads along x; slot is a place in shared memory. */
template <class Visit> __device__ inline void visit_tile(const tiling_t &t, const tile_origin &at, Visit visit) {
  const int count = t.matrices * t.h * t.w;
  for (int e = (int)threadIdx.x; e < count; e += (int)blockDim.x) {
    const int row = t.by_w.quotient(e), x = e - row * t.w, of = t.by_h.quotient(row), y = row - of * t.h;
    if (at.x + x < t.nx && at.y + y < t.ny && at.b + of < t.batch_count)
      visit(at.b + of, t.swapped ? at.y + y : at.x + x, t.swapped ? at.x + x : at.y + y, row * t.pitch + x);
  }
}

/* The same along y. */
template <class Visit>
__device__ inline void visit_tile_along_y(const tiling_t &t, const tile_origin &at, Visit visit) {
  const int count = t.matrices * t.h * t.w;
  for (int e = (int)threadIdx.x; e < count; e += (int)blockDim.x) {
    const int column = t.by_h.quotient(e), y = e - column * t.h, of = t.by_w.quotient(column), x = column - of * t.w;
    if (at.x + x < t.nx && at.y + y < t.ny && at.b + of < t.batch_count)
      visit(at.b + of, t.swapped ? at.y + y : at.x + x, t.swapped ? at.x + x : at.y + y, (of * t.h + y) * t.pitch + x);
  }
}

/* write(b, i, j, read(b, i, j)) for a tile, by the whole block. */
template <class T, class Read, class Write>
__device__ inline void copy_tile(const tiling_t &t, int64_t tile, whole_t<T> *shared, Read read, Write write) {
  const tile_origin at(t, tile);
  if (!t.through) {
    visit_tile(t, at, [&](int64_t b, int64_t i, int64_t j, int) { write(b, i, j, read(b, i, j)); });
    return;
  }
  visit_tile(t, at, [&](int64_t b, int64_t i, int64_t j, int slot) { shared[slot].x = read(b, i, j); });
  __syncthreads();
  visit_tile_along_y(t, at, [&](int64_t b, int64_t i, int64_t j, int slot) { write(b, i, j, shared[slot].x); });
  __syncthreads();
}
