/* SPDX-License-Identifier: BSD-3-Clause */
/* The k-by-k heart of the backward pass (svdgrad.h, src/functions/forms.h) where no fused kernel is, one block per
 * matrix, and the norms that its gap policy needs. */
#pragma once
#include "form_tangents.cuh"

/* Squared norm of a packed column, by one warp. */
template <class T> __device__ inline real_t<T> column_square(int64_t rows, const T *x) {
  real_t<T> sum = 0;
  for (int64_t i = lane_index(); i < rows; i += WARP)
    sum = plus_abs2(sum, x[i]);
  return warp_sum(sum);
}

/* Its largest entry, or part of one; zero where there is no such matrix. */
template <class T> __device__ inline real_t<T> column_largest(const tensor_t &X, int64_t b, int64_t j) {
  typedef real_t<T> R;
  R largest = 0;
  for (int64_t i = lane_index(); i < X.rows && X.data; i += WARP)
    largest = max_of<R>::combine(largest, largest_part(tensor_of<T>(X, b)[j * X.rows + i]));
  return warp_reduce<max_of<R>>(largest);
}

template <class T>
__device__ inline void add_packed_norms(const tensor_t &g, int64_t b, real_t<T> *norm, real_t<T> *largest,
                                        real_t<T> *scratch) {
  typedef real_t<T> R;
  R sum = 0, most = 0;
  for (int64_t j = warp_index(); j < g.columns && g.data; j += warp_count()) {
    const R square = column_square(g.rows, tensor_of<T>(g, b) + j * g.rows);
    sum += lane_index() == 0 ? square : 0;
    most = max_of<R>::combine(most, square);
  }
  sum = block_reduce<sum_of<R>>(sum, scratch);
  if (g.data && !square_is_normal(sum)) {
    const T *x = tensor_of<T>(g, b);
    const scaled_norms<R> scaled = scaled_norms_of<block_team, T>(
        g.rows, g.columns, [&](int64_t i, int64_t j) { return x[j * g.rows + i]; }, scratch);
    *norm += scaled.norm;
    *largest += scaled.largest;
    return;
  }
  *norm += sqrt(sum);
  *largest += sqrt(block_reduce<max_of<R>>(most, scratch));
}

/* Further columns of full_matrices: what their cotangent has along themselves is gauge. */
template <class T>
__device__ inline void tally_further(const tensor_t &product, int64_t b, real_t<T> norm,
                                     gap_policy<real_t<T>> *policy) {
  const int64_t further = product.columns;
  const T *x = tensor_of<T>(product, b);
  for (int64_t e = threadIdx.x; e < further * further && product.data; e += blockDim.x)
    gap_gauge(policy, magnitude(x[e] - conj(x[e % further * further + e / further])), norm);
}

/* What stands for 1/s_j, where something lies outside the spans, but for the second part of its power of two. */
template <class T>
__device__ inline void form_inverse(const backward_form_t &form, form_scene<real_t<T>> *scene,
                                    power_of_two<real_t<T>> scale) {
  typedef real_t<T> R;
  const int64_t b = scene->b;
  for (int64_t j = warp_index(); j < scene->k; j += warp_count()) {
    const R outside = max_of<R>::combine(column_largest<T>(form.outside_U, b, j),
                                         column_largest<T>(form.outside_V, b, j)); /* squares might be zero */
    if (lane_index() == 0)
      reals_of<R>(form.inverse, b)[j] = scale.first * gap_outside(&scene->policy, scene->s[j], outside);
  }
  if (threadIdx.x == 0)
    *reals_of<R>(form.step, b) = scale.second;
}

template <class T> __global__ void form_backward_kernel(form_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  const backward_form_t &form = args.form.backward;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    form_scene<R> scene = form_begin<R>(args, form.values, b);
    const int64_t k = scene.k;
    if (form.P.data) {
      const power_of_two<R> scale = form_scale<R>(scene, form.rest);
      const T *P = tensor_of<T>(form.P, b), *Q = tensor_of<T>(form.Q, b);
      R norm = 0, largest = 0;
      add_packed_norms<T>(form.gU, b, &norm, &largest, scratch);
      add_packed_norms<T>(form.gV, b, &norm, &largest, scratch);
      scene.policy =
          gap_policy_make(args.gap_policy, (R)args.gap_param, limits<R>::epsilon(), scene.s[0], norm, largest);
      tally_phases(k, k, P, Q, norm, &scene.policy);
      tally_further<T>(form.further_U, b, norm, &scene.policy);
      tally_further<T>(form.further_V, b, norm, &scene.policy);
      form_M(k, k, P, Q, scene.s, reals_of<R>(form.gS, b), scale, &scene.policy, tensor_of<T>(form.M, b));
      form_rest<T>(form.rest, &scene, scale);
      form_inverse<T>(form, &scene, scale);
    }
    form_end(scene, form.report, scratch);
  }
}
