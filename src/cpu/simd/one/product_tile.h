/* SPDX-License-Identifier: BSD-3-Clause */
/* The innermost part of a product: a tile of c, whose sums stay in registers.  The lanes are neighbours in a column of
 * A, as they lie in memory: a column of complex elements is a column of reals twice as long.  Each real part and each
 * imaginary part of B multiplies a whole register of A,
 *
 *   p = sum of (ar, ai) br,   q = sum of (ar, ai) bi,
 *
 * and the product, with a or b conjugated or not, is p and the swapped q with signs:
 *
 *     a      b        (p_0 - q_1,   p_1 + q_0)
 *     a      conj b   (p_0 + q_1,   p_1 - q_0)
 *     conj a b        (p_0 + q_1,  -p_1 + q_0)
 *     conj a conj b   (p_0 - q_1,  -p_1 - q_0) */
#ifndef SVDGRAD_ONE_PRODUCT_TILE_H
#define SVDGRAD_ONE_PRODUCT_TILE_H
#include "../register.h"

/* A tile has so many registers in a column, and takes so many real numbers of B for each of A's: together with these
 * operands the sums fill the registers that the processor has. */
enum {
  TILE_REGISTERS = 2,
  TILE_FACTORS = VECTOR_REGISTERS == 32 ? 12 : 6,
  TILE_COLUMNS = TILE_FACTORS / PARTS,
  TILE_ROWS = TILE_REGISTERS * LANES /* reals */
};

#define UNROLL_TILE _Pragma("GCC unroll 16")

/* What the tiles of a block have in common.  Lengths and distances are in reals. */
typedef struct block {
  int64_t depth;          /* terms of a sum */
  int64_t a_step, b_step; /* from one term to the next */
  int64_t b_column, ldc;  /* from one column of the tile to the next */
  R alpha, beta;          /* c = alpha sum + beta c */
  V sign, swapped_sign;   /* complex types: of p, and of q after the swap */
} block_t;

typedef struct tile {
  const R *A, *B;
  R *C;
  int64_t a_register, c_register; /* from the first register of a column to the second; they may overlap in C */
  int rows;                       /* of a tile of one register: reals, LANES or fewer */
} tile_t;

typedef struct tile_sums {
  V of[TILE_REGISTERS][TILE_FACTORS];
} tile_sums_t;

INLINE void add_terms(const block_t *b, const tile_t *t, int registers, int columns, tile_sums_t *sums) {
  const R *A = t->A, *B = t->B;
  UNROLL_TILE
  for (int r = 0; r < registers; r++)
    UNROLL_TILE
  for (int c = 0; c < columns * PARTS; c++)
    sums->of[r][c] = (V){0};
  for (int64_t l = 0; l < b->depth; l++, A += b->a_step, B += b->b_step) {
    V a[TILE_REGISTERS];
    UNROLL_TILE
    for (int r = 0; r < registers; r++) {
      a[r] = load_real(A + r * t->a_register);
      LOAD_ONCE(a[r]);
    }
    UNROLL_TILE
    for (int c = 0; c < columns * PARTS; c++) {
      const V factor = broadcast(B[c / PARTS * b->b_column + c % PARTS]);
      UNROLL_TILE
      for (int r = 0; r < registers; r++)
        sums->of[r][c] = fmadd(a[r], factor, sums->of[r][c]);
    }
  }
}

/* alpha times the sum, of register r in column c of the tile. */
INLINE V tile_value(const block_t *b, const tile_sums_t *sums, int r, int c) {
#if IS_COMPLEX
  const V q = swap_pairs(sums->of[r][2 * c + 1]);
  return broadcast(b->alpha) * fmadd(b->swapped_sign, q, b->sign * sums->of[r][2 * c]);
#else
  return broadcast(b->alpha) * sums->of[r][c];
#endif
}

/* Both registers of a column are read before one is written, since they may overlap.  `adds`: beta is not 0. */
INLINE void store_tile(const block_t *b, const tile_t *t, int registers, int columns, int adds,
                       const tile_sums_t *sums) {
  const int64_t next = t->c_register, ldc = b->ldc;
  const V beta = broadcast(b->beta);
  V value[TILE_REGISTERS][TILE_COLUMNS];
  UNROLL_TILE
  for (int c = 0; c < columns; c++)
    UNROLL_TILE
  for (int r = 0; r < registers; r++)
    value[r][c] = tile_value(b, sums, r, c);
  R *to = t->C;
  UNROLL_TILE
  for (int c = 0; c < columns; c++, to += ldc) {
    UNROLL_TILE
    for (int r = 0; r < registers && adds; r++)
      value[r][c] = fmadd(beta, load_real(to + r * next), value[r][c]);
    UNROLL_TILE
    for (int r = 0; r < registers; r++)
      store_real(to + r * next, value[r][c]);
  }
}

/* Fewer rows than a register has. */
INLINE void store_few_rows(const block_t *b, const tile_t *t, int columns, const tile_sums_t *sums) {
  for (int c = 0; c < columns; c++) {
    R *to = t->C + c * b->ldc;
    V value = tile_value(b, sums, 0, c);
    if (b->beta != 0)
      value = fmadd(broadcast(b->beta), load_part(to, t->rows), value);
    store_part(to, t->rows, value);
  }
}

INLINE void make_tile(const block_t *b, const tile_t *t, int registers, int columns) {
  tile_sums_t sums;
  add_terms(b, t, registers, columns, &sums);
  if (registers == 1 && t->rows < LANES)
    store_few_rows(b, t, columns, &sums);
  else if (b->beta == 0)
    store_tile(b, t, registers, columns, 0, &sums);
  else
    store_tile(b, t, registers, columns, 1, &sums);
}

#endif
