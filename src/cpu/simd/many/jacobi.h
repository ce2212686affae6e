/* SPDX-License-Identifier: BSD-3-Clause */
/* One-sided Jacobi on LANES matrices at once: rotates the columns of A until they are orthogonal (convergence.h), and
 * applies the same rotations to the columns of J, if J is wanted.
 *
 * The columns form blocks of four.  Two columns of one block meet up to four columns of another block at a time
 * (block_rotation.h), so that a column is read once, and a second time with a write, for several rotations.  Squared
 * norms and the products within a block are computed from A once in each sweep, and updated by the rotations in
 * between.  The scale factors of the columns are multiplied in before they get too small. */
#ifndef SVDGRAD_MANY_JACOBI_H
#define SVDGRAD_MANY_JACOBI_H
#include "../memory/ahead.h"
#include "../kernels.h"
#include "block_rotation.h"

/* The arguments and the work space of rotate(). */
typedef struct rotation_task {
  int64_t rows, n; /* of A: rows-by-n; J is n-by-n */
  R *A, *J;
  R *D2;                                 /* n: squares of the scale factors */
  R *square;                             /* n: |A_j|^2 */
  R *before;                             /* n: the largest |A_j|^2 after a sweep; 0 since column j became zero */
  R *product;                            /* block_products(n) elements: X_i^H X_j in every block */
  int rotations[LANES_MOST_COLUMNS / 4]; /* of any column of a block, at most, since its scale factors were 1 */
  criteria_t criteria;
  ahead_t *ahead;
} rotation_task_t;

/* Six products for each block of four columns. */
static int64_t block_products(int64_t n) { return (n + 3) / 4 * 6; }

/* The product of columns i < j of the block that begins with column `block`. */
INLINE R *product_at(const rotation_task_t *w, int64_t block, int64_t i, int64_t j) {
  return element_at(w->product, block / 4 * 6 + i * (7 - i) / 2 + j - i - 1);
}

INLINE int64_t column_at(int64_t first, int64_t second, int i) { return i < 2 ? first + i : second + i - 2; }

/* Loads the state of columns first, first + 1, second, second + 1, ...: `columns` of them. */
INLINE block_rotation_t take_columns(const rotation_task_t *w, int64_t first, int64_t second, int columns, int inside) {
  block_rotation_t b = {.columns = columns, .inside = inside, .rotated = {0}, .open = {0}};
  UNROLL
  for (int i = 0; i < columns; i++) {
    const int64_t at = column_at(first, second, i);
    b.A[i] = element_at(w->A, at * w->rows);
    b.J[i] = w->J ? element_at(w->J, at * w->n) : NULL;
    b.D2[i] = load_real(w->D2 + at * LANES);
    b.square[i] = load_real(w->square + at * LANES);
  }
  UNROLL
  for (int i = 0; i < columns; i++) {
    UNROLL
    for (int j = i + 1; j < columns; j++)
      if (in_one_block(&b, i, j)) {
        const int64_t c = column_at(first, second, i), block = c / 4 * 4;
        b.dot[i][j] = load(product_at(w, block, c - block, column_at(first, second, j) - block), 0);
      }
  }
  return b;
}

INLINE void put_columns_back(const rotation_task_t *w, int64_t first, int64_t second, const block_rotation_t *b) {
  const int columns = b->columns;
  UNROLL
  for (int i = 0; i < columns; i++) {
    const int64_t at = column_at(first, second, i);
    store_real(w->D2 + at * LANES, b->D2[i]);
    store_real(w->square + at * LANES, b->square[i]);
  }
  UNROLL
  for (int i = 0; i < columns; i++) {
    UNROLL
    for (int j = i + 1; j < columns; j++)
      if (in_one_block(b, i, j)) {
        const int64_t c = column_at(first, second, i), block = c / 4 * 4;
        store(product_at(w, block, c - block, column_at(first, second, j) - block), 0, b->dot[i][j]);
      }
  }
}

/* A rotation may halve the square of a scale factor: after so many rotations of a column its factor is multiplied
 * in. */
enum { MOST_ROTATIONS = 63 };

/* Multiplies the scale factors of a block into its columns, for the matrices that are still active. */
NOINLINE void rescale_columns(const rotation_task_t *w, int64_t block) {
  const int columns = w->n - block < 4 ? (int)(w->n - block) : 4;
  const V one = broadcast(1);
  V D[4];
  for (int c = 0; c < columns; c++) {
    const int64_t j = block + c;
    const V D2 = load_real(w->D2 + j * LANES);
    D[c] = square_root(choose_real(w->criteria.active, D2, one));
    for (int64_t i = 0; i < w->rows; i++)
      store(w->A, j * w->rows + i, scaled(D[c], load(w->A, j * w->rows + i)));
    for (int64_t i = 0; i < w->n && w->J; i++)
      store(w->J, j * w->n + i, scaled(D[c], load(w->J, j * w->n + i)));
    store_real(w->D2 + j * LANES, choose_real(w->criteria.active, one, D2));
  }
  for (int i = 0; i < columns; i++)
    for (int j = i + 1; j < columns; j++) {
      R *product = product_at(w, block, i, j);
      store(product, 0, scaled(D[i] * D[j], load(product, 0)));
    }
}

/* To be called before the columns of a block are rotated `count` times. */
INLINE void count_rotations(rotation_task_t *w, int64_t block, int count) {
  int *rotations = &w->rotations[block / 4];
  if (*rotations + count > MOST_ROTATIONS) {
    rescale_columns(w, block);
    *rotations = 0;
  }
  *rotations += count;
}

/* Rotates the columns that take_columns() names.  Mask of the matrices that need another sweep. */
INLINE M rotate_columns(const rotation_task_t *w, int64_t first, int64_t second, int columns, int inside) {
  ahead_step(w->ahead);
  block_rotation_t b = take_columns(w, first, second, columns, inside);
  find_rotations(&b, w->rows, &w->criteria);
  if (any_lane(b.rotated)) {
    put_columns_back(w, first, second, &b);
    apply_rotations(&b, w->rows, b.A);
    if (w->J)
      apply_rotations(&b, w->n, b.J);
  }
  return b.open;
}

/* Columns i, i + 1 against columns j..j+3, or as many of these as exist. */
INLINE M rotate_across(const rotation_task_t *w, int64_t i, int64_t j) {
  switch (w->n - j) { /* columns from j on */
  case 1: return rotate_columns(w, i, j, 3, 0);
  case 2: return rotate_columns(w, i, j, 4, 0);
  case 3: return rotate_columns(w, i, j, 5, 0);
  default: return rotate_columns(w, i, j, 6, 0);
  }
}

/* The pairs among columns i..i+3, or as many of these as exist. */
INLINE M rotate_inside(const rotation_task_t *w, int64_t i) {
  switch (w->n - i) {
  case 1: return (M){0};
  case 2: return rotate_columns(w, i, i + 2, 2, 1);
  case 3: return rotate_columns(w, i, i + 2, 3, 1);
  default: return rotate_columns(w, i, i + 2, 4, 1);
  }
}

/* A sweep rotates every pair of columns once.  Mask of the matrices that need another sweep. */
INLINE M sweep(rotation_task_t *w) {
  M open = {0};
  for (int64_t i = 0; i < w->n; i += 4) {
    count_rotations(w, i, 3);
    open |= rotate_inside(w, i);
    for (int64_t j = i + 4; j < w->n; j += 4) {
      count_rotations(w, i, 4);
      count_rotations(w, j, 4);
      for (int half = 0; half < 4; half += 2)
        open |= rotate_across(w, i + half, j);
    }
  }
  return open;
}

/* Sets column j to zero where it is noise.  Returns whether it was noise in any matrix. */
INLINE int drop_noise(const rotation_task_t *w, int64_t j) {
  V before = load_real(w->before + j * LANES);
  const M is_noise = find_noise(w->rows, load_real(w->square + j * LANES), &before);
  const V keep = choose_real(is_noise, (V){0}, broadcast(1));
  store_real(w->before + j * LANES, before);
  if (!any_lane(is_noise))
    return 0;
  for (int64_t i = 0; i < w->rows; i++)
    store(w->A, j * w->rows + i, scaled(keep, load(w->A, j * w->rows + i)));
  return 1;
}

/* Norms and products of the columns of a block; `columns` is a compile-time constant in every use. */
INLINE void measure(const rotation_task_t *w, int64_t block, int columns) {
  V sum[4];
  E dot[4][4];
  UNROLL
  for (int i = 0; i < columns; i++) {
    sum[i] = (V){0};
    UNROLL
    for (int j = i + 1; j < columns; j++)
      dot[i][j] = from_real((V){0});
  }
  for (int64_t row = 0; row < w->rows; row++) {
    E x[4];
    UNROLL
    for (int i = 0; i < columns; i++) {
      x[i] = load(w->A, (block + i) * w->rows + row);
      sum[i] = add_square(sum[i], x[i]);
    }
    UNROLL
    for (int i = 0; i < columns; i++) {
      UNROLL
      for (int j = i + 1; j < columns; j++)
        dot[i][j] = add_conjugate_product(dot[i][j], x[i], x[j]);
    }
  }
  UNROLL
  for (int i = 0; i < columns; i++) {
    store_real(w->square + (block + i) * LANES, load_real(w->D2 + (block + i) * LANES) * sum[i]);
    UNROLL
    for (int j = i + 1; j < columns; j++)
      store(product_at(w, block, i, j), 0, dot[i][j]);
  }
}

INLINE void measure_clean(const rotation_task_t *w, int64_t block, int columns) {
  int noisy = 0;
  measure(w, block, columns);
  for (int i = 0; i < columns; i++)
    noisy |= drop_noise(w, block + i);
  if (noisy)
    measure(w, block, columns);
}

INLINE void measure_blocks(const rotation_task_t *w) {
  for (int64_t block = 0; block < w->n; block += 4)
    switch (w->n - block) {
    case 1: measure_clean(w, block, 1); break;
    case 2: measure_clean(w, block, 2); break;
    case 3: measure_clean(w, block, 3); break;
    default: measure_clean(w, block, 4); break;
    }
}

INLINE void start_sweeps(rotation_task_t *w) {
  w->criteria = criteria_of(w->n);
  for (int64_t j = 0; j < w->n; j++) {
    store_real(w->D2 + j * LANES, broadcast(1));
    store_real(w->before + j * LANES, broadcast(SMALLEST_SQUARE));
    w->rotations[j / 4] = 0;
  }
  measure_blocks(w);
}

/* Mask of the matrices that have not converged after max_sweeps.  The columns of A and J still lack their scale
 * factors.  D2, square, before, product and criteria are set here. */
INLINE M rotate(rotation_task_t *w, int max_sweeps) {
  start_sweeps(w);
  for (int count = 0; count < max_sweeps && any_lane(w->criteria.active); count++) {
    w->criteria.active &= sweep(w);
    measure_blocks(w);
  }
  return w->criteria.active;
}

/* What turns a rotated column into a result: its norm S, zero where nothing but noise is left of the column; `unit`,
 * which normalizes the column of A, or zero; and D, for the column of J. Both include the scale factor. */
typedef struct column_scales {
  V S, unit, D;
} column_scales_t;

INLINE column_scales_t column_scales_of(V square, V D2) {
  const V zero = {0}, one = broadcast(1), D = square_root(D2);
  const M exists = (M)(square > broadcast(SMALLEST_SQUARE));
  const V norm = square_root(choose_real(exists, square, one));
  return (column_scales_t){choose_real(exists, norm, zero), choose_real(exists, D / norm, zero), D};
}

#endif
