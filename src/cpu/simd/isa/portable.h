/* SPDX-License-Identifier: BSD-3-Clause */
/* 128-bit registers of the compiler's vector types, on any processor. */
#ifndef SVDGRAD_SIMD_ISA_PORTABLE_H
#define SVDGRAD_SIMD_ISA_PORTABLE_H
#define LANES_BYTES      16
#define MANY_FIXED_SIZES 0
#define VECTOR_REGISTERS 16

#include "vector.h"

#define LOAD_ONCE(v) ((void)(v))

static inline V fmadd(V x, V y, V z) { return x * y + z; }
static inline V fnmadd(V x, V y, V z) { return z - x * y; }

static inline V square_root(V x) {
  for (int l = 0; l < LANES_BYTES / (int)sizeof(R); l++)
    x[l] = sqrt(x[l]);
  return x;
}

/* Every even lane with the odd one behind it. */
static inline V swap_pairs(V x) {
#if IS_DOUBLE
  return (V){x[1], x[0]};
#else
  return (V){x[1], x[0], x[3], x[2]};
#endif
}

static inline int any_lane(M mask) {
  int any = 0;
  for (int l = 0; l < LANES_BYTES / (int)sizeof(R); l++)
    any |= mask[l] != 0;
  return any;
}

#include "without_masks.h"
#include "without_minimum.h"
#include "without_reciprocals.h"

#endif
