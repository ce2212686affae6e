/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of square matrices of 2 to 4 columns, which stay in registers from the first sweep to the last
 * (small_jacobi.h). */
#include "../exported.h"
#include "svd.h"

NOINLINE void svd_2(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_group(call, first, 2, count, scratch);
}

NOINLINE void svd_3(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_group(call, first, 3, count, scratch);
}

NOINLINE void svd_4(const svd_call_t *call, int64_t first, int count, arena_t scratch) {
  svd_group(call, first, 4, count, scratch);
}

const square_svd_t EXPORTED(svdgrad_small_svds)[SMALL_SIZES] = {[2] = svd_2, [3] = svd_3, [4] = svd_4};
