/* SPDX-License-Identifier: BSD-3-Clause */
/* The rotation that all tiers of one-sided Jacobi share: columns x, y with a = |x|^2, b = |y|^2, d = x^H y become
 *   x' = c x - conj(s) y,  y' = s x + c y,  x'^H y' = 0,  |x'|^2 = a - gain,  |y'|^2 = b + gain,
 * where c is real, and the longer column stays the longer one (the smaller angle; t = +-1 for equal norms).  J. Demmel
 * and K. Veselic, SIAM J. Matrix Anal. Appl. 13, 1992: stopping at |d| <= tolerance |x| |y| for every pair, sqrt(m) eps
 * as in LAPACK's gesvj, gives small singular values their relative accuracy. */
#pragma once
#include "scalar.cuh"

template <class T> struct rotation {
  real_t<T> c;
  T s; /* zero: the pair is orthogonal already */
  real_t<T> gain;
};

template <class R> __device__ inline R jacobi_tolerance(int64_t rows) { return sqrt((R)rows) * limits<R>::epsilon(); }

/* sqrt(1 + z^2) for z >= 0, infinity included. */
template <class R> __device__ inline R one_hypot(R z) { return z > 1 / limits<R>::epsilon() ? z : sqrt(1 + z * z); }

/* |x| where neither its square nor that of its inverse need be a number. */
__device__ inline float product_size(float x) { return fabsf(x); }
__device__ inline double product_size(double x) { return fabs(x); }
template <class R> __device__ inline R product_size(complex_t<R> x) {
  const R p = fabs(x.re), q = fabs(x.im), large = p > q ? p : q, small = p > q ? q : p;
  const R ratio = large > 0 ? small / large : 0;
  return large * sqrt(1 + ratio * ratio);
}

/* A column whose square is no normal number (2^-115 of the largest entry or less; double: 2^-1000) counts as zero. */
template <class R> __device__ inline bool is_null(R square) { return !(square >= limits<R>::smallest_square()); }

template <class T> __device__ inline rotation<T> make_rotation(real_t<T> a, real_t<T> b, T d, real_t<T> tolerance) {
  typedef real_t<T> R;
  const R size = product_size(d);
  if (is_null(a) || is_null(b) || !(size > tolerance * sqrt(a) * sqrt(b)))
    return {1, from_real<T>(0), 0};
  const R zeta = fabs(b - a) / (2 * size);
  const R t = (a >= b ? -1 : 1) / (zeta + one_hypot(zeta));
  const R square = 1 + t * t;
  const R c = 1 - t * t / (square + sqrt(square)); /* 1 / sqrt(square) would be too large more often than too small */
  return {c, (c * t / size) * d, t * size};
}

template <class T> __device__ inline bool rotates(const rotation<T> &r) { return re(r.s) != 0 || im(r.s) != 0; }

/* One row of two columns, where they then change places: products by c first. */
template <class R> __device__ __forceinline__ void rotate_row(R &x, R &y, R c, R s) {
  const R old = x;
  x = fused(c * x, -s, y);
  y = fused(c * y, s, old);
}
template <class R> __device__ __forceinline__ void rotate_row(complex_t<R> &x, complex_t<R> &y, R c, complex_t<R> s) {
  const complex_t<R> old = x;
  x = fused(c * x, -conj(s), y);
  y = fused(c * y, s, old);
}

/* The same, where they stay: products by s first, so that sums go where x and y were, without moves. */
template <class R> __device__ __forceinline__ void rotate_in_place(R &x, R &y, R c, R s) {
  const R from_y = s * y, from_x = s * x;
  x = fused(-from_y, c, x);
  y = fused(from_x, c, y);
}
template <class R>
__device__ __forceinline__ void rotate_in_place(complex_t<R> &x, complex_t<R> &y, R c, complex_t<R> s) {
  const complex_t<R> from_y = conj(s) * y, from_x = s * x;
  x = {fused(-from_y.re, c, x.re), fused(-from_y.im, c, x.im)};
  y = {fused(from_x.re, c, y.re), fused(from_x.im, c, y.im)};
}
