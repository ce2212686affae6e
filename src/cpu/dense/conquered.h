/* SPDX-License-Identifier: BSD-3-Clause */
/* The factors of a bidiagonal matrix, by divide and conquer (../conquer), in place of those of A: by decreasing value,
 * V transposed, converted to the element type. */
#ifndef SVDGRAD_DENSE_CONQUERED_H
#define SVDGRAD_DENSE_CONQUERED_H
#include "../conquer/conquer.h"
#include "gesdd.h"

/* Up to so many columns QR iteration, which keeps small singular values of B, takes about as long.  Time of the whole SVD
 * with it over that with divide and conquer, f32 and f64: 1.25 at 8, 1.3 and 1.6 at 12, 1.6 and 1.75 at 16, 1.6 and 1.8
 * at 20, 1.45 and 1.9 at 24 columns (one thread, AVX2 of Zen 3, OpenBLAS 0.3.21, 2026-11-30). */
enum { QR_ITERATION_MOST = 11 };

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
static int conquer_factors(const lapack_svd_t *w, const conquer_t *c) {
  if (!conquer(c))
    return 0;
  for (int64_t j = 0; j < w->n; j++) {
    const int64_t column = conquered_column(c, j);
    const R *u = c->U + column * c->stride;
    w->S[j] = c->d[column];
    for (int64_t i = 0; i < w->n; i++)
      w->U[j * w->m + i] = u[i];
  }
  int64_t j = 0;
  for (; j + STORED <= w->n; j += STORED)
    store_rows(w, c, j, STORED);
  store_rows(w, c, j, w->n - j);
  return 1;
}

#endif
