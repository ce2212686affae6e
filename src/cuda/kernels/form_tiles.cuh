/* SPDX-License-Identifier: BSD-3-Clause */
/* The pairs i <= j of k-by-k matrices in square tiles, which several blocks share.  A tile and its mirror image are
 * worked on together; the latter goes through shared memory, so that threads read and write neighbours in both. */
#pragma once
#include "backward_core.cuh"
#include "tiles.cuh"

/* Tiles on and above the diagonal. */
template <class T> static inline int64_t pair_tiles_of(int64_t k) {
  const int64_t edges = (k + tile_size<T>::edge - 1) / tile_size<T>::edge;
  return edges * (edges + 1) / 2;
}

template <class T, int COUNT> struct pair_memory { whole_t<T> at[COUNT][tile_size<T>::capacity]; };

/* Where a tile lies: h rows from `i` on, w columns from `j` on. */
template <class T> struct pair_tile {
  int64_t i, j;
  int h, w;
  small_divisor by_h, by_w;
  static const int EDGE = tile_size<T>::edge, PITCH = EDGE + 1;
  __device__ pair_tile(int64_t k, int64_t tile) {
    pair_of(tile, &i, &j);
    i *= EDGE;
    j *= EDGE;
    h = (int)(k - i < EDGE ? k - i : EDGE);
    w = (int)(k - j < EDGE ? k - j : EDGE);
    by_h = small_divisor::of(h);
    by_w = small_divisor::of(w);
  }
};

/* Calls of(i, j, x, y, a, b) once for every pair: x has the elements (i, j) of the matrices `in`, y those at (j, i); a
 * and b become those of the matrices `out`.  By all blocks that share a matrix, this one being `part` of `parts`. */
template <int IN, int OUT, int COUNT, class T, class Each>
__device__ inline void visit_pairs(int64_t k, const T *const (&in)[IN], T *const (&out)[OUT], int64_t part,
                                   int64_t parts, pair_memory<T, COUNT> &shared, Each of) {
  static_assert(IN <= COUNT && OUT <= COUNT, "tiles in shared memory");
  const int64_t edges = (k + pair_tile<T>::EDGE - 1) / pair_tile<T>::EDGE;
  for (int64_t tile = part; tile < edges * (edges + 1) / 2; tile += parts) {
    const pair_tile<T> at(k, tile);
    for (int e = (int)threadIdx.x; e < at.h * at.w; e += (int)blockDim.x) {
      const int c = at.by_w.quotient(e), r = e - c * at.w;
#pragma unroll
      for (int m = 0; m < IN; m++)
        shared.at[m][c * at.PITCH + r].x = read_whole(in[m] + (at.i + c) * k + at.j + r);
    }
    __syncthreads();
    for (int e = (int)threadIdx.x; e < at.h * at.w; e += (int)blockDim.x) {
      const int c = at.by_h.quotient(e), r = e - c * at.h;
      const int64_t i = at.i + r, j = at.j + c;
      T x[IN], y[IN], a[OUT], b[OUT];
      if (i > j)
        continue;
#pragma unroll
      for (int m = 0; m < IN; m++) {
        x[m] = read_whole(in[m] + j * k + i);
        y[m] = shared.at[m][r * at.PITCH + c].x;
      }
      of(i, j, x, y, a, b);
#pragma unroll
      for (int m = 0; m < OUT; m++) {
        write_whole(out[m] + j * k + i, a[m]);
        shared.at[m][r * at.PITCH + c].x = b[m];
      }
    }
    __syncthreads();
    for (int e = (int)threadIdx.x; e < at.h * at.w; e += (int)blockDim.x) {
      const int c = at.by_w.quotient(e), r = e - c * at.w;
      if (at.i + c >= at.j + r)
        continue;
#pragma unroll
      for (int m = 0; m < OUT; m++)
        write_whole(out[m] + (at.i + c) * k + at.j + r, shared.at[m][c * at.PITCH + r].x);
    }
    __syncthreads();
  }
}
