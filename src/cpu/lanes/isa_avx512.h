/* SPDX-License-Identifier: BSD-3-Clause */
/* 512-bit registers: AVX-512 F and DQ. */
#include <immintrin.h>

#define LANES_BYTES      64
#define MANY_FIXED_SIZES 1

/* Has v loaded once, to a register: the compiler would read memory anew for each operation that takes it, and then loads
 * are what the processor waits for. */
#define LOAD_ONCE(v) __asm__("" : "+v"(v))

typedef float v_f32 __attribute__((vector_size(LANES_BYTES)));
typedef double v_f64 __attribute__((vector_size(LANES_BYTES)));

static inline v_f32 fma_f32(v_f32 x, v_f32 y, v_f32 z) {
  return (v_f32)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)z);
}
static inline v_f64 fma_f64(v_f64 x, v_f64 y, v_f64 z) {
  return (v_f64)_mm512_fmadd_pd((__m512d)x, (__m512d)y, (__m512d)z);
}

/* z - x y; the compiler does not make it of fma(-x, y, z). */
static inline v_f32 fnma_f32(v_f32 x, v_f32 y, v_f32 z) {
  return (v_f32)_mm512_fnmadd_ps((__m512)x, (__m512)y, (__m512)z);
}
static inline v_f64 fnma_f64(v_f64 x, v_f64 y, v_f64 z) {
  return (v_f64)_mm512_fnmadd_pd((__m512d)x, (__m512d)y, (__m512d)z);
}

#include "nearly.h"

/* To half of the precision: 14 bits come from tables that are the same on every processor.  A Newton step doubles them;
 * size is the root of d4 size^2 + 2 longer size = 1, whose derivative there is 2 sqrt(spread). */
static inline nearly_f32 nearly_of_f32(v_f32 spread, v_f32 longer, v_f32 d4) {
  const v_f32 r = (v_f32)_mm512_rsqrt14_ps((__m512)spread);
  (void)d4;
  return (nearly_f32){(v_f32)_mm512_rcp14_ps((__m512)fma_f32(spread, r, longer)), r * 0.5F};
}
static inline nearly_f64 nearly_of_f64(v_f64 spread, v_f64 longer, v_f64 d4) {
  const v_f64 half = (v_f64){0} + 0.5, r = (v_f64)_mm512_rsqrt14_pd((__m512d)spread), h = r * half;
  const v_f64 sum = fma_f64(spread, r, longer), g = (v_f64)_mm512_rcp14_pd((__m512d)sum);
  const v_f64 f = fma_f64(fma_f64(d4, g, longer + longer), g, (v_f64){0} - 1);
  return (nearly_f64){fnma_f64(f, h, g), fma_f64(h, fnma_f64(sum - longer, h, half), h)};
}
static inline v_f32 sqrt_f32(v_f32 x) { return (v_f32)_mm512_sqrt_ps((__m512)x); }
static inline v_f64 sqrt_f64(v_f64 x) { return (v_f64)_mm512_sqrt_pd((__m512d)x); }
static inline v_f32 smaller_lane_f32(v_f32 x, v_f32 y) { return (v_f32)_mm512_min_ps((__m512)x, (__m512)y); }
static inline v_f64 smaller_lane_f64(v_f64 x, v_f64 y) { return (v_f64)_mm512_min_pd((__m512d)x, (__m512d)y); }
static inline v_f32 larger_lane_f32(v_f32 x, v_f32 y) { return (v_f32)_mm512_max_ps((__m512)x, (__m512)y); }
static inline v_f64 larger_lane_f64(v_f64 x, v_f64 y) { return (v_f64)_mm512_max_pd((__m512d)x, (__m512d)y); }
static inline int any_lane_f32(v_f32 mask) { return _mm512_movepi32_mask((__m512i)mask) != 0; }
static inline int any_lane_f64(v_f64 mask) { return _mm512_movepi64_mask((__m512i)mask) != 0; }

/* The first `count` lanes, zero in the others; and only those. */
static inline v_f32 load_part_f32(const float *x, int count) {
  return (v_f32)_mm512_maskz_loadu_ps((__mmask16)((1U << count) - 1), x);
}
static inline v_f64 load_part_f64(const double *x, int count) {
  return (v_f64)_mm512_maskz_loadu_pd((__mmask8)((1U << count) - 1), x);
}
static inline void store_part_f32(float *x, int count, v_f32 v) {
  _mm512_mask_storeu_ps(x, (__mmask16)((1U << count) - 1), (__m512)v);
}
static inline void store_part_f64(double *x, int count, v_f64 v) {
  _mm512_mask_storeu_pd(x, (__mmask8)((1U << count) - 1), (__m512d)v);
}
