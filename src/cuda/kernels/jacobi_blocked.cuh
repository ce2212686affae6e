/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocked one-sided Jacobi on square matrices of any size: A W gets orthogonal columns.  A is cut into panels of up to
 * 32 columns, which meet in odd-even transposition order (F. T. Luk and H. Park, SIAM J. Matrix Anal. Appl. 10, 1989):
 * as many steps as panels, each two meet once per sweep, and the pairs of a step are disjoint.  For a pair, with
 * columns (A_I A_J),
 *   blocked_factor   (A_I A_J) = Q R, Q not kept.  A Gram matrix would be cheaper, but squares the condition number;
 *                    Householder's R has the columns' cosines to a few eps, whatever their norms.
 *   jacobi_panels    one sweep over the columns of R, R <- R V
 *   blocked_update   (A_I A_J) <- (A_I A_J) V, (W_I W_J) <- (W_I W_J) V, unless V = I
 * and after the sweep blocked_end decides on the device which matrices have converged: nothing was rotated; later
 * launches do nothing for them.  V is a product of rotations of graded columns, with entries as small as the columns'
 * ratios, so that the update keeps what is small in A.  On block rotations in Jacobi's method: Z. Drmac, SIAM J. Matrix
 * Anal. Appl. 31, 2009.
 *
 * blocked_factor: 256 threads per pair.  Chunks of 4 ROWS rows are folded one after the other into R (sequential TSQR,
 * J. Demmel, L. Grigori, M. Hoemmen, J. Langou, SIAM J. Sci. Comput. 34, 2012).  Thread (slice, column) has ROWS rows of
 * a column in 64 registers, about 60 more; for each reflector two barriers: the column that makes it is published, its
 * products with all columns are summed over the 4 slices, and every thread updates its rows.  Shared memory: the
 * triangle R, a tile through which columns come to threads, two columns, products; 20 (f32), 37, 48 (c128) KiB.
 * n 64^2 multiply-adds.
 *
 * blocked_update: 128 threads per pair, per A or W, and per slab of 128 rows (64 for 8 bytes, 32 for 16): a warp has 16
 * columns of the slab, a lane up to 4 rows of them in 64 registers, 64 to 100 more.  Shared memory: 16 columns of
 * the slab, 16 rows of V; 13, 17, 25 KiB.  n 64^2 multiply-adds for A, and for W. */
#pragma once
#include "block.cuh"
#include "grid.cuh"
#include "../launch.h"

static const int PAIR_COLUMNS = 2 * CUDA_PANEL_COLUMNS;

/* Two panels of A: columns first..first+count, then second.., of width in all. */
struct panel_pair {
  int64_t first, second;
  int count, width;
  __device__ int64_t column(int c) const { return c < count ? first + c : second + (c - count); }
};

/* Widths differ by one at most. */
__device__ inline int64_t panel_start(int64_t n, int panels, int panel) { return panel * n / panels; }

/* The panel at a place before a step: all move by one place per step, those on even places first up, the others down,
 * and stop for one step at either end before they turn.  On a circle of the places upwards and then downwards all move
 * the same way. */
__device__ inline int panel_at(int panels, int64_t step, int place, bool upwards) {
  const int circle = 2 * panels, now = upwards ? place : circle - 1 - place;
  const int start = (int)((now + circle - step % circle) % circle);
  return start < panels ? start : circle - 1 - start;
}

__host__ __device__ inline int64_t step_pairs(int panels, int64_t step) { return (panels - step % 2) / 2; }

__device__ inline panel_pair pair_of(const blocked_args_t &args, int64_t pair) {
  const int place = (int)(2 * pair + args.step % 2);
  const int x = panel_at(args.panels, args.step, place, true), y = panel_at(args.panels, args.step, place + 1, false);
  const int64_t first = panel_start(args.n, args.panels, x), second = panel_start(args.n, args.panels, y);
  const int64_t count = panel_start(args.n, args.panels, x + 1) - first;
  return {first, second, (int)count, (int)(count + panel_start(args.n, args.panels, y + 1) - second)};
}

/* Sixteen bytes of shared memory. */
template <class T> struct alignas(16) pack_of {
  static const int SIZE = 16 / (int)sizeof(T);
  T element[SIZE];
};

/* ---- W = I; nobody is done but who is to be skipped. */
template <class T> __global__ void blocked_begin_kernel(blocked_args_t args) {
  const int64_t n = args.n;
  for (int64_t u = blockIdx.x; u < args.batch_count * args.panels; u += gridDim.x) {
    const int64_t b = u / args.panels;
    const int panel = (int)(u % args.panels);
    const bool skipped = args.skip && args.skip[b];
    if (panel == 0 && threadIdx.x == 0) {
      args.done[b] = skipped;
      if (!skipped)
        args.total[b] = 1;
      if (!skipped && args.sweeps)
        args.sweeps[b] = 0;
    }
    if (skipped || !args.W)
      continue;
    const int64_t end = panel_start(n, args.panels, panel + 1);
    for (int64_t j = panel_start(n, args.panels, panel); j < end; j++)
      for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        ((T *)args.W)[(b * n + j) * n + i] = from_real<T>(i == j);
  }
}

/* ---- R of a pair. */
template <class T> struct fold_shape {
  static const int THREADS = 256, SLICES = THREADS / PAIR_COLUMNS;
  static const int ROWS = 256 / (int)sizeof(T);     /* of a column in a thread */
  static const int TAKE = sizeof(T) == 16 ? 2 : 8;  /* of them per tile */
  static const int TILE = TAKE * SLICES;            /* rows of a tile */
  static const int PACKS = ROWS / pack_of<T>::SIZE; /* of a thread's rows */
  static const int TRIANGLE = PAIR_COLUMNS * (PAIR_COLUMNS + 1) / 2;
};

template <class T> struct fold_shared {
  typedef fold_shape<T> F;
  pack_of<T> reflector[2][F::SLICES][F::PACKS];
  T products[F::SLICES][PAIR_COLUMNS];
  T R[F::TRIANGLE];                  /* by rows */
  T tile[PAIR_COLUMNS][F::TILE + 1]; /* a column more for the banks */
};

/* Row j of the packed triangle begins, column 0 counted, at: */
__device__ inline int triangle_row(int j) { return j * PAIR_COLUMNS - j * (j + 1) / 2; }

__device__ inline int fold_column() { return (int)threadIdx.x % PAIR_COLUMNS; }
__device__ inline int fold_slice() { return (int)threadIdx.x / PAIR_COLUMNS; }

/* Rows row.. of the pair's columns, first as neighbours in memory, then by the tile to the thread whose column it is. */
template <class T>
__device__ __forceinline__ void load_chunk(const panel_pair &pair, int64_t n, const T *A, int64_t row,
                                           fold_shared<T> &shared, T (&x)[fold_shape<T>::ROWS]) {
  typedef fold_shape<T> F;
  const int along = (int)threadIdx.x % F::TILE, across = (int)threadIdx.x / F::TILE;
#pragma unroll
  for (int i = 0; i < F::TAKE; i++) {
    const int column = across + i * (F::THREADS / F::TILE);
    const T *a = A + pair.column(column) * n;
#pragma unroll
    for (int q = 0; q < F::ROWS / F::TAKE; q++) {
      const int64_t at = row + q * F::TILE + along;
      x[q * F::TAKE + i] = column < pair.width && at < n ? a[at] : from_real<T>(0);
    }
  }
#pragma unroll
  for (int q = 0; q < F::ROWS / F::TAKE; q++) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < F::TAKE; i++)
      shared.tile[across + i * (F::THREADS / F::TILE)][along] = x[q * F::TAKE + i];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < F::TAKE; i++)
      x[q * F::TAKE + i] = shared.tile[fold_column()][fold_slice() * F::TAKE + i];
  }
}

template <class T>
__device__ __forceinline__ void publish(fold_shared<T> &shared, int buffer, const T (&x)[fold_shape<T>::ROWS]) {
#pragma unroll
  for (int p = 0; p < fold_shape<T>::PACKS; p++) {
    pack_of<T> pack;
#pragma unroll
    for (int e = 0; e < pack_of<T>::SIZE; e++)
      pack.element[e] = x[p * pack_of<T>::SIZE + e];
    shared.reflector[buffer][fold_slice()][p] = pack;
  }
}

/* The product with the published column, over this thread's rows. */
template <class T>
__device__ __forceinline__ T chunk_product(const fold_shared<T> &shared, int buffer,
                                           const T (&x)[fold_shape<T>::ROWS]) {
  static const int SUMS = sizeof(T) == 16 ? 2 : 4; /* side by side, for latency */
  T sum[SUMS];
#pragma unroll
  for (int s = 0; s < SUMS; s++)
    sum[s] = from_real<T>(0);
#pragma unroll
  for (int p = 0; p < fold_shape<T>::PACKS; p++) {
    const pack_of<T> v = shared.reflector[buffer][fold_slice()][p];
#pragma unroll
    for (int e = 0; e < pack_of<T>::SIZE; e++) {
      const int row = p * pack_of<T>::SIZE + e;
      sum[row % SUMS] = fused(sum[row % SUMS], conj(v.element[e]), x[row]);
    }
  }
#pragma unroll
  for (int s = SUMS / 2; s; s /= 2)
#pragma unroll
    for (int i = 0; i < s; i++)
      sum[i] = sum[i] + sum[i + s];
  return sum[0];
}

/* x <- x - factor v, v the published column. */
template <class T>
__device__ __forceinline__ void chunk_subtract(const fold_shared<T> &shared, int buffer, T factor,
                                               T (&x)[fold_shape<T>::ROWS]) {
#pragma unroll
  for (int p = 0; p < fold_shape<T>::PACKS; p++) {
    const pack_of<T> v = shared.reflector[buffer][fold_slice()][p];
#pragma unroll
    for (int e = 0; e < pack_of<T>::SIZE; e++)
      x[p * pack_of<T>::SIZE + e] = fused(x[p * pack_of<T>::SIZE + e], -factor, v.element[e]);
  }
}

/* Reflector j, LAPACK's larfg for the column [R_jj; a], a published: beta = -sign(R_jj) |[R_jj; a]|,
 * v = [1; a / (R_jj - beta)], H^H x = x - along v.  With p = R_jj - beta and d = a^H x below, along is
 * -(conj(p) R_jk + d) / beta. */
template <class T>
__device__ __forceinline__ void fold_column_step(int j, fold_shared<T> &shared, T (&x)[fold_shape<T>::ROWS]) {
  typedef fold_shape<T> F;
  typedef real_t<T> R;
  const int k = fold_column(), buffer = j % 2, row = triangle_row(j);
  const bool at_work = (k | (WARP - 1)) >= j; /* the warp has column j or later ones */
  T head = from_real<T>(0), top = head;
  if (at_work) {
    shared.products[fold_slice()][k] = chunk_product(shared, buffer, x);
    head = shared.R[row + j];
    top = shared.R[row + (k > j ? k : j)];
  }
  __syncthreads();
  if (at_work) {
    T d = shared.products[0][k];
    R square = re(shared.products[0][j]);
#pragma unroll
    for (int s = 1; s < F::SLICES; s++) {
      d = d + shared.products[s][k];
      square += re(shared.products[s][j]);
    }
    square = plus_abs2(square, head);
    const bool negligible = square < limits<R>::smallest_square();
    const R beta = negligible ? 0 : -copysign(sqrt(square), re(head));
    if (k > j && !negligible) {
      const T pivot = head - from_real<T>(beta);
      const T along = (-1 / beta) * (conj(pivot) * top + d);
      if (fold_slice() == 0)
        shared.R[row + k] = top - along;
      chunk_subtract(shared, buffer, (1 / abs2(pivot)) * (conj(pivot) * along), x);
    }
    if (k == j && fold_slice() == 0)
      shared.R[row + j] = from_real<T>(beta);
    if (k == j + 1)
      publish(shared, 1 - buffer, x);
  }
  __syncthreads();
}

template <class T>
__device__ inline void store_triangle(const fold_shared<T> &shared, int64_t columns, int width, T *R) {
  for (int64_t e = threadIdx.x; e < columns * columns; e += blockDim.x) {
    const int i = (int)(e % columns), k = (int)(e / columns);
    R[e] = i <= k && k < width ? shared.R[triangle_row(i) + k] : from_real<T>(0);
  }
}

template <class T>
__global__ void __launch_bounds__(fold_shape<T>::THREADS, 2) blocked_factor_kernel(blocked_args_t args) {
  typedef fold_shape<T> F;
  __shared__ fold_shared<T> shared;
  const int64_t n = args.n, pairs = step_pairs(args.panels, args.step), columns = args.columns;
  for (int64_t u = blockIdx.x; u < args.batch_count * pairs; u += gridDim.x) {
    const int64_t b = u / pairs;
    const bool done = args.done[b];
    if (threadIdx.x == 0) {
      args.idle[u] = done;
      args.left[u] = 0;
    }
    if (done)
      continue;
    const panel_pair pair = pair_of(args, u % pairs);
    for (int e = (int)threadIdx.x; e < F::TRIANGLE; e += F::THREADS)
      shared.R[e] = from_real<T>(0);
    for (int64_t row = 0; row < n; row += F::ROWS * F::SLICES) {
      T x[F::ROWS];
      load_chunk(pair, n, (const T *)args.A + b * n * n, row, shared, x);
      if (fold_column() == 0)
        publish(shared, 0, x);
      __syncthreads();
#pragma unroll 1
      for (int j = 0; j < pair.width; j++)
        fold_column_step(j, shared, x);
    }
    store_triangle(shared, columns, pair.width, (T *)args.R + u * columns * columns);
    __syncthreads();
  }
}

/* ---- The pair times V. */
template <class T> struct update_shape {
  static const int THREADS = 128, WARPS = THREADS / WARP;
  static const int RESIDENT = sizeof(T) == 4 ? 4 : 3; /* blocks per multiprocessor, as registers allow */
  static const int ROWS = sizeof(T) == 4 ? 4 : sizeof(T) == 8 ? 2 : 1; /* of a lane */
  static const int SLAB = ROWS * WARP;
  static const int COLUMNS = PAIR_COLUMNS / WARPS; /* of a warp */
  static const int DEPTH = 16;                     /* columns of the slab, rows of V at a time */
  static const int PACKS = PAIR_COLUMNS / pack_of<T>::SIZE;
};

template <class T> struct update_shared {
  typedef update_shape<T> U;
  pack_of<T> v[U::DEPTH][U::PACKS + 1]; /* by rows, a pack more for the banks */
  T a[U::DEPTH][U::SLAB];
};

/* What a lane has of a slab: rows 0, 32 .. below `rows` of the pair's columns. */
template <class T> struct slab_rows {
  T *x, *y; /* the panels */
  int64_t n, rows;
  int count, width;
  __device__ T *column(int c) const { return c < count ? x + c * n : y + (c - count) * n; }
};

template <class T> __device__ inline slab_rows<T> rows_of(const panel_pair &pair, int64_t n, T *A, int64_t slab) {
  const int64_t row = slab * update_shape<T>::SLAB + lane_index();
  A += row;
  return {A + pair.first * n, A + pair.second * n, n, n - row, pair.count, pair.width};
}

/* Columns depth.. of the slab, rows depth.. of V; zero beyond. */
template <class T>
__device__ __forceinline__ void load_depth(const slab_rows<T> &slab, const T *V, int columns, int depth,
                                           update_shared<T> &shared) {
  typedef update_shape<T> U;
#pragma unroll
  for (int i = 0; i < U::DEPTH / U::WARPS; i++) {
    const int d = i * U::WARPS + warp_index();
    const T *a = slab.column(depth + d);
#pragma unroll
    for (int r = 0; r < U::ROWS; r++)
      shared.a[d][r * WARP + lane_index()] =
          depth + d < slab.width && r * WARP < slab.rows ? a[r * WARP] : from_real<T>(0);
  }
  const int d = (int)threadIdx.x % U::DEPTH;
#pragma unroll
  for (int i = 0; i < U::DEPTH * PAIR_COLUMNS / U::THREADS; i++) {
    const int c = (int)threadIdx.x / U::DEPTH + i * (U::THREADS / U::DEPTH);
    const bool inside = c < slab.width && depth + d < slab.width;
    shared.v[d][c / pack_of<T>::SIZE].element[c % pack_of<T>::SIZE] =
        inside ? V[c * columns + depth + d] : from_real<T>(0);
  }
}

template <class T>
__device__ __forceinline__ void multiply_depth(const update_shared<T> &shared,
                                               T (&sum)[update_shape<T>::COLUMNS][update_shape<T>::ROWS]) {
  typedef update_shape<T> U;
  static const int SIZE = pack_of<T>::SIZE, PACKS = U::COLUMNS / SIZE;
#pragma unroll 2
  for (int d = 0; d < U::DEPTH; d++) {
    T a[U::ROWS];
#pragma unroll
    for (int r = 0; r < U::ROWS; r++)
      a[r] = shared.a[d][r * WARP + lane_index()];
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
      const pack_of<T> v = shared.v[d][warp_index() * PACKS + p];
#pragma unroll
      for (int e = 0; e < SIZE; e++)
#pragma unroll
        for (int r = 0; r < U::ROWS; r++)
          sum[p * SIZE + e][r] = fused(sum[p * SIZE + e][r], a[r], v.element[e]);
    }
  }
}

/* In place: no other block reads or writes these rows of the pair. */
template <class T>
__device__ __forceinline__ void update_slab(const slab_rows<T> &slab, const T *V, int columns,
                                            update_shared<T> &shared) {
  typedef update_shape<T> U;
  T sum[U::COLUMNS][U::ROWS];
#pragma unroll
  for (int c = 0; c < U::COLUMNS; c++)
#pragma unroll
    for (int r = 0; r < U::ROWS; r++)
      sum[c][r] = from_real<T>(0);
#pragma unroll 1
  for (int depth = 0; depth < slab.width; depth += U::DEPTH) {
    load_depth(slab, V, columns, depth, shared);
    __syncthreads();
    multiply_depth(shared, sum);
    __syncthreads();
  }
#pragma unroll
  for (int c = 0; c < U::COLUMNS; c++) {
    const int column = warp_index() * U::COLUMNS + c;
    T *a = slab.column(column);
#pragma unroll
    for (int r = 0; r < U::ROWS; r++)
      if (column < slab.width && r * WARP < slab.rows)
        a[r * WARP] = sum[c][r];
  }
}

template <class T>
__global__ void __launch_bounds__(update_shape<T>::THREADS, update_shape<T>::RESIDENT)
    blocked_update_kernel(blocked_args_t args) {
  typedef update_shape<T> U;
  __shared__ update_shared<T> shared;
  const int64_t n = args.n, pairs = step_pairs(args.panels, args.step), columns = args.columns;
  const int64_t slabs = (n + U::SLAB - 1) / U::SLAB, all = args.W ? 2 * slabs : slabs;
  for (int64_t u = blockIdx.x; u < args.batch_count * pairs * all; u += gridDim.x) {
    const int64_t at = u / all, part = u % all;
    if (args.left[at] == 0)
      continue;
    T *A = (T *)(part < slabs ? args.A : args.W) + at / pairs * n * n;
    const slab_rows<T> slab = rows_of(pair_of(args, at % pairs), n, A, part % slabs);
    update_slab(slab, (const T *)args.V + at * columns * columns, (int)columns, shared);
  }
}

/* ---- After the last step of a sweep: how many pairs it rotated.  One warp per matrix. */
template <class T> __global__ void blocked_end_kernel(blocked_args_t args) {
  const int64_t warps = (int64_t)gridDim.x * warp_count();
  for (int64_t b = (int64_t)blockIdx.x * warp_count() + warp_index(); b < args.batch_count; b += warps) {
    if (args.done[b])
      continue;
    int sum = 0;
    for (int step = lane_index(); step < args.panels; step += WARP) {
      const int64_t pairs = step_pairs(args.panels, args.step + step);
      const int32_t *left = args.left + args.batch_count * (args.panels / 2) * step + b * pairs;
      for (int64_t pair = 0; pair < pairs; pair++)
        sum += left[pair];
    }
    sum = warp_sum(sum);
    __syncwarp(); /* everybody has read done[b] */
    if (lane_index() == 0) {
      args.total[b] = sum;
      args.done[b] = sum == 0;
      if (args.sweeps)
        args.sweeps[b]++;
    }
  }
}

template <class T> cudaError_t blocked_begin_launch(const blocked_args_t *args, cudaStream_t stream) {
  return SIMT_LAUNCH(blocked_begin_kernel<T>, grid_of(args->batch_count * args->panels), dim3(256), 0, stream, *args);
}

template <class T> cudaError_t blocked_factor_launch(const blocked_args_t *args, cudaStream_t stream) {
  const dim3 grid = grid_of(args->batch_count * step_pairs(args->panels, args->step));
  return SIMT_LAUNCH(blocked_factor_kernel<T>, grid, dim3(fold_shape<T>::THREADS), 0, stream, *args);
}

template <class T> cudaError_t blocked_update_launch(const blocked_args_t *args, cudaStream_t stream) {
  typedef update_shape<T> U;
  const int64_t slabs = (args->n + U::SLAB - 1) / U::SLAB, all = args->W ? 2 * slabs : slabs;
  const dim3 grid = grid_of(args->batch_count * step_pairs(args->panels, args->step) * all);
  return SIMT_LAUNCH(blocked_update_kernel<T>, grid, dim3(U::THREADS), 0, stream, *args);
}

template <class T> cudaError_t blocked_end_launch(const blocked_args_t *args, cudaStream_t stream) {
  return SIMT_LAUNCH(blocked_end_kernel<T>, grid_of((args->batch_count + 3) / 4), dim3(4 * WARP), 0, stream, *args);
}
