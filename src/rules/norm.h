/* SPDX-License-Identifier: BSD-3-Clause */
/* The norms of svdgrad_norm_kind_t as functions of the singular values, and their derivatives.
 *
 * Singular values are normalized (gap.h), the largest one first. */
#ifndef SVDGRAD_RULES_NORM_H
#define SVDGRAD_RULES_NORM_H
#include "function.h"

typedef struct {
  int kind, exact; /* exact: SVDGRAD_GAP_EXACT, nothing is dropped */
  REAL p, s1;
  REAL least;   /* at a kink, values up to this count as zero */
  REAL cluster; /* SPECTRAL: values from this on tie with the largest */
  REAL sum;
  int64_t count, members;
} norm_sum_t;

RULE norm_sum_t norm_begin(int kind, REAL p, const gap_policy_t *policy, REAL epsilon, int64_t larger) {
  norm_sum_t sum;
  sum.kind = kind;
  sum.exact = policy->policy == SVDGRAD_GAP_EXACT;
  sum.p = p;
  sum.s1 = policy->s1;
  sum.least = kind == SVDGRAD_NORM_NUCLEAR ? function_null(larger, epsilon) * policy->s1 : policy->floor;
  sum.cluster = policy->s1 - policy->floor;
  sum.sum = 0;
  sum.count = sum.members = 0;
  return sum;
}

RULE void norm_add(norm_sum_t *sum, REAL s) {
  sum->count++;
  sum->members += s >= sum->cluster;
  switch (sum->kind) {
  case SVDGRAD_NORM_SCHATTEN: sum->sum += sum->s1 > 0 ? pow(s / sum->s1, sum->p) : sum->s1; break;
  case SVDGRAD_NORM_LOG_DETERMINANT: sum->sum += log(s); break;
  default: sum->sum += s; break;
  }
}

/* SCHATTEN: the norm divided by s_1, at least 1. */
RULE REAL norm_root(const norm_sum_t *sum) { return pow(sum->sum, 1 / sum->p); }

RULE REAL norm_value(const norm_sum_t *sum, int exponent) {
  switch (sum->kind) {
  case SVDGRAD_NORM_SPECTRAL: return ldexp(sum->s1, exponent);
  case SVDGRAD_NORM_SCHATTEN: return sum->s1 > 0 ? ldexp(sum->s1 * norm_root(sum), exponent) : sum->s1;
  case SVDGRAD_NORM_LOG_DETERMINANT: return sum->sum + (REAL)sum->count * (REAL)exponent * (REAL)0.69314718055994530942;
  default: return ldexp(sum->sum, exponent);
  }
}

/* g times the derivative of the norm with respect to the value s. */
RULE REAL norm_weight(const norm_sum_t *sum, REAL g, REAL s, int exponent) {
  const int null = !sum->exact && s <= sum->least;
  if (!(sum->s1 > 0) && !(sum->s1 != sum->s1) && !sum->exact)
    return g * 0;
  switch (sum->kind) {
  case SVDGRAD_NORM_NUCLEAR: return g * (s > sum->least ? 1 : s - s);
  case SVDGRAD_NORM_SPECTRAL: return g * (s >= sum->cluster ? 1 / (REAL)sum->members : s - s);
  case SVDGRAD_NORM_SCHATTEN: return g * (null && sum->p <= 1 ? 0 : pow(s / sum->s1 / norm_root(sum), sum->p - 1));
  default: return null ? g * 0 : ldexp(g * (1 / s), -exponent); /* 2^-exponent itself may be too large */
  }
}

#endif
