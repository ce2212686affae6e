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
 * The last q of the window goes where it is negligible: the sum of the shifts is an eigenvalue then.  The rest is the
 * leading part of B B^T, of which B without its last row and column is the Cholesky factor but for the last e, which the
 * next sweep adds to the last q.  That sweep can have a shift already.  Where an e is negligible, the window becomes the
 * part below it, and the part above waits with its own sum of shifts.  Every lane has a window and shifts of its own, and
 * stores through a mask. */
#ifndef SVDGRAD_MANY_DQDS_H
#define SVDGRAD_MANY_DQDS_H
#include "../register.h"

/* Below this a divisor is taken for this: quotients of entries by it stay finite. */
#if IS_DOUBLE
#define SMALLEST_DIVISOR 0x1p-500
#else
#define SMALLEST_DIVISOR 0x1p-64F
#endif

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
  V negligible; /* e or last q */
  V relative;   /* square of the last q over the sum of shifts */
} qd_window_t;

/* What a sweep leaves. */
typedef struct qd_swept {
  V end;                    /* last q */
  V least;                  /* d */
  V split, split_before;    /* index of the last negligible e, and of the last one before last - 1; first - 1: none */
  V one, two;               /* traces of what follows the split */
  V one_before, two_before; /* of what lies between split_before and last - 1, included */
} qd_swept_t;

/* Indices from..to of all lanes. */
INLINE qd_swept_t qd_sweep(const dqds_t *w, const qd_window_t *s, int64_t from, int64_t to, int64_t first_end) {
  const V zero = {0}, smallest = broadcast(SMALLEST_DIVISOR), tau = s->tau, all = s->sum + tau;
  const V none = s->first - 1;
  qd_swept_t r = {.end = zero, .least = zero, .split = none, .split_before = none, .one = zero, .two = zero};
  V d = zero, e_before = zero, g = zero, h = zero, q = load_real(w->q + from * LANES);
  M cut = {0};
  for (int64_t k = from; k <= to; k++) {
    const V index = broadcast((R)k), e = load_real(w->e + k * LANES), next = load_real(w->q + (k + 1) * LANES);
    const M is_last = (M)(index == s->last), inside = (M)(index >= s->first) & (M)(index <= s->last);
    d = choose_real((M)(index == s->first), q - tau, d);
    const V sum = d + e, inverse = 1 / larger(sum, smallest);
    r.least = choose_real(inside, smaller(d, r.least), r.least);
    store_real(w->q + k * LANES, choose_real(inside, sum, q));
    if (k >= first_end) {
      r.end = choose_real(is_last, sum, r.end);
      store_real(w->value + k * LANES, choose_real(is_last, all + sum, load_real(w->value + k * LANES)));
      r.split_before = choose_real(is_last, r.split, r.split_before);
      r.one_before = choose_real(is_last, r.one, r.one_before);
      r.two_before = choose_real(is_last, r.two, r.two_before);
    }
    r.split = choose_real(cut, index - 1, r.split);
    r.one = choose_real(cut, zero, r.one);
    r.two = choose_real(cut, zero, r.two);
    const V weight = choose_real(cut, zero, e_before * inverse);
    h = weight * fmadd(g, g, h);
    g = fmadd(weight, g, choose_real(inside, s->negligible * inverse, zero));
    r.one += g;
    r.two += fmadd(g, g, h + h);
    const V e_new = choose_real(inside & ~is_last, e * (next * inverse), zero);
    store_real(w->e + k * LANES, choose_real(inside, e_new, e));
    cut = inside & ~is_last & (M)(e_new <= s->negligible);
    d = fmadd(d * next, inverse, -tau);
    e_before = e_new;
    q = next;
  }
  return r;
}

/* Laguerre's bound, a little smaller because of rounding; the traces are multiplied by `unit`. */
INLINE V laguerre_bound(int64_t n, V count, V one, V two, V unit) {
  const V zero = {0}, slack = broadcast(1 + 4 * (R)n * EPSILON), margin = broadcast(1 - 6 * (R)n * EPSILON);
  const V spread = (count - 1) * fmadd(count * slack, two, -(one * one));
  const V bound = margin * unit * count / (one + square_root(larger(spread, zero)));
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

/* The window of one lane becomes the part below index `cut`. */
INLINE void qd_split(const dqds_t *w, qd_window_t *s, int64_t cut, int l) {
  w->e[cut * LANES + l] = 0;
  w->waiting[cut * LANES + l] = s->sum[l];
  w->start[cut * LANES + l] = s->first[l];
  s->first[l] = (R)(cut + 1);
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

NOINLINE void qd_change_windows(const dqds_t *w, qd_window_t *s, V cut, M split, M settle) {
  for (int l = 0; l < LANES; l++) {
    if (split[l])
      qd_split(w, s, (int64_t)cut[l], l);
    if (settle[l] || split[l]) {
      const R first = s->first[l];
      qd_settle(w, s, l);
      if (first != s->first[l])
        s->tau[l] = 0;
      if (s->last[l] >= 0)
        qd_flip(w, s, l);
    }
  }
}

/* After a sweep. */
INLINE void qd_continue(const dqds_t *w, qd_window_t *s, const qd_swept_t *r) {
  const M open = (M)(s->last >= (V){0});
  s->sum += s->tau;
  const M small = (M)(r->end <= s->negligible) | (M)(r->end * r->end <= s->relative * s->sum);
  const M ends = open & (small | (M)(r->split == s->last - 1));
  const V cut = choose_real(ends, r->split_before, r->split);
  const V one = choose_real(ends, r->one_before, r->one), two = choose_real(ends, r->two_before, r->two);
  s->last = choose_real(ends, s->last - 1, s->last);
  const M split = open & (M)(cut >= s->first);
  const V count = s->last - choose_real(split, cut, s->first - 1);
  s->tau = laguerre_bound(w->n, count, one, two, s->negligible);
  const M settle = (M)(s->last >= (V){0}) & (M)(s->last <= s->first);
  if (any_lane(split | settle))
    qd_change_windows(w, s, cut, split, settle);
}

INLINE qd_window_t qd_begin(const dqds_t *w) {
  const V zero = {0};
  V scale = zero;
  for (int64_t k = 0; k < w->n; k++)
    scale = larger(load_real(w->q + k * LANES) + load_real(w->e + k * LANES), scale);
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

/* Mask of the matrices that have not converged after so many sweeps. */
INLINE M dqds(const dqds_t *w, int64_t most_sweeps) {
  qd_window_t s = qd_begin(w);
  M failed = {0};
  for (int64_t sweep = 0; sweep < most_sweeps; sweep++) {
    int64_t from = w->n, to = -1, first_end = w->n;
    for (int l = 0; l < LANES; l++)
      if (s.last[l] >= 0) {
        const int64_t first = (int64_t)s.first[l], last = (int64_t)s.last[l];
        from = first < from ? first : from;
        to = last > to ? last : to;
        first_end = last < first_end ? last : first_end;
      }
    if (to < 0)
      break;
    const qd_swept_t r = qd_sweep(w, &s, from, to, first_end);
    failed |= (M)(r.least < (V){0});
#ifdef QD_COUNT
    QD_COUNT(from, to, &s, &r);
#endif
    qd_continue(w, &s, &r);
  }
  return failed | (M)(s.last >= (V){0});
}

#endif
