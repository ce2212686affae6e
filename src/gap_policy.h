/* SPDX-License-Identifier: BSD-3-Clause */
/* The two divisions of the backward pass that can go wrong, 1/(s_j - s_i) and 1/(s_i + s_j), under the caller's gap
 * policy, and the report on how far the result can be trusted.  Shared by the CPU backends; everything is in double,
 * where the difference of two floats is exact.
 *
 * Singular values come in normalized: times a power of two such that 1 <= s_1 < 2, so that nothing here over- or
 * underflows and thresholds are relative to s_1 as they must be. */
#ifndef SVDGRAD_GAP_POLICY_H
#define SVDGRAD_GAP_POLICY_H
#include "backend.h"

typedef struct gap_policy {
  svdgrad_gap_policy_t policy;
  double s1;
  double floor;     /* c eps s_1: a difference of singular values below this is rounding noise */
  double width;     /* gap_param s_1, of MASK and LORENTZ */
  double noise;     /* 16 eps (max |gU_j| + max |gV_j|), of NOISE_FLOOR: a smaller X+Y is rounding noise */
  double tolerated; /* eps^(3/4) (|gU| + |gV|): a larger X+Y at a tie shows that the loss depends on the gauge */
  svdgrad_report_t report;
} gap_policy_t;

/* Norms of the cotangents of the singular vectors: Frobenius, and largest column. */
typedef struct cotangent_size {
  double norm, largest_column;
} cotangent_size_t;

/* `epsilon` is that of the element type, `s1` normalized. */
gap_policy_t gap_policy_make(const problem_t *problem, double epsilon, double s1, cotangent_size_t gU,
                             cotangent_size_t gV);

/* Factors that stand for 1/(s_j - s_i) and 1/(s_i + s_j) before (X+Y)_ij and (X-Y)_ij, whose absolute values are
 * `gauge_part` and `phase_part`; tallied in the report.  Zero where dropped. */
typedef struct pair_factors {
  double minus, plus;
} pair_factors_t;
pair_factors_t gap_policy_pair(gap_policy_t *policy, double s_i, double s_j, double gauge_part, double phase_part);

/* Factor that stands for 1/s_i before the part of gU_i or gV_i outside the span of U or V, of norm `outside`. */
double gap_policy_inverse(gap_policy_t *policy, double s_i, double outside);

/* Singular values s_k and s_(k+1) on both sides of the cut at `rank`. */
void gap_policy_cut(gap_policy_t *policy, double s_k, double s_next);

/* A component of the cotangents that no change of A can produce, of absolute value `residual`. */
void gap_policy_gauge(gap_policy_t *policy, double residual, double norm);

/* Exponent e such that 2^-e s_1 is in [1, 2); 0 for 0, Inf and NaN. */
int gap_policy_exponent(double s1);

/* The report in the scale of the caller's singular values, 2^exponent times the normalized ones. */
svdgrad_report_t gap_policy_report(const gap_policy_t *policy, int exponent);

/* The report of a gradient that no gap entered. */
svdgrad_report_t gap_policy_empty_report(void);

#endif
