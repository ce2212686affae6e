/* SPDX-License-Identifier: BSD-3-Clause */
/* One-sided Jacobi of one tall matrix by one block, columns in global memory (the caches hold them), one warp per pair
 * of columns, round-robin order (R. P. Brent and F. T. Luk, SIAM J. Sci. Stat. Comput. 6, 1985): any size, and the
 * decision on another sweep is taken on the device.  Rotations and stopping rule are those of the reference backend
 * (src/ref/ref_jacobi.inc); entries come scaled such that squares are safe.
 *
 * Per sweep n^2/2 pairs of 3 m + 6 m + 6 n multiplications.  Shared memory: one real per warp. */
#pragma once
#include "block.cuh"
#include "strided.cuh"

template <class T> struct pair_products {
  real_t<T> a, b; /* |x|^2, |y|^2 */
  T d;            /* x^H y */
};

template <class T> __device__ inline pair_products<T> multiply_pair(int64_t m, const T *x, const T *y) {
  pair_products<T> p = {0, 0, from_real<T>(0)};
  for (int64_t i = lane_index(); i < m; i += WARP) {
    p.a += abs2(x[i]);
    p.b += abs2(y[i]);
    p.d = fused(p.d, conj(x[i]), y[i]);
  }
  return {warp_sum(p.a), warp_sum(p.b), warp_sum(p.d)};
}

template <class T> struct rotation {
  real_t<T> c, s;
  T phase; /* conj(d/|d|): makes x^H y real and positive */
};

/* Annihilates d between columns of squared norms a and b; the column that is longer stays the longer one. */
template <class T> __device__ inline rotation<T> make_rotation(pair_products<T> p) {
  typedef real_t<T> R;
  const R size = magnitude(p.d);
  const R zeta = fabs(p.b - p.a) / (2 * size);
  const R t = (p.a >= p.b ? -1 : 1) / (zeta + hypot((R)1, zeta));
  const R c = 1 / sqrt(1 + t * t);
  return {c, c * t, ((R)1 / size) * conj(p.d)};
}

template <class T> __device__ inline void rotate(int64_t m, T *x, T *y, rotation<T> r) {
  for (int64_t i = lane_index(); i < m; i += WARP) {
    const T xi = x[i], yi = r.phase * y[i];
    x[i] = r.c * xi - r.s * yi;
    y[i] = r.s * xi + r.c * yi;
  }
}

/* What is left of the shorter of two parallel columns is rounding noise, and would go on rotating: zero; and so is a
 * column whose square is no normal number, 2^-115 of the largest entry or less (double: 2^-1000). */
template <class T> __device__ inline void flush_noise(int64_t m, T *x, real_t<T> before) {
  typedef real_t<T> R;
  R after = 0;
  for (int64_t i = lane_index(); i < m; i += WARP)
    after += abs2(x[i]);
  const R noise = (R)(m + 8) * limits<R>::epsilon();
  after = warp_sum(after);
  if (after <= noise * noise * before || after < limits<R>::smallest_square())
    for (int64_t i = lane_index(); i < m; i += WARP)
      x[i] = from_real<T>(0);
}

/* Non-zero if the pair had to be rotated. */
template <class T>
__device__ inline int orthogonalize_pair(int64_t m, int64_t n, T *x, T *y, T *vx, T *vy, real_t<T> tolerance) {
  const pair_products<T> p = multiply_pair(m, x, y);
  if (!(magnitude(p.d) > tolerance * sqrt(p.a) * sqrt(p.b)))
    return 0;
  const rotation<T> r = make_rotation(p);
  rotate(m, x, y, r);
  rotate(n, vx, vy, r);
  if (p.a >= p.b)
    flush_noise(m, y, p.b);
  else
    flush_noise(m, x, p.a);
  return 1;
}

/* Players 0..count-1 (count even); in every round each meets another one, after count-1 rounds all have met. */
__device__ inline void round_robin(int64_t count, int64_t round, int64_t table, int64_t *p, int64_t *q) {
  const int64_t circle = count - 1;
  const int64_t first = table == 0 ? circle : (round + table) % circle;
  const int64_t second = table == 0 ? round : (round + circle - table) % circle;
  *p = first < second ? first : second;
  *q = first < second ? second : first;
}

template <class T> __device__ inline int jacobi_sweep(int64_t m, int64_t n, T *A, T *V, real_t<T> tolerance) {
  const int64_t players = n + (n & 1);
  int rotated = 0;
  for (int64_t round = 0; round < players - 1; round++) {
    for (int64_t table = warp_index(); table < players / 2; table += warp_count()) {
      int64_t p, q;
      round_robin(players, round, table, &p, &q);
      if (q < n)
        rotated |= orthogonalize_pair(m, n, A + p * m, A + q * m, V + p * n, V + q * n, tolerance);
      __syncwarp();
    }
    __syncthreads();
  }
  return __syncthreads_or(rotated);
}

/* Norms into S of `X` order: column j of the result is the one with j larger, or equal and earlier, ones. */
template <class T>
__device__ inline void sort_columns(int64_t m, int64_t n, const T *A, const T *V, real_t<T> *norms, real_t<T> *S, T *X,
                                    T *Y) {
  typedef real_t<T> R;
  for (int64_t j = warp_index(); j < n; j += warp_count()) {
    R norm = 0;
    for (int64_t i = lane_index(); i < m; i += WARP)
      norm += abs2(A[j * m + i]);
    norm = warp_sum(norm);
    if (lane_index() == 0)
      norms[j] = sqrt(norm);
  }
  __syncthreads();
  for (int64_t j = warp_index(); j < n; j += warp_count()) {
    const R norm = norms[j];
    int64_t place = 0;
    for (int64_t i = 0; i < n; i++)
      place += norms[i] > norm || (norms[i] == norm && i < j);
    const R inverse = norm > 0 ? 1 / norm : 0;
    for (int64_t i = lane_index(); i < m; i += WARP)
      X[place * m + i] = inverse * A[j * m + i];
    for (int64_t i = lane_index(); i < n; i += WARP)
      Y[place * n + i] = V[j * n + i];
    if (lane_index() == 0)
      S[place] = norm;
  }
  __syncthreads();
}

template <class T> __global__ void jacobi_kernel(jacobi_args_t args) {
  typedef real_t<T> R;
  const int64_t m = args.rows, n = args.columns;
  const R tolerance = sqrt((R)m) * limits<R>::epsilon();
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    T *A = (T *)args.A + b * m * n, *V = (T *)args.rotations + b * n * n, *Y = (T *)args.Y + b * n * n;
    for (int64_t e = threadIdx.x; e < n * n; e += blockDim.x)
      V[e] = from_real<T>(e / n == e % n);
    __syncthreads();
    int rotated = 1;
    for (int sweep = 0; sweep < args.max_sweeps && rotated; sweep++)
      rotated = jacobi_sweep(m, n, A, V, tolerance);
    sort_columns(m, n, A, V, (R *)args.norms + b * n, (R *)args.S + b * n, (T *)args.X + b * args.x_stride, Y);
    if (threadIdx.x == 0)
      args.failed[b] = rotated;
  }
}
