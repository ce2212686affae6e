/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of a group of up to LANES matrices, one in each SIMD lane, by reduction to bidiagonal form (bidiagonalize.h), the
 * qd algorithm for the values (dqds.h), which are those of values.h bit by bit, and QR iteration with these values as
 * shifts for the vectors (bidiagonal_svd.h).  `tall` is A, or A^H where m < n; tall = X S Y^H.
 *
 * Much taller matrices become triangular first: tall = Q R, then R^H = U S V^H, X = Q V and Y = U.
 *
 * The errors are those of LAPACK: a small multiple of eps times the largest singular value.  Jacobi takes over a matrix
 * that takes too many steps, or whose values are not those of the qd algorithm. */
#ifndef SVDGRAD_MANY_VECTORS_H
#define SVDGRAD_MANY_VECTORS_H
#include "../memory/pack.h"
#include "bidiagonal_svd.h"
#include "form_vectors.h"
#include "values.h"

/* For each column of B: rounds of steps before a matrix counts as not converged; up to 1.6 are needed on spectra of every
 * kind. */
enum { MOST_ROUNDS = 12 };

/* The qd algorithm takes the lanes of two registers at a time where that still fits the cache. */
enum { PAIRED_MOST_ROWS = 64 };
INLINE int vector_groups(const problem_t *p) {
  return p->mn <= PAIRED_MOST_COLUMNS && p->m <= PAIRED_MOST_ROWS && p->n <= PAIRED_MOST_ROWS ? QD_GROUPS : 1;
}

typedef struct vector_group {
  int by_qr;
  lane_group_t out; /* sizes, what pack() notes, S, and X and Y (rotated), which go to the caller */
  R *raw, *core;    /* rows-by-n, n-by-n: A in the caller's order, later work of the stores; by_qr: the factor of X */
  bidiagonal_t bidiagonal;
  dqds_t qd;
  int64_t columns_u;     /* of Q that are formed */
  R *phase_u, *phase_v;  /* columns_u, n */
  bidiagonal_svd_t task; /* without B and the tolerance */
} vector_group_t;

INLINE R *take_blocks(arena_t *arena, int64_t rows, int64_t columns) {
  const int64_t blocks = (rows + BLOCK_ELEMENTS - 1) / BLOCK_ELEMENTS;
  return arena_take(arena, blocks * BLOCK_ELEMENTS * block_width(columns) * LANES, PARTS * sizeof(R));
}

NOINLINE vector_group_t vector_group_take(arena_t *arena, const problem_t *p) {
  const int64_t rows = p->m < p->n ? p->n : p->m, n = p->mn, wanted = p->full_matrices ? rows : n;
  const size_t E_size = PARTS * sizeof(R);
  vector_group_t g = {.by_qr = is_triangular_first(rows, n)};
  g.out = (lane_group_t){.rows = rows, .n = n, .wanted = wanted, .by_qr = 1, .vectors = 1};
  g.out.factored = (factored_t){.rows = rows, .n = n};
  g.out.packed.column = arena_take(arena, n * LANES, sizeof(R));
  g.raw = arena_take(arena, rows * n * LANES, E_size);
  g.out.raw_out = g.raw;
  g.out.factored.A = arena_take(arena, rows * n * LANES, E_size);
  const int64_t reduced = g.by_qr ? n : rows;
  g.columns_u = g.by_qr ? n : wanted;
  if (g.by_qr) {
    g.out.factored.diagonal = arena_take(arena, n * LANES, E_size);
    g.out.factored.tau = arena_take(arena, n * LANES, sizeof(R));
    g.out.factored.product = arena_take(arena, n * LANES, E_size);
    g.core = arena_take(arena, n * n * LANES, E_size);
  }
  g.bidiagonal = (bidiagonal_t){.rows = reduced, .n = n, .A = g.by_qr ? g.raw : g.out.factored.A, .p_step = n};
  take_bidiagonal(arena, &g.bidiagonal);
  g.bidiagonal.P = arena_take(arena, n * n * LANES, E_size);
  g.bidiagonal.d = arena_take(arena, n * LANES, sizeof(R));
  g.bidiagonal.e = arena_take(arena, n * LANES, sizeof(R));
  g.bidiagonal.d_phase = arena_take(arena, n * LANES, E_size);
  g.bidiagonal.e_phase = arena_take(arena, n * LANES, E_size);
  take_values(arena, n, &g.out, &g.qd);
  g.phase_u = arena_take(arena, g.columns_u * LANES, E_size);
  g.phase_v = arena_take(arena, n * LANES, E_size);
  g.task = (bidiagonal_svd_t){.rows_u = PARTS * reduced, .rows_v = PARTS * n, .columns_u = g.columns_u};
  g.task.left = arena_take(arena, QUEUE * rotation_reals(n), sizeof(R));
  g.task.right = arena_take(arena, QUEUE * rotation_reals(n), sizeof(R));
  g.task.U = take_blocks(arena, reduced, g.columns_u);
  g.task.V = take_blocks(arena, n, n);
  g.out.X = arena_take(arena, rows * wanted * LANES, E_size);
  g.out.rotated = g.bidiagonal.P; /* V has been formed when Y is stored */
  return g;
}

/* The phases of the columns of Q and P that leave a B with real entries. */
INLINE void find_phases(const vector_group_t *g) {
  const bidiagonal_t *b = &g->bidiagonal;
  const E zero = from_real((V){0}), one = from_real(broadcast(1));
  E right = one;
  for (int64_t k = 0; k < b->n; k++) {
    const E left = add_product(zero, load(b->d_phase, k), right);
    store(g->phase_u, k, left);
    store(g->phase_v, k, right);
    if (k + 1 < b->n)
      right = add_conjugate_product(zero, load(b->e_phase, k), left);
  }
  for (int64_t k = b->n; k < g->columns_u; k++)
    store(g->phase_u, k, one);
}

NOINLINE void form_both(const vector_group_t *g) {
  const bidiagonal_t *b = &g->bidiagonal;
  const reflectors_t Q = {b->rows, b->n, 0, b->A, b->tau_q, b->x}, P = {b->n, b->n - 1, 1, b->P, b->tau_p, b->y};
  find_phases(g);
  form_vectors(&Q, g->columns_u, g->phase_u, g->task.U);
  form_vectors(&P, b->n, g->phase_v, g->task.V);
}

/* S by the qd algorithm. */
NOINLINE void find_values(const vector_group_t *g, int groups, int64_t most_sweeps, M *failed) {
  dqds_t qd[QD_GROUPS] = {{0}};
  for (int i = 0; i < groups; i++) {
    qd[i] = g[i].qd;
    for (int64_t k = 0; k < g[i].out.n; k++) {
      const V d = load_real(g[i].bidiagonal.d + k * LANES), e = load_real(g[i].bidiagonal.e + k * LANES);
      store_real(qd[i].q + k * LANES, d * d);
      store_real(qd[i].e + k * LANES, e * e);
    }
  }
  if (groups == 1)
    dqds_of_one(qd, most_sweeps, failed);
  else
    dqds_of_two(qd, most_sweeps, failed);
  for (int i = 0; i < groups; i++) {
    const lane_group_t values = {.n = g[i].out.n, .S = g[i].out.S};
    finish_values(&values);
  }
}

/* Puts |d|, and the columns of U and V, into descending order: few are not. */
INLINE void sort_blocks(const vector_group_t *g) {
  const bidiagonal_svd_t *w = &g->task;
  M swapped = ~(M){0};
  for (int64_t pass = 0; pass < w->B.n && any_lane(swapped); pass += 2) {
    swapped = (M){0};
    for (int64_t parity = 0; parity < 2; parity++)
      for (int64_t j = parity; j + 1 < w->B.n; j += 2) {
        const V x = load_real(w->B.d + j * LANES), y = load_real(w->B.d + (j + 1) * LANES);
        const M swap = (M)(absolute(y) > absolute(x));
        if (!any_lane(swap))
          continue;
        store_real(w->B.d + j * LANES, choose_real(swap, y, x));
        store_real(w->B.d + (j + 1) * LANES, choose_real(swap, x, y));
        swap_block_columns(swap, w->rows_u, w->columns_u, w->U, j);
        swap_block_columns(swap, w->rows_v, w->B.n, w->V, j);
        swapped |= swap;
      }
  }
}

/* Mask of the matrices whose |d|, in descending order, is not S. */
INLINE M differ(const vector_group_t *g) {
  const V bound = broadcast(16 * (R)(g->out.n + 8) * EPSILON) * load_real(g->out.S);
  M differs = {0};
  for (int64_t k = 0; k < g->out.n; k++) {
    const V d = absolute(load_real(g->task.B.d + k * LANES));
    differs |= ~(M)(absolute(d - load_real(g->out.S + k * LANES)) <= bound);
  }
  return differs;
}

/* X, rows-by-columns, <- the columns of blocks, normalized: each of the many rotations leaves an error in their norm.
 * Columns get the sign of d; NULL: they keep theirs. */
NOINLINE void take_blocks_apart(int64_t rows, int64_t columns, const R *blocks, int64_t signs, const R *d, R *X) {
  for (int64_t j = 0; j < columns; j++) {
    V square = {0}, other = {0};
    int64_t i = 0;
    for (; i + 1 < rows; i += 2) {
      square = add_square(square, load(blocks, block_place(columns, i, j)));
      other = add_square(other, load(blocks, block_place(columns, i + 1, j)));
    }
    if (i < rows)
      square = add_square(square, load(blocks, block_place(columns, i, j)));
    V by = 1 / square_root(square + other);
    if (j < signs)
      by = with_sign(by, load_real(d + j * LANES));
    for (i = 0; i < rows; i++)
      store(X, j * rows + i, scaled(by, load(blocks, block_place(columns, i, j))));
  }
}

/* B, U and V of a packed group. */
NOINLINE void reduce_to_bidiagonal(const vector_group_t *g) {
  WITHOUT_SUBNORMALS;
  if (g->by_qr) {
    factorize_qr(&g->out.factored);
    adjoint_of_R(&g->out.factored, g->raw);
  }
  bidiagonalize(&g->bidiagonal);
  form_both(g);
}

/* X and Y, from S.  Mask of the matrices that Jacobi must solve. */
NOINLINE M find_vectors(vector_group_t *g) {
  WITHOUT_SUBNORMALS;
  const int64_t n = g->out.n;
  g->task.B = (chase_t){.n = n, .d = g->bidiagonal.d, .e = g->bidiagonal.e};
  g->task.S = g->out.S;
  const M failed = diagonalize(&g->task, MOST_ROUNDS * n);
  sort_blocks(g);
  if (g->by_qr) {
    take_blocks_apart(n, n, g->task.V, 0, NULL, g->core);
    take_blocks_apart(n, n, g->task.U, n, g->task.B.d, g->out.rotated);
    apply_Q(&g->out.factored, g->core, g->out.X, g->out.wanted);
  } else {
    take_blocks_apart(g->bidiagonal.rows, g->columns_u, g->task.U, n, g->task.B.d, g->out.X);
    take_blocks_apart(n, n, g->task.V, 0, NULL, g->out.rotated);
  }
  return failed | differ(g);
}

INLINE void store_group(const vector_group_t *g, const svd_call_t *call, int64_t first, int count) {
  store_vectors(&g->out, call, first, call->p.u_cols, call->p.vh_rows, count);
  const M overflow = store_values(&g->out, call, first, count);
  store_info(&g->out, call, first, (M){0}, overflow, count);
}

/* Up to LANES matrices for each of up to vector_groups() registers.  `again` is the batch_task_t for the matrices that
 * fail: it stores all of their results. */
INLINE void vectors_group(const svd_call_t *call, int64_t first, int count, arena_t scratch, int64_t most_sweeps,
                          batch_task_t again) {
  arena_t arena = scratch;
  vector_group_t g[QD_GROUPS] = {{0}};
  M failed[QD_GROUPS];
  int groups = 0, counts[QD_GROUPS];
  for (int done = 0; done < count; done += LANES, groups++) {
    vector_group_t *h = &g[groups];
    *h = vector_group_take(&arena, &call->p);
    counts[groups] = count - done < LANES ? count - done : LANES;
    pack(call, first + done, h->out.rows, h->out.n, 0, &h->out.packed, h->raw, h->out.factored.A, NULL, counts[groups]);
    reduce_to_bidiagonal(h);
  }
  find_values(g, groups, most_sweeps, failed);
  for (int i = 0; i < groups; i++) {
    failed[i] |= find_vectors(&g[i]);
    store_group(&g[i], call, first + i * LANES, counts[i]);
  }
  solve_again(call, first, count, failed, scratch, again);
}

#endif
