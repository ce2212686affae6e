/* SPDX-License-Identifier: BSD-3-Clause */
/* Divided differences (src/rules/function.h), norms (src/rules/norm.h) and determinants (src/rules/determinant.h)
 * in the precision of the elements. */
#pragma once
#include "gap.cuh"

/* Of an angle in [0, pi], for special_unitary.h, in place of sin and cos: the reduction that those have for large
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

#define RULE static __device__ inline
namespace rules_f32 {
#define REAL float
#include "rules/function.h"
#include "rules/norm.h"
#include "rules/determinant.h"
#include "rules/special_unitary.h"
#undef REAL
#undef SVDGRAD_RULES_FUNCTION_H
#undef SVDGRAD_RULES_NORM_H
#undef SVDGRAD_RULES_DETERMINANT_H
#undef SVDGRAD_RULES_SPECIAL_UNITARY_H
} // namespace rules_f32
namespace rules_f64 {
#define REAL double
#include "rules/function.h"
#include "rules/norm.h"
#include "rules/determinant.h"
#include "rules/special_unitary.h"
#undef REAL
} // namespace rules_f64
#undef RULE
#undef sin
#undef cos

template <class R> struct function_types;
template <> struct function_types<float> {
  typedef rules_f32::function_rule_t rule;
  typedef rules_f32::function_point_t point;
  typedef rules_f32::norm_sum_t norm;
  typedef rules_f32::determinant_t determinant;
  typedef rules_f32::angles_t angles;
};
template <> struct function_types<double> {
  typedef rules_f64::function_rule_t rule;
  typedef rules_f64::function_point_t point;
  typedef rules_f64::norm_sum_t norm;
  typedef rules_f64::determinant_t determinant;
  typedef rules_f64::angles_t angles;
};
template <class R> using function_rule = typename function_types<R>::rule;
template <class R> using function_point_of = typename function_types<R>::point;
template <class R> using norm_sum = typename function_types<R>::norm;
template <class R> using angles_of = typename function_types<R>::angles;
template <class R> using determinant_of = typename function_types<R>::determinant;
