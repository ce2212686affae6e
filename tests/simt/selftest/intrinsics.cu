// SPDX-License-Identifier: BSD-3-Clause
// Every warp intrinsic against its definition, in full warps and in two halves of a warp that diverge; and the
// overloads of the mathematical functions.
#include "simt.hpp"
#include "selftest.h"

static_assert(std::is_same_v<decltype(sqrt(1.0f)), float>);
static_assert(std::is_same_v<decltype(fabs(1.0f)), float>);
static_assert(std::is_same_v<decltype(hypot(1.0f, 1.0f)), float>);
static_assert(std::is_same_v<decltype(copysign(1.0f, 1.0f)), float>);
static_assert(std::is_same_v<decltype(fmin(1.0f, 1.0f)), float>);
static_assert(std::is_same_v<decltype(fmax(1.0f, 1.0f)), float>);
static_assert(std::is_same_v<decltype(fma(1.0f, 1.0f, 1.0f)), float>);
static_assert(std::is_same_v<decltype(rsqrt(1.0f)), float>);
static_assert(std::is_same_v<decltype(ldexp(1.0f, 1)), float>);
static_assert(std::is_same_v<decltype(frexp(1.0f, static_cast<int *>(nullptr))), float>);
static_assert(std::is_same_v<decltype(scalbn(1.0f, 1)), float>);
static_assert(std::is_same_v<decltype(ilogb(1.0f)), int>);
static_assert(std::is_same_v<decltype(max(1.0f, 1.0f)), float>);
static_assert(std::is_same_v<decltype(max(1.0f, 1.0)), double>);
static_assert(std::is_same_v<decltype(sqrt(1.0)), double>);

#define EXPECT(condition)                                                                                              \
  do {                                                                                                                 \
    if (!(condition))                                                                                                  \
      atomicExch(wrong, __LINE__);                                                                                     \
  } while (0)

__constant__ const unsigned odd_lanes = 0xaaaaaaaau;

struct __align__(16) Pair {
  double x, y;
};

__device__ __noinline__ int triangle(int n) { return n * (n + 1) / 2; }

__global__ void shuffle_kernel(int *wrong) {
  const int t = static_cast<int>(threadIdx.x);
  EXPECT(__shfl_sync(~0u, t, 3) == 3 && __shfl_sync(~0u, t, t + 1, 8) == (t & ~7) + (t + 1) % 8);
  EXPECT(__shfl_up_sync(~0u, t, 4) == (t < 4 ? t : t - 4) && __shfl_down_sync(~0u, t, 4) == (t > 27 ? t : t + 4));
  EXPECT(__shfl_xor_sync(~0u, 0.5 * t, 5) == 0.5 * (t ^ 5));
  EXPECT(__shfl_xor_sync(~0u, 1LL << t, 1) == 1LL << (t ^ 1));
}

__global__ void vote_kernel(int *wrong) {
  const int t = static_cast<int>(threadIdx.x);
  EXPECT(__ballot_sync(~0u, t % 2) == odd_lanes && __any_sync(~0u, t == 7) && !__all_sync(~0u, t == 7));
  EXPECT(__all_sync(~0u, t < 32) && (__activemask() >> t & 1));
  EXPECT(__match_any_sync(~0u, t % 2) == (t % 2 ? odd_lanes : ~odd_lanes));
  int same;
  EXPECT(__match_all_sync(~0u, 1.5, &same) == ~0u && same);
  EXPECT(__match_all_sync(~0u, t, &same) == 0 && !same);
  EXPECT(__reduce_add_sync(~0u, t) == triangle(31) && __reduce_add_sync(~0u, 1u) == 32u);
  EXPECT(__reduce_min_sync(~0u, t - 5) == -5 && __reduce_max_sync(~0u, -t) == 0);
  EXPECT(__reduce_max_sync(~0u, 1u << t) == 1u << 31 && __reduce_or_sync(~0u, 1u << t) == ~0u);
  EXPECT(__syncthreads_count(t % 4 == 0) == 8 && __syncthreads_or(t == 9) && !__syncthreads_and(t == 9));
}

__global__ void halves_kernel(int *wrong) { // 64 threads
  const int t = static_cast<int>(threadIdx.x);
  if (t & 1)
    EXPECT(__shfl_xor_sync(odd_lanes, t * 10, 2) == (t ^ 2) * 10);
  else
    EXPECT(__ballot_sync(~odd_lanes, t > 9) == (t < 32 ? 0x55555400u : 0x55555555u));
  const unsigned mine = t & 1 ? odd_lanes : ~odd_lanes;
  EXPECT(__reduce_add_sync(mine, 1) == 16 && __match_any_sync(mine, t & 2) != mine);
}

__global__ void math_kernel(int *wrong) {
  EXPECT(min(1.0f, NAN) == 1.0f && max(NAN, 2.0) == 2.0 && min(3, 2) == 2 && max(3, 2u) == 3u);
  EXPECT(__popcll(~0ull) == 64 && __clzll(1) == 63 && __clz(0) == 32 && __ffs(8) == 4 && __popc(7) == 3);
  EXPECT(isnan(NAN) && isfinite(1.0f) && signbit(-0.0f) && !isfinite(INFINITY));
  EXPECT(ilogb(8.0f) == 3 && ldexp(1.0, 3) == 8 && scalbn(1.0f, -1) == 0.5f && fma(2.0f, 3.0f, 1.0f) == 7);
  EXPECT(__float_as_int(1.0f) == 0x3f800000 && __double2int_rn(2.5) == 2);
  EXPECT(alignof(Pair) == 16 && warpSize == 32 && gridDim.x == 1 && blockDim.x == 32);
}

int main(void) {
  int *wrong, line = -1;
  CUDA(cudaMalloc(&wrong, sizeof *wrong));
  CUDA(cudaMemset(wrong, 0, sizeof *wrong));
  CUDA(SIMT_LAUNCH(shuffle_kernel, 1, 32, 0, 0, wrong));
  CUDA(SIMT_LAUNCH(vote_kernel, 1, 32, 0, 0, wrong));
  CUDA(SIMT_LAUNCH(halves_kernel, 1, 64, 0, 0, wrong));
  CUDA(SIMT_LAUNCH(math_kernel, 1, 32, 0, 0, wrong));
  CUDA(cudaMemcpy(&line, wrong, sizeof line, cudaMemcpyDeviceToHost));
  CUDA(cudaFree(wrong));
  if (line)
    fprintf(stderr, "%s:%d: not true in a kernel\n", __FILE__, line);
  return line != 0;
}
