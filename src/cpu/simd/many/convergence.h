/* SPDX-License-Identifier: BSD-3-Clause */
/* When the one-sided Jacobi of jacobi.h is done.
 *
 * A pair of columns x, y with the product d = x^H y is orthogonal where |d| <= tolerance |x| |y| (J. Demmel and K.
 * Veselic, SIAM J. Matrix Anal. Appl. 13, 1992), and is not rotated then.
 *
 * A sweep is the last one of a matrix if every rotation in it was small: angles, and cosines |d| / (|x| |y|), of at
 * most e.  What the rotations with other columns then put back into a pair is at most 2 n e^2, and e is such that this
 * is the tolerance.  (The last pairs of one sweep and the first pairs of the next cannot stand in for a full sweep:
 * where a column has lost most of its length, its norm and its products are wrong until they are measured again.) */
#ifndef SVDGRAD_MANY_CONVERGENCE_H
#define SVDGRAD_MANY_CONVERGENCE_H
#include "../register.h"

/* The limits that the test of a pair compares with, four times the square of each: of the tolerance, and of e.  A
 * matrix that has converged is not active any more: it keeps its bits while other matrices of its group go on. */
typedef struct criteria {
  V tolerance, small;
  M active; /* has not converged yet */
} criteria_t;

INLINE criteria_t criteria_of(int64_t n) {
  return (criteria_t){.tolerance = broadcast(4 * (R)n * EPSILON * EPSILON),
                      .small = broadcast((R)(2 * EPSILON / sqrt((double)n))),
                      .active = ~(M){0}};
}

/* Mask of the columns that become zero from now on.  What rotations leave of the shorter one of two parallel columns is
 * rounding noise, and would go on rotating; so would a column whose square is not a normal number.  `before` is the
 * largest square that the column has had after a sweep, 0 since it became zero; it starts as SMALLEST_SQUARE and is
 * updated here. */
INLINE M find_noise(int64_t rows, V square, V *before) {
  const V noise = broadcast((R)(rows + 8) * EPSILON), tiny = broadcast(SMALLEST_SQUARE), zero = {0};
  const M is_noise = (M)(*before > zero) & (M)(square <= larger(noise * noise * *before, tiny));
  *before = choose_real(is_noise, zero, larger(*before, square));
  return is_noise;
}

#endif
