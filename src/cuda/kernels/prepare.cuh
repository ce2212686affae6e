/* SPDX-License-Identifier: BSD-3-Clause */
/* First step of the forward pass: A, or A^H where m < n, packed, and times a power of two that puts its largest entry
 * where squares neither over- nor underflow (exact, and then A times 2^p has the same U and Vh to the last bit).
 * A matrix with NaN or Inf becomes zero here, so that nothing after this can hang or spread it, and is marked.
 *
 * One block for each part of a matrix, two passes over A; of a matrix in several parts each finds the largest entry of
 * its own in a launch before.  Shared memory: one real per warp, and a tile. */
#pragma once
#include "block.cuh"
#include "grid.cuh"
#include "strided.cuh"
#include "tiles.cuh"

/* Of every parts-th tile of matrix b; the whole block gets it. */
template <class T>
__device__ inline real_t<T> largest_of_part(const prepare_args_t &args, const tiling_t &tiling, int64_t b, int64_t part,
                                            real_t<T> *scratch) {
  typedef real_t<T> R;
  R largest = 0;
  for (int64_t tile = part; tile < tiling.tiles; tile += args.parts)
    visit_tile(tiling, tile_origin(tiling, tile), [&](int64_t, int64_t i, int64_t j, int) {
      largest = max_of<R>::combine(largest, largest_part(*element<T>(args.A, b, i, j)));
    });
  return block_reduce<max_of<R>>(largest, scratch);
}

template <class T> __global__ void prepare_largest_kernel(prepare_args_t args, tiling_t tiling) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  for (int64_t item = blockIdx.x; item < args.batch_count * args.parts; item += gridDim.x) {
    const R largest = largest_of_part<T>(args, tiling, item / args.parts, item % args.parts, scratch);
    if (threadIdx.x == 0)
      ((R *)args.largest)[item] = largest;
  }
}

template <class R> __device__ inline R largest_of_parts(const prepare_args_t &args, int64_t b, R *scratch) {
  R largest = 0;
  for (int64_t p = threadIdx.x; p < args.parts; p += blockDim.x)
    largest = max_of<R>::combine(largest, ((const R *)args.largest)[b * args.parts + p]);
  return block_reduce<max_of<R>>(largest, scratch);
}

template <class T> __global__ void prepare_kernel(prepare_args_t args, tiling_t tiling) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  __shared__ whole_t<T> shared[tile_size<T>::capacity];
  for (int64_t item = blockIdx.x; item < args.batch_count * args.parts; item += gridDim.x) {
    const int64_t b = item / args.parts, part = item % args.parts;
    const R largest =
        args.parts > 1 ? largest_of_parts<R>(args, b, scratch) : largest_of_part<T>(args, tiling, b, part, scratch);
    const bool finite = largest - largest == 0;
    int exponent = 0;
    if (finite && largest > 0)
      (void)frexp(largest, &exponent);
    exponent -= finite && largest > 0 ? 1 + args.scaled_exponent : 0;
    T *tall = (T *)args.tall + b * args.rows * args.columns;
    for (int64_t tile = part; tile < tiling.tiles; tile += args.parts)
      copy_tile(
          tiling, tile, shared,
          [&](int64_t, int64_t i, int64_t j) {
            const T a = finite ? times_power(*element<T>(args.A, b, i, j), -exponent) : from_real<T>(0);
            return args.transposed ? conj(a) : a;
          },
          [&](int64_t, int64_t i, int64_t j, T a) {
            write_whole(tall + (args.transposed ? i * args.rows + j : j * args.rows + i), a);
          });
    if (part == 0 && threadIdx.x == 0) {
      args.exponent[b] = exponent;
      args.state[b] = finite ? CUDA_MATRIX_FINE : CUDA_MATRIX_NONFINITE;
    }
  }
}

template <class T> cudaError_t prepare_launch(const prepare_args_t *args, cudaStream_t stream) {
  const int64_t m = args->transposed ? args->columns : args->rows, n = args->transposed ? args->rows : args->columns;
  const tiling_t tiling = make_tiling<T>(1, m, n, lies_down(args->A), !args->transposed);
  const dim3 block(threads_for(args->rows * args->columns)), grid = grid_of(args->batch_count * args->parts);
  const cudaError_t error =
      args->parts > 1 ? SIMT_LAUNCH(prepare_largest_kernel<T>, grid, block, 0, stream, *args, tiling) : cudaSuccess;
  return error ? error : SIMT_LAUNCH(prepare_kernel<T>, grid, block, 0, stream, *args, tiling);
}
