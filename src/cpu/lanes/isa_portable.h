/* SPDX-License-Identifier: BSD-3-Clause */
/* 128-bit registers of whatever the compiler makes of vectors. */
#include <math.h>

#define LANES_BYTES      16
#define MANY_FIXED_SIZES 0

#define LOAD_ONCE(v) ((void)(v))

typedef float v_f32 __attribute__((vector_size(LANES_BYTES)));
typedef double v_f64 __attribute__((vector_size(LANES_BYTES)));

static inline v_f32 fma_f32(v_f32 x, v_f32 y, v_f32 z) { return x * y + z; }
static inline v_f64 fma_f64(v_f64 x, v_f64 y, v_f64 z) { return x * y + z; }
static inline v_f32 fnma_f32(v_f32 x, v_f32 y, v_f32 z) { return z - x * y; }
static inline v_f64 fnma_f64(v_f64 x, v_f64 y, v_f64 z) { return z - x * y; }
static inline v_f32 sqrt_f32(v_f32 x) {
  for (int l = 0; l < 4; l++)
    x[l] = sqrtf(x[l]);
  return x;
}
static inline v_f64 sqrt_f64(v_f64 x) {
  for (int l = 0; l < 2; l++)
    x[l] = sqrt(x[l]);
  return x;
}
static inline int any_lane_f32(v_f32 mask) {
  int any = 0;
  for (int l = 0; l < 4; l++)
    any |= mask[l] != 0 || mask[l] != mask[l];
  return any;
}
static inline int any_lane_f64(v_f64 mask) {
  int any = 0;
  for (int l = 0; l < 2; l++)
    any |= mask[l] != 0 || mask[l] != mask[l];
  return any;
}

#include "load_part.h"
#include "no_minimum.h"
#include "no_tables.h"
