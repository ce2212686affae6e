/* SPDX-License-Identifier: BSD-3-Clause */
/* 256-bit registers: AVX-512 F, DQ and VL.  A lane gets the bits that it gets with 512 bits (avx512.h), since both have the
 * same operations.  With half of the lanes filled a group takes 0.45 to 1 of the time of a full one (cpu_few.c). */
#ifndef SVDGRAD_SIMD_ISA_AVX512_NARROW_H
#define SVDGRAD_SIMD_ISA_AVX512_NARROW_H
#define LANES_BYTES      32
#define MANY_FIXED_SIZES 0
#define VECTOR_REGISTERS 32

#include "base/type.h"

#include <immintrin.h>

#define AVX512(name) _mm256_##name
typedef __m256 floats_t;
typedef __m256d doubles_t;
typedef __m256i integers_t;
typedef __mmask8 mask_t;

#include "avx512_operations.h"

#endif
