/* SPDX-License-Identifier: BSD-3-Clause */
/* Elements: float, double, complex_t<float>, complex_t<double>, with the operations that kernels need, under the same
 * names for real and complex. */
#pragma once
#include "compat.cuh"

#include <float.h>

template <class R> struct complex_t { R re, im; };

/* A number that is read and written at once, complex ones too: in shared memory and in packed arrays.  The caller's may
 * be aligned as their parts are. */
template <class T> struct alignas(sizeof(T)) whole_t { T x; };
template <class T> __device__ inline T read_whole(const T *x) {
  const whole_t<T> all = *(const whole_t<T> *)x; /* or the parts would be read apart */
  return all.x;
}
template <class T> __device__ inline void write_whole(T *to, T x) { *(whole_t<T> *)to = {x}; }

template <class T> struct scalar {
  typedef T real;
  static const bool is_complex = false;
};
template <class R> struct scalar<complex_t<R>> {
  typedef R real;
  static const bool is_complex = true;
};
template <class T> using real_t = typename scalar<T>::real;

template <class R> struct limits;
template <> struct limits<float> {
  static __host__ __device__ constexpr float epsilon() { return FLT_EPSILON; }
  static __host__ __device__ constexpr float smallest_square() { return FLT_MIN / FLT_EPSILON; }
  /* Largest entry of a scaled matrix: its square times 2^20 rows is finite, and what underflows when squared is below
   * 2^-115 of it. */
  static const int scaled_exponent = 52;
  static const int power_limit = 100; /* a power up to this is finite times what a normalized value is divided by */
};
template <> struct limits<double> {
  static __host__ __device__ constexpr double epsilon() { return DBL_EPSILON; }
  static __host__ __device__ constexpr double smallest_square() { return DBL_MIN / DBL_EPSILON; }
  static const int scaled_exponent = 490;
  static const int power_limit = 960;
};

template <class R> __device__ inline complex_t<R> operator+(complex_t<R> x, complex_t<R> y) {
  return {x.re + y.re, x.im + y.im};
}
template <class R> __device__ inline complex_t<R> operator-(complex_t<R> x, complex_t<R> y) {
  return {x.re - y.re, x.im - y.im};
}
template <class R> __device__ inline complex_t<R> operator-(complex_t<R> x) { return {-x.re, -x.im}; }
template <class R> __device__ inline complex_t<R> operator*(R x, complex_t<R> y) { return {x * y.re, x * y.im}; }

/* x + y z.  Sums of products say where they are fused: left to the compiler, the same expression might have other bits
 * in another kernel. */
__device__ inline float fused(float x, float y, float z) { return fmaf(y, z, x); }
__device__ inline double fused(double x, double y, double z) { return fma(y, z, x); }
template <class R> __device__ inline complex_t<R> fused(complex_t<R> x, complex_t<R> y, complex_t<R> z) {
  return {fused(fused(x.re, y.re, z.re), -y.im, z.im), fused(fused(x.im, y.re, z.im), y.im, z.re)};
}
template <class R> __device__ inline complex_t<R> fused(complex_t<R> x, R y, complex_t<R> z) {
  return {fused(x.re, y, z.re), fused(x.im, y, z.im)};
}
template <class R> __device__ inline complex_t<R> operator*(complex_t<R> x, complex_t<R> y) {
  return {fused(x.re * y.re, -x.im, y.im), fused(x.re * y.im, x.im, y.re)};
}

/* sum + |x|^2 */
__device__ inline float plus_abs2(float sum, float x) { return fused(sum, x, x); }
__device__ inline double plus_abs2(double sum, double x) { return fused(sum, x, x); }
template <class R> __device__ inline R plus_abs2(R sum, complex_t<R> x) {
  return fused(fused(sum, x.re, x.re), x.im, x.im);
}
__device__ inline float abs2(float x) { return x * x; }
__device__ inline double abs2(double x) { return x * x; }
template <class R> __device__ inline R abs2(complex_t<R> x) { return plus_abs2(x.re * x.re, x.im); }

__device__ inline float re(float x) { return x; }
__device__ inline double re(double x) { return x; }
template <class R> __device__ inline R re(complex_t<R> x) { return x.re; }
__device__ inline float im(float) { return 0; }
__device__ inline double im(double) { return 0; }
template <class R> __device__ inline R im(complex_t<R> x) { return x.im; }
__device__ inline float conj(float x) { return x; }
__device__ inline double conj(double x) { return x; }
template <class R> __device__ inline complex_t<R> conj(complex_t<R> x) { return {x.re, -x.im}; }

/* |x| without over- or underflow of its square. */
__device__ inline float magnitude(float x) { return fabsf(x); }
__device__ inline double magnitude(double x) { return fabs(x); }
template <class R> __device__ inline R magnitude(complex_t<R> x) { return hypot(x.re, x.im); }

/* The larger of |re| and |im|; NaN if either is. */
template <class T> __device__ inline real_t<T> largest_part(T x) {
  const real_t<T> a = fabs(re(x)), b = fabs(im(x));
  return a >= b || a != a ? a : b;
}

template <class T> struct make;
template <> struct make<float> {
  static __device__ inline float of(float re, float) { return re; }
};
template <> struct make<double> {
  static __device__ inline double of(double re, double) { return re; }
};
template <class R> struct make<complex_t<R>> {
  static __device__ inline complex_t<R> of(R re, R im) { return {re, im}; }
};
/* A real number as a T. */
template <class T> __device__ inline T from_real(real_t<T> x) { return make<T>::of(x, 0); }
template <class T> __device__ inline T not_a_number() { return make<T>::of((real_t<T>)NAN, (real_t<T>)NAN); }

/* 2^exponent x in two steps: 2^exponent itself may over- or underflow. */
template <class R> __device__ inline R times_power(R x, int exponent) {
  const int half = exponent / 2;
  return x * (R)ldexp((R)1, half) * (R)ldexp((R)1, exponent - half);
}
template <class R> __device__ inline complex_t<R> times_power(complex_t<R> x, int exponent) {
  return {times_power(x.re, exponent), times_power(x.im, exponent)};
}

/* 2^exponent as a product of two numbers, which it need not be one of; the second one is 1 nearly always. */
template <class R> struct power_of_two { R first, second; };
template <class R> __device__ inline power_of_two<R> make_power(int exponent) {
  const int limit = limits<R>::power_limit, first = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
  return {(R)ldexp((R)1, first), (R)ldexp((R)1, exponent - first)};
}
template <class R> __device__ inline R operator*(power_of_two<R> power, R x) {
  return power.second * (power.first * x);
}
template <class R> __device__ inline complex_t<R> operator*(power_of_two<R> power, complex_t<R> x) {
  return power.second * (power.first * x);
}
