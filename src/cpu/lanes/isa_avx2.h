/* SPDX-License-Identifier: BSD-3-Clause */
/* 256-bit registers: AVX2 and FMA. */
#include <immintrin.h>

#define LANES_BYTES      32
#define MANY_FIXED_SIZES 1

#define LOAD_ONCE(v) __asm__("" : "+x"(v)) /* isa_avx512.h says why */

typedef float v_f32 __attribute__((vector_size(LANES_BYTES)));
typedef double v_f64 __attribute__((vector_size(LANES_BYTES)));

static inline v_f32 fma_f32(v_f32 x, v_f32 y, v_f32 z) {
  return (v_f32)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)z);
}
static inline v_f64 fma_f64(v_f64 x, v_f64 y, v_f64 z) {
  return (v_f64)_mm256_fmadd_pd((__m256d)x, (__m256d)y, (__m256d)z);
}
static inline v_f32 fnma_f32(v_f32 x, v_f32 y, v_f32 z) {
  return (v_f32)_mm256_fnmadd_ps((__m256)x, (__m256)y, (__m256)z);
}
static inline v_f64 fnma_f64(v_f64 x, v_f64 y, v_f64 z) {
  return (v_f64)_mm256_fnmadd_pd((__m256d)x, (__m256d)y, (__m256d)z);
}
static inline v_f32 sqrt_f32(v_f32 x) { return (v_f32)_mm256_sqrt_ps((__m256)x); }
static inline v_f64 sqrt_f64(v_f64 x) { return (v_f64)_mm256_sqrt_pd((__m256d)x); }

/* The tables of this instruction set are not the same on every processor. */
#include "no_tables.h"

static inline v_f32 smaller_lane_f32(v_f32 x, v_f32 y) { return (v_f32)_mm256_min_ps((__m256)x, (__m256)y); }
static inline v_f64 smaller_lane_f64(v_f64 x, v_f64 y) { return (v_f64)_mm256_min_pd((__m256d)x, (__m256d)y); }
static inline v_f32 larger_lane_f32(v_f32 x, v_f32 y) { return (v_f32)_mm256_max_ps((__m256)x, (__m256)y); }
static inline v_f64 larger_lane_f64(v_f64 x, v_f64 y) { return (v_f64)_mm256_max_pd((__m256d)x, (__m256d)y); }
static inline int any_lane_f32(v_f32 mask) { return _mm256_movemask_ps((__m256)mask) != 0; }
static inline int any_lane_f64(v_f64 mask) { return _mm256_movemask_pd((__m256d)mask) != 0; }

/* The first `count` lanes, zero in the others; and only those. */
static inline __m256i first_f32(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline __m256i first_f64(int count) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}
static inline v_f32 load_part_f32(const float *x, int count) { return (v_f32)_mm256_maskload_ps(x, first_f32(count)); }
static inline v_f64 load_part_f64(const double *x, int count) { return (v_f64)_mm256_maskload_pd(x, first_f64(count)); }
static inline void store_part_f32(float *x, int count, v_f32 v) { _mm256_maskstore_ps(x, first_f32(count), (__m256)v); }
static inline void store_part_f64(double *x, int count, v_f64 v) {
  _mm256_maskstore_pd(x, first_f64(count), (__m256d)v);
}
