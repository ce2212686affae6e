/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of a group of up to LANES matrices, one in each SIMD lane.  `tall` is A, or A^H where m < n; tall = X S Y^H.
 *
 * Square matrices of up to SMALL columns go directly: one-sided Jacobi on the columns of A (jacobi.h); X = A J with its
 * columns normalized, Y = J. All others go through the triangular factor (Z. Drmac and K. Veselic, SIAM J. Matrix Anal.
 * Appl. 29, 2008): A P = Q R with the columns in descending order (qr.h), then Jacobi on L = R^H. L takes fewer sweeps
 * than A, and their number hardly depends on the condition number.  X = Q J, and Y = P L J with its columns normalized.
 * Columns that belong to a singular value of zero are completed (complete.h).
 *
 * Above SMALL columns the rotations are not accumulated in J, unless the matrix is too ill-conditioned to recover the
 * other vectors afterwards (recover.h): J of a tall matrix from L and Y, X of a square matrix from A and Y, without Q.
 * The choice is made for each matrix; if any matrix of the group must accumulate, the group does both and each keeps
 * its own result. */
#ifndef SVDGRAD_MANY_SVD_H
#define SVDGRAD_MANY_SVD_H
#include "../memory/pack.h"
#include "complete.h"
#include "jacobi.h"
#include "lane_group.h"
#include "qr.h"
#include "recover.h"
#include "results.h"
#include "small_jacobi.h"
#include "sort.h"

enum { DEFAULT_SWEEPS = 30 };

/* Rotates the columns of A until they are orthogonal, and J along with them unless J is NULL. S becomes the norms of
 * the columns, in descending order; the columns of A are then normalized.  Mask of the matrices that have not
 * converged. */
INLINE M solve(const lane_group_t *g, int fixed, R *A, R *J, int max_sweeps) {
  lane_group_t h = sized(g, fixed);
  h.rotated = A, h.J = J;
  if (J)
    set_identity(h.n, J);
  rotation_task_t task = {.rows = h.n,
                          .n = h.n,
                          .A = A,
                          .J = J,
                          .D2 = h.D2,
                          .square = h.square,
                          .before = h.before,
                          .product = h.product,
                          .ahead = h.ahead};
  const M failed = rotate(&task, max_sweeps);
  finish_columns(&h);
  sort_values(&h);
  return failed;
}

NOINLINE M solve_any(const lane_group_t *g, R *A, R *J, int max_sweeps) { return solve(g, 0, A, J, max_sweeps); }

/* Whether the diagonal of R of some matrix shows that its J cannot be recovered. */
INLINE int is_hopeless(const lane_group_t *g) {
  V least = broadcast((R)INFINITY), most = {0};
  for (int64_t j = 0; j < g->n; j++) {
    const V size = largest_part(load(g->factored.diagonal, j));
    least = smaller(size, least);
    most = larger(size, most);
  }
  return any_lane((M)(least <= most * power_of_two((M){0} - LEAST)) & (M)(most > broadcast(0)));
}

/* to <- from, in the matrices that `mask` selects. */
INLINE void choose_array(M mask, int64_t elements, const R *from, R *to) {
  for (int64_t e = 0; e < elements; e++)
    store(to, e, choose(mask, load(from, e), load(to, e)));
}

/* Replaces X or J of the matrices where the recovery failed by accumulated rotations: those in `along`, which are there
 * already or are computed now.  X or J of a zero matrix is arbitrary. */
NOINLINE void replace_lost(const lane_group_t *g, M lost, M zero, int along_already, R *along, int max_sweeps) {
  if (!along_already && !any_lane(lost))
    set_identity(g->n, along);
  else if (!along_already) {
    adjoint_of_R(&g->factored, g->source);
    (void)solve_any(g, g->source, along, max_sweeps);
  }
  if (along == g->J) { /* a square matrix, whose X is wanted */
    apply_Q(&g->factored, along, g->source, g->n);
    choose_array(lost | zero, g->n * g->n, g->source, g->X);
  } else
    choose_array(lost | zero, g->n * g->n, along, g->J);
}

/* X or J is recovered, or accumulated where the recovery fails.  The choice is made for each matrix, so that a matrix
 * gets the same bits whatever the others in its group are.  If it is known beforehand that some matrix must accumulate,
 * the first sweep does so; otherwise the rotations are repeated. */
INLINE M solve_and_recover(const lane_group_t *g, int fixed, int max_sweeps) {
  const int square = g->rows == g->n, hopeless = is_hopeless(g);
  R *recovered = square ? g->X : g->J, *along = square ? g->J : g->X;
  if (!square)
    memcpy(g->source, g->rotated, (size_t)(PARTS * LANES * g->n * g->n) * sizeof(R));
  const M failed = fixed && !hopeless ? solve(g, fixed, g->rotated, NULL, max_sweeps)
                                      : solve_any(g, g->rotated, hopeless ? along : NULL, max_sweeps);
  const M lost = recover(fixed ? fixed : g->n, !square, g->source, g->rotated, g->S, g->K, recovered);
  const M zero = (M)(load_real(g->S) == broadcast(0));
  if (any_lane(lost | zero))
    replace_lost(g, lost, zero, hopeless, along, max_sweeps);
  return failed;
}

INLINE M solve_group(const lane_group_t *g, int fixed, int max_sweeps) {
  const lane_group_t h = sized(g, fixed);
  if (is_small(fixed))
    return solve_small(fixed, g->rotated, g->J, g->S, max_sweeps);
  if (g->by_qr) {
    factorize_qr(&h.factored);
    adjoint_of_R(&h.factored, g->rotated);
  }
  if (g->source)
    return solve_and_recover(g, fixed, max_sweeps);
  return fixed ? solve(g, fixed, g->rotated, g->J, max_sweeps) : solve_any(g, g->rotated, g->J, max_sweeps);
}

/* Prefetches where the vectors of this group are going to be stored, and A of the next group. */
INLINE ahead_t prefetch_operands(const svd_call_t *call, int64_t first, int count) {
  const problem_t *p = &call->p;
  const int64_t next = first + count, remaining = p->batch_count - next;
  const strided_t U = strided_of(&call->U, first, 0), Vh = strided_of(&call->Vh, first, 0);
  const strided_t A = strided_of(&call->A, next, 0);
  ahead_t ahead = {.stretches = 0};
  prefetch_later(&ahead, &U, p->m, p->u_cols, count);
  prefetch_later(&ahead, &Vh, p->vh_rows, p->n, count);
  prefetch_later(&ahead, &A, p->m, p->n, remaining < count ? remaining : count);
  return ahead;
}

INLINE int sweeps_of(const problem_t *p) { return p->max_sweeps ? p->max_sweeps : DEFAULT_SWEEPS; }

/* The arrays of a group, and its packed matrices. */
INLINE lane_group_t take_group(const svd_call_t *call, int64_t first, int fixed, int count, arena_t *scratch) {
  const problem_t *p = &call->p;
  const int vectors = call->U.data || call->Vh.data;
  lane_group_t g = fixed ? lane_group_take(scratch, p, vectors, fixed) : lane_group_take_any(scratch, p, vectors);
  pack(call, first, g.rows, g.n, g.by_qr, &g.packed, g.raw_in, g.factored.A, g.rows == g.n ? g.source : NULL, count);
  return g;
}

INLINE void store_group(const lane_group_t *g, const svd_call_t *call, int64_t first, int fixed, M failed, int count) {
  const problem_t *p = &call->p;
  const lane_group_t h = sized(g, fixed);
  if (g->vectors) {
    complete(&h);
    if (g->rows > g->n) /* else it is there */
      apply_Q(&h.factored, h.J, h.X, h.wanted);
    if (fixed && p->k == fixed)
      store_vectors(&h, call, first, fixed, fixed, count);
    else
      store_vectors(&h, call, first, p->u_cols, p->vh_rows, count);
  }
  const M overflow = store_values(&h, call, first, count);
  store_info(&h, call, first, failed, overflow, count);
  note_zeros(&h, call, first, count);
}

INLINE void svd_group(const svd_call_t *call, int64_t first, int fixed, int count, arena_t scratch) {
  lane_group_t g = take_group(call, first, fixed, count, &scratch);
  ahead_t ahead;
  if (!is_small(fixed)) { /* these are done before prefetching would help */
    ahead = prefetch_operands(call, first, count);
    g.ahead = &ahead;
  }
  const M failed = solve_group(&g, fixed, sweeps_of(&call->p));
  store_group(&g, call, first, fixed, failed, count);
}

#endif
