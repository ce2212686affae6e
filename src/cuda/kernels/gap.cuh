/* SPDX-License-Identifier: BSD-3-Clause */
/* The gap policy (src/rules/gap.inc) in the precision of the elements, and its tally over the threads of a block. */
#pragma once
#include "team.cuh"

#include <svdgrad/svdgrad.h>

#define GAP_FUNCTION static __device__ inline
#define REAL         float
#define GAP_POLICY   gap_policy_f32
#define GAP_FACTORS  gap_factors_f32
#include "rules/gap.inc"
#undef REAL
#undef GAP_POLICY
#undef GAP_FACTORS
#define REAL        double
#define GAP_POLICY  gap_policy_f64
#define GAP_FACTORS gap_factors_f64
#include "rules/gap.inc"
#undef REAL
#undef GAP_POLICY
#undef GAP_FACTORS
#undef GAP_FUNCTION

template <class R> struct gap;
template <> struct gap<float> {
  typedef gap_policy_f32 policy;
  typedef gap_factors_f32 factors;
};
template <> struct gap<double> {
  typedef gap_policy_f64 policy;
  typedef gap_factors_f64 factors;
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
