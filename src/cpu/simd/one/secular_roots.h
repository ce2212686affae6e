/* SPDX-License-Identifier: BSD-3-Clause */
/* The roots of the secular equation (secular.h), with a lane for each root.  The sum over the poles on the left of the
 * root is interpolated by r + p / (d_l^2 - x), x = s^2, that over the others by R + P / (d_r^2 - x), values and
 * derivatives, d_l and d_r being the poles next to the root; the next x solves the quadratic equation that results
 * (R.-C. Li, LAPACK Working Note 89, 1993, "the middle way").  The last root has all poles on its left: there d_l and
 * d_r are the last two.
 *
 * The unknown is x - d_k^2, d_k being the nearer one of d_l and d_r: d_j^2 - x is then accurate, since d_j^2 - d_k^2 is
 * zero or twice as large. */
#ifndef SVDGRAD_ONE_SECULAR_ROOTS_H
#define SVDGRAD_ONE_SECULAR_ROOTS_H
#include "../register.h"
#include "secular.h"

enum { SECULAR_STEPS = 100 }; /* at most; usual are 3 or 4 */
enum { GAPS = 4 };            /* inverted at once */

typedef struct root_block {
  int64_t first_split, last_split; /* smallest and largest index of d_l */
  V split;                         /* index of d_l */
  V left, right;                   /* d_l, d_r */
  V left_square, right_square;     /* their z^2 */
  V sign;                          /* 1; -1 for the last root */
  V origin, offset;                /* d_k; x - d_k^2 */
  V low, high;                     /* the offset lies between */
  V unit;                          /* of x in derivatives */
} root_block_t;

/* The sums over the poles up to d_l and from d_r on, and their derivatives. */
typedef struct secular_sum {
  V left, right, left_slope, right_slope;
} secular_sum_t;

typedef enum pole_side { POLES_LEFT, POLES_RIGHT, POLES_OF_BOTH_SIDES } pole_side_t;

/* d^2 - x */
INLINE V square_gap(V d, V origin, V offset) { return fmadd(d - origin, d + origin, -offset); }

/* s of x, and s - d_k. */
INLINE V distance_of(V origin, V offset) {
  return offset / (origin + square_root(absolute(fmadd(origin, origin, offset))));
}

/* x_i <- 1 / x_i.  In double precision, with the range for it, one division does for all. */
INLINE void invert_gaps(V *x) {
#if IS_DOUBLE
  const V p = x[0] * x[1], q = x[2] * x[3], inverse = 1 / (p * q), of_p = inverse * q, of_q = inverse * p;
  const V first = of_p * x[1], third = of_q * x[3];
  x[1] = of_p * x[0], x[0] = first;
  x[3] = of_q * x[2], x[2] = third;
#else
  UNROLL
  for (int i = 0; i < GAPS; i++)
    x[i] = 1 / x[i];
#endif
}

/* Adds `count` poles from j on, of which t is 1 / (d^2 - x). */
INLINE void add_terms(const secular_t *s, const root_block_t *b, int64_t j, int count, const V *t, pole_side_t side,
                      secular_sum_t *sum) {
  V left = {0}, right = {0}, left_slope = {0}, right_slope = {0};
  UNROLL
  for (int i = 0; i < count; i++) {
    const V term = broadcast(((const R *)s->squares)[j + i]) * t[i], slope = t[i] * b->unit, zero = {0};
    const M is_left = (M)(b->split >= broadcast((R)(j + i)));
    if (side == POLES_LEFT)
      left += term, left_slope = fmadd(term, slope, left_slope);
    else if (side == POLES_RIGHT)
      right += term, right_slope = fmadd(term, slope, right_slope);
    else {
      const V of_left = choose_real(is_left, term, zero), of_right = choose_real(is_left, zero, term);
      left += of_left, left_slope = fmadd(of_left, slope, left_slope);
      right += of_right, right_slope = fmadd(of_right, slope, right_slope);
    }
  }
  sum->left += left, sum->left_slope += left_slope;
  sum->right += right, sum->right_slope += right_slope;
}

INLINE void add_poles(const secular_t *s, const root_block_t *b, int64_t from, int64_t to, pole_side_t side,
                      secular_sum_t *sum) {
  const R *d = s->d;
  int64_t j = from;
  for (; j + GAPS <= to; j += GAPS) {
    V gap[GAPS];
    UNROLL
    for (int i = 0; i < GAPS; i++)
      gap[i] = square_gap(broadcast(d[j + i]), b->origin, b->offset);
    invert_gaps(gap);
    add_terms(s, b, j, GAPS, gap, side, sum);
  }
  for (; j < to; j++) {
    const V inverse = 1 / square_gap(broadcast(d[j]), b->origin, b->offset);
    add_terms(s, b, j, 1, &inverse, side, sum);
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

/* The first guess: f is computed in the middle between the poles; without the two nearest ones it is then taken for
 * constant, and these are taken as they are.  The origin becomes the nearer one.  `total`: |z|^2, by which the square
 * of the last root exceeds that of its pole at most. */
INLINE void guess_roots(const secular_t *s, root_block_t *b, R total) {
  const V zero = {0}, width = (b->right - b->left) * (b->right + b->left);
  const M is_last = (M)(b->sign < zero);
  const V span = choose_real(is_last, broadcast(total * (1 + 4 * EPSILON)), width), middle = span * (R)0.5;
  b->origin = choose_real(is_last, b->right, b->left);
  b->offset = middle;
  b->unit = broadcast(1);
  const secular_sum_t sum = sum_poles(s, b);
  const V f = 1 + sum.left + sum.right;
  const V c = f - b->left_square / square_gap(b->left, b->origin, b->offset) -
              b->right_square / square_gap(b->right, b->origin, b->offset);
  const M is_below = (M)(f > zero), from_left = is_below & ~is_last, from_right = ~is_below & ~is_last;
  b->origin = choose_real(from_left, b->left, b->right);
  b->low = choose_real(from_right, -middle, choose_real(is_below, zero, middle));
  b->high = choose_real(from_right, zero, choose_real(is_below, middle, span));
  const V to_left = choose_real(from_left, zero, -width), to_right = choose_real(from_left, width, zero);
  const V guess = quadratic_root(fmadd(c, to_left + to_right, b->left_square + b->right_square),
                                 fmadd(b->left_square, to_right, b->right_square * to_left), c, b->sign);
  const M inside = (M)(guess > b->low) & (M)(guess < b->high);
  b->offset = choose_real(inside, guess, (b->low + b->high) * (R)0.5);
}

/* One step; returns where no other is needed. */
INLINE M improve_roots(const secular_t *s, root_block_t *b, M done) {
  const V zero = {0};
#if !IS_DOUBLE /* derivatives with respect to x itself may overflow */
  b->unit = b->origin + distance_of(b->origin, b->offset);
#endif
  const secular_sum_t sum = sum_poles(s, b);
  const V f = 1 + sum.left + sum.right, slope = sum.left_slope + sum.right_slope;
  const M is_zero = (M)(absolute(f) <= 4 * EPSILON * (1 + sum.right - sum.left)), is_below = (M)(f < zero);
  b->low = choose_real(is_below, b->offset, b->low);
  b->high = choose_real(is_below, b->high, b->offset);
  const V left = square_gap(b->left, b->origin, b->offset) / b->unit;
  const V right = square_gap(b->right, b->origin, b->offset) / b->unit;
  const V product = left * right;
  const V x = quadratic_root(fmadd(left + right, f, -(product * slope)), product * f,
                             f - left * sum.left_slope - right * sum.right_slope, b->sign);
  const V change = choose_real((M)(x * f < zero), x, -(f / slope)) * b->unit, next = b->offset + change;
  const M inside = (M)(next > b->low) & (M)(next < b->high);
  const V offset = choose_real(inside, next, (b->low + b->high) * (R)0.5);
  /* The step after would be shorter by the square of the ratio of this one to the distance from the nearest pole. */
  const V size = absolute(b->offset), enough = size * (R)(IS_DOUBLE ? 0x1p-28 : 0x1p-13);
  const M is_short = inside & (M)(absolute(offset - b->offset) <= enough);
  const M is_narrow = (M)(b->high - b->low <= 2 * EPSILON * size);
  b->offset = choose_real(done | is_zero, b->offset, offset);
  return done | is_zero | is_short | is_narrow;
}

/* Calls the function for pieces of `count` roots, poles or vectors; `cost`: nanoseconds for one of them and one pole. */
static void share_secular(const secular_t *s, int64_t count, double cost, team_piece_t piece, const void *argument) {
  team_run(s->team, (count + SECULAR_PIECE - 1) / SECULAR_PIECE, cost * SECULAR_PIECE * (double)s->n, piece, argument);
}

INLINE int64_t end_of_piece(int64_t piece, int64_t count) {
  return (piece + 1) * SECULAR_PIECE < count ? (piece + 1) * SECULAR_PIECE : count;
}

typedef struct all_roots {
  const secular_t *s;
  R total; /* |z|^2 */
  atomic_int *failed;
} all_roots_t;

static void solve_piece(const void *argument, int64_t piece) {
  const all_roots_t *all = argument;
  const secular_t *s = all->s;
  int converged = 1;
  for (int64_t first = piece * SECULAR_PIECE; first < end_of_piece(piece, s->n); first += LANES) {
    root_block_t b = take_roots(s, first);
    guess_roots(s, &b, all->total);
    M done = {0};
    for (int step = 0; step < SECULAR_STEPS && any_lane(~done); step++)
      done = improve_roots(s, &b, done);
    converged &= !any_lane(~done);
    store_real((R *)s->origin + first, b.origin);
    store_real((R *)s->offset + first, b.offset);
    store_real((R *)s->distance + first, distance_of(b.origin, b.offset));
  }
  if (!converged)
    atomic_store(all->failed, 1);
}

static int solve_secular(const secular_t *s) {
  const R *z = s->z;
  atomic_int failed = 0;
  all_roots_t all = {s, 0, &failed};
  for (int64_t j = 0; j < s->n; j++)
    all.total += ((R *)s->squares)[j] = z[j] * z[j];
  share_secular(s, s->n, 2, solve_piece, &all);
  return !atomic_load(&failed);
}

#endif
