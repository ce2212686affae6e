/* SPDX-License-Identifier: BSD-3-Clause */
/* The start of a rotation where an instruction set has no tables: exact, by two divisions that do not wait for each other. */
#ifndef SVDGRAD_NO_TABLES_H
#define SVDGRAD_NO_TABLES_H

#include "nearly.h"

static inline nearly_f32 nearly_of_f32(v_f32 spread, v_f32 longer, v_f32 d4) {
  (void)d4;
  return (nearly_f32){1 / (sqrt_f32(spread) + longer), 0.5F / sqrt_f32(spread)};
}
static inline nearly_f64 nearly_of_f64(v_f64 spread, v_f64 longer, v_f64 d4) {
  (void)d4;
  return (nearly_f64){1 / (sqrt_f64(spread) + longer), 0.5 / sqrt_f64(spread)};
}

#endif
