/* SPDX-License-Identifier: BSD-3-Clause */
/* ROTATION of complex types: the nearest special unitary matrix and its gradient (src/rules/special_unitary.h,
 * src/functions/host_forms.h), one block per matrix.  Every thread finds the angles, each alike. */
#pragma once
#include "form_tangents.cuh"
#include "function.cuh"

template <class T>
__device__ inline turn_of<real_t<T>> find_turn(const function_form_t &form, const form_scene<real_t<T>> &scene) {
  typedef real_t<T> R;
  const T phase = *tensor_of<T>(form.phase, scene.b);
  const int64_t k = scene.k;
  turn_of<R> turn = turn_begin((R)fabs(atan2(im(phase), re(phase))), k > 0 ? scene.s[k - 1] : 0, k > 0 ? k : 1);
  do
    for (int64_t i = 0; i + 1 < k; i++)
      turn_add(&turn, scene.s[i]);
  while (turn_next(&turn));
  return turn;
}

/* e^(i theta_j), by the whole block. */
template <class T>
__device__ inline void form_turns(const function_form_t &form, const form_scene<real_t<T>> &scene,
                                  const turn_of<real_t<T>> &turn) {
  typedef real_t<T> R;
  const R sign = im(*tensor_of<T>(form.phase, scene.b)) < 0 ? 1 : -1;
  for (int64_t j = threadIdx.x; j < scene.k; j += blockDim.x) {
    const R theta = j + 1 < scene.k ? turn_angle(&turn, scene.s[j]) : turn.theta;
    tensor_of<T>(form.turn, scene.b)[j] = make<T>::of(cosine_of(theta), sign * sine_of(theta));
  }
}

template <class R> __device__ inline R height_at(const form_scene<R> &scene, const turn_of<R> &turn, int64_t j) {
  return j + 1 < scene.k ? turn_height(&turn, scene.s[j]) : turn.last * turn.cosine;
}

/* The diagonal of M, by one thread for the sum over the values. */
template <class T>
__device__ inline void rotation_diagonal(const function_rule<real_t<T>> &rule, form_scene<real_t<T>> *scene,
                                         const turn_of<real_t<T>> &turn, const T *P, const T *d,
                                         power_of_two<real_t<T>> scale, T *M) {
  typedef real_t<T> R;
  const int64_t last = scene->k - 1, k = scene->k;
  const R z_last = im(conj(d[last]) * P[last * k + last]), h_last = turn.last * turn.cosine;
  R sum = 0, weighted = 0;
  for (int64_t c = 0; c < last; c++) {
    const R inverse = function_divide(&rule, (R)1, height_at(*scene, turn, c), &scene->policy);
    sum += inverse;
    weighted += inverse * im(conj(d[c]) * P[c * k + c]);
  }
  const R s1 = scene->policy.s1, one = 1 + h_last * sum;
  const R inverse = function_divide(&rule, (R)1, (R)fabs(one) * s1, &scene->policy) * s1;
  const R trace = one < 0 ? -inverse : inverse, mu = (z_last + h_last * weighted) * trace;
  for (int64_t i = 0; i <= last; i++) {
    const R z = im(conj(d[i]) * P[i * k + i]);
    const R L = i == last ? (z_last * sum - weighted) * trace
                          : (z - mu) * function_divide(&rule, (R)1, height_at(*scene, turn, i), &scene->policy);
    const R x = trace == 0 ? 0 : scale * L;
    M[i * k + i] = make<T>::of(-im(d[i]) * x, re(d[i]) * x);
  }
}

/* M of the backward pass. */
template <class T>
__device__ inline void rotation_pairs(const function_form_t &form, const function_rule<real_t<T>> &rule,
                                      form_scene<real_t<T>> *scene, const T *P, power_of_two<real_t<T>> scale, T *M) {
  typedef real_t<T> R;
  const int64_t k = scene->k;
  const turn_of<R> turn = find_turn<T>(form, *scene);
  form_turns<T>(form, *scene, turn);
  __syncthreads();
  const T *d = tensor_of<T>(form.turn, scene->b);
  for (int64_t e = threadIdx.x; e < k * (k + 1) / 2; e += blockDim.x) {
    int64_t i, j;
    pair_of(e, &i, &j);
    if (i == j)
      continue;
    const R sum = height_at(*scene, turn, i) + height_at(*scene, turn, j);
    const R factor = function_divide(&rule, (R)1, sum, &scene->policy) * scale.first;
    const T L = scale.second * (factor * (conj(d[i]) * P[j * k + i] + -(d[j] * conj(P[i * k + j]))));
    M[j * k + i] = d[i] * L;
    M[i * k + j] = -(d[j] * conj(L));
  }
  if (threadIdx.x == 0 && k > 0)
    rotation_diagonal(rule, scene, turn, P, d, scale, M);
}
