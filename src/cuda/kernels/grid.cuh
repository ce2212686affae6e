/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes of launches. */
#pragma once
#include "launch_kernel.cuh"

/* One block per matrix, up to the limit of gridDim.x; kernels loop over what is left. */
static inline dim3 grid_of(int64_t blocks) { return dim3((unsigned)(blocks < 0x7fffffff ? blocks : 0x7fffffff)); }

/* A size that a kernel is compiled for, as a type. */
template <int N> struct launch_size { static constexpr int value = N; };

/* Threads for `work` independent pieces: whole warps, 256 at most. */
static inline unsigned threads_for(int64_t work) {
  return work <= 32 ? 32u : work <= 64 ? 64u : work <= 128 ? 128u : 256u;
}
