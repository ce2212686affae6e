/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocked QR factorization of one tall matrix (G. H. Golub and C. F. Van Loan, Matrix Computations, 5.2).  The kernel
 * of simd/one/panel.h factorizes a panel; the columns on its right are multiplied by the panel's Q^H
 * (reflectors.h). */
#ifndef SVDGRAD_DENSE_QR_H
#define SVDGRAD_DENSE_QR_H
#include "reflectors.h"

typedef struct qr {
  T *triangles;       /* BLOCK-by-n: T of each block, side by side */
  T *upper, *tau, *y; /* of one panel */
  R *panel;
  int64_t stride; /* of the panel */
  block_work_t block;
  team_t *team;
} qr_t;

static qr_t qr_take(arena_t *arena, int64_t m, int64_t n, int lanes, const products_t *products) {
  qr_t q = {.stride = lane_stride(m, lanes), .team = products->team};
  q.triangles = arena_take(arena, BLOCK * n, sizeof(T));
  q.tau = arena_take(arena, BLOCK, sizeof(T));
  q.upper = arena_take(arena, BLOCK * BLOCK, sizeof(T));
  q.y = arena_take(arena, 2 * BLOCK, sizeof(T));
  q.panel = arena_take(arena, q.stride * (n < BLOCK ? n : BLOCK), sizeof(R));
  q.block = block_work_take(arena, m, n, n, products);
  return q;
}

/* A = Q R, m >= n: R replaces the upper triangle of A; below lie the v of the reflectors, 1 on the diagonal. */
static void factor_tall(int64_t m, int64_t n, T *A, const qr_t *q, const reflector_ops_t *ops) {
  for (int64_t first = 0; first < n; first += BLOCK) {
    const int64_t count = n - first < BLOCK ? n - first : BLOCK, rows = m - first, rest = n - first - count;
    T *block = A + first * m + first;
    const panel_t panel = {rows, count, q->stride, q->panel, q->upper, q->tau, q->y, q->team};
    for (int64_t j = 0; j < count; j++)
      to_lanes(q->panel + j * q->stride, q->stride, block + j * m, rows, ops->lanes);
    ops->factor(&panel);
    const reflectors_t H = {rows, count, 0, q->tau, NULL, q->panel, q->stride, ops};
    make_block(&H, 0, count, &q->block);
    if (rest > 0)
      reflect_block(rows, count, rest, 1, block + count * m, m, &q->block);
    for (int64_t j = 0; j < count; j++) {
      memcpy(block + j * m, q->upper + j * count, (size_t)(j + 1) * sizeof(T));
      memcpy(block + j * m + j + 1, q->block.V + j * rows + j + 1, (size_t)(rows - j - 1) * sizeof(T));
      memcpy(q->triangles + (first + j) * BLOCK, q->block.triangle + j * count, (size_t)count * sizeof(T));
    }
  }
}

#endif
