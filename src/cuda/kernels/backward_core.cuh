/* SPDX-License-Identifier: BSD-3-Clause */
/* The k-by-k heart of the backward pass (formula: svdgrad.h), by one block.  P = U^H gU and Q = V^H gV, column-major
 * with columns `pitch` apart, in shared or global memory; M may be written over Q.  Singular values are normalized, s = 2^-exponent S
 * (src/rules/gap.inc), and what is divided by one of them is multiplied by 2^-exponent last. */
#pragma once
#include "gap.cuh"

/* Whether a sum of squares is one of normal numbers, as far as they matter. */
template <class R> __device__ inline bool square_is_normal(R sum) {
  return sum > limits<R>::smallest_square() && sum - sum == 0;
}

/* Adds the norms of a cotangent whose sum of squares is not normal: |g| to *norm, its largest column's to *largest.  By
 * the block; g(i, j) is an element. */
template <class T, class Element>
__device__ inline void add_scaled_norms(int64_t rows, int64_t columns, Element g, real_t<T> *norm, real_t<T> *largest,
                                        real_t<T> *scratch) {
  typedef real_t<T> R;
  R part = 0, sum = 0, most = 0;
  for (int64_t e = threadIdx.x; e < rows * columns; e += blockDim.x)
    part = max_of<R>::combine(part, largest_part<T>(g(e % rows, e / rows)));
  const int exponent = gap_exponent(block_reduce<max_of<R>>(part, scratch), ANY_EXPONENT);
  for (int64_t j = warp_index(); j < columns; j += warp_count()) {
    R square = 0;
    for (int64_t i = lane_index(); i < rows; i += WARP)
      square = plus_abs2(square, times_power((T)g(i, j), -exponent));
    square = warp_sum(square);
    sum += lane_index() == 0 ? square : 0;
    most = max_of<R>::combine(most, square);
  }
  *norm += times_power(sqrt(block_reduce<sum_of<R>>(sum, scratch)), exponent);
  *largest += times_power(sqrt(block_reduce<max_of<R>>(most, scratch)), exponent);
}

/* Pair number e of the upper triangle i <= j, counted column by column. */
__device__ inline void pair_of(int64_t e, int64_t *i, int64_t *j) {
  int64_t column = (int64_t)((sqrt(8.0 * (double)e + 1) - 1) / 2);
  while (column * (column + 1) / 2 > e)
    column--;
  while ((column + 1) * (column + 2) / 2 <= e)
    column++;
  *j = column;
  *i = e - column * (column + 1) / 2;
}

template <class T> struct skew_pair { T sum, difference; /* (X+Y)_ij, (X-Y)_ij with X = P - P^H, Y = Q - Q^H */ };

template <class T> __device__ inline skew_pair<T> skew_at(int64_t pitch, const T *P, const T *Q, int64_t i, int64_t j) {
  const int64_t ij = j * pitch + i, ji = i * pitch + j;
  const T X = P[ij] - conj(P[ji]), Y = Q[ij] - conj(Q[ji]);
  return {X + Y, X - Y};
}

/* M_ij and M_ji of every pair; gS as real numbers, or NULL. */
template <class T>
__device__ inline void form_M(int64_t k, int64_t pitch, const T *P, const T *Q, const real_t<T> *s, const real_t<T> *gS,
                              power_of_two<real_t<T>> scale, gap_policy<real_t<T>> *policy, T *M) {
  typedef real_t<T> R;
  const int64_t pairs = k * (k + 1) / 2;
  for (int64_t e = threadIdx.x; e < pairs; e += blockDim.x) {
    int64_t i, j;
    pair_of(e, &i, &j);
    const skew_pair<T> z = skew_at(pitch, P, Q, i, j);
    if (i == j) {
      M[j * pitch + j] = from_real<T>(gS ? gS[j] : 0);
      if (scalar<T>::is_complex) {
        const gap_factors<R> f = gap_diagonal(policy, s[j], magnitude(z.difference));
        M[j * pitch + j] = M[j * pitch + j] + scale * (f.plus / 2 * z.difference);
      }
    } else {
      const gap_factors<R> f = gap_pair(policy, s[i], s[j], magnitude(z.sum), magnitude(z.difference));
      const T hermitian = scale * (f.minus / 2 * z.sum), skew = scale * (f.plus / 2 * z.difference);
      M[j * pitch + i] = hermitian + skew;
      M[i * pitch + j] = conj(hermitian) - conj(skew);
    }
  }
}

/* What a complex loss does under a phase of (u_i, v_i), Im diag(P + Q), is not defined by A. */
template <class T>
__device__ inline void tally_phases(int64_t k, int64_t pitch, const T *P, const T *Q, real_t<T> norm,
                                    gap_policy<real_t<T>> *policy) {
  for (int64_t i = threadIdx.x; i < k && scalar<T>::is_complex; i += blockDim.x)
    gap_gauge(policy, fabs(im(P[i * pitch + i]) + im(Q[i * pitch + i])), norm);
}
