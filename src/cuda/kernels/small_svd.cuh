/* SPDX-License-Identifier: BSD-3-Clause */
/* SVD of an N-by-N matrix, N <= 4, by one thread in registers: one-sided Jacobi (M. R. Hestenes, J. SIAM 6, 1958) with
 * the rotations of rotation.cuh, pairs in the order (0,1), (0,2) ... (N-2,N-1), until a sweep rotates nothing.
 *
 * Registers: 2 N^2 elements, N^2 without vectors, and 2 N reals.  A pair costs N multiplications to look at; to rotate
 * it 6 N more (4 N more for Y), four square roots and four divisions. */
#pragma once
#include "rotation.cuh"

template <class T, int N, bool VECTORS> struct small_svd {
  typedef real_t<T> R;
  T X[N][N]; /* X[j] is column j: of A, then of the left vectors, orthonormal also where S is zero */
  T Y[N][N]; /* right vectors */
  R S[N];    /* squares of the columns' norms, then singular values, descending */

  /* Non-zero if the sweep limit was reached.  X comes scaled such that squares are safe. */
  __device__ __forceinline__ int solve(int max_sweeps) {
    start();
    int rotated = 1;
#pragma unroll 1
    for (int sweep = 0; sweep < max_sweeps && rotated; sweep++)
      rotated = rotate_all_pairs();
    sort();
#pragma unroll
    for (int j = 0; j < N; j++)
      S[j] = sqrt(S[j]);
    if (VECTORS)
      normalize();
    return rotated;
  }

private:
  __device__ __forceinline__ R square(int j) const {
    R sum = 0;
#pragma unroll
    for (int i = 0; i < N; i++)
      sum = plus_abs2(sum, X[j][i]);
    return sum;
  }

  __device__ __forceinline__ T product(int p, int q) const {
    T sum = from_real<T>(0);
#pragma unroll
    for (int i = 0; i < N; i++)
      sum = fused(sum, conj(X[p][i]), X[q][i]);
    return sum;
  }

  __device__ __forceinline__ void clear(int j) {
    S[j] = 0;
#pragma unroll
    for (int i = 0; i < N; i++)
      X[j][i] = from_real<T>(0);
  }

  __device__ __forceinline__ void start() {
#pragma unroll
    for (int j = 0; j < N; j++) {
      S[j] = square(j);
      if (is_null(S[j]))
        clear(j);
      if (VECTORS)
#pragma unroll
        for (int i = 0; i < N; i++)
          Y[j][i] = from_real<T>(i == j);
    }
  }

  /* What a sweep leaves of a column that depends on the others is rounding noise, which may depend on them again, and
   * be smaller by eps with every further sweep: at once zero. */
  __device__ __forceinline__ void measure(int j, R before) {
    const R noise = N * limits<R>::epsilon();
    S[j] = square(j);
    if (S[j] <= noise * noise * before || is_null(S[j]))
      clear(j);
  }

  __device__ __forceinline__ int rotate_pair(int p, int q, const R (&before)[N]) {
    const rotation<T> r = make_rotation(S[p], S[q], product(p, q), jacobi_tolerance<R>(N));
    if (!rotates(r))
      return 0;
#pragma unroll
    for (int i = 0; i < N; i++) {
      rotate_row(X[p][i], X[q][i], r.c, r.s);
      if (VECTORS)
        rotate_row(Y[p][i], Y[q][i], r.c, r.s);
    }
    measure(p, before[p]);
    measure(q, before[q]);
    return 1;
  }

  __device__ __forceinline__ int rotate_all_pairs() {
    int rotated = 0;
    R before[N];
#pragma unroll
    for (int j = 0; j < N; j++)
      before[j] = S[j];
#pragma unroll
    for (int p = 0; p < N - 1; p++)
#pragma unroll
      for (int q = p + 1; q < N; q++)
        rotated |= rotate_pair(p, q, before);
    return rotated;
  }

  static __device__ __forceinline__ void swap_if(bool swap, R &x, R &y) {
    const R old = x;
    x = swap ? y : x;
    y = swap ? old : y;
  }
  static __device__ __forceinline__ void swap_if(bool swap, complex_t<R> &x, complex_t<R> &y) {
    swap_if(swap, x.re, y.re);
    swap_if(swap, x.im, y.im);
  }

  /* Neighbours change places where the right one is larger: equal ones stay in order. */
  __device__ __forceinline__ void sort() {
#pragma unroll
    for (int last = N - 1; last > 0; last--)
#pragma unroll
      for (int j = 0; j < last; j++) {
        const bool swap = S[j] < S[j + 1];
        swap_if(swap, S[j], S[j + 1]);
        if (VECTORS)
#pragma unroll
          for (int i = 0; i < N; i++) {
            swap_if(swap, X[j][i], X[j + 1][i]);
            swap_if(swap, Y[j][i], Y[j + 1][i]);
          }
      }
  }

  __device__ __forceinline__ void normalize() {
#pragma unroll
    for (int j = 0; j < N; j++) {
      if (S[j] == 0)
        complete(j);
      const R inverse = 1 / (S[j] == 0 ? sqrt(square(j)) : S[j]);
#pragma unroll
      for (int i = 0; i < N; i++)
        X[j][i] = inverse * X[j][i];
    }
  }

  /* Column j becomes the part that is orthogonal to the columns before it, of the unit vector of which most is left
   * (at least 1/N of its square: Gram-Schmidt twice is enough). */
  __device__ __forceinline__ void complete(int j) {
    R least = 2;
    int row = 0;
#pragma unroll
    for (int i = 0; i < N; i++) {
      R taken = 0;
#pragma unroll
      for (int c = 0; c < j; c++)
        taken = plus_abs2(taken, X[c][i]);
      row = taken < least ? i : row;
      least = taken < least ? taken : least;
    }
#pragma unroll
    for (int i = 0; i < N; i++)
      X[j][i] = from_real<T>(i == row);
#pragma unroll 1
    for (int pass = 0; pass < 2; pass++)
#pragma unroll
      for (int c = 0; c < j; c++) {
        const T along = product(c, j);
#pragma unroll
        for (int i = 0; i < N; i++)
          X[j][i] = fused(X[j][i], -along, X[c][i]);
      }
  }
};
