/* SPDX-License-Identifier: BSD-3-Clause */
/* The two divisions of the backward pass that can blow up, 1/(s_j - s_i) and 1/(s_i + s_j), under the caller's gap
 * policy; and the tally for svdgrad_report_t.
 *
 * Singular values are normalized: multiplied by the power of two 2^-exponent such that 1 <= s_1 < 2.  Then nothing here
 * over- or underflows, and thresholds are relative to s_1. */
#ifndef SVDGRAD_RULES_GAP_H
#define SVDGRAD_RULES_GAP_H
#include "real.h"
#include <svdgrad/svdgrad.h>

#include <math.h>

typedef struct {
  int policy; /* svdgrad_gap_policy_t */
  REAL s1;
  REAL floor;     /* c eps s_1: a difference of singular values below this is rounding noise */
  REAL width;     /* gap_param s_1, of MASK and LORENTZ */
  REAL noise;     /* 16 eps (max |gU_j| + max |gV_j|), of NOISE_FLOOR: a smaller X+Y is rounding noise */
  REAL tolerated; /* eps^(3/4) (|gU| + |gV|): a larger X+Y at a tie shows that the loss depends on the gauge */
  /* The tally: fields of svdgrad_report_t, for normalized singular values. */
  REAL min_gap, gauge_residual, amplification; /* min_gap is absolute */
  int dropped, flags;
} gap_policy_t;

/* Used in place of 1/(s_j - s_i) and 1/(s_i + s_j); 0 where dropped. */
typedef struct {
  REAL minus, plus;
} gap_factors_t;

/* Exponent e such that 2^-e s_1 is in [1, 2); 0 for 0, Inf and NaN.  At least -limit, so that 2^-e is finite: a smaller
 * s_1 is not scaled all the way up to 1. */
RULE int gap_exponent(REAL s1, int limit) {
  int exponent = 1;
  if (s1 > 0 && s1 - s1 == 0)
    (void)frexp(s1, &exponent);
  return exponent - 1 < -limit ? -limit : exponent - 1;
}

/* epsilon: of the element type.  s1: normalized.  norm: |gU| + |gV|.  largest_column: max |gU_j| + max |gV_j|. */
RULE gap_policy_t gap_policy_make(int policy, REAL gap_param, REAL epsilon, REAL s1, REAL norm, REAL largest_column) {
  gap_policy_t made;
  made.policy = policy;
  made.s1 = s1;
  made.floor = 4 * epsilon * s1; /* singular values are right to a few eps s_1: a smaller gap is not known */
  made.width = gap_param * s1;
  made.noise = 16 * epsilon * largest_column;
  made.tolerated = sqrt(epsilon) * sqrt(sqrt(epsilon)) * norm;
  made.min_gap = (REAL)INFINITY;
  made.gauge_residual = made.amplification = 0;
  made.dropped = made.flags = 0;
  return made;
}

RULE int gap_is_dropped(const gap_policy_t *policy, REAL gap, REAL gauge_part) {
  switch (policy->policy) {
  case SVDGRAD_GAP_EXACT: return 0;
  case SVDGRAD_GAP_MASK: return gap <= policy->width;
  case SVDGRAD_GAP_NOISE_FLOOR: return gap <= policy->floor || gauge_part <= policy->noise;
  case SVDGRAD_GAP_LORENTZ: return gap == 0; /* x/(x^2 + w^2) at x = 0, also for w = 0 */
  default: return gap <= policy->floor;
  }
}

/* For every divisor that is zero only together with s_i. */
RULE int gap_sum_is_dropped(const gap_policy_t *policy, REAL sum) {
  return policy->policy != SVDGRAD_GAP_EXACT && sum <= policy->floor;
}

/* LORENTZ: x/(x^2 + w^2), computed without squares, which underflow for a small x. */
RULE REAL gap_inverse(const gap_policy_t *policy, REAL x) {
  return policy->policy == SVDGRAD_GAP_LORENTZ ? 1 / (x + policy->width * (policy->width / x)) : 1 / x;
}

/* Factors of (X+Y)_ij and (X-Y)_ij, whose absolute values are `gauge_part` and `phase_part`. */
RULE gap_factors_t gap_pair(gap_policy_t *policy, REAL s_i, REAL s_j, REAL gauge_part, REAL phase_part) {
  const REAL x = s_j - s_i, gap = fabs(x), sum = s_i + s_j;
  gap_factors_t factors = {0, 0};
  int dropped = 0;
  if (policy->policy == SVDGRAD_GAP_EXACT) { /* also where the numerator is 0: a tie gives NaN */
    factors.minus = 1 / x;
    factors.plus = 1 / sum;
  }
  /* At a tie a gauge-invariant loss has X + Y = 0 up to rounding, now and then exactly: 0/0 counts as a tie, too. */
  if (gauge_part != 0 || (phase_part != 0 && gap <= policy->floor)) {
    policy->min_gap = gap < policy->min_gap ? gap : policy->min_gap; /* fmin would be a call */
    dropped = gap_is_dropped(policy, gap, gauge_part);
    if (!dropped) {
      factors.minus = gap_inverse(policy, x);
      const REAL amplified = gauge_part * fabs(factors.minus);
      policy->amplification = amplified > policy->amplification ? amplified : policy->amplification;
    }
    if (gap <= policy->floor && gauge_part > policy->tolerated)
      policy->flags |= SVDGRAD_REPORT_GAUGE;
  }
  if (phase_part != 0) {
    if (gap_sum_is_dropped(policy, sum))
      dropped = 1;
    else
      factors.plus = 1 / sum;
  }
  if (dropped) {
    policy->dropped++;
    policy->flags |= SVDGRAD_REPORT_DROPPED;
  }
  return factors;
}

/* The diagonal i = j of complex matrices: only 1/(2 s_i), the factor of (X-Y)_ii. */
RULE gap_factors_t gap_diagonal(gap_policy_t *policy, REAL s_i, REAL phase_part) {
  gap_factors_t factors = {0, 0};
  if (phase_part == 0 && policy->policy != SVDGRAD_GAP_EXACT)
    return factors;
  if (!gap_sum_is_dropped(policy, 2 * s_i)) {
    factors.plus = 1 / (2 * s_i);
    return factors;
  }
  policy->dropped++;
  policy->flags |= SVDGRAD_REPORT_DROPPED;
  return factors;
}

/* Used in place of 1/s_i for the part of gU_i or gV_i outside the span of U or V, whose norm is `outside`. */
RULE REAL gap_outside(gap_policy_t *policy, REAL s_i, REAL outside) {
  if (outside == 0 && policy->policy != SVDGRAD_GAP_EXACT)
    return 0;
  if (!gap_sum_is_dropped(policy, s_i))
    return 1 / s_i;
  policy->dropped++;
  policy->flags |= SVDGRAD_REPORT_DROPPED;
  return 0;
}

/* A discarded value, found as one of A - U S Vh, is at most the last value kept: what is above that is rounding noise, and
 * between values that are zero would be taken for a gap. */
RULE REAL gap_discarded(REAL r, REAL s_k) { return r > s_k ? s_k : r; }

/* s_k and s_next are the singular values on either side of the cut at `rank`. */
RULE void gap_cut(gap_policy_t *policy, REAL s_k, REAL s_next) {
  if (s_k - s_next <= policy->floor)
    policy->flags |= SVDGRAD_REPORT_CUT;
}

/* Gauge part of the cotangents, of absolute value `residual`: no change of A acts on it.  norm = |gU| + |gV|. */
RULE void gap_gauge(gap_policy_t *policy, REAL residual, REAL norm) {
  if (residual == 0)
    return;
  policy->gauge_residual = fmax(policy->gauge_residual, residual / norm);
  if (residual > policy->tolerated)
    policy->flags |= SVDGRAD_REPORT_GAUGE;
}

RULE svdgrad_report_t gap_report(const gap_policy_t *policy, int exponent) {
  svdgrad_report_t report;
  report.min_gap = policy->min_gap;
  if (policy->min_gap < (REAL)INFINITY)
    report.min_gap = policy->s1 > 0 ? policy->min_gap / policy->s1 : 0;
  report.gauge_residual = policy->gauge_residual;
  report.amplification = ldexp((double)policy->amplification, -exponent);
  report.dropped_pairs = policy->dropped;
  report.flags = policy->flags;
  return report;
}

#endif
