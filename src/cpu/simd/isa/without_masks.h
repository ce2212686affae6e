/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads and stores of a part of a register, for instruction sets that have none with a mask. */
#ifndef SVDGRAD_SIMD_WITHOUT_MASKS_H
#define SVDGRAD_SIMD_WITHOUT_MASKS_H
#include "vector.h"

#include <string.h>

/* The first `count` lanes; the others are zero. */
static inline V load_part(const R *x, int count) {
  V v = {0};
  memcpy(&v, x, (size_t)count * sizeof *x);
  return v;
}

static inline void store_part(R *x, int count, V v) { memcpy(x, &v, (size_t)count * sizeof *x); }

#endif
