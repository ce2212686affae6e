/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of matrices (product.h).  The terms are divided into slabs; in a slab, the rows of A into blocks that stay in
 * the second cache, and the columns of B into slivers that stay in the first (K. Goto, R. A. van de Geijn, ACM Trans.
 * Math. Softw. 34, 2008).  What a tile reads is copied where that pays (product_pack.h), and else read in place. */
#include "../exported.h"
#include "product_pack.h"
#include "product_tile.h"

/* Terms of a slab, and bytes of a block of A: the fastest of a few on Zen 3, whose caches have 32 KB and 512 KB. */
enum { MOST_TERMS = 192, BLOCK_BYTES = 1 << 18 };

/* Terms that are copied at a time, from pages that are as many where columns are long. */
enum { TERMS_AT_ONCE = 32 };

/* Read in place: blocks of so many bytes, which fit the first cache, blocks for so few slivers, and rows of B for so few
 * tiles. */
enum { IN_PLACE_BYTES = 1 << 14, IN_PLACE_SLIVERS = 3, IN_PLACE_TILES = 2 };

typedef void (*make_tile_t)(const block_t *block, const tile_t *tile);

/* Tiles of one and of two registers. */
#define TILES(columns)                                                                                                 \
  static void short_tile_##columns(const block_t *b, const tile_t *t) { make_tile(b, t, 1, columns); }                 \
  static void tall_tile_##columns(const block_t *b, const tile_t *t) { make_tile(b, t, 2, columns); }

TILES(1)
TILES(2)
TILES(3)
#define TILES_TO_3(name) name##_1, name##_2, name##_3
#if IS_COMPLEX && VECTOR_REGISTERS == 16
#define TABLE(name) TILES_TO_3(name)
#else
TILES(4)
TILES(5)
TILES(6)
#define TILES_TO_6(name) TILES_TO_3(name), name##_4, name##_5, name##_6
#if IS_COMPLEX || VECTOR_REGISTERS == 16
#define TABLE(name) TILES_TO_6(name)
#else
TILES(7)
TILES(8)
TILES(9)
TILES(10)
TILES(11)
TILES(12)
#define TABLE(name) TILES_TO_6(name), name##_7, name##_8, name##_9, name##_10, name##_11, name##_12
#endif
#endif

static const make_tile_t short_tiles[TILE_COLUMNS] = {TABLE(short_tile)};
static const make_tile_t tall_tiles[TILE_COLUMNS] = {TABLE(tall_tile)};

/* Terms l .. l + terms - 1 of a product. */
typedef struct slab {
  const group_product_t *p;
  int64_t l, terms;
  R *packed_A, *packed_B;
  block_t block;
} slab_t;

INLINE int64_t smaller_of(int64_t x, int64_t y) { return x < y ? x : y; }

/* The length of equal parts of `whole`, none longer than `most`. */
INLINE int64_t part_of(int64_t whole, int64_t most) {
  const int64_t parts = (whole + most - 1) / most;
  return (whole + parts - 1) / parts;
}

/* Rows of a block, in elements. */
INLINE int64_t block_rows(int64_t m, int64_t terms) {
  const int64_t tile = TILE_ROWS / PARTS, most = BLOCK_BYTES / (terms * (int64_t)sizeof(T)) / tile * tile;
  return (part_of(m, most) + tile - 1) / tile * tile;
}

/* Reals of a sliver, as many as fill registers. */
INLINE int64_t sliver_length(int64_t terms) { return (terms * TILE_FACTORS + LANES - 1) / LANES * LANES; }

static size_t product_work(int64_t largest) {
  const int64_t terms = smaller_of(largest, MOST_TERMS);
  const int64_t registers = (largest * PARTS + LANES - 1) / LANES;
  const int64_t block = smaller_of(BLOCK_BYTES, registers * terms * (int64_t)sizeof(V));
  return (size_t)(block + sliver_length(terms) * (int64_t)sizeof(R));
}

/* The first of the rows, in reals, of register r of a block: the last register ends with the last row. */
INLINE int64_t register_start(int64_t length, int64_t r) {
  return length < LANES ? 0 : smaller_of(r * LANES, length - LANES);
}

/* Copies rows i .. of op(A) for all tiles of a block. */
static void pack_block(const slab_t *s, int64_t i, int64_t rows) {
  const int64_t length = rows * PARTS, registers = (length + LANES - 1) / LANES;
  for (int64_t t = 0; t < s->terms; t += TERMS_AT_ONCE)
    for (int64_t r = 0; r < registers; r++)
      pack_rows(s->p, i + register_start(length, r) / PARTS, rows, s->l + t, smaller_of(s->terms - t, TERMS_AT_ONCE),
                s->packed_A + (r * s->terms + t) * LANES);
}

static int is_a_packed(const slab_t *s, int64_t rows) {
  const int64_t bytes = rows * s->terms * (int64_t)sizeof(T);
  const int in_place = bytes <= IN_PLACE_BYTES || s->p->n <= IN_PLACE_SLIVERS * TILE_COLUMNS;
  return s->p->hermitian_a || rows < REGISTER_ROWS || !in_place;
}

/* Columns of B are read in place. */
static int is_b_packed(const slab_t *s, int64_t rows) {
  return s->p->hermitian_b && rows * PARTS > IN_PLACE_TILES * TILE_ROWS;
}

/* The part of columns j .. of B that is due before tile register r of a block: the next sliver comes to the second cache
 * while this one is used. */
INLINE void fetch_ahead(const slab_t *s, int64_t j, int64_t r, int64_t registers) {
  enum { LINE = 64 / (int)sizeof(R) };
  const group_product_t *p = s->p;
  if (p->hermitian_b || j + TILE_COLUMNS > p->n)
    return;
  const R *B = (const R *)b_entry(p, s->l, j);
  const int64_t length = s->terms * PARTS, end = (r + TILE_REGISTERS) * length / registers;
  for (int64_t t = r * length / registers / LINE * LINE; t < end; t += LINE)
    for (int c = 0; c < TILE_COLUMNS; c++)
      __builtin_prefetch(B + c * p->ldb * PARTS + t, 0, 2);
}

/* A block, and where tiles read it. */
typedef struct a_block {
  int64_t i, rows;
  int is_packed;
  const R *A;
} a_block_t;

/* The tiles of the sliver of B from column j on. */
INLINE void multiply_sliver(const slab_t *s, const a_block_t *a, const block_t *b, const R *B, int64_t j, int columns) {
  const int64_t length = a->rows * PARTS, registers = (length + LANES - 1) / LANES;
  R *C = (R *)((T *)s->p->c + j * s->p->ldc + a->i);
  if (registers % 2) {
    const tile_t tile = {a->A, B, C, 0, 0, (int)smaller_of(length, LANES)};
    short_tiles[columns - 1](b, &tile);
  }
  for (int64_t r = registers % 2; r < registers; r += 2) {
    const int64_t start = register_start(length, r), second = register_start(length, r + 1) - start;
    const tile_t tile = {a->A + (a->is_packed ? r * LANES * s->terms : start),
                         B,
                         C + start,
                         a->is_packed ? LANES * s->terms : second,
                         second,
                         LANES};
    fetch_ahead(s, j + TILE_COLUMNS, r, registers);
    tall_tiles[columns - 1](b, &tile);
  }
}

/* The sliver of B from column j on, copied if that pays. */
INLINE const R *sliver(const slab_t *s, int is_packed, int64_t j, int columns) {
  if (!is_packed)
    return (const R *)b_entry(s->p, s->l, j);
  if (columns == TILE_COLUMNS)
    pack_sliver(s->p, s->l, s->terms, j, TILE_COLUMNS, s->packed_B);
  else
    pack_sliver(s->p, s->l, s->terms, j, columns, s->packed_B);
  return s->packed_B;
}

/* Rows i .. of c. */
static void multiply_block(const slab_t *s, int64_t i, int64_t rows) {
  const group_product_t *p = s->p;
  const int b_packed = is_b_packed(s, rows);
  a_block_t a = {i, rows, is_a_packed(s, rows), (const R *)a_entry(p, i, s->l)};
  block_t b = s->block;
  if (a.is_packed)
    pack_block(s, i, rows), a.A = s->packed_A;
  b.a_step = a.is_packed ? LANES : p->lda * PARTS;
  b.b_column = b_packed || p->hermitian_b ? PARTS : p->ldb * PARTS;
  for (int64_t j = 0; j < p->n; j += TILE_COLUMNS) {
    const int columns = (int)smaller_of(p->n - j, TILE_COLUMNS);
    b.b_step = b_packed ? columns * PARTS : p->hermitian_b ? p->ldb * PARTS : PARTS;
    multiply_sliver(s, &a, &b, sliver(s, b_packed, j, columns), j, columns);
  }
}

/* c = beta c */
static void scale_product(const group_product_t *p) {
  for (int64_t j = 0; j < p->n; j++) {
    R *c = (R *)((T *)p->c + j * p->ldc);
    for (int64_t i = 0; i < p->m * PARTS; i++)
      c[i] = p->beta == 0 ? 0 : (R)p->beta * c[i];
  }
}

/* +1 or -1 for real parts, and for imaginary parts. */
INLINE V signs_of(int re, int im) {
  V sign = {0};
  for (int l = 0; l < LANES; l++)
    sign[l] = (R)(l % 2 ? im : re);
  return sign;
}

static slab_t slab_of(const group_product_t *p, int64_t l, int64_t terms, void *work) {
  slab_t s = {.p = p, .l = l, .terms = terms, .packed_B = work};
  const int a = p->hermitian_a ? -1 : 1, b = p->hermitian_b ? -1 : 1;
  s.packed_A = s.packed_B + sliver_length(terms);
  s.block = (block_t){.depth = terms, .ldc = p->ldc * PARTS, .alpha = (R)p->alpha, .beta = l == 0 ? (R)p->beta : 1};
  s.block.sign = signs_of(1, a), s.block.swapped_sign = signs_of(-a * b, b);
  return s;
}

static void multiply(const group_product_t *p, void *work) {
  if (p->m == 0 || p->n == 0)
    return;
  if (p->k == 0 || p->alpha == 0) {
    scale_product(p);
    return;
  }
  const int64_t terms = part_of(p->k, MOST_TERMS), rows = block_rows(p->m, terms);
  for (int64_t l = 0; l < p->k; l += terms) {
    const slab_t s = slab_of(p, l, smaller_of(p->k - l, terms), work);
    for (int64_t i = 0; i < p->m; i += rows)
      multiply_block(&s, i, smaller_of(p->m - i, rows));
  }
}

const product_ops_t EXPORTED(svdgrad_product_ops) = {product_work, multiply};
