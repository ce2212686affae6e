/* SPDX-License-Identifier: BSD-3-Clause */
/* The arrays of programs (functions/group.h, functions/forms.h) in lanes: singular values, their powers of two, and the
 * entries of packed matrices. */
#ifndef SVDGRAD_MANY_PROGRAM_VALUES_H
#define SVDGRAD_MANY_PROGRAM_VALUES_H
#include "../memory/operands.h"
#include "functions/forms.h"
#include "functions/group.h"

/* ---- powers of two ---- */

/* Of such an exponent a power of two, and its product with a quotient by a normalized value, is finite. */
enum { POWER_LIMIT = sizeof(R) == sizeof(float) ? 100 : 960 };

/* 2^exponent as a product of two factors, since it may over- or underflow; the second is nearly always 1. */
typedef struct powers {
  V first, second;
} powers_t;

INLINE M choose_integer(M mask, M yes, M no) { return (mask & yes) | (~mask & no); }

INLINE powers_t powers_of(M exponent) {
  const M most = (M){0} + POWER_LIMIT, least = (M){0} - POWER_LIMIT;
  const M first = choose_integer(exponent > most, most, choose_integer(exponent < least, least, exponent));
  const M rest = exponent - first, half = rest >> 1;
  return (powers_t){power_of_two(first), power_of_two(half) * power_of_two(rest - half)};
}

/* factor power x: the factor of x first, which is finite where x is divided by a normalized value. */
INLINE E times_power(V factor, powers_t power, E x) { return scaled(power.second, scaled(factor * power.first, x)); }

/* e with 2^e <= x < 2^(e+1); 0 for 0, Inf and NaN. */
INLINE M exponent_below(V x) {
  const M lift = (M)(x < broadcast(SMALLEST_NORMAL)) & (MANTISSA_BITS + 1);
  const M bits = (M)(x * power_of_two(lift)), exists = (M)(x > broadcast(0)) & (M)(x <= broadcast(LARGEST));
  return exists & ((bits >> MANTISSA_BITS) - EXPONENT_BIAS - lift);
}

INLINE M load_exponent(const int *exponent) {
  M to = {0};
  for (int l = 0; l < LANES; l++)
    to[l] = exponent[l];
  return to;
}

/* ---- entries ---- */

INLINE V real_at(reals_t x, int64_t i) { return load_real((const R *)x.data + i * LANES); }
INLINE void set_real(reals_t x, int64_t i, V value) { store_real((R *)x.data + i * LANES, value); }
INLINE int64_t place_of(tensor_t X, int64_t i, int64_t j) { return (X.first + j) * X.rows + i; }
INLINE E entry_at(tensor_t X, int64_t i, int64_t j) { return load(X.data, place_of(X, i, j)); }
INLINE void set_entry(tensor_t X, int64_t i, int64_t j, E value) { store(X.data, place_of(X, i, j), value); }

/* ---- between the caller and a program ---- */

static void load_reals(const group_t *g, const svdgrad_vector_t *from, int64_t n, void *to) {
  const strided_t x = strided_vector(from, g->first);
  if (n > 0 && x.data)
    (void)fetch(&x, n, 1, 1, to, g->count);
  for (int64_t i = 0; i < n && !x.data; i++)
    store_real((R *)to + i * LANES, (V){0});
}

static void store_reals(const group_t *g, const void *from, int64_t n, const svdgrad_vector_t *to) {
  const strided_t x = strided_vector(to, g->first);
  if (n > 0 && x.data)
    put_back(&x, n, 1, 1, (R *)from, g->count);
}

/* told: exponents of S that the SVD kept aside, or NULL. */
NOINLINE void load_values(const group_t *g, const svdgrad_vector_t *S, const int32_t *told, const values_t *to) {
  const int64_t n = to->s.count;
  load_reals(g, S, n, to->s.data);
  const M exponent = n > 0 ? exponent_below(real_at(to->s, 0)) : (M){0};
  const powers_t scale = powers_of(-exponent);
  for (int64_t i = 0; i < n; i++)
    set_real(to->s, i, real_at(to->s, i) * scale.first * scale.second);
  for (int l = 0; l < LANES; l++)
    ((int *)to->exponent)[l] = (int)exponent[l] + (told ? told[g->first + (l < g->count ? l : g->count - 1)] : 0);
}

/* X <- 2^-exponent X, in two steps since 2^-exponent itself may overflow. */
NOINLINE void normalize(const int *exponent, int64_t elements, void *X) {
  const M negative_exponent = -load_exponent(exponent), half = negative_exponent >> 1;
  const powers_t scale = {power_of_two(half), power_of_two(negative_exponent - half)};
  for (int64_t e = 0; e < elements; e++)
    store(X, e, scaled(scale.second, scaled(scale.first, load(X, e))));
}

#endif
