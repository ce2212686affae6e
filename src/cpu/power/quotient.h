/* SPDX-License-Identifier: BSD-3-Clause */
/* A / sigma. */
#ifndef SVDGRAD_POWER_QUOTIENT_H
#define SVDGRAD_POWER_QUOTIENT_H
#include "base/strided.h"
#include "power_kernels.h"

/* x / sigma is (scale x) / number: where sigma is subnormal or too large for R, scale is a power of two that makes a
 * normal number of it, and 1 elsewhere. */
typedef struct divisor {
  R number, scale;
} divisor_t;

static divisor_t divisor_of(WR sigma) {
  const int kind = fpclassify((R)sigma), shift = kind == FP_SUBNORMAL ? 64 : kind == FP_INFINITE ? -64 : 0;
  return (divisor_t){(R)ldexp(sigma, shift), (R)ldexp(1.0, shift)};
}

typedef struct quotient {
  const power_plan_t *plan;
  int64_t b;
  divisor_t sigma;
} quotient_t;

static inline void divide_row(int64_t count, const T *restrict a, int64_t a_step, divisor_t sigma, T *restrict y,
                              int64_t y_step) {
  for (int64_t j = 0; j < count; j++)
    y[j * y_step] = sigma.number == 0 ? 0 : sigma.scale * a[j * a_step] / sigma.number;
}

static void quotient_task(const void *argument, int64_t chunk, int64_t count, arena_t scratch) {
  (void)count, (void)scratch;
  const quotient_t *q = argument;
  const walk_t *walk = &q->plan->walk;
  const svdgrad_matrix_t A = as_walked(walk, q->plan->call->A), Y = as_walked(walk, q->plan->call->Y);
  for (int64_t i = first_row(walk, chunk); i < last_row(walk, chunk); i++) {
    const T *a = element(&A, q->b, i, 0);
    T *y = element(&Y, q->b, i, 0);
    if (A.col_stride == 1 && Y.col_stride == 1)
      divide_row(walk->columns, a, 1, q->sigma, y, 1);
    else
      divide_row(walk->columns, a, A.col_stride, q->sigma, y, Y.col_stride);
  }
}

#endif
