/* SPDX-License-Identifier: BSD-3-Clause */
/* 512-bit registers: AVX-512 F and DQ. */
#ifndef SVDGRAD_SIMD_ISA_AVX512_H
#define SVDGRAD_SIMD_ISA_AVX512_H
#define LANES_BYTES      64
#define MANY_FIXED_SIZES 1
#define NARROW_ISA       avx512_narrow
#define VECTOR_REGISTERS 32

#include "base/type.h"

#include <immintrin.h>

#define AVX512(name) _mm512_##name
typedef __m512 floats_t;
typedef __m512d doubles_t;
typedef __m512i integers_t;
#if IS_DOUBLE
typedef __mmask8 mask_t;
#else
typedef __mmask16 mask_t;
#endif

#include "avx512_operations.h"

#endif
