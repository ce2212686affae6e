/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of the singular values and their divided differences (function_form_t of functions/forms.h) with a matrix
 * in each lane: the rules of rules/function.h, which explains them, with masks instead of branches, for the kinds that
 * take no power, logarithm or sine. */
#ifndef SVDGRAD_MANY_FUNCTION_FORM_H
#define SVDGRAD_MANY_FUNCTION_FORM_H
#include "gap.h"
#include "program_values.h"

typedef struct lane_function {
  svdgrad_function_kind_t kind;
  M is_exact;
  V t, t_rest;          /* the threshold, rounded, and what rounding left of it */
  V t_below;            /* the largest number up to the threshold: s > t_below where s > t */
  R moving;             /* t = moving * s_1; 0 where t does not depend on s_1 */
  M open;               /* the threshold is 0 and stays there: thresholds keep all values, CLIP none */
  powers_t value, pair; /* factors to the caller's units: of f, of its divided differences */
  V s1, floor;
  V min_gap, amplification; /* the tally */
  M dropped, cut;           /* dropped: minus the number */
} lane_function_t;

/* A singular value and f of it. */
typedef struct lane_point {
  V s, f;
  M kept;
} lane_point_t;

/* 0: not this function. */
INLINE int function_is_in_lanes(const function_form_t *form) {
  switch (form->kind) {
  case SVDGRAD_FUNCTION_POLAR:
  case SVDGRAD_FUNCTION_RANK:
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD:
  case SVDGRAD_FUNCTION_HARD_THRESHOLD:
  case SVDGRAD_FUNCTION_CLIP:
  case SVDGRAD_FUNCTION_INVERSE:
  case SVDGRAD_FUNCTION_SIGN: break;
  case SVDGRAD_FUNCTION_POWER:
    if (form->param != 1)
      return 0;
    break;
  case SVDGRAD_FUNCTION_ROTATION:
    if (IS_COMPLEX)
      return 0;
    break;
  default: return 0;
  }
  return form->values.s.count > 0 && (form->form == SVDGRAD_FORM_UVH || form->null_value == 0);
}

/* ---- thresholds ---- */

/* In double, whatever the type is: which values a threshold keeps is a decision. */
INLINE void set_threshold(lane_function_t *f, double factor, double moving, V unit, V rest) {
  M above = {0};
  for (int l = 0; l < LANES; l++) {
    const double t = factor * (double)unit[l] * (double)rest[l];
    f->t[l] = (R)t;
    f->t_rest[l] = (R)(t - (double)(R)t);
    above[l] = -(integer_t)((double)(R)t > t);
    f->open[l] = -(integer_t)(t == 0 && moving == 0);
  }
  f->moving = (R)moving;
  f->t_below = (V)((M)f->t + above);
}

/* The degree of f: f(2^e s) = 2^(degree e) f(s). */
INLINE int degree_of(svdgrad_function_kind_t kind) {
  switch (kind) {
  case SVDGRAD_FUNCTION_POLAR:
  case SVDGRAD_FUNCTION_ROTATION:
  case SVDGRAD_FUNCTION_SIGN: return 0;
  case SVDGRAD_FUNCTION_INVERSE: return -1;
  default: return 1;
  }
}

INLINE lane_function_t function_of(const group_t *g, const function_form_t *form) {
  const M exponent = load_exponent(form->values.exponent), degree = (M){0} + degree_of(form->kind);
  const double null = fmin((double)form->larger * EPSILON, sqrt(EPSILON));
  const V one = broadcast(1);
  lane_function_t f = {.kind = form->kind, .s1 = real_at(form->values.s, 0)};
  f.is_exact = g->p->gap_policy == SVDGRAD_GAP_EXACT ? ~(M){0} : (M){0};
  f.value = powers_of(degree * exponent);
  f.pair = powers_of((degree - 1) * exponent);
  f.floor = 4 * (R)EPSILON * f.s1;
  f.min_gap = broadcast((R)INFINITY);
  switch (form->kind) {
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD:
  case SVDGRAD_FUNCTION_HARD_THRESHOLD:
  case SVDGRAD_FUNCTION_CLIP: {
    const powers_t unit = powers_of(-exponent);
    if (form->relative)
      set_threshold(&f, form->param, form->param, f.s1, one);
    else
      set_threshold(&f, form->param, 0, unit.first, unit.second);
    break;
  }
  case SVDGRAD_FUNCTION_INVERSE:
  case SVDGRAD_FUNCTION_SIGN: set_threshold(&f, form->param > 0 ? form->param : null, 0, f.s1, one); break;
  default: break;
  }
  return f;
}

/* f(s_i) in normalized units. */
INLINE lane_point_t evaluate(const lane_function_t *f, const function_form_t *form, int64_t i) {
  const V s = real_at(form->values.s, i), zero = {0}, one = broadcast(1);
  const M all = ~(M){0}, above = (M)(s > f->t_below);
  switch (f->kind) {
  case SVDGRAD_FUNCTION_RANK: {
    const M kept = (double)i < form->param ? all : (M){0};
    return (lane_point_t){s, choose_real(kept, s, zero), kept};
  }
  case SVDGRAD_FUNCTION_HARD_THRESHOLD: {
    const M kept = above | f->open;
    return (lane_point_t){s, choose_real(kept, s, zero), kept};
  }
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD: {
    const M kept = above | f->open;
    return (lane_point_t){s, choose_real(kept, s - f->t - f->t_rest, zero), kept};
  }
  case SVDGRAD_FUNCTION_CLIP: {
    const M kept = (M)(s <= f->t_below) & ~f->open;
    return (lane_point_t){s, choose_real(kept, s, f->t), kept};
  }
  case SVDGRAD_FUNCTION_INVERSE: return (lane_point_t){s, choose_real(above, 1 / s, zero), above};
  case SVDGRAD_FUNCTION_SIGN: return (lane_point_t){s, choose_real(above, one, zero), above};
  case SVDGRAD_FUNCTION_POWER: return (lane_point_t){s, s, all};
  case SVDGRAD_FUNCTION_ROTATION:
    return (lane_point_t){s, i == form->values.s.count - 1 ? real_part(entry_at(form->phase, 0, 0)) : one, all};
  default: return (lane_point_t){s, one, all}; /* POLAR */
  }
}

/* 0: not this function. */
static int form_values(const group_t *g, const function_form_t *form) {
  if (!function_is_in_lanes(form))
    return 0;
  const lane_function_t f = function_of(g, form);
  for (int64_t i = 0; i < form->values.s.count; i++) {
    const lane_point_t point = evaluate(&f, form, i);
    set_real(form->result, i, point.f * f.value.first * f.value.second);
  }
  return 1;
}

/* ---- divided differences ---- */

/* numerator / divisor under the gap policy, in the matrices that `where` selects; 0 for numerator 0, whatever the
 * divisor.  *dropped: where it is dropped. */
INLINE V divide_where(lane_function_t *f, M where, V numerator, V divisor, M *dropped) {
  const M exists = where & (M)(numerator != 0), drop = exists & ~f->is_exact & (M)(divisor <= f->floor);
  const V inverse = choose_real(exists & ~drop, 1 / divisor, (V){0});
  f->min_gap = lesser(choose_real(exists, divisor, f->min_gap), f->min_gap);
  f->amplification = larger(inverse, f->amplification);
  *dropped = drop;
  return choose_real(exists & ~drop, numerator * inverse, (V){0});
}

/* (f(a) - f(b)) / (a - b), a >= b. */
INLINE V function_difference(lane_function_t *f, lane_point_t a, lane_point_t b, M *dropped) {
  const V gap = a.s - b.s, zero = {0}, kept = choose_real(a.kept, broadcast(1), zero);
  const M same = ~(a.kept ^ b.kept);
  *dropped = (M){0};
  switch (f->kind) {
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD:
  case SVDGRAD_FUNCTION_CLIP: return choose_real(same, kept, (a.f - b.f) / gap); /* t lies between a and b */
  case SVDGRAD_FUNCTION_POLAR: return zero;
  case SVDGRAD_FUNCTION_POWER: return kept;
  default: break;
  }
  const int is_step = f->kind == SVDGRAD_FUNCTION_ROTATION || f->kind == SVDGRAD_FUNCTION_SIGN;
  const M alike = is_step ? (M)(a.f == b.f) : same;
  const V there = is_step ? zero : f->kind == SVDGRAD_FUNCTION_INVERSE ? choose_real(a.kept, -a.f * b.f, zero) : kept;
  f->cut |= ~alike & (M)(gap <= f->floor);
  return choose_real(alike, there, divide_where(f, ~alike, a.f - b.f, gap, dropped));
}

/* (f(a) + f(b)) / (a + b) */
INLINE V function_sum(lane_function_t *f, lane_point_t a, lane_point_t b, M *dropped) {
  const M both = a.kept & b.kept;
  M known = {0};
  switch (f->kind) {
  case SVDGRAD_FUNCTION_RANK:
  case SVDGRAD_FUNCTION_HARD_THRESHOLD:
  case SVDGRAD_FUNCTION_CLIP:
  case SVDGRAD_FUNCTION_POWER:
  case SVDGRAD_FUNCTION_INVERSE: known = both; break;
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD: known = both & (M)(f->t == 0); break;
  default: break;
  }
  const V there = f->kind == SVDGRAD_FUNCTION_INVERSE ? a.f * b.f : broadcast(1);
  return choose_real(known, there, divide_where(f, ~known, a.f + b.f, a.s + b.s, dropped));
}

/* U f(S) Vh: M at (i, j) and (j, i), i <= j. */
INLINE void pair_of_both(lane_function_t *f, const function_form_t *form, const lane_point_t *points, int64_t i,
                         int64_t j) {
  const E x = entry_at(form->P, i, j), y = conjugate(entry_at(form->P, j, i)), zero = from_real((V){0});
  const V half = broadcast((R)0.5);
  M drop_difference, drop_sum = {0};
  const V f1 = function_difference(f, points[i], points[j], &drop_difference);
  const E hermitian = times_power(f1, f->pair, scaled(half, add(x, y)));
  E skew = zero;
  if (i != j || IS_COMPLEX) {
    const V f2 = function_sum(f, points[i], points[j], &drop_sum);
    skew = times_power(f2, f->pair, scaled(half, add(x, negative(y))));
  }
  f->dropped += drop_difference | drop_sum;
  set_entry(form->M, i, j, add(hermitian, skew));
  if (i != j)
    set_entry(form->M, j, i, conjugate(add(hermitian, negative(skew))));
}

/* V f(S) Vh, with a Hermitian P: M_ij = 2 s_i (f(s_i) - f(s_j)) / (s_i^2 - s_j^2) P_ij. */
INLINE void pair_of_one(lane_function_t *f, const function_form_t *form, const lane_point_t *points, int64_t i,
                        int64_t j) {
  const lane_point_t a = points[i], b = points[j];
  const E P = entry_at(form->P, i, j);
  M drop_difference, drop_quotient;
  const V f1 = function_difference(f, a, b, &drop_difference);
  const V phi = 2 * divide_where(f, ~(M){0}, f1, a.s + b.s, &drop_quotient);
  f->dropped += drop_difference;
  f->dropped += drop_quotient;
  set_entry(form->M, i, j, times_power(phi * a.s, f->pair, P));
  if (i != j)
    set_entry(form->M, j, i, times_power(phi * b.s, f->pair, conjugate(P)));
}

/* The factors of the parts outside the spans. */
INLINE void form_factors(lane_function_t *f, const function_form_t *form, const lane_point_t *points) {
  set_real(form->step, 0, f->pair.second);
  for (int64_t j = 0; j < form->values.s.count && form->outside; j++) {
    M dropped = {0};
    const V ratio = function_sum(f, points[j], points[j], &dropped);
    f->dropped += dropped;
    set_real(form->factor, j, (form->form == SVDGRAD_FORM_UVH ? ratio : 2 * ratio) * f->pair.first);
  }
}

/* A threshold t = moving s_1 adds a derivative with respect to s_1 to the diagonal, at the values tied with s_1. */
INLINE void form_moving(const lane_function_t *f, const function_form_t *form, const lane_point_t *points) {
  const int64_t k = form->values.s.count;
  const V zero = {0}, one = broadcast(1);
  V sum = zero, members = zero;
  if (f->moving == 0 || f->kind == SVDGRAD_FUNCTION_HARD_THRESHOLD)
    return;
  for (int64_t i = 0; i < k; i++) {
    const M moves = f->kind == SVDGRAD_FUNCTION_SOFT_THRESHOLD ? points[i].kept : ~points[i].kept;
    const V slope = broadcast(f->kind == SVDGRAD_FUNCTION_SOFT_THRESHOLD ? -f->moving : f->moving);
    sum += choose_real(moves, slope, zero) * real_part(entry_at(form->P, i, i));
    members += choose_real((M)(f->s1 - points[i].s <= f->floor), one, zero);
  }
  const M exists = (M)(f->s1 != 0);
  for (int64_t i = 0; i < k; i++) {
    const M shares = exists & (M)(f->s1 - points[i].s <= f->floor);
    const E there = entry_at(form->M, i, i);
    set_entry(form->M, i, i, choose(shares, add(there, from_real(sum / members)), there));
  }
}

INLINE void report_function(const group_t *g, const lane_function_t *f, const function_form_t *form) {
  const int *exponent = form->values.exponent;
  for (int l = 0; l < g->count; l++) {
    const double s1 = (double)f->s1[l], gap = (double)f->min_gap[l];
    const int dropped = -(int)f->dropped[l];
    form->report[g->first + l] =
        (svdgrad_report_t){.min_gap = gap < INFINITY ? (s1 > 0 ? gap / s1 : 0) : gap,
                           .amplification = ldexp((double)f->amplification[l], -exponent[l]),
                           .dropped_pairs = dropped,
                           .flags = (dropped ? SVDGRAD_REPORT_DROPPED : 0) | (f->cut[l] ? SVDGRAD_REPORT_CUT : 0)};
  }
}

/* Largest number of values. */
enum { MOST_POINTS = 16 };

/* 0: not this function. */
static int form_pairs(const group_t *g, const function_form_t *form) {
  const int64_t k = form->values.s.count;
  lane_point_t points[MOST_POINTS];
  if (!function_is_in_lanes(form) || k > MOST_POINTS)
    return 0;
  lane_function_t f = function_of(g, form);
  for (int64_t i = 0; i < k; i++)
    points[i] = evaluate(&f, form, i);
  for (int64_t j = 0; j < k; j++)
    for (int64_t i = 0; i <= j; i++)
      if (form->form == SVDGRAD_FORM_UVH)
        pair_of_both(&f, form, points, i, j);
      else
        pair_of_one(&f, form, points, i, j);
  form_moving(&f, form, points);
  form_factors(&f, form, points);
  if (form->report)
    report_function(g, &f, form);
  return 1;
}

#endif
