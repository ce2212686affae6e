/* SPDX-License-Identifier: BSD-3-Clause */
/* What divides by gaps in the backward pass and in the JVP, entry by entry, and the norms of the cotangents; in the
 * compute type (compute.h).
 *
 * Singular values are normalized, s = 2^-exponent S with 1 <= s_1 < 2 (rules/gap.h).  A quotient by a normalized
 * value is multiplied by 2^-exponent last, so that no intermediate result over- or underflows. */
#ifndef SVDGRAD_BACKWARD_CORE_H
#define SVDGRAD_BACKWARD_CORE_H
#include "backend.h"
#include "base/compute.h"
#include "rules/gap.h"

/* 2^POWER_LIMIT times a quotient by a normalized value is finite. */
enum { POWER_LIMIT = sizeof(R) == sizeof(float) ? 100 : 960, ANY_EXPONENT = 1 << 20 };

/* 2^exponent as a product of two factors, since it may over- or underflow; the second is nearly always 1. */
typedef struct power {
  compute_real_t first, second;
} power_t;

static inline power_t power_of(int exponent) {
  const int limit = POWER_LIMIT, first = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
  return (power_t){(compute_real_t)ldexp(1.0, first), (compute_real_t)ldexp(1.0, exponent - first)};
}

/* Whether a sum of squares has neither over- nor underflown, or so little that its root is right. */
static inline int is_safe_square(double sum) { return sum > DBL_MIN / DBL_EPSILON && sum <= DBL_MAX; }

/* |x| without over- or underflow of its square.  hypot() takes several times as long as a root. */
static inline double magnitude(compute_t x) {
#if IS_COMPLEX
  const double re = (double)RE(x), im = (double)IM(x), square = re * re + im * im;
  return is_safe_square(square) ? sqrt(square) : hypot(re, im);
#else
  return fabs((double)x);
#endif
}

/* Entries (i, j) and (j, i) of a matrix. */
typedef struct entries {
  compute_t ij, ji;
} entries_t;

/* M_ij = ((X+Y)_ij / (s_j - s_i) + (X-Y)_ij / (s_i + s_j)) / 2 for i < j, with X = P - P^H, P = U^H gU, and
 * Y = Q - Q^H, Q = V^H gV: a Hermitian and a skew-Hermitian part, which determine M_ji too. */
static inline entries_t divide_pair(gap_policy_t *policy, double s_i, double s_j, entries_t P, entries_t Q,
                                    power_t scale) {
  const compute_t X = P.ij - CONJ(P.ji), Y = Q.ij - CONJ(Q.ji);
  const gap_factors_t f = gap_pair(policy, s_i, s_j, magnitude(X + Y), magnitude(X - Y));
  const compute_t hermitian = (compute_t)(f.minus / 2 * (X + Y) * scale.first * scale.second);
  const compute_t skew = (compute_t)(f.plus / 2 * (X - Y) * scale.first * scale.second);
  return (entries_t){hermitian + skew, CONJ(hermitian) - CONJ(skew)};
}

/* M_jj - gS_j, which is zero for real types.  Im(P + Q)_jj is the change of a complex loss under a phase of (u_j, v_j),
 * which A does not determine; norm = |gU| + |gV|. */
static inline compute_t divide_diagonal(gap_policy_t *policy, double s_j, compute_t P, compute_t Q, double norm,
                                        power_t scale) {
#if IS_COMPLEX
  const compute_t X = P - CONJ(P), Y = Q - CONJ(Q);
  gap_gauge(policy, fabs((double)IM(P + Q)), norm);
  const gap_factors_t f = gap_diagonal(policy, s_j, magnitude(X - Y));
  return (compute_t)(f.plus / 2 * (X - Y) * scale.first * scale.second);
#else
  (void)policy, (void)s_j, (void)P, (void)Q, (void)norm, (void)scale;
  return 0;
#endif
}

typedef struct solution {
  compute_t x, y;
} solution_t;

/* Truncated rank: solves X_ S - R Y_ = gU', Y_ S - R^H X_ = gV', R = A - U S Vh.  In the singular bases of R, each
 * discarded value r gives two equations for each kept value s: x s - r y = p, y s - r x = q.
 *
 * Where both r and s count as zero, the basis is any: that the pair is dropped is noted if the column has a part outside the
 * span at all, of size `outside`, whatever p and q are. */
static inline solution_t solve_discarded(gap_policy_t *policy, double r, double s, compute_t p, compute_t q,
                                         double outside, power_t scale) {
  const int are_zero = gap_sum_is_dropped(policy, r + s);
  const gap_factors_t f =
      gap_pair(policy, r, s, are_zero ? outside : magnitude(p + q), are_zero ? outside : magnitude(p - q));
  const compute_t sum = (compute_real_t)(f.minus / 2) * (p + q) * scale.first * scale.second;
  const compute_t difference = (compute_real_t)(f.plus / 2) * (p - q) * scale.first * scale.second;
  return (solution_t){sum + difference, sum - difference};
}

static inline double larger_or_nan(double x, double y) { return x > y || x != x ? x : y; }

/* Elements whose real numbers are `step` apart: |x_i|^2, and the 2-norm, given the sum of those, which may over- or
 * underflow. */
static inline double square_of(const compute_real_t *x, int64_t step, int64_t i) {
  const double re = (double)x[i * step * (1 + IS_COMPLEX)];
  const double im = IS_COMPLEX ? (double)x[(i * (1 + IS_COMPLEX) + 1) * step] : 0;
  return re * re + im * im;
}

static inline double norm_given(double sum, int64_t count, const compute_real_t *x, int64_t step) {
  if (is_safe_square(sum))
    return sqrt(sum);
  double largest = 0, scaled = 0;
  for (int64_t i = 0; i < count * (1 + IS_COMPLEX); i++)
    largest = larger_or_nan(largest, fabs((double)x[i * step]));
  if (largest == 0 || !(largest <= DBL_MAX)) /* a cotangent of zeros is common */
    return largest;
  for (int64_t i = 0; i < count * (1 + IS_COMPLEX); i++) {
    const double part = (double)x[i * step] / largest;
    scaled += part * part;
  }
  return largest * sqrt(scaled);
}

/* Norms of the cotangents of the singular vectors: Frobenius, and largest column. */
typedef struct cotangent_size {
  double norm, largest_column;
} cotangent_size_t;

/* Norms of a packed cotangent, in one pass. */
static inline cotangent_size_t cotangent_size(int64_t rows, int64_t columns, const compute_real_t *g, int64_t step) {
  double all = 0, largest = 0;
  for (int64_t j = 0; j < columns; j++) {
    const compute_real_t *x = g + j * rows * step * (1 + IS_COMPLEX);
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) {
      const double square = square_of(x, step, i);
      sum += square;
      all += square;
    }
    largest = fmax(largest, norm_given(sum, rows, x, step));
  }
  return (cotangent_size_t){norm_given(all, rows * columns, g, step), largest};
}

static inline gap_policy_t policy_of(const problem_t *p, double s1, cotangent_size_t gU, cotangent_size_t gV) {
  return gap_policy_make(p->gap_policy, p->gap_param, EPSILON, s1, gU.norm + gV.norm,
                         gU.largest_column + gV.largest_column);
}

#endif
