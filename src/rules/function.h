/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions of svdgrad_function_kind_t and their divided differences, without cancellation: right to a few eps at a
 * tie and however close to it.
 *
 * Singular values are normalized (gap.h), and so are thresholds.  A function of degree d has f(2^e s) = 2^(d e) f(s). */
#ifndef SVDGRAD_RULES_FUNCTION_H
#define SVDGRAD_RULES_FUNCTION_H
#include "gap.h"

typedef struct {
  int kind, exact; /* exact: SVDGRAD_GAP_EXACT, nothing is dropped */
  REAL t;
  REAL moving; /* t = moving * s_1; 0 where t does not depend on s_1 */
  REAL degree;
  REAL epsilon;
} function_rule_t;

typedef struct {
  REAL s, f, df; /* df is set for CUSTOM only */
  int kept;      /* CLIP: s <= t; other thresholds: s > t; RANK: among the leading values */
} function_point_t;

/* Default threshold, relative to s_1, up to which a singular value counts as zero: max(m, n) eps, as in NumPy's
 * matrix_rank, but at most sqrt(eps), since max(m, n) eps exceeds 1 for millions of rows in float. */
RULE REAL function_null(int64_t larger, REAL epsilon) { return fmin((REAL)larger * epsilon, sqrt(epsilon)); }

RULE function_rule_t function_make(int kind, REAL param, int relative, int policy, REAL epsilon, REAL s1, int exponent,
                                   int64_t larger) {
  function_rule_t rule;
  rule.kind = kind;
  rule.exact = policy == SVDGRAD_GAP_EXACT;
  rule.t = param;
  rule.moving = 0;
  rule.degree = 0;
  rule.epsilon = epsilon;
  switch (kind) {
  case SVDGRAD_FUNCTION_RANK: rule.degree = 1; break;
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD:
  case SVDGRAD_FUNCTION_HARD_THRESHOLD:
  case SVDGRAD_FUNCTION_CLIP:
    rule.degree = 1;
    rule.moving = relative ? param : 0;
    rule.t = relative ? param * s1 : ldexp(param, -exponent);
    break;
  case SVDGRAD_FUNCTION_POWER: rule.degree = param; break;
  case SVDGRAD_FUNCTION_INVERSE:
    rule.degree = -1;
    rule.t = (param > 0 ? param : function_null(larger, epsilon)) * s1;
    break;
  case SVDGRAD_FUNCTION_SIGN: rule.t = (param > 0 ? param : function_null(larger, epsilon)) * s1; break;
  default: break;
  }
  return rule;
}

/* 2^(exponent * power): the factor from f of normalized values to f in the caller's units.  The integer part of the
 * product is applied by ldexp; together with it, a large product would leave few digits for the fraction. */
RULE REAL function_scale(REAL power, int exponent) {
  const REAL product = power * (REAL)exponent, whole = rint(product);
  if (!(fabs(product) < 10000)) /* the result is 0 or infinite anyway */
    return exp2(product);
  return ldexp(exp2(fma(power, (REAL)exponent, -whole)), (int)whole);
}

/* f(s_i), i = 0..k-1.  f, df: the caller's (CUSTOM).  sign: f of the last value (ROTATION).  floor: a few eps s_1. */
RULE function_point_t function_point(const function_rule_t *rule, REAL s, int64_t i, int64_t k, REAL f, REAL df,
                                     REAL sign, REAL floor) {
  function_point_t point = {s, 1, 0, 1};
  switch (rule->kind) {
  case SVDGRAD_FUNCTION_RANK:
    point.kept = (REAL)i < rule->t;
    point.f = point.kept ? s : 0;
    break;
  case SVDGRAD_FUNCTION_HARD_THRESHOLD:
    point.kept = s > rule->t || (rule->t == 0 && rule->moving == 0); /* t = 0 is the identity: no kink at s = 0 */
    point.f = point.kept ? s : 0;
    break;
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD:
    point.kept = s > rule->t || (rule->t == 0 && rule->moving == 0);
    point.f = point.kept ? s - rule->t : 0;
    break;
  case SVDGRAD_FUNCTION_CLIP:
    point.kept = s <= rule->t && (rule->t > 0 || rule->moving > 0);
    point.f = point.kept ? s : rule->t;
    break;
  case SVDGRAD_FUNCTION_POWER:
    point.kept = rule->t >= 0 || rule->exact || s > floor;
    point.f = !point.kept ? 0 : rule->t == 1 ? s : pow(s, rule->t);
    break;
  case SVDGRAD_FUNCTION_INVERSE:
    point.kept = s > rule->t;
    point.f = point.kept ? 1 / s : 0;
    break;
  case SVDGRAD_FUNCTION_SIGN:
    point.kept = s > rule->t;
    point.f = point.kept ? 1 : 0;
    break;
  case SVDGRAD_FUNCTION_ROTATION: point.f = i == k - 1 ? sign : 1; break;
  case SVDGRAD_FUNCTION_CUSTOM:
    point.f = f;
    point.df = df;
    break;
  default: break; /* POLAR */
  }
  return point;
}

RULE REAL function_drop(gap_policy_t *tally) {
  tally->dropped++;
  tally->flags |= SVDGRAD_REPORT_DROPPED;
  return 0;
}

/* numerator / divisor under the gap policy. */
RULE REAL function_quotient(const function_rule_t *rule, REAL numerator, REAL divisor, gap_policy_t *tally) {
  tally->min_gap = divisor < tally->min_gap ? divisor : tally->min_gap;
  if (!rule->exact && divisor <= tally->floor)
    return function_drop(tally);
  const REAL inverse = 1 / divisor;
  tally->amplification = inverse > tally->amplification ? inverse : tally->amplification;
  return numerator * inverse;
}

/* 0 for numerator 0, whatever the divisor. */
RULE REAL function_divide(const function_rule_t *rule, REAL numerator, REAL divisor, gap_policy_t *tally) {
  return numerator == 0 ? 0 : function_quotient(rule, numerator, divisor, tally);
}

/* A power that is not zero, though it may be too small for a number. */
RULE int function_is_positive(const function_rule_t *rule, function_point_t a) {
  return rule->kind == SVDGRAD_FUNCTION_POWER && a.kept && a.s > 0;
}

/* (a^p - b^p) / (a - b), a >= b; with d = (a - b) / a this is a^(p-1) (1 - (1 - d)^p) / d. */
RULE REAL function_power_difference(const function_rule_t *rule, function_point_t a, function_point_t b,
                                    gap_policy_t *tally) {
  const REAL p = rule->t, d = (a.s - b.s) / a.s;
  if (p == 0 || p == 1)
    return p;
  if (p < 1 && !rule->exact && a.s + b.s <= tally->floor)
    return function_drop(tally);
  if (a.s == 0)
    return p > 1 ? 0 : p * pow(a.s, p - 1);
  if (b.s == 0)
    return (a.f - b.f) / a.s;
  return a.f / a.s * (d == 0 ? p : -expm1(p * log1p(-d)) / d);
}

/* The mean of the two derivatives, which is more accurate, where it agrees with the difference quotient to the
 * quotient's rounding error.  Otherwise f may have a kink in between, and the quotient is right. */
RULE REAL function_custom_difference(const function_rule_t *rule, function_point_t a, function_point_t b) {
  const REAL gap = a.s - b.s, mean = (a.df + b.df) / 2;
  if (gap == 0)
    return mean;
  const REAL quotient = (a.f - b.f) / gap, noise = 4 * rule->epsilon * (fabs(a.f) + fabs(b.f)) / gap;
  return fabs(quotient - mean) <= noise ? mean : quotient;
}

/* (f(a) - f(b)) / (a - b), a >= b. */
RULE REAL function_difference(const function_rule_t *rule, function_point_t a, function_point_t b,
                              gap_policy_t *tally) {
  const REAL gap = a.s - b.s;
  switch (rule->kind) {
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD:
  case SVDGRAD_FUNCTION_CLIP: return a.kept == b.kept ? (REAL)a.kept : (a.f - b.f) / gap; /* t lies between a and b */
  case SVDGRAD_FUNCTION_RANK:
  case SVDGRAD_FUNCTION_HARD_THRESHOLD:
    if (a.kept == b.kept)
      return (REAL)a.kept;
    break;
  case SVDGRAD_FUNCTION_INVERSE:
    if (a.kept == b.kept)
      return a.kept ? -a.f * b.f : 0;
    break;
  case SVDGRAD_FUNCTION_POWER:
    if (a.kept == b.kept)
      return a.kept ? function_power_difference(rule, a, b, tally) : 0;
    break;
  case SVDGRAD_FUNCTION_CUSTOM: return function_custom_difference(rule, a, b);
  default:
    if (a.f == b.f)
      return 0;
    break;
  }
  if (gap <= tally->floor)
    tally->flags |= SVDGRAD_REPORT_CUT;
  return function_divide(rule, a.f - b.f, gap, tally);
}

/* (f(a) + f(b)) / (a + b) */
RULE REAL function_sum(const function_rule_t *rule, function_point_t a, function_point_t b, gap_policy_t *tally) {
  const int linear = rule->kind == SVDGRAD_FUNCTION_RANK || rule->kind == SVDGRAD_FUNCTION_HARD_THRESHOLD ||
                     rule->kind == SVDGRAD_FUNCTION_CLIP ||
                     (rule->kind == SVDGRAD_FUNCTION_SOFT_THRESHOLD && rule->t == 0) ||
                     (rule->kind == SVDGRAD_FUNCTION_POWER && rule->t == 1);
  if (linear && a.kept && b.kept)
    return 1;
  if (rule->kind == SVDGRAD_FUNCTION_INVERSE && a.kept && b.kept)
    return a.f * b.f;
  if (function_is_positive(rule, a) || function_is_positive(rule, b))
    return function_quotient(rule, a.f + b.f, a.s + b.s, tally);
  return function_divide(rule, a.f + b.f, a.s + b.s, tally);
}

/* f(a) / a */
RULE REAL function_ratio(const function_rule_t *rule, function_point_t a, gap_policy_t *tally) {
  return function_sum(rule, a, a, tally);
}

/* Derivative of f(a) with respect to s_1 through a threshold proportional to s_1. */
RULE REAL function_moves(const function_rule_t *rule, function_point_t a) {
  if (rule->kind == SVDGRAD_FUNCTION_SOFT_THRESHOLD)
    return a.kept ? -rule->moving : 0;
  return rule->kind == SVDGRAD_FUNCTION_CLIP && !a.kept ? rule->moving : 0;
}

/* Whether s ties with s_1: the derivative of s_1 is shared equally among such values. */
RULE int function_is_first(REAL s, REAL s1, const gap_policy_t *tally) { return s >= s1 - tally->floor; }

/* (f(a) - f(0)) / a in the caller's units; f(0) = null_value.  Where f(0) + f'(a) a / 2 agrees with f(a) to rounding,
 * f'(a) / 2 is the more accurate quotient: f is an even function of s, f(0) + c s^2 near 0. */
RULE REAL function_null_ratio(const function_rule_t *rule, function_point_t a, REAL value_scale, REAL null_value,
                              int exponent, gap_policy_t *tally) {
  const REAL f = a.f * value_scale, noise = 4 * rule->epsilon * (fabs(f) + fabs(null_value));
  if (rule->kind == SVDGRAD_FUNCTION_CUSTOM && fabs(f - null_value - a.df / 2 * a.s) <= noise)
    return ldexp(a.df / 2, -exponent);
  return ldexp(function_divide(rule, f - null_value, a.s, tally), -exponent);
}

#endif
