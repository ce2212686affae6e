/* SPDX-License-Identifier: BSD-3-Clause */
/* Power iteration on M^H M, M as in walk_t, in one pass over M per iteration: a block of rows gives its part of s = M x
 * and, while it is in the cache, its part of w = M^H s, which is the next x but for its length.  Where the given start
 * is y, one pass before the first has w = M^H y; where it is x, one after the last has w and s from which the residual
 * comes.
 *
 * M is taken times a power of two that makes its largest entry about 1.  The first pass does not know that power yet: it
 * uses the largest entry so far, and scales its results when a larger entry comes. */
#ifndef SVDGRAD_POWER_PASS_H
#define SVDGRAD_POWER_PASS_H
#include "base/arena.h"
#include "base/strided.h"
#include "exponent.h"
#include "power_kernels.h"

#include <string.h>

/* What one pass over M computes; the last two are modifiers. */
enum {
  PASS_PRODUCTS = 1, /* s = M x */
  PASS_SUMS = 2,     /* w = M^H s */
  PASS_GIVEN = 4,    /* w = M^H y instead, for a given y */
  PASS_FIRST = 8     /* the scale of M is not known yet */
};

/* How the iteration of a matrix ended. */
typedef enum outcome {
  ITERATED,
  UNCHANGED, /* A^H u is zero: u and v keep their values */
  ZERO,      /* A is zero */
  NONFINITE
} outcome_t;

enum {
  PARTS = 1 + IS_COMPLEX,
  SPREAD = PARTS * PARTS,                            /* reals of an element of x or w in simd/one/rows.h */
  FURTHEST = sizeof(R) == sizeof(float) ? 100 : 1000 /* exponent of a scale */
};

typedef struct power {
  const power_plan_t *plan;
  const T *M;
  int64_t row_stride, column_stride;
  T *x, *y;           /* columns, rows */
  T *s, *w;           /* rows, columns: 2^-exponent M x, and M^H times y or s */
  R *spread;          /* x as in simd/one/rows.h */
  R *sums;            /* of each chunk: w as in simd/one/rows.h */
  T *row;             /* of each chunk: a copy of one row, where the elements of a row of M are not contiguous */
  int32_t *exponents; /* of each chunk */
  int exponent;       /* M is taken times 2^-exponent, so that its largest entry is about 1 */
  int x_exponent;     /* the first x is the caller's times 2^-x_exponent; 0 for later ones */
  int y_exponent;
} power_t;

static power_t power_take(arena_t *arena, const walk_t *walk) {
  power_t q = {0};
  q.x = arena_take(arena, walk->columns, sizeof(T));
  q.y = arena_take(arena, walk->rows, sizeof(T));
  q.s = arena_take(arena, walk->rows, sizeof(T));
  q.w = arena_take(arena, walk->columns, sizeof(T));
  q.spread = IS_COMPLEX ? arena_take(arena, walk->columns, SPREAD * sizeof(R)) : (R *)q.x;
  q.sums = arena_take(arena, walk->columns, SPREAD * (size_t)walk->chunks * sizeof(R));
  q.row = arena_take(arena, walk->columns, (size_t)walk->chunks * sizeof(T));
  q.exponents = arena_take(arena, walk->chunks, sizeof(int32_t));
  return q;
}

static size_t power_scratch(const walk_t *walk) {
  arena_t arena = {NULL, 0};
  (void)power_take(&arena, walk);
  return arena.used;
}

/* ---- one pass over M ------------------------------------------------------------------------------- */

/* Rows that are taken at once: enough to be worth a call, few enough to stay in the cache. */
enum { LEAST_ROWS = 8, MOST_ROWS = 64, FIRST_LEVEL = 16384, SECOND_LEVEL = 1 << 19 };

static int64_t rows_at_once(const power_t *q) {
  const int64_t columns = q->plan->walk.columns;
  if (q->column_stride != 1 || columns > SECOND_LEVEL / (LEAST_ROWS * (int64_t)sizeof(T)))
    return 1;
  const int64_t rows = FIRST_LEVEL / (columns * (int64_t)sizeof(T)) / LEAST_ROWS * LEAST_ROWS;
  return rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
}

/* Row i with its elements contiguous. */
static const T *row_of(const power_t *q, int64_t chunk, int64_t i) {
  const T *row = q->M + i * q->row_stride;
  T *copy = q->row + chunk * q->plan->walk.columns;
  if (q->column_stride == 1)
    return row;
  for (int64_t j = 0; j < q->plan->walk.columns; j++)
    copy[j] = row[j * q->column_stride];
  return copy;
}

static void scale(int64_t count, R *x, double factor) {
  for (int64_t i = 0; i < count && factor != 1; i++)
    x[i] *= (R)factor;
}

/* The exponent of the chunk's rows up to last-1, where that of the rows before `first` is given.  If it is larger, s of
 * those rows and w are scaled to it. */
static int raise_exponent(const power_t *q, int pass, int64_t chunk, const T *rows, int64_t first, int64_t last,
                          int exponent) {
  const walk_t *walk = &q->plan->walk;
  for (int64_t i = first; i < last && exponent != EXPONENT_OF_NAN; i++) {
    const double largest = q->plan->kernels->rows->largest(rows + (i - first) * q->row_stride, walk->columns);
    const int own = exponent_of(largest, FURTHEST), rise = own - exponent;
    if (own <= exponent)
      continue;
    if (exponent != EXPONENT_OF_ZERO && own != EXPONENT_OF_NAN) {
      const int64_t start = first_row(walk, chunk);
      scale(PARTS * (first - start), (R *)(q->s + start), pass & PASS_PRODUCTS ? ldexp(1, -rise) : 1);
      scale(SPREAD * walk->columns, q->sums + SPREAD * walk->columns * chunk,
            ldexp(1, pass & PASS_GIVEN ? -rise : -2 * rise));
    }
    exponent = own;
  }
  return exponent;
}

static void pass_rows(const power_t *q, int pass, int64_t chunk, const T *rows, int64_t first, int64_t last,
                      int exponent) {
  const row_ops_t *ops = q->plan->kernels->rows;
  const int64_t columns = q->plan->walk.columns, count = last - first;
  const double factor = ldexp(1, -exponent);
  if (pass & PASS_PRODUCTS)
    ops->products(rows, q->row_stride, count, columns, factor, q->spread, q->s + first);
  if (pass & PASS_SUMS) {
    const T *y = (pass & PASS_GIVEN ? q->y : q->s) + first;
    T coefficients[MOST_ROWS];
    for (int64_t i = 0; i < count; i++)
      coefficients[i] = (R)factor * y[i];
    ops->sums(rows, q->row_stride, count, columns, coefficients, q->sums + SPREAD * columns * chunk);
  }
}

static void pass_chunk(const power_t *q, int pass, int64_t chunk) {
  const walk_t *walk = &q->plan->walk;
  const int64_t end = last_row(walk, chunk), step = rows_at_once(q);
  int exponent = pass & PASS_FIRST ? EXPONENT_OF_ZERO : q->exponent;
  memset(q->sums + SPREAD * walk->columns * chunk, 0, SPREAD * (size_t)walk->columns * sizeof(R));
  for (int64_t i = first_row(walk, chunk); i < end && exponent != EXPONENT_OF_NAN; i += step) {
    const int64_t last = i + step < end ? i + step : end;
    const T *rows = row_of(q, chunk, i);
    if (pass & PASS_FIRST)
      exponent = raise_exponent(q, pass, chunk, rows, i, last, exponent);
    if (exponent == EXPONENT_OF_ZERO)
      memset(q->s + i, 0, (size_t)(last - i) * sizeof(T));
    else if (exponent != EXPONENT_OF_NAN)
      pass_rows(q, pass, chunk, rows, i, last, exponent);
  }
  q->exponents[chunk] = exponent;
}

typedef struct pass {
  const power_t *q;
  int pass;
} pass_t;

static void pass_task(const void *argument, int64_t chunk, int64_t count, arena_t scratch) {
  (void)count, (void)scratch;
  const pass_t *pass = argument;
  pass_chunk(pass->q, pass->pass, chunk);
}

/* Sum j of a chunk as an element. */
static inline T fold(const R *sums, int64_t columns, int64_t j) {
#if IS_COMPLEX
  const R *p = sums + 2 * j, *q = p + 2 * columns;
  return (p[0] + q[1]) + (q[0] - p[1]) * (T)I;
#else
  (void)columns;
  return sums[j];
#endif
}

/* s and w of all chunks in the scale of the whole. */
static void gather(power_t *q, int pass) {
  const walk_t *walk = &q->plan->walk;
  for (int64_t j = 0; j < walk->columns; j++)
    q->w[j] = 0;
  for (int64_t chunk = 0; chunk < walk->chunks; chunk++) {
    const int64_t start = first_row(walk, chunk);
    const R *sums = q->sums + SPREAD * walk->columns * chunk;
    if (q->exponents[chunk] == EXPONENT_OF_ZERO)
      continue;
    const int rise = q->exponent - q->exponents[chunk];
    const R factor = (R)ldexp(1, pass & PASS_GIVEN ? -rise : -2 * rise);
    scale(PARTS * (last_row(walk, chunk) - start), (R *)(q->s + start), ldexp(1, -rise));
    for (int64_t j = 0; j < walk->columns; j++)
      q->w[j] += factor * fold(sums, walk->columns, j);
  }
}

/* Of the first pass only: ZERO and NONFINITE. */
static outcome_t run_pass(power_t *q, int pass) {
  const walk_t *walk = &q->plan->walk;
  const pass_t argument = {q, pass};
  run_chunks(q->plan->chunks, walk, pass_task, &argument);
  if (pass & PASS_FIRST) {
    q->exponent = q->exponents[0];
    for (int64_t chunk = 1; chunk < walk->chunks; chunk++)
      q->exponent = q->exponents[chunk] > q->exponent ? q->exponents[chunk] : q->exponent;
  }
  if (q->exponent == EXPONENT_OF_ZERO || q->exponent == EXPONENT_OF_NAN)
    return q->exponent == EXPONENT_OF_ZERO ? ZERO : NONFINITE;
  gather(q, pass);
  return ITERATED;
}

#endif
