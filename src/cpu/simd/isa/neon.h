/* SPDX-License-Identifier: BSD-3-Clause */
/* 128-bit registers of AArch64. */
#ifndef SVDGRAD_SIMD_ISA_NEON_H
#define SVDGRAD_SIMD_ISA_NEON_H
#define LANES_BYTES      16
#define MANY_FIXED_SIZES 0
#define VECTOR_REGISTERS 32

#include "vector.h"

#include <arm_neon.h>

#define LOAD_ONCE(v) ((void)(v)) /* operands come from registers alone */

#if IS_DOUBLE
static inline V fmadd(V x, V y, V z) { return (V)vfmaq_f64((float64x2_t)z, (float64x2_t)x, (float64x2_t)y); }
static inline V fnmadd(V x, V y, V z) { return (V)vfmsq_f64((float64x2_t)z, (float64x2_t)x, (float64x2_t)y); }
static inline V square_root(V x) { return (V)vsqrtq_f64((float64x2_t)x); }
/* Every even lane with the odd one behind it. */
static inline V swap_pairs(V x) { return (V)vextq_f64((float64x2_t)x, (float64x2_t)x, 1); }
#else
static inline V fmadd(V x, V y, V z) { return (V)vfmaq_f32((float32x4_t)z, (float32x4_t)x, (float32x4_t)y); }
static inline V fnmadd(V x, V y, V z) { return (V)vfmsq_f32((float32x4_t)z, (float32x4_t)x, (float32x4_t)y); }
static inline V square_root(V x) { return (V)vsqrtq_f32((float32x4_t)x); }
static inline V swap_pairs(V x) { return (V)vrev64q_f32((float32x4_t)x); }
#endif
static inline int any_lane(M mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }

#include "without_masks.h"
#include "without_minimum.h"
#include "without_reciprocals.h"

#endif
