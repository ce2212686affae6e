/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations of programs (src/functions/machine.h) on packed arrays of the whole batch: transfers from and to the
 * caller's operands, scalings, and the phase of a determinant.  Products are gemm.cuh, forms form_*.cuh. */
#pragma once
#include "gap.cuh"
#include "strided.cuh"
#include "tiles.cuh"

/* Matrix b of a tensor, and number b of an array of real numbers. */
template <class T> __device__ inline T *tensor_of(const tensor_t &X, int64_t b) {
  return (T *)X.data + (b * X.all + X.first) * X.rows;
}
template <class R> __device__ inline R *reals_of(const reals_t &x, int64_t b) { return (R *)x.data + b * x.count; }

/* Calls visit(b, e) for e in [0, count) of every matrix, each thread on its own: no block belongs to a matrix, so that
 * neither many small ones nor a few large ones leave threads idle.  By block number `block` of `blocks`. */
template <class Visit>
__device__ inline void visit_batch(int64_t batch_count, int64_t count, int64_t block, int64_t blocks, Visit visit) {
  for (int64_t e = block * blockDim.x + threadIdx.x; e < batch_count * count; e += blocks * blockDim.x)
    visit(e / count, e % count);
}
template <class Visit> __device__ inline void visit_batch(int64_t batch_count, int64_t count, Visit visit) {
  visit_batch(batch_count, count, blockIdx.x, gridDim.x, visit);
}

template <class T> __device__ inline T *transfer_element(const transfer_args_t &args, int64_t b, int64_t i, int64_t j) {
  return args.op == PLAIN ? element<T>(args.matrix, b, i, j) : element<T>(args.matrix, b, j, i);
}

/* Whether the operand outside has its neighbours in a column of X, as X has. */
static inline int lies_down(const transfer_args_t &args) {
  return args.op == PLAIN ? lies_down(args.matrix) : lies_across(args.matrix);
}

/* A transfer with the blocks that work on it: those up to number `end` of the launch, from the end of the one before. */
struct planned_transfer {
  cuda_transfer_t transfer;
  tiling_t tiling;
  int64_t end;
};
struct transfer_plan {
  planned_transfer at[CUDA_TRANSFERS];
};
static_assert(sizeof(transfer_plan) <= 4096, "arguments of a kernel");

template <class T>
__device__ inline void load_matrices(const planned_transfer &plan, int64_t block, int64_t blocks, whole_t<T> *shared) {
  const transfer_args_t &args = plan.transfer.of.matrix;
  for (int64_t tile = block; tile < plan.tiling.tiles; tile += blocks)
    copy_tile(
        plan.tiling, tile, shared,
        [&](int64_t b, int64_t i, int64_t j) {
          const T x = args.matrix.data ? *transfer_element<T>(args, b, i, j) : from_real<T>(0);
          return args.op == PLAIN ? x : conj(x);
        },
        [&](int64_t b, int64_t i, int64_t j, T x) { write_whole(tensor_of<T>(args.X, b) + j * args.X.rows + i, x); });
}

template <class T>
__device__ inline void store_matrices(const planned_transfer &plan, int64_t block, int64_t blocks, whole_t<T> *shared) {
  typedef real_t<T> R;
  const transfer_args_t &args = plan.transfer.of.matrix;
  for (int64_t tile = block; tile < plan.tiling.tiles; tile += blocks)
    copy_tile(
        plan.tiling, tile, shared,
        [&](int64_t b, int64_t i, int64_t j) { return read_whole(tensor_of<T>(args.X, b) + j * args.X.rows + i); },
        [&](int64_t b, int64_t i, int64_t j, T x) {
          const T scaled = (R)args.alpha * (args.op == PLAIN ? x : conj(x));
          T *y = transfer_element<T>(args, b, i, j);
          *y = args.beta == 0 ? scaled : scaled + (R)args.beta * *y;
        });
}

/* Singular values: every thread finds the exponent of its matrix for itself. */
template <class R>
__device__ inline void load_vectors(const transfer_reals_args_t &args, int64_t block, int64_t blocks) {
  const int64_t count = args.x.count;
  visit_batch(args.batch_count, count, block, blocks, [&](int64_t b, int64_t i) {
    const R x = args.vector.data ? *entry<R>(args.vector, b, i) : 0;
    int exponent = 0;
    if (args.exponent)
      exponent = gap_exponent(*entry<R>(args.vector, b, 0), ANY_EXPONENT);
    reals_of<R>(args.x, b)[i] = times_power(x, -exponent);
    if (args.exponent && i == 0)
      args.exponent[b] = exponent + (args.told ? args.told[b] : 0);
  });
  if (args.exponent && count == 0)
    visit_batch(args.batch_count, 1, block, blocks, [&](int64_t b, int64_t) { args.exponent[b] = 0; });
}

template <class R>
__device__ inline void store_vectors(const transfer_reals_args_t &args, int64_t block, int64_t blocks) {
  visit_batch(args.batch_count, args.x.count, block, blocks,
              [&](int64_t b, int64_t i) { *entry<R>(args.vector, b, i) = reals_of<R>(args.x, b)[i]; });
}

template <class T> __global__ void program_transfer_kernel(transfer_plan plan) {
  __shared__ whole_t<T> shared[tile_size<T>::capacity];
  int64_t first = 0;
  int number = 0;
  while (blockIdx.x >= plan.at[number].end)
    first = plan.at[number++].end;
  const planned_transfer &planned = plan.at[number];
  const int64_t block = blockIdx.x - first, blocks = planned.end - first;
  switch (planned.transfer.kind) {
  case CUDA_LOAD: load_matrices<T>(planned, block, blocks, shared); break;
  case CUDA_STORE: store_matrices<T>(planned, block, blocks, shared); break;
  case CUDA_LOAD_REALS: load_vectors<real_t<T>>(planned.transfer.of.reals, block, blocks); break;
  case CUDA_STORE_REALS: store_vectors<real_t<T>>(planned.transfer.of.reals, block, blocks); break;
  }
}

template <class T> __global__ void program_scale_kernel(tensor_args_t args) {
  visit_batch(args.batch_count, args.X.rows * args.X.columns, [&](int64_t b, int64_t e) {
    T *x = tensor_of<T>(args.X, b) + e;
    *x = reals_of<real_t<T>>(args.factor, b)[e / args.X.rows] * *x;
    if (args.step.data)
      *x = *reals_of<real_t<T>>(args.step, b) * *x;
  });
}

template <class T> __global__ void program_scale_by_kernel(tensor_args_t args) {
  visit_batch(args.batch_count, args.X.rows * args.X.columns, [&](int64_t b, int64_t e) {
    T *x = tensor_of<T>(args.X, b) + e;
    *x = tensor_of<T>(args.column, b)[e / args.X.rows] * *x;
  });
}

template <class T> __global__ void program_add_identity_kernel(tensor_args_t args) {
  visit_batch(args.batch_count, args.X.columns, [&](int64_t b, int64_t i) {
    T *x = tensor_of<T>(args.X, b) + i * args.X.rows + i;
    *x = *x + from_real<T>((real_t<T>)args.value);
  });
}

template <class T> __global__ void program_normalize_kernel(tensor_args_t args) {
  visit_batch(args.batch_count, args.X.rows * args.X.columns, [&](int64_t b, int64_t e) {
    T *x = tensor_of<T>(args.X, b) + e;
    *x = times_power(*x, -args.exponent[b]);
  });
}

/* Row of the largest entry of column p from row p on, of equal ones the first; by one warp. */
template <class T> __device__ inline int find_pivot(const T *X, int n, int p) {
  typedef real_t<T> R;
  R most = -1;
  int row = p;
  for (int i = p + lane_index(); i < n; i += WARP) {
    const R size = magnitude(X[(int64_t)p * n + i]);
    if (size > most) {
      most = size;
      row = i;
    }
  }
  for (int offset = WARP / 2; offset; offset /= 2) {
    const R size = __shfl_xor_sync(FULL_WARP, most, offset);
    const int other = __shfl_xor_sync(FULL_WARP, row, offset);
    if (size > most || (size == most && other < row)) {
      most = size;
      row = other;
    }
  }
  return row;
}

__device__ inline float phase_of(float x) { return x < 0 ? -1 : 1; }
__device__ inline double phase_of(double x) { return x < 0 ? -1 : 1; }
template <class R> __device__ inline complex_t<R> phase_of(complex_t<R> x) {
  const R size = magnitude(x);
  return {x.re / size, x.im / size};
}

__device__ inline float quotient(float x, float y) { return x / y; }
__device__ inline double quotient(double x, double y) { return x / y; }
template <class R> __device__ inline complex_t<R> quotient(complex_t<R> x, complex_t<R> y) {
  return (1 / magnitude(y)) * (x * conj(phase_of(y)));
}

/* Subtracts from the rows below p what clears column p, which is then left as it is. */
template <class T> __device__ inline void eliminate(T *X, int n, int p) {
  const int64_t rest = n - p - 1;
  const T top = X[(int64_t)p * n + p];
  if (magnitude(top) == 0)
    return;
  for (int64_t e = threadIdx.x; e < rest * rest; e += blockDim.x) {
    const int64_t i = p + 1 + e % rest, j = p + 1 + e / rest;
    X[j * n + i] = fused(X[j * n + i], quotient(-X[(int64_t)p * n + i], top), X[j * n + p]);
  }
}

/* Gaussian elimination with partial pivoting, one block per matrix. */
template <class T> __global__ void program_phase_kernel(tensor_args_t args) {
  __shared__ int pivot;
  const int n = (int)args.X.rows;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    T *X = tensor_of<T>(args.X, b);
    T phase = from_real<T>(1);
    for (int p = 0; p < n; p++) {
      if (warp_index() == 0) {
        const int row = find_pivot(X, n, p);
        if (lane_index() == 0)
          pivot = row;
      }
      __syncthreads();
      for (int j = p + (int)threadIdx.x; j < n && pivot != p; j += (int)blockDim.x) {
        const T x = X[(int64_t)j * n + p];
        X[(int64_t)j * n + p] = X[(int64_t)j * n + pivot];
        X[(int64_t)j * n + pivot] = x;
      }
      phase = pivot != p ? -phase : phase;
      __syncthreads();
      phase = phase * phase_of(X[(int64_t)p * n + p]);
      eliminate(X, n, p);
      __syncthreads();
    }
    if (threadIdx.x == 0)
      *tensor_of<T>(args.phase, b) = phase_of(phase);
  }
}
