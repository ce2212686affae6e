/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of square matrices of 2 to 4 columns, which stay in registers from the first sweep to the last
 * (small_jacobi.h), or are solved two groups at a time (small_pairs.h). */
#include "../exported.h"
#include "small_pairs.h"
#include "svd.h"

/* More than one group of n-by-n matrices, n a compile-time constant. */
INLINE void svd_pair(const svd_call_t *call, int64_t first, int n, int count, arena_t scratch) {
  const int counts[] = {LANES, count - LANES};
  lane_group_t g[2];
  small_group_t arrays[2];
  M failed[2];
  for (int i = 0; i < 2; i++) {
    g[i] = take_group(call, first + i * LANES, n, counts[i], &scratch);
    arrays[i] = (small_group_t){g[i].rotated, g[i].J, g[i].S};
  }
  solve_pair(n, arrays, sweeps_of(&call->p), failed);
  for (int i = 0; i < 2; i++)
    store_group(&g[i], call, first + i * LANES, n, failed[i], counts[i]);
}

INLINE void svd_small(const svd_call_t *call, int64_t first, int n, int count, arena_t scratch) {
  if (n <= PAIRS_MOST && count > LANES)
    svd_pair(call, first, n, count, scratch);
  else
    svd_group(call, first, n, count, scratch);
}

NOINLINE void svd_2(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_small(call, first, 2, count, scratch);
}

NOINLINE void svd_3(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_small(call, first, 3, count, scratch);
}

NOINLINE void svd_4(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_small(call, first, 4, count, scratch);
}

const square_svd_t EXPORTED(svdgrad_small_svds)[SMALL_SIZES] = {[2] = svd_2, [3] = svd_3, [4] = svd_4};
