/* SPDX-License-Identifier: BSD-3-Clause */
/* The seed of a rotation for instruction sets without approximate reciprocals that are the same on every processor:
 * exact, by two divisions that do not wait for each other.  The header of the instruction set includes this file after
 * it has defined square_root(). */
#ifndef SVDGRAD_SIMD_WITHOUT_RECIPROCALS_H
#define SVDGRAD_SIMD_WITHOUT_RECIPROCALS_H
#include "rotation_seed.h"

#ifndef LOAD_ONCE /* opened alone */
#include "portable.h"
#endif

static inline rotation_seed_t rotation_seed(V spread, V longer, V d4) {
  (void)d4;
  return (rotation_seed_t){1 / (square_root(spread) + longer), (R)0.5 / square_root(spread)};
}

static inline V inverse_root(V x) { return 1 / square_root(x); }

#endif
