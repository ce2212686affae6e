/* SPDX-License-Identifier: BSD-3-Clause */
/* m or n is 0: what a backend on the host does in src/empty.c. */
#pragma once
#include "strided.cuh"

template <class T> __device__ inline void store_identity(const svdgrad_matrix_t &matrix, int64_t b, int64_t n) {
  for (int64_t e = threadIdx.x; e < n * n && matrix.data; e += blockDim.x)
    *element<T>(matrix, b, e / n, e % n) = from_real<T>(e / n == e % n);
}

template <class T> __global__ void empty_kernel(empty_args_t args) {
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    store_identity<T>(args.U, b, args.u_cols);
    store_identity<T>(args.Vh, b, args.vh_rows);
    if (threadIdx.x == 0 && args.info)
      args.info[b] = SVDGRAD_INFO_OK;
    if (threadIdx.x == 0 && args.report) {
      const svdgrad_report_t none = {(double)INFINITY, 0, 0, 0, 0};
      args.report[b] = none;
    }
  }
}
