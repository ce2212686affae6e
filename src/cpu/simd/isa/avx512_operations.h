/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of AVX-512 on registers of any width.  The header of the width names it, the intrinsics of it, and their
 * types, before it includes this file. */
#ifndef SVDGRAD_SIMD_ISA_AVX512_OPERATIONS_H
#define SVDGRAD_SIMD_ISA_AVX512_OPERATIONS_H
#ifndef AVX512 /* opened alone */
#include "avx512.h"
#endif

#include "rotation_seed.h"
#include "vector.h"

/* Bits of an immediate operand: the other one of each pair of doubles. */
enum { SWAPPED_PAIRS = LANES_BYTES == 64 ? 0x55 : 0x5 };

/* Loads v once, into a register.  Without this the compiler reads memory again for each operation that takes v, and
 * then the processor waits for loads. */
#define LOAD_ONCE(v) __asm__("" : "+v"(v))

#if IS_DOUBLE

static inline V fmadd(V x, V y, V z) { return (V)AVX512(fmadd_pd)((doubles_t)x, (doubles_t)y, (doubles_t)z); }
/* z - x y; the compiler does not make this of fmadd(-x, y, z). */
static inline V fnmadd(V x, V y, V z) { return (V)AVX512(fnmadd_pd)((doubles_t)x, (doubles_t)y, (doubles_t)z); }
static inline V square_root(V x) { return (V)AVX512(sqrt_pd)((doubles_t)x); }
static inline V smaller(V x, V y) { return (V)AVX512(min_pd)((doubles_t)x, (doubles_t)y); }
static inline V larger(V x, V y) { return (V)AVX512(max_pd)((doubles_t)x, (doubles_t)y); }
/* Every even lane with the odd one behind it. */
static inline V swap_pairs(V x) { return (V)AVX512(permute_pd)((doubles_t)x, SWAPPED_PAIRS); }
static inline int any_lane(M mask) { return AVX512(movepi64_mask)((integers_t)mask) != 0; }

/* The first `count` lanes; the others are zero. */
static inline V load_part(const R *x, int count) { return (V)AVX512(maskz_loadu_pd)((mask_t)((1U << count) - 1), x); }
static inline void store_part(R *x, int count, V v) {
  AVX512(mask_storeu_pd)(x, (mask_t)((1U << count) - 1), (doubles_t)v);
}

/* To half of the precision.  The instructions give 14 bits, from tables that are the same on every processor, and a
 * Newton step doubles them: size is the root of d4 size^2 + 2 longer size = 1, with the derivative 2 sqrt(spread)
 * there. */
static inline rotation_seed_t rotation_seed(V spread, V longer, V d4) {
  const V half = (V){0} + 0.5, r = (V)AVX512(rsqrt14_pd)((doubles_t)spread), h = r * half;
  const V sum = fmadd(spread, r, longer), g = (V)AVX512(rcp14_pd)((doubles_t)sum);
  const V f = fmadd(fmadd(d4, g, longer + longer), g, (V){0} - 1);
  return (rotation_seed_t){fnmadd(f, h, g), fmadd(h, fnmadd(sum - longer, h, half), h)};
}

/* 1 / sqrt(x) of a normal number, to about the last bit: with e = 1 - x r^2 it is r (1 + e/2 + 3/8 e^2 + 5/16 e^3). */
static inline V inverse_root(V x) {
  const V one = (V){0} + 1, r = (V)AVX512(rsqrt14_pd)((doubles_t)x), e = fnmadd(x * r, r, one);
  return fmadd(r * e, fmadd(fmadd(e, (V){0} + 0.3125, (V){0} + 0.375), e, (V){0} + 0.5), r);
}

#else

static inline V fmadd(V x, V y, V z) { return (V)AVX512(fmadd_ps)((floats_t)x, (floats_t)y, (floats_t)z); }
static inline V fnmadd(V x, V y, V z) { return (V)AVX512(fnmadd_ps)((floats_t)x, (floats_t)y, (floats_t)z); }
static inline V square_root(V x) { return (V)AVX512(sqrt_ps)((floats_t)x); }
static inline V smaller(V x, V y) { return (V)AVX512(min_ps)((floats_t)x, (floats_t)y); }
static inline V larger(V x, V y) { return (V)AVX512(max_ps)((floats_t)x, (floats_t)y); }
static inline V swap_pairs(V x) { return (V)AVX512(permute_ps)((floats_t)x, 0xB1); }
static inline int any_lane(M mask) { return AVX512(movepi32_mask)((integers_t)mask) != 0; }

static inline V load_part(const R *x, int count) { return (V)AVX512(maskz_loadu_ps)((mask_t)((1U << count) - 1), x); }
static inline void store_part(R *x, int count, V v) {
  AVX512(mask_storeu_ps)(x, (mask_t)((1U << count) - 1), (floats_t)v);
}

/* The 14 bits of the tables are more than half of the precision. */
static inline rotation_seed_t rotation_seed(V spread, V longer, V d4) {
  const V r = (V)AVX512(rsqrt14_ps)((floats_t)spread);
  (void)d4;
  return (rotation_seed_t){(V)AVX512(rcp14_ps)((floats_t)fmadd(spread, r, longer)), r * 0.5F};
}

/* 1 / sqrt(x) of a normal number, to about the last bit. */
static inline V inverse_root(V x) {
  const V r = (V)AVX512(rsqrt14_ps)((floats_t)x), e = fnmadd(x * r, r, (V){0} + 1);
  return fmadd(r * e, (V){0} + 0.5F, r);
}

#endif
#endif
