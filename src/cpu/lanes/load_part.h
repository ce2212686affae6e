/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads and stores of part of a register, where the instruction set has none with a mask. */
#ifndef SVDGRAD_LOAD_PART_H
#define SVDGRAD_LOAD_PART_H
#include <string.h>

/* The first `count` lanes, zero in the others; and only those. */
static inline v_f32 load_part_f32(const float *x, int count) {
  v_f32 v = {0};
  memcpy(&v, x, (size_t)count * sizeof *x);
  return v;
}
static inline v_f64 load_part_f64(const double *x, int count) {
  v_f64 v = {0};
  memcpy(&v, x, (size_t)count * sizeof *x);
  return v;
}
static inline void store_part_f32(float *x, int count, v_f32 v) { memcpy(x, &v, (size_t)count * sizeof *x); }
static inline void store_part_f64(double *x, int count, v_f64 v) { memcpy(x, &v, (size_t)count * sizeof *x); }

#endif
