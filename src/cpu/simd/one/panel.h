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

/* v^H x from row `first` on, where v begins. */
INLINE T inner_product(const R *v, const R *x, int64_t first, int64_t rows) {
  E sum = from_real((V){0});
  for (int64_t i = first / LANES; i < registers(rows); i++)
    sum = add_conjugate_product(sum, load(v, i), load(x, i));
  return sum_of_lanes(sum);
}

/* x <- x - v y */
INLINE void subtract_from(R *x, const R *v, T y, int64_t first, int64_t rows) {
  const E factor = broadcast_element(y);
  for (int64_t i = first / LANES; i < registers(rows); i++)
    store(x, i, subtract_product(load(x, i), load(v, i), factor));
}

/* Applies the pair before to column j. */
INLINE void catch_up(const panel_t *p, const pair_step_t *s, int64_t j) {
  for (int c = 0; c < 2 && s->k > 0; c++)
    subtract_from(panel_column(p, j), s->before[c], s->y[c][j], s->k, p->rows);
}

/* Applies the pair before to columns j.., and multiplies them by this pair. */
INLINE void pass_columns(const panel_t *p, const pair_step_t *s, int64_t j, int columns) {
  const R *v = panel_column(p, s->k), *w = panel_column(p, s->k + 1);
  R *a = panel_column(p, j);
  const int64_t next = p->stride / (PARTS * LANES);
  E y[2][REDUCED], sum[2][REDUCED];
  UNROLL
  for (int c = 0; c < columns; c++) {
    y[0][c] = broadcast_element(s->y[0][j + c]), y[1][c] = broadcast_element(s->y[1][j + c]);
    sum[0][c] = sum[1][c] = from_real((V){0});
  }
  for (int64_t i = s->k / LANES; i < registers(p->rows); i++) {
    const E old_v = load(s->before[0], i), old_w = load(s->before[1], i);
    const E v_i = load(v, i), w_i = load(w, i);
    UNROLL
    for (int c = 0; c < columns; c++) {
      const E a_i = subtract_product(subtract_product(load(a, c * next + i), old_v, y[0][c]), old_w, y[1][c]);
      store(a, c * next + i, a_i);
      sum[0][c] = add_conjugate_product(sum[0][c], v_i, a_i);
      sum[1][c] = add_conjugate_product(sum[1][c], w_i, a_i);
    }
  }
  for (int c = 0; c < columns; c++) {
    const R *x = a + c * p->stride;
    const T along = CONJ(s->tau[0]) * sum_of_lanes(sum[0][c]);
    const T along_w = CONJ(s->tau[1]) * (sum_of_lanes(sum[1][c]) - s->product * along);
    s->y[0][j + c] = along, s->y[1][j + c] = along_w;
    *panel_entry(p, s->k, j + c) = lane_of(x, s->k) - along;
    *panel_entry(p, s->k + 1, j + c) = lane_of(x, s->k + 1) - lane_of(v, s->k + 1) * along - along_w;
  }
}

/* The reflector of column j, after all reflectors before it have been applied. */
INLINE T reflect_column(const panel_t *p, int64_t j) {
  const householder_t h = householder(panel_column(p, j), j, p->rows);
  *panel_entry(p, j, j) = h.beta;
  return ((T *)p->tau)[j] = h.tau;
}

INLINE void pass_from(const panel_t *p, const pair_step_t *s, int64_t j, int64_t end) {
  for (; j + REDUCED <= end; j += REDUCED)
    pass_columns(p, s, j, REDUCED);
  for (; j < end; j++)
    pass_columns(p, s, j, 1);
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
  pass_from(p, shared->s, j, j + REDUCED < p->columns ? j + REDUCED : p->columns);
}

static void pass_rest(const panel_t *p, const pair_step_t *s) {
  const shared_pass_t shared = {p, s};
  const int64_t first = s->k + 2;
  if (p->team) /* an entry takes about a tenth of a nanosecond for each of its bytes */
    team_run(p->team, (p->columns - first + REDUCED - 1) / REDUCED,
             0.1 * REDUCED * sizeof(T) * (double)(p->rows - s->k), pass_piece, &shared);
  else
    pass_from(p, s, first, p->columns);
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
