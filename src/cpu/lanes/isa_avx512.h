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

/* 1/sqrt(x), sqrt(x) + y, neither of zero, and 1/x, to half of the precision, for what need not be exact.  14 bits come from
 * tables that are the same on every processor, and a Newton step doubles them. */
static inline v_f32 near_inverse_sqrt_f32(v_f32 x) { return (v_f32)_mm512_rsqrt14_ps((__m512)x); }
static inline v_f64 near_inverse_sqrt_f64(v_f64 x) {
  const v_f64 y = (v_f64)_mm512_rsqrt14_pd((__m512d)x);
  return fma_f64(y * 0.5, fnma_f64(x * y, y, (v_f64){0} + 1), y);
}
static inline v_f32 near_sqrt_plus_f32(v_f32 x, v_f32 inverse_sqrt, v_f32 y) { return fma_f32(x, inverse_sqrt, y); }
static inline v_f64 near_sqrt_plus_f64(v_f64 x, v_f64 inverse_sqrt, v_f64 y) { return fma_f64(x, inverse_sqrt, y); }
static inline v_f32 near_inverse_f32(v_f32 x) { return (v_f32)_mm512_rcp14_ps((__m512)x); }
static inline v_f64 near_inverse_f64(v_f64 x) {
  const v_f64 y = (v_f64)_mm512_rcp14_pd((__m512d)x);
  return fma_f64(y, fnma_f64(x, y, (v_f64){0} + 1), y);
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
