/* SPDX-License-Identifier: BSD-3-Clause */
/* The special unitary matrix nearest to a complex A = U diag(s) Vh: Y = U diag(e^(i theta_j)) Vh, where the angles
 * maximize sum_j s_j cos(theta_j) subject to det(Y) = 1.  With a Lagrange multiplier for the sum of the angles,
 *
 *   s_j sin(theta_j) is the same for all j,   sum_j theta_j = -arg det(U Vh).
 *
 * theta_n, the angle of the smallest value, determines the others.  Their sum grows with theta_n until it first reaches
 * the target; bracketed Newton iteration finds that theta_n.  h_j = s_j cos(theta_j) are the eigenvalues of the
 * Hermitian part of Y^H A.  Only h_n can be negative, and it is the smallest in absolute value.  The target
 * here is >= 0; the caller gives the angles their sign. */
#ifndef SVDGRAD_RULES_SPECIAL_UNITARY_H
#define SVDGRAD_RULES_SPECIAL_UNITARY_H
#include "real.h"

#include <math.h>
#include <stdint.h>

typedef struct {
  REAL last, target; /* s_n; the sum of the angles that is wanted, 0 .. pi */
  REAL low, high;    /* bracket of theta_n */
  REAL theta, sine, cosine;
  REAL total, slope; /* sum of the angles, and its derivative with respect to theta_n */
  int steps;         /* iterations left */
} turn_t;

RULE void turn_to(turn_t *turn, REAL theta) {
  turn->theta = turn->total = theta;
  turn->sine = sin(theta);
  turn->cosine = cos(theta);
  turn->slope = 1;
}

/* last: the smallest of the k values. */
RULE turn_t turn_begin(REAL target, REAL last, int64_t k) {
  turn_t turn;
  turn.last = last;
  turn.target = turn.high = target;
  turn.low = 0;
  turn.steps = 100; /* fewer than 10 were needed in all tests */
  turn_to(&turn, target / (REAL)k);
  return turn;
}

/* h_j of s = s_j, j < n. */
RULE REAL turn_height(const turn_t *turn, REAL s) {
  const REAL of_last = turn->last * turn->cosine;
  return sqrt((s - turn->last) * (s + turn->last) + of_last * of_last);
}

RULE REAL turn_angle(const turn_t *turn, REAL s) { return atan2(turn->last * turn->sine, turn_height(turn, s)); }

/* To be called for every value but the last. */
RULE void turn_add(turn_t *turn, REAL s) {
  const REAL height = turn_height(turn, s);
  turn->total += atan2(turn->last * turn->sine, height);
  turn->slope += height > 0 ? turn->last * turn->cosine / height : 0;
}

/* Call it after turn_add() of all values.  Non-zero: theta_n has changed, and all are to be added again. */
RULE int turn_next(turn_t *turn) {
  const REAL miss = turn->target - turn->total, before = turn->theta;
  if (miss > 0)
    turn->low = before;
  else
    turn->high = before;
  REAL next = before + miss / turn->slope;
  if (!(turn->slope > 0 && next >= turn->low && next <= turn->high))
    next = turn->low + (turn->high - turn->low) / 2;
  if (!(next > before || next < before) || miss == 0 || turn->steps-- == 0)
    return 0;
  turn_to(turn, next);
  return 1;
}

#endif
