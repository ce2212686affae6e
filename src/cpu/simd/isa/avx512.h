/* SPDX-License-Identifier: BSD-3-Clause */
/* 512-bit registers: AVX-512 F and DQ. */
#ifndef SVDGRAD_SIMD_ISA_AVX512_H
#define SVDGRAD_SIMD_ISA_AVX512_H
#define LANES_BYTES      64
#define MANY_FIXED_SIZES 1
#define VECTOR_REGISTERS 32

#include "rotation_seed.h"
#include "vector.h"

#include <immintrin.h>

/* Loads v once, into a register.  Without this the compiler reads memory again for each operation that takes v, and
 * then the processor waits for loads. */
#define LOAD_ONCE(v) __asm__("" : "+v"(v))

#if IS_DOUBLE

static inline V fmadd(V x, V y, V z) { return (V)_mm512_fmadd_pd((__m512d)x, (__m512d)y, (__m512d)z); }
/* z - x y; the compiler does not make this of fmadd(-x, y, z). */
static inline V fnmadd(V x, V y, V z) { return (V)_mm512_fnmadd_pd((__m512d)x, (__m512d)y, (__m512d)z); }
static inline V square_root(V x) { return (V)_mm512_sqrt_pd((__m512d)x); }
static inline V smaller(V x, V y) { return (V)_mm512_min_pd((__m512d)x, (__m512d)y); }
static inline V larger(V x, V y) { return (V)_mm512_max_pd((__m512d)x, (__m512d)y); }
/* Every even lane with the odd one behind it. */
static inline V swap_pairs(V x) { return (V)_mm512_permute_pd((__m512d)x, 0x55); }
static inline int any_lane(M mask) { return _mm512_movepi64_mask((__m512i)mask) != 0; }

/* The first `count` lanes; the others are zero. */
static inline V load_part(const R *x, int count) { return (V)_mm512_maskz_loadu_pd((__mmask8)((1U << count) - 1), x); }
static inline void store_part(R *x, int count, V v) {
  _mm512_mask_storeu_pd(x, (__mmask8)((1U << count) - 1), (__m512d)v);
}

/* To half of the precision.  The instructions give 14 bits, from tables that are the same on every processor, and a
 * Newton step doubles them: size is the root of d4 size^2 + 2 longer size = 1, with the derivative 2 sqrt(spread)
 * there. */
static inline rotation_seed_t rotation_seed(V spread, V longer, V d4) {
  const V half = (V){0} + 0.5, r = (V)_mm512_rsqrt14_pd((__m512d)spread), h = r * half;
  const V sum = fmadd(spread, r, longer), g = (V)_mm512_rcp14_pd((__m512d)sum);
  const V f = fmadd(fmadd(d4, g, longer + longer), g, (V){0} - 1);
  return (rotation_seed_t){fnmadd(f, h, g), fmadd(h, fnmadd(sum - longer, h, half), h)};
}

/* 1 / sqrt(x) of a normal number, to about the last bit: with e = 1 - x r^2 it is r (1 + e/2 + 3/8 e^2 + 5/16 e^3). */
static inline V inverse_root(V x) {
  const V one = (V){0} + 1, r = (V)_mm512_rsqrt14_pd((__m512d)x), e = fnmadd(x * r, r, one);
  return fmadd(r * e, fmadd(fmadd(e, (V){0} + 0.3125, (V){0} + 0.375), e, (V){0} + 0.5), r);
}

#else

static inline V fmadd(V x, V y, V z) { return (V)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)z); }
static inline V fnmadd(V x, V y, V z) { return (V)_mm512_fnmadd_ps((__m512)x, (__m512)y, (__m512)z); }
static inline V square_root(V x) { return (V)_mm512_sqrt_ps((__m512)x); }
static inline V smaller(V x, V y) { return (V)_mm512_min_ps((__m512)x, (__m512)y); }
static inline V larger(V x, V y) { return (V)_mm512_max_ps((__m512)x, (__m512)y); }
static inline V swap_pairs(V x) { return (V)_mm512_permute_ps((__m512)x, 0xB1); }
static inline int any_lane(M mask) { return _mm512_movepi32_mask((__m512i)mask) != 0; }

static inline V load_part(const R *x, int count) { return (V)_mm512_maskz_loadu_ps((__mmask16)((1U << count) - 1), x); }
static inline void store_part(R *x, int count, V v) {
  _mm512_mask_storeu_ps(x, (__mmask16)((1U << count) - 1), (__m512)v);
}

/* The 14 bits of the tables are more than half of the precision. */
static inline rotation_seed_t rotation_seed(V spread, V longer, V d4) {
  const V r = (V)_mm512_rsqrt14_ps((__m512)spread);
  (void)d4;
  return (rotation_seed_t){(V)_mm512_rcp14_ps((__m512)fmadd(spread, r, longer)), r * 0.5F};
}

/* 1 / sqrt(x) of a normal number, to about the last bit. */
static inline V inverse_root(V x) {
  const V r = (V)_mm512_rsqrt14_ps((__m512)x), e = fnmadd(x * r, r, (V){0} + 1);
  return fmadd(r * e, (V){0} + 0.5F, r);
}

#endif
#endif
