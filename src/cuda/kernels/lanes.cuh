/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums and shuffles inside groups of lanes (GROUP = 1, 2, 4 ... 32, aligned in the warp).  All lanes of the warp call,
 * with values of their own group; the order of the additions is fixed. */
#pragma once
#include "block.cuh"

template <int GROUP> __device__ inline int lane_in_group() { return lane_index() % GROUP; }

template <class T> __device__ inline T exchange(T x, int offset) { return __shfl_xor_sync(FULL_WARP, x, offset); }
template <class R> __device__ inline complex_t<R> exchange(complex_t<R> x, int offset) {
  return {exchange(x.re, offset), exchange(x.im, offset)};
}

/* The value of lane `source` of the group. */
template <int GROUP, class T> __device__ inline T broadcast(T x, int source) {
  return __shfl_sync(FULL_WARP, x, source, GROUP);
}
template <int GROUP, class R> __device__ inline complex_t<R> broadcast(complex_t<R> x, int source) {
  return {broadcast<GROUP>(x.re, source), broadcast<GROUP>(x.im, source)};
}

/* Every lane gets the sum over its group. */
template <int GROUP, class T> __device__ inline T group_sum(T x) {
#pragma unroll
  for (int offset = GROUP / 2; offset; offset /= 2)
    x = x + exchange(x, offset);
  return x;
}

/* COUNT sums at once (a power of two, at most GROUP), each lane ending with one of them: lane l of the group gets the
 * sum over the group of v[l / (GROUP / COUNT)].  COUNT - 1 + log2(GROUP / COUNT) shuffles, where COUNT sums would take
 * COUNT log2(GROUP).  Destroys v. */
template <int GROUP, int COUNT, class T> __device__ inline T scatter_sums(T (&v)[COUNT]) {
  static_assert(COUNT <= GROUP && (COUNT & (COUNT - 1)) == 0, "COUNT");
  const int lane = lane_in_group<GROUP>();
  int offset = GROUP / 2;
#pragma unroll
  for (int count = COUNT; count > 1; count /= 2, offset /= 2) {
    const bool upper = lane & offset;
#pragma unroll
    for (int i = 0; i < COUNT / 2; i++)
      if (i < count / 2) {
        const T keep = upper ? v[i + count / 2] : v[i], give = upper ? v[i] : v[i + count / 2];
        v[i] = keep + exchange(give, offset);
      }
  }
  T sum = v[0];
#pragma unroll
  for (; offset; offset /= 2)
    sum = sum + exchange(sum, offset);
  return sum;
}

/* The same for values that a function gives, term(0) .. term(COUNT - 1), and for COUNT > GROUP too, when a lane gets
 * COUNT / GROUP sums: its i-th one is scattered_sum<GROUP, COUNT>(i, term).  Depth first, so that only few of the terms
 * need a register at a time; `i` must be known to the compiler where the terms come from registers. */
template <int GROUP, int COUNT, int LEFT, class Term> __device__ __forceinline__ auto halved_sum(int i, Term term) {
  if constexpr (LEFT == COUNT)
    return term(i);
  else {
    constexpr int offset = LEFT * GROUP / COUNT;
    const bool upper = lane_index() & offset;
    const auto x = halved_sum<GROUP, COUNT, 2 * LEFT>(i, term), y = halved_sum<GROUP, COUNT, 2 * LEFT>(i + LEFT, term);
    return (upper ? y : x) + exchange(upper ? x : y, offset);
  }
}
template <int GROUP, int COUNT, class Term> __device__ __forceinline__ auto scattered_sum(int i, Term term) {
  static_assert((COUNT & (COUNT - 1)) == 0, "COUNT");
  if constexpr (COUNT >= GROUP)
    return halved_sum<GROUP, COUNT, COUNT / GROUP>(i, term);
  else
    return group_sum<GROUP / COUNT>(halved_sum<GROUP, COUNT, 1>(i, term));
}
