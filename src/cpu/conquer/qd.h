/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values of one upper bidiagonal matrix B by the differential qd algorithm with shifts (K. V. Fernando, B. N.
 * Parlett, Numer. Math. 67, 1994), in double precision for every type.  Sweeps, shifts and tests of convergence are those of
 * simd/many/dqds.h, which has one matrix in each lane:  with q_k = B_kk^2 and e_k = B_k,k+1^2 a sweep computes those of the
 * Cholesky factor of B B^T - tau I,
 *
 *   d_1 = q_1 - tau,   q'_k = d_k + e_k,   e'_k = e_k q_(k+1) / q'_k,   d_(k+1) = d_k q_(k+1) / q'_k - tau,
 *
 * and the traces of the inverse and of its square, from which the next shift follows.  A step waits for one sum, one division
 * and one difference; the rest of it is done meanwhile. */
#ifndef SVDGRAD_CONQUER_QD_H
#define SVDGRAD_CONQUER_QD_H
#include "problem.h"

typedef struct qd {
  int64_t n;
  double *q, *e;     /* n: squares, destroyed */
  double *value;     /* n: the eigenvalues of B B^T */
  double *waiting;   /* n: of the part that waits and ends at k: the sum of its shifts .. */
  int64_t *start;    /* n: .. and its first index */
  double negligible; /* an e; an eigenvalue's error near zero */
  double relative;   /* the square of that error over the sum of shifts */
} qd_t;

typedef struct qd_window {
  int64_t first, last;
  double sum, tau; /* of the shifts; the next one */
} qd_window_t;

/* Traces of the inverse and of its square. */
typedef struct qd_traces {
  double one, two;
} qd_traces_t;

/* What a sweep leaves. */
typedef struct qd_swept {
  double end, e;              /* the last q, and the e before */
  double least_d, least_e;    /* e without the one before the last q */
  qd_traces_t whole, leading; /* of the window, and of it without the last index */
} qd_swept_t;

/* Sums over the columns of B^-1. */
typedef struct qd_sums {
  double g, h, of_g, of_g2, of_h;
} qd_sums_t;

/* Below it a divisor is zero: quotients of entries by it stay finite. */
#define QD_NOTHING 0x1p-500

/* Sweeps for each value; normal entries take about three. */
enum { QD_MOST_SWEEPS = 30 };

static inline void add_column(qd_sums_t *s, double weight, double inverse) {
  s->h = weight * (s->g * s->g + s->h);
  s->g = weight * s->g + inverse;
  s->of_g += s->g;
  s->of_g2 += s->g * s->g;
  s->of_h += s->h;
}

static inline qd_traces_t traces_of(const qd_sums_t *s) { return (qd_traces_t){s->of_g, s->of_g2 + 2 * s->of_h}; }

static qd_swept_t sweep_qd(const qd_t *w, const qd_window_t *s) {
  double *q = w->q, *e = w->e, d = q[s->first] - s->tau, e_before = 0;
  const double tau = s->tau;
  qd_swept_t r = {.least_d = d, .least_e = INFINITY};
  qd_sums_t sums = {0, 0, 0, 0, 0};
  for (int64_t k = s->first; k < s->last; k++) {
    const double next = q[k + 1], e_k = e[k], sum = d + e_k;
    const int is_apart = __builtin_expect(!(sum > QD_NOTHING), 0) != 0; /* the next index begins anew */
    const double divisor = is_apart ? QD_NOTHING : sum, inverse = 1 / divisor, weight = e_before * inverse;
    if (k > s->first)
      r.least_e = e_before < r.least_e ? e_before : r.least_e;
    q[k] = sum;
    e[k] = e_before = is_apart ? 0 : e_k * (next * inverse);
    add_column(&sums, weight, inverse);
    d = (is_apart ? next : d * next / divisor) - tau;
    r.least_d = d < r.least_d ? d : r.least_d;
  }
  const double end = d + e[s->last], inverse = 1 / (end > QD_NOTHING ? end : QD_NOTHING);
  r.leading = traces_of(&sums);
  add_column(&sums, e_before * inverse, inverse);
  r.whole = traces_of(&sums);
  r.end = q[s->last] = end;
  r.e = e_before;
  e[s->last] = 0;
  return r;
}

/* Laguerre's lower bound of the least of `count` eigenvalues, a little smaller because of rounding. */
static double laguerre_bound(double count, qd_traces_t t) {
  const double slack = 1 + 4 * count * DBL_EPSILON, margin = 1 - 6 * count * DBL_EPSILON;
  const double spread = (count - 1) * (count * slack * t.two - t.one * t.one);
  const double bound = margin * count / (t.one + sqrt(spread > 0 ? spread : 0));
  return bound > 1024 * QD_NOTHING ? bound : 0;
}

/* Reverses the order of rows and columns where the smaller entries come first: they converge at the end. */
static void flip_window(const qd_t *w, const qd_window_t *s) {
  if (1.5 * w->q[s->first] >= w->q[s->last] || w->e[s->last] != 0)
    return;
  for (int64_t i = s->first, j = s->last; i < j; i++, j--) {
    const double q = w->q[i], e = w->e[i];
    w->q[i] = w->q[j], w->q[j] = q;
    w->e[i] = w->e[j - 1], w->e[j - 1] = e;
  }
}

/* Where an e is negligible, the window becomes the part below the last one of these. */
static void split_window(const qd_t *w, qd_window_t *s) {
  for (int64_t k = s->last - 1; k >= s->first; k--)
    if (w->e[k] <= w->negligible) {
      w->e[k] = 0;
      w->waiting[k] = s->sum;
      w->start[k] = s->first;
      s->first = k + 1;
      s->tau = 0;
      return;
    }
}

/* Ends windows of one index, and takes those that wait, until one has more.  Returns 0 if none has. */
static int settle_window(const qd_t *w, qd_window_t *s) {
  while (s->last >= 0 && s->last <= s->first) {
    if (s->last == s->first) {
      w->value[s->last] = s->sum + (w->q[s->last] + w->e[s->last]);
      s->last--;
    } else {
      *s = (qd_window_t){w->start[s->last], s->last, w->waiting[s->last], 0};
      flip_window(w, s);
    }
  }
  return s->last >= 0;
}

/* After a sweep.  Without the last q the rest changes by at most e q / gap, where gap is the distance of q from the
 * eigenvalues of the rest (C.-K. Li and R.-C. Li, Linear Algebra Appl. 395, 2005). */
static void continue_window(const qd_t *w, qd_window_t *s, const qd_swept_t *r) {
  const double count = (double)(s->last - s->first + 1);
  s->sum += s->tau;
  const double by_sum = sqrt(w->relative * s->sum), tolerance = by_sum > w->negligible ? by_sum : w->negligible;
  const double next = laguerre_bound(count - 1, r->leading);
  const int is_small = r->end <= tolerance, is_weak = r->e * r->end <= tolerance * (next - r->end);
  s->tau = laguerre_bound(count, r->whole);
  if (is_small || is_weak || r->e <= w->negligible) {
    w->value[s->last--] = s->sum + r->end;
    s->tau = next;
  }
  if (r->least_e <= w->negligible) {
    split_window(w, s);
    flip_window(w, s);
  }
}

/* q, e -> value.  Returns 0 if it has not converged. */
static int eigenvalues_by_qd(qd_t *w) {
  qd_window_t s = {0, w->n - 1, 0, 0};
  double scale = 0;
  w->e[w->n - 1] = 0;
  for (int64_t k = 0; k < w->n; k++)
    scale = w->q[k] + w->e[k] > scale ? w->q[k] + w->e[k] : scale;
  w->negligible = scale * ((double)EPSILON * (double)EPSILON / 4);
  w->relative = w->negligible / 4;
  split_window(w, &s);
  flip_window(w, &s);
  for (int64_t sweep = 0; settle_window(w, &s); sweep++) {
    if (sweep == QD_MOST_SWEEPS * w->n)
      return 0;
    const qd_swept_t r = sweep_qd(w, &s);
    if (r.least_d < 0)
      return 0;
    continue_window(w, &s, &r);
  }
  return 1;
}

static qd_t qd_take(arena_t *arena, int64_t n) {
  qd_t w = {.n = n};
  w.q = arena_take(arena, n, sizeof(double)), w.e = arena_take(arena, n, sizeof(double));
  w.value = arena_take(arena, n, sizeof(double)), w.waiting = arena_take(arena, n, sizeof(double));
  w.start = arena_take(arena, n, sizeof *w.start);
  return w;
}

/* S, by decreasing value, of the matrix of d and e, whose entries are at most about 1. */
static int values_by_qd(const qd_t *task, const R *d, const R *e, R *S) {
  qd_t qd = *task, *w = &qd;
  if (!are_finite(w->n, d) || !are_finite(w->n - 1, e))
    return 0;
  for (int64_t k = 0; k < w->n; k++) {
    w->q[k] = (double)d[k] * (double)d[k];
    w->e[k] = k + 1 < w->n ? (double)e[k] * (double)e[k] : 0;
  }
  if (!eigenvalues_by_qd(w))
    return 0;
  for (int64_t k = 0; k < w->n; k++) { /* nearly in order */
    const R value = (R)sqrt(w->value[k] > 0 ? w->value[k] : 0);
    int64_t i = k;
    for (; i > 0 && S[i - 1] < value; i--)
      S[i] = S[i - 1];
    S[i] = value;
  }
  return 1;
}

#endif
