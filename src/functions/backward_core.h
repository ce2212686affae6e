/* SPDX-License-Identifier: BSD-3-Clause */
/* The k-by-k elementwise steps of the backward pass, in the compute type (compute.h).
 *
 * Singular values are normalized, s = 2^-exponent S with 1 <= s_1 < 2 (rules/gap.h).  A quotient by a normalized
 * value is multiplied by 2^-exponent last, so that no intermediate result over- or underflows.  2^-exponent itself may
 * overflow, and is therefore a product of two factors; the second is nearly always 1. */
#ifndef SVDGRAD_BACKWARD_CORE_H
#define SVDGRAD_BACKWARD_CORE_H
#include "backend.h"
#include "base/compute.h"
#include "rules/gap.h"

typedef struct scale {
  double first, second;
} scale_t;

static scale_t scale_of(int exponent) {
  const int limit = 1000, first = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
  return (scale_t){ldexp(1, -first), ldexp(1, first - exponent)};
}

static double magnitude(compute_t x) {
#if IS_COMPLEX
  return hypot((double)RE(x), (double)IM(x));
#else
  return fabs((double)x);
#endif
}

/* Im diag(U^H gU + V^H gV): the change of a complex loss under a phase of (u_i, v_i), which A does not determine. */
static void tally_phases(int64_t k, const compute_t *UhgU, const compute_t *VhgV, double norm, gap_policy_t *policy) {
  for (int64_t i = 0; i < k && IS_COMPLEX; i++)
    gap_gauge(policy, fabs((double)IM(UhgU[i * k + i] + VhgV[i * k + i])), norm);
}

/* M_ij = ((X+Y)_ij / (s_j - s_i) + (X-Y)_ij / (s_i + s_j)) / 2 + delta_ij gS_i, with X = U^H gU - gU^H U and
 * Y = V^H gV - gV^H V: a Hermitian and a skew-Hermitian part, so that i <= j determines both. */
static void form_M(int64_t k, const compute_t *UhgU, const compute_t *VhgV, const compute_real_t *s,
                   const compute_real_t *gS, scale_t scale, gap_policy_t *policy, compute_t *M) {
  for (int64_t j = 0; j < k; j++) {
    for (int64_t i = 0; i < j; i++) {
      const compute_t X = UhgU[j * k + i] - CONJ(UhgU[i * k + j]), Y = VhgV[j * k + i] - CONJ(VhgV[i * k + j]);
      const gap_factors_t f = gap_pair(policy, (double)s[i], (double)s[j], magnitude(X + Y), magnitude(X - Y));
      const compute_t hermitian = (compute_t)(f.minus / 2 * (X + Y) * scale.first * scale.second);
      const compute_t skew = (compute_t)(f.plus / 2 * (X - Y) * scale.first * scale.second);
      M[j * k + i] = hermitian + skew;
      M[i * k + j] = CONJ(hermitian) - CONJ(skew);
    }
    M[j * k + j] = gS ? gS[j] : 0;
#if IS_COMPLEX
    const compute_t X = UhgU[j * k + j] - CONJ(UhgU[j * k + j]), Y = VhgV[j * k + j] - CONJ(VhgV[j * k + j]);
    const gap_factors_t f = gap_diagonal(policy, (double)s[j], magnitude(X - Y));
    M[j * k + j] += (compute_t)(f.plus / 2 * (X - Y) * scale.first * scale.second);
#endif
  }
}

/* Truncated rank: solves X_ S - R Y_ = gU', Y_ S - R^H X_ = gV' for one kept value s_j.  In the singular basis of R = A
 * - U S Vh, each discarded value r_i gives two equations for x_i and y_i; p and q are gU' and gV' in that basis. */
static void solve_discarded(int64_t count, const compute_real_t *r, compute_real_t s_j, const compute_t *p,
                            const compute_t *q, scale_t scale, gap_policy_t *policy, compute_t *x, compute_t *y) {
  for (int64_t i = 0; i < count; i++) {
    const gap_factors_t f = gap_pair(policy, (double)r[i], (double)s_j, magnitude(p[i] + q[i]), magnitude(p[i] - q[i]));
    const compute_t sum = (compute_t)(f.minus / 2 * (p[i] + q[i]) * scale.first * scale.second);
    const compute_t difference = (compute_t)(f.plus / 2 * (p[i] - q[i]) * scale.first * scale.second);
    x[i] = sum + difference;
    y[i] = sum - difference;
  }
}

/* The 2-norm; squares cannot over- or underflow. */
static double column_norm(int64_t m, const compute_t *x) {
  double sum = 0;
  for (int64_t i = 0; i < m; i++)
    sum += (double)RE(x[i]) * (double)RE(x[i]) + (double)IM(x[i]) * (double)IM(x[i]);
  if (sum > DBL_MIN / DBL_EPSILON && sum <= DBL_MAX)
    return sqrt(sum);
  double norm = 0;
  for (int64_t i = 0; i < m; i++)
    norm = hypot(norm, magnitude(x[i]));
  return norm;
}

/* Norms of the cotangents of the singular vectors: Frobenius, and largest column. */
typedef struct cotangent_size {
  double norm, largest_column;
} cotangent_size_t;

/* Zero for an absent cotangent (NULL). */
static cotangent_size_t cotangent_size(int64_t m, int64_t columns, const compute_t *g) {
  cotangent_size_t size = {0, 0};
  if (!g)
    return size;
  for (int64_t j = 0; j < columns; j++)
    size.largest_column = fmax(size.largest_column, column_norm(m, g + j * m));
  size.norm = column_norm(m * columns, g);
  return size;
}

static gap_policy_t policy_of(const problem_t *p, double s1, cotangent_size_t gU, cotangent_size_t gV) {
  return gap_policy_make(p->gap_policy, p->gap_param, EPSILON, s1, gU.norm + gV.norm,
                         gU.largest_column + gV.largest_column);
}

#endif
