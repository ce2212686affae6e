/* SPDX-License-Identifier: BSD-3-Clause */
/* f(S), its divided differences, and norms (svdgrad.h, src/functions/forms.h). */
#pragma once
#include "form_rotation.cuh"
#include "form_tangents.cuh"
#include "function.cuh"

template <class R>
__device__ inline function_rule<R> rule_of(const form_args_t &args, const function_form_t &form,
                                           const form_scene<R> &scene) {
  return function_make(form.kind, (R)form.param, form.relative, args.gap_policy, limits<R>::epsilon(), scene.policy.s1,
                       scene.exponent, form.larger);
}

/* In double: in float the rounding of a power that is the caller's would grow with the exponent. */
template <class R>
__device__ inline double degree_of(const form_args_t &args, const function_form_t &form, const form_scene<R> &scene) {
  return function_make(form.kind, form.param, form.relative, args.gap_policy, 0.0, 0.0, scene.exponent, form.larger)
      .degree;
}

/* From normalized values of f to the caller's units. */
template <class R>
__device__ inline R value_scale(const form_args_t &args, const function_form_t &form, const form_scene<R> &scene) {
  return (R)function_scale(degree_of(args, form, scene), scene.exponent);
}

/* The same for differences of f: one factor nearly always, and two where their product need not be a number. */
template <class R>
__device__ inline power_of_two<R> pair_scale(const form_args_t &args, const function_form_t &form,
                                             const form_scene<R> &scene) {
  const double power = degree_of(args, form, scene) - 1, product = power * scene.exponent;
  const double limit = limits<R>::power_limit;
  if (fabs(product) <= limit)
    return {(R)function_scale(power, scene.exponent), 1};
  const int first = product > 0 ? limits<R>::power_limit : -limits<R>::power_limit;
  return {(R)ldexp(1.0, first), (R)exp2(product - first)};
}

/* f at value i, in normalized units; `f` is the caller's. */
template <class R>
__device__ inline function_point_of<R> evaluate(const function_form_t &form, const function_rule<R> &rule,
                                                const form_scene<R> &scene, int64_t i, R f) {
  const R sign = form.kind == SVDGRAD_FUNCTION_ROTATION ? re(*tensor_of<R>(form.phase, scene.b)) : 1;
  return function_point(&rule, scene.s[i], i, scene.k, f, (R)0, sign, scene.policy.floor);
}

template <class R> __device__ inline R custom_at(const function_form_t &form, int64_t b, int64_t i) {
  return form.kind == SVDGRAD_FUNCTION_CUSTOM ? reals_of<R>(form.f, b)[i] : 0;
}

template <class T> __device__ inline void form_turns(const form_args_t &args, const function_form_t &form) {
  if constexpr (scalar<T>::is_complex)
    for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
      const form_scene<real_t<T>> scene = form_begin<real_t<T>>(args, form.values, b);
      store_phases<T>(form, scene, find_angles<T>(form, scene));
    }
}

template <class T> __global__ void form_values_kernel(form_args_t args) {
  typedef real_t<T> R;
  const function_form_t &form = args.form.function;
  visit_batch(args.batch_count, form.values.s.count, [&](int64_t b, int64_t i) {
    const form_scene<R> scene = form_begin<R>(args, form.values, b);
    const function_rule<R> rule = rule_of(args, form, scene);
    reals_of<R>(form.result, b)[i] =
        evaluate(form, rule, scene, i, custom_at<R>(form, b, i)).f * value_scale(args, form, scene) -
        (R)form.null_value;
  });
  if (form.phases.data)
    form_turns<T>(args, form);
}

/* f(s_i), and whether it is kept: every value once, since pairs need them often. */
template <class R>
__device__ inline void store_point(const function_form_t &form, const function_rule<R> &rule,
                                   const form_scene<R> &scene, int64_t i) {
  R *points = reals_of<R>(form.points, scene.b);
  const function_point_of<R> point = evaluate(form, rule, scene, i, custom_at<R>(form, scene.b, i));
  points[i] = point.f;
  points[scene.k + i] = (R)point.kept;
}

template <class T> __global__ void form_points_kernel(form_args_t args) {
  typedef real_t<T> R;
  const function_form_t &form = args.form.function;
  visit_batch(args.batch_count, form.values.s.count, [&](int64_t b, int64_t i) {
    const form_scene<R> scene = form_begin<R>(args, form.values, b * args.parts);
    store_point(form, rule_of(args, form, scene), scene, i);
  });
}

/* What was stored of the values; df is the caller's, or NULL. */
template <class R> struct function_points {
  const R *s, *f, *kept, *df;
  int exponent;
  __device__ function_point_of<R> at(int64_t i) const {
    return {s[i], f[i], df ? (R)ldexp(df[i], exponent) : (R)0, kept[i] != 0};
  }
};
template <class R>
__device__ inline function_points<R> points_of(const function_form_t &form, const form_scene<R> &scene) {
  const R *points = reals_of<R>(form.points, scene.b);
  const R *df = form.kind == SVDGRAD_FUNCTION_CUSTOM ? reals_of<R>(form.df, scene.b) : nullptr;
  return {scene.s, points, points + scene.k, df, scene.exponent};
}

/* M at (i, j) and (j, i), i <= j: of U f(S) Vh. */
template <class T>
__device__ inline entry_pair<T> pair_of_both(const function_rule<real_t<T>> &rule, function_point_of<real_t<T>> a,
                                             function_point_of<real_t<T>> b, matrix_parts<T> p, bool diagonal,
                                             power_of_two<real_t<T>> scale, gap_policy<real_t<T>> *tally) {
  typedef real_t<T> R;
  const int dropped = tally->dropped;
  const bool matters = !diagonal || scalar<T>::is_complex;
  const R f1 = function_difference(&rule, a, b, tally) * scale.first;
  const R f2 = matters ? function_sum(&rule, a, b, tally) * scale.first : 0;
  if (tally->dropped > dropped)
    tally->dropped = dropped + 1;
  const T hermitian = scale.second * (f1 * p.hermitian), skew = scale.second * (f2 * p.skew);
  return {hermitian + skew, conj(hermitian) - conj(skew)};
}

/* Of V f(S) Vh, where P is Hermitian: 2 s_i (f(s_i) - f(s_j)) / (s_i^2 - s_j^2) P_ij. */
template <class T>
__device__ inline entry_pair<T> pair_of_one(const function_rule<real_t<T>> &rule, function_point_of<real_t<T>> a,
                                            function_point_of<real_t<T>> b, T P_ij, power_of_two<real_t<T>> scale,
                                            gap_policy<real_t<T>> *tally) {
  typedef real_t<T> R;
  const R f1 = function_difference(&rule, a, b, tally);
  const R phi = 2 * function_divide(&rule, f1, a.s + b.s, tally) * scale.first;
  return {scale.second * (phi * a.s * P_ij), scale.second * (phi * b.s * conj(P_ij))};
}

/* The exponent, as far as a factor may have it at once. */
template <class R> __device__ inline int null_exponent(const form_scene<R> &scene) {
  const int limit = limits<R>::power_limit, exponent = scene.exponent;
  return exponent > limit ? limit : exponent < -limit ? -limit : exponent;
}

/* What is before the parts outside the spans, but for factor_step(), the second part of a power of two.  Of V f(S) Vh
 * with f(0) = null_value it is in the caller's units, and has an exponent of its own. */
template <class R>
__device__ inline R factor_at(const form_args_t &args, const function_form_t &form, const function_rule<R> &rule,
                              const function_points<R> &points, form_scene<R> *scene, int64_t j,
                              power_of_two<R> scale) {
  const bool both = form.form == SVDGRAD_FORM_UVH;
  const function_point_of<R> point = points.at(j);
  if (both || form.null_value == 0)
    return function_ratio(&rule, point, &scene->policy) * scale.first * (both ? 1 : 2);
  return 2 * function_null_ratio(&rule, point, value_scale(args, form, *scene), (R)form.null_value,
                                 null_exponent(*scene), &scene->policy);
}
template <class R>
__device__ inline R factor_step(const function_form_t &form, const form_scene<R> &scene, power_of_two<R> scale) {
  const bool plain = form.form == SVDGRAD_FORM_UVH || form.null_value == 0;
  return plain ? scale.second : (R)ldexp((R)1, null_exponent(scene) - scene.exponent);
}

template <class R>
__device__ inline void form_factors(const form_args_t &args, const function_form_t &form, const function_rule<R> &rule,
                                    form_scene<R> *scene, power_of_two<R> scale) {
  const function_points<R> points = points_of(form, *scene);
  for (int64_t j = form_rank(*scene); j < scene->k && form.outside; j += form_size(*scene))
    reals_of<R>(form.factor, scene->b)[j] = factor_at(args, form, rule, points, scene, j, scale);
  if (form_rank(*scene) == 0)
    *reals_of<R>(form.step, scene->b) = factor_step(form, *scene, scale);
}

/* What a threshold that moves with s_1 adds to the diagonal of M where the first `count` values are: the derivative by
 * s_1, shared out.  Every thread sums it up alike, in the order of the values. */
template <class R> struct moving_share {
  int64_t count;
  R each;
};

/* diagonal(i): the real part of P_ii. */
template <class R, class Diagonal>
__device__ inline moving_share<R> find_moving(const function_rule<R> &rule, const function_points<R> &points,
                                              const form_scene<R> &scene, Diagonal diagonal) {
  const R s1 = scene.k > 0 ? scene.s[0] : 0;
  R sum = 0;
  int64_t first = 0;
  if (rule.moving == 0 || s1 == 0)
    return {0, 0};
  for (int64_t i = 0; i < scene.k; i++) {
    sum += function_moves(&rule, points.at(i)) * diagonal(i);
    first += function_is_first(scene.s[i], s1, &scene.policy);
  }
  return {first, sum / (R)first};
}

/* M at (i, j) and (j, i), i <= j, from P. */
template <class T>
__device__ inline entry_pair<T> function_pair(const function_form_t &form, const function_rule<real_t<T>> &rule,
                                              const function_points<real_t<T>> &points,
                                              const moving_share<real_t<T>> &moving, T P_ij, T P_ji, int64_t i,
                                              int64_t j, power_of_two<real_t<T>> scale, gap_policy<real_t<T>> *tally) {
  typedef real_t<T> R;
  const function_point_of<R> a = points.at(i), b = points.at(j);
  entry_pair<T> m = form.form == SVDGRAD_FORM_UVH ? pair_of_both(rule, a, b, parts_of(P_ij, P_ji), i == j, scale, tally)
                                                  : pair_of_one(rule, a, b, P_ij, scale, tally);
  if (i == j && i < moving.count)
    m.ij = m.ij + from_real<T>(moving.each);
  return m;
}

template <class T>
__device__ inline void form_pairs(const function_form_t &form, const function_rule<real_t<T>> &rule,
                                  form_scene<real_t<T>> *scene, power_of_two<real_t<T>> scale,
                                  pair_memory<T, 1> &shared) {
  typedef real_t<T> R;
  const T *const P[] = {tensor_of<T>(form.P, scene->b)};
  T *const M[] = {tensor_of<T>(form.M, scene->b)};
  const function_points<R> points = points_of(form, *scene);
  const moving_share<R> moving =
      find_moving(rule, points, *scene, [&](int64_t i) { return re(P[0][i * scene->k + i]); });
  visit_pairs(scene->k, P, M, scene->part, scene->parts, shared,
              [&](int64_t i, int64_t j, const T(&x)[1], const T(&y)[1], T(&upper)[1], T(&lower)[1]) {
                const entry_pair<T> m =
                    function_pair(form, rule, points, moving, x[0], y[0], i, j, scale, &scene->policy);
                upper[0] = m.ij;
                lower[0] = m.ji;
              });
}

template <class T> __global__ void form_pairs_kernel(form_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  __shared__ pair_memory<T, 1> shared;
  const function_form_t &form = args.form.function;
  for (int64_t share = blockIdx.x; share < args.batch_count * args.parts; share += gridDim.x) {
    form_scene<R> scene = form_begin<R>(args, form.values, share);
    const function_rule<R> rule = rule_of(args, form, scene);
    const power_of_two<R> scale = pair_scale(args, form, scene);
    for (int64_t i = threadIdx.x; i < scene.k && scene.parts == 1; i += blockDim.x)
      store_point(form, rule, scene, i);
    __syncthreads();
    if constexpr (scalar<T>::is_complex)
      if (form.phases.data)
        rotation_pairs(form, rule, &scene, tensor_of<T>(form.P, scene.b), scale, tensor_of<T>(form.M, scene.b));
    if (!form.phases.data)
      form_pairs(form, rule, &scene, scale, shared);
    form_factors(args, form, rule, &scene, scale);
    form_end(scene, form.report, scratch);
  }
}

/* Every thread sums up some of the values, then all of them together. */
template <class R>
__device__ inline norm_sum<R> sum_values(const form_args_t &args, const norm_form_t &form, const form_scene<R> &scene,
                                         R *scratch) {
  norm_sum<R> sum = norm_begin(form.kind, (R)form.p, &scene.policy, limits<R>::epsilon(), form.larger);
  for (int64_t i = threadIdx.x; i < scene.k; i += blockDim.x)
    norm_add(&sum, scene.s[i]);
  sum.sum = block_reduce<sum_of<R>>(sum.sum, scratch);
  sum.members = (int64_t)block_reduce<sum_of<R>>((R)sum.members, scratch);
  sum.count = scene.k;
  return sum;
}

template <class T> __global__ void form_norm_kernel(form_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  const norm_form_t &form = args.form.norm;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const form_scene<R> scene = form_begin<R>(args, form.values, b);
    const norm_sum<R> sum = sum_values(args, form, scene, scratch);
    const R g = form.g.data ? *reals_of<R>(form.g, b) : 1;
    const R value = norm_value(&sum, scene.exponent);
    int overflow = value == (R)INFINITY;
    for (int64_t i = threadIdx.x; i < form.weight.count; i += blockDim.x) {
      const R s = scene.s[i], weight = norm_weight(&sum, g, s, scene.exponent);
      overflow |= s > 0 && g - g == 0 && isinf(weight);
      reals_of<R>(form.weight, b)[i] = weight;
    }
    overflow = __syncthreads_or(overflow);
    if (threadIdx.x == 0) {
      *reals_of<R>(form.value, b) = value;
      if (overflow && form.info[b] == SVDGRAD_INFO_OK)
        form.info[b] = SVDGRAD_INFO_OVERFLOW;
    }
  }
}
