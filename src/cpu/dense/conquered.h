/* SPDX-License-Identifier: BSD-3-Clause */
/* The factors of a bidiagonal matrix, by divide and conquer (../conquer), in place of those of A: by decreasing value,
 * V transposed, converted to the element type. */
#ifndef SVDGRAD_DENSE_CONQUERED_H
#define SVDGRAD_DENSE_CONQUERED_H
#include "../conquer/conquer.h"
#include "gesdd.h"

/* Up to so many columns QR iteration takes less time, and keeps small singular values of B. */
enum { QR_ITERATION_MOST = 25 };

enum { STORED = 8 }; /* columns at once */

static int is_conquered(int64_t n, int vectors) { return vectors && n > QR_ITERATION_MOST; }

/* Columns first .. of U, rows first .. of Vh: a square tile of V and Vh at a time is in use. */
static void store_columns(const lapack_svd_t *w, const conquer_t *c, int64_t first, int64_t count) {
  const R *v[STORED];
  for (int64_t l = 0; l < count; l++) {
    const int64_t column = conquered_column(c, first + l);
    const R *u = c->U + column * c->stride;
    T *to = w->U + (first + l) * w->m;
    v[l] = c->V + column * c->stride;
    for (int64_t i = 0; i < w->n; i++)
      to[i] = u[i];
  }
  for (int64_t l = count; l < STORED; l++)
    v[l] = v[0];
  for (int64_t i = 0; i < w->n; i++) {
    T *to = w->Vh + i * w->n + first;
    if (count == STORED)
      for (int64_t l = 0; l < STORED; l++)
        to[l] = v[l][i];
    else
      for (int64_t l = 0; l < count; l++)
        to[l] = v[l][i];
  }
}

/* The SVD of the matrix of c->d and c->e.  Returns 0 if it did not converge. */
static int conquer_factors(const lapack_svd_t *w, const conquer_t *c) {
  if (!conquer(c))
    return 0;
  for (int64_t j = 0; j < w->n; j++)
    w->S[j] = c->d[conquered_column(c, j)];
  for (int64_t j = 0; j < w->n; j += STORED)
    store_columns(w, c, j, w->n - j < STORED ? w->n - j : STORED);
  return 1;
}

#endif
