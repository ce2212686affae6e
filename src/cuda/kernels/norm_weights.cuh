/* SPDX-License-Identifier: BSD-3-Clause */
/* Last step of the kernels that make a norm and its gradient X diag(weight) Y^H from the SVD of a small matrix without
 * storing it (norm_thread.cuh, norm_warp.cuh): the rules of src/rules/norm.h on values that a group of lanes has in
 * shared memory, and what goes to the caller. */
#pragma once
#include "direct.cuh"
#include "function.cuh"
#include "lanes.cuh"
#include "strided.cuh"

/* Up to this value beside the first one, s1, logarithms are in doubt (full_rank.cuh); those alone. */
template <class R> __device__ __forceinline__ R doubtful(const norm_args_t &args, R s1) {
  return args.kind == SVDGRAD_NORM_LOG_DETERMINANT ? 4 * (R)args.svd.rows * limits<R>::epsilon() * s1 : (R)-1;
}

/* The norm of matrix b from its singular values 2^exponent values[j], in any order, of which 2^exponent s1 is the largest;
 * the weights take their place; whether one of all these overflows.  Lane l of the group looks only at values l, l + GROUP .. below `count`. */
template <int GROUP, class R>
__device__ __forceinline__ R weigh_values(const norm_args_t &args, int64_t b, int exponent, R s1, int count, R *values,
                                          bool *overflow) {
  const int normal = gap_exponent(s1, ANY_EXPONENT);
  /* Of the policy only EXACT would matter, which does not come here: its weights need vectors of zero values, too. */
  const gap_policy<R> policy =
      gap_policy_make(SVDGRAD_GAP_DEFAULT, (R)0, limits<R>::epsilon(), times_power(s1, -normal), (R)INFINITY, (R)0);
  norm_sum<R> sum = norm_begin(args.kind, (R)args.p, &policy, limits<R>::epsilon(), args.svd.rows);
#pragma unroll 1
  for (int j = lane_in_group<GROUP>(); j < count; j += GROUP) {
    const R s = times_power(values[j], -normal);
    norm_add(&sum, s);
    if (s <= doubtful(args, sum.s1))
      sum.sum = -(R)INFINITY;
  }
  sum.sum = group_sum<GROUP>(sum.sum);
  sum.members = (int64_t)group_sum<GROUP>((R)sum.members);
  sum.count = count;
  const R g = args.g.data && b < args.svd.batch_count ? *entry<R>(args.g, b, 0) : 1;
  int large = 0;
#pragma unroll 1
  for (int j = lane_in_group<GROUP>(); j < count; j += GROUP) {
    values[j] = norm_weight(&sum, g, times_power(values[j], -normal), exponent + normal);
    large |= isinf(values[j]);
  }
  const R value = norm_value(&sum, exponent + normal);
  const R any = group_sum<GROUP>((R)large); /* by all lanes */
  *overflow = value == (R)INFINITY || (g - g == 0 && any != 0);
  return value;
}

template <class R>
__device__ __forceinline__ void store_norm(const norm_args_t &args, int64_t b, R value, bool finite, bool failed,
                                           bool overflow) {
  *entry<R>(args.value, b, 0) = finite ? value : (R)NAN;
  args.svd.info[b] = direct_info(finite, failed, overflow);
}

/* What becomes of an entry of gA that is `before`, which is not looked at if beta is 0. */
template <class T> __device__ __forceinline__ T updated(const norm_args_t &args, T gradient, const T &before) {
  typedef real_t<T> R;
  const T scaled = (R)args.alpha * gradient;
  return args.beta == 0 ? scaled : scaled + (R)args.beta * before;
}
