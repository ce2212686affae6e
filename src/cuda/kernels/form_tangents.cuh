/* SPDX-License-Identifier: BSD-3-Clause */
/* The k-by-k hearts of the JVP and of the second backward pass (svdgrad.h, src/functions/forms.h).  The blocks that share
 * a matrix are `parts` in number; what they compute does not depend on it.  Singular values are normalized (src/rules/gap.h); what is divided by one of them is multiplied by 2^-exponent
 * last, in two steps. */
#pragma once
#include "form_tiles.cuh"
#include "machine.cuh"

/* What the forms have in common: k normalized singular values of matrix b, their power of two, the policy; and which of
 * the blocks that share the matrix this is. */
template <class R> struct form_scene {
  int64_t b, part, parts, k;
  const R *s;
  int exponent;
  gap_policy<R> policy;
};

template <class R>
__device__ inline form_scene<R> form_scene_of(const form_args_t &args, int64_t b, int64_t part, int64_t parts,
                                              int64_t k, const R *s, int exponent) {
  const R s1 = k > 0 ? s[0] : 0;
  /* There are no cotangents to compare with: nothing is gauge-dependent or noise. */
  return {b,
          part,
          parts,
          k,
          s,
          exponent,
          gap_policy_make(args.gap_policy, (R)args.gap_param, limits<R>::epsilon(), s1, (R)INFINITY, (R)0)};
}

template <class R>
__device__ inline form_scene<R> form_begin(const form_args_t &args, const values_t &values, int64_t share) {
  const int64_t b = share / args.parts;
  return form_scene_of(args, b, share - b * args.parts, args.parts, values.s.count, (const R *)reals_of<R>(values.s, b),
                       ((const int *)values.exponent)[b]);
}

/* Threads of all blocks that share the matrix, and warps. */
template <class R> __device__ inline int64_t form_rank(const form_scene<R> &scene) {
  return scene.part * blockDim.x + threadIdx.x;
}
template <class R> __device__ inline int64_t form_size(const form_scene<R> &scene) { return scene.parts * blockDim.x; }
template <class R> __device__ inline int64_t form_warp(const form_scene<R> &scene) {
  return scene.part * warp_count() + warp_index();
}
template <class R> __device__ inline int64_t form_warps(const form_scene<R> &scene) {
  return scene.parts * warp_count();
}

/* The bits of numbers that are not negative are in the order of the numbers. */
__device__ inline unsigned long long *bits_at(double *x) { return reinterpret_cast<unsigned long long *>(x); }
__device__ inline unsigned long long bits_of(double x) { return *bits_at(&x); }

/* The report of a part into that of the matrix, which begins as that of no gap.  Each number is rounded from the tally in
 * its order, so that it does not matter which part comes first. */
__device__ inline void merge_report(svdgrad_report_t *to, svdgrad_report_t part) {
  atomicMin(bits_at(&to->min_gap), bits_of(part.min_gap));
  atomicMax(bits_at(&to->gauge_residual), bits_of(part.gauge_residual));
  atomicMax(bits_at(&to->amplification), bits_of(part.amplification));
  atomicAdd(&to->dropped_pairs, part.dropped_pairs);
  atomicOr(&to->flags, part.flags);
}

/* By the whole block. */
template <class R> __device__ inline void form_end(const form_scene<R> &scene, svdgrad_report_t *report, R *scratch) {
  if (!report)
    return;
  const gap_policy<R> policy = gap_combine(scene.policy, scratch);
  if (threadIdx.x != 0)
    return;
  if (scene.parts == 1)
    report[scene.b] = gap_report(&policy, scene.exponent);
  else
    merge_report(report + scene.b, gap_report(&policy, scene.exponent));
}

/* What stands for 1/s_j, normalized: the caller multiplies by the first part of 2^-exponent, and the second is `step`. */
template <class R> __device__ inline R form_inverse_of(form_scene<R> *scene, int64_t j, int outside) {
  return outside ? gap_outside(&scene->policy, scene->s[j], (R)1) : 0;
}

/* Hermitian and skew-Hermitian part of X at (i, j). */
template <class T> struct matrix_parts { T hermitian, skew; };
template <class T> __device__ inline matrix_parts<T> parts_of(T ij, T ji) {
  typedef real_t<T> R;
  const T x = ij, y = conj(ji);
  return {(R)0.5 * (x + y), (R)0.5 * (x - y)};
}
template <class T> __device__ inline matrix_parts<T> parts_at(int64_t k, const T *X, int64_t i, int64_t j) {
  return parts_of(X[j * k + i], X[i * k + j]);
}

/* K = herm(E) Dm + skew(E) Dp and N = herm(E) Dm - skew(E) Dp: at (i, j), then at (j, i), i <= j. */
template <class T>
__device__ inline void form_tangents(form_scene<real_t<T>> *scene, matrix_parts<T> e, int64_t i, int64_t j,
                                     power_of_two<real_t<T>> scale, T (&upper)[2], T (&lower)[2]) {
  typedef real_t<T> R;
  const R phase = 2 * magnitude(e.skew);
  const gap_factors<R> f = i == j
                               ? gap_diagonal(&scene->policy, scene->s[i], phase)
                               : gap_pair(&scene->policy, scene->s[i], scene->s[j], 2 * magnitude(e.hermitian), phase);
  const T x = scale * (f.minus * e.hermitian), y = scale * (f.plus * e.skew);
  upper[0] = x + y;
  upper[1] = x - y;
  lower[0] = conj(-x - y);
  lower[1] = conj(y - x);
}

/* 2^-exponent; NaN where the SVD of the discarded part failed: loud, where nothing else can say so. */
template <class R> __device__ inline power_of_two<R> form_scale(const form_scene<R> &scene, const rest_form_t &rest) {
  const bool failed =
      rest.failed && rest.failed[scene.b] != SVDGRAD_INFO_OK && rest.failed[scene.b] != SVDGRAD_INFO_OVERFLOW;
  return failed ? power_of_two<R>{(R)NAN, 1} : make_power<R>(-scene.exponent);
}

/* For each value r_i of the discarded spectrum: x_i s_j - r_i y_i = p_i, y_i s_j - r_i x_i = q_i.  zeros: the size that
 * the tally takes for p and q where r_i and s_j both count as zero, and the basis is any. */
template <class T>
__device__ inline void form_rest(const rest_form_t &form, form_scene<real_t<T>> *scene, power_of_two<real_t<T>> scale,
                                 real_t<T> zeros) {
  typedef real_t<T> R;
  const int64_t b = scene->b, k = scene->k, rest = form.r.count;
  const R *r = reals_of<R>(form.r, b);
  const T *p = tensor_of<T>(form.p, b), *q = tensor_of<T>(form.q, b);
  T *x = tensor_of<T>(form.x, b), *y = tensor_of<T>(form.y, b);
  for (int64_t e = form_rank(*scene); e < rest * k; e += form_size(*scene)) {
    const T sum = p[e] + q[e], difference = p[e] - q[e];
    const R r_i = gap_discarded(r[e % rest], scene->s[k - 1]), s_j = scene->s[e / rest];
    const bool are_zero = gap_sum_is_dropped(&scene->policy, r_i + s_j);
    const gap_factors<R> f =
        gap_pair(&scene->policy, r_i, s_j, are_zero ? zeros : magnitude(sum), are_zero ? zeros : magnitude(difference));
    const T half_sum = scale * (f.minus / 2 * sum), half_difference = scale * (f.plus / 2 * difference);
    x[e] = half_sum + half_difference;
    y[e] = half_sum - half_difference;
  }
  if (form_rank(*scene) == 0 && rest > 0 && k > 0)
    gap_cut(&scene->policy, scene->s[k - 1], r[0]);
}

template <class T> __global__ void form_jvp_kernel(form_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  __shared__ pair_memory<T, 2> shared;
  const jvp_form_t &form = args.form.jvp;
  for (int64_t share = blockIdx.x; share < args.batch_count * args.parts; share += gridDim.x) {
    form_scene<R> scene = form_begin<R>(args, form.values, share);
    const power_of_two<R> scale = form_scale<R>(scene, form.rest);
    const int64_t k = scene.k, b = scene.b;
    const T *const E[] = {tensor_of<T>(form.E, b)};
    T *const KN[] = {tensor_of<T>(form.K, b), tensor_of<T>(form.N, b)};
    visit_pairs(k, E, KN, scene.part, scene.parts, shared,
                [&](int64_t i, int64_t j, const T(&x)[1], const T(&y)[1], T(&upper)[2], T(&lower)[2]) {
                  form_tangents(&scene, parts_of(x[0], y[0]), i, j, scale, upper, lower);
                });
    for (int64_t j = form_rank(scene); j < k; j += form_size(scene)) {
      reals_of<R>(form.dS, b)[j] = re(E[0][j * k + j]);
      reals_of<R>(form.inverse, b)[j] = scale.first * form_inverse_of(&scene, j, form.outside);
    }
    if (form_rank(scene) == 0)
      *reals_of<R>(form.step, b) = scale.second;
    form_rest<T>(form.rest, &scene, scale, (R)1);
    form_end(scene, form.report, scratch);
  }
}

/* Arrays of one matrix. */
template <class T> struct second_arrays {
  const T *P, *Q, *Z;
  T *M, *K, *N;
};

/* LORENTZ: with x = s_j - s_i and w = gap_param s_1, what stands for 1/x is L = x/(x^2 + w^2).  This is w/(x^2 + w^2), by
 * which dL/dx = bend^2 - L^2 and dL/dw = -2 L bend; 0 under every other policy. */
template <class R> __device__ inline R bend_of(const gap_policy<R> &policy, R x, R minus) {
  return policy.policy == SVDGRAD_GAP_LORENTZ && minus != 0 ? minus * (policy.width / x) : 0;
}

/* M, K and N at (i, j) of the second backward pass.  Returns the element's share of sb_j: from d/ds of 1/(s_j - s_i) and
 * of 1/(s_i + s_j) in M; adds to that of w.  Elements (i, j) and (j, i) both take the pair i <= j, that one tallies it. */
template <class T>
__device__ inline real_t<T> second_element(form_scene<real_t<T>> *scene, const second_arrays<T> &a, int64_t i,
                                           int64_t j, power_of_two<real_t<T>> scale, real_t<T> *of_width) {
  typedef real_t<T> R;
  const int64_t k = scene->k, low = i < j ? i : j, high = i < j ? j : i;
  const bool mirrored = i > j;
  const matrix_parts<T> p = parts_at(k, a.P, low, high), q = parts_at(k, a.Q, low, high),
                        z = parts_at(k, a.Z, low, high);
  const T sum = (R)2 * (p.skew + q.skew), difference = (R)2 * (p.skew - q.skew); /* X + Y, X - Y */
  gap_policy<R> policy = scene->policy;
  const R phase = magnitude(difference) + magnitude(z.skew);
  const gap_factors<R> f =
      i == j ? gap_diagonal(&policy, scene->s[i], phase)
             : gap_pair(&policy, scene->s[low], scene->s[high], magnitude(sum) + magnitude(z.hermitian), phase);
  if (!mirrored)
    scene->policy = policy;
  const R minus = f.minus;
  const T x = scale * (minus * z.hermitian), y = scale * (f.plus * z.skew);
  const T symmetric = scale * (minus / 2 * sum), skew = scale * (f.plus / 2 * difference);
  a.M[j * k + i] = mirrored ? conj(symmetric) - conj(skew) : symmetric + skew;
  a.K[j * k + i] = mirrored ? conj(-x - y) : x + y;
  a.N[j * k + i] = mirrored ? conj(y - x) : x - y;
  const R bend = bend_of(policy, scene->s[high] - scene->s[low], minus);
  const T bent = scale * (bend / 2 * sum);
  const R along = re(conj(x) * symmetric) - re(conj(scale * (bend * z.hermitian)) * bent);
  const R across = re(conj(y) * skew);
  *of_width -= mirrored ? 0 : 4 * re(conj(x) * bent);
  return 2 * ((mirrored ? along : -along) - across);
}

/* What stands for 1/s_j, as a power of two and what is left, from 1 to 2; both are 0 where s_j is dropped. */
template <class R> __device__ inline void split_inverse(R whole, R *power, R *inverse) {
  int exponent = 1;
  *inverse = whole - whole == 0 ? 2 * (R)frexp(whole, &exponent) : whole;
  *power = whole == 0 ? 0 : (R)ldexp((R)1, exponent - 1);
}

/* One warp per column j, so that sb_j is summed up in one order.  So is what LORENTZ adds to sb_0, by one block for all
 * columns; under other policies it is 0. */
template <class T> __global__ void form_second_kernel(form_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  const svd_backward_backward_form_t &form = args.form.svd_backward_backward;
  for (int64_t share = blockIdx.x; share < args.batch_count * args.parts; share += gridDim.x) {
    form_scene<R> scene = form_begin<R>(args, form.values, share);
    const power_of_two<R> scale = make_power<R>(-scene.exponent);
    const int64_t k = scene.k, b = scene.b;
    const second_arrays<T> a = {tensor_of<T>(form.P, b), tensor_of<T>(form.Q, b), tensor_of<T>(form.Z, b),
                                tensor_of<T>(form.M, b), tensor_of<T>(form.K, b), tensor_of<T>(form.N, b)};
    R of_width = 0;
    for (int64_t j = form_warp(scene); j < k; j += form_warps(scene)) {
      R sb = 0;
      for (int64_t i = lane_index(); i < k; i += WARP) {
        sb += second_element(&scene, a, i, j, scale, &of_width);
        if (i == j)
          a.M[j * k + j] = a.M[j * k + j] + from_real<T>(reals_of<R>(form.gS, b)[j]);
      }
      sb = warp_sum(sb);
      if (lane_index() != 0)
        continue;
      split_inverse(scale.first * form_inverse_of(&scene, j, form.outside), reals_of<R>(form.power, b) + j,
                    reals_of<R>(form.inverse, b) + j);
      reals_of<R>(form.dS, b)[j] = re(a.Z[j * k + j]);
      reals_of<R>(form.sb, b)[j] = sb;
    }
    if (form_rank(scene) == 0)
      *reals_of<R>(form.step, b) = scale.second;
    of_width = block_reduce<sum_of<R>>(of_width, scratch);
    if (form_rank(scene) == 0 && k > 0)
      reals_of<R>(form.sb, b)[0] += of_width * (R)args.gap_param;
    form_end(scene, form.report, scratch);
  }
}

template <class T> __global__ void form_outside_kernel(form_args_t args) {
  typedef real_t<T> R;
  const svd_backward_backward_form_t &form = args.form.svd_backward_backward;
  const int64_t k = form.values.s.count;
  visit_batch(args.batch_count, k, [&](int64_t b, int64_t j) {
    const R inverse = reals_of<R>(form.inverse, b)[j];
    reals_of<R>(form.sb, b)[j] -= re(tensor_of<T>(form.D, b)[j * k + j]) * inverse * inverse;
  });
}
