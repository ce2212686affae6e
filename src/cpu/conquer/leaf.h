/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of a small block, or of the whole matrix, by QR iteration. */
#ifndef SVDGRAD_CONQUER_LEAF_H
#define SVDGRAD_CONQUER_LEAF_H
#include "qr_iteration.h"

/* X = I, in `rows` rows, of which those behind n are zero. */
static void set_identity(int64_t n, R *X, int64_t stride) {
  memset(X, 0, (size_t)(n * stride) * sizeof(R));
  for (int64_t j = 0; j < n; j++)
    X[j * stride + j] = 1;
}

/* order: the columns by increasing value. */
static void sort_values(int64_t n, const R *d, int64_t *order) {
  for (int64_t i = 0; i < n; i++) {
    int64_t j = i;
    for (; j > 0 && d[order[j - 1]] > d[i]; j--)
      order[j] = order[j - 1];
    order[j] = i;
  }
}

/* Returns 0 if it did not converge. */
static int solve_leaf(const conquer_t *c, const block_t *b) {
  const int64_t columns = b->n + b->extra;
  const qr_iteration_t q = {.ops = c->ops,
                            .n = b->n,
                            .extra = b->extra,
                            .d = c->d + b->first,
                            .e = c->e + b->first,
                            .U = c->leaf_U,
                            .V = c->leaf_V,
                            .stride = c->leaf_stride,
                            .work = c->leaf_work};
  if (columns == 1) { /* there may be many */
    *u_column(c, b, 0) = *q.d < 0 ? -1 : 1, *v_column(c, b, 0) = 1;
    *q.d = (R)fabs(*q.d);
    c->order[b->first] = 0;
    return 1;
  }
  set_identity(b->n, q.U, q.stride);
  set_identity(columns, q.V, q.stride);
  const int converged = iterate_qr(&q);
  for (int64_t j = 0; j < b->n; j++)
    memcpy(u_column(c, b, j), q.U + j * q.stride, (size_t)b->n * sizeof(R));
  for (int64_t j = 0; j < columns; j++)
    memcpy(v_column(c, b, j), q.V + j * q.stride, (size_t)columns * sizeof(R));
  sort_values(b->n, q.d, c->order + b->first);
  return converged;
}

/* The matrix of c->d and c->e.  Returns 0 if it did not converge. */
static int solve_without_dividing(const conquer_t *c) {
  const qr_iteration_t q = {
      .ops = c->ops, .n = c->n, .d = c->d, .e = c->e, .U = c->U, .V = c->V, .stride = c->stride, .work = c->leaf_work};
  set_identity(q.n, q.U, q.stride);
  set_identity(q.n, q.V, q.stride);
  const int converged = iterate_qr(&q);
  sort_values(q.n, q.d, c->order);
  return converged;
}

#endif
