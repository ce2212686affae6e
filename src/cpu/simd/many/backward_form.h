/* SPDX-License-Identifier: BSD-3-Clause */
/* The k-by-k step of the backward pass (backward_form_t of functions/forms.h) with a matrix in each lane: the rules of
 * functions/backward_core.h, with the gap policy of gap.h. */
#ifndef SVDGRAD_MANY_BACKWARD_FORM_H
#define SVDGRAD_MANY_BACKWARD_FORM_H
#include "gap.h"
#include "program_values.h"

/* ---- norms of the cotangents ---- */

/* Adds |G| to *norm and the norm of its largest column to *largest_column.  G is divided by a power of two, so that its
 * squares neither over- nor underflow. */
INLINE void add_cotangent(tensor_t G, V *norm, V *largest_column) {
  V largest = {0}, all = {0}, most = {0};
  if (!G.data)
    return;
  for (int64_t j = 0; j < G.columns; j++)
    for (int64_t i = 0; i < G.rows; i++)
      largest = larger(largest_part(entry_at(G, i, j)), largest);
  const V size = power_below(largest), unit = 1 / size;
  for (int64_t j = 0; j < G.columns; j++) {
    V square = {0};
    for (int64_t i = 0; i < G.rows; i++)
      square = add_square(square, scaled(unit, entry_at(G, i, j)));
    all += square;
    most = larger(square, most);
  }
  *norm += square_root(all) * size;
  *largest_column += square_root(most) * size;
}

/* ---- pairs ---- */

INLINE E difference_of(E x, E y) { return add(x, negative(y)); }

/* Entries (i, j) and (j, i) of M. */
INLINE void divide_pair(gaps_t *gaps, const backward_form_t *form, powers_t scale, int64_t i, int64_t j) {
  const E X = difference_of(entry_at(form->P, i, j), conjugate(entry_at(form->P, j, i)));
  const E Y = difference_of(entry_at(form->Q, i, j), conjugate(entry_at(form->Q, j, i)));
  const E sum = add(X, Y), difference = difference_of(X, Y);
  const gap_factors_t f = gap_pair(gaps, real_at(form->values.s, i), real_at(form->values.s, j), sum, difference);
  const E hermitian = times_power((R)0.5 * f.minus, scale, sum);
  const E skew = times_power((R)0.5 * f.plus, scale, difference);
  set_entry(form->M, i, j, add(hermitian, skew));
  set_entry(form->M, j, i, conjugate(difference_of(hermitian, skew)));
}

INLINE void divide_diagonal(gaps_t *gaps, const backward_form_t *form, powers_t scale, int64_t j) {
  E M_jj = from_real(real_at(form->gS, j));
#if IS_COMPLEX
  const V s = real_at(form->values.s, j), p = entry_at(form->P, j, j).im, q = entry_at(form->Q, j, j).im;
  const E difference = {{0}, 2 * (p - q)};
  gap_gauge(gaps, absolute(p + q));
  M dropped;
  const V plus = gap_phase(gaps, s + s, difference, &dropped);
  gaps->dropped += dropped;
  M_jj = add(M_jj, times_power((R)0.5 * plus, scale, difference));
#else
  (void)gaps, (void)scale;
#endif
  set_entry(form->M, j, j, M_jj);
}

/* The equations x s - r y = p, y s - r x = q of a discarded value r and a kept value s; last: the last value kept. */
INLINE void solve_discarded(gaps_t *gaps, const rest_form_t *rest, V s, V last, V outside, powers_t scale, int64_t i,
                            int64_t j) {
  const E p = entry_at(rest->p, i, j), q = entry_at(rest->q, i, j), both = add(p, q), difference = difference_of(p, q);
  const V r = lesser(last, real_at(rest->r, i));
  const M are_zero = gap_sum_is_dropped(gaps, r + s);
  const gap_factors_t f = gap_pair(gaps, r, s, choose(are_zero, from_real(outside), both),
                                   choose(are_zero, from_real(outside), difference));
  const E x = times_power((R)0.5 * f.minus, scale, both);
  const E y = times_power((R)0.5 * f.plus, scale, difference);
  set_entry(rest->x, i, j, add(x, y));
  set_entry(rest->y, i, j, difference_of(x, y));
}

/* The largest part of an entry of column j; 0 where there is none. */
INLINE V largest_entry(tensor_t X, int64_t j) {
  V largest = {0};
  for (int64_t i = 0; i < X.rows && X.columns > 0; i++)
    largest = larger(largest_part(entry_at(X, i, j)), largest);
  return largest;
}

/* Mask of the matrices whose cut splits a cluster. */
INLINE M solve_rest(gaps_t *gaps, const backward_form_t *form, powers_t scale) {
  const rest_form_t *rest = &form->rest;
  const values_t values = form->values;
  const int64_t k = values.s.count;
  for (int64_t j = 0; j < k && rest->r.count > 0; j++) {
    const V outside = largest_entry(form->outside_U, j) + largest_entry(form->outside_V, j);
    for (int64_t i = 0; i < rest->r.count; i++)
      solve_discarded(gaps, rest, real_at(values.s, j), real_at(values.s, k - 1), outside, scale, i, j);
  }
  if (rest->r.count == 0 || k == 0)
    return (M){0};
  return (M)(real_at(values.s, k - 1) - real_at(rest->r, 0) <= gaps->floor);
}

/* ---- what is not a pair ---- */

/* The gauge part of further columns: the skew-Hermitian part of X = U2^H gU2. */
INLINE void tally_further(gaps_t *gaps, tensor_t X) {
  for (int64_t j = 0; j < X.columns; j++)
    for (int64_t i = 0; i <= j; i++)
      gap_gauge(gaps, magnitude(gaps, difference_of(entry_at(X, i, j), conjugate(entry_at(X, j, i)))));
}

INLINE M has_entry(tensor_t X, int64_t j) {
  M found = {0};
  for (int64_t i = 0; i < X.rows && X.columns > 0; i++)
    found |= nonzero(entry_at(X, i, j));
  return found;
}

/* What stands for 1/s_j before the parts outside the spans.  Where it is dropped, that counts if a part may also lie outside
 * the span of all min(m, n) vectors: pairs count for the others. */
INLINE void form_inverses(gaps_t *gaps, const backward_form_t *form, powers_t scale) {
  const int64_t all = form->values.s.count + form->rest.r.count;
  const M none = {0};
  const M always = gaps->policy == SVDGRAD_GAP_EXACT ? ~(M){0} : (M){0};
  set_real(form->step, 0, scale.second);
  for (int64_t j = 0; j < form->inverse.count; j++) {
    const V s = real_at(form->values.s, j);
    const M left = has_entry(form->outside_U, j), right = has_entry(form->outside_V, j), exists = always | left | right;
    const M beyond = (form->outside_U.rows > all ? left : none) | (form->outside_V.rows > all ? right : none);
    gaps->dropped += beyond & gap_sum_is_dropped(gaps, s);
    set_real(form->inverse, j, choose_real(exists, gap_outside(gaps, s), (V){0}) * scale.first);
  }
}

/* 2^-exponent; NaN where the SVD of the discarded part failed. */
INLINE powers_t scale_of(const group_t *g, M exponent, const int32_t *failed) {
  powers_t scale = powers_of(-exponent);
  for (int l = 0; l < g->count && failed; l++)
    if (!svd_is_valid(failed[g->first + l]))
      scale.first[l] = (R)NAN, scale.second[l] = 1;
  return scale;
}

/* gaps->power is 1: the exponents of a program may be larger than those of one power of two. */
INLINE void report_form(const group_t *g, gaps_t *gaps, values_t values, M cut, svdgrad_report_t *report) {
  gaps->power = broadcast(1);
  gap_report(gaps, report + g->first, g->count);
  for (int l = 0; l < g->count; l++) {
    svdgrad_report_t *one = report + g->first + l;
    one->amplification = ldexp(one->amplification, -((const int *)values.exponent)[l]);
    one->flags |= cut[l] ? SVDGRAD_REPORT_CUT : 0;
  }
}

static void form_backward(const group_t *g, const backward_form_t *form) {
  const powers_t scale = scale_of(g, load_exponent(form->values.exponent), form->rest.failed);
  const int64_t k = form->values.s.count;
  gaps_t gaps = {.s1 = real_at(form->values.s, 0)};
  V norm = {0}, largest_column = {0};
  M cut = {0};
  add_cotangent(form->gU, &norm, &largest_column);
  add_cotangent(form->gV, &norm, &largest_column);
  gap_start(&gaps, g->p, norm, largest_column);
  if (form->P.data) {
    tally_further(&gaps, form->further_U);
    tally_further(&gaps, form->further_V);
    for (int64_t j = 0; j < k; j++) {
      for (int64_t i = 0; i < j; i++)
        divide_pair(&gaps, form, scale, i, j);
      divide_diagonal(&gaps, form, scale, j);
    }
    cut = solve_rest(&gaps, form, scale);
    form_inverses(&gaps, form, scale);
  }
  if (form->report)
    report_form(g, &gaps, form->values, cut, form->report);
}

#endif
