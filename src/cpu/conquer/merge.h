/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of a block from those of its two blocks (M. Gu, S. C. Eisenstat, SIAM J. Matrix Anal. Appl. 16, 1995).  In
 * the bases of their singular vectors the block is the matrix of the secular equation (secular.h), whose first row is
 * the row in the middle and whose diagonal has the values of both. */
#ifndef SVDGRAD_CONQUER_MERGE_H
#define SVDGRAD_CONQUER_MERGE_H
#include "multiply.h"

/* The largest number of the merge. */
static R merge_largest(const conquer_t *c, const block_t *b) {
  const R *d = c->d + b->first, *e = c->e + b->first;
  const int64_t above = rows_above(b->n);
  R largest = larger_of((R)fabs(d[above]), (R)fabs(e[above]));
  for (int64_t j = 0; j < b->n; j++)
    largest = j == above ? largest : larger_of(largest, d[j]);
  return largest;
}

/* Merges two lists of indices of `values`, each by increasing value; `shift` is added to those of the second. */
static void merge_lists(const R *values, const int64_t *x, int64_t x_count, const int64_t *y, int64_t y_count,
                        int64_t shift, int64_t *merged) {
  int64_t i = 0, j = 0;
  while (i < x_count || j < y_count) {
    const int takes_x = j == y_count || (i < x_count && values[x[i]] <= values[y[j] + shift]);
    *merged++ = takes_x ? x[i++] : y[j++] + shift;
  }
}

/* c->merged, d_sorted, z_sorted, kind; entry 0 belongs to the middle row.  Scaled by `down`. */
static void sort_merge(const conquer_t *c, const merge_t *m, power_t down) {
  const block_t *b = m->block, lower = lower_block(b);
  const R *d = c->d + b->first;
  const R alpha = scaled_by(d[m->above], down), beta = scaled_by(c->e[b->first + m->above], down);
  merge_lists(d, c->order + b->first, m->above, c->order + lower.first, lower.n, m->above + 1, c->merged + 1);
  for (int64_t i = 1; i < b->n; i++) {
    const int64_t column = c->merged[i], is_upper = column < m->above;
    const R *v = v_column(c, b, column);
    c->d_sorted[i] = scaled_by(d[column], down);
    c->z_sorted[i] = is_upper ? alpha * v[m->above] : beta * v[m->above + 1];
    c->kind[column] = is_upper ? IN_UPPER_ROWS : IN_LOWER_ROWS;
  }
}

/* Column 0: the middle row of U, and what is left of the columns of V without a value.  If there are two of these, as
 * the block has a column more than rows, one of their combinations has no part in the middle row. */
static void prepare_column_zero(const conquer_t *c, merge_t *m, power_t down) {
  const block_t *b = m->block;
  const R alpha = scaled_by(c->d[b->first + m->above], down);
  const R beta = scaled_by(c->e[b->first + m->above], down);
  R *v = v_column(c, b, m->above), z = alpha * v[m->above];
  if (b->extra) {
    R *other = v_column(c, b, b->n);
    const R z_other = beta * other[m->above + 1], length = (R)hypot(z, z_other);
    const int is_small = length <= m->tolerance;
    const R cosine = is_small ? 1 : z / length, sine = is_small ? 0 : z_other / length;
    fill_column(v, IN_UPPER_ROWS, m->above + 1, b->n + 1);
    fill_column(other, IN_LOWER_ROWS, m->above + 1, b->n + 1);
    rotate_columns(v, other, 0, b->n + 1, cosine, sine);
    z = length;
  }
  for (int64_t j = 0; j < m->above; j++)
    u_column(c, b, j)[m->above] = 0;
  memset(u_column(c, b, m->above), 0, (size_t)m->above * sizeof(R));
  u_column(c, b, m->above)[m->above] = 1;
  keep_column(c, m, m->above, 0, (R)fabs(z) <= m->tolerance ? m->tolerance : z);
}

/* The values and vectors of the secular equation.  Returns 0 if a root did not converge. */
static int solve_equation(const conquer_t *c, const merge_t *m) {
  secular_t s = c->secular;
  R *d = s.d, *z = s.z;
  s.n = m->kept, s.columns = made_columns(c, m->block, m->kept), s.place = c->place,
  s.stride = conquer_stride(m->kept, c->ops->lanes);
  if (s.n == 1) {
    ((R *)s.origin)[0] = 0, ((R *)s.distance)[0] = (R)fabs(z[0]);
    ((R *)s.left)[0] = 1, ((R *)s.right)[0] = z[0] < 0 ? -1 : 1;
    return 1;
  }
  d[1] = larger_of(d[1], m->tolerance / 2);
  if (!c->ops->solve(&s))
    return 0;
  c->ops->weigh(&s);
  c->ops->vectors(&s);
  return 1;
}

/* By increasing value.  They nearly are: only values within the tolerance may have changed places. */
static void sort_deflated(const conquer_t *c, const merge_t *m) {
  const R *d = c->d + m->block->first;
  for (int64_t i = 1; i < m->deflated; i++) {
    const int64_t column = c->deflated[i];
    int64_t j = i;
    for (; j > 0 && d[c->deflated[j - 1]] > d[column]; j--)
      c->deflated[j] = c->deflated[j - 1];
    c->deflated[j] = column;
  }
}

/* The vectors of the block. */
static void make_columns(const conquer_t *c, const merge_t *m) {
  const block_t *b = m->block;
  int64_t dense = 0;
  const int64_t zero = c->place[0], lower = b->n - m->above - 1;
  for (int64_t i = 1; i < m->kept; i++)
    dense += c->kind[c->columns[i]] == IN_ALL_ROWS;
  side_t left = {.X = u_column(c, b, 0), .Q = c->secular.left, .upper = m->above + 1, .lower = lower};
  side_t right = {.X = v_column(c, b, 0), .Q = c->secular.right, .upper = m->above + 1, .lower = lower + b->extra};
  left.first_lower = zero + 1, right.first_lower = zero + 1 - b->extra;
  left.end_upper = right.end_upper = zero + 1 + dense;
  multiply_side(c, m, &left);
  multiply_side(c, m, &right);
}

/* c->d and c->order of the block. */
static void store_merged(const conquer_t *c, const merge_t *m, power_t up) {
  const block_t *b = m->block;
  const R *origin = c->secular.origin, *distance = c->secular.distance;
  R *d = c->d + b->first;
  for (int64_t i = 0; i < m->deflated; i++)
    c->d_sorted[i] = d[c->deflated[i]];
  for (int64_t i = 0; i < m->deflated; i++) {
    const int64_t column = deflated_column(c, m, i);
    d[column] = c->d_sorted[i];
    c->deflated[i] = column;
  }
  for (int64_t i = 0; i < m->kept; i++) {
    c->merged[i] = root_column(c, m, m->kept - 1 - i);
    d[c->merged[i]] = scaled_by(origin[i] + distance[i], up);
  }
  merge_lists(d, c->merged, m->kept, c->deflated, m->deflated, 0, c->order + b->first);
}

/* Returns 0 if a root did not converge. */
static int merge_blocks(const conquer_t *c, const block_t *b) {
  int exponent = 0;
  const R fraction = (R)frexp((double)merge_largest(c, b), &exponent);
  const power_t down = power_of(-exponent);
  merge_t m = {.block = b, .above = rows_above(b->n), .tolerance = 4 * EPSILON * fraction};
  sort_merge(c, &m, down);
  prepare_column_zero(c, &m, down);
  deflate(c, &m);
  sort_deflated(c, &m);
  order_kinds(c, &m);
  if (!solve_equation(c, &m))
    return 0;
  make_columns(c, &m);
  store_merged(c, &m, power_of(exponent));
  return 1;
}

#endif
