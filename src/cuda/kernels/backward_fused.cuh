/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole backward pass of a thin, untruncated SVD by one block per matrix; P, Q and M never leave the chip.
 *
 * One side is long (max(m, n) rows), the other square (k rows).  For m >= n, with P = U^H gU over the long side and
 * Q = V^H gV, gA = left V^H, left = U M + (gU - U P) D, D = diag(1/s_j) where m > k.  For m < n the sides change
 * places: then M becomes M^H and the product gA^H.
 *
 * Shared memory: P, Q (later M) and the square basis, k-by-k; tiles of FUSED_ROWS rows of the long basis, of its
 * cotangent and of `left`; 5 k reals.  Two passes over the long side; 2 m k^2 + 4 k^3 multiplications for the first,
 * 3 m k^2 for the second. */
#pragma once
#include "backward_core.cuh"
#include "strided.cuh"

static const int FUSED_ROWS = 16;

/* U, or V (kept as Vh): column j of the basis, or of its cotangent. */
template <class T> struct side_view {
  svdgrad_matrix_t matrix;
  int conjugate_transposed;
  __device__ T at(int64_t b, int64_t i, int64_t j) const {
    return conjugate_transposed ? conj(*element<T>(matrix, b, j, i)) : *element<T>(matrix, b, i, j);
  }
};

template <class T> struct fused_memory {
  T *P, *Q, *square, *basis, *cotangent, *left;
  real_t<T> *s, *gS, *inverse, *column_sums, *scratch;
  int *outside;
};

__host__ __device__ inline size_t fused_elements(int64_t k) { return (size_t)(3 * k * k + 3 * FUSED_ROWS * k); }

template <class T> __device__ inline fused_memory<T> fused_carve(unsigned char *memory, int64_t k) {
  fused_memory<T> f;
  f.P = (T *)memory;
  f.Q = f.P + k * k;
  f.square = f.Q + k * k;
  f.basis = f.square + k * k;
  f.cotangent = f.basis + FUSED_ROWS * k;
  f.left = f.cotangent + FUSED_ROWS * k;
  f.s = (real_t<T> *)(f.left + FUSED_ROWS * k);
  f.gS = f.s + k;
  f.inverse = f.gS + k;
  f.column_sums = f.inverse + k;
  f.scratch = f.column_sums + k;
  f.outside = (int *)(f.scratch + WARP);
  return f;
}

/* Rows first.. of a side, FUSED_ROWS of them, as tile[column * FUSED_ROWS + row]; zero beyond the last row. */
template <class T>
__device__ inline void load_tile(const side_view<T> &side, int64_t b, int64_t rows, int64_t k, int64_t first, T *tile) {
  const bool rows_first = side.conjugate_transposed ? side.matrix.col_stride <= side.matrix.row_stride
                                                    : side.matrix.row_stride <= side.matrix.col_stride;
  for (int64_t e = threadIdx.x; e < FUSED_ROWS * k; e += blockDim.x) {
    const int64_t r = rows_first ? e % FUSED_ROWS : e / k, c = rows_first ? e / FUSED_ROWS : e % k;
    tile[c * FUSED_ROWS + r] = first + r < rows ? side.at(b, first + r, c) : from_real<T>(0);
  }
}

/* product = basis^H cotangent over all rows, and the squared norms of the columns of the cotangent. */
template <class T>
__device__ inline void project(const side_view<T> &basis, const side_view<T> &cotangent, int64_t b, int64_t rows,
                               int64_t k, const fused_memory<T> &f, T *product) {
  typedef real_t<T> R;
  const bool given = cotangent.matrix.data != NULL;
  for (int64_t e = threadIdx.x; e < k * k; e += blockDim.x)
    product[e] = from_real<T>(0);
  for (int64_t j = threadIdx.x; j < k; j += blockDim.x)
    f.column_sums[j] = 0;
  for (int64_t first = 0; first < rows && given; first += FUSED_ROWS) {
    load_tile(basis, b, rows, k, first, f.basis);
    load_tile(cotangent, b, rows, k, first, f.cotangent);
    __syncthreads();
    for (int64_t e = threadIdx.x; e < k * k; e += blockDim.x) {
      const T *u = f.basis + e % k * FUSED_ROWS, *g = f.cotangent + e / k * FUSED_ROWS;
      T sum = product[e];
      for (int r = 0; r < FUSED_ROWS; r++)
        sum = fused(sum, conj(u[r]), g[r]);
      product[e] = sum;
    }
    for (int64_t j = threadIdx.x; j < k; j += blockDim.x) {
      R sum = f.column_sums[j];
      for (int r = 0; r < FUSED_ROWS; r++)
        sum = plus_abs2(sum, f.cotangent[j * FUSED_ROWS + r]);
      f.column_sums[j] = sum;
    }
    __syncthreads();
  }
  __syncthreads();
}

/* Adds the norms of the cotangent whose column sums are in f. */
template <class T>
__device__ inline void add_norms(int64_t k, const fused_memory<T> &f, real_t<T> *norm, real_t<T> *largest) {
  typedef real_t<T> R;
  R sum = 0, most = 0;
  for (int64_t j = threadIdx.x; j < k; j += blockDim.x) {
    sum += f.column_sums[j];
    most = max_of<R>::combine(most, f.column_sums[j]);
  }
  *norm += sqrt(block_reduce<sum_of<R>>(sum, f.scratch));
  *largest += sqrt(block_reduce<max_of<R>>(most, f.scratch));
}

template <class T>
__device__ inline int load_values(const fused_args_t &args, int64_t b, int64_t k, const fused_memory<T> &f) {
  typedef real_t<T> R;
  const int exponent = gap_exponent(*entry<R>(args.S, b, 0), ANY_EXPONENT);
  for (int64_t j = threadIdx.x; j < k; j += blockDim.x) {
    f.s[j] = times_power(*entry<R>(args.S, b, j), -exponent);
    f.gS[j] = args.gS.data ? *entry<R>(args.gS, b, j) : 0;
    f.inverse[j] = 0;
    f.outside[j] = 0;
  }
  __syncthreads();
  return exponent;
}

/* left = basis M + (cotangent - basis P) D for the tile in f, D times `rest` in place of D; notes the columns with
 * something outside the span. */
template <class T>
__device__ inline void form_left(int64_t k, const fused_memory<T> &f, const T *M, int has_outside, real_t<T> rest) {
  for (int64_t e = threadIdx.x; e < FUSED_ROWS * k; e += blockDim.x) {
    const int64_t r = e % FUSED_ROWS, c = e / FUSED_ROWS;
    T inside = from_real<T>(0), outside = has_outside ? f.cotangent[e] : from_real<T>(0);
    for (int64_t i = 0; i < k; i++)
      inside = fused(inside, f.basis[i * FUSED_ROWS + r], M[c * k + i]);
    for (int64_t i = 0; i < k && has_outside; i++)
      outside = fused(outside, -f.basis[i * FUSED_ROWS + r], f.P[c * k + i]);
    if (has_outside) {
      if (re(outside) != 0 || im(outside) != 0)
        atomicOr(&f.outside[c], 1);
      inside = inside + rest * (f.inverse[c] * outside);
    }
    f.left[e] = inside;
  }
}

/* gA(first.., :) = alpha left square^H + beta gA, or its conjugate transpose. */
template <class T>
__device__ inline void store_rows(const fused_args_t &args, int64_t b, int64_t rows, int64_t k, int64_t first,
                                  const fused_memory<T> &f) {
  typedef real_t<T> R;
  const bool wide = args.m < args.n;
  for (int64_t e = threadIdx.x; e < FUSED_ROWS * k; e += blockDim.x) {
    const int64_t r = args.gA.row_stride <= args.gA.col_stride ? e % FUSED_ROWS : e / k;
    const int64_t c = args.gA.row_stride <= args.gA.col_stride ? e / FUSED_ROWS : e % k;
    if (first + r >= rows)
      continue;
    T sum = from_real<T>(0);
    for (int64_t i = 0; i < k; i++)
      sum = fused(sum, f.left[i * FUSED_ROWS + r], conj(f.square[i * k + c]));
    T *gA = wide ? element<T>(args.gA, b, c, first + r) : element<T>(args.gA, b, first + r, c);
    const T gradient = (R)args.alpha * (wide ? conj(sum) : sum);
    *gA = args.beta == 0 ? gradient : gradient + (R)args.beta * *gA;
  }
}

template <class T> struct fused_sides { side_view<T> basis, cotangent, square, square_cotangent; };

template <class T> __device__ inline fused_sides<T> sides_of(const fused_args_t &args) {
  const side_view<T> U = {args.U, 0}, gU = {args.gU, 0}, V = {args.Vh, 1}, gV = {args.gVh, 1};
  return args.m >= args.n ? fused_sides<T>{U, gU, V, gV} : fused_sides<T>{V, gV, U, gU};
}

/* P, Q, then M over Q, and the factors before what lies outside; returns the policy with this thread's tally. */
template <class T>
__device__ inline gap_policy<real_t<T>> form_core(const fused_args_t &args, const fused_sides<T> &sides, int64_t b,
                                                  int64_t rows, int exponent, const fused_memory<T> &f) {
  typedef real_t<T> R;
  const int64_t k = args.k;
  R norm = 0, largest = 0;
  project(sides.square, sides.square_cotangent, b, k, k, f, f.Q);
  add_norms(k, f, &norm, &largest);
  project(sides.basis, sides.cotangent, b, rows, k, f, f.P);
  add_norms(k, f, &norm, &largest);
  gap_policy<R> policy =
      gap_policy_make(args.gap_policy, (R)args.gap_param, limits<R>::epsilon(), f.s[0], norm, largest);
  const power_of_two<R> scale = make_power<R>(-exponent);
  tally_phases(k, f.P, f.Q, norm, &policy);
  __syncthreads();
  form_M(k, f.P, f.Q, f.s, f.gS, scale, &policy, f.Q);
  for (int64_t j = threadIdx.x; j < k; j += blockDim.x) {
    gap_policy<R> untallied = policy;
    f.inverse[j] = scale.first * gap_outside(&untallied, f.s[j], (R)1);
  }
  __syncthreads();
  return policy;
}

template <class T>
__device__ inline void store_report(const fused_args_t &args, int64_t b, int exponent, int has_outside,
                                    gap_policy<real_t<T>> policy, const fused_memory<T> &f) {
  for (int64_t j = threadIdx.x; j < args.k && has_outside; j += blockDim.x)
    (void)gap_outside(&policy, f.s[j], (real_t<T>)f.outside[j]);
  policy = gap_combine(policy, f.scratch);
  if (threadIdx.x == 0)
    args.report[b] = gap_report(&policy, exponent);
}

template <class T> __global__ void backward_fused_kernel(fused_args_t args) {
  typedef real_t<T> R;
  SIMT_DYN_SHARED(unsigned char, memory);
  const int64_t k = args.k, rows = args.m >= args.n ? args.m : args.n;
  const fused_memory<T> f = fused_carve<T>(memory, k);
  const fused_sides<T> sides = sides_of<T>(args);
  const int vectors = args.gU.data || args.gVh.data;
  const int has_outside = rows > k && sides.cotangent.matrix.data != NULL;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const int exponent = load_values(args, b, k, f);
    const R rest = make_power<R>(-exponent).second; /* of D, which has the first */
    gap_policy<R> policy = gap_policy_make(args.gap_policy, (R)0, (R)0, (R)0, (R)0, (R)0);
    if (vectors)
      policy = form_core(args, sides, b, rows, exponent, f);
    else
      for (int64_t e = threadIdx.x; e < k * k; e += blockDim.x)
        f.Q[e] = from_real<T>(e % k == e / k ? f.gS[e % k] : 0);
    for (int64_t e = threadIdx.x; e < k * k; e += blockDim.x)
      f.square[e] = sides.square.at(b, e % k, e / k);
    for (int64_t first = 0; first < rows; first += FUSED_ROWS) {
      load_tile(sides.basis, b, rows, k, first, f.basis);
      if (has_outside)
        load_tile(sides.cotangent, b, rows, k, first, f.cotangent);
      __syncthreads();
      form_left(k, f, f.Q, has_outside, rest);
      __syncthreads();
      store_rows(args, b, rows, k, first, f);
      __syncthreads();
    }
    if (args.report)
      store_report(args, b, exponent, has_outside, policy, f);
    __syncthreads();
  }
}
