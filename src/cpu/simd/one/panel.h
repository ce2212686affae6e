/* SPDX-License-Identifier: BSD-3-Clause */
/* Householder QR of a panel, a few columns of one matrix, with a lane for each row.  Reflectors come in pairs I - tau v
 * v^H, I - tau' w w^H: one pass over the columns on the right applies a pair,
 *
 *   a <- a - v y - w y',   y = conj(tau) v^H a,   y' = conj(tau') (w^H a - (w^H v) y),
 *
 * and multiplies the result by the next pair, so that an entry is read and written once for two reflectors. */
#ifndef SVDGRAD_ONE_PANEL_H
#define SVDGRAD_ONE_PANEL_H
#include "householder.h"
#include "reflectors.h"

/* The step that factors columns k and k + 1. */
typedef struct pair_step {
  int64_t k;          /* the first of the two columns */
  const R *before[2]; /* v and w of the pair before, which is not applied to columns k.. yet, */
  T *y[2];            /* and their factors, by columns */
  T tau[2], product;  /* of this pair; w^H v */
} pair_step_t;

INLINE R *panel_column(const panel_t *p, int64_t j) { return (R *)p->A + j * p->stride; }
INLINE T *panel_entry(const panel_t *p, int64_t i, int64_t j) { return (T *)p->triangle + j * p->columns + i; }

/* x <- x - v y */
INLINE void subtract_from(R *x, const R *v, T y, int64_t first, int64_t rows) {
  const E factor = broadcast_element(y);
  for (int64_t i = first / LANES; i < registers(rows); i++)
    store(x, i, subtract_product(load(x, i), load(v, i), factor));
}

/* Applies the pair before to column j. */
INLINE void catch_up(const panel_t *p, const pair_step_t *s, int64_t j) {
  R *x = panel_column(p, j);
  const E y = broadcast_element(s->y[0][j]), z = broadcast_element(s->y[1][j]);
  for (int64_t i = s->k / LANES; s->k > 0 && i < registers(p->rows); i++)
    store(x, i, subtract_product(subtract_product(load(x, i), load(s->before[0], i), y), load(s->before[1], i), z));
}

/* The products of columns j.. with this pair, and what follows from them. */
INLINE void note_products(const panel_t *p, const pair_step_t *s, int64_t j, T with_v, T with_w) {
  const R *x = panel_column(p, j), *v = panel_column(p, s->k);
  const T along = CONJ(s->tau[0]) * with_v, along_w = CONJ(s->tau[1]) * (with_w - s->product * along);
  s->y[0][j] = along, s->y[1][j] = along_w;
  *panel_entry(p, s->k, j) = lane_of(x, s->k) - along;
  *panel_entry(p, s->k + 1, j) = lane_of(x, s->k + 1) - lane_of(v, s->k + 1) * along - along_w;
}

/* Registers of a column that are taken at once: a few columns alone would wait for their sums. */
INLINE int depth_of(int columns) { return columns >= REDUCED ? 1 : REDUCED / columns; }

/* Registers i .. i + depth - 1 of the columns from a on.  depth, columns and is_first are compile-time constants. */
INLINE void pass_registers(const panel_t *p, const pair_step_t *s, int64_t i, int depth, R *a, int columns,
                           int is_first, E y[2][REDUCED], E sum[2][REDUCED]) {
  const R *v = panel_column(p, s->k), *w = panel_column(p, s->k + 1);
  const int64_t next = p->stride / (PARTS * LANES);
  UNROLL
  for (int d = 0; d < depth; d++) {
    const E v_i = load(v, i + d), w_i = load(w, i + d);
    UNROLL
    for (int c = 0; c < columns; c++) {
      E a_i = load(a, c * next + i + d);
      if (!is_first) {
        a_i = subtract_product(a_i, load(s->before[0], i + d), y[0][c]);
        a_i = subtract_product(a_i, load(s->before[1], i + d), y[1][c]);
        store(a, c * next + i + d, a_i);
      }
      const int at = d * columns + c;
      sum[0][at] = add_conjugate_product(sum[0][at], v_i, a_i);
      sum[1][at] = add_conjugate_product(sum[1][at], w_i, a_i);
    }
  }
}

/* Applies the pair before, if this is not the first, to columns j.., and multiplies them by this pair. */
INLINE void pass_columns(const panel_t *p, const pair_step_t *s, int64_t j, int columns, int is_first) {
  const int depth = depth_of(columns);
  const int64_t count = registers(p->rows);
  E y[2][REDUCED], sum[2][REDUCED];
  UNROLL
  for (int c = 0; c < columns; c++)
    y[0][c] = broadcast_element(s->y[0][j + c]), y[1][c] = broadcast_element(s->y[1][j + c]);
  UNROLL
  for (int c = 0; c < depth * columns; c++)
    sum[0][c] = sum[1][c] = from_real((V){0});
  int64_t i = s->k / LANES;
  for (; i + depth <= count; i += depth)
    pass_registers(p, s, i, depth, panel_column(p, j), columns, is_first, y, sum);
  for (; i < count; i++)
    pass_registers(p, s, i, 1, panel_column(p, j), columns, is_first, y, sum);
  for (int c = 0; c < columns; c++) {
    for (int d = 1; d < depth; d++)
      for (int h = 0; h < 2; h++)
        sum[h][c] = add(sum[h][c], sum[h][d * columns + c]);
    note_products(p, s, j + c, sum_of_lanes(sum[0][c]), sum_of_lanes(sum[1][c]));
  }
}

INLINE void pass_from(const panel_t *p, const pair_step_t *s, int64_t j, int64_t end, int is_first) {
  for (; j + REDUCED <= end; j += REDUCED)
    pass_columns(p, s, j, REDUCED, is_first);
  if (j + 2 <= end) {
    pass_columns(p, s, j, 2, is_first);
    j += 2;
  }
  if (j < end)
    pass_columns(p, s, j, 1, is_first);
}

/* The reflector of column j, after all reflectors before it have been applied. */
INLINE T reflect_column(const panel_t *p, int64_t j) {
  const householder_t h = householder(panel_column(p, j), j, p->rows);
  *panel_entry(p, j, j) = h.beta;
  return ((T *)p->tau)[j] = h.tau;
}

INLINE void pass_some(const panel_t *p, const pair_step_t *s, int64_t j, int64_t end) {
  if (s->k == 0)
    pass_from(p, s, j, end, 1);
  else
    pass_from(p, s, j, end, 0);
}

/* The pass over the columns on the right, of which threads share groups. */
typedef struct shared_pass {
  const panel_t *p;
  const pair_step_t *s;
} shared_pass_t;

static void pass_piece(const void *argument, int64_t piece) {
  const shared_pass_t *shared = argument;
  const panel_t *p = shared->p;
  const int64_t j = shared->s->k + 2 + piece * REDUCED;
  pass_some(p, shared->s, j, j + REDUCED < p->columns ? j + REDUCED : p->columns);
}

static void pass_rest(const panel_t *p, const pair_step_t *s) {
  const shared_pass_t shared = {p, s};
  const int64_t first = s->k + 2;
  if (p->team) /* an entry takes about a tenth of a nanosecond for each of its bytes */
    team_run(p->team, (p->columns - first + REDUCED - 1) / REDUCED,
             0.1 * REDUCED * sizeof(T) * (double)(p->rows - s->k), pass_piece, &shared);
  else
    pass_some(p, s, first, p->columns);
}

static void factor_panel(const panel_t *p) {
  pair_step_t s = {.before = {p->A, p->A}, .y = {p->y, (T *)p->y + p->columns}};
  memset(p->y, 0, 2 * (size_t)p->columns * sizeof(T));
  for (; s.k < p->columns; s.k += 2) {
    R *v = panel_column(p, s.k), *w = panel_column(p, s.k + 1);
    catch_up(p, &s, s.k);
    s.tau[0] = reflect_column(p, s.k);
    if (s.k + 1 == p->columns)
      return;
    catch_up(p, &s, s.k + 1);
    const T y = CONJ(s.tau[0]) * inner_product(v, w, s.k, p->rows);
    *panel_entry(p, s.k, s.k + 1) = lane_of(w, s.k) - y;
    subtract_from(w, v, y, s.k, p->rows);
    s.tau[1] = reflect_column(p, s.k + 1);
    s.product = inner_product(w, v, s.k + 1, p->rows);
    pass_rest(p, &s);
    s.before[0] = v, s.before[1] = w;
  }
}

#endif
