/* SPDX-License-Identifier: BSD-3-Clause */
/* Last steps of the forward pass: factors X (rows-by-wanted) and Y (columns-by-columns) of the tall matrix to the
 * caller's U, S, Vh.  A = X S Y^H, or for m < n, where the tall one was A^H, A = Y S X^H.  Fixes the gauge, in place, one
 * warp per column; then undoes the scaling in S, gives NaN to a matrix that had one, and translates what happened to
 * info.  The last launch shares out tiles of U, then of Vh, then pieces of S; no block belongs to one matrix. */
#pragma once
#include "block.cuh"
#include "direct.cuh"
#include "grid.cuh"
#include "tiles.cuh"

/* Column j, row i of matrix b is data[b * matrix + j * column + i * row], conjugated if asked. */
template <class T> struct factor_view {
  T *data;
  int64_t matrix, column, row;
  int conjugate;
  __device__ T at(int64_t b, int64_t i, int64_t j) const {
    const T x = read_whole(data + b * matrix + j * column + i * row);
    return conjugate ? conj(x) : x;
  }
  __device__ void set(int64_t b, int64_t i, int64_t j, T x) const {
    write_whole(data + b * matrix + j * column + i * row, conjugate ? conj(x) : x);
  }
};

/* X is U, or V if transposed; Y the other one.  Field by field: a choice between two structs would live in memory. */
template <class T> __host__ __device__ inline factor_view<T> view_of(const store_args_t &args, bool of_x) {
  const bool turned = !of_x && args.conjugate_y;
  return {(T *)(of_x ? args.X : args.Y), of_x ? args.x_stride : args.y_stride,
          of_x     ? args.rows
          : turned ? 1
                   : args.columns,
          turned ? args.columns : 1, turned ? 1 : 0};
}

/* Phase that makes the largest entry of a column (the first of equals) real and positive; `row` is where it is. */
template <class T>
__device__ inline T gauge_phase(int64_t m, const factor_view<T> &U, int64_t b, int64_t j, int64_t *row,
                                real_t<T> *size) {
  typedef real_t<T> R;
  R best = -1;
  int64_t where = 0;
  for (int64_t i = lane_index(); i < m; i += WARP)
    if (abs2(U.at(b, i, j)) > best) {
      best = abs2(U.at(b, i, j));
      where = i;
    }
  for (int offset = WARP / 2; offset; offset /= 2) {
    const R other = __shfl_xor_sync(FULL_WARP, best, offset);
    const int64_t other_where = __shfl_xor_sync(FULL_WARP, where, offset);
    if (other > best || (other == best && other_where < where)) {
      best = other;
      where = other_where;
    }
  }
  *row = where;
  *size = sqrt(best);
  return ((R)1 / *size) * conj(U.at(b, where, j));
}

/* Columns of U, and those of V that belong to them. */
template <class T> __global__ void gauge_kernel(store_args_t args) {
  const factor_view<T> U = view_of<T>(args, !args.transposed), V = view_of<T>(args, args.transposed);
  const int64_t warps = (int64_t)gridDim.x * warp_count();
  for (int64_t item = (int64_t)blockIdx.x * warp_count() + warp_index(); item < args.batch_count * args.u_cols;
       item += warps) {
    const int64_t b = item / args.u_cols, j = item % args.u_cols;
    int64_t row;
    real_t<T> size;
    const T phase = gauge_phase(args.m, U, b, j, &row, &size);
    __syncwarp();
    for (int64_t i = lane_index(); i < args.m; i += WARP)
      U.set(b, i, j, i == row ? from_real<T>(size) : phase * U.at(b, i, j));
    for (int64_t i = lane_index(); i < args.n && j < args.columns; i += WARP)
      V.set(b, i, j, phase * V.at(b, i, j));
  }
}

/* Singular value j of matrix b, and with the first one what there is once for a matrix. */
template <class T> __device__ inline void store_value(const store_args_t &args, int64_t b, int64_t j) {
  typedef real_t<T> R;
  const R *S = (const R *)args.S + b * args.columns;
  const int nan = args.state[b] != CUDA_MATRIX_FINE;
  const int exponent = stored_exponent(args.exponent_out, args.exponent[b], args.scaled_exponent);
  /* The sum makes a negative zero of cuSOLVER's positive. */
  *entry<R>(args.S_out, b, j) = nan ? (R)NAN : times_power(S[j], exponent) + (R)0;
  if (j != 0)
    return;
  tell_exponent(args.exponent_out, b, args.exponent[b], args.scaled_exponent);
  args.info[b] = direct_info(!nan, args.failed[b], overflows(S[0], exponent));
}

enum { STORE_THREADS = 128 };
template <class T>
__global__ void __launch_bounds__(STORE_THREADS, 8)
    store_kernel(store_args_t args, tiling_t of_u, tiling_t of_vh, int64_t pieces) {
  __shared__ whole_t<T> shared[tile_size<T>::capacity];
  const factor_view<T> U = view_of<T>(args, !args.transposed), V = view_of<T>(args, args.transposed);
  const auto checked = [&](int64_t b, T x) { return args.state[b] != CUDA_MATRIX_FINE ? not_a_number<T>() : x; };
  for (int64_t item = blockIdx.x; item < of_u.tiles + of_vh.tiles + pieces; item += gridDim.x) {
    const int64_t after_u = item - of_u.tiles, after_vh = after_u - of_vh.tiles;
    const int64_t e = after_vh * blockDim.x + threadIdx.x;
    if (after_u < 0)
      copy_tile(
          of_u, item, shared, [&](int64_t b, int64_t i, int64_t j) { return U.at(b, i, j); },
          [&](int64_t b, int64_t i, int64_t j, T u) { *element<T>(args.U, b, i, j) = checked(b, u); });
    else if (after_vh < 0)
      copy_tile(
          of_vh, after_u, shared, [&](int64_t b, int64_t i, int64_t j) { return V.at(b, i, j); },
          [&](int64_t b, int64_t i, int64_t j, T v) { *element<T>(args.Vh, b, j, i) = conj(checked(b, v)); });
    else if (e < args.batch_count * args.k)
      store_value<T>(args, e / args.k, e % args.k);
  }
}

template <class T> cudaError_t store_launch(const store_args_t *args, cudaStream_t stream) {
  enum { THREADS = STORE_THREADS };
  const int u_lies_down = view_of<T>(*args, !args->transposed).row == 1,
            v_lies_down = view_of<T>(*args, args->transposed).row == 1;
  const tiling_t none = {};
  const tiling_t of_u =
      args->U.data ? make_tiling<T>(args->batch_count, args->m, args->u_cols, u_lies_down, lies_down(args->U)) : none;
  const tiling_t of_vh =
      args->Vh.data ? make_tiling<T>(args->batch_count, args->n, args->vh_rows, v_lies_down, lies_across(args->Vh))
                    : none;
  const int64_t pieces = (args->batch_count * args->k + THREADS - 1) / THREADS;
  const dim3 columns = grid_of((args->batch_count * args->u_cols + THREADS / WARP - 1) / (THREADS / WARP));
  cudaError_t error = cudaSuccess;
  if (args->positive_gauge && (args->U.data || args->Vh.data))
    error = SIMT_LAUNCH(gauge_kernel<T>, columns, dim3(THREADS), 0, stream, *args);
  return error ? error
               : SIMT_LAUNCH(store_kernel<T>, grid_of(of_u.tiles + of_vh.tiles + pieces), dim3(THREADS), 0, stream,
                             *args, of_u, of_vh, pieces);
}
