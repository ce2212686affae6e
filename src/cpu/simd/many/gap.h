/* SPDX-License-Identifier: BSD-3-Clause */
/* The gap policy for LANES matrices at once: the rules of src/rules/gap.h, which explains them, with masks instead of
 * branches and in the precision of the elements.  Absolute values of complex numbers are those of normalized numbers,
 * so that their squares neither overflow nor underflow where they matter. */
#ifndef SVDGRAD_MANY_GAP_H
#define SVDGRAD_MANY_GAP_H
#include "../register.h"
#include "backend.h"

typedef struct gaps {
  svdgrad_gap_policy_t policy;
  V power, scale; /* 2^e and 2^-e; times the latter, s_1 is in [1, 2) */
  V s1, floor, width;
  V norm, noise, tolerated; /* norm: |gU| + |gV| */
  V size, unit;             /* the power of two below norm, and its inverse */
  V min_gap, gauge_residual, amplification;
  M dropped; /* minus the number of dropped terms */
  M gauge;
} gaps_t;

typedef struct gap_factors {
  V minus, plus;
} gap_factors_t;

/* x < y ? x : y; y where x is NaN. */
INLINE V lesser(V x, V y) { return choose_real((M)(x < y), x, y); }

/* The power of two 2^e with 2^e <= x < 2^(e+1), as far as 2^e and its inverse are normal numbers. */
INLINE V power_below(V x) {
  const V least = broadcast(1 / LARGEST_POWER), most = broadcast(LARGEST_POWER);
  return (V)((M)larger(lesser(x, most), least) & (M)broadcast((R)INFINITY));
}

INLINE M nonzero(E x) {
#if IS_COMPLEX
  return (M)(x.re != 0) | (M)(x.im != 0);
#else
  return (M)(x != 0);
#endif
}

INLINE V magnitude(const gaps_t *g, E x) {
#if IS_COMPLEX
  return square_root(add_square((V){0}, scaled(g->unit, x))) * g->size;
#else
  (void)g;
  return absolute(x);
#endif
}

/* Takes s_1 before normalization. */
INLINE void gap_normalize(gaps_t *g, V S1) {
  g->power = power_below(S1);
  g->scale = 1 / g->power;
  g->s1 = S1 * g->scale;
}

/* norm = |gU| + |gV|, largest_column = max |gU_j| + max |gV_j|. */
INLINE void gap_start(gaps_t *g, const problem_t *p, V norm, V largest_column) {
  const R eps = EPSILON, root = (R)sqrt(eps);
  g->policy = p->gap_policy;
  g->floor = 4 * eps * g->s1;
  g->width = (R)p->gap_param * g->s1;
  g->norm = norm;
  g->noise = 16 * eps * largest_column;
  g->tolerated = root * (R)sqrt(root) * norm;
  g->size = power_below(norm);
  g->unit = 1 / g->size;
  g->min_gap = broadcast((R)INFINITY);
  g->gauge_residual = g->amplification = (V){0};
  g->dropped = g->gauge = (M){0};
}

INLINE M gap_is_dropped(const gaps_t *g, V gap, V gauge_part) {
  switch (g->policy) {
  case SVDGRAD_GAP_EXACT: return (M){0};
  case SVDGRAD_GAP_MASK: return (M)(gap <= g->width);
  case SVDGRAD_GAP_NOISE_FLOOR: return (M)(gap <= g->floor) | (M)(gauge_part <= g->noise);
  case SVDGRAD_GAP_LORENTZ: return (M)(gap == 0);
  default: return (M)(gap <= g->floor);
  }
}

INLINE M gap_sum_is_dropped(const gaps_t *g, V sum) {
  return g->policy == SVDGRAD_GAP_EXACT ? (M){0} : (M)(sum <= g->floor);
}

/* The factor that stands for 1/x, x = s_i + s_j, before X-Y = difference. */
INLINE V gap_phase(gaps_t *g, V x, E difference, M *dropped) {
  const M exists = nonzero(difference);
  *dropped = exists & gap_sum_is_dropped(g, x);
  return choose_real(g->policy == SVDGRAD_GAP_EXACT ? ~(M){0} : exists & ~*dropped, 1 / x, (V){0});
}

/* The factors that stand for 1/(s_j - s_i) and 1/(s_i + s_j) before X+Y = sum and X-Y = difference; i < j. */
INLINE gap_factors_t gap_pair(gaps_t *g, V s_i, V s_j, E sum, E difference) {
  const V x = s_j - s_i, gap = absolute(x), zero = {0}, part = magnitude(g, sum);
  const M exists = nonzero(sum) | (nonzero(difference) & (M)(gap <= g->floor));
  const M drop = exists & gap_is_dropped(g, gap, part);
  const M kept = g->policy == SVDGRAD_GAP_EXACT ? ~(M){0} : exists & ~drop;
  const V denominator = g->policy == SVDGRAD_GAP_LORENTZ ? x + g->width * (g->width / x) : x;
  const V minus = choose_real(kept, 1 / denominator, zero);
  M drop_sum;
  const V plus = gap_phase(g, s_i + s_j, difference, &drop_sum);
  g->min_gap = lesser(choose_real(exists, gap, g->min_gap), g->min_gap);
  g->amplification = larger(choose_real(exists, part * absolute(minus), zero), g->amplification);
  g->gauge |= (M)(gap <= g->floor) & (M)(part > g->tolerated);
  g->dropped += drop | drop_sum;
  return (gap_factors_t){minus, plus};
}

/* Takes the absolute value of a component of the cotangents that no change of A can produce. */
INLINE void gap_gauge(gaps_t *g, V residual) {
  const M exists = (M)(residual != 0);
  g->gauge_residual = larger(choose_real(exists, residual / g->norm, (V){0}), g->gauge_residual);
  g->gauge |= (M)(residual > g->tolerated);
}

/* The factor that stands for 1/s before the part outside the span.  A dropped factor counts only where that part is not
 * zero (note_outside in backward.c). */
INLINE V gap_outside(const gaps_t *g, V s) { return choose_real(gap_sum_is_dropped(g, s), (V){0}, 1 / s); }

INLINE void gap_report(const gaps_t *g, svdgrad_report_t *report, int count) {
  const V gap = choose_real((M)(g->s1 > 0), g->min_gap / g->s1, (V){0});
  for (int l = 0; l < count; l++) {
    const int dropped = -(int)g->dropped[l];
    report[l].min_gap = (double)(isinf(g->min_gap[l]) ? g->min_gap[l] : gap[l]);
    report[l].gauge_residual = (double)g->gauge_residual[l];
    report[l].amplification = (double)g->amplification[l] / (double)g->power[l];
    report[l].dropped_pairs = dropped;
    report[l].flags = (dropped ? SVDGRAD_REPORT_DROPPED : 0) | (g->gauge[l] ? SVDGRAD_REPORT_GAUGE : 0);
  }
}

#endif
