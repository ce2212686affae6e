/* SPDX-License-Identifier: BSD-3-Clause */
/* 128-bit registers of AArch64. */
#include <arm_neon.h>

#define LANES_BYTES      16
#define MANY_FIXED_SIZES 0

#define LOAD_ONCE(v) ((void)(v)) /* operands come from registers alone */

typedef float v_f32 __attribute__((vector_size(LANES_BYTES)));
typedef double v_f64 __attribute__((vector_size(LANES_BYTES)));

static inline v_f32 fma_f32(v_f32 x, v_f32 y, v_f32 z) {
  return (v_f32)vfmaq_f32((float32x4_t)z, (float32x4_t)x, (float32x4_t)y);
}
static inline v_f64 fma_f64(v_f64 x, v_f64 y, v_f64 z) {
  return (v_f64)vfmaq_f64((float64x2_t)z, (float64x2_t)x, (float64x2_t)y);
}
static inline v_f32 fnma_f32(v_f32 x, v_f32 y, v_f32 z) {
  return (v_f32)vfmsq_f32((float32x4_t)z, (float32x4_t)x, (float32x4_t)y);
}
static inline v_f64 fnma_f64(v_f64 x, v_f64 y, v_f64 z) {
  return (v_f64)vfmsq_f64((float64x2_t)z, (float64x2_t)x, (float64x2_t)y);
}
static inline v_f32 sqrt_f32(v_f32 x) { return (v_f32)vsqrtq_f32((float32x4_t)x); }
static inline v_f64 sqrt_f64(v_f64 x) { return (v_f64)vsqrtq_f64((float64x2_t)x); }
static inline int any_lane_f32(v_f32 mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }
static inline int any_lane_f64(v_f64 mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }

#include "load_part.h"
#include "no_minimum.h"
#include "no_tables.h"
