/* SPDX-License-Identifier: BSD-3-Clause */
/* ROTATION of complex types: the nearest special unitary matrix and its gradient (src/rules/special_unitary.h,
 * src/functions/host_forms.h), one block per matrix.  Every thread finds the angles, each alike. */
#pragma once
#include "form_tangents.cuh"
#include "function.cuh"

template <class T>
__device__ inline angles_of<real_t<T>> find_angles(const function_form_t &form, const form_scene<real_t<T>> &scene) {
  typedef real_t<T> R;
  const T phase = *tensor_of<T>(form.phase, scene.b);
  const int64_t k = scene.k;
  angles_of<R> angles = angles_begin((R)fabs(atan2(im(phase), re(phase))), k > 0 ? scene.s[k - 1] : 0, k > 0 ? k : 1);
  do
    for (int64_t i = 0; i + 1 < k; i++)
      angles_add(&angles, scene.s[i]);
  while (angles_next(&angles));
  return angles;
}

/* e^(i theta_j), by the whole block. */
template <class T>
__device__ inline void store_phases(const function_form_t &form, const form_scene<real_t<T>> &scene,
                                    const angles_of<real_t<T>> &angles) {
  typedef real_t<T> R;
  const R sign = im(*tensor_of<T>(form.phase, scene.b)) < 0 ? 1 : -1;
  for (int64_t j = threadIdx.x; j < scene.k; j += blockDim.x) {
    const R theta = j + 1 < scene.k ? angles_at(&angles, scene.s[j]) : angles.theta;
    tensor_of<T>(form.phases, scene.b)[j] = make<T>::of(cosine_of(theta), sign * sine_of(theta));
  }
}

template <class R>
__device__ inline R eigenvalue_at(const form_scene<R> &scene, const angles_of<R> &angles, int64_t j) {
  return j + 1 < scene.k ? angles_eigenvalue(&angles, scene.s[j]) : angles.last * angles.cosine;
}

/* The diagonal of M, by one thread for the sum over the values. */
template <class T>
__device__ inline void rotation_diagonal(const function_rule<real_t<T>> &rule, form_scene<real_t<T>> *scene,
                                         const angles_of<real_t<T>> &angles, const T *P, const T *d,
                                         power_of_two<real_t<T>> scale, T *M) {
  typedef real_t<T> R;
  const int64_t last = scene->k - 1, k = scene->k;
  const R z_last = im(conj(d[last]) * P[last * k + last]), h_last = angles.last * angles.cosine;
  R sum = 0, weighted = 0;
  for (int64_t c = 0; c < last; c++) {
    const R inverse = function_divide(&rule, (R)1, eigenvalue_at(*scene, angles, c), &scene->policy);
    sum += inverse;
    weighted += inverse * im(conj(d[c]) * P[c * k + c]);
  }
  const R s1 = scene->policy.s1, one = 1 + h_last * sum;
  const R inverse = function_divide(&rule, (R)1, (R)fabs(one) * s1, &scene->policy) * s1;
  const R trace = one < 0 ? -inverse : inverse, mu = (z_last + h_last * weighted) * trace;
  for (int64_t i = 0; i <= last; i++) {
    const R z = im(conj(d[i]) * P[i * k + i]);
    const R L = i == last ? (z_last * sum - weighted) * trace
                          : (z - mu) * function_divide(&rule, (R)1, eigenvalue_at(*scene, angles, i), &scene->policy);
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
  const angles_of<R> angles = find_angles<T>(form, *scene);
  store_phases<T>(form, *scene, angles);
  __syncthreads();
  const T *d = tensor_of<T>(form.phases, scene->b);
  for (int64_t e = threadIdx.x; e < k * (k + 1) / 2; e += blockDim.x) {
    int64_t i, j;
    pair_of(e, &i, &j);
    if (i == j)
      continue;
    const R sum = eigenvalue_at(*scene, angles, i) + eigenvalue_at(*scene, angles, j);
    const R factor = function_divide(&rule, (R)1, sum, &scene->policy) * scale.first;
    const T L = scale.second * (factor * (conj(d[i]) * P[j * k + i] + -(d[j] * conj(P[i * k + j]))));
    M[j * k + i] = d[i] * L;
    M[i * k + j] = -(d[j] * conj(L));
  }
  if (threadIdx.x == 0 && k > 0)
    rotation_diagonal(rule, scene, angles, P, d, scale, M);
}
