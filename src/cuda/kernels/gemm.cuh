/* SPDX-License-Identifier: BSD-3-Clause */
/* C = alpha op(A) op(B) + beta C for a batch of column-major matrices: square tiles of C, 16-by-16 threads, and 16 deep
 * slices of A and B in shared memory.  A thread has 2-by-2 elements of a tile, or, where there are enough tiles to fill a
 * device, 4-by-4, which takes half as many loads from shared memory for a product.  Small matrices have a thread for each
 * element, and their operands in the cache.  Every sum runs over k in its order, so that the last bits depend neither on
 * the way nor, as those of a library product may, on the batch. */
#pragma once
#include "../launch.h"
#include "grid.cuh"
#include "scalar.cuh"

static const int GEMM_DEPTH = 16, GEMM_THREADS = 256, GEMM_SIDE = 16; /* of the block of threads */

template <class T> struct gemm_operand {
  const T *data;
  int64_t rows, columns; /* of op(X) */
  int64_t ld;
  int hermitian;
  __device__ T at(int64_t i, int64_t j) const {
    if (i >= rows || j >= columns)
      return from_real<T>(0);
    return hermitian ? conj(read_whole(data + i * ld + j)) : read_whole(data + j * ld + i);
  }
};

/* Loads op(A)(first_i.., first_l..) as slice[l][i] (or, for B, its transpose). */
template <class T, int TILE>
__device__ inline void load_slices(const gemm_operand<T> &A, const gemm_operand<T> &B, int64_t first_i, int64_t first_j,
                                   int64_t first_l, whole_t<T> (*a)[TILE + 1], whole_t<T> (*b)[TILE + 1]) {
#pragma unroll
  for (int e = (int)threadIdx.x; e < TILE * GEMM_DEPTH; e += GEMM_THREADS) {
    const int along = e % TILE, deep = e / TILE; /* neighbours in a column */
    const int along_h = e / GEMM_DEPTH, deep_h = e % GEMM_DEPTH;
    if (A.hermitian)
      a[deep_h][along_h].x = A.at(first_i + along_h, first_l + deep_h);
    else
      a[deep][along].x = A.at(first_i + along, first_l + deep);
    if (B.hermitian)
      b[deep][along].x = B.at(first_l + deep, first_j + along);
    else
      b[deep_h][along_h].x = B.at(first_l + deep_h, first_j + along_h);
  }
}

/* sum += the product of two slices, a thread having every 16th row and column. */
template <class T, int TILE, int EACH>
__device__ inline void add_slices(const whole_t<T> (*a)[TILE + 1], const whole_t<T> (*b)[TILE + 1], int ti, int tj,
                                  T (&sum)[EACH][EACH]) {
  for (int d = 0; d < GEMM_DEPTH; d++) {
    T x[EACH], y[EACH];
#pragma unroll
    for (int r = 0; r < EACH; r++) {
      x[r] = a[d][ti + GEMM_SIDE * r].x;
      y[r] = b[d][tj + GEMM_SIDE * r].x;
    }
#pragma unroll
    for (int r = 0; r < EACH; r++)
#pragma unroll
      for (int c = 0; c < EACH; c++)
        sum[r][c] = fused(sum[r][c], x[r], y[c]);
  }
}

template <class T> __device__ inline gemm_operand<T> left_of(const gemm_args_t &args, int64_t matrix) {
  return {(const T *)args.A + matrix * args.stride_a, args.m, args.k, args.lda, args.op_a == CUDA_HERMITIAN};
}
template <class T> __device__ inline gemm_operand<T> right_of(const gemm_args_t &args, int64_t matrix) {
  return {(const T *)args.B + matrix * args.stride_b, args.k, args.n, args.ldb, args.op_b == CUDA_HERMITIAN};
}

template <class T>
__device__ inline void store_product(const gemm_args_t &args, int64_t matrix, int64_t i, int64_t j, T sum) {
  typedef real_t<T> R;
  T *c = (T *)args.C + matrix * args.stride_c + j * args.ldc + i;
  const T product = (R)args.alpha * sum;
  write_whole(c, args.beta == 0 ? product : fused(product, (R)args.beta, read_whole(c)));
}

/* A thread for each element of C. */
template <class T> __global__ void __launch_bounds__(GEMM_THREADS) gemm_small_kernel(gemm_args_t args) {
  const int64_t elements = args.batch_count * args.m * args.n, threads = (int64_t)gridDim.x * GEMM_THREADS;
  const unsigned m = (unsigned)args.m, area = m * (unsigned)args.n;
  for (int64_t e = (int64_t)blockIdx.x * GEMM_THREADS + threadIdx.x; e < elements; e += threads) {
    const int64_t matrix = e / area;
    const unsigned place = (unsigned)(e - matrix * area), i = place % m, j = place / m;
    const gemm_operand<T> A = left_of<T>(args, matrix), B = right_of<T>(args, matrix);
    T sum = from_real<T>(0);
    for (int64_t l = 0; l < args.k; l++)
      sum = fused(sum, A.at(i, l), B.at(l, j));
    if (args.k % GEMM_DEPTH != 0) /* as a slice that is not full does to a negative zero */
      sum = fused(sum, from_real<T>(0), from_real<T>(0));
    store_product(args, matrix, i, j, sum);
  }
}

/* One tile of C, EACH-by-EACH elements of a thread. */
template <class T, int EACH> __global__ void __launch_bounds__(GEMM_THREADS) gemm_kernel(gemm_args_t args) {
  const int TILE = EACH * GEMM_SIDE;
  __shared__ whole_t<T> a[GEMM_DEPTH][TILE + 1], b[GEMM_DEPTH][TILE + 1];
  const int64_t tiles_m = (args.m + TILE - 1) / TILE, tiles_n = (args.n + TILE - 1) / TILE;
  const int ti = (int)threadIdx.x % GEMM_SIDE, tj = (int)threadIdx.x / GEMM_SIDE;
  for (int64_t t = blockIdx.x; t < args.batch_count * tiles_m * tiles_n; t += gridDim.x) {
    const int64_t matrix = t / (tiles_m * tiles_n), tile = t % (tiles_m * tiles_n);
    const int64_t first_i = tile % tiles_m * TILE, first_j = tile / tiles_m * TILE;
    const gemm_operand<T> A = left_of<T>(args, matrix), B = right_of<T>(args, matrix);
    T sum[EACH][EACH] = {};
    for (int64_t l = 0; l < args.k; l += GEMM_DEPTH) {
      load_slices<T, TILE>(A, B, first_i, first_j, l, a, b);
      __syncthreads();
      add_slices<T, TILE, EACH>(a, b, ti, tj, sum);
      __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < EACH; r++)
#pragma unroll
      for (int c = 0; c < EACH; c++) {
        const int64_t i = first_i + ti + GEMM_SIDE * r, j = first_j + tj + GEMM_SIDE * c;
        if (i < args.m && j < args.n)
          store_product(args, matrix, i, j, sum[r][c]);
      }
  }
}

static inline int64_t gemm_tiles(const gemm_args_t *args, int each) {
  const int64_t tile = each * GEMM_SIDE;
  return args->batch_count * ((args->m + tile - 1) / tile) * ((args->n + tile - 1) / tile);
}

/* Large tiles where they leave no multiprocessor of a large device idle, and cover no more than twice what small ones
 * do: they take half the time for the same area. */
enum { GEMM_FILLED = 128 };
template <class T> cudaError_t gemm_launch(const gemm_args_t *args, cudaStream_t stream) {
  if (args->m <= GEMM_SIDE && args->n <= GEMM_SIDE && args->k <= GEMM_SIDE) {
    const dim3 grid = grid_of((args->batch_count * args->m * args->n + GEMM_THREADS - 1) / GEMM_THREADS);
    return SIMT_LAUNCH(gemm_small_kernel<T>, grid, dim3(GEMM_THREADS), 0, stream, *args);
  }
  const int64_t small = gemm_tiles(args, 2), large = gemm_tiles(args, 4);
  if (large >= GEMM_FILLED && 2 * large <= small)
    return SIMT_LAUNCH((gemm_kernel<T, 4>), grid_of(large), dim3(GEMM_THREADS), 0, stream, *args);
  return SIMT_LAUNCH((gemm_kernel<T, 2>), grid_of(small), dim3(GEMM_THREADS), 0, stream, *args);
}
