/* SPDX-License-Identifier: BSD-3-Clause */
/* Householder reduction of one matrix to upper bidiagonal form (G. H. Golub and W. Kahan, SIAM J. Numer. Anal. 2,
 * 1965), with a lane for each row.  A step reads and writes the rest of the matrix once (G. W. Howell, J. W. Demmel, C.
 * T. Fulton, S. Hammarling, K. Marmol, ACM Trans. Math. Softw. 34, 2008). While a few columns are in the cache, the
 * step applies the reflectors of the step before,
 *
 *   a_j <- a_j - u y_j - x z_j,
 *
 * multiplies by the new left reflector I - tau v v^H, which gives row k of the reduced matrix,
 *
 *   y_j = conj(tau) v^H a_j,   r_j = a_kj - y_j,
 *
 * and adds to w = sum of a_j conj(r_j). The vector of the right reflector is r^H, but for its first entry and a factor,
 * so that the product of the matrix with it follows from w.
 *
 * Threads share blocks of columns.  Each block has a sum w of its own; these are added
 * as a binary tree, whoever computes them. */
#ifndef SVDGRAD_ONE_BIDIAGONAL_H
#define SVDGRAD_ONE_BIDIAGONAL_H
#include "householder.h"
#include "reflectors.h"

INLINE R *a_column(const reduction_t *r, int64_t j) { return (R *)r->A + j * r->a_stride; }
INLINE R *p_column(const reduction_t *r, int64_t j) { return (R *)r->P + j * r->p_stride; }

/* Step k; u, x and z belong to the step before. */
typedef struct reduction_step {
  int64_t k;
  const R *u, *x, *z; /* z_j is the conjugate of an entry */
  const R *v;
  R *row, *w; /* r^H */
  T *y;
  T tau, along; /* sum of y_j conj(r_j) */
} reduction_step_t;

INLINE void reduce_columns(const reduction_t *r, reduction_step_t *s, int64_t j, int columns) {
  R *a = a_column(r, j);
  const int64_t first = s->k / LANES, end = registers(r->m), next = r->a_stride / (PARTS * LANES);
  E y[REDUCED], z[REDUCED], sum[REDUCED];
  UNROLL
  for (int c = 0; c < columns; c++) {
    y[c] = broadcast_element(s->y[j + c]);
    z[c] = broadcast_element(CONJ(lane_of(s->z, j + c)));
    sum[c] = from_real((V){0});
  }
  for (int64_t i = first; i < end; i++) {
    const E u_i = load(s->u, i), x_i = load(s->x, i), v_i = load(s->v, i);
    UNROLL
    for (int c = 0; c < columns; c++) {
      const E a_i = subtract_product(subtract_product(load(a, c * next + i), u_i, y[c]), x_i, z[c]);
      store(a, c * next + i, a_i);
      sum[c] = add_conjugate_product(sum[c], v_i, a_i);
    }
  }
  UNROLL
  for (int c = 0; c < columns; c++) {
    const T product = CONJ(s->tau) * sum_of_lanes(sum[c]);
    const T row = CONJ(lane_of(a + c * r->a_stride, s->k) - product);
    s->y[j + c] = product;
    s->along += product * row;
    put_lane(s->row, j + c, row);
    y[c] = broadcast_element(row);
  }
  for (int64_t i = first; i < end; i++) {
    E w_i = load(s->w, i);
    UNROLL
    for (int c = 0; c < columns; c++)
      w_i = add_product(w_i, load(a, c * next + i), y[c]);
    store(s->w, i, w_i);
  }
}

/* Computes w and s->along again, with v of the right reflector in place of r^H. */
static void multiply_by_row(const reduction_t *r, reduction_step_t *s) {
  memset(s->w, 0, (size_t)r->a_stride * sizeof(R));
  s->along = 0;
  for (int64_t j = s->k + 1; j < r->n; j++) {
    const T v = lane_of(s->row, j);
    s->along += s->y[j] * v;
    for (int64_t i = s->k / LANES; i < registers(r->m); i++)
      store(s->w, i, add_product(load(s->w, i), load(a_column(r, j), i), broadcast_element(v)));
  }
}

/* w <- tau (A - v y^T) p, p of the right reflector g = I - tau p p^H. */
static void finish_product(const reduction_t *r, reduction_step_t *s, const householder_t *g) {
  const T inverse = g->tiny ? 1 : g->inverse, beta = g->tiny ? 0 : g->beta;
  const R *a = a_column(r, s->k + 1);
  if (g->tiny)
    multiply_by_row(r, s);
  const E of_w = broadcast_element(g->tau * inverse), of_a = broadcast_element(g->tau * inverse * beta);
  const E of_v = broadcast_element(g->tau * inverse * (s->along - beta * s->y[s->k + 1])), zero = from_real((V){0});
  for (int64_t i = s->k / LANES; i < registers(r->m); i++) {
    const E x = subtract_product(add_product(zero, of_w, load(s->w, i)), of_a, load(a, i));
    store(s->w, i, subtract_product(x, of_v, load(s->v, i)));
  }
  clear_before(s->w, s->k + 1);
}

/* Applies the reflectors of the step before to column k. */
INLINE void update_column(const reduction_t *r, const reduction_step_t *s) {
  R *a = a_column(r, s->k);
  const E y = broadcast_element(s->y[s->k]), z = broadcast_element(CONJ(lane_of(s->z, s->k)));
  for (int64_t i = s->k / LANES; i < registers(r->m); i++)
    store(a, i, subtract_product(subtract_product(load(a, i), load(s->u, i), y), load(s->x, i), z));
}

/* Step `s` in blocks of `width` columns. */
typedef struct shared_step {
  const reduction_t *r;
  const reduction_step_t *s;
  int64_t width, blocks;
} shared_step_t;

static R *sum_of_block(const shared_step_t *shared, int64_t block) {
  return block == 0 ? shared->s->w : (R *)shared->r->partial + (block - 1) * shared->r->a_stride;
}

static void add_block(const shared_step_t *shared, int64_t to, int64_t from) {
  const reduction_t *r = shared->r;
  R *w = sum_of_block(shared, to);
  const R *x = sum_of_block(shared, from);
  for (int64_t i = shared->s->k / LANES; i < registers(r->m); i++)
    store(w, i, add(load(w, i), load(x, i)));
  ((T *)r->along)[to] += ((const T *)r->along)[from];
}

/* Adds the sums of blocks in pairs, then those of pairs, and so on: whoever has made the second of two adds them, so that
 * a thread's own sums stay in its cache.  r->met counts those of the block on the right. */
static void add_sums(const shared_step_t *shared, int64_t block) {
  for (int64_t size = 1; size < shared->blocks; size *= 2) {
    const int64_t left = block & -2 * size, right = left + size;
    if (right < shared->blocks) {
      if (atomic_fetch_add(&shared->r->met[right], 1) % 2 == 0)
        return;
      add_block(shared, left, right);
    }
    block = left;
  }
}

static void reduce_block(const void *argument, int64_t block) {
  const shared_step_t *shared = argument;
  const reduction_t *r = shared->r;
  reduction_step_t s = *shared->s;
  int64_t j = s.k + 1 + block * shared->width;
  const int64_t end = j + shared->width < r->n ? j + shared->width : r->n, begin = s.k / LANES * (PARTS * LANES);
  s.w = sum_of_block(shared, block), s.along = 0;
  memset(s.w + begin, 0, (size_t)(r->a_stride - begin) * sizeof(R));
  for (; j + REDUCED <= end; j += REDUCED)
    reduce_columns(r, &s, j, REDUCED);
  for (; j < end; j++)
    reduce_columns(r, &s, j, 1);
  ((T *)r->along)[block] = s.along;
  add_sums(shared, block);
}

/* w and s->along of all columns.  In a cache an entry takes about a twentieth of a nanosecond for each of its bytes. */
static void reduce_rest(const reduction_t *r, reduction_step_t *s) {
  const int64_t columns = r->n - 1 - s->k, most = reduction_blocks(r->n, columns);
  const int64_t width = ((columns + most - 1) / most + REDUCED - 1) / REDUCED * REDUCED;
  const shared_step_t shared = {r, s, width, (columns + width - 1) / width};
  const double cost = 0.05 * sizeof(T) * (double)(r->m - s->k) * (double)width;
  team_run(r->team, shared.blocks, cost, reduce_block, &shared);
  s->along = ((const T *)r->along)[0];
}

static void bidiagonalize(const reduction_t *r) {
  R *x = r->x, *w = r->w;
  memset(x, 0, (size_t)r->a_stride * sizeof(R));
  memset(r->P, 0, (size_t)registers(r->n) * (PARTS * LANES) * sizeof(R));
  memset(r->y, 0, (size_t)r->n * sizeof(T));
  for (int64_t block = 0; block < reduction_blocks(r->n, r->n); block++)
    atomic_init(&r->met[block], 0);
  reduction_step_t s = {.u = x, .x = x, .z = r->P, .y = r->y};
  for (s.k = 0; s.k < r->n; s.k++) {
    update_column(r, &s);
    const householder_t h = householder(a_column(r, s.k), s.k, r->m);
    ((R *)r->d)[s.k] = h.beta;
    ((T *)r->tau_q)[s.k] = s.tau = h.tau;
    if (s.k == r->n - 1)
      return;
    s.v = a_column(r, s.k), s.row = p_column(r, s.k), s.w = w;
    clear_behind(p_column(r, s.k), r->n);
    reduce_rest(r, &s);
    const householder_t g = householder(s.row, s.k + 1, r->n);
    ((R *)r->e)[s.k] = g.beta;
    ((T *)r->tau_p)[s.k] = g.tau;
    finish_product(r, &s, &g);
    s.u = s.v, s.z = s.row, s.x = w;
    w = x, x = (R *)s.x;
  }
}

#endif
