/* SPDX-License-Identifier: BSD-3-Clause */
/* SVD of one tall matrix by reduction to bidiagonal form.  The kernel of simd/one/bidiagonal.h computes A = Q B P^H,
 * after a QR factorization if A is much taller than wide (T. F. Chan, ACM Trans. Math. Softw. 8, 1982).  Its SVD,
 * or its singular values alone, are those of ../conquer.  The factors of B are multiplied by Q and P in blocks. */
#ifndef SVDGRAD_DENSE_BIDIAGONAL_H
#define SVDGRAD_DENSE_BIDIAGONAL_H
#include "cpu/cpu_kernels.h"
#include "../conquer/values.h"
#include "conquered.h"
#include "copy.h"
#include "arrays.h"
#include "qr.h"
#include "base/fp_environment.h"

typedef struct bidiagonal {
  int64_t rows; /* of the reduced matrix: n after a QR factorization, else m */
  reduction_t reduction;
  qr_t qr;
  conquer_t conquer;
  values_work_t values;
  block_work_t block;
} bidiagonal_t;

/* From this ratio m / n on, a QR factorization comes first.  Measured at 80, 150 and 300 columns, the crossover lies
 * between 2 and 6. */
static int is_much_taller(int64_t m, int64_t n) { return m >= 3 * n; }

static bidiagonal_t bidiagonal_take(arena_t *arena, int64_t m, int64_t n, const cpu_svd_plan_t *plan) {
  const int vectors = plan->vectors, lanes = plan->bidiagonal->lanes;
  bidiagonal_t b = {.rows = is_much_taller(m, n) ? n : m};
  reduction_t *r = &b.reduction;
  *r = (reduction_t){.m = b.rows, .n = n, .a_stride = lane_stride(b.rows, lanes)};
  const int64_t p_stride = lane_stride(n, lanes);
  r->p_stride = vectors ? p_stride : 0;
  r->A = arena_take(arena, r->a_stride * n, sizeof(R));
  r->P = arena_take(arena, vectors ? p_stride * n : p_stride, sizeof(R));
  r->d = arena_take(arena, n, sizeof(R));
  r->e = arena_take(arena, n, sizeof(R));
  r->tau_q = arena_take(arena, n, sizeof(T));
  r->tau_p = arena_take(arena, n, sizeof(T));
  r->x = arena_take(arena, r->a_stride, sizeof(R));
  r->w = arena_take(arena, r->a_stride, sizeof(R));
  r->y = arena_take(arena, n, sizeof(T));
  r->partial = arena_take(arena, (reduction_blocks(n, n) - 1) * r->a_stride, sizeof(R));
  r->along = arena_take(arena, reduction_blocks(n, n), sizeof(T));
  r->met = arena_take(arena, reduction_blocks(n, n), sizeof *r->met);
  r->team = plan->team;
  products_t products = products_take(arena, plan->bidiagonal->products, sizeof(T), m, product_slots(m, n));
  products.team = plan->team;
  if (b.rows < m)
    b.qr = qr_take(arena, m, n, lanes, &products);
  if (vectors) {
    b.conquer = conquer_take(arena, n, plan->conquer);
    b.conquer.team = b.conquer.secular.team = b.conquer.products.team = plan->team;
    b.block = block_work_take(arena, b.rows, n, n, &products);
  } else {
    b.values = values_take(arena, n);
  }
  return b;
}

typedef struct fill {
  const dense_svd_t *w;
  const bidiagonal_t *b;
  int lanes;
} fill_t;

static void fill_piece(const void *argument, int64_t piece) {
  const fill_t *fill = argument;
  const dense_svd_t *w = fill->w;
  const bidiagonal_t *b = fill->b;
  const reduction_t *r = &b->reduction;
  for (int64_t j = piece * SHARED_LINES; j < lines_end(piece, r->n); j++) {
    const T *from = w->A + j * w->m;
    const int64_t rows = b->rows < w->m ? j + 1 : b->rows;
    to_lanes((R *)r->A + j * r->a_stride, r->a_stride, from, rows, fill->lanes);
  }
}

/* Copies w->A, or R in its upper triangle, to the SIMD layout of b->reduction.A. */
static void fill_lanes(const dense_svd_t *w, const bidiagonal_t *b, int lanes) {
  const fill_t fill = {w, b, lanes};
  share_lines(b->reduction.team, b->reduction.n, b->rows, fill_piece, &fill);
}

/* S; and the factors of B where those of A will be, converted to the element type. */
static int solve_bidiagonal(const dense_svd_t *w, const bidiagonal_t *b) {
  const reduction_t *r = &b->reduction;
  return w->U ? conquer_factors(w, &b->conquer, r->d, r->e) : bidiagonal_values(&b->values, r->d, r->e, w->S);
}

static void multiply_factors(const dense_svd_t *w, const bidiagonal_t *b, const reflector_ops_t *ops) {
  const reduction_t *r = &b->reduction;
  const reflectors_t H = {r->m, r->n, 0, r->tau_q, NULL, r->A, r->a_stride, ops};
  const reflectors_t G = {r->n, r->n - 1, 1, r->tau_p, NULL, r->P, r->p_stride, ops};
  multiply_left(&H, w->leading, w->U, w->m, &b->block);
  multiply_right(&G, w->leading, w->Vh, w->n, &b->block);
  if (b->rows < w->m) {
    const reflectors_t Q = {w->m, w->n, 0, NULL, b->qr.triangles, w->A, w->m * (1 + IS_COMPLEX), NULL};
    multiply_left(&Q, w->leading, w->U, w->m, &b->qr.block);
  }
}

/* SVD of w->A, whose largest entry is near 1 and which is destroyed.  Returns 0 if that of B did not converge.  What is
 * left of a matrix of low rank, such as one of equal entries, shrinks by a factor of eps in each step of the reduction. */
static int bidiagonal_svd(const dense_svd_t *w, const bidiagonal_t *b, const reflector_ops_t *ops) {
  WITHOUT_SUBNORMALS;
  if (b->rows < w->m)
    factor_tall(w->m, w->n, w->A, &b->qr, ops);
  fill_lanes(w, b, ops->lanes);
  ops->reduce(&b->reduction);
  if (!solve_bidiagonal(w, b))
    return 0;
  for (int64_t j = 0; j < w->leading && w->U; j++) /* below U */
    memset(w->U + j * w->m + w->n, 0, (size_t)(w->m - w->n) * sizeof(T));
  if (w->U)
    multiply_factors(w, b, ops);
  return 1;
}

#endif
