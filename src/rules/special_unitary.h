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

/* The state of the iteration. */
typedef struct {
  REAL last, target; /* s_n; the sum of the angles that is wanted, 0 .. pi */
  REAL low, high;    /* bracket of theta_n */
  REAL theta, sine, cosine;
  REAL total, slope; /* sum of the angles, and its derivative with respect to theta_n */
  int steps;         /* iterations left */
} angles_t;

/* Sets theta_n, before the other angles are added. */
RULE void angles_set(angles_t *angles, REAL theta) {
  angles->theta = angles->total = theta;
  angles->sine = sin(theta);
  angles->cosine = cos(theta);
  angles->slope = 1;
}

/* last: the smallest of the k values. */
RULE angles_t angles_begin(REAL target, REAL last, int64_t k) {
  angles_t angles;
  angles.last = last;
  angles.target = angles.high = target;
  angles.low = 0;
  angles.steps = 100; /* fewer than 10 were needed in all tests */
  angles_set(&angles, target / (REAL)k);
  return angles;
}

/* h_j of s = s_j, j < n. */
RULE REAL angles_eigenvalue(const angles_t *angles, REAL s) {
  const REAL of_last = angles->last * angles->cosine;
  return sqrt((s - angles->last) * (s + angles->last) + of_last * of_last);
}

/* theta_j of s = s_j, j < n. */
RULE REAL angles_at(const angles_t *angles, REAL s) {
  return atan2(angles->last * angles->sine, angles_eigenvalue(angles, s));
}

/* To be called for every value but the last. */
RULE void angles_add(angles_t *angles, REAL s) {
  const REAL eigenvalue = angles_eigenvalue(angles, s);
  angles->total += atan2(angles->last * angles->sine, eigenvalue);
  angles->slope += eigenvalue > 0 ? angles->last * angles->cosine / eigenvalue : 0;
}

/* Call it after angles_add() of all values.  Non-zero: theta_n has changed, and all are to be added again. */
RULE int angles_next(angles_t *angles) {
  const REAL miss = angles->target - angles->total, before = angles->theta;
  if (miss > 0)
    angles->low = before;
  else
    angles->high = before;
  REAL next = before + miss / angles->slope;
  if (!(angles->slope > 0 && next >= angles->low && next <= angles->high))
    next = angles->low + (angles->high - angles->low) / 2;
  if (!(next > before || next < before) || miss == 0 || angles->steps-- == 0)
    return 0;
  angles_set(angles, next);
  return 1;
}

#endif
