/* SPDX-License-Identifier: BSD-3-Clause */
/* The nuclear and the spectral norm with a matrix in each lane: the rules of rules/norm.h for the kinds that take no
 * logarithm and no power. */
#ifndef SVDGRAD_MANY_NORM_FORM_H
#define SVDGRAD_MANY_NORM_FORM_H
#include "program_values.h"

INLINE int norm_is_in_lanes(svdgrad_norm_kind_t kind) {
  return kind == SVDGRAD_NORM_NUCLEAR || kind == SVDGRAD_NORM_SPECTRAL;
}

typedef struct lane_norm {
  svdgrad_norm_kind_t kind;
  M zero;       /* whose gradient is 0: the zero matrix */
  V s1, value;  /* value: of the normalized singular values */
  V least;      /* NUCLEAR: values up to this count as zero */
  V floor, tie; /* SPECTRAL: values within `floor` of s_1 share its weight, `tie` each */
} lane_norm_t;

/* S: n normalized values, LANES reals each, the largest one first. */
INLINE lane_norm_t norm_of(svdgrad_norm_kind_t kind, const problem_t *p, int64_t larger_side, int64_t n, const R *S) {
  const double null = fmin((double)larger_side * EPSILON, sqrt(EPSILON));
  lane_norm_t norm = {.kind = kind, .s1 = load_real(S)};
  const M is_exact = p->gap_policy == SVDGRAD_GAP_EXACT ? ~(M){0} : (M){0};
  V sum = {0}, members = {0};
  norm.zero = ~(M)(norm.s1 > broadcast(0)) & (M)(norm.s1 == norm.s1) & ~is_exact;
  norm.least = (R)null * norm.s1;
  norm.floor = 4 * (R)EPSILON * norm.s1;
  for (int64_t i = 0; i < n; i++) {
    const V s = load_real(S + i * LANES);
    sum += s;
    members += choose_real((M)(norm.s1 - s <= norm.floor), broadcast(1), (V){0});
  }
  norm.tie = 1 / members;
  norm.value = kind == SVDGRAD_NORM_SPECTRAL ? norm.s1 : sum;
  return norm;
}

/* g times the derivative of the norm with respect to the value s. */
INLINE V norm_weight(const lane_norm_t *norm, V g, V s) {
  const M counts = norm->kind == SVDGRAD_NORM_SPECTRAL ? (M)(norm->s1 - s <= norm->floor) : (M)(s > norm->least);
  const V one = norm->kind == SVDGRAD_NORM_SPECTRAL ? norm->tie : broadcast(1);
  return g * choose_real(norm->zero, (V){0}, choose_real(counts, one, s - s)); /* NaN where s is */
}

/* Notes a value that is too large for its type. */
INLINE void note_overflow(const group_t *g, V value, int32_t *info) {
  const M overflow = (M)(value == broadcast((R)INFINITY));
  if (!any_lane(overflow))
    return;
  for (int l = 0; l < g->count; l++)
    if (overflow[l] && info[g->first + l] == SVDGRAD_INFO_OK)
      info[g->first + l] = SVDGRAD_INFO_OVERFLOW;
}

/* 0: not this kind. */
NOINLINE int form_norm(const group_t *g, const norm_form_t *form) {
  const int64_t k = form->values.s.count;
  if (!norm_is_in_lanes(form->kind) || k == 0)
    return 0;
  const powers_t power = powers_of(load_exponent(form->values.exponent));
  const lane_norm_t norm = norm_of(form->kind, g->p, form->larger, k, form->values.s.data);
  const V value = norm.value * power.first * power.second;
  const V factor = form->g.data ? real_at(form->g, 0) : broadcast(1);
  set_real(form->value, 0, value);
  for (int64_t i = 0; i < form->weight.count; i++)
    set_real(form->weight, i, norm_weight(&norm, factor, real_at(form->values.s, i)));
  note_overflow(g, value, form->info);
  return 1;
}

#endif
