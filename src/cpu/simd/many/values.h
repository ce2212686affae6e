/* SPDX-License-Identifier: BSD-3-Clause */
/* The singular values alone of a group of matrices, one in each SIMD lane, by reduction to bidiagonal form
 * (bidiagonalize.h) and the qd algorithm (dqds.h).  `tall` is A, or A^H where m < n; a much taller one becomes triangular
 * first (T. F. Chan, ACM Trans. Math. Softw. 8, 1982).  The qd algorithm takes the lanes of two registers at a time where
 * the matrices are small.
 *
 * Values are right to a small multiple of eps times the largest one.  In contrast to Jacobi's those of graded columns have
 * no more digits than that. */
#ifndef SVDGRAD_MANY_VALUES_H
#define SVDGRAD_MANY_VALUES_H
#include "base/fp_environment.h"
#include "../memory/pack.h"
#include "bidiagonalize.h"
#include "dqds.h"
#include "lane_group.h"
#include "qr.h"
#include "results.h"
#include "sort.h"

typedef struct value_group {
  int64_t rows, n;
  int by_qr;
  R *raw; /* rows-by-n: A in the caller's order, then L */
  factored_t factored;
  bidiagonal_t bidiagonal;     /* without d and e */
  lane_group_t out[QD_GROUPS]; /* packed, S and sizes alone */
  dqds_t qd[QD_GROUPS];
} value_group_t;

/* From this ratio on, a QR factorization comes first: it takes rows n^2, and 2 rows n^2 without it. */
INLINE int is_triangular_first(int64_t rows, int64_t n) { return 3 * rows >= 5 * n; }

/* Sweeps for each value, and rounds for the vectors of each.  Normal entries take about three sweeps, and no spectrum that
 * was tried five. */
enum { MOST_SWEEPS = 30 };

/* Registers of lanes at a time.  More columns spend more of their time before the qd algorithm, and threads share a batch
 * better in smaller pieces. */
enum { PAIRED_MOST_COLUMNS = 48 };
INLINE int value_groups(const problem_t *p) { return p->mn <= PAIRED_MOST_COLUMNS ? QD_GROUPS : 1; }

INLINE void take_bidiagonal(arena_t *arena, bidiagonal_t *b) {
  const size_t E_size = PARTS * sizeof(R);
  b->P = arena_take(arena, b->n * LANES, E_size);
  b->tau_q = arena_take(arena, b->n * LANES, sizeof(R));
  b->tau_p = arena_take(arena, b->n * LANES, sizeof(R));
  b->x = arena_take(arena, b->rows * LANES, E_size);
  b->w = arena_take(arena, b->rows * LANES, E_size);
  b->y = arena_take(arena, b->n * LANES, E_size);
}

INLINE void take_values(arena_t *arena, int64_t n, lane_group_t *out, dqds_t *qd) {
  out->packed.exponent = arena_take(arena, LANES, sizeof(R));
  out->packed.finite = arena_take(arena, LANES, sizeof(R));
  out->S = arena_take(arena, n * LANES, sizeof(R));
  *qd = (dqds_t){.n = n, .value = out->S};
  qd->q = arena_take(arena, (n + 1) * LANES, sizeof(R));
  qd->e = arena_take(arena, (n + 1) * LANES, sizeof(R));
  qd->waiting = arena_take(arena, n * LANES, sizeof(R));
  qd->start = arena_take(arena, n * LANES, sizeof(R));
}

NOINLINE value_group_t value_group_take(arena_t *arena, const problem_t *p) {
  const int64_t rows = p->m < p->n ? p->n : p->m, n = p->mn;
  const size_t E_size = PARTS * sizeof(R);
  value_group_t g = {.rows = rows, .n = n, .by_qr = is_triangular_first(rows, n), .factored = {.rows = rows, .n = n}};
  R *column = arena_take(arena, n * LANES, sizeof(R));
  g.raw = arena_take(arena, rows * n * LANES, E_size);
  g.factored.A = arena_take(arena, rows * n * LANES, E_size);
  if (g.by_qr) {
    g.factored.diagonal = arena_take(arena, n * LANES, E_size);
    g.factored.tau = arena_take(arena, n * LANES, sizeof(R));
    g.factored.product = arena_take(arena, n * LANES, E_size);
  }
  g.bidiagonal = (bidiagonal_t){.rows = g.by_qr ? n : rows, .n = n, .A = g.by_qr ? g.raw : g.factored.A};
  take_bidiagonal(arena, &g.bidiagonal);
  for (int i = 0; i < value_groups(p); i++) {
    g.out[i] = (lane_group_t){.rows = rows, .n = n, .packed = {.column = column}};
    take_values(arena, n, &g.out[i], &g.qd[i]);
  }
  return g;
}

/* q and e of a packed group, without the subnormal numbers that remain of matrices of low rank. */
NOINLINE void reduce_group(const value_group_t *g, const dqds_t *qd) {
  WITHOUT_SUBNORMALS;
  if (g->by_qr) {
    factorize_qr(&g->factored);
    adjoint_of_R(&g->factored, g->raw);
  }
  bidiagonal_t b = g->bidiagonal;
  b.d = qd->q, b.e = qd->e;
  bidiagonalize(&b);
  for (int64_t k = 0; k < g->n; k++) {
    const V d = load_real(b.d + k * LANES), e = load_real(b.e + k * LANES);
    store_real(b.d + k * LANES, d * d);
    store_real(b.e + k * LANES, e * e);
  }
}

NOINLINE void dqds_of_one(const dqds_t *w, int64_t most_sweeps, M *failed) {
  WITHOUT_SUBNORMALS;
  dqds(w, 1, most_sweeps, failed);
}

NOINLINE void dqds_of_two(const dqds_t *w, int64_t most_sweeps, M *failed) {
  WITHOUT_SUBNORMALS;
  dqds(w, 2, most_sweeps, failed);
}

/* S from the eigenvalues, in descending order. */
NOINLINE void finish_values(const lane_group_t *g) {
  for (int64_t k = 0; k < g->n; k++)
    store_real(g->S + k * LANES, square_root(larger(load_real(g->S + k * LANES), (V){0})));
  sort_values(g);
}

/* Solves the matrices in the mask once more, up to LANES neighbours together: often all of a batch are of one kind. */
NOINLINE void solve_again(const svd_call_t *call, int64_t first, int count, const M *failed, arena_t scratch,
                          batch_task_t again) {
  int begin = 0;
  for (int b = 0; b < count; b++) {
    const int fails = failed[b / LANES][b % LANES] != 0;
    if (fails && b + 1 < count && b + 1 < begin + LANES)
      continue;
    if (b + fails > begin)
      again(call, first + begin, b + fails - begin, scratch);
    begin = b + 1;
  }
}

/* Up to LANES matrices for each of up to value_groups() registers.  `again` is the batch_task_t for the matrices that have
 * not converged: it stores all of their results. */
INLINE void values_group(const svd_call_t *call, int64_t first, int count, arena_t scratch, int64_t most_sweeps,
                         batch_task_t again) {
  arena_t arena = scratch;
  const value_group_t g = value_group_take(&arena, &call->p);
  M failed[QD_GROUPS];
  int groups = 0, counts[QD_GROUPS];
  for (int done = 0; done < count; done += LANES, groups++) {
    packed_t packed = g.out[groups].packed;
    counts[groups] = count - done < LANES ? count - done : LANES;
    pack(call, first + done, g.rows, g.n, 0, &packed, g.raw, g.factored.A, NULL, counts[groups]);
    reduce_group(&g, &g.qd[groups]);
  }
  if (groups == 1)
    dqds_of_one(g.qd, most_sweeps, failed);
  else
    dqds_of_two(g.qd, most_sweeps, failed);
  for (int i = 0; i < groups; i++) {
    finish_values(&g.out[i]);
    const M overflow = store_values(&g.out[i], call, first + i * LANES, counts[i]);
    store_info(&g.out[i], call, first + i * LANES, (M){0}, overflow, counts[i]);
  }
  solve_again(call, first, count, failed, scratch, again);
}

#endif
