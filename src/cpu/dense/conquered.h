/* SPDX-License-Identifier: BSD-3-Clause */
/* The factors of a bidiagonal matrix, by divide and conquer (../conquer), in place of those of A: by decreasing value,
 * V transposed, converted to the element type. */
#ifndef SVDGRAD_DENSE_CONQUERED_H
#define SVDGRAD_DENSE_CONQUERED_H
#include "../conquer/conquer.h"
#include "copy.h"
#include "arrays.h"

enum { STORED = 8 }; /* rows of Vh at once: about a cache line of each column */
_Static_assert(SHARED_LINES % STORED == 0, "pieces of whole rows");

/* Rows first .. first + count - 1 of Vh.  `count` is inlined: a constant but for the last rows. */
static inline __attribute__((always_inline)) void store_rows(const dense_svd_t *w, const conquer_t *c, int64_t first,
                                                             int64_t count) {
  const R *v[STORED] = {NULL};
  for (int64_t l = 0; l < count; l++)
    v[l] = c->V + conquered_column(c, first + l) * c->stride;
  for (int64_t i = 0; i < w->n; i++)
    for (int64_t l = 0; l < count; l++)
      w->Vh[i * w->n + first + l] = v[l][i];
}

typedef struct store {
  const dense_svd_t *w;
  const conquer_t *c;
} store_t;

/* All values; the leading columns of U, and rows of Vh. */
static void store_piece(const void *argument, int64_t piece) {
  const store_t *store = argument;
  const dense_svd_t *w = store->w;
  const conquer_t *c = store->c;
  const int64_t all = lines_end(piece, w->n), end = lines_end(piece, w->leading);
  int64_t j = piece * SHARED_LINES;
  for (int64_t i = j; i < all; i++)
    w->S[i] = c->d[conquered_column(c, i)];
  for (int64_t i = j; i < end; i++)
    for (int64_t l = 0; l < w->n; l++)
      w->U[i * w->m + l] = c->U[conquered_column(c, i) * c->stride + l];
  for (; j + STORED <= end; j += STORED)
    store_rows(w, c, j, STORED);
  if (j < end)
    store_rows(w, c, j, end - j);
}

/* The SVD of the matrix of d and e.  Returns 0 if it did not converge. */
static int conquer_factors(const dense_svd_t *w, const conquer_t *whole, const R *d, const R *e) {
  conquer_t c = *whole;
  c.leading = w->leading;
  const store_t store = {w, &c};
  if (!conquer(&c, d, e))
    return 0;
  share_lines(c.team, w->n, 2 * w->n, store_piece, &store);
  return 1;
}

#endif
