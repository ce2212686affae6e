/* SPDX-License-Identifier: BSD-3-Clause */
/* What kernels need that go straight from the caller's A to the caller's factors: the tall matrix A, or A^H, is X S Y^H,
 * so that U is X and V is Y, or, transposed, U is Y and V is X. */
#pragma once
#include "strided.cuh"

template <class T> __device__ inline T load_tall(const direct_args_t &args, int64_t b, int64_t i, int64_t j) {
  return args.transposed ? conj(*element<T>(args.A, b, j, i)) : *element<T>(args.A, b, i, j);
}

__device__ inline int32_t direct_info(bool finite, bool failed, bool overflow) {
  return !finite    ? SVDGRAD_INFO_NONFINITE
         : failed   ? SVDGRAD_INFO_NOT_CONVERGED
         : overflow ? SVDGRAD_INFO_OVERFLOW
                    : SVDGRAD_INFO_OK;
}

/* Singular values that are 2^exponent times those of a kernel are stored times the power of two that this returns; `told`
 * has the exponent of the rest, unless it is NULL. */
__device__ inline int stored_exponent(const int32_t *told, int exponent, int scaled) {
  return told ? -scaled : exponent;
}

/* That rest, of matrix b: by one thread alone. */
__device__ inline void tell_exponent(int32_t *told, int64_t b, int exponent, int scaled) {
  if (told)
    told[b] = exponent + scaled;
}

/* Columns of X and of Y that the caller wants. */
__device__ inline int64_t wanted_left(const direct_args_t &args) {
  return args.transposed ? (args.Vh.data ? args.vh_rows : 0) : (args.U.data ? args.u_cols : 0);
}
__device__ inline int64_t wanted_right(const direct_args_t &args) {
  return args.transposed ? (args.U.data ? args.u_cols : 0) : (args.Vh.data ? args.vh_rows : 0);
}

template <class R> __device__ inline bool overflows(R s1, int exponent) { return isinf(times_power(s1, exponent)); }

/* Row i of column j of X, for j < wanted_left; of Y, for j < wanted_right. */
template <class T> __device__ inline void store_left(const direct_args_t &args, int64_t b, int64_t i, int64_t j, T x) {
  if (args.transposed)
    *element<T>(args.Vh, b, j, i) = conj(x);
  else
    *element<T>(args.U, b, i, j) = x;
}
template <class T> __device__ inline void store_right(const direct_args_t &args, int64_t b, int64_t i, int64_t j, T y) {
  if (args.transposed)
    *element<T>(args.U, b, i, j) = y;
  else
    *element<T>(args.Vh, b, j, i) = conj(y);
}
