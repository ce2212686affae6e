/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions for which an instruction set has no tables (isa_avx512.h says what they are for). */
#ifndef SVDGRAD_NO_TABLES_H
#define SVDGRAD_NO_TABLES_H

static inline v_f32 near_inverse_sqrt_f32(v_f32 x) { return 1 / sqrt_f32(x); }
static inline v_f64 near_inverse_sqrt_f64(v_f64 x) { return 1 / sqrt_f64(x); }
static inline v_f32 near_sqrt_plus_f32(v_f32 x, v_f32 inverse_sqrt, v_f32 y) {
  (void)inverse_sqrt; /* a division that this need not wait for */
  return sqrt_f32(x) + y;
}
static inline v_f64 near_sqrt_plus_f64(v_f64 x, v_f64 inverse_sqrt, v_f64 y) {
  (void)inverse_sqrt;
  return sqrt_f64(x) + y;
}
static inline v_f32 near_inverse_f32(v_f32 x) { return 1 / x; }
static inline v_f64 near_inverse_f64(v_f64 x) { return 1 / x; }

#endif
