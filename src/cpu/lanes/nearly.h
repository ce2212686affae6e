/* SPDX-License-Identifier: BSD-3-Clause */
/* What a rotation (turns.inc) starts from, of spread = delta^2 + 4 |d|^2 and longer = |delta|, none of it exact. */
#ifndef SVDGRAD_NEARLY_H
#define SVDGRAD_NEARLY_H

typedef struct nearly_f32 {
  v_f32 size;              /* 1 / (longer + sqrt(spread)) */
  v_f32 half_inverse_root; /* 1 / (2 sqrt(spread)) */
} nearly_f32;

typedef struct nearly_f64 {
  v_f64 size, half_inverse_root;
} nearly_f64;

#endif
