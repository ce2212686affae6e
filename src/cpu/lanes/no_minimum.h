/* SPDX-License-Identifier: BSD-3-Clause */
/* x < y ? x : y and x > y ? x : y in each lane, where the instruction set has none that takes y if one is a NaN. */
#ifndef SVDGRAD_NO_MINIMUM_H
#define SVDGRAD_NO_MINIMUM_H

typedef int32_t lanes_i32 __attribute__((vector_size(LANES_BYTES)));
typedef int64_t lanes_i64 __attribute__((vector_size(LANES_BYTES)));

static inline v_f32 lanes_of_f32(lanes_i32 mask, v_f32 x, v_f32 y) {
  return (v_f32)((mask & (lanes_i32)x) | (~mask & (lanes_i32)y));
}
static inline v_f64 lanes_of_f64(lanes_i64 mask, v_f64 x, v_f64 y) {
  return (v_f64)((mask & (lanes_i64)x) | (~mask & (lanes_i64)y));
}
static inline v_f32 smaller_lane_f32(v_f32 x, v_f32 y) { return lanes_of_f32((lanes_i32)(x < y), x, y); }
static inline v_f64 smaller_lane_f64(v_f64 x, v_f64 y) { return lanes_of_f64((lanes_i64)(x < y), x, y); }
static inline v_f32 larger_lane_f32(v_f32 x, v_f32 y) { return lanes_of_f32((lanes_i32)(x > y), x, y); }
static inline v_f64 larger_lane_f64(v_f64 x, v_f64 y) { return lanes_of_f64((lanes_i64)(x > y), x, y); }

#endif
