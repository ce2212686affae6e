/* SPDX-License-Identifier: BSD-3-Clause */
/* Who works on one matrix: a block, or a group of lanes of a warp, which has others beside it.  Device code that is the
 * same for both takes the team as a type. */
#pragma once
#include "lanes.cuh"

struct block_team {
  static constexpr bool IS_BLOCK = true;
  static constexpr int SCRATCH = WARP; /* real numbers in shared memory that reduce() takes */
  static __device__ __forceinline__ int rank() { return (int)threadIdx.x; }
  static __device__ __forceinline__ int size() { return (int)blockDim.x; }
  /* Every thread gets the result. */
  template <class Op, class R> static __device__ __forceinline__ R reduce(R x, R *scratch) {
    return block_reduce<Op>(x, scratch);
  }
  static __device__ __forceinline__ bool any(bool x) { return x; } /* x is the same for the whole team */
};

/* All groups of the warp go along, those without a matrix of their own too. */
template <int GROUP> struct group_team {
  static constexpr bool IS_BLOCK = false;
  static constexpr int SCRATCH = 0;
  static __device__ __forceinline__ int rank() { return lane_in_group<GROUP>(); }
  static __device__ __forceinline__ int size() { return GROUP; }
  template <class Op, class R> static __device__ __forceinline__ R reduce(R x, R * /* scratch */) {
#pragma unroll
    for (int offset = GROUP / 2; offset; offset /= 2)
      x = Op::combine(x, exchange(x, offset));
    return x;
  }
  /* True if x is true in any group of the warp: all groups take the branch together. */
  static __device__ __forceinline__ bool any(bool x) { return __any_sync(FULL_WARP, x); }
};

/* A macro, so that a barrier has the line where it stands: tests leave out one of them (tests/simt). */
#define SYNC_TEAM(Team)                                                                                                \
  do {                                                                                                                 \
    if constexpr (Team::IS_BLOCK)                                                                                      \
      __syncthreads();                                                                                                 \
    else                                                                                                               \
      __syncwarp();                                                                                                    \
  } while (0)
