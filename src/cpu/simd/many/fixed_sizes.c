/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of square matrices of 5 to 9 columns (complex types: 5 and 6), with the size known at compile time: 5 to 19 percent
 * less time.  Complex types of 7 to 9 columns gain 1 to 5 percent, as real ones do at 16: that is not worth the time of its
 * build.  From 24 columns on it is next to nothing.
 * Each size has a function of its own: one function for all of them gains half as much.  The option SVDGRAD_FIXED_SIZES
 * leaves these kernels out. */
#include "../exported.h"

#ifndef SVDGRAD_FIXED_SIZES
#define SVDGRAD_FIXED_SIZES 1
#endif

#if MANY_FIXED_SIZES && SVDGRAD_FIXED_SIZES
#include "svd.h"

NOINLINE void svd_5(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_group(call, first, 5, count, scratch);
}

NOINLINE void svd_6(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_group(call, first, 6, count, scratch);
}

#if !IS_COMPLEX
NOINLINE void svd_7(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_group(call, first, 7, count, scratch);
}

NOINLINE void svd_8(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_group(call, first, 8, count, scratch);
}

NOINLINE void svd_9(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_group(call, first, 9, count, scratch);
}
#endif

const square_svd_t EXPORTED(svdgrad_fixed_svds)[FIXED_SIZES] = {
    [5] = svd_5, [6] = svd_6,
#if !IS_COMPLEX
    [7] = svd_7, [8] = svd_8, [9] = svd_9,
#endif
};
#else
const square_svd_t EXPORTED(svdgrad_fixed_svds)[FIXED_SIZES] = {NULL};
#endif
