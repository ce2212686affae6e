/* SPDX-License-Identifier: BSD-3-Clause */
/* The types of a SIMD register, of the LANES_BYTES bytes that the header of the instruction set names before it
 * includes this file. */
#ifndef SVDGRAD_SIMD_VECTOR_H
#define SVDGRAD_SIMD_VECTOR_H
#include "base/type.h"

#include <stdint.h>

#ifndef LANES_BYTES
#define LANES_BYTES 16
#endif

#define INLINE   static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline, unused))

/* An integer of the size of R. */
#if IS_DOUBLE
typedef int64_t integer_t;
#else
typedef int32_t integer_t;
#endif

typedef R V __attribute__((vector_size(LANES_BYTES)));         /* reals */
typedef integer_t M __attribute__((vector_size(LANES_BYTES))); /* a mask: all bits of a lane are set, or none */

#endif
