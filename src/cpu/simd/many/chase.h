/* SPDX-License-Identifier: BSD-3-Clause */
/* Implicit QR steps on upper bidiagonal matrices, one matrix in each lane (G. H. Golub and C. Reinsch, Numer. Math. 14,
 * 1970; J. Demmel and W. Kahan, SIAM J. Sci. Stat. Comput. 11, 1990): only the rotations are computed here, and the
 * matrix; rotate_vectors.h applies them to vectors.
 *
 * B has the diagonal d and the superdiagonal e.  A step with the shift s^2 rotates columns k, k + 1 for k = lo, lo + 1,
 * ..., hi - 1, and after each pair of columns the same pair of rows, so that B stays bidiagonal but for one entry, the
 * bulge, which moves down.  Each lane has a window lo..hi and a shift of its own.  Where a lane is outside of its window
 * its rotations are the identity.
 *
 * A rotation waits for the one before.  Several steps therefore go on at a time, each two columns behind the one before:
 * they do not wait for each other. */
#ifndef SVDGRAD_MANY_CHASE_H
#define SVDGRAD_MANY_CHASE_H
#include "../register.h"

enum { STEPS = 4 }; /* at a time; even */

/* (c x + s y, c y - s x) */
typedef struct plane_rotation {
  V c, s, length;
} plane_rotation_t;

/* What turns (f, g) into (length, 0); the identity where not `active`, and where the square of the length is no normal
 * number. */
INLINE plane_rotation_t plane_rotation_of(M active, V f, V g) {
  const V square = fmadd(f, f, g * g), inverse = inverse_root(square);
  const M rotates = active & (M)(square > broadcast(SMALLEST_SQUARE));
  return (plane_rotation_t){choose_real(rotates, f * inverse, broadcast(1)), choose_real(rotates, g * inverse, (V){0}),
                            choose_real(rotates, square * inverse, f)};
}

typedef struct chase {
  int64_t n;
  R *d, *e;    /* n; the last e is zero */
  M lo, hi;    /* the window of each lane: rows lo..hi; none where hi <= lo */
  V tolerance; /* entries of e that are not larger are zero */
} chase_t;

/* A step that has come to column k: d_k and e_k as they are now; the pair that the next rotation of columns acts on,
 * (above, bulge), where `above` is e_(k-1) if no step is on its way. */
typedef struct step {
  V d, e, above, bulge;
} step_t;

/* Rotations are stored for each pair of steps: c and s of columns k, k + 1 by the first step, then by the second. */
INLINE int64_t rotation_reals(int64_t n) { return n * 4 * LANES; }

INLINE void store_rotation(R *to, int64_t k, const plane_rotation_t *r) {
  store_real(to + k * 4 * LANES, r->c);
  store_real(to + (k * 4 + 1) * LANES, r->s);
}

/* e_k, or zero where it is negligible: a step may find it so before its window ends there. */
INLINE V e_at(const chase_t *w, int64_t k) {
  const V e = load_real(w->e + k * LANES);
  return choose_real((M)(absolute(e) > w->tolerance), e, (V){0});
}

INLINE step_t begin_step(const chase_t *w, int64_t k) {
  const V zero = {0};
  return (step_t){load_real(w->d + k * LANES), e_at(w, k), k ? load_real(w->e + (k - 1) * LANES) : zero, zero};
}

/* e has a zero behind its last entry.  `right` and `left` are those of the step.  inside: column k is within the windows of
 * all lanes, and not the first one. */
INLINE void advance_step(step_t *s, int64_t k, int inside, const chase_t *w, V shift, R *right, R *left) {
  const M at = (M){0} + (integer_t)k, starts = inside ? (M){0} : (M)(w->lo == at);
  const M active = inside ? ~(M){0} : (M)(w->lo <= at) & (M)(w->hi > at);
  const V d_next = load_real(w->d + (k + 1) * LANES), e_next = e_at(w, k + 1);
  V f = s->above, g = s->bulge;
  if (!inside) {
    const M unshifted = (M)(shift == (V){0});
    f = choose_real(starts, (s->d - shift) * choose_real(unshifted, broadcast(1), s->d + shift), f);
    g = choose_real(starts, choose_real(unshifted, s->e, s->d * s->e), g);
  }
  const plane_rotation_t r = plane_rotation_of(active, f, g);
  store_rotation(right, k, &r);
  if (inside || k)
    store_real(w->e + (k - 1) * LANES, inside ? r.length : choose_real(active & ~starts, r.length, s->above));
  const V d_k = fmadd(r.c, s->d, r.s * s->e), e_k = fnmadd(r.s, s->d, r.c * s->e);
  const V below = r.s * d_next, d_new = r.c * d_next;
  const plane_rotation_t l = plane_rotation_of(active, d_k, below);
  store_rotation(left, k, &l);
  store_real(w->d + k * LANES, l.length);
  s->above = fmadd(l.c, e_k, l.s * d_new);
  s->d = fnmadd(l.s, e_k, l.c * d_new);
  s->bulge = l.s * e_next;
  s->e = l.c * e_next;
}

INLINE void end_step(const step_t *s, int64_t k, const chase_t *w) {
  store_real(w->d + k * LANES, s->d);
  store_real(w->e + k * LANES, s->e);
  if (k)
    store_real(w->e + (k - 1) * LANES, s->above);
}

/* Columns first..last of B, which hold the windows of all lanes, and from..to, which are within all of them, the first
 * column of a window excepted. */
typedef struct chase_range {
  int64_t first, last, from, to;
} chase_range_t;

INLINE void advance_any(step_t *s, int64_t k, const chase_t *w, const chase_range_t *range, V shift, R *right,
                        R *left) {
  if (k < range->first || k > range->last)
    return;
  if (k == range->first)
    *s = begin_step(w, k);
  if (k < range->last)
    advance_step(s, k, 0, w, shift, right, left);
  else
    end_step(s, k, w);
}

/* STEPS steps, each two columns behind the one before. */
NOINLINE void chase(const chase_t *task, const chase_range_t *range, const V *shift, R *right, R *left) {
  enum { BEHIND = 2 * (STEPS - 1) };
  const chase_t w = *task;
  const int64_t pair = rotation_reals(w.n);
  step_t s[STEPS];
  memset(s, 0, sizeof s);
  for (int64_t head = range->first; head <= range->last + BEHIND; head++) {
    if (head - BEHIND >= range->from && head < range->to) {
      UNROLL
      for (int i = 0; i < STEPS; i++) {
        const int64_t to = i / 2 * pair + i % 2 * (2 * LANES);
        advance_step(&s[i], head - 2 * i, 1, &w, shift[i], right + to, left + to);
      }
    } else
      for (int i = 0; i < STEPS; i++) {
        const int64_t to = i / 2 * pair + i % 2 * (2 * LANES);
        advance_any(&s[i], head - 2 * i, &w, range, shift[i], right + to, left + to);
      }
  }
}

#endif
