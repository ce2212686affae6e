/* SPDX-License-Identifier: BSD-3-Clause */
/* The factors of a bidiagonal matrix, by divide and conquer (../conquer), in place of those of A: by decreasing value,
 * V transposed, converted to the element type. */
#ifndef SVDGRAD_DENSE_CONQUERED_H
#define SVDGRAD_DENSE_CONQUERED_H
#include "../conquer/conquer.h"
#include "gesdd.h"

/* Up to so many columns QR iteration takes less time, and keeps small singular values of B. */
enum { QR_ITERATION_MOST = 25 };

enum { STORED = 8 }; /* rows of Vh at once: about a cache line of each column */

static int is_conquered(int64_t n, int vectors) { return vectors && n > QR_ITERATION_MOST; }

/* Rows first .. first + count - 1 of Vh.  `count` is inlined: a constant but for the last rows. */
static inline __attribute__((always_inline)) void store_rows(const lapack_svd_t *w, const conquer_t *c, int64_t first,
                                                             int64_t count) {
  const R *v[STORED] = {NULL};
  for (int64_t l = 0; l < count; l++)
    v[l] = c->V + conquered_column(c, first + l) * c->stride;
  for (int64_t i = 0; i < w->n; i++)
    for (int64_t l = 0; l < count; l++)
      w->Vh[i * w->n + first + l] = v[l][i];
}

/* The SVD of the matrix of c->d and c->e.  Returns 0 if it did not converge. */
static int conquer_factors(const lapack_svd_t *w, const conquer_t *b) {
  conquer_t c = *b;
  c.leading = w->leading;
  if (!conquer(&c))
    return 0;
  for (int64_t j = 0; j < w->n; j++)
    w->S[j] = c.d[conquered_column(&c, j)];
  for (int64_t j = 0; j < w->leading; j++) {
    const R *u = c.U + conquered_column(&c, j) * c.stride;
    for (int64_t i = 0; i < w->n; i++)
      w->U[j * w->m + i] = u[i];
  }
  int64_t j = 0;
  for (; j + STORED <= w->leading; j += STORED)
    store_rows(w, &c, j, STORED);
  store_rows(w, &c, j, w->leading - j);
  return 1;
}

#endif
