/* SPDX-License-Identifier: BSD-3-Clause */
/* The determinant and the weights of its gradient (src/functions/forms.h), one block per matrix. */
#pragma once
#include "form_tangents.cuh"
#include "function.cuh"

/* In the same order whatever the threads: all of them read all values. */
template <class R> __device__ inline determinant_of<R> multiply_values(const form_scene<R> &scene) {
  determinant_of<R> product = {1, 0, 0, 0};
  for (int64_t i = 0; i < scene.k; i++)
    determinant_times(&product, scene.s[i]);
  return product;
}

/* What the gradient has before u_i v_i^H. */
template <class T>
__device__ inline T determinant_weight(const determinant_form_t &form, const form_scene<real_t<T>> &scene,
                                       const determinant_of<real_t<T>> &product, int64_t i) {
  typedef real_t<T> R;
  const R s = scene.s[i];
  const T phase = *tensor_of<T>(form.phase, scene.b);
  const T g_det = *tensor_of<T>(form.g_det, scene.b) * conj(phase);
  const T g_sign = conj(phase) * *tensor_of<T>(form.g_sign, scene.b);
  const R g_phase = product.zeros > 0 ? 0 : im(g_sign), g_log = *reals_of<R>(form.g_log_abs, scene.b);
  const gap_policy<R> &policy = scene.policy;
  return make<T>::of(determinant_without(&product, s, scene.exponent, re(g_det)) +
                         determinant_quotient(&policy, g_log, s, scene.exponent),
                     determinant_without(&product, s, scene.exponent, im(g_det)) +
                         determinant_quotient(&policy, g_phase, s, scene.exponent));
}

template <class T>
__device__ inline void store_determinant(const determinant_form_t &form, const form_scene<real_t<T>> &scene,
                                         const determinant_of<real_t<T>> &product) {
  typedef real_t<T> R;
  const int64_t b = scene.b;
  const T phase = *tensor_of<T>(form.phase, b);
  const R s1 = scene.policy.s1, unit = s1 == s1 ? (R)(product.zeros == 0) : s1;
  const R real = determinant_value(&product, scene.exponent, re(phase));
  const R imaginary = determinant_value(&product, scene.exponent, im(phase));
  *tensor_of<T>(form.det, b) = make<T>::of(real, imaginary);
  *tensor_of<T>(form.sign, b) = unit * phase;
  *reals_of<R>(form.log_abs, b) = determinant_log(&product, scene.exponent);
  if (form.info && form.info[b] == SVDGRAD_INFO_OK && (fabs(real) == (R)INFINITY || fabs(imaginary) == (R)INFINITY))
    form.info[b] = SVDGRAD_INFO_OVERFLOW;
}

template <class T> __global__ void form_determinant_kernel(form_args_t args) {
  typedef real_t<T> R;
  const determinant_form_t &form = args.form.determinant;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const form_scene<R> scene = form_begin<R>(args, form.values, b);
    const determinant_of<R> product = multiply_values(scene);
    for (int64_t i = threadIdx.x; i < form.weight.rows; i += blockDim.x)
      tensor_of<T>(form.weight, b)[i] = determinant_weight<T>(form, scene, product, i);
    if (threadIdx.x == 0)
      store_determinant<T>(form, scene, product);
  }
}
