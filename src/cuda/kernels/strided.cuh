/* SPDX-License-Identifier: BSD-3-Clause */
/* Elements of the caller's strided operands, and of packed ones. */
#pragma once
#include "../launch.h"
#include "scalar.cuh"

#include <stdlib.h>

template <class T> __device__ inline T *element(const svdgrad_matrix_t &matrix, int64_t b, int64_t i, int64_t j) {
  return (T *)matrix.data + (b * matrix.batch_stride + i * matrix.row_stride + j * matrix.col_stride);
}

template <class R> __device__ inline R *entry(const svdgrad_vector_t &vector, int64_t b, int64_t i) {
  return (R *)vector.data + (b * vector.batch_stride + i * vector.stride);
}

/* Whether neighbours in memory lie in a column, or in a row; true of both where that is open. */
static inline int lies_down(const svdgrad_matrix_t &X) { return llabs(X.row_stride) <= llabs(X.col_stride); }
static inline int lies_across(const svdgrad_matrix_t &X) { return llabs(X.col_stride) <= llabs(X.row_stride); }

/* Calls visit(i, j) for every element of an m-by-n matrix, threads of the block side by side along the smaller stride
 * of `matrix`, so that accesses to it coalesce. */
template <class Visit>
__device__ inline void visit_elements(const svdgrad_matrix_t &matrix, int64_t m, int64_t n, Visit visit) {
  const bool rows_first = matrix.row_stride <= matrix.col_stride || n == 1;
  const int64_t inner = rows_first ? m : n, count = m * n;
  for (int64_t e = threadIdx.x; e < count; e += blockDim.x) {
    const int64_t major = e / inner, minor = e - major * inner;
    if (rows_first)
      visit(minor, major);
    else
      visit(major, minor);
  }
}
