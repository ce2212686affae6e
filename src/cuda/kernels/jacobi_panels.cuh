/* SPDX-License-Identifier: BSD-3-Clause */
/* One-sided Jacobi on medium square matrices, one block per matrix, A and W in registers: A W gets orthogonal columns.
 *
 * A warp holds two panels x, y of B columns of A and of W, rows over lanes.  Block shape: 32 ceil(n / 2B) threads; the
 * matrix is padded with zero columns to 2B per warp, with zero rows to 32 ROWS.  Registers: 4 B ROWS elements (half of
 * it without W), at most 128 of 32 bits, and 45 to 120 more.  Shared memory: per warp a panel of A and W with its norms,
 * which moves between warps.
 *
 * Ordering: odd-even transposition of the 2 * warps panels, in which neighbours meet and then change places (F. T. Luk
 * and H. Park, SIAM J. Matrix Anal. Appl. 10, 1989): as many steps as panels, in which every two meet once, and the
 * sweep ends with the panels in reverse.  The change of places costs nothing: after an even step, of positions 2p and
 * 2p+1 at warp p, y goes to warp p-1; after an odd one, of 2p+1 and 2p+2, x goes to warp p+1.  In the first step of a
 * sweep all 2B columns of a warp meet each other, by odd-even transposition again (a round robin took a sweep more), in
 * the others each column of x meets each one of y.  B pairs at a time: their products are summed over the warp all at
 * once, each group of 32/B lanes computes one rotation, and the rotations are broadcast.  Squared norms are computed
 * once per sweep and then follow from the rotations; what is lost to cancellation where a column becomes much shorter
 * costs one sweep in a hundred.
 *
 * Per sweep n^2/2 pairs of 5 n multiply-adds, 4 n more with W; only n where nothing is left to rotate. */
#pragma once
#include "grid.cuh"
#include "lanes.cuh"
#include "rotation.cuh"
#include "../launch.h"

/* Largest n. */
template <class T> constexpr int jacobi_panels_limit() { return sizeof(T) == 4 ? 128 : sizeof(T) == 8 ? 96 : 64; }

/* B: twice as many columns share the cost of computing rotations where registers allow. */
template <class T, int ROWS> constexpr int panel_width() { return ROWS * sizeof(T) <= 8 ? 8 : 4; }

template <class T, int ROWS> constexpr int panel_warps(int64_t n) {
  return (int)((n + 2 * panel_width<T, ROWS>() - 1) / (2 * panel_width<T, ROWS>()));
}

template <class T, int ROWS_, bool VECTORS> struct panels {
  static const int B = panel_width<T, ROWS_>(), ROWS = ROWS_, GROUP = WARP / B;
  T x[B][ROWS], y[B][ROWS];   /* of A: row r * 32 + lane */
  T wx[B][ROWS], wy[B][ROWS]; /* of W */
  real_t<T> a, b;             /* lane l: squared norms of columns l / GROUP of x, of y */
};

/* A panel between two warps, as the lanes of the sender hold it, 16 bytes at a time. */
template <class T, int ROWS, bool VECTORS> struct panel_slot {
  static const int PER_CHUNK = 16 / (int)sizeof(T), CHUNKS = panel_width<T, ROWS>() * ROWS / PER_CHUNK;
  static const int PARTS = VECTORS ? 2 : 1;
  struct alignas(16) chunk {
    T element[PER_CHUNK];
  };
  chunk part[PARTS][CHUNKS][WARP];
  real_t<T> norm[WARP];
};

template <class Slot, class T, int B, int ROWS>
__device__ __forceinline__ void put_part(Slot &slot, int part, const T (&x)[B][ROWS]) {
#pragma unroll
  for (int k = 0; k < Slot::CHUNKS; k++) {
    typename Slot::chunk chunk;
#pragma unroll
    for (int e = 0; e < Slot::PER_CHUNK; e++)
      chunk.element[e] = x[(k * Slot::PER_CHUNK + e) / ROWS][(k * Slot::PER_CHUNK + e) % ROWS];
    slot.part[part][k][lane_index()] = chunk;
  }
}

template <class Slot, class T, int B, int ROWS>
__device__ __forceinline__ void take_part(const Slot &slot, int part, T (&x)[B][ROWS]) {
#pragma unroll
  for (int k = 0; k < Slot::CHUNKS; k++) {
    const typename Slot::chunk chunk = slot.part[part][k][lane_index()];
#pragma unroll
    for (int e = 0; e < Slot::PER_CHUNK; e++)
      x[(k * Slot::PER_CHUNK + e) / ROWS][(k * Slot::PER_CHUNK + e) % ROWS] = chunk.element[e];
  }
}

template <class Slot, class T, int B, int ROWS>
__device__ __forceinline__ void put_panel(Slot &slot, const T (&x)[B][ROWS], const T (&w)[B][ROWS], real_t<T> norm) {
  put_part(slot, 0, x);
  if (Slot::PARTS == 2)
    put_part(slot, 1, w);
  slot.norm[lane_index()] = norm;
}

template <class Slot, class T, int B, int ROWS>
__device__ __forceinline__ void take_panel(const Slot &slot, T (&x)[B][ROWS], T (&w)[B][ROWS], real_t<T> &norm) {
  take_part(slot, 0, x);
  if (Slot::PARTS == 2)
    take_part(slot, 1, w);
  norm = slot.norm[lane_index()];
}

template <class T, int B, int ROWS> __device__ __forceinline__ real_t<T> panel_norms(const T (&x)[B][ROWS]) {
  real_t<T> square[B];
#pragma unroll
  for (int i = 0; i < B; i++) {
    square[i] = abs2(x[i][0]);
#pragma unroll
    for (int r = 1; r < ROWS; r++)
      square[i] = plus_abs2(square[i], x[i][r]);
  }
  return scatter_sums<WARP, B>(square);
}

/* Lane l: x_i^H y_i for i = l / GROUP. */
template <class T, int B, int ROWS>
__device__ __forceinline__ T panel_products(const T (&x)[B][ROWS], const T (&y)[B][ROWS]) {
  T d[B];
#pragma unroll
  for (int i = 0; i < B; i++) {
    d[i] = conj(x[i][0]) * y[i][0];
#pragma unroll
    for (int r = 1; r < ROWS; r++)
      d[i] = fused(d[i], conj(x[i][r]), y[i][r]);
  }
  return scatter_sums<WARP, B>(d);
}

/* The pairs x_i, y_i.  Returns how many were rotated. */
template <class T, int ROWS, bool VECTORS>
__device__ __forceinline__ int rotate_pairs(panels<T, ROWS, VECTORS> &p, real_t<T> tolerance) {
  typedef panels<T, ROWS, VECTORS> P;
  typedef real_t<T> R;
  const rotation<T> mine = make_rotation(p.a, p.b, panel_products(p.x, p.y), tolerance);
  const unsigned rotating = __ballot_sync(FULL_WARP, rotates(mine));
  if (!rotating)
    return 0;
#pragma unroll
  for (int i = 0; i < P::B; i++) {
    const R c = broadcast<WARP>(mine.c, i * P::GROUP);
    const T s = broadcast<WARP>(mine.s, i * P::GROUP);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      rotate_in_place(p.x[i][r], p.y[i][r], c, s);
      if (VECTORS)
        rotate_in_place(p.wx[i][r], p.wy[i][r], c, s);
    }
  }
  p.a -= mine.gain;
  p.b += mine.gain;
  return __popc(rotating) / P::GROUP;
}

/* y_i becomes y_(i+1), y_0 the last: after B turns each column of x has met each of y, and all are where they were. */
template <class T, int B, int ROWS> __device__ __forceinline__ void turn(T (&y)[B][ROWS]) {
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    const T first = y[0][r];
#pragma unroll
    for (int i = 0; i < B - 1; i++)
      y[i][r] = y[i + 1][r];
    y[B - 1][r] = first;
  }
}

/* After a turn: x_i becomes x_(i-1), the last x the last y, and that x_0. */
template <class T, int B, int ROWS> __device__ __forceinline__ void turn_back(T (&x)[B][ROWS], T (&y)[B][ROWS]) {
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    const T first = y[B - 1][r];
    y[B - 1][r] = x[B - 1][r];
#pragma unroll
    for (int i = B - 1; i > 0; i--)
      x[i][r] = x[i - 1][r];
    x[0][r] = first;
  }
}

/* Every column of the warp with every other: odd-even transposition of x_0, y_0, x_1, y_1, ..., which reverses them. */
template <class T, int ROWS, bool VECTORS>
__device__ __forceinline__ int meet_all(panels<T, ROWS, VECTORS> &p, real_t<T> tolerance) {
  typedef panels<T, ROWS, VECTORS> P;
  typedef real_t<T> R;
  const int lane = lane_index();
  const bool last = lane / P::GROUP == P::B - 1;
  int rotated = 0;
#pragma unroll 1
  for (int step = 0; step < 2 * P::B; step++) {
    const bool odd = step % 2 == 1;
    rotated += rotate_pairs(p, odd && last ? (R)INFINITY : tolerance); /* the last pair of an odd step is none */
    if (!odd) {
      turn(p.y);
      if (VECTORS)
        turn(p.wy);
      p.b = broadcast<WARP>(p.b, lane + P::GROUP);
    } else {
      turn_back(p.x, p.y);
      if (VECTORS)
        turn_back(p.wx, p.wy);
      const R next = broadcast<WARP>(last ? p.b : p.a, lane - P::GROUP);
      p.b = last ? p.a : p.b;
      p.a = next;
    }
  }
  return rotated;
}

/* Every column of x with every one of y. */
template <class T, int ROWS, bool VECTORS>
__device__ __forceinline__ int meet_across(panels<T, ROWS, VECTORS> &p, real_t<T> tolerance) {
  typedef panels<T, ROWS, VECTORS> P;
  int rotated = 0;
#pragma unroll 1
  for (int step = 0; step < P::B; step++) {
    rotated += rotate_pairs(p, tolerance);
    turn(p.y);
    if (VECTORS)
      turn(p.wy);
    p.b = broadcast<WARP>(p.b, lane_index() + P::GROUP);
  }
  return rotated;
}

template <class T, int B, int ROWS>
__device__ __forceinline__ void copy_panel(const T (&from)[B][ROWS], T (&to)[B][ROWS]) {
#pragma unroll
  for (int i = 0; i < B; i++)
#pragma unroll
    for (int r = 0; r < ROWS; r++)
      to[i][r] = from[i][r];
}

/* After an even step, x at position 2p+1 and y at 2p, y goes one warp down; that of warp 0, which has no partner next,
 * waits in its slot. */
template <class T, int ROWS, bool VECTORS, class Slot>
__device__ __forceinline__ void move_down(panels<T, ROWS, VECTORS> &p, Slot *slots) {
  const int warp = warp_index();
  put_panel(slots[warp], p.y, p.wy, p.b);
  __syncthreads();
  if (warp < warp_count() - 1)
    take_panel(slots[warp + 1], p.y, p.wy, p.b);
}

/* After an odd step, x at position 2p+2 and y at 2p+1, x goes one warp up, except that the last warp, which had no
 * partner, makes its x its y.  A warp writes the slot that it was the last to read: one barrier is enough.  What comes
 * from below is x of the next step, or y where that is the first of a sweep. */
template <class T, int ROWS, bool VECTORS, class Slot>
__device__ __forceinline__ void move_up(panels<T, ROWS, VECTORS> &p, bool end, Slot *slots) {
  const int warp = warp_index();
  if (warp < warp_count() - 1) {
    put_panel(slots[warp + 1], p.x, p.wx, p.a);
  } else {
    copy_panel(p.x, p.y);
    if (VECTORS)
      copy_panel(p.wx, p.wy);
    p.b = p.a;
  }
  __syncthreads();
  if (end) {
    copy_panel(p.y, p.x);
    if (VECTORS)
      copy_panel(p.wy, p.wx);
    take_panel(slots[warp], p.y, p.wy, p.b);
  } else {
    take_panel(slots[warp], p.x, p.wx, p.a);
  }
}

/* One sweep: returns the number of rotated pairs of the whole matrix.  `counts`: one per warp. */
template <class T, int ROWS, bool VECTORS, class Slot>
__device__ __forceinline__ int panels_sweep(panels<T, ROWS, VECTORS> &p, real_t<T> tolerance, Slot *slots,
                                            int *counts) {
  int rotated = meet_all(p, tolerance);
  move_down(p, slots);
#pragma unroll 1
  for (int step = 1; step < 2 * warp_count(); step++) {
    const bool odd = step % 2 == 1, end = step == 2 * warp_count() - 1;
    if (!odd || warp_index() < warp_count() - 1)
      rotated += meet_across(p, tolerance);
    if (end && lane_index() == 0)
      counts[warp_index()] = rotated;
    if (odd)
      move_up(p, end, slots);
    else
      move_down(p, slots);
  }
  rotated = 0;
  for (int w = 0; w < warp_count(); w++)
    rotated += counts[w];
  return rotated;
}

/* warp_index() by a shuffle: what follows from it is computed anew where it is needed, not kept in registers. */
__device__ inline int fresh_warp_index() { return broadcast<WARP>(warp_index(), 0); }

/* Columns `column` and following. */
template <class T, int B, int ROWS>
__device__ __forceinline__ void load_panel(int n, const T *A, int64_t batch, int column, T (&x)[B][ROWS]) {
  const bool last_row = (ROWS - 1) * WARP + lane_index() < n;
  A += (batch * n + column) * n + lane_index();
#pragma unroll
  for (int i = 0; i < B; i++, A += n)
#pragma unroll
    for (int r = 0; r < ROWS; r++)
      x[i][r] = column + i < n && (r < ROWS - 1 || last_row) ? A[r * WARP] : from_real<T>(0);
}

/* The same of the identity. */
template <class T, int B, int ROWS> __device__ __forceinline__ void set_identity(int column, T (&w)[B][ROWS]) {
#pragma unroll
  for (int i = 0; i < B; i++)
#pragma unroll
    for (int r = 0; r < ROWS; r++)
      w[i][r] = from_real<T>(r * WARP + lane_index() == column + i);
}

/* Columns `column` and following, or, with step -1, preceding. */
template <class T, int B, int ROWS>
__device__ __forceinline__ void store_panel(int n, T *A, int64_t batch, int column, int step, const T (&x)[B][ROWS]) {
  const bool last_row = (ROWS - 1) * WARP + lane_index() < n;
  A += (batch * n + column) * n + lane_index();
#pragma unroll
  for (int i = 0; i < B; i++, A += step * n)
#pragma unroll
    for (int r = 0; r < ROWS; r++)
      if (column + step * i < n && (r < ROWS - 1 || last_row))
        A[r * WARP] = x[i][r];
}

template <class T, int ROWS, bool VECTORS>
__device__ __forceinline__ void load_matrix(const rotate_args_t &args, int64_t batch, panels<T, ROWS, VECTORS> &p) {
  const int n = (int)args.n, B = panels<T, ROWS, VECTORS>::B, first = 2 * B * fresh_warp_index();
  load_panel(n, (const T *)args.A, batch, first + B, p.x);
  load_panel(n, (const T *)args.A, batch, first, p.y);
  set_identity(first + B, p.wx);
  set_identity(first, p.wy);
}

/* Every sweep has reversed the order of the columns. */
template <class T, int ROWS, bool VECTORS>
__device__ __forceinline__ void store_matrix(const rotate_args_t &args, int64_t batch, int sweeps,
                                             const panels<T, ROWS, VECTORS> &p) {
  const int n = (int)args.n, B = panels<T, ROWS, VECTORS>::B, first = 2 * B * fresh_warp_index();
  const bool reversed = sweeps % 2 == 1;
  const int place = reversed ? 2 * B * warp_count() - 1 - first : first, step = reversed ? -1 : 1;
  store_panel(n, (T *)args.A, batch, place + step * B, step, p.x);
  store_panel(n, (T *)args.A, batch, place, step, p.y);
  if (VECTORS) {
    store_panel(n, (T *)args.W, batch, place + step * B, step, p.wx);
    store_panel(n, (T *)args.W, batch, place, step, p.wy);
  }
}

/* Blocks per multiprocessor that registers are to allow: as many warps as go without spilling. */
template <class T, int ROWS> constexpr int panel_blocks() {
  const int warps = panel_width<T, ROWS>() == 8 ? 12 : ROWS * sizeof(T) <= 16 ? 16 : 0;
  return warps > panel_warps<T, ROWS>(ROWS * WARP) ? warps / panel_warps<T, ROWS>(ROWS * WARP) : 1;
}

template <class T, int ROWS, bool VECTORS>
__global__ void __launch_bounds__(WARP *panel_warps<T, ROWS>(ROWS *WARP), panel_blocks<T, ROWS>())
    jacobi_panels_kernel(rotate_args_t args) {
  typedef panel_slot<T, ROWS, VECTORS> slot_t;
  SIMT_DYN_SHARED(slot_t, slots);
  __shared__ int counts[WARP];
  const real_t<T> tolerance = jacobi_tolerance<real_t<T>>(args.rows ? args.rows : args.n);
  for (int64_t batch = blockIdx.x; batch < args.batch_count; batch += gridDim.x) {
    if (args.skip && args.skip[batch])
      continue;
    panels<T, ROWS, VECTORS> p;
    load_matrix(args, batch, p);
    int sweeps = 0, rotated = 1;
    for (; sweeps < args.max_sweeps && rotated; sweeps++) {
      p.a = panel_norms(p.x);
      p.b = panel_norms(p.y);
      rotated = panels_sweep(p, tolerance, slots, counts);
    }
    store_matrix(args, batch, sweeps, p);
    if (threadIdx.x == 0) {
      args.left[batch] = rotated;
      if (args.sweeps)
        args.sweeps[batch] = sweeps;
    }
  }
}

template <class T, int ROWS, bool VECTORS> size_t panel_slots_bytes(int64_t n) {
  return (size_t)panel_warps<T, ROWS>(n) * sizeof(panel_slot<T, ROWS, VECTORS>);
}

/* All of one block's: slots and counts. */
template <class T, int ROWS = 1> size_t panels_shared_bytes(int64_t n) {
  if constexpr (ROWS * WARP < jacobi_panels_limit<T>())
    if (n > ROWS * WARP)
      return panels_shared_bytes<T, ROWS + 1>(n);
  return panel_slots_bytes<T, ROWS, true>(n) + WARP * sizeof(int);
}

template <class T, int ROWS, bool VECTORS> cudaError_t launch_panels(const rotate_args_t *args, cudaStream_t stream) {
  const int warps = panel_warps<T, ROWS>(args->n);
  const size_t bytes = panel_slots_bytes<T, ROWS, VECTORS>(args->n);
  return SIMT_LAUNCH((jacobi_panels_kernel<T, ROWS, VECTORS>), grid_of(args->batch_count),
                     dim3((unsigned)(WARP * warps)), bytes, stream, *args);
}

template <class T, int ROWS> cudaError_t launch_panels_of(const rotate_args_t *args, cudaStream_t stream) {
  if constexpr (ROWS * WARP < jacobi_panels_limit<T>())
    if (args->n > ROWS * WARP)
      return launch_panels_of<T, ROWS + 1>(args, stream);
  return args->W ? launch_panels<T, ROWS, true>(args, stream) : launch_panels<T, ROWS, false>(args, stream);
}

/* n <= jacobi_panels_limit<T>().  A matrix that is skipped gets none of its outputs written. */
template <class T> cudaError_t jacobi_panels_launch(const rotate_args_t *args, cudaStream_t stream) {
  return launch_panels_of<T, 1>(args, stream);
}
