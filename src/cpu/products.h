/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of matrices (simd/one/product.h) that threads share.  Their bits do not depend on how rows or columns are
 * divided, so that there may be as many pieces as there are threads. */
#ifndef SVDGRAD_CPU_PRODUCTS_H
#define SVDGRAD_CPU_PRODUCTS_H
#include "base/arena.h"
#include "base/team.h"
#include "simd/one/product.h"

typedef struct products {
  const product_ops_t *ops;
  size_t element; /* bytes of one */
  int slots;      /* work memory for so many threads at a time, */
  size_t slot;    /* so many bytes each */
  unsigned char *work;
  team_t *team; /* NULL: this thread alone */
} products_t;

/* For products with m, n and k up to `largest`, of `slots` threads or fewer (product_slots()). */
products_t products_take(arena_t *arena, const product_ops_t *ops, size_t element, int64_t largest, int slots);

/* Threads that a matrix is worth, whose algorithm has m n^2 multiplications and additions or some times as many. */
int product_slots(int64_t m, int64_t n);

/* The memory of slot i for a thread that computes products of its own. */
products_t products_of_slot(const products_t *products, int64_t i);

void multiply_shared(const products_t *products, const group_product_t *product);

/* For a sequence of products of ranges of `length` rows or columns: the number of pieces, if all takes `cost`
 * nanoseconds, and where piece i begins.  Piece i has slot i. */
int64_t product_pieces(const products_t *products, int64_t length, double cost);
int64_t piece_begin(int64_t length, int64_t pieces, int64_t i);

/* Nanoseconds of m n k multiplications and additions. */
double product_cost(const products_t *products, int64_t m, int64_t n, int64_t k);

#endif
