/* SPDX-License-Identifier: BSD-3-Clause */
/* Q and P of the reduction A = Q B P^H (bidiagonalize.h), in blocks (rotate_vectors.h): the reflectors are applied to the
 * identity, the last one first, two at a time. A few columns stay in the cache for all reflectors. */
#ifndef SVDGRAD_MANY_FORM_VECTORS_H
#define SVDGRAD_MANY_FORM_VECTORS_H
#include "bidiagonalize.h"
#include "rotate_vectors.h"

enum { BLOCK_ELEMENTS = BLOCK_ROWS / PARTS };

/* Entry (i, c) of a matrix of n columns in blocks, as an element. */
INLINE int64_t block_place(int64_t n, int64_t i, int64_t c) {
  return (i / BLOCK_ELEMENTS * block_width(n) + c) * BLOCK_ELEMENTS + i % BLOCK_ELEMENTS;
}

/* Columns c.. of X <- (I - tau_v v v^H) (I - tau_w w w^H) X; v begins in row `first`, w in the next. */
INLINE void reflect_block_columns(int64_t n, int64_t rows, const R *v, V tau_v, const R *w, V tau_w, E product,
                                  int64_t first, int64_t c, int columns, R *X) {
  const E zero = from_real((V){0}), top = load(v, first);
  E along_v[REDUCED], along_w[REDUCED];
  UNROLL
  for (int q = 0; q < columns; q++) {
    along_v[q] = add_conjugate_product(zero, top, load(X, block_place(n, first, c + q)));
    along_w[q] = zero;
  }
  for (int64_t i = first + 1; i < rows; i++) {
    const E v_i = load(v, i), w_i = load(w, i);
    const R *x = element_at(X, block_place(n, i, c));
    UNROLL
    for (int q = 0; q < columns; q++) {
      const E y = load(x, q * BLOCK_ELEMENTS);
      along_v[q] = add_conjugate_product(along_v[q], v_i, y);
      along_w[q] = add_conjugate_product(along_w[q], w_i, y);
    }
  }
  UNROLL
  for (int q = 0; q < columns; q++) {
    along_w[q] = scaled(-tau_w, along_w[q]);
    along_v[q] = scaled(-tau_v, add_conjugate_product(along_v[q], product, along_w[q]));
    const int64_t at = block_place(n, first, c + q);
    store(X, at, add_product(load(X, at), along_v[q], top));
  }
  for (int64_t i = first + 1; i < rows; i++) {
    const E v_i = load(v, i), w_i = load(w, i);
    R *x = element_at(X, block_place(n, i, c));
    UNROLL
    for (int q = 0; q < columns; q++)
      store(x, q * BLOCK_ELEMENTS,
            add_product(add_product(load(x, q * BLOCK_ELEMENTS), along_v[q], v_i), along_w[q], w_i));
  }
}

/* A product of reflectors, H_0 H_1 ...: H_j has the vector in column j of Y, from row j + shift on. */
typedef struct reflectors {
  int64_t rows, count, shift;
  const R *Y, *tau;
  R *product; /* count: of H_j and H_(j+1) for even j, w^H v */
} reflectors_t;

INLINE void multiply_vectors(const reflectors_t *f) {
  for (int64_t j = 0; j + 1 < f->count; j += 2) {
    const R *v = element_at(f->Y, j * f->rows), *w = element_at(v, f->rows);
    E product = from_real((V){0});
    for (int64_t i = j + f->shift + 1; i < f->rows; i++)
      product = add_conjugate_product(product, load(w, i), load(v, i));
    store(f->product, j, product);
  }
}

/* Columns c..end of X, by H_j (I - tau w w^H). */
INLINE void reflect_some(const reflectors_t *f, int64_t n, int64_t j, const R *w, V tau_w, E product, int64_t c,
                         int64_t end, R *X) {
  const R *v = element_at(f->Y, j * f->rows);
  const V tau_v = load_real(f->tau + j * LANES);
  for (; c + REDUCED <= end; c += REDUCED)
    reflect_block_columns(n, f->rows, v, tau_v, w, tau_w, product, j + f->shift, c, REDUCED, X);
  for (; c < end; c++)
    reflect_block_columns(n, f->rows, v, tau_v, w, tau_w, product, j + f->shift, c, 1, X);
}

enum { FORMED = 4 * REDUCED }; /* columns that stay in the cache */

/* Columns c..end of X.  Reflectors that begin below the last of them do not change them yet. */
INLINE void form_columns(const reflectors_t *f, int64_t n, int64_t c, int64_t end, R *X) {
  const int64_t reached = (end - f->shift + 1) / 2 * 2, count = reached < f->count ? reached : f->count;
  const V zero = {0};
  if (count % 2) /* the last one, alone */
    reflect_some(f, n, count - 1, element_at(f->Y, (count - 1) * f->rows), zero, from_real(zero), c, end, X);
  for (int64_t j = count / 2 * 2 - 2; j >= 0; j -= 2)
    reflect_some(f, n, j, element_at(f->Y, (j + 1) * f->rows), load_real(f->tau + (j + 1) * LANES), load(f->product, j),
                 c, end, X);
}

/* X, rows-by-n in blocks, <- the product times diag(phase). */
NOINLINE void form_vectors(const reflectors_t *f, int64_t n, const R *phases, R *X) {
  const E zero = from_real((V){0});
  multiply_vectors(f);
  for (int64_t i = 0; i < f->rows; i++)
    for (int64_t c = 0; c < n; c++)
      store(X, block_place(n, i, c), i == c ? load(phases, c) : zero);
  for (int64_t c = 0; c < n; c += FORMED)
    form_columns(f, n, c, c + FORMED < n ? c + FORMED : n, X);
}

#endif
