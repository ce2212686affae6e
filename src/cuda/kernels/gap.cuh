/* SPDX-License-Identifier: BSD-3-Clause */
/* The gap policy (src/rules/gap.h) in the precision of the elements, and its tally over the threads of a block. */
#pragma once
#include "team.cuh"

#include <svdgrad/svdgrad.h>

#include <math.h>

/* The rules are C: their include guards are lifted, so that each namespace has them in a type of its own. */
#define RULE static __device__ inline
namespace rules_f32 {
#define REAL float
#include "rules/gap.h"
#undef REAL
#undef SVDGRAD_RULES_GAP_H
} // namespace rules_f32
namespace rules_f64 {
#define REAL double
#include "rules/gap.h"
#undef REAL
} // namespace rules_f64
#undef RULE
using namespace rules_f32; /* functions are chosen by the type of their arguments */
using namespace rules_f64;

template <class R> struct gap;
template <> struct gap<float> {
  typedef rules_f32::gap_policy_t policy;
  typedef rules_f32::gap_factors_t factors;
};
template <> struct gap<double> {
  typedef rules_f64::gap_policy_t policy;
  typedef rules_f64::gap_factors_t factors;
};
template <class R> using gap_policy = typename gap<R>::policy;
template <class R> using gap_factors = typename gap<R>::factors;

static const int ANY_EXPONENT = 1 << 20; /* limit of gap_exponent: none */

/* Combines what the threads of the block have tallied; every thread gets the result. */
template <class R> __device__ inline gap_policy<R> gap_combine(gap_policy<R> policy, R *scratch, block_team = {}) {
  policy.min_gap = block_reduce<min_of<R>>(policy.min_gap, scratch);
  policy.gauge_residual = block_reduce<max_of<R>>(policy.gauge_residual, scratch);
  policy.amplification = block_reduce<max_of<R>>(policy.amplification, scratch);
  int dropped = 0, flags = 0;
  for (int bit = 1; bit <= SVDGRAD_REPORT_CUT; bit *= 2)
    flags |= __syncthreads_or(policy.flags & bit) ? bit : 0;
  __shared__ int total;
  if (threadIdx.x == 0)
    total = 0;
  __syncthreads();
  if (policy.dropped)
    atomicAdd(&total, policy.dropped); /* integers: the order does not matter */
  __syncthreads();
  dropped = total;
  __syncthreads();
  policy.dropped = dropped;
  policy.flags = flags;
  return policy;
}

/* The same for a group of lanes. */
template <class R, int GROUP>
__device__ inline gap_policy<R> gap_combine(gap_policy<R> policy, R *scratch, group_team<GROUP>) {
  policy.min_gap = group_team<GROUP>::template reduce<min_of<R>>(policy.min_gap, scratch);
  policy.gauge_residual = group_team<GROUP>::template reduce<max_of<R>>(policy.gauge_residual, scratch);
  policy.amplification = group_team<GROUP>::template reduce<max_of<R>>(policy.amplification, scratch);
  policy.dropped = group_sum<GROUP>(policy.dropped);
#pragma unroll
  for (int offset = GROUP / 2; offset; offset /= 2)
    policy.flags |= exchange(policy.flags, offset);
  return policy;
}
