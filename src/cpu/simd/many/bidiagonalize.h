/* SPDX-License-Identifier: BSD-3-Clause */
/* Householder reduction to upper bidiagonal form, A = Q B P^H, one matrix in each lane (G. H. Golub and W. Kahan, SIAM J.
 * Numer. Anal. 2, 1965).  A step reads and writes the rest of the matrix once (G. W. Howell, J. W. Demmel, C. T. Fulton,
 * S. Hammarling, K. Marmol, ACM Trans. Math. Softw. 34, 2008): while a few columns are in the cache, it applies the
 * reflectors of the step before,
 *
 *   a_j <- a_j - u y_j - x conj(z_j),
 *
 * multiplies by the new left reflector I - tau v v^H, which gives row k of the reduced matrix,
 *
 *   y_j = tau v^H a_j,   r_j = a_kj - v_k y_j,
 *
 * and adds to w = sum of a_j conj(r_j).  The vector p of the right reflector is r^H, but for its first entry, so that the
 * product of the matrix with p follows from w.
 *
 * The reflectors are Hermitian (qr.h), so that the entries of B have phases where T is complex.  As factors of the columns
 * of Q and P they leave a real B that is not negative; its singular values need no phases. */
#ifndef SVDGRAD_MANY_BIDIAGONALIZE_H
#define SVDGRAD_MANY_BIDIAGONALIZE_H
#include "../register.h"

enum { REDUCED = IS_COMPLEX ? 2 : 4 }; /* columns at a time */

typedef struct bidiagonal {
  int64_t rows, n;
  R *A;                 /* rows-by-n; becomes the vectors of the left reflectors, on and below the diagonal */
  R *P;                 /* n-by-n: the vectors of the right reflectors, below the diagonal */
  int64_t p_step;       /* n; 0: none of these is kept, and P is one column */
  R *tau_q, *tau_p;     /* n, real */
  R *d, *e;             /* n, real: |B_kk| and |B_k,k+1|; the last e is zero */
  R *d_phase, *e_phase; /* n: B_kk / d_k, B_k,k+1 / e_k; NULL: not wanted */
  R *x, *w;             /* rows: work */
  R *y;                 /* n: work */
} bidiagonal_t;

/* A reflector that makes -norm phase e_1 of a vector. */
typedef struct lane_reflector {
  V tau, norm;    /* zero where the square of the vector is not a normal number */
  E phase, first; /* of its first entry; the new first entry is larger by `first` */
} lane_reflector_t;

/* The reflector of x_first, ..., x_(length - 1), which become its vector. */
INLINE lane_reflector_t make_lane_reflector(R *x, int64_t first, int64_t length) {
  V square = {0}, other = {0};
  int64_t i = first;
  for (; i + 1 < length; i += 2) {
    square = add_square(square, load(x, i));
    other = add_square(other, load(x, i + 1));
  }
  if (i < length)
    square = add_square(square, load(x, i));
  square += other;
  const M exists = (M)(square > broadcast(SMALLEST_SQUARE));
  const V norm = square_root(choose_real(exists, square, broadcast(1)));
  const E alpha = load(x, first), w = phase(alpha);
  const V along = real_product(w, alpha), inverse = 1 / (norm * (norm + along));
  lane_reflector_t r = {choose_real(exists, inverse, (V){0}), choose_real(exists, norm, (V){0}), w, scaled(norm, w)};
  store(x, first, add(alpha, r.first));
  return r;
}

/* Step k; u, x and z belong to the step before. */
typedef struct lane_reduction {
  int64_t k;
  const R *u, *x, *z;
  const R *v;
  R *row, *w;
  V tau;
  E along; /* sum of y_j conj(r_j) */
} lane_reduction_t;

/* Columns j.. of step k; `before`: there is a step before. */
INLINE void reduce_columns(const bidiagonal_t *b, lane_reduction_t *s, int before, int64_t j, int columns) {
  const int64_t rows = b->rows, k = s->k;
  R *a = element_at(b->A, j * rows);
  const E zero = from_real((V){0});
  E y[REDUCED], z[REDUCED], sum[REDUCED];
  UNROLL
  for (int c = 0; c < columns; c++) {
    y[c] = before ? load(b->y, j + c) : zero;
    z[c] = before ? conjugate(load(s->z, j + c)) : zero;
    sum[c] = zero;
  }
  for (int64_t i = k; i < rows; i++) {
    const E v_i = load(s->v, i), u_i = before ? load(s->u, i) : zero, x_i = before ? load(s->x, i) : zero;
    UNROLL
    for (int c = 0; c < columns; c++) {
      E a_i = load(a, c * rows + i);
      if (before) {
        a_i = subtract_product(subtract_product(a_i, u_i, y[c]), x_i, z[c]);
        store(a, c * rows + i, a_i);
      }
      sum[c] = add_conjugate_product(sum[c], v_i, a_i);
    }
  }
  const E top = load(s->v, k);
  UNROLL
  for (int c = 0; c < columns; c++) {
    const E product = scaled(s->tau, sum[c]);
    const E row = conjugate(subtract_product(load(a, c * rows + k), top, product));
    store(b->y, j + c, product);
    s->along = add_product(s->along, product, row);
    store(s->row, j + c, row);
    y[c] = row;
  }
  for (int64_t i = k + 1; i < rows; i++) {
    E w_i = load(s->w, i);
    UNROLL
    for (int c = 0; c < columns; c++)
      w_i = add_product(w_i, load(a, c * rows + i), y[c]);
    store(s->w, i, w_i);
  }
}

INLINE void reduce_rest(const bidiagonal_t *b, lane_reduction_t *s, int before) {
  int64_t j = s->k + 1;
  s->along = from_real((V){0});
  for (int64_t i = s->k; i < b->rows; i++)
    store(s->w, i, s->along);
  for (; j + REDUCED <= b->n; j += REDUCED)
    reduce_columns(b, s, before, j, REDUCED);
  if (!IS_COMPLEX && j + 2 <= b->n) {
    reduce_columns(b, s, before, j, 2);
    j += 2;
  }
  if (j < b->n)
    reduce_columns(b, s, before, j, 1);
}

/* Applies the reflectors of the step before to column k. */
INLINE void update_column(const bidiagonal_t *b, const lane_reduction_t *s) {
  R *a = element_at(b->A, s->k * b->rows);
  const E y = load(b->y, s->k), z = conjugate(load(s->z, s->k));
  for (int64_t i = s->k; i < b->rows; i++)
    store(a, i, subtract_product(subtract_product(load(a, i), load(s->u, i), y), load(s->x, i), z));
}

/* w <- tau (A - v y^T) p; p is r^H, with its first entry larger by r->first. */
INLINE void finish_product(const bidiagonal_t *b, const lane_reduction_t *s, const lane_reflector_t *r) {
  const R *a = element_at(b->A, (s->k + 1) * b->rows);
  const E of_v = add_product(s->along, load(b->y, s->k + 1), r->first);
  for (int64_t i = s->k + 1; i < b->rows; i++) {
    const E x = add_product(load(s->w, i), load(a, i), r->first);
    store(s->w, i, scaled(r->tau, subtract_product(x, load(s->v, i), of_v)));
  }
}

INLINE void keep_reflector(const lane_reflector_t *r, int64_t k, R *norm, R *tau, R *phase_of_entry) {
  store_real(norm + k * LANES, r->norm);
  store_real(tau + k * LANES, r->tau);
  if (phase_of_entry)
    store(phase_of_entry, k, negative(r->phase));
}

INLINE void bidiagonalize(const bidiagonal_t *b) {
  R *x = b->x, *w = b->w;
  lane_reduction_t s = {0};
  for (s.k = 0; s.k < b->n; s.k++) {
    if (s.k)
      update_column(b, &s);
    R *v = element_at(b->A, s.k * b->rows);
    const lane_reflector_t left = make_lane_reflector(v, s.k, b->rows);
    keep_reflector(&left, s.k, b->d, b->tau_q, b->d_phase);
    store_real(b->e + s.k * LANES, (V){0});
    if (s.k == b->n - 1)
      return;
    s.v = v, s.tau = left.tau, s.row = element_at(b->P, s.k * b->p_step), s.w = w;
    if (s.k)
      reduce_rest(b, &s, 1);
    else
      reduce_rest(b, &s, 0);
    lane_reflector_t right = make_lane_reflector(s.row, s.k + 1, b->n);
    finish_product(b, &s, &right);
    right.phase = conjugate(right.phase);
    keep_reflector(&right, s.k, b->e, b->tau_p, b->e_phase);
    s.u = s.v, s.z = s.row, s.x = w;
    w = x, x = (R *)s.x;
  }
}

#endif
