/* SPDX-License-Identifier: BSD-3-Clause */
/* The k-by-k heart of the backward pass (formula: svdgrad.h), by one team (team.cuh), a block if nothing else is said.
 * P = U^H gU and Q = V^H gV, column-major with columns `pitch` apart, in shared or global memory; M may be written over
 * Q.  Singular values are normalized, s = 2^-exponent S (src/rules/gap.h), and what is divided by one of them is
 * multiplied by 2^-exponent last. */
#pragma once
#include "gap.cuh"

/* Whether a sum of squares neither overflowed nor lost digits that matter to underflow. */
template <class R> __device__ inline bool square_is_normal(R sum) {
  return sum > limits<R>::smallest_square() && sum - sum == 0;
}

/* Norms of a cotangent whose sum of squares is not normal: |g|, and that of its largest column.  By a team; g(i, j) is an
 * element.  Rare, so a thread takes a whole column. */
template <class R> struct scaled_norms { R norm, largest; };

template <class Team, class T, class Element>
__device__ inline scaled_norms<real_t<T>> scaled_norms_of(int64_t rows, int64_t columns, Element g,
                                                          real_t<T> *scratch) {
  typedef real_t<T> R;
  R part = 0, sum = 0, most = 0;
  for (int64_t j = Team::rank(); j < columns; j += Team::size())
    for (int64_t i = 0; i < rows; i++)
      part = max_of<R>::combine(part, largest_part<T>(g(i, j)));
  const int exponent = gap_exponent(Team::template reduce<max_of<R>>(part, scratch), ANY_EXPONENT);
  for (int64_t j = Team::rank(); j < columns; j += Team::size()) {
    R square = 0;
    for (int64_t i = 0; i < rows; i++)
      square = plus_abs2(square, times_power((T)g(i, j), -exponent));
    sum += square;
    most = max_of<R>::combine(most, square);
  }
  return {times_power(sqrt(Team::template reduce<sum_of<R>>(sum, scratch)), exponent),
          times_power(sqrt(Team::template reduce<max_of<R>>(most, scratch)), exponent)};
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

template <class T> __device__ inline skew_pair<T> skew_of(T P_ij, T P_ji, T Q_ij, T Q_ji) {
  const T X = P_ij - conj(P_ji), Y = Q_ij - conj(Q_ji);
  return {X + Y, X - Y};
}

/* M_ij and M_ji, i <= j; gS as real numbers, or NULL. */
template <class T> struct entry_pair { T ij, ji; };

template <class T>
__device__ inline entry_pair<T> form_entries(int64_t i, int64_t j, const skew_pair<T> &z, const real_t<T> *s,
                                             const real_t<T> *gS, power_of_two<real_t<T>> scale,
                                             gap_policy<real_t<T>> *policy) {
  typedef real_t<T> R;
  if (i == j) {
    T M = from_real<T>(gS ? gS[j] : 0);
    if (scalar<T>::is_complex) {
      const gap_factors<R> f = gap_diagonal(policy, s[j], magnitude(z.difference));
      M = M + scale * (f.plus / 2 * z.difference);
    }
    return {M, M};
  }
  const gap_factors<R> f = gap_pair(policy, s[i], s[j], magnitude(z.sum), magnitude(z.difference));
  const T hermitian = scale * (f.minus / 2 * z.sum), skew = scale * (f.plus / 2 * z.difference);
  return {hermitian + skew, conj(hermitian) - conj(skew)};
}

/* M_ij and M_ji of every pair. */
template <class Team = block_team, class T>
__device__ inline void form_M(int64_t k, int64_t pitch, const T *P, const T *Q, const real_t<T> *s, const real_t<T> *gS,
                              power_of_two<real_t<T>> scale, gap_policy<real_t<T>> *policy, T *M) {
  const int64_t pairs = k * (k + 1) / 2;
  for (int64_t e = Team::rank(); e < pairs; e += Team::size()) {
    int64_t i, j;
    pair_of(e, &i, &j);
    const int64_t ij = j * pitch + i, ji = i * pitch + j;
    const entry_pair<T> m = form_entries(i, j, skew_of(P[ij], P[ji], Q[ij], Q[ji]), s, gS, scale, policy);
    M[ij] = m.ij;
    if (i != j)
      M[ji] = m.ji;
  }
}

/* What a complex loss does under a phase of (u_i, v_i), Im diag(P + Q), is not defined by A. */
template <class Team = block_team, class T>
__device__ inline void tally_phases(int64_t k, int64_t pitch, const T *P, const T *Q, real_t<T> norm,
                                    gap_policy<real_t<T>> *policy) {
  for (int64_t i = Team::rank(); i < k && scalar<T>::is_complex; i += Team::size())
    gap_gauge(policy, fabs(im(P[i * pitch + i]) + im(Q[i * pitch + i])), norm);
}
