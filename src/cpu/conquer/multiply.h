/* SPDX-License-Identifier: BSD-3-Clause */
/* The vectors of a merged block: those of its two blocks times those of the secular equation.  Columns that are zero in
 * the upper or the lower rows are packed without these zeros, in the order of their kind, so that two products without
 * zeros remain:
 *
 *   upper rows:  columns that are not zero there   times   the first rows of the vectors
 *   lower rows:  columns that are not zero there   times   the last rows of the vectors */
#ifndef SVDGRAD_CONQUER_MULTIPLY_H
#define SVDGRAD_CONQUER_MULTIPLY_H
#include "deflate.h"

void REAL_LAPACK(gemm)(const char *transa, const char *transb, const int *m, const int *n, const int *k, const R *alpha,
                       const R *A, const int *lda, const R *B, const int *ldb, const R *beta, R *C, const int *ldc,
                       size_t, size_t);

/* One of U and V. */
typedef struct side {
  R *X;                 /* the first column of the block */
  const R *Q;           /* the vectors of the secular equation */
  int64_t upper, lower; /* rows */
  int64_t first_lower;  /* of the columns in their packed order: the first that is not zero in the lower rows */
  int64_t end_upper;    /* behind the last that is not zero in the upper rows */
} side_t;

/* C = A B, or zero where A has no column. */
static void product_of(int64_t m, int64_t n, int64_t k, const R *A, const R *B, int64_t ldb, R *C, int64_t ldc) {
  const int mi = (int)m, ni = (int)n, ki = (int)k, lb = (int)ldb, lc = (int)ldc;
  const R one = 1, zero = 0;
  if (m > 0 && k > 0)
    REAL_LAPACK(gemm)("N", "N", &mi, &ni, &ki, &one, A, &mi, B, &lb, &zero, C, &lc, 1, 1);
  for (int64_t j = 0; j < n && k == 0; j++)
    memset(C + j * ldc, 0, (size_t)m * sizeof(R));
}

/* Copies the columns out of X, which the products overwrite: upper rows, lower rows, columns deflated. */
static void pack_side(const conquer_t *c, const merge_t *m, const side_t *s, R *upper, R *lower, R *deflated) {
  const int64_t rows = s->upper + s->lower;
  for (int64_t i = 0; i < m->kept; i++) {
    const int64_t at = c->place[i];
    const R *x = s->X + c->columns[i] * c->stride;
    if (at < s->end_upper)
      memcpy(upper + at * s->upper, x, (size_t)s->upper * sizeof(R));
    if (at >= s->first_lower)
      memcpy(lower + (at - s->first_lower) * s->lower, x + s->upper, (size_t)s->lower * sizeof(R));
  }
  for (int64_t i = 0; i < m->deflated; i++) {
    const int64_t column = c->deflated[i];
    R *to = deflated + i * rows;
    memcpy(to, s->X + column * c->stride, (size_t)rows * sizeof(R));
    fill_column(to, c->kind[column], s->upper, rows);
  }
}

static void multiply_side(const conquer_t *c, const merge_t *m, const side_t *s) {
  const int64_t stride = conquer_stride(m->kept, c->ops->lanes), kept = m->kept, rows = s->upper + s->lower;
  const int64_t made = made_columns(c, m->block, kept);
  R *const upper = c->packed, *const lower = upper + s->upper * s->end_upper;
  R *const deflated = lower + s->lower * (kept - s->first_lower);
  pack_side(c, m, s, upper, lower, deflated);
  product_of(s->upper, made, s->end_upper, upper, s->Q, stride, s->X, c->stride);
  product_of(s->lower, made, kept - s->first_lower, lower, s->Q + s->first_lower, stride, s->X + s->upper, c->stride);
  for (int64_t i = 0; i < m->deflated; i++)
    memcpy(s->X + (kept + i) * c->stride, deflated + i * rows, (size_t)rows * sizeof(R));
}

/* Orders the columns of the secular equation by their kind: c->place.  Column 0 comes before those of all rows. */
static void order_kinds(const conquer_t *c, const merge_t *m) {
  int64_t count[3] = {0}, next[3];
  for (int64_t i = 1; i < m->kept; i++)
    count[c->kind[c->columns[i]]]++;
  next[IN_UPPER_ROWS] = 0, next[IN_ALL_ROWS] = count[IN_UPPER_ROWS] + 1;
  next[IN_LOWER_ROWS] = next[IN_ALL_ROWS] + count[IN_ALL_ROWS];
  c->place[0] = count[IN_UPPER_ROWS];
  for (int64_t i = 1; i < m->kept; i++)
    c->place[i] = next[c->kind[c->columns[i]]]++;
}

#endif
