/* SPDX-License-Identifier: BSD-3-Clause */
/* 256-bit registers: AVX2 and FMA. */
#ifndef SVDGRAD_SIMD_ISA_AVX2_H
#define SVDGRAD_SIMD_ISA_AVX2_H
#define LANES_BYTES      32
#define MANY_FIXED_SIZES 1
#define VECTOR_REGISTERS 16

#include "vector.h"

#include <immintrin.h>

#define LOAD_ONCE(v) __asm__("" : "+x"(v)) /* avx512_operations.h says why */

#if IS_DOUBLE

static inline V fmadd(V x, V y, V z) { return (V)_mm256_fmadd_pd((__m256d)x, (__m256d)y, (__m256d)z); }
static inline V fnmadd(V x, V y, V z) { return (V)_mm256_fnmadd_pd((__m256d)x, (__m256d)y, (__m256d)z); } /* z - x y */
static inline V square_root(V x) { return (V)_mm256_sqrt_pd((__m256d)x); }
static inline V smaller(V x, V y) { return (V)_mm256_min_pd((__m256d)x, (__m256d)y); }
static inline V larger(V x, V y) { return (V)_mm256_max_pd((__m256d)x, (__m256d)y); }
/* Every even lane with the odd one behind it. */
static inline V swap_pairs(V x) { return (V)_mm256_permute_pd((__m256d)x, 0x5); }
static inline int any_lane(M mask) { return _mm256_movemask_pd((__m256d)mask) != 0; }

/* The first `count` lanes; the others are zero. */
static inline __m256i first_lanes(int count) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}
static inline V load_part(const R *x, int count) { return (V)_mm256_maskload_pd(x, first_lanes(count)); }
static inline void store_part(R *x, int count, V v) { _mm256_maskstore_pd(x, first_lanes(count), (__m256d)v); }

#else

static inline V fmadd(V x, V y, V z) { return (V)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)z); }
static inline V fnmadd(V x, V y, V z) { return (V)_mm256_fnmadd_ps((__m256)x, (__m256)y, (__m256)z); }
static inline V square_root(V x) { return (V)_mm256_sqrt_ps((__m256)x); }
static inline V smaller(V x, V y) { return (V)_mm256_min_ps((__m256)x, (__m256)y); }
static inline V larger(V x, V y) { return (V)_mm256_max_ps((__m256)x, (__m256)y); }
static inline V swap_pairs(V x) { return (V)_mm256_permute_ps((__m256)x, 0xB1); }
static inline int any_lane(M mask) { return _mm256_movemask_ps((__m256)mask) != 0; }

static inline __m256i first_lanes(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline V load_part(const R *x, int count) { return (V)_mm256_maskload_ps(x, first_lanes(count)); }
static inline void store_part(R *x, int count, V v) { _mm256_maskstore_ps(x, first_lanes(count), (__m256)v); }

#endif

/* The tables of this instruction set are not the same on every processor. */
#include "without_reciprocals.h"

#endif
