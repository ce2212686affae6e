/* SPDX-License-Identifier: BSD-3-Clause */
/* SVD of one tall matrix with few columns, or with more rows than LAPACK can count, by tall-skinny QR (J. Demmel, L.
 * Grigori, M. Hoemmen, J. Langou, SIAM J. Sci. Comput. 34, 2012): blocks of rows, A_i = Q_i R_i, are factored while they
 * are in the cache, then the stacked R_i.  The n-by-n R of that is solved like any square matrix.  Neither A nor U is
 * copied as a whole (simd/one/row_block.h).
 *
 * Sums run over one block only: over all rows, single precision would lose most of its digits where terms are alike.
 *
 * Each block is scaled by a power of two of its own, so that A is read once. */
#ifndef SVDGRAD_DENSE_TALL_H
#define SVDGRAD_DENSE_TALL_H
#include "bidiagonal.h"
#include "copy.h"

typedef struct tall {
  dense_svd_t core;                 /* n-by-n */
  int64_t m, n, block_rows, blocks; /* the last block also has the remaining rows */
  int64_t block_size;               /* reals from one panel to the next; 0 for values alone: one panel is used again */
  R *panels;
  double *largest; /* of each block */
  T *tau;          /* n for each block */
  T *stacked;      /* blocks * n by n: the stacked R_i, and then their left factor; one block: R, and nothing */
  R *stacked_panel;
  T *triangle, *stacked_tau, *y, *gram, *factor;
  R *work;
  const reflector_ops_t *ops;
} tall_t;

/* Bytes of a block, which fits the first cache of most processors; rows of a block for each column, so that the stacked
 * R_i have few rows; rows of a block of the largest matrices, whose R_i would have too many rows together. */
enum { BLOCK_BYTES = 1 << 15, BLOCK_SHAPE = 8, LARGE_ROWS = 8192, LARGE_BLOCKS = 1024 };

static int64_t tall_block_rows(int64_t m, int64_t n) {
  const int64_t cached = BLOCK_BYTES / (n * (int64_t)sizeof(T)) / 16 * 16;
  const int64_t rows = cached > BLOCK_SHAPE * n ? cached : BLOCK_SHAPE * n;
  return m / LARGE_BLOCKS > rows && rows < LARGE_ROWS ? LARGE_ROWS : rows;
}

static tall_t tall_take(arena_t *arena, int64_t m, int64_t n, int vectors, int lwork, const reflector_ops_t *ops) {
  tall_t t = {.m = m, .n = n, .block_rows = tall_block_rows(m, n), .ops = ops};
  t.blocks = m < t.block_rows ? 1 : m / t.block_rows;
  const int64_t last = m - (t.blocks - 1) * t.block_rows, size = lane_stride(last, ops->lanes) * n;
  const int64_t stacked = t.blocks > 1 ? t.blocks * n : 0;
  t.block_size = vectors ? size : 0;
  t.core = dense_svd_take(arena, n, n, vectors, lwork);
  t.panels = arena_take(arena, vectors ? t.blocks * size : size, sizeof(R));
  t.largest = arena_take(arena, t.blocks, sizeof(double));
  t.tau = arena_take(arena, t.blocks * n, sizeof(T));
  t.stacked = arena_take(arena, stacked * n, sizeof(T));
  t.stacked_panel = arena_take(arena, stacked ? lane_stride(stacked, ops->lanes) * n : 0, sizeof(R));
  t.stacked_tau = arena_take(arena, n, sizeof(T));
  t.triangle = arena_take(arena, n * n, sizeof(T));
  t.y = arena_take(arena, 2 * n, sizeof(T));
  t.gram = arena_take(arena, vectors ? n * n : 0, sizeof(T));
  t.factor = arena_take(arena, vectors ? n * n : 0, sizeof(T));
  t.work = arena_take(arena, row_block_work(n, ops->lanes), sizeof(R));
  return t;
}

/* Block i of the rows of a tall matrix. */
static row_block_t tall_block(const tall_t *t, int64_t i, place_t matrix, int conjugated) {
  const int64_t first = i * t->block_rows, rows = i == t->blocks - 1 ? t->m - first : t->block_rows;
  return (row_block_t){.rows = rows,
                       .columns = t->n,
                       .caller = matrix.x ? matrix.x + first * matrix.row : NULL,
                       .row = matrix.row * (1 + IS_COMPLEX),
                       .column = matrix.column * (1 + IS_COMPLEX),
                       .conjugated = conjugated,
                       .panel = t->panels + i * t->block_size,
                       .stride = lane_stride(rows, t->ops->lanes),
                       .work = t->work};
}

/* The stacked R_i, in packed storage. */
static row_block_t stacked_block(const tall_t *t) {
  const int64_t rows = t->blocks * t->n, parts = 1 + IS_COMPLEX;
  return (row_block_t){
      rows, t->n, t->stacked, parts, rows * parts, 0, t->stacked_panel, lane_stride(rows, t->ops->lanes), t->work};
}

/* The caller's rows = Q R: R, divided by a power of two, goes to `to`, with zeros below.  Returns the largest entry of
 * these rows; NaN, and no R, if it is not finite. */
static double factor_rows(const tall_t *t, const row_block_t *block, void *tau, T *to, int64_t ld) {
  const int64_t n = t->n;
  const panel_t panel = {block->rows, n, block->stride, block->panel, t->triangle, tau, t->y, NULL};
  const double largest = t->ops->load(block);
  if (!isfinite(largest))
    return largest;
  t->ops->factor(&panel);
  for (int64_t j = 0; j < n; j++) {
    memcpy(to + j * ld, t->triangle + j * n, (size_t)(j + 1) * sizeof(T));
    memset(to + j * ld + j + 1, 0, (size_t)(n - j - 1) * sizeof(T));
  }
  return largest;
}

static int exponent_of(double largest) {
  int exponent = 1;
  if (largest > 0)
    (void)frexp(largest, &exponent);
  return exponent - 1;
}

/* Brings the stacked R_i to the scale of the largest block. */
static void scale_stacked(const tall_t *t, int exponent) {
  const int64_t n = t->n, stacked = t->blocks * n;
  for (int64_t i = 0; i < t->blocks; i++) {
    const int difference = exponent_of(t->largest[i]) - exponent;
    const R factor = t->largest[i] > 0 ? (R)ldexp(1, difference) : 0;
    for (int64_t j = 0; j < n && factor != 1; j++)
      for (int64_t l = 0; l <= j; l++)
        t->stacked[j * stacked + i * n + l] *= factor;
  }
}

/* Puts R of 2^-exponent A into t->core.A.  Returns 0 if an entry of A is not finite. */
static int tall_factor(const tall_t *t, place_t A, int conjugated, int *exponent) {
  const int64_t n = t->n;
  const int single = t->blocks == 1;
  double largest = 0;
  for (int64_t i = 0; i < t->blocks; i++) {
    const row_block_t block = tall_block(t, i, A, conjugated);
    T *to = single ? t->core.A : t->stacked + i * n;
    t->largest[i] = factor_rows(t, &block, t->tau + i * n, to, single ? n : t->blocks * n);
    if (!isfinite(t->largest[i]))
      return 0;
    largest = t->largest[i] > largest ? t->largest[i] : largest;
  }
  *exponent = exponent_of(largest);
  if (!single) {
    const row_block_t stacked = stacked_block(t);
    scale_stacked(t, *exponent);
    *exponent += exponent_of(factor_rows(t, &stacked, t->stacked_tau, t->core.A, n));
  }
  return 1;
}

/* SVD of t->core.A by the bidiagonal path, or by gesdd.  Returns 0 if it did not converge. */
static int tall_core_svd(const tall_t *t, const cpu_svd_plan_t *plan, const bidiagonal_t *b) {
  const size_t n = (size_t)t->n;
  const gesdd_ops_t *gesdd = cpu_gesdd[plan->p->dtype];
  if (plan->bidiagonal)
    return bidiagonal_svd(&t->core, b, t->ops);
  if (gesdd->by_dividing(&t->core))
    return 1;
  memcpy(t->core.A, t->triangle, n * n * sizeof(T)); /* the last R; unused below the diagonal */
  for (size_t j = 0; j < n; j++)
    memset(t->core.A + j * n + j + 1, 0, (n - j - 1) * sizeof(T));
  return gesdd->by_qr(&t->core);
}

/* The first `kept` columns of U = diag(Q_i) Q [core.U; 0]. */
static void tall_form(const tall_t *t, place_t U, int64_t kept, int conjugated) {
  const int64_t n = t->n;
  row_product_t product = {.kept = n, .X = t->core.U, .ldx = n, .gram = t->gram, .factor = t->factor};
  if (t->blocks > 1) {
    product.block = stacked_block(t), product.tau = t->stacked_tau;
    t->ops->form(&product);
    product.ldx = t->blocks * n;
  }
  product.kept = kept;
  for (int64_t i = 0; i < t->blocks; i++) {
    product.block = tall_block(t, i, U, conjugated), product.tau = t->tau + i * n;
    product.X = t->blocks > 1 ? t->stacked + i * n : t->core.U;
    t->ops->form(&product);
  }
}

#endif
