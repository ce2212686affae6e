/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of reflectors with each other, with a lane for each row: half of the products that gemm would compute.  Each
 * lane sums few terms, since rounding errors of equal terms, as in a matrix of ones, add up. */
#ifndef SVDGRAD_ONE_GRAM_H
#define SVDGRAD_ONE_GRAM_H
#include "householder.h"
#include "reflectors.h"

INLINE void multiply_few(const gram_t *g, int64_t i, int64_t j, int columns) {
  const R *v = (const R *)g->X + i * g->stride, *w = (const R *)g->X + j * g->stride;
  const int64_t next = g->stride / (PARTS * LANES);
  E sum[REDUCED];
  UNROLL
  for (int c = 0; c < columns; c++)
    sum[c] = from_real((V){0});
  for (int64_t l = (g->first + j) / LANES; l < registers(g->rows); l++) {
    const E w_l = load(w, l);
    UNROLL
    for (int c = 0; c < columns; c++)
      sum[c] = add_conjugate_product(sum[c], load(v, c * next + l), w_l);
  }
  for (int c = 0; c < columns; c++)
    ((T *)g->gram)[j * g->count + i + c] = sum_of_lanes(sum[c]);
}

INLINE void multiply_two(const gram_t *g, int64_t i, int64_t j) {
  const R *v = (const R *)g->X + i * g->stride, *w = (const R *)g->X + j * g->stride;
  ((T *)g->gram)[j * g->count + i] = inner_product(v, w, g->first + j, g->rows);
}

static void multiply_reflectors(const gram_t *g) {
  for (int64_t j = 1; j < g->count; j++) {
    int64_t i = 0;
    for (; i + REDUCED <= j; i += REDUCED)
      multiply_few(g, i, j, REDUCED);
    for (; i + 2 <= j; i += 2)
      multiply_few(g, i, j, 2);
    if (i < j)
      multiply_two(g, i, j);
  }
}

#endif
