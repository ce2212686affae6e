/* SPDX-License-Identifier: BSD-3-Clause */
/* x < y ? x : y and x > y ? x : y in each lane, for instruction sets whose minimum does not take y where x or y is a
 * NaN. */
#ifndef SVDGRAD_SIMD_WITHOUT_MINIMUM_H
#define SVDGRAD_SIMD_WITHOUT_MINIMUM_H
#include "vector.h"

static inline V x_where(M mask, V x, V y) { return (V)((mask & (M)x) | (~mask & (M)y)); }
static inline V smaller(V x, V y) { return x_where((M)(x < y), x, y); }
static inline V larger(V x, V y) { return x_where((M)(x > y), x, y); }

#endif
