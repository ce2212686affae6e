/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions over a warp and over a block, always in the same order: results do not depend on the schedule. */
#pragma once
#include "scalar.cuh"

static const unsigned FULL_WARP = 0xffffffffu;
static const int WARP = 32;

__device__ inline int warp_index() { return (int)threadIdx.x / WARP; }
__device__ inline int warp_count() { return (int)blockDim.x / WARP; }
__device__ inline int lane_index() { return (int)threadIdx.x % WARP; }

template <class R> struct sum_of {
  static __device__ inline R identity() { return 0; }
  static __device__ inline R combine(R a, R b) { return a + b; }
};
/* NaN wins. */
template <class R> struct max_of {
  static __device__ inline R identity() { return 0; }
  static __device__ inline R combine(R a, R b) { return a >= b || a != a ? a : b; }
};
template <class R> struct min_of {
  static __device__ inline R identity() { return (R)INFINITY; }
  static __device__ inline R combine(R a, R b) { return a <= b || a != a ? a : b; }
};

template <class Op, class R> __device__ inline R warp_reduce(R x) {
  for (int offset = WARP / 2; offset; offset /= 2)
    x = Op::combine(x, __shfl_xor_sync(FULL_WARP, x, offset));
  return x;
}

template <class R> __device__ inline R warp_sum(R x) { return warp_reduce<sum_of<R>>(x); }
template <class R> __device__ inline complex_t<R> warp_sum(complex_t<R> x) { return {warp_sum(x.re), warp_sum(x.im)}; }

/* Every thread of the block gets the result.  `scratch` is shared memory for one R per warp. */
template <class Op, class R> __device__ inline R block_reduce(R x, R *scratch) {
  x = warp_reduce<Op>(x);
  if (lane_index() == 0)
    scratch[warp_index()] = x;
  __syncthreads();
  R all = Op::identity();
  for (int w = 0; w < warp_count(); w++)
    all = Op::combine(all, scratch[w]);
  __syncthreads();
  return all;
}
