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

/* One of U and V. */
typedef struct side {
  R *X;                 /* the first column of the block */
  const R *Q;           /* the vectors of the secular equation */
  int64_t upper, lower; /* rows */
  int64_t first_lower;  /* of the columns in their packed order: the first that is not zero in the lower rows */
  int64_t end_upper;    /* behind the last that is not zero in the upper rows */
} side_t;

/* C = A B, or zero where A has no column. */
static void product_of(const conquer_t *c, int64_t m, int64_t n, int64_t k, const R *A, const R *B, int64_t ldb, R *C,
                       int64_t ldc) {
  group_product_t product = {.m = m, .n = n, .k = k, .alpha = 1, .A = A, .lda = m, .B = B, .ldb = ldb, .ldc = ldc};
  product.c = C;
  multiply_shared(&c->products, &product);
}

/* Where half or more of a block's columns are deflated, these stay where they are; those of the roots then go where
 * columns of the secular equation were.  Else those of the roots come first, so that products write them in place. */
static int deflated_stay(const merge_t *m) { return m->kept <= m->deflated; }
static int64_t root_column(const conquer_t *c, const merge_t *m, int64_t i) {
  return deflated_stay(m) ? c->columns[i] : i;
}
static int64_t deflated_column(const conquer_t *c, const merge_t *m, int64_t i) {
  return deflated_stay(m) ? c->deflated[i] : m->kept + i;
}

/* Copies the columns of the secular equation out of X. */
static void pack_kept(const conquer_t *c, const merge_t *m, const side_t *s, R *upper, R *lower) {
  for (int64_t i = 0; i < m->kept; i++) {
    const int64_t at = c->place[i];
    const R *x = s->X + c->columns[i] * c->stride;
    if (at < s->end_upper)
      memcpy(upper + at * s->upper, x, (size_t)s->upper * sizeof(R));
    if (at >= s->first_lower)
      memcpy(lower + (at - s->first_lower) * s->lower, x + s->upper, (size_t)s->lower * sizeof(R));
  }
}

/* Writes the zeros of columns deflated, in copies of them if there is memory for these. */
static void copy_deflated(const conquer_t *c, const merge_t *m, const side_t *s, R *copies) {
  const int64_t rows = s->upper + s->lower;
  for (int64_t i = 0; i < m->deflated; i++) {
    R *x = s->X + c->deflated[i] * c->stride, *to = copies ? copies + i * rows : x;
    if (copies)
      memcpy(to, x, (size_t)rows * sizeof(R));
    fill_column(to, c->kind[c->deflated[i]], s->upper, rows);
  }
}

static void multiply_side(const conquer_t *c, const merge_t *m, const side_t *s) {
  const int64_t stride = conquer_stride(m->kept, c->ops->lanes), kept = m->kept, rows = s->upper + s->lower;
  const int64_t made = made_columns(c, m->block, kept);
  const int stay = deflated_stay(m);
  R *const upper = c->packed, *const lower = upper + s->upper * s->end_upper;
  R *const rest = lower + s->lower * (kept - s->first_lower), *const to = stay ? rest : s->X;
  const int64_t ldc = stay ? rows : c->stride;
  pack_kept(c, m, s, upper, lower);
  copy_deflated(c, m, s, stay ? NULL : rest);
  product_of(c, s->upper, made, s->end_upper, upper, s->Q, stride, to, ldc);
  product_of(c, s->lower, made, kept - s->first_lower, lower, s->Q + s->first_lower, stride, to + s->upper, ldc);
  for (int64_t i = 0; i < (stay ? made : m->deflated); i++) {
    const int64_t column = stay ? root_column(c, m, i) : deflated_column(c, m, i);
    memcpy(s->X + column * c->stride, rest + i * rows, (size_t)rows * sizeof(R));
  }
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
