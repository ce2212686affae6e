/* SPDX-License-Identifier: BSD-3-Clause */
/* The forms of machine.h on the CPU: the k-by-k elementwise steps that are not matrix products.  Those that a group has a
 * SIMD kernel for go there, all others lane by lane. */
#ifndef SVDGRAD_HOST_FORMS_H
#define SVDGRAD_HOST_FORMS_H
#include "rules/determinant.h"
#include "rules/norm.h"
#include "rules/special_unitary.h"
#include "forms.h"
#include "host_operations.h"

static double value_at(const host_machine_t *h, values_t values, int64_t lane, int64_t i) {
  return (double)real_at(h, values.s, i)[lane];
}

/* The gap policy of one lane.  There are no cotangents to compare with, so that no term counts as gauge or as noise. */
static gap_policy_t policy_in_lane(const host_machine_t *h, values_t values, int64_t lane) {
  const problem_t *p = h->base.p;
  const double s1 = values.s.count > 0 ? value_at(h, values, lane, 0) : 0;
  gap_policy_t policy = gap_policy_make(p->gap_policy, p->gap_param, EPSILON, s1, INFINITY, 0);
  return policy;
}

static void report_lane(const host_machine_t *h, const gap_policy_t *policy, values_t values, int64_t lane,
                        svdgrad_report_t *report) {
  if (report)
    report[h->b + lane] = gap_report(policy, *exponent_at(values, lane));
}

/* 2^-exponent; NaN where the SVD of the discarded part failed. */
static power_t scale_in_lane(const host_machine_t *h, values_t values, const rest_form_t *rest, int64_t lane) {
  const int failed = rest->failed && !svd_is_valid(rest->failed[h->b + lane]);
  return failed ? (power_t){(compute_real_t)NAN, 1} : power_of(-*exponent_at(values, lane));
}

/* Used in place of 1/s_j, times scale.second, for parts outside the spans whose size is `outside`. */
static compute_real_t inverse_of(const host_machine_t *h, values_t values, int64_t lane, int64_t j, double outside,
                                 power_t scale, gap_policy_t *policy) {
  return (compute_real_t)gap_outside(policy, value_at(h, values, lane, j), outside) * scale.first;
}

/* Where nothing is outside, no inverse is used. */
static void form_inverse(const host_machine_t *h, values_t values, int64_t lane, int outside, power_t scale,
                         gap_policy_t *policy, reals_t inverse, reals_t step) {
  real_at(h, step, 0)[lane] = scale.second;
  for (int64_t j = 0; j < values.s.count; j++)
    real_at(h, inverse, j)[lane] = outside ? inverse_of(h, values, lane, j, 1, scale, policy) : 0;
}

/* Kept value j.  outside: the size of the parts outside the spans. */
static void solve_rest_of(const host_machine_t *h, const rest_form_t *rest, values_t values, int64_t lane, int64_t j,
                          double outside, power_t scale, gap_policy_t *policy) {
  const double last = value_at(h, values, lane, values.s.count - 1), s = value_at(h, values, lane, j);
  for (int64_t i = 0; i < rest->r.count; i++) {
    const double r = gap_discarded((double)real_at(h, rest->r, i)[lane], last);
    const solution_t z =
        solve_discarded(policy, r, s, get(h, rest->p, lane, i, j), get(h, rest->q, lane, i, j), outside, scale);
    set(h, rest->x, lane, i, j, z.x);
    set(h, rest->y, lane, i, j, z.y);
  }
}

static void tally_cut(const host_machine_t *h, const rest_form_t *rest, values_t values, int64_t lane,
                      gap_policy_t *policy) {
  const int64_t k = values.s.count;
  if (rest->r.count > 0 && k > 0)
    gap_cut(policy, value_at(h, values, lane, k - 1), (double)real_at(h, rest->r, 0)[lane]);
}

/* ---- backward ---- */

static inline cotangent_size_t cotangent_in_lane(const host_machine_t *h, tensor_t g, int64_t lane) {
  return g.data ? cotangent_size(g.rows, g.columns, place(h, g, 0, 0) + lane, h->lanes) : (cotangent_size_t){0, 0};
}

/* The gauge part of further columns: the skew-Hermitian part of X = U2^H gU2. */
static void tally_further(const host_machine_t *h, tensor_t X, int64_t lane, double norm, gap_policy_t *policy) {
  for (int64_t j = 0; j < X.columns; j++)
    for (int64_t i = 0; i <= j; i++)
      gap_gauge(policy, magnitude(get(h, X, lane, i, j) - CONJ(get(h, X, lane, j, i))), norm);
}

/* The largest entry of column j; 0 where there is none. */
static double largest_entry(const host_machine_t *h, tensor_t X, int64_t lane, int64_t j) {
  double largest = 0;
  for (int64_t i = 0; i < X.rows && X.columns > 0; i++) {
    const double size = magnitude(get(h, X, lane, i, j));
    largest = size > largest || isnan(size) ? size : largest;
  }
  return largest;
}

/* What stands for 1/s_j before the parts outside the spans.  Where it is dropped, that counts if a part may also lie outside
 * the span of all min(m, n) vectors: pairs count for the others. */
static void outside_in_lane(const host_machine_t *h, const backward_form_t *form, int64_t lane, int64_t j,
                            power_t scale, gap_policy_t *policy) {
  const int64_t all = form->values.s.count + form->rest.r.count;
  const double left = largest_entry(h, form->outside_U, lane, j), right = largest_entry(h, form->outside_V, lane, j);
  const int beyond = (form->outside_U.rows > all && left != 0) || (form->outside_V.rows > all && right != 0);
  if (form->rest.r.count > 0)
    solve_rest_of(h, &form->rest, form->values, lane, j, left + right, scale, policy);
  gap_policy_t tally = *policy;
  real_at(h, form->inverse, j)[lane] = inverse_of(h, form->values, lane, j, left + right, scale, &tally);
  if (beyond)
    *policy = tally;
}

static entries_t entries_at(const host_machine_t *h, tensor_t X, int64_t lane, int64_t i, int64_t j) {
  return (entries_t){get(h, X, lane, i, j), get(h, X, lane, j, i)};
}

static void form_M(const host_machine_t *h, const backward_form_t *form, int64_t lane, double norm, power_t scale,
                   gap_policy_t *policy) {
  for (int64_t j = 0; j < form->values.s.count; j++) {
    const double s_j = value_at(h, form->values, lane, j);
    for (int64_t i = 0; i < j; i++) {
      const entries_t M = divide_pair(policy, value_at(h, form->values, lane, i), s_j,
                                      entries_at(h, form->P, lane, i, j), entries_at(h, form->Q, lane, i, j), scale);
      set(h, form->M, lane, i, j, M.ij);
      set(h, form->M, lane, j, i, M.ji);
    }
    const compute_t P = get(h, form->P, lane, j, j), Q = get(h, form->Q, lane, j, j);
    set(h, form->M, lane, j, j, real_at(h, form->gS, j)[lane] + divide_diagonal(policy, s_j, P, Q, norm, scale));
  }
}

static inline void backward_in_lane(const host_machine_t *h, const backward_form_t *form, int64_t lane) {
  const cotangent_size_t gU = cotangent_in_lane(h, form->gU, lane), gV = cotangent_in_lane(h, form->gV, lane);
  const power_t scale = scale_in_lane(h, form->values, &form->rest, lane);
  const double norm = gU.norm + gV.norm;
  gap_policy_t policy = policy_of(h->base.p, value_at(h, form->values, lane, 0), gU, gV);
  if (form->P.data) {
    tally_further(h, form->further_U, lane, norm, &policy);
    tally_further(h, form->further_V, lane, norm, &policy);
    form_M(h, form, lane, norm, scale, &policy);
    real_at(h, form->step, 0)[lane] = scale.second;
    for (int64_t j = 0; j < form->inverse.count; j++)
      outside_in_lane(h, form, lane, j, scale, &policy);
    tally_cut(h, &form->rest, form->values, lane, &policy);
  }
  report_lane(h, &policy, form->values, lane, form->report);
}

static void form_backward(machine_t *machine, const backward_form_t *form) {
  const host_machine_t *h = host(machine);
  const group_t group = group_of(h);
  if (h->group) {
    h->group->form_backward(&group, form);
    return;
  }
  for (int64_t lane = 0; lane < h->count; lane++)
    backward_in_lane(h, form, lane);
}

/* ---- tangents ---- */

/* Hermitian and skew-Hermitian part of a matrix at (i, j). */
typedef struct parts {
  compute_t hermitian, skew;
} parts_t;

static parts_t parts_at(const host_machine_t *h, tensor_t X, int64_t lane, int64_t i, int64_t j) {
  const compute_t x = get(h, X, lane, i, j), y = CONJ(get(h, X, lane, j, i));
  return (parts_t){(x + y) / 2, (x - y) / 2};
}

/* K = herm(E) Dm + skew(E) Dp and N = herm(E) Dm - skew(E) Dp at (i, j) and (j, i), i <= j. */
static void form_tangents(const host_machine_t *h, tensor_t E, int64_t lane, int64_t i, int64_t j, gap_factors_t f,
                          power_t scale, tensor_t K, tensor_t N) {
  const parts_t e = parts_at(h, E, lane, i, j);
  const compute_t x = (compute_real_t)f.minus * e.hermitian * scale.first * scale.second;
  const compute_t y = (compute_real_t)f.plus * e.skew * scale.first * scale.second;
  set(h, K, lane, i, j, x + y);
  set(h, N, lane, i, j, x - y);
  if (i == j)
    return;
  set(h, K, lane, j, i, -CONJ(x + y));
  set(h, N, lane, j, i, -CONJ(x - y));
}

static void jvp_pair(const host_machine_t *h, const jvp_form_t *form, int64_t lane, int64_t i, int64_t j, power_t scale,
                     gap_policy_t *policy) {
  const parts_t e = parts_at(h, form->E, lane, i, j);
  const double s_i = value_at(h, form->values, lane, i), s_j = value_at(h, form->values, lane, j);
  const double gauge = 2 * magnitude(e.hermitian), phase = 2 * magnitude(e.skew);
  const gap_factors_t f = i == j ? gap_diagonal(policy, s_i, phase) : gap_pair(policy, s_i, s_j, gauge, phase);
  form_tangents(h, form->E, lane, i, j, f, scale, form->K, form->N);
}

/* The steps after all pairs. */
static void finish_jvp(const host_machine_t *h, const jvp_form_t *form, int64_t lane, power_t scale,
                       gap_policy_t *policy) {
  const int64_t k = form->values.s.count;
  for (int64_t j = 0; j < k; j++)
    real_at(h, form->dS, j)[lane] = RE(get(h, form->E, lane, j, j));
  for (int64_t j = 0; j < k; j++)
    solve_rest_of(h, &form->rest, form->values, lane, j, 1, scale, policy);
  tally_cut(h, &form->rest, form->values, lane, policy);
  form_inverse(h, form->values, lane, form->outside, scale, policy, form->inverse, form->step);
  report_lane(h, policy, form->values, lane, form->report);
}

static void form_jvp(machine_t *machine, const jvp_form_t *form) {
  const host_machine_t *h = host(machine);
  gap_policy_t policy[GROUP_MOST_LANES];
  power_t scale[GROUP_MOST_LANES];
  for (int64_t lane = 0; lane < h->count; lane++) {
    policy[lane] = policy_in_lane(h, form->values, lane);
    scale[lane] = scale_in_lane(h, form->values, &form->rest, lane);
  }
  for (int64_t j = 0; j < form->values.s.count; j++)
    for (int64_t i = 0; i <= j; i++)
      for (int64_t lane = 0; lane < h->count; lane++)
        jvp_pair(h, form, lane, i, j, scale[lane], &policy[lane]);
  for (int64_t lane = 0; lane < h->count; lane++)
    finish_jvp(h, form, lane, scale[lane], &policy[lane]);
}

/* LORENTZ replaces 1/x, x = s_j - s_i, by L = x/(x^2 + w^2), w = gap_param s_1.  Returns bend = w/(x^2 + w^2), with
 * which dL/dx = bend^2 - L^2 and dL/dw = -2 L bend; 0 under every other policy. */
static double bend_of(const gap_policy_t *policy, double x, double minus) {
  return policy->policy == SVDGRAD_GAP_LORENTZ && minus != 0 ? minus * (policy->width / x) : 0;
}

/* One pair i <= j of the second backward pass: K and N along ggA, M of the first pass, and the contribution of M's
 * divisors to sb. */
static void second_pair(const host_machine_t *h, const svd_backward_backward_form_t *form, int64_t lane, int64_t i,
                        int64_t j, power_t scale, gap_policy_t *policy) {
  const parts_t p = parts_at(h, form->P, lane, i, j), q = parts_at(h, form->Q, lane, i, j);
  const parts_t z = parts_at(h, form->Z, lane, i, j);
  const compute_t sum = 2 * (p.skew + q.skew), difference = 2 * (p.skew - q.skew); /* X + Y, X - Y */
  const double gauge = magnitude(sum) + magnitude(z.hermitian);
  const double phase = magnitude(difference) + magnitude(z.skew);
  const double s_i = value_at(h, form->values, lane, i), s_j = value_at(h, form->values, lane, j);
  const gap_factors_t f = i == j ? gap_diagonal(policy, s_i, phase) : gap_pair(policy, s_i, s_j, gauge, phase);
  form_tangents(h, form->Z, lane, i, j, f, scale, form->K, form->N);
  const compute_real_t minus = (compute_real_t)f.minus * scale.first, plus = (compute_real_t)f.plus * scale.first,
                       second = scale.second;
  const compute_real_t bend = (compute_real_t)bend_of(policy, s_j - s_i, f.minus) * scale.first;
  const compute_t hermitian = minus / 2 * sum * second, skew = plus / 2 * difference * second,
                  bent = bend / 2 * sum * second;
  const compute_t x = CONJ(minus * z.hermitian) * second, y = CONJ(plus * z.skew) * second;
  set(h, form->M, lane, i, j, hermitian + skew);
  /* Derivatives of 1/(s_j - s_i) and 1/(s_i + s_j), for (i, j) and (j, i); squares of divisors may overflow. */
  const compute_real_t both = i == j ? 1 : 2;
  const compute_real_t along = both * (compute_real_t)RE(x * hermitian - CONJ(bend * z.hermitian) * second * bent);
  const compute_real_t across = both * (compute_real_t)RE(y * skew);
  compute_real_t *sb_i = real_at(h, form->sb, i) + lane, *sb_j = real_at(h, form->sb, j) + lane;
  *sb_j -= along + across;
  *sb_i += along - across;
  real_at(h, form->sb, 0)[lane] -= 2 * both * (compute_real_t)RE(x * bent) * (compute_real_t)h->base.p->gap_param;
  if (i == j)
    return;
  set(h, form->M, lane, j, i, CONJ(hermitian) - CONJ(skew));
}

/* Splits inverse_j into itself, from 1 to 2, and power_j, so that what is to be divided by s_j can be divided by a power
 * of two first, which changes no digit.  Both are 0 where s_j is dropped: nothing of its products may overflow. */
static void split_inverse(const host_machine_t *h, const svd_backward_backward_form_t *form, int64_t lane, int64_t j) {
  compute_real_t *inverse = real_at(h, form->inverse, j) + lane;
  int exponent = 1;
  if (isfinite(*inverse))
    *inverse = (compute_real_t)(2 * frexp((double)*inverse, &exponent));
  real_at(h, form->power, j)[lane] = *inverse == 0 ? 0 : (compute_real_t)ldexp(1.0, exponent - 1);
}

static void finish_second(const host_machine_t *h, const svd_backward_backward_form_t *form, int64_t lane,
                          power_t scale, gap_policy_t *policy) {
  form_inverse(h, form->values, lane, form->outside, scale, policy, form->inverse, form->step);
  for (int64_t j = 0; j < form->values.s.count; j++) {
    split_inverse(h, form, lane, j);
    const compute_t M = get(h, form->M, lane, j, j);
    set(h, form->M, lane, j, j, M + real_at(h, form->gS, j)[lane]);
    real_at(h, form->dS, j)[lane] = RE(get(h, form->Z, lane, j, j));
  }
  report_lane(h, policy, form->values, lane, form->report);
}

static void form_second(machine_t *machine, const svd_backward_backward_form_t *form) {
  const host_machine_t *h = host(machine);
  gap_policy_t policy[GROUP_MOST_LANES];
  power_t scale[GROUP_MOST_LANES];
  for (int64_t lane = 0; lane < h->count; lane++) {
    policy[lane] = policy_in_lane(h, form->values, lane);
    scale[lane] = power_of(-*exponent_at(form->values, lane));
    for (int64_t j = 0; j < form->values.s.count; j++)
      real_at(h, form->sb, j)[lane] = 0;
  }
  for (int64_t j = 0; j < form->values.s.count; j++)
    for (int64_t i = 0; i <= j; i++)
      for (int64_t lane = 0; lane < h->count; lane++)
        second_pair(h, form, lane, i, j, scale[lane], &policy[lane]);
  for (int64_t lane = 0; lane < h->count; lane++)
    finish_second(h, form, lane, scale[lane], &policy[lane]);
}

static void form_outside(machine_t *machine, const svd_backward_backward_form_t *form) {
  const host_machine_t *h = host(machine);
  for (int64_t j = 0; j < form->values.s.count; j++)
    for (int64_t lane = 0; lane < h->count; lane++) {
      const compute_real_t inverse = real_at(h, form->inverse, j)[lane];
      real_at(h, form->sb, j)[lane] -= (compute_real_t)RE(get(h, form->D, lane, j, j)) * inverse * inverse;
    }
}

/* A function in one lane. */
typedef struct lane_function {
  function_rule_t rule;
  gap_policy_t tally;
  double value_scale, pair_scale; /* factors to the caller's units: of f, of its divided differences */
  compute_real_t pair_rest;       /* second factor of the latter, nearly always 1: the product may overflow */
} lane_function_t;

/* function_scale(power, exponent) as first times rest. */
static void split_scale(double power, int exponent, double *first, compute_real_t *rest) {
  const double product = power * exponent, limit = POWER_LIMIT;
  const double part = fmax(-limit, fmin(product, limit));
  *rest = fabs(product) <= limit ? 1 : (compute_real_t)exp2(product - part);
  *first = fabs(product) <= limit ? function_scale(power, exponent) : exp2(part);
}

static lane_function_t function_in_lane(const host_machine_t *h, const function_form_t *form, int64_t lane) {
  lane_function_t f;
  const int exponent = *exponent_at(form->values, lane);
  const double s1 = form->values.s.count > 0 ? value_at(h, form->values, lane, 0) : 0;
  f.tally = policy_in_lane(h, form->values, lane);
  f.rule = function_make(form->kind, form->param, form->relative, h->base.p->gap_policy, EPSILON, s1, exponent,
                         form->larger);
  f.value_scale = function_scale(f.rule.degree, exponent);
  split_scale(f.rule.degree - 1, exponent, &f.pair_scale, &f.pair_rest);
  return f;
}

/* f(s_i) in normalized units. */
static function_point_t evaluate(const host_machine_t *h, const function_form_t *form, const lane_function_t *f,
                                 int64_t lane, int64_t i) {
  const int custom = form->kind == SVDGRAD_FUNCTION_CUSTOM, rotation = form->kind == SVDGRAD_FUNCTION_ROTATION;
  const double value = custom ? (double)real_at(h, form->f, i)[lane] : 0;
  const double sign = rotation ? (double)RE(get(h, form->phase, lane, 0, 0)) : 1;
  return function_point(&f->rule, value_at(h, form->values, lane, i), i, form->values.s.count, value, 0, sign,
                        f->tally.floor);
}

#if IS_COMPLEX
/* The angles of ROTATION in one lane. */
static angles_t angles_in_lane(const host_machine_t *h, const function_form_t *form, int64_t lane) {
  const int64_t k = form->values.s.count;
  const compute_t phase = get(h, form->phase, lane, 0, 0);
  const double target = fabs(atan2((double)IM(phase), (double)RE(phase)));
  angles_t angles = angles_begin(target, k > 0 ? value_at(h, form->values, lane, k - 1) : 0, k > 0 ? k : 1);
  do
    for (int64_t i = 0; i + 1 < k; i++)
      angles_add(&angles, value_at(h, form->values, lane, i));
  while (angles_next(&angles));
  return angles;
}

/* e^(i theta_j); the sum of the angles is -arg det(U Vh). */
static void store_phases(const host_machine_t *h, const function_form_t *form, const angles_t *angles, int64_t lane) {
  const int64_t k = form->values.s.count;
  const double sign = IM(get(h, form->phase, lane, 0, 0)) < 0 ? 1 : -1;
  for (int64_t j = 0; j < k; j++) {
    const double theta = j + 1 < k ? angles_at(angles, value_at(h, form->values, lane, j)) : angles->theta;
    set(h, form->phases, lane, j, 0, CMPLX_OF((compute_real_t)cos(theta), (compute_real_t)(sign * sin(theta))));
  }
}

/* M = D L, with Z = skew(D^* P), D = diag(e^(i theta)):
 *   L_ij = 2 Z_ij / (h_i + h_j),   L_ii = (Z_ii - mu) / h_i with mu such that the trace of L is zero,
 * without any division by the small h_n: L_nn = sum_c (Z_nn - Z_cc) / h_c / (1 + h_n sum_c 1 / h_c), c < n. */
static double eigenvalue_at(const host_machine_t *h, const function_form_t *form, const angles_t *angles, int64_t lane,
                            int64_t j) {
  const double s = value_at(h, form->values, lane, j);
  return j + 1 < form->values.s.count ? angles_eigenvalue(angles, s) : angles->last * angles->cosine;
}

/* (D^* P)_ij */
static compute_t without_phase(const host_machine_t *h, const function_form_t *form, int64_t lane, int64_t i,
                               int64_t j) {
  return CONJ(get(h, form->phases, lane, i, 0)) * get(h, form->P, lane, i, j);
}

static void rotation_diagonal(const host_machine_t *h, const function_form_t *form, const angles_t *angles,
                              lane_function_t *f, int64_t lane) {
  const int64_t last = form->values.s.count - 1;
  const double z_last = (double)IM(without_phase(h, form, lane, last, last)), h_last = angles->last * angles->cosine;
  double sum = 0, weighted = 0; /* sums of 1 / h_c and of Z_cc / h_c */
  for (int64_t c = 0; c < last; c++) {
    const double inverse = function_divide(&f->rule, 1, eigenvalue_at(h, form, angles, lane, c), &f->tally);
    sum += inverse;
    weighted += inverse * (double)IM(without_phase(h, form, lane, c, c));
  }
  const double inverse = function_divide(&f->rule, 1, fabs(1 + h_last * sum) * f->tally.s1, &f->tally) * f->tally.s1;
  const double trace = 1 + h_last * sum < 0 ? -inverse : inverse, mu = (z_last + h_last * weighted) * trace;
  for (int64_t i = 0; i <= last; i++) {
    const double z = (double)IM(without_phase(h, form, lane, i, i));
    const double L = i == last
                         ? (z_last * sum - weighted) * trace
                         : (z - mu) * function_divide(&f->rule, 1, eigenvalue_at(h, form, angles, lane, i), &f->tally);
    const compute_t d = get(h, form->phases, lane, i, 0);
    const compute_real_t x = (compute_real_t)(trace == 0 ? 0 : L * f->pair_scale) * f->pair_rest;
    set(h, form->M, lane, i, i, CMPLX_OF(-IM(d) * x, RE(d) * x));
  }
}

static void rotation_pairs(const host_machine_t *h, const function_form_t *form, lane_function_t *f, int64_t lane) {
  const angles_t angles = angles_in_lane(h, form, lane);
  store_phases(h, form, &angles, lane);
  for (int64_t j = 0; j < form->values.s.count; j++)
    for (int64_t i = 0; i < j; i++) {
      const double sum = eigenvalue_at(h, form, &angles, lane, i) + eigenvalue_at(h, form, &angles, lane, j);
      const compute_real_t factor = (compute_real_t)(function_divide(&f->rule, 1, sum, &f->tally) * f->pair_scale);
      const compute_t L =
          factor * (without_phase(h, form, lane, i, j) - CONJ(without_phase(h, form, lane, j, i))) * f->pair_rest;
      set(h, form->M, lane, i, j, get(h, form->phases, lane, i, 0) * L);
      set(h, form->M, lane, j, i, -(get(h, form->phases, lane, j, 0) * CONJ(L)));
    }
  if (form->values.s.count > 0)
    rotation_diagonal(h, form, &angles, f, lane);
}
#endif

static void form_values(machine_t *machine, const function_form_t *form) {
  const host_machine_t *h = host(machine);
  const group_t group = group_of(h);
  if (h->group && h->group->form_values(&group, form))
    return;
  for (int64_t lane = 0; lane < h->count; lane++) {
    const lane_function_t f = function_in_lane(h, form, lane);
    for (int64_t i = 0; i < form->values.s.count; i++)
      real_at(h, form->result, i)[lane] =
          (compute_real_t)(evaluate(h, form, &f, lane, i).f * f.value_scale - form->null_value);
#if IS_COMPLEX
    if (form->phases.data) {
      const angles_t angles = angles_in_lane(h, form, lane);
      store_phases(h, form, &angles, lane);
    }
#endif
  }
}

/* Stores f(s_i) and `kept` of every value, so that pairs need not evaluate f again.  A power may leave the range of the
 * element type where its divided differences, in the caller's units, do not: its exponent is kept apart. */
static void evaluate_all(const host_machine_t *h, const function_form_t *form, const lane_function_t *f, int64_t lane) {
  const int64_t k = form->values.s.count;
  for (int64_t i = 0; i < k; i++) {
    const function_point_t point = evaluate(h, form, f, lane, i);
    int exponent = 0;
    const double mantissa = form->kind == SVDGRAD_FUNCTION_POWER ? frexp(point.f, &exponent) : point.f;
    real_at(h, form->points, i)[lane] = (compute_real_t)mantissa;
    real_at(h, form->points, k + i)[lane] = (compute_real_t)point.kept;
    real_at(h, form->points, 2 * k + i)[lane] = (compute_real_t)exponent;
  }
}

static function_point_t point_at(const host_machine_t *h, const function_form_t *form, int64_t lane, int64_t i) {
  const int64_t k = form->values.s.count;
  function_point_t point = {value_at(h, form->values, lane, i), (double)real_at(h, form->points, i)[lane], 0,
                            real_at(h, form->points, k + i)[lane] != 0};
  if (form->kind == SVDGRAD_FUNCTION_POWER)
    point.f = ldexp(point.f, (int)real_at(h, form->points, 2 * k + i)[lane]);
  if (form->kind == SVDGRAD_FUNCTION_CUSTOM)
    point.df = ldexp((double)real_at(h, form->df, i)[lane], *exponent_at(form->values, lane));
  return point;
}

/* U f(S) Vh: M at (i, j) and (j, i), i <= j. */
static void pair_of_both(const host_machine_t *h, const function_form_t *form, lane_function_t *f, int64_t lane,
                         int64_t i, int64_t j) {
  const function_point_t a = point_at(h, form, lane, i), b = point_at(h, form, lane, j);
  const parts_t p = parts_at(h, form->P, lane, i, j);
  const int dropped = f->tally.dropped, matters = i != j || IS_COMPLEX;
  const double f1 = function_difference(&f->rule, a, b, &f->tally) * f->pair_scale;
  const double f2 = matters ? function_sum(&f->rule, a, b, &f->tally) * f->pair_scale : 0;
  if (f->tally.dropped > dropped)
    f->tally.dropped = dropped + 1;
  const compute_t hermitian = (compute_real_t)f1 * p.hermitian * f->pair_rest,
                  skew = (compute_real_t)f2 * p.skew * f->pair_rest;
  set(h, form->M, lane, i, j, hermitian + skew);
  if (i != j)
    set(h, form->M, lane, j, i, CONJ(hermitian) - CONJ(skew));
}

/* V f(S) Vh, with a Hermitian P: M_ij = 2 s_i (f(s_i) - f(s_j)) / (s_i^2 - s_j^2) P_ij. */
static void pair_of_one(const host_machine_t *h, const function_form_t *form, lane_function_t *f, int64_t lane,
                        int64_t i, int64_t j) {
  const function_point_t a = point_at(h, form, lane, i), b = point_at(h, form, lane, j);
  const compute_t P = get(h, form->P, lane, i, j);
  const double f1 = function_difference(&f->rule, a, b, &f->tally);
  const double phi = 2 * function_divide(&f->rule, f1, a.s + b.s, &f->tally) * f->pair_scale;
  set(h, form->M, lane, i, j, (compute_real_t)(phi * a.s) * P * f->pair_rest);
  if (i != j)
    set(h, form->M, lane, j, i, (compute_real_t)(phi * b.s) * CONJ(P) * f->pair_rest);
}

/* V f(S) Vh with f(0) = null_value: the factors are computed in the caller's units, with their own exponent. */
static int has_null_ratio(const function_form_t *form) {
  return form->form != SVDGRAD_FORM_UVH && form->null_value != 0;
}

/* Factor of the part outside the spans, up to the power of two that form_factor() stores in `step`. */
static double factor_at(const host_machine_t *h, const function_form_t *form, lane_function_t *f, int64_t lane,
                        int64_t j, int exponent) {
  const function_point_t point = point_at(h, form, lane, j);
  if (form->form == SVDGRAD_FORM_UVH)
    return function_ratio(&f->rule, point, &f->tally) * f->pair_scale;
  if (!has_null_ratio(form))
    return function_ratio(&f->rule, point, &f->tally) * (2 * f->pair_scale);
  return 2 * function_null_ratio(&f->rule, point, f->value_scale, form->null_value, exponent, &f->tally);
}

static void form_factor(const host_machine_t *h, const function_form_t *form, lane_function_t *f, int64_t lane) {
  const int exponent = *exponent_at(form->values, lane), limit = POWER_LIMIT;
  const int first = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
  real_at(h, form->step, 0)[lane] = has_null_ratio(form) ? (compute_real_t)ldexp(1.0, first - exponent) : f->pair_rest;
  for (int64_t j = 0; j < form->values.s.count && form->outside; j++)
    real_at(h, form->factor, j)[lane] = (compute_real_t)factor_at(h, form, f, lane, j, first);
}

/* A threshold t = moving s_1 adds a derivative with respect to s_1 to the diagonal, at the values tied with s_1. */
static void form_moving(const host_machine_t *h, const function_form_t *form, const lane_function_t *f, int64_t lane) {
  const int64_t k = form->values.s.count;
  const double s1 = k > 0 ? value_at(h, form->values, lane, 0) : 0;
  compute_real_t sum = 0;
  int64_t first = 0;
  if (f->rule.moving == 0 || s1 == 0)
    return;
  for (int64_t i = 0; i < k; i++) {
    sum += (compute_real_t)function_moves(&f->rule, point_at(h, form, lane, i)) *
           (compute_real_t)RE(get(h, form->P, lane, i, i));
    first += function_is_first(value_at(h, form->values, lane, i), s1, &f->tally);
  }
  for (int64_t i = 0; i < first; i++)
    set(h, form->M, lane, i, i, get(h, form->M, lane, i, i) + sum / (compute_real_t)first);
}

static void form_pairs(machine_t *machine, const function_form_t *form) {
  const host_machine_t *h = host(machine);
  const group_t group = group_of(h);
  if (h->group && h->group->form_pairs(&group, form))
    return;
  const int64_t k = form->values.s.count;
  lane_function_t f[GROUP_MOST_LANES];
  for (int64_t lane = 0; lane < h->count; lane++) {
    f[lane] = function_in_lane(h, form, lane);
    evaluate_all(h, form, &f[lane], lane);
  }
  for (int64_t j = 0; j < k && !form->phases.data; j++)
    for (int64_t i = 0; i <= j; i++)
      for (int64_t lane = 0; lane < h->count; lane++)
        if (form->form == SVDGRAD_FORM_UVH)
          pair_of_both(h, form, &f[lane], lane, i, j);
        else
          pair_of_one(h, form, &f[lane], lane, i, j);
  for (int64_t lane = 0; lane < h->count; lane++) {
#if IS_COMPLEX
    if (form->phases.data)
      rotation_pairs(h, form, &f[lane], lane);
#endif
    form_moving(h, form, &f[lane], lane);
    form_factor(h, form, &f[lane], lane);
    report_lane(h, &f[lane].tally, form->values, lane, form->report);
  }
}

static void form_norm(machine_t *machine, const norm_form_t *form) {
  const host_machine_t *h = host(machine);
  const group_t group = group_of(h);
  if (h->group && h->group->form_norm(&group, form))
    return;
  for (int64_t lane = 0; lane < h->count; lane++) {
    const int exponent = *exponent_at(form->values, lane);
    const gap_policy_t policy = policy_in_lane(h, form->values, lane);
    norm_sum_t sum = norm_begin(form->kind, form->p, &policy, EPSILON, form->larger);
    for (int64_t i = 0; i < form->values.s.count; i++)
      norm_add(&sum, value_at(h, form->values, lane, i));
    const double g = form->g.data ? (double)real_at(h, form->g, 0)[lane] : 1;
    const compute_real_t value = (compute_real_t)norm_value(&sum, exponent);
    int overflow = (R)value == (R)INFINITY;
    real_at(h, form->value, 0)[lane] = value;
    for (int64_t i = 0; i < form->weight.count; i++) {
      const double s = value_at(h, form->values, lane, i);
      const compute_real_t weight = (compute_real_t)norm_weight(&sum, g, s, exponent);
      overflow |= s > 0 && isfinite(g) && isinf((R)weight);
      real_at(h, form->weight, i)[lane] = weight;
    }
    if (overflow && form->info[h->b + lane] == SVDGRAD_INFO_OK)
      form->info[h->b + lane] = SVDGRAD_INFO_OVERFLOW;
  }
}

/* re + im i.  Complex arithmetic in C could give NaN where one part is infinite. */
static compute_t from_parts(double re, double im) {
#if IS_COMPLEX
  return CMPLX_OF((compute_real_t)re, (compute_real_t)im);
#else
  (void)im;
  return (compute_real_t)re;
#endif
}

/* x overflows the type of the operands, which may be narrower. */
static int overflows(compute_t x) { return isinf((double)(R)RE(x)) || isinf((double)(R)IM(x)); }

/* The factor of u_i v_i^H in the gradient of the determinant. */
static compute_t determinant_weight(const host_machine_t *h, const determinant_form_t *form, int64_t lane, int64_t i,
                                    const determinant_t *product, const gap_policy_t *policy) {
  const int exponent = *exponent_at(form->values, lane);
  const double s = value_at(h, form->values, lane, i);
  const compute_t phase = get(h, form->phase, lane, 0, 0), g_det = get(h, form->g_det, lane, 0, 0) * CONJ(phase);
  const compute_t g_sign = CONJ(phase) * get(h, form->g_sign, lane, 0, 0);
  const double g_phase = product->zeros > 0 ? 0 : (double)IM(g_sign);
  const double g_log = (double)real_at(h, form->g_log_abs, 0)[lane];
  return from_parts(determinant_without(product, s, exponent, (double)RE(g_det)) +
                        determinant_quotient(policy, g_log, s, exponent),
                    determinant_without(product, s, exponent, (double)IM(g_det)) +
                        determinant_quotient(policy, g_phase, s, exponent));
}

static void determinant_in_lane(const host_machine_t *h, const determinant_form_t *form, int64_t lane) {
  const int exponent = *exponent_at(form->values, lane);
  const gap_policy_t policy = policy_in_lane(h, form->values, lane);
  const compute_t phase = get(h, form->phase, lane, 0, 0);
  determinant_t product = {1, 0, 0, 0};
  for (int64_t i = 0; i < form->values.s.count; i++)
    determinant_times(&product, value_at(h, form->values, lane, i));
  const double unit = policy.s1 == policy.s1 ? product.zeros == 0 : (double)NAN;
  const compute_t det = from_parts(determinant_value(&product, exponent, (double)RE(phase)),
                                   determinant_value(&product, exponent, (double)IM(phase)));
  set(h, form->det, lane, 0, 0, det);
  set(h, form->sign, lane, 0, 0, (compute_real_t)unit * phase);
  real_at(h, form->log_abs, 0)[lane] = (compute_real_t)determinant_log(&product, exponent);
  for (int64_t i = 0; i < form->weight.rows; i++)
    set(h, form->weight, lane, i, 0, determinant_weight(h, form, lane, i, &product, &policy));
  if (form->info && form->info[h->b + lane] == SVDGRAD_INFO_OK && overflows(det))
    form->info[h->b + lane] = SVDGRAD_INFO_OVERFLOW;
}

static void form_determinant(machine_t *machine, const determinant_form_t *form) {
  const host_machine_t *h = host(machine);
  for (int64_t lane = 0; lane < h->count; lane++)
    determinant_in_lane(h, form, lane);
}

#endif
