/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of rows of one tall matrix, small enough for the cache, between the caller's memory and the panels that
 * panel.h factors.  A lane is a row, so that the transposes of memory/operands.h, where lanes are matrices, serve for
 * rows that are contiguous: the "matrices" lie one row stride apart.
 *
 * With V = [v_0 v_1 ..], H_0 H_1 .. = I - V T V^H and T^-1 = diag(1/tau) + the strict upper triangle of V^H V (R. Schreiber
 * and C. Van Loan, SIAM J. Sci. Stat. Comput. 10, 1989; C. Puglisi, SIAM J. Sci. Stat. Comput. 13, 1992), so that
 *
 *   [X; 0] - V Y,   Y = T V_1^H X,   V_1: the first rows of V,
 *
 * takes one pass over V and no sums over the rows. */
#ifndef SVDGRAD_ONE_ROW_BLOCK_H
#define SVDGRAD_ONE_ROW_BLOCK_H
#include "../memory/operands.h"
#include "gram.h"

/* How a group of LANES rows moves. */
typedef enum row_move {
  BY_COLUMNS, /* columns are contiguous */
  BY_ROWS,    /* rows are contiguous, and have at least one chunk */
  BY_CHUNK,   /* rows follow each other without a gap, and are shorter than a chunk */
  BY_ELEMENT
} row_move_t;

INLINE row_move_t row_move(const row_block_t *b, int64_t columns, int64_t first) {
  const int64_t left = b->rows - first;
  if (left < LANES)
    return BY_ELEMENT;
  if (b->row == PARTS)
    return BY_COLUMNS;
  if (b->column != PARTS && columns > 1)
    return BY_ELEMENT;
  if (columns * PARTS >= CHUNK)
    return BY_ROWS;
  return b->row == columns * PARTS && left >= LANES + CHUNK ? BY_CHUNK : BY_ELEMENT;
}

/* LANES elements that are neighbours in a column, to a register for each part; and back.  Complex ones are the rows of
 * a matrix of two columns; chunks of two read a part of the next row, too. */
INLINE void column_in(const R *from, R *to, int64_t left) {
  if (!IS_COMPLEX)
    store_real(to, load_real(from));
  else if (left > LANES)
    chunk_in(from, PARTS, to);
  else
    run_in(from, PARTS, PARTS, 1, PARTS, to, LANES);
}

INLINE void column_out(const R *from, R *to) {
  if (!IS_COMPLEX)
    store_real(to, load_real(from));
  else if ((int)PARTS == (int)CHUNK)
    chunk_out(from, to, PARTS);
  else
    run_out(from, to, PARTS, PARTS, 1, PARTS, LANES);
}

/* LANES rows, or those that remain, from row `first` on; the tile has a register for each part of each column, and
 * room for a chunk. */
INLINE void rows_in(const row_block_t *b, int64_t first, R *tile) {
  const R *from = (const R *)b->caller + first * b->row;
  const int64_t left = b->rows - first;
  switch (row_move(b, b->columns, first)) {
  case BY_COLUMNS:
    for (int64_t j = 0; j < b->columns; j++)
      column_in(from + j * b->column, element_at(tile, j), left);
    return;
  case BY_ROWS: line_in(from, b->row, b->columns * PARTS, tile); return;
  case BY_CHUNK: chunk_in(from, b->row, tile); return; /* reads a part of the next row, too */
  case BY_ELEMENT: run_in(from, b->row, b->column, b->columns, PARTS, tile, left < LANES ? (int)left : LANES); return;
  }
}

/* Rows that are shorter than a chunk: each is written with what belongs to the next one, in order. */
INLINE void short_rows_out(const R *tile, R *to, int64_t row) {
  R chunks[LANES * CHUNK];
  chunk_out(tile, chunks, CHUNK);
  for (int l = 0; l < LANES; l++)
    memcpy(to + l * row, chunks + l * CHUNK, CHUNK * sizeof(R));
}

INLINE void rows_out(const row_block_t *b, int64_t columns, int64_t first, const R *tile) {
  R *to = (R *)b->caller + first * b->row;
  const int64_t left = b->rows - first;
  switch (row_move(b, columns, first)) {
  case BY_COLUMNS:
    for (int64_t j = 0; j < columns; j++)
      column_out(element_at(tile, j), to + j * b->column);
    return;
  case BY_ROWS: line_out(tile, to, b->row, columns * PARTS); return;
  case BY_CHUNK: short_rows_out(tile, to, b->row); return;
  case BY_ELEMENT: run_out(tile, to, b->row, b->column, columns, PARTS, left < LANES ? (int)left : LANES); return;
  }
}

/* Panel <- 2^-exponent panel, in two steps, since the factor itself may overflow. */
static void scale_panel(const row_block_t *b, int exponent) {
  const V half = broadcast((R)ldexp(1, -(exponent / 2))), rest = broadcast((R)ldexp(1, exponent / 2 - exponent));
  for (int64_t j = 0; j < b->columns; j++) {
    R *x = (R *)b->panel + j * b->stride;
    for (int64_t i = 0; i < registers(b->rows) * PARTS; i++)
      store_real(x + i * LANES, load_real(x + i * LANES) * half * rest);
  }
}

/* What has been seen of the rows: the largest part, and 0, or NaN if a part is not finite. */
typedef struct seen {
  V largest, nan;
} seen_t;

INLINE seen_t see(seen_t seen, E x) {
  return (seen_t){larger(seen.largest, largest_part(x)), seen.nan + nan_unless_finite(x)};
}

INLINE seen_t seen_of(seen_t a, seen_t b) { return (seen_t){larger(a.largest, b.largest), a.nan + b.nan}; }

/* Registers first.. of the panel <- the rows, by way of a tile. */
INLINE seen_t load_groups(const row_block_t *block, int64_t first) {
  const row_block_t b = *block; /* a copy, which no store changes */
  R *tile = b.work, *panel = element_at(b.panel, first);
  seen_t seen = {0};
  for (int64_t i = first; i < registers(b.rows); i++, panel += PARTS * LANES) {
    rows_in(&b, i * LANES, tile);
    for (int64_t j = 0; j < b.columns; j++) {
      const E x = load(tile, j);
      seen = see(seen, x);
      store(panel + j * b.stride, 0, b.conjugated ? conjugate(x) : x);
    }
  }
  return seen;
}

/* The same of columns of reals that are contiguous, and of which whole registers are loaded as they are.  What is seen
 * waits for what was seen before: two at a time. */
INLINE seen_t load_columns(const row_block_t *b) {
  const int64_t whole = b->rows / LANES;
  seen_t even = {0}, odd = {0};
  for (int64_t j = 0; j < b->columns; j++) {
    const R *from = (const R *)b->caller + j * b->column;
    R *to = (R *)b->panel + j * b->stride;
    int64_t i = 0;
    for (; i + 2 <= whole; i += 2) {
      const E x = load(from, i), y = load(from, i + 1);
      even = see(even, x), odd = see(odd, y);
      store(to, i, x), store(to, i + 1, y);
    }
    if (i < whole) {
      even = see(even, load(from, i));
      store(to, i, load(from, i));
    }
  }
  return seen_of(seen_of(even, odd), load_groups(b, whole));
}

static double load_rows(const row_block_t *b) {
  const int by_columns = !IS_COMPLEX && b->row == PARTS;
  const seen_t seen = by_columns ? load_columns(b) : load_groups(b, 0);
  const V largest = seen.largest;
  R most = 0;
  int exponent = 1;
  for (int l = 0; l < LANES; l++)
    most = largest[l] > most ? largest[l] : most;
  const R result = most + sum_lanes(seen.nan);
  if (isfinite(result) && result > 0) {
    (void)frexp((double)result, &exponent);
    if (exponent != 1)
      scale_panel(b, exponent - 1);
  }
  return result;
}

/* Clears the registers above each v, where the panel still has R. */
INLINE void clear_above(const row_block_t *b) {
  for (int64_t j = LANES; j < b->columns; j++)
    memset((R *)b->panel + j * b->stride, 0, (size_t)(j / LANES * LANES * PARTS) * sizeof(R));
}

/* Row i of the n-by-n work matrix Y. */
INLINE T *factor_row(const row_product_t *p, int64_t i) { return (T *)p->factor + i * p->block.columns; }

/* y <- y - a x */
INLINE void subtract_row(int64_t n, T *y, T a, const T *x) {
  for (int64_t c = 0; c < n; c++)
    y[c] -= a * x[c];
}

/* Y = T V_1^H X, by rows: the triangular matrix T^-1 is solved from below. */
static void solve_factor(const row_product_t *p) {
  const row_block_t *b = &p->block;
  const int64_t n = b->columns;
  const T *X = p->X, *gram = p->gram, *tau = p->tau;
  const gram_t products = {0, b->rows, n, b->stride, b->panel, p->gram};
  multiply_reflectors(&products);
  for (int64_t i = 0; i < n; i++) {
    T *y = factor_row(p, i);
    for (int64_t c = 0; c < n; c++)
      y[c] = X[c * p->ldx + i];
  }
  for (int64_t i = 0; i < n; i++) /* rows below are still those of X */
    for (int64_t l = i + 1; l < n; l++)
      subtract_row(n, factor_row(p, i), -CONJ(lane_of((const R *)b->panel + i * b->stride, l)), factor_row(p, l));
  for (int64_t i = n - 1; i >= 0; i--) {
    T *y = factor_row(p, i);
    for (int64_t l = i + 1; l < n; l++)
      subtract_row(n, y, gram[l * n + i], factor_row(p, l));
    for (int64_t c = 0; c < n; c++)
      y[c] *= tau[i];
  }
}

/* Columns at once.  With two groups of rows, their sums are 16 registers; half as many where there are no more than 16. */
enum { FORMED = LANES_BYTES == 32 || IS_COMPLEX ? 4 : 8 };

/* `columns` columns of U from column c on, `groups` registers of rows from register i on, of [X; 0] - V Y.  The tile
 * has X if these rows are `top` ones.  groups, top and columns are compile-time constants. */
INLINE void form_columns(const row_product_t *p, int64_t i, int groups, int top, int64_t c, int columns, R *tile) {
  const int64_t n = p->block.columns, stride = p->block.stride;
  const R *v = (const R *)p->block.panel + i * (PARTS * LANES);
  const T *y = (const T *)p->factor + c;
  E sum[2 * FORMED];
  UNROLL
  for (int g = 0; g < groups; g++)
    UNROLL
  for (int l = 0; l < columns; l++)
    sum[g * columns + l] = top ? load(tile, g * n + c + l) : from_real((V){0});
  for (int64_t j = 0; j < n; j++, v += stride, y += n) {
    E v_g[2];
    UNROLL
    for (int g = 0; g < groups; g++)
      v_g[g] = load(v, g);
    UNROLL
    for (int l = 0; l < columns; l++) {
      const E y_l = broadcast_element(y[l]);
      UNROLL
      for (int g = 0; g < groups; g++)
        sum[g * columns + l] = subtract_product(sum[g * columns + l], v_g[g], y_l);
    }
  }
  UNROLL
  for (int g = 0; g < groups; g++)
    UNROLL
  for (int l = 0; l < columns; l++)
    store(tile, g * n + c + l, sum[g * columns + l]);
}

/* The tile <- rows of [X; 0]. */
INLINE void top_rows(const row_product_t *p, int64_t i, int groups, R *tile) {
  const int64_t n = p->block.columns;
  memset(tile, 0, (size_t)(groups * n * PARTS * LANES) * sizeof(R));
  for (int64_t r = i * LANES; r < n && r < (i + groups) * LANES; r++)
    for (int64_t c = 0; c < p->kept; c++)
      put_lane(element_at(tile, (r / LANES - i) * n + c), r % LANES, ((const T *)p->X)[c * p->ldx + r]);
}

INLINE void form_groups(const row_product_t *p, int64_t i, int groups, int top) {
  const row_block_t *b = &p->block;
  R *tile = b->work;
  int64_t c = 0;
  if (top)
    top_rows(p, i, groups, tile);
  for (; c + FORMED <= p->kept; c += FORMED)
    form_columns(p, i, groups, top, c, FORMED, tile);
  if (FORMED > 4 && c + 4 <= p->kept) {
    form_columns(p, i, groups, top, c, 4, tile);
    c += 4;
  }
  switch (p->kept - c) {
  case 3: form_columns(p, i, groups, top, c, 3, tile); break;
  case 2: form_columns(p, i, groups, top, c, 2, tile); break;
  case 1: form_columns(p, i, groups, top, c, 1, tile); break;
  }
  for (int64_t e = 0; e < groups * b->columns && b->conjugated && IS_COMPLEX; e++)
    store(tile, e, conjugate(load(tile, e)));
  for (int g = 0; g < groups; g++)
    rows_out(b, p->kept, (i + g) * LANES, element_at(tile, g * b->columns));
}

static void form_rows(const row_product_t *product) {
  const row_product_t p = *product; /* a copy, which no store changes */
  const int64_t count = registers(p.block.rows);
  int64_t i = 0;
  clear_above(&p.block);
  solve_factor(&p);
  for (; i + 2 <= count && i * LANES < p.block.columns; i += 2)
    form_groups(&p, i, 2, 1);
  for (; i + 2 <= count; i += 2)
    form_groups(&p, i, 2, 0);
  if (i < count)
    form_groups(&p, i, 1, 1);
}

#endif
