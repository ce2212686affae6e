/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions for which an instruction set has no tables (isa_avx512.h says what they are for). */
#ifndef SVDGRAD_NO_TABLES_H
#define SVDGRAD_NO_TABLES_H

static inline v_f32 near_inverse_sqrt_f32(v_f32 x) { return 1 / sqrt_f32(x); }
static inline v_f64 near_inverse_sqrt_f64(v_f64 x) { return 1 / sqrt_f64(x); }
static inline v_f32 near_inverse_f32(v_f32 x) { return 1 / x; }
static inline v_f64 near_inverse_f64(v_f64 x) { return 1 / x; }
static inline v_f32 inverse_f32(v_f32 x) { return 1 / x; }
static inline v_f64 inverse_f64(v_f64 x) { return 1 / x; }

#endif
