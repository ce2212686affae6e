/* SPDX-License-Identifier: BSD-3-Clause */
/* The k-by-k heart of the backward pass (svdgrad.h, src/functions/forms.h) where no fused kernel is, by one block for a
 * small matrix and several for a large one, and the norms that its gap policy needs. */
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

/* Squared norms of the columns of gU, then of gV, of matrix b: numbers first, first + step.., a warp for each. */
template <class T>
__device__ inline void store_squares(const backward_form_t &form, int64_t b, int64_t first, int64_t step) {
  const int64_t left = form.gU.columns, all = left + form.gV.columns;
  for (int64_t c = first; c < all; c += step) {
    const tensor_t &g = c < left ? form.gU : form.gV;
    const real_t<T> square = column_square(g.rows, tensor_of<T>(g, b) + (c < left ? c : c - left) * g.rows);
    if (lane_index() == 0)
      reals_of<real_t<T>>(form.squares, b)[c] = square;
  }
}

template <class T> __global__ void form_squares_kernel(form_args_t args) {
  const backward_form_t &form = args.form.backward;
  const int64_t columns = form.gU.columns + form.gV.columns, warps = (int64_t)gridDim.x * warp_count();
  for (int64_t c = (int64_t)blockIdx.x * warp_count() + warp_index(); c < args.batch_count * columns; c += warps)
    store_squares<T>(form, c / columns, c % columns, columns);
}

/* Adds the norms of a cotangent, given those of its columns, squared. */
template <class T>
__device__ inline void add_packed_norms(const tensor_t &g, int64_t b, const real_t<T> *squares, real_t<T> *norm,
                                        real_t<T> *largest, real_t<T> *scratch) {
  typedef real_t<T> R;
  R sum = 0, most = 0;
  for (int64_t j = warp_index(); j < g.columns && g.data; j += warp_count()) {
    sum += lane_index() == 0 ? squares[j] : 0;
    most = max_of<R>::combine(most, squares[j]);
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

/* The policy, from the norms; a matrix that no other block shares has its columns looked at here. */
template <class T>
__device__ inline gap_policy<real_t<T>> form_policy(const form_args_t &args, const form_scene<real_t<T>> &scene,
                                                    real_t<T> *norm, real_t<T> *scratch) {
  typedef real_t<T> R;
  const backward_form_t &form = args.form.backward;
  const R *squares = reals_of<R>(form.squares, scene.b);
  R largest = 0;
  if (scene.parts == 1)
    store_squares<T>(form, scene.b, warp_index(), warp_count());
  __syncthreads();
  *norm = 0;
  add_packed_norms<T>(form.gU, scene.b, squares, norm, &largest, scratch);
  add_packed_norms<T>(form.gV, scene.b, squares + form.gU.columns, norm, &largest, scratch);
  return gap_policy_make(args.gap_policy, (R)args.gap_param, limits<R>::epsilon(), scene.s[0], *norm, largest);
}

/* Further columns of full_matrices: what their cotangent has along themselves is gauge. */
template <class T>
__device__ inline void tally_further(const tensor_t &product, form_scene<real_t<T>> *scene, real_t<T> norm) {
  const int64_t further = product.columns;
  const T *x = tensor_of<T>(product, scene->b);
  for (int64_t e = form_rank(*scene); e < further * further && product.data; e += form_size(*scene))
    gap_gauge(&scene->policy, magnitude(x[e] - conj(x[e % further * further + e / further])), norm);
}

/* Tallies the discarded values that count as zero, as s_j does, beside a column with a part outside the spans.  For a
 * warp: each lane takes every 32nd value. */
template <class R>
__device__ inline void tally_zeros(const rest_form_t &rest, form_scene<R> *scene, int64_t j, R outside) {
  const R *r = reals_of<R>(rest.r, scene->b);
  for (int64_t i = lane_index(); i < rest.r.count; i += WARP) {
    const R r_i = gap_discarded(r[i], scene->s[scene->k - 1]);
    if (gap_sum_is_dropped(&scene->policy, r_i + scene->s[j]))
      gap_pair(&scene->policy, r_i, scene->s[j], outside, outside);
  }
}

/* What stands for 1/s_j, where something lies outside the spans, but for the second part of its power of two.  Where it is
 * dropped, that counts if a part may also lie outside the span of all min(m, n) vectors: pairs count for the others. */
template <class T>
__device__ inline void form_inverse(const backward_form_t &form, form_scene<real_t<T>> *scene,
                                    power_of_two<real_t<T>> scale) {
  typedef real_t<T> R;
  const int64_t b = scene->b, all = scene->k + form.rest.r.count;
  for (int64_t j = form_warp(*scene); j < scene->k; j += form_warps(*scene)) {
    const R left = column_largest<T>(form.outside_U, b, j), right = column_largest<T>(form.outside_V, b, j);
    const R outside = max_of<R>::combine(left, right); /* squares might be zero */
    tally_zeros(form.rest, scene, j, outside);
    if (lane_index() != 0)
      continue;
    gap_policy<R> tally = scene->policy;
    reals_of<R>(form.inverse, b)[j] = scale.first * gap_outside(&tally, scene->s[j], outside);
    if ((form.outside_U.rows > all && left != 0) || (form.outside_V.rows > all && right != 0))
      scene->policy = tally;
  }
  if (form_rank(*scene) == 0)
    *reals_of<R>(form.step, b) = scale.second;
}

template <class T> __global__ void form_backward_kernel(form_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  __shared__ pair_memory<T, 2> shared;
  const backward_form_t &form = args.form.backward;
  for (int64_t share = blockIdx.x; share < args.batch_count * args.parts; share += gridDim.x) {
    form_scene<R> scene = form_begin<R>(args, form.values, share);
    const int64_t k = scene.k, b = scene.b;
    if (form.P.data) {
      const power_of_two<R> scale = form_scale<R>(scene, form.rest);
      const T *const PQ[] = {tensor_of<T>(form.P, b), tensor_of<T>(form.Q, b)};
      T *const M[] = {tensor_of<T>(form.M, b)};
      R norm;
      scene.policy = form_policy<T>(args, scene, &norm, scratch);
      if (scene.part == 0)
        tally_phases(k, k, PQ[0], PQ[1], norm, &scene.policy);
      tally_further<T>(form.further_U, &scene, norm);
      tally_further<T>(form.further_V, &scene, norm);
      visit_pairs(k, PQ, M, scene.part, scene.parts, shared,
                  [&](int64_t i, int64_t j, const T(&x)[2], const T(&y)[2], T(&upper)[1], T(&lower)[1]) {
                    const entry_pair<T> m = form_entries(i, j, skew_of(x[0], y[0], x[1], y[1]), scene.s,
                                                         reals_of<R>(form.gS, b), scale, &scene.policy);
                    upper[0] = m.ij;
                    lower[0] = m.ji;
                  });
      form_rest<T>(form.rest, &scene, scale, (R)0);
      form_inverse<T>(form, &scene, scale);
    }
    form_end(scene, form.report, scratch);
  }
}
