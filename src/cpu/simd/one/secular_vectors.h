/* SPDX-License-Identifier: BSD-3-Clause */
/* The vectors of the secular equation (secular.h), with a lane for each pole.  The singular vectors of s are
 *
 *   v_j = z_j / (d_j^2 - s^2),   u_0 = -1, u_j = d_j v_j,
 *
 * normalized.  Here v is multiplied by p = d_k^2 - s^2 of the nearest pole d_k, and u by p / s, which keeps their
 * squares in the range of R. */
#ifndef SVDGRAD_ONE_SECULAR_VECTORS_H
#define SVDGRAD_ONE_SECULAR_VECTORS_H
#include "secular_roots.h"

/* d_j^2 minus the square of root k. */
INLINE V gap_to_root(const secular_t *s, V d, int64_t k) {
  return square_gap(d, broadcast(((const R *)s->origin)[k]), broadcast(((const R *)s->offset)[k]));
}

/* d_j^2 - d_l^2, where l leaves out j. */
INLINE V gap_to_pole(const secular_t *s, V d, V j, int64_t k) {
  const R *poles = s->d;
  const V pole = choose_real((M)(j > broadcast((R)k)), broadcast(poles[k]), broadcast(poles[k + 1]));
  return (d - pole) * (d + pole);
}

/* z_j^2 = (s_(n-1)^2 - d_j^2) times the product over all other roots k of (s_k^2 - d_j^2) / (d_l^2 - d_j^2), where l is
 * k for k < j, else k + 1.  Each of these ratios is below 1, and no product of them underflows. */
static void weigh_piece(const void *argument, int64_t piece) {
  const secular_t *s = argument;
  const R *d = s->d, *z = s->z;
  R *weights = s->weights;
  for (int64_t j = piece * SECULAR_PIECE; j < end_of_piece(piece, s->n); j += LANES) {
    R indices[LANES];
    for (int l = 0; l < LANES; l++)
      indices[l] = (R)(j + l);
    const V d_j = load_real(d + j), index = load_real(indices);
    V product = gap_to_root(s, d_j, s->n - 1);
    int64_t k = 0;
    for (; IS_DOUBLE && k + 4 < s->n; k += 4) {
      V above = gap_to_root(s, d_j, k), below = gap_to_pole(s, d_j, index, k);
      UNROLL
      for (int i = 1; i < 4; i++)
        above *= gap_to_root(s, d_j, k + i), below *= gap_to_pole(s, d_j, index, k + i);
      product *= above / below;
    }
    for (; k + 1 < s->n; k++)
      product *= gap_to_root(s, d_j, k) / gap_to_pole(s, d_j, index, k);
    store_real(weights + j, with_sign(square_root(absolute(product)), load_real(z + j)));
  }
}

static void weigh_secular(const secular_t *s) {
  R *d = s->d, *z = s->z;
  for (int64_t j = s->n; j % LANES; j++)
    d[j] = 2 * d[s->n - 1], z[j] = 0;
  share_secular(s, s->n, 1, weigh_piece, s);
}

/* The root of a column, in lanes. */
typedef struct vector_scale {
  V origin, offset;
  V inverse; /* 1 / s */
} vector_scale_t;

INLINE vector_scale_t vector_scale(const secular_t *s, int64_t root) {
  const R origin = ((const R *)s->origin)[root], distance = ((const R *)s->distance)[root];
  return (vector_scale_t){broadcast(origin), broadcast(((const R *)s->offset)[root]),
                          broadcast(1 / (origin + distance))};
}

/* Divides column c of both sides by its length. */
INLINE void normalize_vectors(const secular_t *s, int64_t c, const vector_scale_t *scale, V left_square,
                              V right_square) {
  const R *d = s->placed_d;
  R *left = (R *)s->left + c * s->stride, *right = (R *)s->right + c * s->stride;
  const R first = (scale->offset * scale->inverse)[0]; /* p = -offset */
  const R factor = 1 / (R)sqrt(sum_lanes(left_square) + first * first);
  const V of_v = broadcast(1 / (R)sqrt(sum_lanes(right_square))), of_u = factor * scale->inverse;
  for (int64_t j = 0; j < s->n; j += LANES) {
    const V v = load_real(right + j);
    store_real(left + j, load_real(d + j) * v * of_u);
    store_real(right + j, v * of_v);
  }
  left[s->place[0]] = first * factor;
}

/* Columns column .. column + count - 1; count is GAPS or 1. */
INLINE void make_vectors(const secular_t *s, int64_t column, int count) {
  const R *d = s->placed_d, *z = s->placed_z;
  vector_scale_t scale[GAPS];
  V left_square[GAPS], right_square[GAPS];
  UNROLL
  for (int c = 0; c < count; c++) {
    scale[c] = vector_scale(s, s->n - 1 - column - c);
    left_square[c] = right_square[c] = (V){0};
  }
  for (int64_t j = 0; j < s->n; j += LANES) {
    const V d_j = load_real(d + j), z_j = load_real(z + j);
    V gap[GAPS];
    UNROLL
    for (int c = 0; c < count; c++)
      gap[c] = square_gap(d_j, scale[c].origin, scale[c].offset);
    if (count == GAPS)
      invert_gaps(gap);
    else
      gap[0] = 1 / gap[0];
    UNROLL
    for (int c = 0; c < count; c++) {
      const V v = -z_j * (scale[c].offset * gap[c]), u = d_j * v * scale[c].inverse;
      store_real((R *)s->right + (column + c) * s->stride + j, v);
      right_square[c] = fmadd(v, v, right_square[c]);
      left_square[c] = fmadd(u, u, left_square[c]);
    }
  }
  UNROLL
  for (int c = 0; c < count; c++)
    normalize_vectors(s, column + c, &scale[c], left_square[c], right_square[c]);
}

/* The groups are those of all columns, so that fewer have the same bits. */
static void vectors_piece(const void *argument, int64_t piece) {
  const secular_t *s = argument;
  const int64_t end = end_of_piece(piece, s->columns), end_of_all = end_of_piece(piece, s->n);
  int64_t column = piece * SECULAR_PIECE;
  for (; column < end && column + GAPS <= end_of_all; column += GAPS)
    make_vectors(s, column, GAPS);
  for (; column < end; column++)
    make_vectors(s, column, 1);
}

static void secular_vectors(const secular_t *s) {
  R *d = s->placed_d, *z = s->placed_z;
  for (int64_t j = 0; j < s->n; j++)
    d[s->place[j]] = ((const R *)s->d)[j], z[s->place[j]] = ((const R *)s->weights)[j];
  for (int64_t j = s->n; j % LANES; j++)
    d[j] = z[j] = 0;
  share_secular(s, s->columns, 1, vectors_piece, s);
}

#endif
