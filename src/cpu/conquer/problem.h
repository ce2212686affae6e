/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of a real upper bidiagonal matrix by divide and conquer: the arrays, and how a matrix is divided.
 *
 *            B_1
 *   B =      a b
 *                B_2
 *
 * B_1 has a column more than rows; a and b belong to the row in the middle.  B_2 has a column more than rows if B has.
 * The last right singular vector of such a block belongs to no value.  From the SVD of B_1 and B_2 follows that of B
 * (merge.h). */
#ifndef SVDGRAD_CONQUER_PROBLEM_H
#define SVDGRAD_CONQUER_PROBLEM_H
#include "base/arena.h"
#include "base/type.h"
#include "../products.h"
#include "../simd/one/secular.h"

#include <string.h>

/* Blocks of up to so many rows are solved by QR iteration.  Its time over that of dividing once: 0.93 at 14 rows, 1.0 at 16, 1.1
 * at 20, 1.2 at 24, 1.25 at 32; larger matrices take within 5 % as long with leaves of 6 to 24 rows (f64, AVX2 of Zen 3, one
 * thread, least of 1200 on a loaded machine, 2026-11-30). */
enum { LEAF_ROWS = 16 };

enum { QR_WORK = 4 }; /* reals of work for each row (qr_iteration.h) */

/* Threads share a block that can be halved into parts of PART_ROWS rows or more: the parts, at most 2^MOST_DEPTH, and then
 * every merge of two of them (conquer.h). */
enum { PART_ROWS = 128, MOST_DEPTH = 4 };

typedef struct conquer {
  const conquer_ops_t *ops;
  int64_t n;
  int64_t leading; /* vectors of so many of the largest values are wanted; columns of others are not written */
  R *d, *e;        /* n: the diagonal, replaced by the singular values; the one above */
  R *U, *V;        /* n-by-n.  A block's vectors lie where the block does */
  int64_t stride;  /* of U and V */
  int64_t *order;  /* n, of each block: its columns by increasing value, counted from the block's first */

  /* Work arrays of one merge. */
  R *d_sorted, *z_sorted, *packed;
  int64_t *columns, *deflated, *merged, *place;
  signed char *kind;
  secular_t secular;
  R *leaf_U, *leaf_V, *leaf_work;
  int64_t leaf_stride;
  products_t products;
  team_t *team; /* that of secular and products, too */
} conquer_t;

/* Rows first .. first + n - 1, columns first .. first + n - 1 + extra. */
typedef struct block {
  int64_t first, n;
  int extra;
} block_t;

static int64_t rows_above(int64_t n) { return (n - 1) / 2; }
static block_t upper_block(const block_t *b) { return (block_t){b->first, rows_above(b->n), 1}; }
static block_t lower_block(const block_t *b) {
  const int64_t above = rows_above(b->n);
  return (block_t){b->first + above + 1, b->n - above - 1, b->extra};
}

/* How often a block of n rows is halved into parts.  There are at most product_slots(n, n) parts. */
static int depth_of_parts(int64_t n) {
  int depth = 0;
  while (depth < MOST_DEPTH && n >> depth >= 2 * PART_ROWS)
    depth++;
  return depth;
}

/* Part i of a block that is halved `depth` times. */
static block_t part_of_block(const block_t *b, int depth, int64_t i) {
  block_t part = *b;
  for (int level = depth - 1; level >= 0; level--)
    part = i >> level & 1 ? lower_block(&part) : upper_block(&part);
  return part;
}

/* Columns of roots, the largest first, that a merge makes of `kept`. */
static int64_t made_columns(const conquer_t *c, const block_t *b, int64_t kept) {
  return b->n == c->n && c->leading < kept ? c->leading : kept;
}

static R *u_column(const conquer_t *c, const block_t *b, int64_t j) {
  return c->U + (b->first + j) * c->stride + b->first;
}
static R *v_column(const conquer_t *c, const block_t *b, int64_t j) {
  return c->V + (b->first + j) * c->stride + b->first;
}

/* An odd number of registers, so that neighbouring columns do not map to the same cache sets. */
static int64_t conquer_stride(int64_t n, int lanes) { return ((n + lanes - 1) / lanes | 1) * lanes; }

/* A power of two as two factors, since it may be out of range itself. */
typedef struct power {
  R half, rest;
} power_t;

static power_t power_of(int exponent) {
  return (power_t){(R)ldexp(1, exponent / 2), (R)ldexp(1, exponent - exponent / 2)};
}

static R scaled_by(R x, power_t p) { return x * p.half * p.rest; }

static R larger_of(R x, R y) { return x > y ? x : y; }

static int are_finite(int64_t n, const R *x) {
  R poison = 0; /* NaN for Inf and NaN */
  for (int64_t i = 0; i < n; i++)
    poison += x[i] * 0;
  return poison == 0;
}

/* The bidiagonal matrix is scaled by 2^-exponent, which is returned, to entries below 1. */
static int load_scaled(int64_t n, const R *d, const R *e, R *scaled_d, R *scaled_e) {
  R largest = 0;
  int exponent = 0;
  for (int64_t i = 0; i < n; i++)
    largest = larger_of(largest, larger_of((R)fabs(d[i]), i + 1 < n ? (R)fabs(e[i]) : 0));
  (void)frexp((double)largest, &exponent);
  const power_t down = power_of(-exponent);
  for (int64_t i = 0; i < n; i++) {
    scaled_d[i] = scaled_by(d[i], down);
    scaled_e[i] = i + 1 < n ? scaled_by(e[i], down) : 0;
  }
  return exponent;
}

static R *take_reals(arena_t *arena, int64_t n) { return arena_take(arena, n, sizeof(R)); }

/* Arrays with room for a part of their own for each thread: PART_ROOM entries more for each part, see part_entry(). */
enum { PART_ALIGNMENT = 16, PART_ROOM = PART_ALIGNMENT + SECULAR_ROOM };

static int64_t parts_of(int64_t n) { return (int64_t)1 << depth_of_parts(n); }

/* Where part i, whose block begins at row `first`, has its entries: aligned, and behind those of the parts before. */
static int64_t part_entry(int64_t first, int64_t i) { return first / PART_ALIGNMENT * PART_ALIGNMENT + i * PART_ROOM; }

static secular_t secular_take(arena_t *arena, int64_t n, int lanes) {
  const int64_t entries = n + parts_of(n) * PART_ROOM;
  secular_t s = {.stride = conquer_stride(n, lanes)};
  s.d = take_reals(arena, entries), s.z = take_reals(arena, entries);
  s.squares = take_reals(arena, entries), s.weights = take_reals(arena, entries);
  s.origin = take_reals(arena, entries), s.offset = take_reals(arena, entries);
  s.distance = take_reals(arena, entries);
  s.placed_d = take_reals(arena, entries), s.placed_z = take_reals(arena, entries);
  s.left = take_reals(arena, s.stride * n), s.right = take_reals(arena, s.stride * n);
  return s;
}

static conquer_t conquer_take(arena_t *arena, int64_t n, const conquer_ops_t *ops) {
  conquer_t c = {.ops = ops, .n = n, .leading = n, .stride = conquer_stride(n, ops->lanes)};
  c.d = take_reals(arena, n), c.e = take_reals(arena, n);
  c.U = take_reals(arena, c.stride * n), c.V = take_reals(arena, c.stride * n);
  c.order = arena_take(arena, n, sizeof *c.order);
  c.secular = secular_take(arena, n, ops->lanes);
  c.d_sorted = take_reals(arena, n), c.z_sorted = take_reals(arena, n);
  c.packed = take_reals(arena, (n + 1) * (n + 1));
  c.columns = arena_take(arena, n, sizeof *c.columns), c.deflated = arena_take(arena, n, sizeof *c.deflated);
  c.merged = arena_take(arena, n, sizeof *c.merged), c.place = arena_take(arena, n, sizeof *c.place);
  c.kind = arena_take(arena, n, sizeof *c.kind);
  c.leaf_stride = conquer_stride(LEAF_ROWS + 1, ops->lanes);
  c.leaf_U = take_reals(arena, parts_of(n) * c.leaf_stride * LEAF_ROWS);
  c.leaf_V = take_reals(arena, parts_of(n) * c.leaf_stride * (LEAF_ROWS + 1));
  c.leaf_work = take_reals(arena, QR_WORK * n);
  c.products = products_take(arena, ops->products, sizeof(R), n, product_slots(n, n));
  return c;
}

static void *entries_from(void *x, int64_t i) { return (R *)x + i; }

/* The same problem with the work arrays of part i, whose block begins at row `first`. */
static conquer_t conquer_part(const conquer_t *whole, int64_t first, int64_t i) {
  conquer_t c = *whole;
  secular_t *s = &c.secular;
  void **const entries[] = {&s->d,      &s->z,        &s->squares,  &s->weights, &s->origin,
                            &s->offset, &s->distance, &s->placed_d, &s->placed_z};
  for (size_t x = 0; x < sizeof entries / sizeof *entries; x++)
    *entries[x] = entries_from(*entries[x], part_entry(first, i));
  s->left = entries_from(s->left, first * c.stride), s->right = entries_from(s->right, first * c.stride);
  c.packed += first * (c.n + 1);
  c.d_sorted += first, c.z_sorted += first;
  c.columns += first, c.deflated += first, c.merged += first, c.place += first, c.kind += first;
  c.leaf_U += i * c.leaf_stride * LEAF_ROWS, c.leaf_V += i * c.leaf_stride * (LEAF_ROWS + 1);
  c.leaf_work += i * QR_WORK * LEAF_ROWS;
  c.products = products_of_slot(&c.products, i);
  c.team = s->team = NULL;
  return c;
}

#endif
