/* SPDX-License-Identifier: BSD-3-Clause */
/* Plane rotations of two real numbers. */
#ifndef SVDGRAD_CONQUER_ROTATION_H
#define SVDGRAD_CONQUER_ROTATION_H
#include "base/type.h"

/* c f + s g = r, c g - s f = 0, c^2 + s^2 = 1. */
typedef struct rotation {
  R c, s, r;
} rotation_t;

/* Between these the square of a length has all its digits. */
#define LEAST_SQUARE (IS_DOUBLE ? (R)0x1p-960 : (R)0x1p-100)
#define MOST_SQUARE  (IS_DOUBLE ? (R)0x1p+960 : (R)0x1p+100)

static inline int is_square(R x) { return x >= LEAST_SQUARE && x <= MOST_SQUARE; }

static __attribute__((noinline)) rotation_t rotation_of_any(R f, R g) {
  const R x = (R)fabs(f), y = (R)fabs(g), unit = x > y ? x : y;
  if (unit == 0)
    return (rotation_t){1, 0, 0};
  f /= unit, g /= unit;
  const R length = (R)sqrt(f * f + g * g);
  return (rotation_t){f / length, g / length, length * unit};
}

/* The square root and the division do not wait for each other. */
static inline rotation_t rotation_of(R f, R g) {
  const R square = f * f + g * g;
  if (!is_square(square))
    return rotation_of_any(f, g);
  const R length = (R)sqrt(square), inverse = length * (1 / square);
  return (rotation_t){f * inverse, g * inverse, length};
}

#endif
