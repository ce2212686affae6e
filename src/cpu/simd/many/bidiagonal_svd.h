/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular vectors of upper bidiagonal matrices, one in each lane, by QR iteration with known shifts: the singular
 * values are there already, and the smallest one that is not found yet is the shift of the next two steps.  In exact
 * arithmetic one step would do.  Where two do not, Wilkinson's shift follows, of the last two rows: rounding may keep
 * a known value from converging at the end of the window, or it may belong to another part of a matrix that has
 * split. */
#ifndef SVDGRAD_MANY_BIDIAGONAL_SVD_H
#define SVDGRAD_MANY_BIDIAGONAL_SVD_H
#include "rotate_vectors.h"

enum { QUEUE = 4 }; /* pairs of steps that are computed before they are applied */

typedef struct bidiagonal_svd {
  chase_t B;
  int64_t rows_u, rows_v; /* in reals: PARTS times the rows of U and V */
  int64_t columns_u;      /* n or more */
  const R *S;             /* n: descending */
  R *U, *V;               /* in blocks (rotate_vectors.h) */
  R *left, *right;        /* QUEUE times rotation_reals(n) */
  M tries;                /* rounds since hi changed */
  M singular;             /* some entry of d in the window is negligible: a step without a shift separates it */
  int queued;
  step_rotations_t left_steps[QUEUE], right_steps[QUEUE];
} bidiagonal_svd_t;

/* Sets negligible entries of e to zero.  The window becomes the last part of B without zeros in e. */
INLINE void find_windows(bidiagonal_svd_t *w) {
  const V zero = {0};
  M lo = {0}, hi = {0}, before = {0};
  V least = zero, d = absolute(load_real(w->B.d));
  for (int64_t k = 0; k + 1 < w->B.n; k++) {
    const V e = load_real(w->B.e + k * LANES), next = absolute(load_real(w->B.d + (k + 1) * LANES));
    const M is_large = (M)(absolute(e) > w->B.tolerance), starts = is_large & ~before, at = (M){0} + (integer_t)k;
    store_real(w->B.e + k * LANES, choose_real(is_large, e, zero));
    lo = (starts & at) | (~starts & lo);
    hi = (is_large & (at + 1)) | (~is_large & hi);
    least = choose_real(starts, d, least);
    least = choose_real(is_large, smaller(least, next), least);
    before = is_large, d = next;
  }
  const M same = (M)(hi == w->B.hi);
  w->tries = same & (w->tries + 1);
  w->singular = (M)(least <= w->B.tolerance);
  w->B.lo = lo, w->B.hi = hi;
}

/* The smaller singular value of the last two rows and columns of the window. */
INLINE V wilkinson_shift(V f, V g, V h) {
  const V sum = absolute(f) + absolute(h), difference = absolute(f) - absolute(h), g2 = g * g;
  const V roots = square_root(fmadd(sum, sum, g2)) + square_root(fmadd(difference, difference, g2));
  return choose_real((M)(roots > (V){0}), 2 * absolute(f * h) / roots, (V){0});
}

/* The two smallest values that are not found yet, two steps for each; where those of the last round did not come out,
 * Wilkinson's. */
INLINE void find_shifts(const bidiagonal_svd_t *w, V *shift) {
  V known[STEPS / 2] = {{0}}, f = {0}, g = {0}, h = {0};
  const M stuck = (M)(w->tries > 0);
  const int any_stuck = any_lane(stuck);
  for (int l = 0; l < LANES; l++) {
    const int64_t hi = w->B.hi[l], at = hi * LANES + l;
    for (int i = 0; i < STEPS / 2; i++)
      known[i][l] = w->S[(hi > i ? hi - i : 0) * LANES + l];
    if (any_stuck && hi > 0)
      f[l] = w->B.d[at - LANES], g[l] = w->B.e[at - LANES], h[l] = w->B.d[at];
  }
  const V wilkinson = any_stuck ? wilkinson_shift(f, g, h) : (V){0};
  for (int i = 0; i < STEPS; i++)
    shift[i] = choose_real(stuck, wilkinson, known[i / 2]);
  shift[0] = choose_real(w->singular, (V){0}, shift[0]);
}

INLINE void apply_queue(bidiagonal_svd_t *w) {
  rotate_vectors(w->left_steps, w->queued, w->rows_u, w->columns_u, w->U);
  rotate_vectors(w->right_steps, w->queued, w->rows_v, w->B.n, w->V);
  w->queued = 0;
}

INLINE chase_range_t range_of_windows(const chase_t *B) {
  chase_range_t r = {.first = B->n, .last = 0, .from = 0, .to = B->n};
  for (int l = 0; l < LANES; l++) {
    const int64_t lo = B->lo[l], hi = B->hi[l];
    if (hi > lo) {
      r.first = lo < r.first ? lo : r.first;
      r.last = hi > r.last ? hi : r.last;
    }
    r.from = lo + 1 > r.from ? lo + 1 : r.from;
    r.to = hi < r.to ? hi : r.to;
  }
  return r;
}

/* STEPS steps in each lane. */
INLINE void iterate(bidiagonal_svd_t *w) {
  V shift[STEPS];
  find_shifts(w, shift);
  const chase_range_t range = range_of_windows(&w->B);
  R *right = w->right + w->queued * rotation_reals(w->B.n), *left = w->left + w->queued * rotation_reals(w->B.n);
  chase(&w->B, &range, shift, right, left);
  for (int i = 0; i < STEPS / 2; i++, w->queued++) {
    const int64_t at = i * rotation_reals(w->B.n);
    w->right_steps[w->queued] = (step_rotations_t){range.first, range.last, right + at};
    w->left_steps[w->queued] = (step_rotations_t){range.first, range.last, left + at};
  }
  if (w->queued == QUEUE)
    apply_queue(w);
}

/* U <- U X, V <- V Y with X^T B Y diagonal: |d|, in any order.  Mask of the matrices that have not converged. */
INLINE M diagonalize(bidiagonal_svd_t *w, int64_t most_rounds) {
  w->B.tolerance = broadcast(4 * EPSILON) * load_real(w->S); /* rounding may keep e almost that large */
  w->B.hi = (M){0} - 1;
  w->queued = 0, w->tries = (M){0};
  find_windows(w);
  for (int64_t round = 0; round < most_rounds && any_lane((M)(w->B.hi > 0)); round++) {
    iterate(w);
    find_windows(w);
  }
  apply_queue(w);
  return (M)(w->B.hi > 0);
}

#endif
