/* SPDX-License-Identifier: BSD-3-Clause */
/* The product of the singular values of a matrix some of which Jacobi has lost, or which are rounding noise: their
 * logarithms are asked for.  Gaussian elimination with complete pivoting, A = P L U Q with L unit lower trapezoidal and
 * |L| <= 1, keeps the sizes of rows and columns in the diagonal of U however far apart they are, and L is
 * well-conditioned (J. Demmel, M. Gu, S. Eisenstat, I. Slapnicar, K. Veselic, Z. Drmac, Linear Algebra Appl. 299, 1999),
 * so that the product is |det U| sqrt(det L^H L), the latter by Gram-Schmidt.  The phase of det(A) is that of the pivots,
 * and the left vector of the last value gets it: where that value was lost, the vector's was arbitrary.
 *
 * One block per matrix.  Where the smallest singular value is above rounding noise, nearly always, it is left at once. */
#pragma once
#include "function.cuh"
#include "machine.cuh"

template <class T> struct elimination {
  typedef real_t<T> R;
  T *X; /* the tall matrix or A^H, rows-by-columns, scaled */
  int64_t rows, columns;
  R *scratch;
  double *places;

  __device__ T &at(int64_t i, int64_t j) const { return X[j * rows + i]; }
};

/* A times 2^-exponent, its largest entry where the smallest that a type has is a normal number; returns the exponent. */
template <class T> __device__ inline int load_scaled(const full_rank_args_t &args, int64_t b, const elimination<T> &e) {
  typedef real_t<T> R;
  const int64_t m = args.transposed ? e.columns : e.rows, n = args.transposed ? e.rows : e.columns;
  R largest = 0;
  visit_elements(args.A, m, n, [&](int64_t i, int64_t j) {
    largest = max_of<R>::combine(largest, largest_part(*element<T>(args.A, b, i, j)));
  });
  largest = block_reduce<max_of<R>>(largest, e.scratch);
  const int exponent = gap_exponent(largest, ANY_EXPONENT) - limits<R>::power_limit;
  visit_elements(args.A, m, n, [&](int64_t i, int64_t j) {
    const T a = times_power(*element<T>(args.A, b, i, j), -exponent);
    if (args.transposed)
      e.at(j, i) = conj(a);
    else
      e.at(i, j) = a;
  });
  __syncthreads();
  return exponent;
}

/* The largest entry of rows and columns p.., of equals the first, to place (p, p); its size, and 0 if all are zero.
 * `phase` is multiplied by what it has. */
template <class T> __device__ inline real_t<T> take_pivot(const elimination<T> &e, int64_t p, T *phase) {
  typedef real_t<T> R;
  const int64_t height = e.rows - p, count = height * (e.columns - p);
  R best = 0;
  double where = (double)count;
  for (int64_t q = threadIdx.x; q < count; q += blockDim.x) {
    const R size = magnitude(e.at(p + q % height, p + q / height));
    where = size > best ? (double)q : where;
    best = size > best ? size : best;
  }
  const R largest = block_reduce<max_of<R>>(best, e.scratch);
  where = block_reduce<min_of<double>>(best == largest ? where : (double)count, e.places);
  if (largest == 0)
    return 0;
  const int64_t row = p + (int64_t)where % height, column = p + (int64_t)where / height;
  for (int64_t j = threadIdx.x; j < e.columns; j += blockDim.x) {
    const T other = e.at(row, j);
    e.at(row, j) = e.at(p, j);
    e.at(p, j) = other;
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < e.rows; i += blockDim.x) {
    const T other = e.at(i, column);
    e.at(i, column) = e.at(i, p);
    e.at(i, p) = other;
  }
  __syncthreads();
  const R sign = (row != p) == (column != p) ? 1 : -1;
  *phase = sign * (*phase * phase_of(e.at(p, p)));
  return largest;
}

/* Column p of L, and what is left of the columns behind it. */
template <class T> __device__ inline void eliminate_column(const elimination<T> &e, int64_t p) {
  const int64_t below = e.rows - p - 1, right = e.columns - p - 1;
  const T pivot = e.at(p, p);
  for (int64_t i = threadIdx.x; i < below; i += blockDim.x)
    e.at(p + 1 + i, p) = quotient(e.at(p + 1 + i, p), pivot);
  __syncthreads();
  for (int64_t q = threadIdx.x; q < below * right; q += blockDim.x) {
    const int64_t i = p + 1 + q % below, j = p + 1 + q / below;
    e.at(i, j) = fused(e.at(i, j), -e.at(i, p), e.at(p, j));
  }
  __syncthreads();
}

/* U gives way to the zeros and ones of L. */
template <class T> __device__ inline void uncover_lower(const elimination<T> &e) {
  for (int64_t q = threadIdx.x; q < e.columns * e.columns; q += blockDim.x)
    if (const int64_t i = q % e.columns, j = q / e.columns; i <= j)
      e.at(i, j) = from_real<T>(i == j);
  __syncthreads();
}

/* Multiplies with sqrt(det L^H L), by modified Gram-Schmidt. */
template <class T>
__device__ inline void multiply_lengths(const elimination<T> &e, determinant_of<real_t<T>> *product) {
  typedef real_t<T> R;
  for (int64_t p = 0; p < e.columns; p++) {
    R square = 0;
    for (int64_t i = threadIdx.x; i < e.rows; i += blockDim.x)
      square = plus_abs2(square, e.at(i, p));
    square = block_reduce<sum_of<R>>(square, e.scratch);
    product->fraction *= sqrt(square); /* at most sqrt(rows): exponents are taken out below */
    int exponent;
    product->fraction = frexp(product->fraction, &exponent);
    product->exponent += exponent;
    for (int64_t j = p + 1 + warp_index(); j < e.columns; j += warp_count()) {
      T along = from_real<T>(0);
      for (int64_t i = lane_index(); i < e.rows; i += WARP)
        along = fused(along, conj(e.at(i, p)), e.at(i, j));
      along = (1 / square) * warp_sum(along);
      for (int64_t i = lane_index(); i < e.rows; i += WARP)
        e.at(i, j) = fused(e.at(i, j), -along, e.at(i, p));
    }
    __syncthreads();
  }
}

/* The product of the pivots, with a zero if there are fewer than columns, and their phase. */
template <class T> __device__ inline determinant_of<real_t<T>> multiply_pivots(const elimination<T> &e, T *phase) {
  determinant_of<real_t<T>> product = {1, 0, 0, 0};
  *phase = from_real<T>(1);
  for (int64_t p = 0; p < e.columns; p++) {
    const real_t<T> pivot = take_pivot(e, p, phase);
    determinant_times(&product, pivot);
    if (pivot == 0)
      return product;
    eliminate_column(e, p);
  }
  return product;
}

/* The last column of a square U such that det(U Vh) has that phase. */
template <class T>
__device__ inline void turn_last(const full_rank_args_t &args, int64_t b, const elimination<T> &e, T phase) {
  const int64_t n = e.columns;
  T known;
  for (int64_t q = threadIdx.x; q < n * n; q += blockDim.x) {
    T sum = from_real<T>(0);
    for (int64_t k = 0; k < n; k++)
      sum = fused(sum, *element<T>(args.U, b, q % n, k), *element<T>(args.Vh, b, k, q / n));
    e.at(q % n, q / n) = sum;
  }
  __syncthreads();
  (void)multiply_pivots(e, &known);
  const T turn = phase * conj(known);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
    *element<T>(args.U, b, i, n - 1) = (1 / magnitude(turn)) * (turn * *element<T>(args.U, b, i, n - 1));
}

/* Values up to this one beside the first are rounding noise. */
template <class R> __device__ inline R noise_of(const full_rank_args_t &args, R s1) {
  return 4 * (R)args.rows * limits<R>::epsilon() * s1;
}

template <class R> __device__ inline bool is_in_doubt(const full_rank_args_t &args, int64_t b) {
  if (args.value.data)
    return *entry<R>(args.value, b, 0) == -(R)INFINITY;
  const R first = *entry<R>(args.S, b, 0), last = *entry<R>(args.S, b, args.columns - 1);
  return first > 0 && first - first == 0 && last <= noise_of(args, first);
}

/* Gives the values in doubt alike what the product leaves for them; one thread. */
template <class R>
__device__ inline void share_out(const full_rank_args_t &args, int64_t b, const determinant_of<R> &product,
                                 int exponent) {
  const int64_t n = args.columns;
  const R noise = noise_of(args, *entry<R>(args.S, b, 0));
  const int told = args.exponent ? args.exponent[b] : 0;
  double left = log2((double)product.fraction) + (double)(product.exponent + n * (int64_t)(exponent - told));
  for (int64_t i = 0; i < n; i++) {
    R *s = entry<R>(args.S, b, i);
    if (*s <= noise)
      *s = (R)exp2(left / (double)(n - i)); /* all the rest are in doubt, too */
    left -= *s > 0 ? log2((double)*s) : 0;
  }
}

template <class T> __global__ void full_rank_kernel(full_rank_args_t args) {
  typedef real_t<T> R;
  SIMT_DYN_SHARED(T, memory);
  __shared__ R scratch[WARP];
  __shared__ double places[WARP];
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    if (!is_in_doubt<R>(args, b))
      continue;
    T *X = args.work ? (T *)args.work + b * args.rows * args.columns : memory;
    const elimination<T> e = {X, args.rows, args.columns, scratch, places};
    T phase;
    const int exponent = load_scaled(args, b, e);
    determinant_of<R> product = multiply_pivots(e, &phase);
    if (e.rows > e.columns && product.zeros == 0) {
      uncover_lower(e);
      multiply_lengths<T>(e, &product);
    }
    if (e.rows == e.columns && args.U.data && args.Vh.data && product.zeros == 0)
      turn_last(args, b, e, phase);
    if (threadIdx.x == 0 && args.value.data)
      *entry<R>(args.value, b, 0) = determinant_log(&product, exponent);
    else if (threadIdx.x == 0 && product.zeros == 0)
      share_out<R>(args, b, product, exponent);
    __syncthreads();
  }
}
