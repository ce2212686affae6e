/* SPDX-License-Identifier: BSD-3-Clause */
/* Last step of the forward pass: factors X (rows-by-wanted) and Y (columns-by-columns) of the tall matrix to the
 * caller's U, S, Vh.  A = X S Y^H, or for m < n, where the tall one was A^H, A = Y S X^H.  Undoes the scaling in S,
 * fixes the gauge, gives NaN to a matrix that had one, and translates what happened to info.
 *
 * One block per matrix, one warp per column. */
#pragma once
#include "block.cuh"
#include "direct.cuh"

template <class T> struct factor_view { /* column j, row i is data[j * column + i * row], conjugated if asked */
  const T *data;
  int64_t column, row;
  int conjugate;
  __device__ T at(int64_t i, int64_t j) const {
    const T x = data[j * column + i * row];
    return conjugate ? conj(x) : x;
  }
};

/* Phase that makes the largest entry of a column (the first of equals) real and positive; `row` is where it is. */
template <class T>
__device__ inline T gauge_phase(int64_t m, const factor_view<T> &U, int64_t j, int64_t *row, real_t<T> *size) {
  typedef real_t<T> R;
  R best = -1;
  int64_t where = 0;
  for (int64_t i = lane_index(); i < m; i += WARP)
    if (abs2(U.at(i, j)) > best) {
      best = abs2(U.at(i, j));
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
  return ((R)1 / *size) * conj(U.at(where, j));
}

template <class T>
__device__ inline void store_column(const store_args_t &args, int64_t b, int64_t j, const factor_view<T> &U,
                                    const factor_view<T> &V, int nan) {
  T phase = from_real<T>(1);
  int64_t row = -1;
  real_t<T> size = 0;
  if (args.positive_gauge && j < args.u_cols)
    phase = gauge_phase(args.m, U, j, &row, &size);
  for (int64_t i = lane_index(); i < args.m && args.U.data && j < args.u_cols; i += WARP) {
    const T u = i == row ? from_real<T>(size) : args.positive_gauge ? phase * U.at(i, j) : U.at(i, j);
    *element<T>(args.U, b, i, j) = nan ? not_a_number<T>() : u;
  }
  const bool paired = args.positive_gauge && j < args.columns;
  for (int64_t i = lane_index(); i < args.n && args.Vh.data && j < args.vh_rows; i += WARP) {
    const T v = paired ? phase * V.at(i, j) : V.at(i, j);
    *element<T>(args.Vh, b, j, i) = nan ? not_a_number<T>() : conj(v);
  }
}

template <class T> __global__ void store_kernel(store_args_t args) {
  typedef real_t<T> R;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const int nan = args.state[b] != CUDA_MATRIX_FINE;
    const T *X = (const T *)args.X + b * args.x_stride, *Y = (const T *)args.Y + b * args.y_stride;
    const int64_t y_column = args.conjugate_y ? 1 : args.columns, y_row = args.conjugate_y ? args.columns : 1;
    const bool swap = args.transposed != 0; /* field by field: a choice between two structs would live in memory */
    const factor_view<T> U = {swap ? Y : X, swap ? y_column : args.rows, swap ? y_row : 1, swap ? args.conjugate_y : 0};
    const factor_view<T> V = {swap ? X : Y, swap ? args.rows : y_column, swap ? 1 : y_row, swap ? 0 : args.conjugate_y};
    const int64_t most = args.u_cols > args.vh_rows ? args.u_cols : args.vh_rows;
    for (int64_t j = warp_index(); j < most && (args.U.data || args.Vh.data); j += warp_count())
      store_column(args, b, j, U, V, nan);
    const R *S = (const R *)args.S + b * args.columns;
    const int exponent = stored_exponent(args.exponent_out, args.exponent[b], args.scaled_exponent);
    for (int64_t j = threadIdx.x; j < args.k;
         j += blockDim.x) /* the sum makes a negative zero of cuSOLVER's positive */
      *entry<R>(args.S_out, b, j) = nan ? (R)NAN : times_power(S[j], exponent) + (R)0;
    if (threadIdx.x == 0) {
      tell_exponent(args.exponent_out, b, args.exponent[b], args.scaled_exponent);
      args.info[b] = direct_info(!nan, args.failed[b], overflows(S[0], exponent));
    }
  }
}
