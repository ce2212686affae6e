/* SPDX-License-Identifier: BSD-3-Clause */
/* C = alpha op(A) op(B) + beta C for a batch of column-major matrices: 32-by-32 tiles of C, 16-by-16 threads with 2-by-2
 * elements each, 16 deep slices of A and B in shared memory (2 * 16 * 33 elements).  A library product would be faster
 * on large matrices, but chooses its kernel by the size of the batch, and with it the last bits of the result. */
#pragma once
#include "../launch.h"
#include "scalar.cuh"

static const int GEMM_TILE = 32, GEMM_DEPTH = 16, GEMM_THREADS = 256;

template <class T> struct gemm_operand {
  const T *data;
  int64_t rows, columns; /* of op(X) */
  int64_t ld;
  int hermitian;
  __device__ T at(int64_t i, int64_t j) const {
    if (i >= rows || j >= columns)
      return from_real<T>(0);
    return hermitian ? conj(data[i * ld + j]) : data[j * ld + i];
  }
};

/* Loads op(A)(first_i.., first_l..) as slice[l][i] (or, for B, its transpose). */
template <class T>
__device__ inline void load_slices(const gemm_operand<T> &A, const gemm_operand<T> &B, int64_t first_i, int64_t first_j,
                                   int64_t first_l, T (*a)[GEMM_TILE + 1], T (*b)[GEMM_TILE + 1]) {
  for (int e = (int)threadIdx.x; e < GEMM_TILE * GEMM_DEPTH; e += GEMM_THREADS) {
    const int along = e % GEMM_TILE, deep = e / GEMM_TILE; /* neighbours in a column */
    const int along_h = e / GEMM_DEPTH, deep_h = e % GEMM_DEPTH;
    if (A.hermitian)
      a[deep_h][along_h] = A.at(first_i + along_h, first_l + deep_h);
    else
      a[deep][along] = A.at(first_i + along, first_l + deep);
    if (B.hermitian)
      b[deep][along] = B.at(first_l + deep, first_j + along);
    else
      b[deep_h][along_h] = B.at(first_l + deep_h, first_j + along_h);
  }
}

template <class T> __global__ void gemm_kernel(gemm_args_t args) {
  typedef real_t<T> R;
  __shared__ T a[GEMM_DEPTH][GEMM_TILE + 1], b[GEMM_DEPTH][GEMM_TILE + 1];
  const int64_t tiles_m = (args.m + GEMM_TILE - 1) / GEMM_TILE, tiles_n = (args.n + GEMM_TILE - 1) / GEMM_TILE;
  const int ti = (int)threadIdx.x % 16, tj = (int)threadIdx.x / 16;
  for (int64_t t = blockIdx.x; t < args.batch_count * tiles_m * tiles_n; t += gridDim.x) {
    const int64_t matrix = t / (tiles_m * tiles_n), tile = t % (tiles_m * tiles_n);
    const int64_t first_i = tile % tiles_m * GEMM_TILE, first_j = tile / tiles_m * GEMM_TILE;
    const gemm_operand<T> A = {(const T *)args.A + matrix * args.stride_a, args.m, args.k, args.lda,
                               args.op_a == CUDA_HERMITIAN};
    const gemm_operand<T> B = {(const T *)args.B + matrix * args.stride_b, args.k, args.n, args.ldb,
                               args.op_b == CUDA_HERMITIAN};
    T sum[2][2] = {};
    for (int64_t l = 0; l < args.k; l += GEMM_DEPTH) {
      load_slices(A, B, first_i, first_j, l, a, b);
      __syncthreads();
      for (int d = 0; d < GEMM_DEPTH; d++)
        for (int r = 0; r < 2; r++)
          for (int c = 0; c < 2; c++)
            sum[r][c] = fused(sum[r][c], a[d][ti + 16 * r], b[d][tj + 16 * c]);
      __syncthreads();
    }
    T *C = (T *)args.C + matrix * args.stride_c;
    for (int r = 0; r < 2; r++)
      for (int c = 0; c < 2; c++) {
        const int64_t i = first_i + ti + 16 * r, j = first_j + tj + 16 * c;
        if (i >= args.m || j >= args.n)
          continue;
        const T product = (R)args.alpha * sum[r][c];
        C[j * args.ldc + i] = args.beta == 0 ? product : product + (R)args.beta * C[j * args.ldc + i];
      }
  }
}
