/* SPDX-License-Identifier: BSD-3-Clause */
/* One-sided Jacobi: pairs of columns of a tall matrix are rotated until all columns are orthogonal.  Their norms are
 * then the singular values, the normalized columns are U, and the product of the rotations is V.
 *
 * M. R. Hestenes, "Inversion of matrices by biorthogonalization and related results", J. SIAM 6 (1958); the order
 * within a pair is that of P. P. M. de Rijk, SIAM J. Sci. Stat. Comput. 10 (1989).  The convergence test is that of J.
 * Demmel and K. Veselic, SIAM J. Matrix Anal. Appl. 13 (1992), with full relative accuracy for column-scaled
 * matrices.
 *
 * All is computed in W, one precision wider than the operands.  Squares of operands neither over- nor underflow in W,
 * so that no scaling is needed. */
#ifndef SVDGRAD_REF_JACOBI_H
#define SVDGRAD_REF_JACOBI_H
#include "base/arena.h"
#include "base/type.h"

enum { REF_MAX_SWEEPS = 60 };

/* x^H y */
static W dot(int64_t m, const W *x, const W *y) {
  W sum = 0;
  for (int64_t i = 0; i < m; i++)
    sum += CONJ(x[i]) * y[i];
  return sum;
}

static WR norm(int64_t m, const W *x) {
  WR sum = 0;
  for (int64_t i = 0; i < m; i++)
    sum += ABS2(x[i]);
  return sqrt(sum);
}

static void swap_columns(int64_t m, W *x, W *y) {
  for (int64_t i = 0; i < m; i++) {
    const W t = x[i];
    x[i] = y[i];
    y[i] = t;
  }
}

/* [x y] <- [x y] diag(1, conj(phase)) [c s; -s c] */
static void rotate(int64_t m, W *x, W *y, WR c, WR s, W phase) {
  for (int64_t i = 0; i < m; i++) {
    const W xi = x[i], yi = CONJ(phase) * y[i];
    x[i] = c * xi - s * yi;
    y[i] = s * xi + c * yi;
  }
}

/* Columns shorter than this are set to zero: an S of type R cannot represent their norms beside `norm`, the norm of the
 * matrix.  Without this limit, parallel columns would leave rounding noise that is parallel again, a factor eps smaller
 * in every sweep. */
static WR shortest_column(WR norm) {
  const int single = sizeof(R) == sizeof(float);
  const WR range = single ? (WR)FLT_TRUE_MIN / (WR)FLT_MAX : (WR)DBL_TRUE_MIN / (WR)DBL_MAX;
  return W_EPSILON * range * norm;
}

/* Makes columns p and q of A orthogonal, the longer one first.  Returns 0 if the pair needs no further sweep.  After a
 * swap with q > p + 1 it does: the column moved from q to p meets those in between only in the next sweep. */
static int orthogonalize_pair(int64_t m, int64_t n, W *A, W *V, int64_t p, int64_t q, WR tolerance, WR shortest) {
  W *x = A + p * m, *y = A + q * m, *vx = V + p * n, *vy = V + q * n;
  const int swapped = norm(m, x) < norm(m, y);
  if (swapped) {
    swap_columns(m, x, y);
    swap_columns(n, vx, vy);
  }
  const WR a = norm(m, x), b = norm(m, y);
  if (b < shortest)
    for (int64_t i = 0; i < m; i++)
      y[i] = 0;
  const W d = dot(m, x, y);
  const WR size = fabs(d);         /* its square may underflow */
  if (!(size > tolerance * a * b)) /* negated, so that NaN also ends the sweep */
    return swapped && q > p + 1;
  const WR zeta = (a - b) * (a + b) / (2 * size);
  const WR t = -1 / (zeta + sqrt(1 + zeta * zeta));
  const WR c = 1 / sqrt(1 + t * t), s = c * t;
  rotate(m, x, y, c, s, d / size);
  rotate(n, vx, vy, c, s, d / size);
  return 1;
}

/* A: m-by-n, m >= n, column-major; overwritten by U diag(s).  V: n-by-n.  Returns 0 if the sweep limit was reached. */
static int jacobi(int64_t m, int64_t n, W *A, W *V, WR *s, int max_sweeps) {
  const WR tolerance = sqrt((WR)m) * W_EPSILON, shortest = shortest_column(norm(m * n, A));
  int changed = 1;
  for (int64_t i = 0; i < n * n; i++)
    V[i] = i / n == i % n;
  for (int sweep = 0; changed && sweep < max_sweeps; sweep++) {
    changed = 0;
    for (int64_t p = 0; p < n - 1; p++)
      for (int64_t q = p + 1; q < n; q++)
        changed |= orthogonalize_pair(m, n, A, V, p, q, tolerance, shortest);
  }
  for (int64_t j = 0; j < n; j++)
    s[j] = norm(m, A + j * m);
  return !changed;
}

/* Index r of the unit vector e_r that has the smallest projection on the known columns of Q. */
static int64_t least_covered_row(int64_t m, int64_t columns, const W *Q, const int64_t *known) {
  int64_t best = 0;
  WR least = INFINITY;
  for (int64_t r = 0; r < m; r++) {
    WR covered = 0;
    for (int64_t j = 0; j < columns; j++)
      covered += known[j] ? ABS2(Q[j * m + r]) : 0;
    if (covered < least) {
      least = covered;
      best = r;
    }
  }
  return best;
}

/* Fills the unknown columns of Q (m-by-columns) such that all are orthonormal: Gram-Schmidt, twice. */
static void complete_basis(int64_t m, int64_t columns, W *Q, int64_t *known) {
  for (int64_t c = 0; c < columns; c++) {
    if (known[c])
      continue;
    W *q = Q + c * m;
    const int64_t r = least_covered_row(m, columns, Q, known);
    for (int64_t i = 0; i < m; i++)
      q[i] = i == r;
    for (int pass = 0; pass < 2; pass++)
      for (int64_t j = 0; j < columns; j++) {
        const W along = known[j] ? dot(m, Q + j * m, q) : 0;
        for (int64_t i = 0; i < m && known[j]; i++)
          q[i] -= along * Q[j * m + i];
      }
    const WR length = norm(m, q);
    for (int64_t i = 0; i < m; i++)
      q[i] /= length;
    known[c] = 1;
  }
}

/* Factors of a matrix of any shape: U m-by-mn, V n-by-mn; if `full` the larger one is square.  The arrays are unsorted:
 * triplet j of the result is column order[j]. */
typedef struct factors {
  int64_t m, n, tall_rows, tall_columns, small;
  W *tall; /* input: A, or A^H if m < n, column-major */
  W *rotations;
  WR *s;
  int64_t *known, *order;
  W *U, *V;
} factors_t;

static factors_t factors_take(arena_t *arena, int64_t m, int64_t n, int full) {
  factors_t f = {.m = m, .n = n, .tall_rows = m < n ? n : m, .small = m < n ? m : n};
  f.tall_columns = full ? f.tall_rows : f.small;
  f.tall = arena_take(arena, f.tall_rows * f.tall_columns, sizeof(W));
  f.rotations = arena_take(arena, f.small * f.small, sizeof(W));
  f.s = arena_take(arena, f.small, sizeof(WR));
  f.known = arena_take(arena, f.tall_columns, sizeof(int64_t));
  f.order = arena_take(arena, f.tall_columns, sizeof(int64_t));
  f.U = m < n ? f.rotations : f.tall;
  f.V = m < n ? f.tall : f.rotations;
  return f;
}

static void set_element(const factors_t *f, int64_t i, int64_t j, W a) {
  if (f->m < f->n)
    f->tall[i * f->tall_rows + j] = CONJ(a);
  else
    f->tall[j * f->tall_rows + i] = a;
}

/* Insertion sort, stable: equal values stay in order. */
static void sort(const factors_t *f) {
  for (int64_t j = 0; j < f->tall_columns; j++) {
    int64_t place = j;
    for (; j < f->small && place > 0 && f->s[f->order[place - 1]] < f->s[j]; place--)
      f->order[place] = f->order[place - 1];
    f->order[place] = j;
  }
}

/* Returns 0 if the sweep limit was reached. */
static int factorize(const factors_t *f, int max_sweeps) {
  const int limit = max_sweeps ? max_sweeps : (int)REF_MAX_SWEEPS;
  const int converged = jacobi(f->tall_rows, f->small, f->tall, f->rotations, f->s, limit);
  for (int64_t j = 0; j < f->tall_columns; j++) {
    f->known[j] = j < f->small && f->s[j] != 0;
    for (int64_t i = 0; i < f->tall_rows && f->known[j]; i++)
      f->tall[j * f->tall_rows + i] /= f->s[j];
  }
  complete_basis(f->tall_rows, f->tall_columns, f->tall, f->known);
  sort(f);
  return converged;
}

#endif
