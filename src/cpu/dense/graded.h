/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of one matrix whose rows or columns differ so much in size that squares leave the range of R, or whose smallest
 * values are wanted although they are rounding noise beside the largest one.  One precision wider than the operands.
 *
 * QR factorization with complete pivoting, tall = P Q R C^T, has small errors in every row and every column (A. J. Cox and
 * N. J. Higham, BIT 38, 1998); what differs in size in A is then the size of the rows of R.  One-sided Jacobi on the columns
 * of L = R^H, L J = X S, finds every value and its vectors (N. J. Higham, Linear Algebra Appl. 309, 2000):
 * tall = (P Q J) S (C X)^H.  `tall` is A, or A^H where m < n. */
#ifndef SVDGRAD_DENSE_GRADED_H
#define SVDGRAD_DENSE_GRADED_H
#include "backend.h"
#include "base/arena.h"
#include "base/strided.h"

typedef struct graded {
  int64_t rows, n, rank;   /* rank: of R */
  int vectors;             /* J is wanted */
  int exponent;            /* `tall` is times 2^-exponent: its largest part is in [1, 2) */
  W *tall;                 /* rows-by-n, column-major: reflectors on and below the diagonal, R above */
  W *diagonal, *X, *J;     /* n: R_jj; n-by-n: L, then X S; n-by-n */
  WR *tau, *length;        /* n: of the reflectors; |X_j| */
  WR *row_size, *size;     /* rows, n: the largest part in each row and column of `tall` */
  int64_t *row, *column;   /* rows, n: row i and column j of P^T tall C are these of `tall` */
  int64_t *order;          /* n: the columns of X by falling length */
  W *start, *left, *right; /* rows, rows, n: of one triplet */
} graded_t;

/* 2^LEAST is zero in R beside the largest entry, and its square is a normal number in W. */
enum {
  LEAST_OF_R = 2 * (IS_DOUBLE ? DBL_MIN_EXP - DBL_MANT_DIG : FLT_MIN_EXP - FLT_MANT_DIG) - 64,
  LEAST_OF_W = (IS_DOUBLE ? LDBL_MIN_EXP : DBL_MIN_EXP) / 2 + 60,
  LEAST = LEAST_OF_R > LEAST_OF_W ? LEAST_OF_R : LEAST_OF_W,
  GRADED_SWEEPS = 30
};

static graded_t graded_take(arena_t *arena, const problem_t *p) {
  const int64_t rows = p->m < p->n ? p->n : p->m, n = p->mn;
  graded_t g = {.rows = rows, .n = n, .rank = n};
  g.tall = arena_take(arena, rows * n, sizeof(W));
  g.diagonal = arena_take(arena, n, sizeof(W));
  g.X = arena_take(arena, n * n, sizeof(W));
  g.J = arena_take(arena, n * n, sizeof(W));
  g.tau = arena_take(arena, n, sizeof(WR));
  g.length = arena_take(arena, n, sizeof(WR));
  g.row_size = arena_take(arena, rows, sizeof(WR));
  g.size = arena_take(arena, n, sizeof(WR));
  g.row = arena_take(arena, rows, sizeof(int64_t));
  g.column = arena_take(arena, n, sizeof(int64_t));
  g.order = arena_take(arena, n, sizeof(int64_t));
  g.start = arena_take(arena, rows, sizeof(W));
  g.left = arena_take(arena, rows, sizeof(W));
  g.right = arena_take(arena, n, sizeof(W));
  return g;
}

static size_t graded_scratch(const problem_t *p) {
  arena_t arena = {NULL, 0};
  (void)graded_take(&arena, p);
  return arena.used;
}

/* Two sums each: neither has to wait for the other. */
static WR graded_square(int64_t count, const W *x) {
  WR even = 0, odd = 0;
  for (int64_t i = 1; i < count; i += 2)
    even += ABS2(x[i - 1]), odd += ABS2(x[i]);
  return count % 2 ? even + odd + ABS2(x[count - 1]) : even + odd;
}

/* x^H y */
static W graded_product(int64_t count, const W *x, const W *y) {
  W even = 0, odd = 0;
  for (int64_t i = 1; i < count; i += 2)
    even += CONJ(x[i - 1]) * y[i - 1], odd += CONJ(x[i]) * y[i];
  return count % 2 ? even + odd + CONJ(x[count - 1]) * y[count - 1] : even + odd;
}

/* The larger one of |Re x| and |Im x|, and of two numbers; fmax is a call. */
static WR graded_larger(WR x, WR y) { return x > y ? x : y; }
static WR graded_size(W x) { return graded_larger(fabs((WR)RE(x)), fabs((WR)IM(x))); }

/* A is finite. */
static void graded_load(const svd_call_t *call, int64_t b, graded_t *g) {
  const int wide = call->p.m < call->p.n;
  WR largest = 0;
  for (int64_t j = 0; j < g->n; j++)
    for (int64_t i = 0; i < g->rows; i++) {
      const W a = wide ? CONJ((W)*element(&call->A, b, j, i)) : (W)*element(&call->A, b, i, j);
      g->tall[j * g->rows + i] = a;
      largest = graded_larger(largest, graded_size(a));
    }
  if (largest > 0)
    (void)frexp(largest, &g->exponent);
  g->exponent -= 1;
  for (int64_t i = 0; i < g->rows; i++)
    g->row_size[i] = 0, g->row[i] = i;
  const int half = g->exponent / 2; /* 2^exponent itself may leave the range where W is R */
  const WR scale = ldexp((WR)1, -half), rest = ldexp((WR)1, half - g->exponent);
  for (int64_t j = 0; j < g->n; j++) {
    g->size[j] = 0, g->column[j] = j;
    for (int64_t i = 0; i < g->rows; i++) {
      const W a = g->tall[j * g->rows + i] = g->tall[j * g->rows + i] * scale * rest;
      g->row_size[i] = graded_larger(g->row_size[i], graded_size(a));
      g->size[j] = graded_larger(g->size[j], graded_size(a));
    }
  }
}

/* ---- QR factorization ---- */

static void graded_swap(int64_t count, W *x, W *y, int64_t step) {
  for (int64_t i = 0; i < count; i++) {
    const W t = x[i * step];
    x[i * step] = y[i * step];
    y[i * step] = t;
  }
}

static void graded_swap_labels(int64_t *label, WR *size, int64_t i, int64_t j) {
  const int64_t t = label[i];
  const WR s = size[i];
  label[i] = label[j], label[j] = t;
  size[i] = size[j], size[j] = s;
}

/* Brings the longest column of what is left to column j, and its largest entry to the diagonal.  Its squared length. */
static WR graded_pivot(const graded_t *g, int64_t j) {
  const int64_t rows = g->rows;
  int64_t longest = j, largest = j;
  WR square = -1, most = -1;
  for (int64_t c = j; c < g->n; c++) {
    const WR s = graded_square(rows - j, g->tall + c * rows + j);
    if (s > square)
      square = s, longest = c;
  }
  graded_swap(rows, g->tall + j * rows, g->tall + longest * rows, 1);
  graded_swap_labels(g->column, g->size, j, longest);
  for (int64_t i = j; i < rows; i++) {
    const WR s = ABS2(g->tall[j * rows + i]);
    if (s > most)
      most = s, largest = i;
  }
  graded_swap(g->n, g->tall + j, g->tall + largest, rows);
  graded_swap_labels(g->row, g->row_size, j, largest);
  return square;
}

/* x <- x - tau v (v^H x) */
static void graded_reflect(const graded_t *g, int64_t j, W *x) {
  const W *v = g->tall + j * g->rows;
  const W along = g->tau[j] * graded_product(g->rows - j, v + j, x + j);
  for (int64_t i = j; i < g->rows; i++)
    x[i] -= along * v[i];
}

static void graded_factor(graded_t *g) {
  const WR least = ldexp((WR)1, 2 * LEAST);
  for (int64_t j = 0; j < g->n; j++) {
    const WR square = graded_pivot(g, j), norm = sqrt(square);
    if (square <= least) {
      g->rank = j;
      return;
    }
    W *x = g->tall + j * g->rows + j;
    const WR size = fabs(*x);
    const W w = norm / size * *x; /* an entry of the largest size: not zero */
    g->tau[j] = 1 / (norm * (norm + size));
    g->diagonal[j] = -w;
    *x += w;
    for (int64_t c = j + 1; c < g->n; c++)
      graded_reflect(g, j, g->tall + c * g->rows);
  }
}

/* Whether A would be singular, but for errors of `noise` sqrt(n), with rows and columns of any length. */
static int graded_is_singular(const graded_t *g, WR noise) {
  noise *= sqrt((WR)g->n);
  for (int64_t j = 0; j < g->rank; j++)
    if (fabs(g->diagonal[j]) <= noise * g->row_size[j] * g->size[j])
      return 1;
  return g->rank < g->n;
}

/* ---- Jacobi ---- */

/* X = L.  The columns of a singular L that are zero become columns that are next to nothing, so that rotations make unit
 * vectors of them, too. */
static void graded_begin(const graded_t *g) {
  for (int64_t j = 0; j < g->n; j++)
    for (int64_t i = 0; i < g->n; i++) {
      const W r = j >= g->rank || i < j ? 0 : i == j ? g->diagonal[j] : g->tall[i * g->rows + j];
      g->X[j * g->n + i] = j >= g->rank && i == j ? ldexp((WR)1, LEAST) : CONJ(r);
      g->J[j * g->n + i] = i == j;
    }
}

/* [x y] <- [x y] diag(1, conj(phase)) [c s; -s c] */
static void graded_turn(int64_t count, W *x, W *y, WR c, WR s, W phase) {
  for (int64_t i = 0; i < count; i++) {
    const W x_i = x[i], y_i = CONJ(phase) * y[i];
    x[i] = c * x_i - s * y_i;
    y[i] = s * x_i + c * y_i;
  }
}

/* Returns whether the columns were not orthogonal. */
static int graded_rotate(const graded_t *g, int64_t i, int64_t j, WR tolerance) {
  const int64_t n = g->n;
  W *x = g->X + i * n, *y = g->X + j * n;
  const W product = graded_product(n, x, y);
  const WR size = fabs(product), a = g->length[i], b = g->length[j];
  if (!(size > tolerance * a * b)) /* negated, so that NaN also ends the sweep */
    return 0;
  const WR zeta = (b - a) * (b + a) / (2 * size), steep = fabs(zeta); /* its square may be too large */
  const WR t = steep > 1 / (WR)W_EPSILON ? 1 / (2 * steep) : 1 / (steep + sqrt(1 + steep * steep));
  const WR c = 1 / sqrt(1 + t * t), s = zeta < 0 ? -c * t : c * t;
  graded_turn(n, x, y, c, s, product / size);
  if (g->vectors)
    graded_turn(n, g->J + i * n, g->J + j * n, c, s, product / size);
  g->length[i] = sqrt(graded_square(n, x));
  g->length[j] = sqrt(graded_square(n, y));
  return 1;
}

/* Returns 0 if the sweep limit was reached. */
static int graded_solve(const graded_t *g, int sweeps) {
  const WR tolerance = fmax((WR)EPSILON / 32, sqrt((WR)g->n) * W_EPSILON);
  int changed = 1;
  graded_begin(g);
  for (int64_t j = 0; j < g->n; j++)
    g->length[j] = sqrt(graded_square(g->n, g->X + j * g->n));
  for (int sweep = 0; changed && sweep < sweeps; sweep++) {
    changed = 0;
    for (int64_t i = 0; i < g->n; i++)
      for (int64_t j = i + 1; j < g->n; j++)
        changed |= graded_rotate(g, i, j, tolerance);
  }
  for (int64_t j = 0; j < g->n; j++) {
    int64_t place = j;
    for (; place > 0 && g->length[g->order[place - 1]] < g->length[j]; place--)
      g->order[place] = g->order[place - 1];
    g->order[place] = j;
  }
  return !changed;
}

/* ---- results ---- */

/* Triplet t in the order of falling values; behind the last one, further columns of the longer factor alone. */
static void graded_triplet(const graded_t *g, int64_t t) {
  const int64_t n = g->n, j = t < n ? g->order[t] : 0;
  for (int64_t i = 0; i < g->rows; i++)
    g->start[i] = t >= n ? i == t : i < n ? g->J[j * n + i] : 0;
  for (int64_t i = g->rank - 1; i >= 0; i--)
    graded_reflect(g, i, g->start);
  for (int64_t i = 0; i < g->rows; i++)
    g->left[g->row[i]] = g->start[i];
  for (int64_t i = 0; i < n && t < n; i++)
    g->right[g->column[i]] = g->X[j * n + i] / g->length[j];
}

/* The phase that makes the largest entry (the first of equal ones) of u positive. */
static W graded_gauge(int64_t count, const W *u) {
  int64_t largest = 0;
  for (int64_t i = 1; i < count; i++)
    if (ABS2(u[i]) > ABS2(u[largest]))
      largest = i;
  return CONJ(u[largest]) / sqrt(ABS2(u[largest]));
}

static void graded_store_vectors(const svd_call_t *call, int64_t b, const graded_t *g) {
  const problem_t *p = &call->p;
  const int wide = p->m < p->n;
  const W *u = wide ? g->right : g->left, *v = wide ? g->left : g->right;
  for (int64_t t = 0; t < p->u_cols || t < p->vh_rows; t++) {
    graded_triplet(g, t);
    const W phase = p->positive_gauge && t < p->u_cols ? graded_gauge(p->m, u) : 1;
    for (int64_t i = 0; i < p->m && t < p->u_cols && call->U.data; i++)
      *element(&call->U, b, i, t) = (T)(phase * u[i]);
    for (int64_t i = 0; i < p->n && t < p->vh_rows && call->Vh.data; i++)
      *element(&call->Vh, b, t, i) = (T)CONJ((t < p->mn ? phase : 1) * v[i]);
  }
}

/* Returns 0 if the largest value overflows R. */
static int graded_store_values(const svd_call_t *call, int64_t b, const graded_t *g) {
  const WR first = g->length[g->order[0]], least = 2 * ldexp((WR)1, LEAST);
  int exponent = 1;
  if (call->exponent) {
    (void)frexp(first, &exponent); /* s_1 in [1, 2) */
    call->exponent[b] = g->exponent + exponent - 1;
  }
  const int shift = call->exponent ? 1 - exponent : g->exponent;
  for (int64_t j = 0; j < call->p.k; j++) {
    const WR s = g->length[g->order[j]];
    *entry(&call->S, b, j) = (R)(s > least ? ldexp(s, shift) : 0);
  }
  return isfinite((R)ldexp(first, shift));
}

/* Matrix b of the call again; it is not zero and has neither NaN nor Inf.  A matrix that is singular in the precision of R,
 * or with `keep_small` in that of W, keeps its outputs: no value has been lost but, with `keep_small`, to noise. */
static void graded_svd(const svd_call_t *call, int64_t b, arena_t scratch) {
  graded_t g = graded_take(&scratch, &call->p);
  g.vectors = call->U.data || call->Vh.data;
  graded_load(call, b, &g);
  graded_factor(&g);
  if (graded_is_singular(&g, call->keep_small ? 4 * (WR)W_EPSILON : 64 * (WR)EPSILON)) {
    for (int64_t j = g.rank; j < call->p.k && call->keep_small; j++)
      *entry(&call->S, b, j) = 0;
    return;
  }
  const int converged = graded_solve(&g, call->p.max_sweeps ? call->p.max_sweeps : GRADED_SWEEPS);
  const int in_range = graded_store_values(call, b, &g);
  if (g.vectors)
    graded_store_vectors(call, b, &g);
  call->info[b] = !converged ? SVDGRAD_INFO_NOT_CONVERGED : in_range ? SVDGRAD_INFO_OK : SVDGRAD_INFO_OVERFLOW;
}

#endif
