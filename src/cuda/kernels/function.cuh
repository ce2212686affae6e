/* SPDX-License-Identifier: BSD-3-Clause */
/* Divided differences (src/rules/function.inc), norms (src/rules/norm.inc) and determinants (src/rules/determinant.inc)
 * in the precision of the elements. */
#pragma once
#include "gap.cuh"

/* Of an angle in [0, pi], for special_unitary_rules.inc, in place of sin and cos: the reduction that those have for large
 * angles takes a stack frame. */
__device__ inline void sine_and_cosine(float angle, float *sine, float *cosine) {
  sincospif(angle / 3.14159265358979324f, sine, cosine);
}
__device__ inline void sine_and_cosine(double angle, double *sine, double *cosine) {
  sincospi(angle / 3.14159265358979324, sine, cosine);
}
template <class R> __device__ inline R sine_of(R angle) {
  R sine, cosine;
  sine_and_cosine(angle, &sine, &cosine);
  return sine;
}
template <class R> __device__ inline R cosine_of(R angle) {
  R sine, cosine;
  sine_and_cosine(angle, &sine, &cosine);
  return cosine;
}
#define sin sine_of
#define cos cosine_of

#define GAP_FUNCTION   static __device__ inline
#define REAL           float
#define GAP_POLICY     gap_policy_f32
#define FUNCTION_RULE  function_rule_f32
#define FUNCTION_POINT function_point_f32
#define NORM_SUM       norm_sum_f32
#define DETERMINANT    determinant_f32
#define TURN           turn_f32
#include "rules/function.inc"
#include "rules/norm.inc"
#include "rules/determinant.inc"
#include "rules/special_unitary.inc"
#undef REAL
#undef GAP_POLICY
#undef FUNCTION_RULE
#undef FUNCTION_POINT
#undef NORM_SUM
#undef DETERMINANT
#undef TURN
#define REAL           double
#define GAP_POLICY     gap_policy_f64
#define FUNCTION_RULE  function_rule_f64
#define FUNCTION_POINT function_point_f64
#define NORM_SUM       norm_sum_f64
#define DETERMINANT    determinant_f64
#define TURN           turn_f64
#include "rules/function.inc"
#include "rules/norm.inc"
#include "rules/determinant.inc"
#include "rules/special_unitary.inc"
#undef REAL
#undef GAP_POLICY
#undef FUNCTION_RULE
#undef FUNCTION_POINT
#undef NORM_SUM
#undef DETERMINANT
#undef TURN
#undef GAP_FUNCTION
#undef sin
#undef cos

template <class R> struct function_types;
template <> struct function_types<float> {
  typedef function_rule_f32 rule;
  typedef function_point_f32 point;
  typedef norm_sum_f32 norm;
  typedef determinant_f32 determinant;
  typedef turn_f32 turn;
};
template <> struct function_types<double> {
  typedef function_rule_f64 rule;
  typedef function_point_f64 point;
  typedef norm_sum_f64 norm;
  typedef determinant_f64 determinant;
  typedef turn_f64 turn;
};
template <class R> using function_rule = typename function_types<R>::rule;
template <class R> using function_point_of = typename function_types<R>::point;
template <class R> using norm_sum = typename function_types<R>::norm;
template <class R> using turn_of = typename function_types<R>::turn;
template <class R> using determinant_of = typename function_types<R>::determinant;
