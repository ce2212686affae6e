/* SPDX-License-Identifier: BSD-3-Clause */
#include "gap_policy.h"

#include <math.h>

static const double FLOOR_FACTOR = 4; /* c: singular values are right to a few eps s_1, so nothing below is real */

enum { FLAG_DROPPED = 1, FLAG_GAUGE = 2, FLAG_CUT = 4 };

svdgrad_report_t gap_policy_empty_report(void) { return (svdgrad_report_t){.min_gap = INFINITY}; }

int gap_policy_exponent(double s1) {
  const int limit = 1000; /* 2^limit is finite; a subnormal s_1 stays a little below 1 */
  if (!isfinite(s1) || s1 == 0)
    return 0;
  int exponent;
  (void)frexp(s1, &exponent);
  return exponent - 1 < -limit ? -limit : exponent - 1;
}

gap_policy_t gap_policy_make(const problem_t *problem, double epsilon, double s1, cotangent_size_t gU,
                             cotangent_size_t gV) {
  return (gap_policy_t){
      .policy = problem->gap_policy,
      .s1 = s1,
      .floor = FLOOR_FACTOR * epsilon * s1,
      .width = problem->gap_param * s1,
      .noise = 16 * epsilon * (gU.largest_column + gV.largest_column),
      .tolerated = pow(epsilon, 0.75) * (gU.norm + gV.norm),
      .report = gap_policy_empty_report(),
  };
}

static int drops_gap(const gap_policy_t *policy, double gap, double gauge_part) {
  switch (policy->policy) {
  case SVDGRAD_GAP_EXACT: return 0;
  case SVDGRAD_GAP_MASK: return gap <= policy->width;
  case SVDGRAD_GAP_NOISE_FLOOR: return gap <= policy->floor || gauge_part <= policy->noise;
  case SVDGRAD_GAP_LORENTZ: return gap == 0; /* x/(x^2 + w^2) at x = 0, also for w = 0 */
  case SVDGRAD_GAP_DEFAULT: break;
  }
  return gap <= policy->floor;
}

/* x/(x^2 + w^2) without squares, so that a small x does not underflow. */
static double gap_factor(const gap_policy_t *policy, double x) {
  return policy->policy == SVDGRAD_GAP_LORENTZ ? 1 / (x + policy->width * (policy->width / x)) : 1 / x;
}

/* Common to every denominator that only vanishes with s_i itself. */
static int drops_sum(const gap_policy_t *policy, double sum) {
  return policy->policy != SVDGRAD_GAP_EXACT && sum <= policy->floor;
}

pair_factors_t gap_policy_pair(gap_policy_t *policy, double s_i, double s_j, double gauge_part, double phase_part) {
  const double x = s_j - s_i, gap = fabs(x), sum = s_i + s_j;
  svdgrad_report_t *report = &policy->report;
  pair_factors_t factors = {0, 0};
  int dropped = 0;
  if (policy->policy == SVDGRAD_GAP_EXACT)
    factors = (pair_factors_t){1 / x, 1 / sum}; /* also where the numerator is 0: a tie gives NaN */
  if (gauge_part != 0) {
    report->min_gap = fmin(report->min_gap, policy->s1 > 0 ? gap / policy->s1 : 0);
    dropped = drops_gap(policy, gap, gauge_part);
    if (!dropped) {
      factors.minus = gap_factor(policy, x);
      report->amplification = fmax(report->amplification, gauge_part * fabs(factors.minus));
    }
    if (gap <= policy->floor && gauge_part > policy->tolerated)
      report->flags |= FLAG_GAUGE;
  }
  if (phase_part != 0) {
    if (drops_sum(policy, sum))
      dropped = 1;
    else
      factors.plus = 1 / sum;
  }
  if (dropped) {
    report->dropped_pairs++;
    report->flags |= FLAG_DROPPED;
  }
  return factors;
}

double gap_policy_inverse(gap_policy_t *policy, double s_i, double outside) {
  if (outside == 0 && policy->policy != SVDGRAD_GAP_EXACT)
    return 0;
  if (!drops_sum(policy, s_i))
    return 1 / s_i;
  policy->report.dropped_pairs++;
  policy->report.flags |= FLAG_DROPPED;
  return 0;
}

void gap_policy_cut(gap_policy_t *policy, double s_k, double s_next) {
  if (s_k - s_next <= policy->floor)
    policy->report.flags |= FLAG_CUT;
}

void gap_policy_gauge(gap_policy_t *policy, double residual, double norm) {
  if (residual == 0)
    return;
  policy->report.gauge_residual = fmax(policy->report.gauge_residual, residual / norm);
  if (residual > policy->tolerated)
    policy->report.flags |= FLAG_GAUGE;
}

svdgrad_report_t gap_policy_report(const gap_policy_t *policy, int exponent) {
  svdgrad_report_t report = policy->report;
  report.amplification = ldexp(report.amplification, -exponent);
  return report;
}
