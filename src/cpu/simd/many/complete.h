/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors that belong to a singular value of zero. */
#ifndef SVDGRAD_SIMD_COMPLETE_H
#define SVDGRAD_SIMD_COMPLETE_H
#include "lane_group.h"

/* The matrices are few, so this works on one of them at a time, in scalar arithmetic.  X points to the lane of the
 * matrix: the real part of element e is at e * PARTS * LANES. */
enum { ELEMENT_STEP = PARTS * LANES };

/* The coordinate vector that the columns of the n-by-n X reach least. */
static int64_t least_reached_row(int64_t n, const R *X) {
  R least = (R)INFINITY;
  int64_t best = 0;
  for (int64_t i = 0; i < n; i++) {
    R reach = 0;
    for (int64_t c = 0; c < n; c++)
      for (int part = 0; part < PARTS; part++) {
        const R y = X[(c * n + i) * ELEMENT_STEP + part * LANES];
        reach += y * y;
      }
    if (reach < least) {
      least = reach;
      best = i;
    }
  }
  return best;
}

/* x <- x - y (y^H x) */
static void make_orthogonal(int64_t n, const R *y, R *x) {
  R re = 0, im = 0; /* y^H x */
  for (int64_t i = 0; i < n * ELEMENT_STEP; i += ELEMENT_STEP) {
    re += y[i] * x[i];
    if (IS_COMPLEX) {
      re += y[i + LANES] * x[i + LANES];
      im += y[i] * x[i + LANES] - y[i + LANES] * x[i];
    }
  }
  for (int64_t i = 0; i < n * ELEMENT_STEP; i += ELEMENT_STEP) {
    x[i] -= y[i] * re;
    if (IS_COMPLEX) {
      x[i] += y[i + LANES] * im;
      x[i + LANES] -= y[i + LANES] * re + y[i] * im;
    }
  }
}

static void make_unit(int64_t n, R *x) {
  R square = 0;
  for (int64_t i = 0; i < n; i++)
    for (int part = 0; part < PARTS; part++)
      square += x[i * ELEMENT_STEP + part * LANES] * x[i * ELEMENT_STEP + part * LANES];
  for (int64_t i = 0; i < n; i++)
    for (int part = 0; part < PARTS; part++)
      x[i * ELEMENT_STEP + part * LANES] /= (R)sqrt(square);
}

/* Column j of the n-by-n X, which is zero, becomes a unit vector orthogonal to all columns that are not: the coordinate
 * vector that they reach least, made orthogonal to them twice. */
static void complete_column(int64_t n, R *X, int64_t j) {
  R *x = X + j * n * ELEMENT_STEP;
  x[least_reached_row(n, X) * ELEMENT_STEP] = 1;
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t c = 0; c < n; c++)
      if (c != j)
        make_orthogonal(n, X + c * n * ELEMENT_STEP, x);
    make_unit(n, x);
  }
}

INLINE void complete(const lane_group_t *g, int count) {
  for (int64_t j = 0; j < g->n; j++) {
    if (!any_lane((M)(load_real(g->S + j * LANES) == 0)))
      continue; /* the usual case */
    for (int l = 0; l < count; l++)
      if (g->S[j * LANES + l] == 0)
        complete_column(g->n, g->rotated + l, j);
  }
}

#endif
