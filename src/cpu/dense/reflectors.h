/* SPDX-License-Identifier: BSD-3-Clause */
/* Products with blocks of Householder reflectors: H_j .. H_(j+b-1) = I - V T V^H with T upper triangular
 * (R. Schreiber and C. Van Loan, SIAM J. Sci. Stat. Comput. 10, 1989). */
#ifndef SVDGRAD_DENSE_REFLECTORS_H
#define SVDGRAD_DENSE_REFLECTORS_H
#include "base/arena.h"
#include "base/type.h"
#include "../products.h"
#include "../simd/one/reflectors.h"

#include <string.h>

enum { BLOCK = 32 };

/* I - tau_j v_j v_j^H, j = 0 .. count - 1; v_j is zero above row j + shift and 1 in that row. */
typedef struct reflectors {
  int64_t rows, count, shift;
  const T *tau;               /* NULL: `triangles` is given */
  const T *triangles;         /* BLOCK-by-count: T of each block, side by side */
  const void *V;              /* column j: the rest of v_j; entries above it are ignored */
  int64_t stride;             /* reals from one column to the next */
  const reflector_ops_t *ops; /* V has the SIMD layout of these kernels; NULL: V is packed, tau is NULL */
} reflectors_t;

/* Work arrays for products of `count` reflectors, at most `rows` long, with at most `others` rows or columns. */
typedef struct block_work {
  T *V, *gram, *triangle, *product, *triangle_product;
  products_t products;
} block_work_t;

static block_work_t block_work_take(arena_t *arena, int64_t rows, int64_t count, int64_t others,
                                    const products_t *products) {
  const int64_t block = count < BLOCK ? count : BLOCK;
  return (block_work_t){.V = arena_take(arena, rows * block, sizeof(T)),
                        .gram = arena_take(arena, block * block, sizeof(T)),
                        .triangle = arena_take(arena, block * block, sizeof(T)),
                        .product = arena_take(arena, others * block, sizeof(T)),
                        .triangle_product = arena_take(arena, others * block, sizeof(T)),
                        .products = *products};
}

/* Offset of row i in a column of SIMD registers, in reals; the imaginary part is `lanes` reals further. */
static inline int64_t lane_place(int64_t i, int64_t lanes) {
  return (i & -lanes) * (1 + IS_COMPLEX) + (i & (lanes - 1));
}

/* Copies `count` entries to a column of SIMD registers, padded with zeros to `stride` reals; from_lanes() copies
 * `count` entries back, from entry `first` on. */
static void to_lanes(R *to, int64_t stride, const T *from, int64_t count, int64_t lanes) {
  memset(to, 0, (size_t)stride * sizeof(R));
#if IS_COMPLEX
  for (int64_t i = 0; i < count; i++) {
    R *x = to + lane_place(i, lanes);
    x[0] = (R)RE(from[i]), x[lanes] = (R)IM(from[i]);
  }
#else
  (void)lanes;
  memcpy(to, from, (size_t)count * sizeof(T));
#endif
}

static void from_lanes(T *to, const R *from, int64_t first, int64_t count, int64_t lanes) {
#if IS_COMPLEX
  for (int64_t i = 0; i < count; i++) {
    const R *x = from + lane_place(first + i, lanes);
    to[i] = x[0] + (T)I * x[lanes];
  }
#else
  (void)lanes;
  memcpy(to, from + first, (size_t)count * sizeof(T));
#endif
}

/* Length in reals of a column of reduction_t and panel_t: an odd number of registers, so that neighbouring columns do
 * not map to the same cache sets. */
static int64_t lane_stride(int64_t rows, int lanes) {
  return ((rows + lanes - 1) / lanes | 1) * lanes * (1 + IS_COMPLEX);
}

/* A factor, or its conjugate transpose. */
typedef struct factor {
  const T *x;
  int64_t ld;
  int hermitian;
} factor_t;

/* C = alpha op(A) op(B) + beta C; C is m-by-n, k the number of terms. */
static void block_product(const block_work_t *w, int64_t m, int64_t n, int64_t k, R alpha, factor_t A, factor_t B,
                          R beta, T *C, int64_t ldc) {
  group_product_t product = {.m = m,
                             .n = n,
                             .k = k,
                             .hermitian_a = A.hermitian,
                             .hermitian_b = B.hermitian,
                             .alpha = alpha,
                             .beta = beta,
                             .A = A.x,
                             .lda = A.ld,
                             .B = B.x,
                             .ldb = B.ld,
                             .ldc = ldc};
  product.c = C;
  multiply_shared(&w->products, &product);
}

/* w->triangle = T of reflectors first .. first + count - 1. */
static void make_triangle(const reflectors_t *r, int64_t first, int64_t count, const block_work_t *w) {
  const T *tau = r->tau + first;
  const gram_t gram = {first + r->shift, r->rows, count, r->stride, (const R *)r->V + first * r->stride, w->gram};
  r->ops->multiply(&gram);
  memset(w->triangle, 0, (size_t)(count * count) * sizeof(T));
  for (int64_t j = 0; j < count; j++) {
    T *t = w->triangle + j * count;
    for (int64_t l = 0; l < j; l++) {
      const T factor = -tau[j] * w->gram[j * count + l];
      for (int64_t i = 0; i <= l; i++)
        t[i] += w->triangle[l * count + i] * factor;
    }
    t[j] = tau[j];
  }
}

/* w->V and w->triangle of the same reflectors; V begins at row first + shift. */
static void make_block(const reflectors_t *r, int64_t first, int64_t count, const block_work_t *w) {
  const int64_t top = first + r->shift, rows = r->rows - top;
  for (int64_t j = 0; j < count; j++) {
    const R *column = (const R *)r->V + (first + j) * r->stride;
    T *v = w->V + j * rows;
    memset(v, 0, (size_t)j * sizeof(T));
    v[j] = 1;
    from_lanes(v + j + 1, column, top + j + 1, rows - j - 1, r->ops ? r->ops->lanes : 1);
  }
  if (r->tau)
    make_triangle(r, first, count, w);
  for (int64_t j = 0; j < count && !r->tau; j++)
    memcpy(w->triangle + j * count, r->triangles + (first + j) * BLOCK, (size_t)count * sizeof(T));
}

/* C <- (I - V op(T) V^H) C for one block of reflectors; C is rows-by-columns, T conjugated and transposed if
 * `hermitian`. */
static void reflect_columns(int64_t rows, int64_t count, int64_t columns, int hermitian, T *C, int64_t ldc,
                            const block_work_t *w) {
  const factor_t V = {w->V, rows, 0}, Vh = {w->V, rows, 1}, triangle = {w->triangle, count, hermitian};
  const factor_t X = {C, ldc, 0}, product = {w->product, count, 0}, TVhC = {w->triangle_product, count, 0};
  block_product(w, count, columns, rows, 1, Vh, X, 0, w->product, count);
  block_product(w, count, columns, count, 1, triangle, product, 0, w->triangle_product, count);
  block_product(w, rows, columns, count, -1, V, TVhC, 1, C, ldc);
}

/* C <- C (I - V T V^H)^H; C is rows-by-columns. */
static void reflect_rows(int64_t rows, int64_t count, int64_t columns, T *C, int64_t ldc, const block_work_t *w) {
  const factor_t V = {w->V, columns, 0}, Vh = {w->V, columns, 1}, Th = {w->triangle, count, 1}, X = {C, ldc, 0};
  const factor_t product = {w->product, rows, 0}, CVTh = {w->triangle_product, rows, 0};
  block_product(w, rows, count, columns, 1, X, V, 0, w->product, rows);
  block_product(w, rows, count, count, 1, product, Th, 0, w->triangle_product, rows);
  block_product(w, rows, columns, count, -1, CVTh, Vh, 1, C, ldc);
}

/* Threads share the columns, or the rows. */
typedef struct shared_reflection {
  const block_work_t *w;
  int64_t rows, count, columns, pieces;
  int by_rows, hermitian;
  T *C;
  int64_t ldc;
} shared_reflection_t;

static void reflect_piece(const void *argument, int64_t i) {
  const shared_reflection_t *s = argument;
  const int64_t length = s->by_rows ? s->rows : s->columns;
  const int64_t first = piece_begin(length, s->pieces, i), size = piece_begin(length, s->pieces, i + 1) - first;
  block_work_t w = *s->w;
  w.products = products_of_slot(&w.products, i);
  w.product += first * s->count, w.triangle_product += first * s->count;
  if (s->by_rows)
    reflect_rows(size, s->count, s->columns, s->C + first, s->ldc, &w);
  else
    reflect_columns(s->rows, s->count, size, s->hermitian, s->C + first * s->ldc, s->ldc, &w);
}

static void share_reflection(shared_reflection_t s) {
  const products_t *products = &s.w->products;
  const double cost = 2 * product_cost(products, s.rows, s.count, s.columns);
  s.pieces = product_pieces(products, s.by_rows ? s.rows : s.columns, cost);
  team_run(products->team, s.pieces, cost / (double)s.pieces, reflect_piece, &s);
}

static void reflect_block(int64_t rows, int64_t count, int64_t columns, int hermitian, T *C, int64_t ldc,
                          const block_work_t *w) {
  share_reflection((shared_reflection_t){
      .w = w, .rows = rows, .count = count, .columns = columns, .hermitian = hermitian, .C = C, .ldc = ldc});
}

static int64_t last_block(int64_t count) { return (count - 1) / BLOCK * BLOCK; }

/* C <- H_0 H_1 .. C; C is r->rows by columns. */
static void multiply_left(const reflectors_t *r, int64_t columns, T *C, int64_t ldc, const block_work_t *w) {
  for (int64_t first = last_block(r->count); r->count > 0 && first >= 0; first -= BLOCK) {
    const int64_t count = r->count - first < BLOCK ? r->count - first : BLOCK;
    const int64_t top = first + r->shift, rows = r->rows - top;
    make_block(r, first, count, w);
    reflect_block(rows, count, columns, 0, C + top, ldc, w);
  }
}

/* C <- C (H_0 H_1 ..)^H; C is rows by r->rows. */
static void multiply_right(const reflectors_t *r, int64_t rows, T *C, int64_t ldc, const block_work_t *w) {
  for (int64_t first = last_block(r->count); r->count > 0 && first >= 0; first -= BLOCK) {
    const int64_t count = r->count - first < BLOCK ? r->count - first : BLOCK;
    const int64_t top = first + r->shift, columns = r->rows - top;
    T *X = C + top * ldc;
    make_block(r, first, count, w);
    share_reflection((shared_reflection_t){
        .w = w, .rows = rows, .count = count, .columns = columns, .by_rows = 1, .C = X, .ldc = ldc});
  }
}

#endif
