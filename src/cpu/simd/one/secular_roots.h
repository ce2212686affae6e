/* SPDX-License-Identifier: BSD-3-Clause */
/* The roots of the secular equation (secular.h), with a lane for each root.  With x = s^2, the sum over the poles on the
 * left of the root is interpolated by r + p / (d_l^2 - x), that over the others by R + P / (d_r^2 - x), values and
 * derivatives, d_l and d_r being the poles next to the root; the next x solves the quadratic equation that results (R.-C.
 * Li, LAPACK Working Note 89, 1993, "the middle way").  The last root has all poles on its left: there d_l and d_r are
 * the last two.
 *
 * Derivatives are with respect to x / s: those with respect to x may overflow in single precision. */
#ifndef SVDGRAD_ONE_SECULAR_ROOTS_H
#define SVDGRAD_ONE_SECULAR_ROOTS_H
#include "../register.h"
#include "secular.h"

enum { SECULAR_STEPS = 100 }; /* at most; usual are 3 or 4 */

typedef struct root_block {
  int64_t first_split, last_split; /* smallest and largest index of d_l */
  V split;                         /* index of d_l */
  V left, right;                   /* d_l, d_r */
  V left_square, right_square;     /* their z^2 */
  V sign;                          /* 1; -1 for the last root */
  V origin, offset;                /* s = origin + offset */
  V low, high;                     /* the offset lies between */
} root_block_t;

/* The sums over the poles up to d_l and from d_r on, and their derivatives. */
typedef struct secular_sum {
  V left, right, left_slope, right_slope;
} secular_sum_t;

typedef enum pole_side { POLES_LEFT, POLES_RIGHT, POLES_OF_BOTH_SIDES } pole_side_t;

/* d^2 - s^2 */
INLINE V square_gap(V d, V origin, V offset) { return ((d - origin) - offset) * ((d + origin) + offset); }

/* Adds two terms, or one where q is zero. */
INLINE void add_terms(V p, V p_slope, V q, V q_slope, V *sum, V *slope) {
  *sum += p + q;
  *slope += p_slope + q_slope;
}

/* Adds poles j and j + 1, whose z^2 / (d^2 - s^2) are p and q. */
INLINE void add_pair(const root_block_t *b, int64_t j, pole_side_t side, V p, V p_slope, V q, V q_slope,
                     secular_sum_t *s) {
  const V zero = {0};
  if (side == POLES_LEFT) {
    add_terms(p, p_slope, q, q_slope, &s->left, &s->left_slope);
  } else if (side == POLES_RIGHT) {
    add_terms(p, p_slope, q, q_slope, &s->right, &s->right_slope);
  } else {
    const M of_p = (M)(b->split >= broadcast((R)j)), of_q = (M)(b->split >= broadcast((R)(j + 1)));
    add_terms(choose_real(of_p, p, zero), choose_real(of_p, p_slope, zero), choose_real(of_q, q, zero),
              choose_real(of_q, q_slope, zero), &s->left, &s->left_slope);
    add_terms(choose_real(of_p, zero, p), choose_real(of_p, zero, p_slope), choose_real(of_q, zero, q),
              choose_real(of_q, zero, q_slope), &s->right, &s->right_slope);
  }
}

/* 1 / p and 1 / q: one division in double precision, where the product has the range. */
INLINE void two_inverses(V p, V q, V *of_p, V *of_q) {
#if IS_DOUBLE
  const V inverse = 1 / (p * q);
  *of_p = inverse * q, *of_q = inverse * p;
#else
  *of_p = 1 / p, *of_q = 1 / q;
#endif
}

INLINE void add_poles(const secular_t *s, const root_block_t *b, int64_t from, int64_t to, pole_side_t side,
                      secular_sum_t *sum) {
  const R *d = s->d, *squares = s->squares;
  const V root = b->origin + b->offset, zero = {0};
  int64_t j = from;
  for (; j + 2 <= to; j += 2) {
    V t, u;
    two_inverses(square_gap(broadcast(d[j]), b->origin, b->offset),
                 square_gap(broadcast(d[j + 1]), b->origin, b->offset), &t, &u);
    const V p = broadcast(squares[j]) * t, q = broadcast(squares[j + 1]) * u;
    add_pair(b, j, side, p, p * (t * root), q, q * (u * root), sum);
  }
  if (j < to) {
    const V t = 1 / square_gap(broadcast(d[j]), b->origin, b->offset), p = broadcast(squares[j]) * t;
    add_pair(b, j, side, p, p * (t * root), zero, zero, sum);
  }
}

INLINE secular_sum_t sum_poles(const secular_t *s, const root_block_t *b) {
  secular_sum_t sum = {{0}, {0}, {0}, {0}};
  add_poles(s, b, 0, b->first_split + 1, POLES_LEFT, &sum);
  add_poles(s, b, b->first_split + 1, b->last_split + 1, POLES_OF_BOTH_SIDES, &sum);
  add_poles(s, b, b->last_split + 1, s->n, POLES_RIGHT, &sum);
  return sum;
}

/* The root of c x^2 - a x + b between the poles that it was made of, or on their right for the last root. */
INLINE V quadratic_root(V a, V b, V c, V sign) {
  const V signed_a = sign * a, size = absolute(a) + square_root(absolute(a * a - 4 * b * c));
  const M first = (M)(signed_a <= (V){0});
  return choose_real(first, -(sign * size), 2 * sign * b) / choose_real(first, 2 * c, size);
}

/* Roots first .. first + LANES - 1; lanes behind the last root have that one, too. */
INLINE root_block_t take_roots(const secular_t *s, int64_t first) {
  const R *d = s->d, *squares = s->squares;
  R of[6][LANES];
  int64_t split = 0;
  for (int l = 0; l < LANES; l++) {
    const int64_t root = first + l < s->n ? first + l : s->n - 1;
    split = root < s->n - 2 ? root : s->n - 2;
    of[0][l] = (R)split;
    of[1][l] = d[split], of[2][l] = d[split + 1];
    of[3][l] = squares[split], of[4][l] = squares[split + 1];
    of[5][l] = root == s->n - 1 ? -1 : 1;
  }
  return (root_block_t){.first_split = first < s->n - 2 ? first : s->n - 2,
                        .last_split = split,
                        .split = load_real(of[0]),
                        .left = load_real(of[1]),
                        .right = load_real(of[2]),
                        .left_square = load_real(of[3]),
                        .right_square = load_real(of[4]),
                        .sign = load_real(of[5])};
}

/* Where f is computed first: in the middle between the poles.  `total`: |z|^2, by which the last root is bounded. */
INLINE V go_to_middle(root_block_t *b, R total) {
  const M is_last = (M)(b->sign < (V){0});
  const V squared = broadcast(total), bound = squared / (b->right + square_root(fmadd(b->right, b->right, squared)));
  const V span = choose_real(is_last, bound * (1 + 4 * EPSILON), b->right - b->left);
  b->origin = choose_real(is_last, b->right, b->left);
  b->offset = span * (R)0.5;
  return span;
}

/* The first guess: f without the two nearest poles is taken for constant, and these are taken as they are.  The origin
 * becomes the nearer one. */
INLINE void guess_roots(const secular_t *s, root_block_t *b, R total) {
  const V zero = {0}, span = go_to_middle(b, total), middle = b->offset;
  const secular_sum_t sum = sum_poles(s, b);
  const V f = 1 + sum.left + sum.right;
  const V c = f - b->left_square / square_gap(b->left, b->origin, b->offset) -
              b->right_square / square_gap(b->right, b->origin, b->offset);
  const M is_last = (M)(b->sign < zero), is_below = (M)(f > zero), from_left = is_below & ~is_last;
  const M from_below = ~is_below & ~is_last;
  b->origin = choose_real(from_left, b->left, b->right);
  b->low = choose_real(from_below, -(span - middle), choose_real(is_last & ~is_below, middle, zero));
  b->high = choose_real(from_below, zero, choose_real(is_last & ~is_below, span, middle));
  const V to_left = (b->left - b->origin) * (b->left + b->origin);
  const V to_right = (b->right - b->origin) * (b->right + b->origin);
  const V x = quadratic_root(fmadd(c, to_left + to_right, b->left_square + b->right_square),
                             fmadd(b->left_square, to_right, b->right_square * to_left), c, b->sign);
  const V guess = x / (b->origin + square_root(absolute(fmadd(b->origin, b->origin, x))));
  const M inside = (M)(guess > b->low) & (M)(guess < b->high);
  b->offset = choose_real(inside, guess, (b->low + b->high) * (R)0.5);
}

/* One step; returns where no other is needed. */
INLINE M improve_roots(const secular_t *s, root_block_t *b, M done) {
  const V zero = {0}, root = b->origin + b->offset;
  const secular_sum_t sum = sum_poles(s, b);
  const V f = 1 + sum.left + sum.right, slope = sum.left_slope + sum.right_slope;
  const M is_zero = (M)(absolute(f) <= 4 * EPSILON * (1 + sum.right - sum.left)), is_below = (M)(f < zero);
  b->low = choose_real(is_below, b->offset, b->low);
  b->high = choose_real(is_below, b->high, b->offset);
  const V left = square_gap(b->left, b->origin, b->offset) / root;
  const V right = square_gap(b->right, b->origin, b->offset) / root;
  const V product = left * right;
  const V x = quadratic_root(fmadd(left + right, f, -(product * slope)), product * f,
                             f - left * sum.left_slope - right * sum.right_slope, b->sign);
  const V change = choose_real((M)(x * f < zero), x, -(f / slope));
  const V next = b->offset + change / (1 + square_root(absolute(1 + change / root)));
  const M inside = (M)(next > b->low) & (M)(next < b->high);
  const V offset = choose_real(inside, next, (b->low + b->high) * (R)0.5);
  /* The step after would be shorter by the square of the ratio of this one to the distance from the nearest pole. */
  const V size = absolute(b->offset), enough = size * (R)(IS_DOUBLE ? 0x1p-28 : 0x1p-13);
  const M is_short = inside & (M)(absolute(offset - b->offset) <= enough);
  const M is_narrow = (M)(b->high - b->low <= 2 * EPSILON * size);
  b->offset = choose_real(done | is_zero, b->offset, offset);
  return done | is_zero | is_short | is_narrow;
}

static int solve_secular(const secular_t *s) {
  const R *z = s->z;
  R total = 0;
  for (int64_t j = 0; j < s->n; j++)
    total += ((R *)s->squares)[j] = z[j] * z[j];
  int converged = 1;
  for (int64_t first = 0; first < s->n; first += LANES) {
    root_block_t b = take_roots(s, first);
    guess_roots(s, &b, total);
    M done = {0};
    for (int step = 0; step < SECULAR_STEPS && any_lane(~done); step++)
      done = improve_roots(s, &b, done);
    converged &= !any_lane(~done);
    store_real((R *)s->origin + first, b.origin);
    store_real((R *)s->offset + first, b.offset);
  }
  return converged;
}

#endif
