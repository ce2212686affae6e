/* SPDX-License-Identifier: BSD-3-Clause */
/* Exponents of the powers of two that scale a matrix or a vector. */
#ifndef SVDGRAD_POWER_EXPONENT_H
#define SVDGRAD_POWER_EXPONENT_H
#include <math.h>
#include <stdint.h>

/* Special values of the exponent of the largest entry. */
enum { EXPONENT_OF_ZERO = INT32_MIN, EXPONENT_OF_NAN = INT32_MAX };

/* e of a number in [2^(e-1), 2^e), clamped so that 2^e and 2^-e are finite. */
static int exponent_of(double largest, int limit) {
  int exponent;
  if (largest == 0 || isnan(largest))
    return largest == 0 ? EXPONENT_OF_ZERO : EXPONENT_OF_NAN;
  (void)frexp(largest, &exponent);
  return exponent < -limit ? -limit : exponent > limit ? limit : exponent;
}

#endif
