/* SPDX-License-Identifier: BSD-3-Clause */
/* The factors of a bidiagonal matrix, by divide and conquer (../conquer), in place of those of A: by decreasing value, V
 * transposed, converted to the element type. */
#ifndef SVDGRAD_DENSE_CONQUERED_H
#define SVDGRAD_DENSE_CONQUERED_H
#include "../conquer/conquer.h"
#include "gesdd.h"

/* Up to so many columns QR iteration takes less time, and keeps small singular values of B. */
enum { QR_ITERATION_MOST = 25 };

static int is_conquered(int64_t n, int vectors) { return vectors && n > QR_ITERATION_MOST; }

/* Rows first .. of Vh, in square tiles: of V and of Vh a few columns are in use at a time. */
static void transpose_rows(const lapack_svd_t *w, const conquer_t *c, int64_t first) {
  enum { TILE = 8 };
  const int64_t n = w->n, count = n - first < TILE ? n - first : TILE;
  const R *v[TILE];
  for (int64_t l = 0; l < count; l++)
    v[l] = c->V + conquered_column(c, first + l) * c->stride;
  for (int64_t i = 0; i < n; i++)
    for (int64_t l = 0; l < count; l++)
      w->Vh[i * n + first + l] = v[l][i];
  for (int64_t l = 0; l < count; l++) {
    const int64_t column = conquered_column(c, first + l);
    const R *u = c->U + column * c->stride;
    T *to = w->U + (first + l) * w->m;
    w->S[first + l] = c->d[column];
    for (int64_t i = 0; i < n; i++)
      to[i] = u[i];
  }
}

/* The SVD of the matrix of c->d and c->e.  Returns 0 if it did not converge. */
static int conquer_factors(const lapack_svd_t *w, const conquer_t *c) {
  if (!conquer(c))
    return 0;
  for (int64_t j = 0; j < w->n; j += 8)
    transpose_rows(w, c, j);
  return 1;
}

#endif
