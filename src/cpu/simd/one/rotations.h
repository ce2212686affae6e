/* SPDX-License-Identifier: BSD-3-Clause */
/* Sequences of plane rotations of neighbouring columns, with a lane for each row (secular.h: rotations_t).  A column is
 * read and written once for both of its rotations. */
#ifndef SVDGRAD_ONE_ROTATIONS_H
#define SVDGRAD_ONE_ROTATIONS_H
#include "../register.h"
#include "secular.h"

enum { ROTATED = 4 }; /* registers of a column at a time */

/* `count` registers of rows; inlined: a constant. */
INLINE void rotate_rows(const rotations_t *r, R *x, int count) {
  const R *cosine = r->cosine, *sine = r->sine;
  V held[ROTATED];
  UNROLL
  for (int l = 0; l < count; l++)
    held[l] = load_real(x + l * LANES);
  for (int64_t i = 0; i < r->count; i++) {
    R *next = x + r->stride;
    const V c = broadcast(cosine[i]), s = broadcast(sine[i]);
    UNROLL
    for (int l = 0; l < count; l++) {
      const V y = load_real(next + l * LANES);
      store_real(x + l * LANES, fmadd(s, y, c * held[l]));
      held[l] = fnmadd(s, held[l], c * y);
    }
    x = next;
  }
  UNROLL
  for (int l = 0; l < count; l++)
    store_real(x + l * LANES, held[l]);
}

static void rotate_columns(const rotations_t *r) {
  const int64_t registers = (r->rows + LANES - 1) / LANES;
  int64_t i = 0;
  for (; i + ROTATED <= registers; i += ROTATED)
    rotate_rows(r, (R *)r->X + i * LANES, ROTATED);
  R *rest = (R *)r->X + i * LANES;
  switch (registers - i) {
  case 3: rotate_rows(r, rest, 3); break;
  case 2: rotate_rows(r, rest, 2); break;
  case 1: rotate_rows(r, rest, 1); break;
  default: break;
  }
}

#endif
