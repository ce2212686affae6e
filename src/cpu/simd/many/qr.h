/* SPDX-License-Identifier: BSD-3-Clause */
/* Householder QR of LANES tall matrices at once (G. H. Golub and C. F. Van Loan, Matrix Computations, 5.2). The
 * reflectors I - tau v v^H are Hermitian, with v = x + w |x| e_j, w the phase of x_j.  R_jj = -w |x| is therefore
 * complex for complex matrices, and Q^H is the product of the same reflectors in the opposite order.
 *
 * Sums over rows go by blocks: rounding errors of equal terms are alike, and would grow with the number of rows. */
#ifndef SVDGRAD_MANY_QR_H
#define SVDGRAD_MANY_QR_H
#include "../register.h"

/* A = Q R. */
typedef struct factored {
  int64_t rows, n;
  R *A;        /* rows-by-n: v on and below the diagonal, R above */
  R *diagonal; /* n: R_jj */
  R *tau;      /* n, real */
  R *product;  /* n: v_j+1^H v_j, of even j */
} factored_t;

/* Columns that are reflected together: they stay in the cache while one reflector after the other is applied. */
enum { REFLECTED = IS_COMPLEX ? 2 : 4 };

/* Rows of a block. */
enum { SUMMED = 128 };
INLINE int64_t end_of_block(const factored_t *f, int64_t first) {
  return f->rows - first < SUMMED ? f->rows : first + SUMMED;
}

/* along[c] += v^H X_c over the rows from `row` on, for `columns` neighbouring columns. */
INLINE void add_products(const factored_t *f, const R *v, int64_t row, const R *X, int columns, E *along) {
  for (int64_t first = row, end; first < f->rows; first = end) {
    end = end_of_block(f, first);
    E sum[REFLECTED];
    for (int c = 0; c < columns; c++)
      sum[c] = from_real((V){0});
    for (int64_t i = first; i < end; i++) {
      const E v_i = load(v, i);
      UNROLL
      for (int c = 0; c < columns; c++)
        sum[c] = add_conjugate_product(sum[c], v_i, load(X, c * f->rows + i));
    }
    for (int c = 0; c < columns; c++)
      along[c] = add(along[c], sum[c]);
  }
}

/* The same of two vectors, v and w. */
INLINE void add_products_twice(const factored_t *f, const R *v, const R *w, int64_t row, const R *X, int columns,
                               E *along_v, E *along_w) {
  for (int64_t first = row, end; first < f->rows; first = end) {
    end = end_of_block(f, first);
    E sum_v[REFLECTED], sum_w[REFLECTED];
    for (int c = 0; c < columns; c++)
      sum_v[c] = sum_w[c] = from_real((V){0});
    for (int64_t i = first; i < end; i++) {
      const E v_i = load(v, i), w_i = load(w, i);
      UNROLL
      for (int c = 0; c < columns; c++) {
        const E x = load(X, c * f->rows + i);
        sum_v[c] = add_conjugate_product(sum_v[c], v_i, x);
        sum_w[c] = add_conjugate_product(sum_w[c], w_i, x);
      }
    }
    for (int c = 0; c < columns; c++) {
      along_v[c] = add(along_v[c], sum_v[c]);
      along_w[c] = add(along_w[c], sum_w[c]);
    }
  }
}

/* x <- x - tau v (v^H x) on rows j.. of `columns` neighbouring columns. */
INLINE void reflect_columns(const factored_t *f, int64_t j, R *X, int columns) {
  const R *v = element_at(f->A, j * f->rows);
  const V minus_tau = -load_real(f->tau + j * LANES);
  E along[REFLECTED];
  for (int c = 0; c < columns; c++)
    along[c] = from_real((V){0});
  add_products(f, v, j, X, columns, along);
  for (int c = 0; c < columns; c++)
    along[c] = scaled(minus_tau, along[c]);
  for (int64_t i = j; i < f->rows; i++) {
    const E v_i = load(v, i);
    UNROLL
    for (int c = 0; c < columns; c++)
      store(X, c * f->rows + i, add_product(load(X, c * f->rows + i), along[c], v_i));
  }
}

/* The same with reflectors j and j + 1, of vectors v and w, in one pass; forward: reflector j first.  The product of w
 * with what the first reflector leaves of x is w^H x - tau_j (w^H v) (v^H x); without `forward` the roles of v and w
 * are exchanged. */
INLINE void reflect_columns_twice(const factored_t *f, int64_t j, int forward, R *X, int columns) {
  const R *v = element_at(f->A, j * f->rows), *w = element_at(v, f->rows);
  const V minus_v = -load_real(f->tau + j * LANES), minus_w = -load_real(f->tau + (j + 1) * LANES);
  const E product = load(f->product, j), top = load(v, j), zero = from_real((V){0});
  E along_v[REFLECTED], along_w[REFLECTED];
  for (int c = 0; c < columns; c++) {
    along_v[c] = add_conjugate_product(zero, top, load(X, c * f->rows + j));
    along_w[c] = zero;
  }
  add_products_twice(f, v, w, j + 1, X, columns, along_v, along_w);
  for (int c = 0; c < columns; c++) {
    if (forward) {
      along_v[c] = scaled(minus_v, along_v[c]);
      along_w[c] = scaled(minus_w, add_product(along_w[c], product, along_v[c]));
    } else {
      along_w[c] = scaled(minus_w, along_w[c]);
      along_v[c] = scaled(minus_v, add_conjugate_product(along_v[c], product, along_w[c]));
    }
    store(X, c * f->rows + j, add_product(load(X, c * f->rows + j), along_v[c], top));
  }
  for (int64_t i = j + 1; i < f->rows; i++) {
    const E v_i = load(v, i), w_i = load(w, i);
    UNROLL
    for (int c = 0; c < columns; c++) {
      const E x = add_product(load(X, c * f->rows + i), along_v[c], v_i);
      store(X, c * f->rows + i, add_product(x, along_w[c], w_i));
    }
  }
}

INLINE void reflect(const factored_t *f, int64_t j, R *X, int64_t columns) {
  int64_t c = 0;
  for (; c + REFLECTED <= columns; c += REFLECTED)
    reflect_columns(f, j, element_at(X, c * f->rows), REFLECTED);
  for (; c < columns; c++)
    reflect_columns(f, j, element_at(X, c * f->rows), 1);
}

INLINE void reflect_twice(const factored_t *f, int64_t j, int forward, R *X, int64_t columns) {
  int64_t c = 0;
  for (; c + REFLECTED <= columns; c += REFLECTED)
    reflect_columns_twice(f, j, forward, element_at(X, c * f->rows), REFLECTED);
  for (; c < columns; c++)
    reflect_columns_twice(f, j, forward, element_at(X, c * f->rows), 1);
}

/* The reflector of column j; tau is zero where the square of the column is not a normal number. */
INLINE void make_reflector(const factored_t *f, int64_t j) {
  R *x = element_at(f->A, j * f->rows);
  const V zero = {0}, one = broadcast(1);
  V square = {0};
  for (int64_t first = j, end; first < f->rows; first = end) {
    end = end_of_block(f, first);
    V sum = {0};
    for (int64_t i = first; i < end; i++)
      sum = add_square(sum, load(x, i));
    square += sum;
  }
  const M exists = (M)(square > broadcast(SMALLEST_SQUARE));
  const V norm = square_root(choose_real(exists, square, one));
  const E alpha = load(x, j);
  const E w = phase(alpha);
  const V along = real_product(w, alpha); /* |alpha| */
  store(x, j, add(alpha, scaled(norm, w)));
  store(f->diagonal, j, scaled(choose_real(exists, -norm, zero), w));
  store_real(f->tau + j * LANES, choose_real(exists, 1 / (norm * (norm + along)), zero));
}

/* w^H v of reflectors j and j + 1. */
INLINE void multiply_reflectors(const factored_t *f, int64_t j) {
  const R *v = element_at(f->A, j * f->rows), *w = element_at(v, f->rows);
  E product = from_real((V){0});
  add_products(f, w, j + 1, v, 1, &product);
  store(f->product, j, product);
}

INLINE void factorize_qr(const factored_t *f) {
  for (int64_t first = 0; first < f->n; first += REFLECTED) {
    const int64_t last = first + REFLECTED < f->n ? first + REFLECTED : f->n;
    for (int64_t j = 0; j < first; j += 2)
      reflect_twice(f, j, 1, element_at(f->A, first * f->rows), last - first);
    for (int64_t j = first; j < last; j++) {
      make_reflector(f, j);
      if (j % 2)
        multiply_reflectors(f, j - 1);
      reflect(f, j, element_at(f->A, (j + 1) * f->rows), last - j - 1);
    }
  }
}

/* L = R^H, n-by-n. */
INLINE void adjoint_of_R(const factored_t *f, R *L) {
  for (int64_t j = 0; j < f->n; j++)
    for (int64_t i = 0; i < f->n; i++) {
      const E r = i < j ? from_real((V){0}) : i == j ? load(f->diagonal, j) : load(f->A, i * f->rows + j);
      store(L, j * f->n + i, conjugate(r));
    }
}

/* X = Q diag(J, I), rows-by-columns, from J n-by-n. */
INLINE void apply_Q(const factored_t *f, const R *J, R *X, int64_t columns) {
  const V one = broadcast(1), zero = {0};
  for (int64_t first = 0; first < columns; first += REFLECTED) {
    const int64_t last = first + REFLECTED < columns ? first + REFLECTED : columns;
    for (int64_t c = first; c < last; c++)
      for (int64_t i = 0; i < f->rows; i++)
        store(X, c * f->rows + i, c < f->n && i < f->n ? load(J, c * f->n + i) : from_real(i == c ? one : zero));
    if (f->n % 2)
      reflect(f, f->n - 1, element_at(X, first * f->rows), last - first);
    for (int64_t j = f->n / 2 * 2 - 2; j >= 0; j -= 2)
      reflect_twice(f, j, 0, element_at(X, first * f->rows), last - first);
  }
}

#endif
