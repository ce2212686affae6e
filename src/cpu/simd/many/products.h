/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of matrices of a group, in blocks whose sums stay in registers. */
#ifndef SVDGRAD_SIMD_PRODUCTS_H
#define SVDGRAD_SIMD_PRODUCTS_H
#include "../memory/operands.h"

/* A factor of a product: element (i, l) is element i * outer + l * inner of the array; the sum runs over l. */
typedef struct factor {
  const R *data;
  int64_t outer, inner;
} factor_t;

/* out(i, j) = sum_l x(i, l) y(j, l), plus what `out` holds if `add` is set: added last, so that the error of a product over
 * many tiles grows with their number, not with that of all its terms. */
typedef struct product {
  factor_t x, y;
  tile_t out;
  int64_t rows, columns, depth;
  int add;
  ahead_t *ahead;
} product_t;

/* Stores the block-by-block elements from (row, column) on, as far as they exist. */
INLINE void store_block(const product_t *p, int64_t row, int64_t column, int block, E (*sum)[4]) {
  UNROLL
  for (int i = 0; i < block; i++) {
    UNROLL
    for (int j = 0; j < block; j++) {
      const int64_t element = (row + i) * p->out.row + (column + j) * p->out.column;
      if (row + i >= p->rows || column + j >= p->columns)
        continue;
      store(p->out.data, element, p->add ? add(load(p->out.data, element), sum[i][j]) : sum[i][j]);
    }
  }
}

/* The sums of the block-by-block elements from (row, column) on.  Elements beyond the edge repeat the last row or
 * column and are not stored. */
INLINE void multiply_block(const product_t *p, int64_t row, int64_t column, int block, int conjugated) {
  enum { MOST = 4 };
  E sum[MOST][MOST];
  const R *x[MOST], *y[MOST];
  UNROLL
  for (int i = 0; i < block; i++) {
    x[i] = element_at(p->x.data, (row + i < p->rows ? row + i : p->rows - 1) * p->x.outer);
    y[i] = element_at(p->y.data, (column + i < p->columns ? column + i : p->columns - 1) * p->y.outer);
  }
  UNROLL
  for (int i = 0; i < MOST; i++) {
    UNROLL
    for (int j = 0; j < MOST; j++)
      sum[i][j] = from_real((V){0});
  }
  for (int64_t l = 0; l < p->depth; l++) {
    E a[MOST];
    UNROLL
    for (int i = 0; i < block; i++)
      a[i] = load(x[i], l * p->x.inner);
    UNROLL
    for (int j = 0; j < block; j++) {
      const E b = load(y[j], l * p->y.inner);
      UNROLL
      for (int i = 0; i < block; i++)
        sum[i][j] = conjugated ? add_conjugate_product(sum[i][j], a[i], b) : add_product(sum[i][j], a[i], b);
    }
  }
  store_block(p, row, column, block, sum);
}

INLINE void multiply_blocks(const product_t *p, int block, int conjugated) {
  for (int64_t column = 0; column < p->columns; column += block)
    for (int64_t row = 0; row < p->rows; row += block) {
      if (p->ahead)
        ahead_step(p->ahead);
      multiply_block(p, row, column, block, conjugated);
    }
}

/* The largest block whose sums fit into the registers. */
enum { MOST_BLOCK = (VECTOR_REGISTERS == 32 ? 4 : 3) - IS_COMPLEX };

/* The size of block with the least work for n columns: 3 x 3 blocks for 9 columns, but 4 x 4 blocks for 8. */
INLINE int block_for(int64_t n) {
  int best = MOST_BLOCK;
  for (int block = best - 1; block > 1; block--)
    if ((n + block - 1) / block * block < (n + best - 1) / best * best)
      best = block;
  return n == 1 ? 1 : best;
}

INLINE void multiply_any(const product_t *p, int conjugated) {
  switch (block_for(p->columns)) {
  case 1: multiply_blocks(p, 1, conjugated); break;
  case 2: multiply_blocks(p, 2, conjugated); break;
  case 3: multiply_blocks(p, 3, conjugated); break;
#if VECTOR_REGISTERS == 32 && !IS_COMPLEX
  case 4: multiply_blocks(p, 4, conjugated); break;
#endif
  }
}

NOINLINE void multiply_plain(const product_t *p) { multiply_any(p, 0); }

#if IS_COMPLEX
NOINLINE void multiply_conjugated(const product_t *p) { multiply_any(p, 1); }
#endif

/* `fixed`: the size of block, known at compile time, or 0. */
INLINE void multiply(const product_t *p, int conjugated, int fixed) {
  if (fixed)
    multiply_blocks(p, fixed, conjugated);
#if IS_COMPLEX
  else if (conjugated)
    multiply_conjugated(p);
#endif
  else
    multiply_plain(p);
}

INLINE factor_t rows_of(const tile_t *x) { return (factor_t){x->data, x->row, x->column}; }
INLINE factor_t columns_of(const tile_t *x) { return (factor_t){x->data, x->column, x->row}; }

#endif
