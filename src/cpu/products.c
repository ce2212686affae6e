/* SPDX-License-Identifier: BSD-3-Clause */
#include "products.h"

/* Ranges are multiples of all tiles.  Threads have a few pieces each, since they do not start at the same time. */
enum { RANGE = 48, PIECES_PER_THREAD = 2, MOST_SLOTS = 16, ROWS_PER_SLOT = 128, LEAST_PIECE = 20000 };

int product_slots(int64_t m, int64_t n) {
  const double by_work = (double)m * (double)n * (double)n / (1 << 23),
               by_rows = (double)(m > n ? m : n) / ROWS_PER_SLOT;
  const double slots = by_work < by_rows ? by_work : by_rows;
  return slots < 1 ? 1 : slots > MOST_SLOTS ? MOST_SLOTS : (int)slots;
}

products_t products_take(arena_t *arena, const product_ops_t *ops, size_t element, int64_t largest, int slots) {
  const size_t slot = (ops->work(largest) + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
  return (products_t){
      .ops = ops, .element = element, .slots = slots, .slot = slot, .work = arena_take(arena, slots, slot)};
}

products_t products_of_slot(const products_t *products, int64_t i) {
  products_t alone = *products;
  alone.slots = 1, alone.work += (size_t)i * alone.slot, alone.team = NULL;
  return alone;
}

double product_cost(const products_t *products, int64_t m, int64_t n, int64_t k) {
  return (double)products->element / 160 * (double)m * (double)n * (double)k;
}

int64_t product_pieces(const products_t *products, int64_t length, double cost) {
  const int threads = team_threads(products->team);
  int64_t pieces = PIECES_PER_THREAD * (int64_t)threads;
  if (threads < 2 || cost < 2 * LEAST_PIECE || length < 2 * RANGE)
    return 1;
  if (cost < (double)pieces * LEAST_PIECE)
    pieces = threads;
  pieces = pieces < products->slots ? pieces : products->slots;
  return pieces < length / RANGE ? pieces : length / RANGE;
}

int64_t piece_begin(int64_t length, int64_t pieces, int64_t i) {
  return i < pieces ? length / RANGE * i / pieces * RANGE : length;
}

typedef struct shared_product {
  const products_t *products;
  const group_product_t *product;
  int64_t pieces;
  int by_rows;
} shared_product_t;

static const void *element_of(const products_t *p, const void *x, int64_t i) {
  return (const unsigned char *)x + i * (int64_t)p->element;
}

/* Rows first .. of C and op(A). */
static void take_rows(const products_t *p, group_product_t *x, int64_t first, int64_t last) {
  x->m = last - first;
  x->A = element_of(p, x->A, x->hermitian_a ? first * x->lda : first);
  x->c = (void *)element_of(p, x->c, first);
}

/* Columns first .. of C and op(B). */
static void take_columns(const products_t *p, group_product_t *x, int64_t first, int64_t last) {
  x->n = last - first;
  x->B = element_of(p, x->B, x->hermitian_b ? first : first * x->ldb);
  x->c = (void *)element_of(p, x->c, first * x->ldc);
}

static void multiply_piece(const void *argument, int64_t i) {
  const shared_product_t *s = argument;
  const products_t *p = s->products;
  group_product_t x = *s->product;
  const int64_t length = s->by_rows ? x.m : x.n;
  (s->by_rows ? take_rows : take_columns)(p, &x, piece_begin(length, s->pieces, i),
                                          piece_begin(length, s->pieces, i + 1));
  p->ops->multiply(&x, p->work + (size_t)i * p->slot);
}

void multiply_shared(const products_t *products, const group_product_t *product) {
  const double cost = product_cost(products, product->m, product->n, product->k);
  shared_product_t shared = {products, product, 1, product->m > product->n};
  if (products->team)
    shared.pieces = product_pieces(products, shared.by_rows ? product->m : product->n, cost);
  team_run(products->team, shared.pieces, cost / (double)shared.pieces, multiply_piece, &shared);
}
