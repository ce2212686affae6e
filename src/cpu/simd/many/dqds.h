/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values of upper bidiagonal matrices B, one in each lane, by the differential qd algorithm with shifts (K. V.
 * Fernando and B. N. Parlett, Numer. Math. 67, 1994).  With q_k = B_kk^2 and e_k = B_k,k+1^2, a sweep computes those of
 * the Cholesky factor of B B^T - tau I:
 *
 *   d_1 = q_1 - tau,   q'_k = d_k + e_k,   e'_k = e_k q_(k+1) / q'_k,   d_(k+1) = d_k q_(k+1) / q'_k - tau.
 *
 * The shift tau is Laguerre's lower bound of the smallest eigenvalue, from the traces of the inverse and of its square
 * (U. von Matt, SIAM J. Sci. Comput. 18, 1997).  It converges cubically, and since it is never too large, no sweep is
 * ever undone.  The traces come with the sweep before.  With g_k = |column k of B^-1|^2 and h_k = sum over j < k of the
 * squared products of columns j and k,
 *
 *   g_k = (1 + e_(k-1) g_(k-1)) / q_k,   h_k = (e_(k-1) / q_k) (h_(k-1) + g_(k-1)^2),
 *   tr (B B^T)^-1 = sum of g_k,          tr (B B^T)^-2 = sum of g_k^2 + 2 h_k.
 *
 * Sums that end early are those of the leading part of B.
 *
 * The last q is an eigenvalue but for the sum of the shifts where what couples it to the rest of B B^T is negligible.  The
 * rest is its leading part, whose Cholesky factor is B without its last row and column, but for the last e.  The next
 * sweep adds that e to the last q, and can have a shift already.  Where another e is negligible, the window becomes the
 * part below it, and the part above waits with its own sum of shifts.
 *
 * Every lane has a window and shifts of its own.  A sweep goes over the windows of all lanes.  Where it is within all of
 * them, it needs no masks; what lies behind a window is of no use any more. */
#ifndef SVDGRAD_MANY_DQDS_H
#define SVDGRAD_MANY_DQDS_H
#include "../register.h"

/* Below SMALLEST_DIVISOR a divisor is taken for it: quotients of entries by it stay finite.  NO_ENTRY is larger than every
 * entry, and its quotient is finite, too. */
#if IS_DOUBLE
#define SMALLEST_DIVISOR 0x1p-500
#define NO_ENTRY         0x1p420
#else
#define SMALLEST_DIVISOR 0x1p-64F
#define NO_ENTRY         0x1p60F
#endif

enum { QD_GROUPS = 2 }; /* of matrices at a time, at most */

/* Arrays of reals, one register for each index. */
typedef struct dqds {
  int64_t n;
  R *q, *e;           /* n + 1: q_k and e_k, of which the last ones are not used; destroyed */
  R *value;           /* n: output, the eigenvalues of B B^T, in any order */
  R *waiting, *start; /* n: of the part that waits and ends at k: sum of shifts, and first index */
} dqds_t;

/* Of each lane.  Indices are reals; a lane that is done has last = -1. */
typedef struct qd_window {
  V first, last;
  V sum, tau;   /* of the shifts; the next one */
  V negligible; /* e, or an eigenvalue's error near zero */
  V relative;   /* square of that error over the sum of shifts */
} qd_window_t;

/* What one index of a sweep hands to the next. */
typedef struct qd_chain {
  V d, q, e, g, h;        /* e: of the index before */
  V sum_g, sum_g2, sum_h; /* over all indices before */
  V least_d, least_e;     /* of these; e without the index before */
} qd_chain_t;

/* What a sweep leaves of a window. */
typedef struct qd_swept {
  V end, e;                 /* the last q, and the e before */
  V one, two;               /* traces of the inverse and of its square */
  V one_before, two_before; /* of the part without the last index */
  V least_d, least_e;       /* e without the one before the last q */
  V split;                  /* index of the last negligible one of these; first - 1: none */
} qd_swept_t;

/* Index k of a window that has begun and does not end here, or, not `inside`, of any.  The results of lanes where it has
 * ended are of no use. */
INLINE void qd_step(const dqds_t *w, const qd_window_t *s, qd_chain_t *c, int64_t k, int inside, M begun, M is_last) {
  const V zero = {0}, smallest = broadcast(SMALLEST_DIVISOR), d = c->d;
  const V e = load_real(w->e + k * LANES), next = load_real(w->q + (k + 1) * LANES), sum = d + e;
  const M apart = (M)(sum <= smallest); /* q'_k = 0: the next index begins anew */
  const V inverse = 1 / larger(sum, smallest), weight = c->e * inverse;
  const V t = choose_real(apart, zero, e) * (next * inverse), e_new = inside ? t : choose_real(is_last, zero, t);
  store_real(w->q + k * LANES, inside ? sum : choose_real(begun, sum, c->q));
  store_real(w->e + k * LANES, inside ? e_new : choose_real(begun, e_new, e));
  c->least_d = smaller(d, c->least_d);
  c->least_e = smaller(c->e, c->least_e);
  c->h = weight * fmadd(c->g, c->g, c->h);
  c->g = fmadd(weight, c->g, inverse);
  c->sum_g += c->g;
  c->sum_g2 = fmadd(c->g, c->g, c->sum_g2);
  c->sum_h += c->h;
  c->d = fmadd(choose_real(apart, smallest, d) * next, inverse, -s->tau);
  c->e = e_new;
  c->q = next;
}

/* Starts the windows that begin at this index. */
INLINE void qd_enter(const qd_window_t *s, qd_chain_t *c, V index) {
  const V zero = {0};
  const M begins = (M)(index == s->first);
  c->d = choose_real(begins, c->q - s->tau, c->d);
  c->e = choose_real(begins, broadcast(NO_ENTRY), c->e);
  c->g = choose_real(begins, zero, c->g);
  c->h = choose_real(begins, zero, c->h);
  c->sum_g = choose_real(begins, zero, c->sum_g);
  c->sum_g2 = choose_real(begins, zero, c->sum_g2);
  c->sum_h = choose_real(begins, zero, c->sum_h);
  c->least_d = choose_real(begins, zero, c->least_d);
  c->least_e = choose_real(begins, broadcast((R)INFINITY), c->least_e);
}

INLINE void qd_note_end(const dqds_t *w, const qd_window_t *s, const qd_chain_t *c, qd_swept_t *r, int64_t k,
                        M is_last) {
  R *value = w->value + k * LANES;
  const V end = load_real(w->q + k * LANES);
  r->end = choose_real(is_last, end, r->end);
  store_real(value, choose_real(is_last, s->sum + s->tau + end, load_real(value)));
  r->one = choose_real(is_last, c->sum_g, r->one);
  r->two = choose_real(is_last, fmadd(c->sum_h, broadcast(2), c->sum_g2), r->two);
  r->least_d = choose_real(is_last, c->least_d, r->least_d);
}

INLINE void qd_note_before_end(const qd_chain_t *c, qd_swept_t *r, M is_last) {
  r->e = choose_real(is_last, c->e, r->e);
  r->one_before = choose_real(is_last, c->sum_g, r->one_before);
  r->two_before = choose_real(is_last, fmadd(c->sum_h, broadcast(2), c->sum_g2), r->two_before);
  r->least_e = choose_real(is_last, c->least_e, r->least_e);
}

/* Index k, where windows of some lanes may begin or end. */
INLINE void qd_any_step(const dqds_t *w, const qd_window_t *s, qd_chain_t *c, qd_swept_t *r, int64_t k, V index) {
  const M is_last = (M)(index == s->last);
  qd_enter(s, c, index);
  qd_note_before_end(c, r, is_last);
  qd_step(w, s, c, k, 0, (M)(index >= s->first), is_last);
  qd_note_end(w, s, c, r, k, is_last);
}

/* Smallest value of a lane. */
INLINE R lowest_lane(V x) {
  R lane[LANES], lowest;
  memcpy(lane, &x, sizeof x);
  lowest = lane[0];
  UNROLL
  for (int l = 1; l < LANES; l++)
    lowest = lane[l] < lowest ? lane[l] : lowest;
  return lowest;
}

/* The indices that the windows of all lanes cover, from..to, and those that are within all of them: inside..until - 1.
 * to < 0: all lanes are done. */
typedef struct qd_range {
  int64_t from, inside, until, to;
} qd_range_t;

INLINE qd_range_t qd_range(int64_t n, int groups, const qd_window_t *s) {
  const V all = broadcast((R)n);
  V first = all, least_last = all, minus_first = {0}, minus_last = {0};
  minus_last += 1;
  UNROLL
  for (int i = 0; i < groups; i++) {
    const M open = (M)(s[i].last >= (V){0});
    first = smaller(choose_real(open, s[i].first, all), first);
    minus_first = smaller(choose_real(open, -s[i].first, minus_first), minus_first);
    least_last = smaller(choose_real(open, s[i].last, all), least_last);
    minus_last = smaller(-s[i].last, minus_last);
  }
  return (qd_range_t){(int64_t)lowest_lane(first), (int64_t)-lowest_lane(minus_first), (int64_t)lowest_lane(least_last),
                      (int64_t)-lowest_lane(minus_last)};
}

/* Several groups of matrices at a time: each step waits for a division. */
INLINE void qd_sweep(const dqds_t *w, int groups, const qd_window_t *s, const qd_range_t *range, qd_swept_t *r) {
  const V one = broadcast(1);
  const M none = {0};
  qd_chain_t c[QD_GROUPS];
  UNROLL
  for (int i = 0; i < groups; i++) {
    c[i] = (qd_chain_t){.q = load_real(w[i].q + range->from * LANES)};
    r[i] = (qd_swept_t){.split = s[i].first - 1};
  }
  V index = broadcast((R)range->from);
  int64_t k = range->from;
  for (; k < range->inside; k++, index += one) {
    UNROLL
    for (int i = 0; i < groups; i++)
      qd_any_step(&w[i], &s[i], &c[i], &r[i], k, index);
  }
  if (k < range->until) {
    UNROLL
    for (int i = 0; i < groups; i++)
      qd_enter(&s[i], &c[i], index);
    for (; k < range->until; k++) {
      UNROLL
      for (int i = 0; i < groups; i++)
        qd_step(&w[i], &s[i], &c[i], k, 1, none, none);
    }
    index = broadcast((R)k);
  }
  for (; k <= range->to; k++, index += one) {
    UNROLL
    for (int i = 0; i < groups; i++)
      qd_any_step(&w[i], &s[i], &c[i], &r[i], k, index);
  }
}

/* Where an e in the middle of a window is negligible: finds the last one, and the traces of what follows it. */
NOINLINE void qd_find_split(const dqds_t *w, const qd_window_t *s, M wanted, qd_swept_t *r) {
  const V zero = {0}, smallest = broadcast(SMALLEST_DIVISOR);
  V split = r->split, one = zero, two = zero, one_before = zero, two_before = zero, g = zero, h = zero, e_before = zero;
  for (int64_t k = 0; k < w->n; k++) {
    const V index = broadcast((R)k), inverse = 1 / larger(load_real(w->q + k * LANES), smallest);
    const M inside = (M)(index >= s->first) & (M)(index <= s->last), is_last = (M)(index == s->last);
    const V weight = choose_real((M)(index > s->first), e_before * inverse, zero);
    one_before = choose_real(is_last, one, one_before);
    two_before = choose_real(is_last, two, two_before);
    h = weight * fmadd(g, g, h);
    g = choose_real(inside, fmadd(weight, g, inverse), zero);
    one += g;
    two += choose_real(inside, fmadd(g, g, h + h), zero);
    e_before = load_real(w->e + k * LANES);
    const M cut = inside & (M)(index < s->last - 1) & (M)(e_before <= s->negligible);
    split = choose_real(cut, index, split);
    one = choose_real(cut, zero, one);
    two = choose_real(cut, zero, two);
    g = choose_real(cut, zero, g);
    h = choose_real(cut, zero, h);
    e_before = choose_real(cut, zero, e_before);
  }
  r->split = choose_real(wanted, split, r->split);
  r->one = choose_real(wanted, one, r->one);
  r->two = choose_real(wanted, two, r->two);
  r->one_before = choose_real(wanted, one_before, r->one_before);
  r->two_before = choose_real(wanted, two_before, r->two_before);
}

/* Laguerre's bound, a little smaller because of rounding. */
INLINE V laguerre_bound(int64_t n, V count, V one, V two) {
  const V zero = {0}, slack = broadcast(1 + 4 * (R)n * EPSILON), margin = broadcast(1 - 6 * (R)n * EPSILON);
  const V spread = (count - 1) * fmadd(count * slack, two, -(one * one));
  const V bound = margin * count / (one + square_root(larger(spread, zero)));
  return choose_real((M)(bound > broadcast(1024 * SMALLEST_DIVISOR)), bound, zero);
}

/* Reverses the order of rows and columns of the window of one lane where the smaller entries come first: they converge
 * at the end. */
INLINE void qd_flip(const dqds_t *w, const qd_window_t *s, int l) {
  int64_t i = (int64_t)s->first[l], j = (int64_t)s->last[l];
  R *q = w->q + l, *e = w->e + l;
  if ((R)1.5 * q[i * LANES] >= q[j * LANES] || e[j * LANES] != 0)
    return;
  for (; i < j; i++, j--) {
    const R q_i = q[i * LANES], e_i = e[i * LANES];
    q[i * LANES] = q[j * LANES], q[j * LANES] = q_i;
    e[i * LANES] = e[(j - 1) * LANES], e[(j - 1) * LANES] = e_i;
  }
}

/* The window of one lane becomes the part below index `split`. */
INLINE void qd_split(const dqds_t *w, qd_window_t *s, int64_t split, int l) {
  w->e[split * LANES + l] = 0;
  w->waiting[split * LANES + l] = s->sum[l];
  w->start[split * LANES + l] = s->first[l];
  s->first[l] = (R)(split + 1);
}

/* Ends windows of one index, and takes those that wait, until one has more. */
INLINE void qd_settle(const dqds_t *w, qd_window_t *s, int l) {
  while (s->last[l] >= 0 && s->last[l] <= s->first[l]) {
    const int64_t k = (int64_t)s->last[l];
    if (s->last[l] < s->first[l]) {
      s->sum[l] = w->waiting[k * LANES + l];
      s->first[l] = w->start[k * LANES + l];
    } else {
      w->value[k * LANES + l] = s->sum[l] + (w->q[k * LANES + l] + w->e[k * LANES + l]);
      s->last[l] -= 1;
    }
  }
}

NOINLINE void qd_change_windows(const dqds_t *w, qd_window_t *s, V split, M splits, M settles) {
  for (int l = 0; l < LANES; l++) {
    if (splits[l])
      qd_split(w, s, (int64_t)split[l], l);
    if (settles[l] || splits[l]) {
      const R first = s->first[l];
      qd_settle(w, s, l);
      if (first != s->first[l])
        s->tau[l] = 0;
      if (s->last[l] >= 0)
        qd_flip(w, s, l);
    }
  }
}

/* After a sweep.  Without the last q the rest changes by at most e q / gap, where gap is the distance of q from the
 * eigenvalues of the rest (C.-K. Li and R.-C. Li, Linear Algebra Appl. 395, 2005). */
INLINE void qd_continue(const dqds_t *w, qd_window_t *s, qd_swept_t *r) {
  const V zero = {0};
  const M open = (M)(s->last >= zero), middle = open & (M)(r->least_e <= s->negligible);
  if (any_lane(middle))
    qd_find_split(w, s, middle, r);
  s->sum += s->tau;
  const V tolerance = larger(square_root(s->relative * s->sum), s->negligible);
  const V count = s->last - r->split, next = laguerre_bound(w->n, count - 1, r->one_before, r->two_before);
  const V bound = laguerre_bound(w->n, count, r->one, r->two);
  const M small = (M)(r->end <= tolerance), weak = (M)(r->e * r->end <= tolerance * (next - r->end));
  const M ends = open & (small | weak | (M)(r->e <= s->negligible));
  s->last = choose_real(ends, s->last - 1, s->last);
  s->tau = choose_real(ends, next, bound);
  const M splits = open & (M)(r->split >= s->first), settles = (M)(s->last >= zero) & (M)(s->last <= s->first);
  if (any_lane(splits | settles))
    qd_change_windows(w, s, r->split, splits, settles);
}

INLINE qd_window_t qd_begin(const dqds_t *w) {
  const V zero = {0};
  V scale = zero;
  for (int64_t k = 0; k < w->n; k++) {
    scale = larger(load_real(w->q + k * LANES) + load_real(w->e + k * LANES), scale);
    store_real(w->value + k * LANES, zero);
  }
  qd_window_t s = {.first = zero, .last = broadcast((R)(w->n - 1)), .sum = zero, .tau = zero};
  s.negligible = scale * (R)(EPSILON * EPSILON / 4);
  s.relative = scale * (R)(EPSILON * EPSILON / 16);
  store_real(w->q + w->n * LANES, zero);
  store_real(w->e + (w->n - 1) * LANES, zero);
  for (int l = 0; l < LANES; l++)
    qd_flip(w, &s, l);
  if (w->n == 1)
    qd_change_windows(w, &s, zero, (M){0}, ~(M){0});
  return s;
}

/* `failed`: masks of the matrices that have not converged after so many sweeps. */
INLINE void dqds(const dqds_t *w, int groups, int64_t most_sweeps, M *failed) {
  const V zero = {0};
  qd_window_t s[QD_GROUPS];
  qd_swept_t r[QD_GROUPS];
  UNROLL
  for (int i = 0; i < groups; i++) {
    s[i] = qd_begin(&w[i]);
    failed[i] = (M){0};
  }
  for (int64_t sweep = 0; sweep < most_sweeps; sweep++) {
    const qd_range_t range = qd_range(w->n, groups, s);
    if (range.to < 0)
      return;
    qd_sweep(w, groups, s, &range, r);
    UNROLL
    for (int i = 0; i < groups; i++) {
      failed[i] |= (M)(s[i].last >= zero) & (M)(r[i].least_d < zero);
      qd_continue(&w[i], &s[i], &r[i]);
    }
  }
  for (int i = 0; i < groups; i++)
    failed[i] |= (M)(s[i].last >= zero);
}

#endif
