/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies of the operands of a product, in the order in which tiles read them (product_tile.h):
 *
 *   A  for each register of rows its terms one after the other
 *   B  for each term the columns of one tile one after the other */
#ifndef SVDGRAD_ONE_PRODUCT_PACK_H
#define SVDGRAD_ONE_PRODUCT_PACK_H
#include "../memory/chunks.h"
#include "functions/group.h"

enum { REGISTER_ROWS = LANES / PARTS }; /* elements of a register */

/* op(A) from row i and term l on, op(B) from term l and column j on. */
INLINE const T *a_entry(const group_product_t *p, int64_t i, int64_t l) {
  return (const T *)p->A + (p->hermitian_a ? i * p->lda + l : l * p->lda + i);
}
INLINE const T *b_entry(const group_product_t *p, int64_t l, int64_t j) {
  return (const T *)p->B + (p->hermitian_b ? l * p->ldb + j : j * p->ldb + l);
}

/* Terms l .. of the rows from i on that fill a register; with fewer rows than that, zeros fill the rest. */
INLINE void pack_few_rows(const group_product_t *p, int64_t i, int64_t rows, int64_t l, int64_t terms, R *to) {
  memset(to, 0, (size_t)terms * sizeof(V));
  for (int64_t t = 0; t < terms; t++)
    for (int64_t r = 0; r < rows; r++)
      memcpy(to + t * LANES + r * PARTS, a_entry(p, i + r, l + t), sizeof(T));
}

INLINE void pack_columns(const group_product_t *p, int64_t i, int64_t l, int64_t terms, R *to) {
  for (int64_t t = 0; t < terms; t++)
    store_real(to + t * LANES, load_real((const R *)a_entry(p, i, l + t)));
}

/* Rows of A^H are columns of A. */
INLINE void pack_transposed(const group_product_t *p, int64_t i, int64_t l, int64_t terms, R *to) {
  int64_t t = 0;
#if !IS_COMPLEX
  for (; t + WIDE <= terms; t += WIDE)
    wide_chunk_in((const R *)a_entry(p, i, l + t), p->lda, to + t * LANES);
#endif
  for (; t < terms; t++)
    UNROLL
  for (int r = 0; r < REGISTER_ROWS; r++)
    memcpy(to + t * LANES + r * PARTS, a_entry(p, i + r, l + t), sizeof(T));
}

INLINE void pack_rows(const group_product_t *p, int64_t i, int64_t rows, int64_t l, int64_t terms, R *to) {
  if (rows < REGISTER_ROWS)
    pack_few_rows(p, i, rows, l, terms, to);
  else if (p->hermitian_a)
    pack_transposed(p, i, l, terms, to);
  else
    pack_columns(p, i, l, terms, to);
}

/* `columns` is inlined: a constant in the usual case. */
INLINE void pack_sliver(const group_product_t *p, int64_t l, int64_t terms, int64_t j, int columns, R *to) {
  for (int64_t t = 0; t < terms; t++)
    UNROLL
  for (int c = 0; c < columns; c++)
    memcpy(to + (t * columns + c) * PARTS, b_entry(p, l + t, j + c), sizeof(T));
}

#endif
