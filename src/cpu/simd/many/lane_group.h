/* SPDX-License-Identifier: BSD-3-Clause */
/* The arrays of the SVD of one group of matrices. */
#ifndef SVDGRAD_SIMD_LANE_GROUP_H
#define SVDGRAD_SIMD_LANE_GROUP_H
#include "../memory/pack.h"
#include "jacobi.h"
#include "qr.h"

/* Square matrices of up to so many columns take no QR factorization. */
enum { SMALL = 5 };

/* The matrices in the lanes of one call of the kernel, and all that is computed of them. */
typedef struct lane_group {
  int64_t rows, n, wanted; /* of `tall` (svd.h); wanted: columns of X, all rows with full_matrices */
  int by_qr, vectors;
  packed_t packed;
  factored_t factored;               /* `tall`; by_qr also its reflectors */
  R *rotated, *J;                    /* n-by-n; rotated: the columns that Jacobi rotates, of L or A */
  R *source, *K;                     /* for recover(): (A P)^H gives X, L gives J; NULL: neither is recovered */
  R *D2, *square, *before, *product; /* of the rotations */
  R *X;                              /* by_qr: rows-by-wanted */
  R *raw_in, *raw_out;               /* rows-by-n: operands in the caller's order */
  R *S;                              /* n */
  ahead_t *ahead;
} lane_group_t;

/* `fixed`: m = n = fixed, known at compile time, or 0. */
INLINE lane_group_t lane_group_take(arena_t *arena, const problem_t *p, int vectors, int fixed) {
  const int64_t rows = fixed ? fixed : p->m < p->n ? p->n : p->m, n = fixed ? fixed : p->mn;
  const size_t E_size = PARTS * sizeof(R);
  lane_group_t g = {.rows = rows, .n = n, .wanted = p->full_matrices ? rows : n, .vectors = vectors};
  g.by_qr = rows > n || n > SMALL;
  g.packed.column = arena_take(arena, n * LANES, sizeof(R));
  g.packed.order = arena_take(arena, n * LANES, sizeof(int32_t));
  g.packed.exponent = arena_take(arena, LANES, sizeof(R));
  g.packed.finite = arena_take(arena, LANES, sizeof(R));
  g.factored.rows = rows, g.factored.n = n;
  g.rotated = g.factored.A = arena_take(arena, rows * n * LANES, E_size);
  if (g.by_qr) {
    g.factored.diagonal = arena_take(arena, n * LANES, E_size);
    g.factored.tau = arena_take(arena, n * LANES, sizeof(R));
    g.factored.product = arena_take(arena, n * LANES, E_size);
    g.rotated = arena_take(arena, n * n * LANES, E_size);
    if (vectors)
      g.X = arena_take(arena, rows * g.wanted * LANES, E_size);
    if (vectors && n > SMALL) {
      g.source = arena_take(arena, n * n * LANES, E_size);
      g.K = arena_take(arena, (2 * PARTS + 1) * n * LANES, sizeof(R));
    }
  }
  g.raw_in = g.by_qr && vectors ? g.X : arena_take(arena, rows * n * LANES, E_size); /* A goes early, X comes late */
  g.raw_out = g.by_qr ? g.factored.A : g.raw_in;
  if (vectors)
    g.J = arena_take(arena, n * n * LANES, E_size);
  g.D2 = arena_take(arena, n * LANES, sizeof(R));
  g.square = arena_take(arena, n * LANES, sizeof(R));
  g.before = arena_take(arena, n * LANES, sizeof(R));
  g.product = arena_take(arena, block_products(n) * LANES, E_size);
  g.S = arena_take(arena, n * LANES, sizeof(R));
  return g;
}

/* With the sizes from the problem: one copy of the code for all callers, since its time does not matter there. */
NOINLINE lane_group_t lane_group_take_any(arena_t *arena, const problem_t *p, int vectors) {
  return lane_group_take(arena, p, vectors, 0);
}

/* A copy of g by value with its sizes as compile-time constants, if they are: the compiler cannot propagate constants
 * through the pointer. */
INLINE lane_group_t sized(const lane_group_t *g, int fixed) {
  lane_group_t h = *g;
  if (fixed)
    h.rows = h.n = h.wanted = h.factored.rows = h.factored.n = fixed;
  return h;
}

INLINE void set_identity(int64_t n, R *J) {
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < n; i++)
      store(J, j * n + i, from_real(broadcast(i == j ? 1 : 0)));
}

#endif
