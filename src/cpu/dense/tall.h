/* SPDX-License-Identifier: BSD-3-Clause */
/* SVD of one matrix with more rows than LAPACK can count, by tall-skinny QR (J. Demmel, L. Grigori, M. Hoemmen, J.
 * Langou, SIAM J. Sci. Comput. 34, 2012): our own QR factorizes blocks of rows, A_i = Q_i R_i, then the stacked R_i.
 * The n-by-n R of that is solved like any square matrix.  Sums run over one block only: over all rows, single precision
 * would lose most of its digits where terms are alike. */
#ifndef SVDGRAD_DENSE_TALL_H
#define SVDGRAD_DENSE_TALL_H
#include "bidiagonal.h"

typedef struct tall {
  lapack_svd_t core;          /* n-by-n */
  int64_t block_rows, blocks; /* the last block also has the remaining rows */
  T *packed, *triangles;      /* each A_i with its triangles; values alone: one block at a time */
  T *stacked, *stacked_U;     /* blocks * n by n: the stacked R_i, and their left factor */
  T *stacked_triangles;
  qr_t qr;
  int vectors;
} tall_t;

enum { TALL_ROWS = 8192 };

static tall_t tall_take(arena_t *arena, int64_t m, int64_t n, int vectors, int lwork, int lanes) {
  tall_t t = {.block_rows = n > TALL_ROWS / 32 ? 32 * n : TALL_ROWS, .vectors = vectors};
  t.blocks = m < t.block_rows ? 1 : m / t.block_rows;
  const int64_t stacked = t.blocks * n, rows = stacked > 2 * t.block_rows ? stacked : 2 * t.block_rows;
  t.core = lapack_svd_take(arena, n, n, vectors, lwork);
  t.packed = arena_take(arena, vectors ? m * n : 2 * t.block_rows * n, sizeof(T));
  t.triangles = arena_take(arena, (vectors ? t.blocks : 1) * BLOCK * n, sizeof(T));
  t.stacked = arena_take(arena, stacked * n, sizeof(T));
  t.stacked_U = arena_take(arena, vectors ? stacked * n : 0, sizeof(T));
  t.stacked_triangles = arena_take(arena, BLOCK * n, sizeof(T));
  t.qr = qr_take(arena, rows, n, lanes);
  return t;
}

/* The arrays of the tall matrix itself: U overwrites A; S and Vh are those of the core. */
static lapack_svd_t tall_matrix_take(arena_t *arena, int64_t m, int64_t n, const tall_t *t) {
  lapack_svd_t w = {.m = (int)m, .n = (int)n, .mn = (int)n, .S = t->core.S, .Vh = t->core.Vh};
  w.A = arena_take(arena, m * n, sizeof(T));
  w.U = t->vectors ? w.A : NULL;
  return w;
}

/* Copies R of a factorized matrix, with zeros below. */
static void copy_triangle(int64_t n, const T *from, int64_t ld_from, T *to, int64_t ld_to) {
  for (int64_t j = 0; j < n; j++) {
    memcpy(to + j * ld_to, from + j * ld_from, (size_t)(j + 1) * sizeof(T));
    memset(to + j * ld_to + j + 1, 0, (size_t)(n - j - 1) * sizeof(T));
  }
}

/* Block i of rows in t->packed: its place and its reflectors. */
static reflectors_t tall_block(const tall_t *t, int64_t m, int64_t n, int64_t i) {
  const int64_t first = i * t->block_rows, rows = i == t->blocks - 1 ? m - first : t->block_rows;
  const int64_t place = t->vectors ? i : 0;
  return (reflectors_t){.rows = rows,
                        .count = n,
                        .triangles = t->triangles + place * BLOCK * n,
                        .V = t->packed + place * t->block_rows * n,
                        .stride = rows * (1 + IS_COMPLEX)};
}

static void factor_blocks(const lapack_svd_t *w, const tall_t *t, const reflector_ops_t *ops) {
  const int64_t m = w->m, n = w->n, stacked = t->blocks * n;
  qr_t qr = t->qr;
  for (int64_t i = 0; i < t->blocks; i++) {
    const reflectors_t block = tall_block(t, m, n, i);
    T *packed = (T *)block.V;
    for (int64_t j = 0; j < n; j++)
      memcpy(packed + j * block.rows, w->A + j * m + i * t->block_rows, (size_t)block.rows * sizeof(T));
    qr.triangles = (T *)block.triangles;
    factor_tall(block.rows, n, packed, &qr, ops);
    copy_triangle(n, packed, block.rows, t->stacked + i * n, stacked);
  }
  qr.triangles = t->stacked_triangles;
  factor_tall(stacked, n, t->stacked, &qr, ops);
}

/* C = [X; 0], `rows` rows in all. */
static void put_on_top(int64_t n, const T *X, int64_t ldx, int64_t rows, T *C, int64_t ldc) {
  for (int64_t j = 0; j < n; j++) {
    memcpy(C + j * ldc, X + j * ldx, (size_t)n * sizeof(T));
    memset(C + j * ldc + n, 0, (size_t)(rows - n) * sizeof(T));
  }
}

/* U = diag(Q_i) Q [core.U; 0] */
static void multiply_blocks(const lapack_svd_t *w, const tall_t *t) {
  const int64_t m = w->m, n = w->n, stacked = t->blocks * n;
  const reflectors_t Q = {stacked, n, 0, NULL, t->stacked_triangles, t->stacked, stacked * (1 + IS_COMPLEX), NULL};
  put_on_top(n, t->core.U, n, stacked, t->stacked_U, stacked);
  multiply_left(&Q, n, t->stacked_U, stacked, &t->qr.block);
  for (int64_t i = 0; i < t->blocks; i++) {
    const reflectors_t block = tall_block(t, m, n, i);
    T *U = w->U + i * t->block_rows;
    put_on_top(n, t->stacked_U + i * n, stacked, block.rows, U, m);
    multiply_left(&block, n, U, m, &t->qr.block);
  }
}

/* SVD of w->A, which is destroyed.  The core is solved by the bidiagonal path, or by gesdd if `b` is NULL.  Returns 0
 * if it did not converge. */
static int tall_svd(const lapack_svd_t *w, const tall_t *t, const bidiagonal_t *b, const reflector_ops_t *ops) {
  const int64_t n = w->n;
  factor_blocks(w, t, ops);
  copy_triangle(n, t->stacked, t->blocks * n, t->core.A, n);
  int converged = b ? bidiagonal_svd(&t->core, b, ops) : lapack_gesdd(&t->core);
  if (!converged) {
    copy_triangle(n, t->stacked, t->blocks * n, t->core.A, n);
    converged = lapack_gesvd(&t->core);
  }
  if (t->vectors)
    multiply_blocks(w, t);
  return converged;
}

#endif
