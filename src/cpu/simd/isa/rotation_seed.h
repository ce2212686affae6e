/* SPDX-License-Identifier: BSD-3-Clause */
/* The two numbers from which a Jacobi rotation is computed (many/block_rotation.h), of spread = delta^2 + 4 |d|^2 and
 * longer = |delta|.  Neither needs to be exact. */
#ifndef SVDGRAD_SIMD_ROTATION_SEED_H
#define SVDGRAD_SIMD_ROTATION_SEED_H
#include "vector.h"

typedef struct rotation_seed {
  V size;              /* 1 / (longer + sqrt(spread)) */
  V half_inverse_root; /* 1 / (2 sqrt(spread)) */
} rotation_seed_t;

#endif
