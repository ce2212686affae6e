/* SPDX-License-Identifier: BSD-3-Clause */
/* Householder reflectors of one matrix, with a lane for each row (reflectors.h). */
#ifndef SVDGRAD_ONE_HOUSEHOLDER_H
#define SVDGRAD_ONE_HOUSEHOLDER_H
#include "../register.h"

/* Row i of a column. */
INLINE T lane_of(const R *x, int64_t i) {
  const R *at = x + i / LANES * (PARTS * LANES) + i % LANES;
#if IS_COMPLEX
  return at[0] + (T)I * at[LANES];
#else
  return at[0];
#endif
}

INLINE void put_lane(R *x, int64_t i, T value) {
  R *at = x + i / LANES * (PARTS * LANES) + i % LANES;
  at[0] = (R)RE(value);
#if IS_COMPLEX
  at[LANES] = (R)IM(value);
#endif
}

INLINE E broadcast_element(T x) {
#if IS_COMPLEX
  return (E){broadcast((R)RE(x)), broadcast((R)IM(x))};
#else
  return broadcast(x);
#endif
}

INLINE T sum_of_lanes(E x) {
#if IS_COMPLEX
  return sum_lanes(x.re) + (T)I * sum_lanes(x.im);
#else
  return sum_lanes(x);
#endif
}

/* Clears the entries before entry `first` in its register. */
INLINE void clear_before(R *x, int64_t first) {
  for (int64_t i = first / LANES * LANES; i < first; i++)
    put_lane(x, i, 0);
}

/* Clears the entries behind the last of `length` in its register. */
INLINE void clear_behind(R *x, int64_t length) {
  for (int64_t i = length; i % LANES; i++)
    put_lane(x, i, 0);
}

INLINE int64_t registers(int64_t length) { return (length + LANES - 1) / LANES; }

/* Sums of a column are several: the next term of one sum waits until the last one is added. */
enum { SUMS = IS_COMPLEX ? 2 : 4 };

INLINE E sum_of_sums(const E *sum) {
  E total = sum[0];
  UNROLL
  for (int c = 1; c < SUMS; c++)
    total = add(total, sum[c]);
  return total;
}

/* v^H x from row `first` on, where v begins. */
INLINE T inner_product(const R *v, const R *x, int64_t first, int64_t rows) {
  const int64_t count = registers(rows);
  int64_t i = first / LANES;
  E sum[SUMS];
  UNROLL
  for (int c = 0; c < SUMS; c++)
    sum[c] = from_real((V){0});
  for (; i + SUMS <= count; i += SUMS)
    UNROLL
  for (int c = 0; c < SUMS; c++)
    sum[c] = add_conjugate_product(sum[c], load(v, i + c), load(x, i + c));
  for (; i < count; i++)
    sum[0] = add_conjugate_product(sum[0], load(v, i), load(x, i));
  return sum_of_lanes(sum_of_sums(sum));
}

INLINE R square_from(const R *x, int64_t first, int64_t length) {
  const int64_t count = registers(length);
  V sum[4] = {{0}};
  int64_t i = first / LANES;
  for (; i + 4 <= count; i += 4)
    UNROLL
  for (int c = 0; c < 4; c++)
    sum[c] = add_square(sum[c], load(x, i + c));
  for (; i < count; i++)
    sum[0] = add_square(sum[0], load(x, i));
  return sum_lanes(sum[0] + sum[1] + (sum[2] + sum[3]));
}

INLINE void multiply_from(R *x, int64_t first, int64_t length, T factor) {
  const E f = broadcast_element(factor), zero = from_real((V){0});
  for (int64_t i = first / LANES; i < registers(length); i++)
    store(x, i, add_product(zero, load(x, i), f));
}

/* Columns that are reflected together, while they are in the cache. */
enum { REDUCED = IS_COMPLEX ? 2 : 4 };

/* (I - tau v v^H)^H x = beta e_first; v_first = 1, or v = 0 where x is. */
typedef struct householder {
  T tau;
  R beta;
  T inverse; /* v = inverse (x - beta e_first) */
  int tiny;  /* inverse is of no use: squares of x were not normal numbers, and x was scaled first */
} householder_t;

/* Scales x by a power of two such that its largest part is in [1, 2); returns the exponent. */
static int scale_tiny(R *x, int64_t first, int64_t length) {
  R largest = 0;
  for (int64_t i = first; i < length; i++) {
    const T at = lane_of(x, i);
    const R re = (R)fabs(RE(at)), im = (R)fabs(IM(at)), part = re > im ? re : im;
    largest = part > largest ? part : largest;
  }
  int exponent = 1;
  (void)frexp((double)largest, &exponent);
  for (int part = 0; part < 2; part++) /* the factor itself may overflow */
    multiply_from(x, first, length, (R)ldexp(1, part ? (1 - exponent) / 2 : (1 - exponent) - (1 - exponent) / 2));
  return 1 - exponent;
}

/* x <- v, entries first..; the entries before in the same register are cleared. */
static householder_t householder(R *x, int64_t first, int64_t length) {
  int exponent = 0;
  clear_before(x, first);
  R square = square_from(x, first, length);
  if (!(square >= SMALLEST_SQUARE)) {
    exponent = scale_tiny(x, first, length);
    square = square_from(x, first, length);
  }
  if (square == 0)
    return (householder_t){0};
  const T alpha = lane_of(x, first);
  const R norm = (R)sqrt(square), beta = RE(alpha) < 0 ? norm : -norm;
  const T difference = alpha - beta, inverse = CONJ(difference) / (R)ABS2(difference);
  multiply_from(x, first, length, inverse);
  put_lane(x, first, 1);
  return (householder_t){-difference / beta, (R)ldexp(beta, -exponent), inverse, exponent != 0};
}

#endif
