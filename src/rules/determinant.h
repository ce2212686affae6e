/* SPDX-License-Identifier: BSD-3-Clause */
/* The product of all singular values, and of all but one.  The product is held as a fraction in [1/2, 1) and an integer
 * exponent, so that no intermediate result over- or underflows.
 *
 * Singular values are normalized (gap.h).  Zeros are counted and left out of the product: the derivative with respect to
 * a value is the product of the others, which is not 0 if that value is the only zero. */
#ifndef SVDGRAD_RULES_DETERMINANT_H
#define SVDGRAD_RULES_DETERMINANT_H
#include "gap.h"

/* {1, 0, 0, 0} is the empty product. */
typedef struct {
  REAL fraction;
  int64_t exponent;
  int64_t count, zeros;
} determinant_t;

RULE void determinant_times(determinant_t *product, REAL s) {
  int of_value = 0, of_product = 0;
  product->count++;
  if (s == 0) {
    product->zeros++;
    return;
  }
  product->fraction = frexp(product->fraction * frexp(s, &of_value), &of_product);
  product->exponent += of_value + of_product;
}

/* 2^exponent x y; only the result itself can over- or underflow. */
RULE REAL determinant_scaled(REAL x, REAL y, int64_t exponent) {
  int of_x = 0, of_y = 0;
  const REAL fraction = frexp(x, &of_x) * frexp(y, &of_y);
  const int64_t sum = exponent + of_x + of_y;
  return ldexp(fraction, (int)(sum > 100000 ? 100000 : sum < -100000 ? -100000 : sum));
}

/* The product times `factor`; the true values are 2^exponent times the collected ones. */
RULE REAL determinant_value(const determinant_t *product, int exponent, REAL factor) {
  if (product->zeros > 0)
    return 0;
  return determinant_scaled(product->fraction, factor, product->exponent + product->count * (int64_t)exponent);
}

RULE REAL determinant_log(const determinant_t *product, int exponent) {
  const REAL whole = (REAL)(product->exponent + product->count * (int64_t)exponent);
  return product->zeros > 0 ? -(REAL)INFINITY : log(product->fraction) + whole * (REAL)0.69314718055994530942;
}

/* The product of all values but s, times `factor`. */
RULE REAL determinant_without(const determinant_t *product, REAL s, int exponent, REAL factor) {
  const int64_t shift = (product->count - 1) * (int64_t)exponent;
  int of_value = 0;
  if (product->zeros > (s == 0))
    return 0;
  if (s == 0)
    return determinant_scaled(product->fraction, factor, product->exponent + shift);
  const REAL fraction = frexp(s, &of_value);
  return determinant_scaled(product->fraction / fraction, factor, product->exponent - of_value + shift);
}

/* g / s; dropped where s is rounding noise, except under SVDGRAD_GAP_EXACT. */
RULE REAL determinant_quotient(const gap_policy_t *policy, REAL g, REAL s, int exponent) {
  if (g == 0 || gap_sum_is_dropped(policy, s))
    return 0;
  return ldexp(g / s, -exponent);
}

#endif
