/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of a small block, by LAPACK's QR iteration. */
#ifndef SVDGRAD_CONQUER_LEAF_H
#define SVDGRAD_CONQUER_LEAF_H
#include "problem.h"

void REAL_LAPACK(lasdq)(const char *uplo, const int *extra, const int *n, const int *columns, const int *rows,
                        const int *others, R *d, R *e, R *Vh, const int *ldvh, R *U, const int *ldu, R *C,
                        const int *ldc, R *work, int *info, size_t);

/* X = I */
static void set_identity(int64_t n, R *X, int64_t stride) {
  for (int64_t j = 0; j < n; j++) {
    memset(X + j * stride, 0, (size_t)n * sizeof(R));
    X[j * stride + j] = 1;
  }
}

static void sort_leaf(const conquer_t *c, const block_t *b) {
  const R *d = c->d + b->first;
  int64_t *order = c->order + b->first;
  for (int64_t i = 0; i < b->n; i++) {
    int64_t j = i;
    for (; j > 0 && d[order[j - 1]] > d[i]; j--)
      order[j] = order[j - 1];
    order[j] = i;
  }
}

/* Returns 0 if it did not converge. */
static int solve_leaf(const conquer_t *c, const block_t *b) {
  const int n = (int)b->n, columns = n + b->extra, stride = (int)c->stride, none = 0, one = 1;
  R *U = u_column(c, b, 0), unused = 0;
  int info = 0;
  if (columns == 1) { /* without a call, since there may be many */
    R *d = c->d + b->first;
    *U = *d < 0 ? -1 : 1, *v_column(c, b, 0) = 1;
    *d = (R)fabs(*d);
    c->order[b->first] = 0;
    return 1;
  }
  set_identity(n, U, c->stride);
  set_identity(columns, c->leaf_V, columns);
  REAL_LAPACK(lasdq)
  ("U", &b->extra, &n, &columns, &n, &none, c->d + b->first, c->e + b->first, c->leaf_V, &columns, U, &stride, &unused,
   &one, c->leaf_work, &info, 1);
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < columns; i++)
      v_column(c, b, j)[i] = c->leaf_V[i * columns + j];
  sort_leaf(c, b);
  return info == 0;
}

#endif
