/* SPDX-License-Identifier: BSD-3-Clause */
/* Rotations among up to six columns of A at a time: all rotations are found from the products of the columns, which
 * change under a rotation as the columns do, then applied to the columns in one pass.
 *
 * With d = x^H y and delta = |y|^2 - |x|^2 the rotation by the smaller angle has the tangent t = 2 d g, g = +-1 /
 * (|delta| + sqrt(delta^2 + 4 |d|^2)). c must be accurate to the last bit for the given t, 1 / c^2 = 1 + |t|^2, or the
 * rotation is not orthogonal; t itself may be approximate.  With half of its digits right, the product of the pair
 * becomes that much smaller instead of zero, which is as good in the last sweep, where the cosines are about the square
 * root of the precision (convergence.h). The start of c is approximate as well, 2 c^2 = 1 + |delta| / sqrt(delta^2 + 4
 * |d|^2), and a Newton step makes it accurate.  The step is ordered so that it needs g as late as possible: each
 * rotation waits for the one before, so that latency counts as much as the number of operations.
 *
 * The columns carry scale factors, A_j = D_j X_j, so that a rotation takes two multiplications for each pair of entries
 * and not four (W. M. Gentleman, J. Inst. Math. Appl. 12, 1973). In terms of the unscaled columns it is x - conj(t
 * D_q / D_p) y, y + t (D_p / D_q) x, and then D_p, D_q <- c D_p, c D_q.  Since d is D_p D_q times the product of the
 * unscaled columns, only the squares of D and c are needed, and neither square roots nor quotients of them. */
#ifndef SVDGRAD_MANY_BLOCK_ROTATION_H
#define SVDGRAD_MANY_BLOCK_ROTATION_H
#include "../register.h"
#include "convergence.h"

/* x <- x - conj(t) y, y <- y + u x, in terms of unscaled columns. */
typedef struct rotation {
  E t, u;
} rotation_t;

/* The columns that meet: columns 0, 1 of one block and up to four columns of another block; or, `inside`, all columns
 * of one block. */
typedef struct block_rotation {
  int columns, inside; /* compile-time constants in every use; inside: the pairs 0, 1 and 2, 3 rotate, too */
  int alone; /* f64 alone: these are the only two columns of the matrix, and one of them has its largest entry */
  R *A[6], *J[6];
  V square[6];                       /* |A_i|^2 */
  V scale[6];                        /* keeps the product of two squares in range (product_scale) */
  E dot[6][6];                       /* of unscaled columns: X_i^H X_j, i < j */
  V D2[6];                           /* squares of scale factors */
  rotation_t t01, t23, across[2][4]; /* in the order in which they are applied; across: by column and round */
  M rotated, open; /* masks: some pair was rotated; some rotation was so large that another sweep must follow */
} block_rotation_t;

INLINE int in_one_block(const block_rotation_t *b, int i, int j) { return b->inside || (i < 2) == (j < 2); }

/* The column that column p (0 or 1) meets in a round: the two meet different ones, where there are two. */
INLINE int partner(int columns, int round, int p) {
  return 2 + (p == 0 ? round : columns == 5 ? (round + 1) % 3 : columns == 3 ? 0 : round ^ 1);
}

INLINE E dot_of(const block_rotation_t *b, int i, int j) { return i < j ? b->dot[i][j] : conjugate(b->dot[j][i]); }

INLINE void set_dot(block_rotation_t *b, int i, int j, E dot) {
  if (i < j)
    b->dot[i][j] = dot;
  else
    b->dot[j][i] = conjugate(dot);
}

/* 2^PRODUCT_EXPONENT over a squared norm, rounded to a power of two.  Two squared norms times the smaller one of their
 * scales can be multiplied with each other without underflow, however short the columns are (memory/pack.h). The scale
 * stays good while a norm grows in a few rotations, and whatever the norm loses.  Where rotations left nothing of a
 * column, its square may be negative. */
INLINE V product_scale(V square) {
  const integer_t twice = 2 * EXPONENT_BIAS, lift = PRODUCT_EXPONENT;
  const V power = larger((V)((M)square & (M)broadcast((R)INFINITY)), broadcast((R)PRODUCT_FLOOR));
  return (V)((twice << MANTISSA_BITS) - ((M)power - (lift << MANTISSA_BITS)));
}

/* 1 / (2 power), of a power of two. */
INLINE V half_inverse(V power) {
  const integer_t sum = 2 * EXPONENT_BIAS - 1;
  return (V)((sum << MANTISSA_BITS) - (M)power);
}

/* A Newton step for both parts of the seed: size is the root of d4 size^2 + 2 longer size = 1. */
INLINE rotation_seed_t refined(rotation_seed_t x, V spread, V longer, V d4) {
  const V f = fmadd(fmadd(d4, x.size, longer + longer), x.size, broadcast(-1)), h = x.half_inverse_root;
  const V e = fnmadd((spread + spread) * h, h, broadcast((R)0.5));
  return (rotation_seed_t){fnmadd(f, h, x.size), fmadd(h, e, h)};
}

/* The rotation of columns p < q, which also updates the products and the scale factors.  Where earlier rotations left
 * nothing but rounding noise of two columns, their squares may come out as zero or negative beside a product that is
 * not zero.  Such a pair is not finite here: it does not rotate, and is measured again in the next sweep. */
INLINE rotation_t find_rotation(block_rotation_t *b, int p, int q, const criteria_t *limits) {
  const V zero = {0}, one = broadcast(1);
  const V x2 = b->square[p], y2 = b->square[q];
  const V scale = smaller(b->scale[p], b->scale[q]);
  const V x = x2 * scale, y = y2 * scale, xy = x * y, delta = y - x;
  const E twice = scaled(scale + scale, b->dot[p][q]); /* 2 d / (D_p D_q), 2 d D_p / D_q, 2 d D_q / D_p: */
  const E by_p = scaled(b->D2[p], twice), by_q = scaled(b->D2[q], twice);
  const V d4 = real_product(by_p, by_q); /* 4 |d|^2 */
  const V spread = fmadd(delta, delta, d4), longer = absolute(delta);
  const M finite = (M)(spread <= broadcast(LARGEST * EPSILON)),
          rotate = limits->active & finite & (M)(d4 > limits->tolerance * xy);
  rotation_seed_t seed = rotation_seed(spread, longer, d4);
  if (b->columns == 2 &&
      sizeof(R) == sizeof(float)) /* no other pair spoils the result: this spares a third sweep, where that pays */
    seed = refined(seed, spread, longer, d4);
  const V g = with_sign(seed.size, delta), moved = choose_real(rotate, g * d4 * half_inverse(scale), zero);
  const V c2_0 = fmadd(longer, seed.half_inverse_root, broadcast((R)0.5));
  const V c2_1 = c2_0 * fnmadd(c2_0 * d4 * g, g, one + one - c2_0); /* a Newton step to 1 / (1 + g d4 g) */
  const V c2 = choose_real(rotate, c2_1, one);
  const E none = from_real(zero);
  const rotation_t rotation = {choose(rotate, scaled(g, by_q), none), choose(rotate, scaled(g, by_p), none)};
  b->square[p] = x2 - moved;
  b->square[q] = y2 + moved;
  b->D2[p] *= c2, b->D2[q] *= c2;
  UNROLL
  for (int i = 0; i < b->columns; i++)
    if (i != p && i != q) {
      const E x_i = dot_of(b, p, i), y_i = dot_of(b, q, i);
      set_dot(b, p, i, subtract_product(x_i, rotation.t, y_i));
      set_dot(b, q, i, add_conjugate_product(y_i, rotation.u, x_i));
    }
  b->dot[p][q] = choose(rotate, none, b->dot[p][q]); /* but for what an approximate t leaves */
  b->rotated |= rotate;
  b->open |= limits->active & (~finite | (rotate & (M)(d4 > limits->small * smaller(xy, spread))));
  return rotation;
}

INLINE void apply_rotation(const rotation_t *r, E *x, E *y) {
  const E old = *x;
  *x = subtract_conjugate_product(*x, r->t, *y);
  *y = add_product(*y, r->u, old);
}

/* All rotations, applied to the entries of one row. */
INLINE void apply_to_row(const block_rotation_t *b, E *x) {
  const int columns = b->columns;
  if (b->inside)
    apply_rotation(&b->t01, &x[0], &x[1]);
  if (b->inside && columns > 3)
    apply_rotation(&b->t23, &x[2], &x[3]);
  UNROLL
  for (int round = 0; round < columns - 2; round++) {
    apply_rotation(&b->across[0][round], &x[0], &x[partner(columns, round, 0)]);
    apply_rotation(&b->across[1][round], &x[1], &x[partner(columns, round, 1)]);
  }
}

INLINE void apply_rotations(const block_rotation_t *b, int64_t rows, R *const *X) {
  const int columns = b->columns;
  for (int64_t i = 0; i < rows; i++) {
    E x[6];
    UNROLL
    for (int j = 0; j < columns; j++)
      x[j] = load(X[j], i);
    apply_to_row(b, x);
    UNROLL
    for (int j = 0; j < columns; j++)
      store(X[j], i, x[j]);
  }
}

/* The products of columns of different blocks; those within a block are known. */
INLINE void multiply_across(int64_t rows, block_rotation_t *b) {
  const int columns = b->columns;
  E dot[2][4];
  UNROLL
  for (int j = 0; j < 4; j++)
    dot[0][j] = dot[1][j] = from_real((V){0});
  for (int64_t row = 0; row < rows; row++) {
    const E x = load(b->A[0], row), y = load(b->A[1], row);
    UNROLL
    for (int j = 2; j < columns; j++) {
      const E z = load(b->A[j], row);
      dot[0][j - 2] = add_conjugate_product(dot[0][j - 2], x, z);
      dot[1][j - 2] = add_conjugate_product(dot[1][j - 2], y, z);
    }
  }
  UNROLL
  for (int j = 2; j < columns; j++) {
    b->dot[0][j] = dot[0][j - 2];
    b->dot[1][j] = dot[1][j - 2];
  }
}

INLINE void find_rotations(block_rotation_t *b, int64_t rows, const criteria_t *limits) {
  const int columns = b->columns;
  UNROLL
  for (int i = 0; i < columns; i++) /* up front, so that no rotation waits for it */
    b->scale[i] = b->alone ? broadcast(1) : product_scale(b->square[i]);
  if (!b->inside)
    multiply_across(rows, b);
  if (b->inside)
    b->t01 = find_rotation(b, 0, 1, limits);
  if (b->inside && columns > 3)
    b->t23 = find_rotation(b, 2, 3, limits);
  UNROLL
  for (int round = 0; round < columns - 2; round++) {
    b->across[0][round] = find_rotation(b, 0, partner(columns, round, 0), limits);
    b->across[1][round] = find_rotation(b, 1, partner(columns, round, 1), limits);
  }
}

#endif
