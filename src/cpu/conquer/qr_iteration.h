/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of a real upper bidiagonal matrix by QR iteration (G. H. Golub, C. Reinsch, Numer. Math. 14, 1970): small
 * matrices, the leaves of divide and conquer, and any matrix for which that fails.
 *
 * A sweep takes columns first .. last, which no negligible entry above the diagonal divides.  Where the smallest singular
 * value is so small that a shift would change it, the sweep has none (J. Demmel, W. Kahan, SIAM J. Sci. Stat. Comput. 11,
 * 1990), so that every value is found with small relative error.
 *
 * Sweeps go from the larger end of the window to the smaller one.  Upwards the window is seen with its rows and columns
 * in reverse order and transposed, as an upper bidiagonal matrix again; U and V then change places. */
#ifndef SVDGRAD_CONQUER_QR_ITERATION_H
#define SVDGRAD_CONQUER_QR_ITERATION_H
#include "problem.h"
#include "rotation.h"

typedef struct qr_iteration {
  const conquer_ops_t *ops;
  int64_t n;
  int extra;      /* 0 or 1: columns more than rows */
  R *d, *e;       /* n: the diagonal, replaced by the values, in no order; n - 1 + extra: the one above, destroyed */
  R *U, *V;       /* n-by-n; (n + extra)-by-(n + extra); NULL: values alone */
  int64_t stride; /* of both, a multiple of the lanes */
  R *work;        /* QR_WORK n */
} qr_iteration_t;

/* A diagonal entry is as good as zero beside others of size 1. */
#define QR_NOTHING (IS_DOUBLE ? (R)0x1p-960 : (R)0x1p-100)

/* Relative error of a value that the test of convergence allows, and that a shift may cause. */
#define QR_TOLERANCE       (4 * EPSILON)
#define QR_SHIFT_TOLERANCE ((IS_DOUBLE ? 64 : 8) * EPSILON)

/* Steps of sweeps, in units of n^2; usual are less than 2. */
enum { QR_MOST_STEPS = 20 };

/* Columns 0 .. n - 1 of a window, seen in the direction of its sweeps. */
typedef struct qr_window {
  int64_t first, n, step; /* step: 1 or -1 */
  R *d, *e;               /* entry k is d[k * step], e[k * step] */
  R smallest, largest;    /* of the values, but for a factor of sqrt(n) */
} qr_window_t;

/* Rotations of one sweep. */
typedef struct sweep {
  R *right_c, *right_s, *left_c, *left_s;
} sweep_t;

/* What a step makes of (f, g), the first rows of the columns that it rotates, and of d, e and the next d: the rotations, the f
 * of the next step, and the next d. */
typedef struct step {
  rotation_t right, left;
  R f, next_d;
} step_t;

/* Of any size. */
static __attribute__((noinline)) step_t slow_step(R f, R g, R d, R e, R next_d) {
  const rotation_t right = rotation_of_any(f, g);
  const R above = right.c * e - right.s * d, corner = right.c * next_d;
  const rotation_t left = rotation_of_any(right.c * d + right.s * e, right.s * next_d);
  return (step_t){right, left, left.c * above + left.s * corner, left.c * corner - left.s * above};
}

/* Rotates two columns by (f, g), then two rows by (p, q) over the length of (f, g): the square roots and divisions of both do
 * not wait for each other. */
static inline step_t fast_step(R f, R g, R d, R e, R next_d) {
  const R p = f * d + g * e, q = g * next_d, above = f * e - g * d, corner = f * next_d;
  const R right_square = f * f + g * g, left_square = p * p + q * q;
  if (__builtin_expect(!is_square(right_square) || !is_square(left_square), 0))
    return slow_step(f, g, d, e, next_d);
  const R right_length = (R)sqrt(right_square), right = right_length * (1 / right_square);
  const R left_length = (R)sqrt(left_square), left = left_length * (1 / left_square);
  return (step_t){{f * right, g * right, right_length},
                  {p * left, q * left, left_length * right},
                  (p * above + q * corner) * right * left,
                  (p * corner - q * above) * right * left};
}

/* Begins with the first column of B^T B - shift^2 I, but for a factor. */
static void sweep_with_shift(const qr_window_t *w, R shift, const sweep_t *s) {
  const int64_t step = w->step, last = w->n - 1;
  R d = w->d[0], e = w->e[0];
  const R unit = 1 / larger_of((R)fabs(d), shift);
  R f = (d * unit - shift * unit) * (d * unit + shift * unit), g = (d * unit) * (e * unit);
  for (int64_t k = 0; k < last; k++) {
    const R next_e = k + 1 < last ? w->e[(k + 1) * step] : 0;
    const step_t t = fast_step(f, g, d, e, w->d[(k + 1) * step]);
    s->right_c[k] = t.right.c, s->right_s[k] = t.right.s;
    s->left_c[k] = t.left.c, s->left_s[k] = t.left.s;
    if (k)
      w->e[(k - 1) * step] = t.right.r;
    w->d[k * step] = t.left.r;
    f = t.f, d = t.next_d, g = t.left.s * next_e, e = t.left.c * next_e;
  }
  w->d[last * step] = d;
  w->e[(last - 1) * step] = f;
}

static void sweep_without_shift(const qr_window_t *w, const sweep_t *s) {
  const int64_t last = w->n - 1, step = w->step;
  rotation_t right = {1, 0, 0}, left = {1, 0, 0};
  for (int64_t k = 0; k < last; k++) {
    R *d = w->d + k * step, *e = w->e + k * step;
    right = rotation_of(d[0] * right.c, e[0]);
    if (k)
      e[-step] = left.s * right.r;
    left = rotation_of(left.c * right.r, d[step] * right.s);
    d[0] = left.r;
    s->right_c[k] = right.c, s->right_s[k] = right.s;
    s->left_c[k] = left.c, s->left_s[k] = left.s;
  }
  const R end = w->d[last * step] * right.c;
  w->d[last * step] = end * left.c;
  w->e[(last - 1) * step] = end * left.s;
}

/* The smaller singular value of the last two columns. */
static R find_shift(const qr_window_t *w) {
  const int64_t last = w->n - 1;
  R f = (R)fabs(w->d[(last - 1) * w->step]), g = (R)fabs(w->e[(last - 1) * w->step]), h = (R)fabs(w->d[last * w->step]);
  const R unit = larger_of(f, larger_of(g, h));
  f /= unit, g /= unit, h /= unit;
  const R sum = (R)sqrt((f + h) * (f + h) + g * g), difference = (R)sqrt((f - h) * (f - h) + g * g);
  return 2 * f * h / (sum + difference) * unit;
}

static void rotate_factor(const qr_iteration_t *q, const qr_window_t *w, R *X, int64_t rows, const R *c, const R *s) {
  const int64_t from = w->step > 0 ? w->first : w->first + w->n - 1;
  rotations_t rotations = {.rows = rows, .count = w->n - 1, .stride = w->step * q->stride, .cosine = c, .sine = s};
  rotations.X = X + from * q->stride;
  q->ops->rotate(&rotations);
}

static void rotate_factors(const qr_iteration_t *q, const qr_window_t *w, const sweep_t *s) {
  if (!q->U)
    return;
  const int down = w->step > 0;
  rotate_factor(q, w, q->V, q->n + q->extra, down ? s->right_c : s->left_c, down ? s->right_s : s->left_s);
  rotate_factor(q, w, q->U, q->n, down ? s->left_c : s->right_c, down ? s->left_s : s->right_s);
}

static int is_without_shift(const qr_window_t *w) {
  return (R)w->n * QR_SHIFT_TOLERANCE * w->smallest <= EPSILON * w->largest;
}

static void iterate_window(const qr_iteration_t *q, const qr_window_t *w) {
  const sweep_t sweep = {q->work, q->work + w->n, q->work + 2 * w->n, q->work + 3 * w->n};
  if (is_without_shift(w))
    sweep_without_shift(w, &sweep);
  else
    sweep_with_shift(w, find_shift(w), &sweep);
  rotate_factors(q, w, &sweep);
}

/* Columns first .. last, towards the smaller end. */
static qr_window_t window_of(const qr_iteration_t *q, int64_t first, int64_t last) {
  const int down = (R)fabs(q->d[first]) >= (R)fabs(q->d[last]);
  return (qr_window_t){.first = first,
                       .n = last - first + 1,
                       .step = down ? 1 : -1,
                       .d = q->d + (down ? first : last),
                       .e = q->e + (down ? first : last - 1)};
}

/* The extreme values of the window, from a recurrence for the norms of the inverses of its leading parts, below which an
 * entry is negligible.  Returns 0 if one is, which becomes zero.  Sweeps of the window as a whole change no value. */
static int measure_window(qr_window_t *w) {
  R inverse = (R)fabs(w->d[0]);
  w->smallest = w->largest = inverse;
  for (int64_t k = 0; k + 1 < w->n; k++) {
    const R e = (R)fabs(w->e[k * w->step]), d = (R)fabs(w->d[(k + 1) * w->step]);
    if (e <= QR_TOLERANCE * inverse || e <= QR_NOTHING) {
      w->e[k * w->step] = 0;
      return 0;
    }
    inverse = d * (inverse / (inverse + e));
    w->smallest = inverse < w->smallest ? inverse : w->smallest;
    w->largest = larger_of(w->largest, larger_of(d, e));
  }
  return 1;
}

/* After a sweep: negligible entries become zero. */
static void drop_negligible(const qr_window_t *w) {
  const R limit = larger_of(QR_TOLERANCE * w->smallest, QR_NOTHING), end = (R)fabs(w->d[(w->n - 1) * w->step]);
  for (int64_t k = 0; k + 1 < w->n; k++) {
    R *e = w->e + k * w->step, size = (R)fabs(*e);
    if (size <= limit || (k == w->n - 2 && size <= QR_TOLERANCE * end))
      *e = 0;
  }
}

/* Rotates the column without a diagonal entry into the others, from the last one on. */
static void drop_extra_column(const qr_iteration_t *q) {
  R corner = q->e[q->n - 1];
  for (int64_t k = q->n - 1; k >= 0 && corner != 0; k--) {
    const rotation_t r = rotation_of(q->d[k], corner);
    const rotations_t of_v = {q->n + 1, 1, q->V + k * q->stride, (q->n - k) * q->stride, &r.c, &r.s};
    q->d[k] = r.r;
    q->ops->rotate(&of_v);
    corner = k ? -r.s * q->e[k - 1] : 0;
    if (k)
      q->e[k - 1] *= r.c;
  }
}

static void make_positive(const qr_iteration_t *q) {
  for (int64_t j = 0; j < q->n; j++) {
    const int negative = q->d[j] < 0;
    q->d[j] = (R)fabs(q->d[j]);
    for (int64_t i = 0; i < q->n + q->extra && negative && q->V; i++)
      q->V[j * q->stride + i] = -q->V[j * q->stride + i];
  }
}

/* d, e -> d, U, V; U and V are multiplied from the right.  Entries are at most about 1.  Returns 0 if it has not
 * converged. */
static int iterate_qr(const qr_iteration_t *q) {
  qr_window_t w = {.n = 0};
  int64_t last = q->n - 1, steps = 0;
  if (!are_finite(q->n, q->d) || !are_finite(q->n - 1 + q->extra, q->e))
    return 0;
  if (q->extra)
    drop_extra_column(q);
  while (last > 0 && steps <= QR_MOST_STEPS * q->n * q->n) {
    int64_t first = last;
    while (first > 0 && q->e[first - 1] != 0)
      first--;
    if (first == last) {
      last--;
      continue;
    }
    if (w.n != last - first + 1 || w.first != first) {
      w = window_of(q, first, last);
      if (!measure_window(&w)) {
        w.n = 0;
        continue;
      }
    }
    iterate_window(q, &w);
    drop_negligible(&w);
    steps += w.n;
  }
  make_positive(q);
  return last <= 0;
}

#endif
