/* SPDX-License-Identifier: BSD-3-Clause */
/* Power iteration: passes over A, each a launch over chunks of rows, and after each a launch that brings the chunks of a
 * matrix together (T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral normalization for generative adversarial
 * networks", ICLR 2018, for its use).
 *
 * A pass makes y = A v for the rows of its chunk and the chunk's share of A^H y, so that one reading of A serves both
 * halves of an iteration; the chunk is read twice, the second time from the cache.  The first pass makes A^H u and finds
 * the largest part of A, whose power of two scales what follows: the norms of iterates and their products are numbers.
 *
 * A block per chunk; y of the chunk in shared memory (chunk_rows T), and for matrices whose columns are contiguous one T
 * per thread.  Sums over chunks are taken in their order: no atomics, the same bits under every schedule. */
#pragma once
#include "block.cuh"
#include "strided.cuh"

template <class T> __device__ inline T *component(const svdgrad_vector_t &x, int64_t b, int64_t i) {
  return (T *)x.data + (b * x.batch_stride + i * x.stride);
}

template <class R> struct power_limits;
/* Of the largest entry of a scaled matrix: its square times 2^46 elements is finite. */
template <> struct power_limits<float> { static const int exponent = 40; };
template <> struct power_limits<double> { static const int exponent = 400; };

template <class T> __device__ inline bool rows_are_contiguous(const power_args_t &args) {
  return args.A.col_stride <= args.A.row_stride || args.m == 1;
}

template <class T>
__device__ inline T scaled_element(const power_args_t &args, int64_t b, int64_t i, int64_t j, int exponent) {
  const T a = *element<T>(args.A, b, i, j);
  return exponent ? times_power(a, -exponent) : a;
}

/* y = A v for rows first..first+count-1, a warp per row. */
template <class T>
__device__ inline void rows_by_warps(const power_args_t &args, int64_t b, int64_t first, int count, int exponent,
                                     const T *v, T *y) {
  for (int r = warp_index(); r < count; r += warp_count()) {
    T sum = from_real<T>(0);
    for (int64_t j = lane_index(); j < args.n; j += WARP)
      sum = fused(sum, scaled_element<T>(args, b, first + r, j, exponent), v[j]);
    sum = warp_sum(sum);
    if (lane_index() == 0)
      y[r] = sum;
  }
  __syncthreads();
}

/* The same with a row per lane, columns shared out among warps. */
template <class T>
__device__ inline void rows_by_lanes(const power_args_t &args, int64_t b, int64_t first, int count, int exponent,
                                     const T *v, T *y, T *parts) {
  for (int tile = 0; tile < count; tile += WARP) {
    const int r = tile + lane_index();
    T sum = from_real<T>(0);
    for (int64_t j = warp_index(); j < args.n && r < count; j += warp_count())
      sum = fused(sum, scaled_element<T>(args, b, first + r, j, exponent), v[j]);
    parts[threadIdx.x] = sum;
    __syncthreads();
    if (warp_index() == 0 && r < count) {
      T all = from_real<T>(0);
      for (int w = 0; w < warp_count(); w++)
        all = all + parts[w * WARP + lane_index()];
      y[r] = all;
    }
    __syncthreads();
  }
}

/* w_j = sum over the chunk of conj(A_ij) y_i; y by `at`.  Returns the largest part of A that the thread saw. */
template <class T, class At>
__device__ inline real_t<T> columns_of_chunk(const power_args_t &args, int64_t b, int64_t first, int count,
                                             int exponent, At at, T *w) {
  typedef real_t<T> R;
  const bool by_threads = rows_are_contiguous<T>(args);
  const int64_t start = by_threads ? threadIdx.x : warp_index(), step = by_threads ? blockDim.x : warp_count();
  const int begin = by_threads ? 0 : lane_index(), stride = by_threads ? 1 : WARP;
  R largest = 0;
  for (int64_t j = start; j < args.n; j += step) {
    T sum = from_real<T>(0);
    for (int r = begin; r < count; r += stride) {
      const T a = scaled_element<T>(args, b, first + r, j, exponent);
      largest = max_of<R>::combine(largest_part(a), largest);
      sum = fused(sum, conj(a), at(r));
    }
    if (!by_threads)
      sum = warp_sum(sum);
    if (by_threads || lane_index() == 0)
      w[j] = sum;
  }
  return largest;
}

template <class T> __global__ void power_pass_kernel(power_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  SIMT_DYN_SHARED(T, shared);
  for (int64_t item = blockIdx.x; item < args.batch_count * args.chunks; item += gridDim.x) {
    const int64_t b = item / args.chunks, chunk = item % args.chunks, first = chunk * args.chunk_rows;
    const int count = (int)(args.m - first < args.chunk_rows ? args.m - first : args.chunk_rows);
    const int exponent = args.first_pass ? 0 : args.exponent[b];
    T *y = shared, *w = (T *)args.w_parts + item * args.n, *y_out = (T *)args.y + b * args.m + first;
    const T *v = (const T *)args.v_work + b * args.n;
    if (!args.first_pass || args.iterations == 0) {
      if (rows_are_contiguous<T>(args))
        rows_by_warps(args, b, first, count, exponent, v, y);
      else
        rows_by_lanes(args, b, first, count, exponent, v, y, y + args.chunk_rows);
      for (int r = threadIdx.x; r < count; r += blockDim.x)
        y_out[r] = y[r];
    }
    R largest = 0;
    if (args.first_pass)
      largest = columns_of_chunk<T>(
          args, b, first, count, 0, [&](int r) { return *component<T>(args.u, b, first + r); }, w);
    else
      (void)columns_of_chunk<T>(
          args, b, first, count, exponent, [&](int r) { return y[r]; }, w);
    if (args.first_pass) {
      largest = block_reduce<max_of<R>>(largest, scratch);
      if (threadIdx.x == 0)
        ((R *)args.largest_parts)[item] = largest;
    }
    __syncthreads();
  }
}

/* v is read only where there is no iteration, or none that moves it. */
template <class T> __global__ void power_begin_kernel(power_args_t args) {
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x)
    for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x)
      ((T *)args.v_work)[b * args.n + j] = *component<T>(args.v, b, j);
}

/* |x| = value 2^exponent with a value that is no more than 2 sqrt(count): no square over- or underflows. */
template <class R> struct long_norm {
  R value;
  int exponent;
};

/* Of x 2^-scale; NaN if x has one, or an Inf. */
template <class T, class At> __device__ inline long_norm<real_t<T>> norm_of(int64_t count, At at, real_t<T> *scratch) {
  typedef real_t<T> R;
  R largest = 0, square = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x)
    largest = max_of<R>::combine(largest_part(at(i)), largest);
  largest = block_reduce<max_of<R>>(largest, scratch);
  if (!(largest > 0) || largest - largest != 0)
    return {largest - largest == 0 ? 0 : (R)NAN, 0};
  int exponent;
  (void)frexp(largest, &exponent);
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x)
    square = plus_abs2(square, times_power(at(i), -exponent));
  return {(R)sqrt(block_reduce<sum_of<R>>(square, scratch)), exponent};
}

/* w = A^H y, or A^H u, from its parts; returns the largest part of A in the first pass. */
template <class T>
__device__ inline real_t<T> collect_parts(const power_args_t &args, int64_t b, T *w, real_t<T> *scratch) {
  typedef real_t<T> R;
  const T *parts = (const T *)args.w_parts + b * args.chunks * args.n;
  R largest = 0;
  for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x) {
    T sum = parts[j];
    for (int64_t c = 1; c < args.chunks; c++)
      sum = sum + parts[c * args.n + j];
    w[j] = sum;
  }
  for (int64_t c = threadIdx.x; c < args.chunks && args.first_pass; c += blockDim.x)
    largest = max_of<R>::combine(((const R *)args.largest_parts)[b * args.chunks + c], largest);
  return block_reduce<max_of<R>>(largest, scratch);
}

/* to(i) <- x_i / |x|, i < count. */
template <class T, class To>
__device__ inline void store_unit(int64_t count, const T *x, long_norm<real_t<T>> norm, To to) {
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x)
    to(i, ((real_t<T>)1 / norm.value) * times_power(x[i], -norm.exponent));
}

template <class T> __device__ inline void store_power_nan(const power_args_t &args, int64_t b) {
  typedef real_t<T> R;
  for (int64_t i = threadIdx.x; i < args.m; i += blockDim.x)
    *component<T>(args.u, b, i) = not_a_number<T>();
  for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x)
    *component<T>(args.v, b, j) = not_a_number<T>();
  if (threadIdx.x != 0)
    return;
  *entry<R>(args.sigma, b, 0) = (R)NAN;
  if (args.residual.data)
    *entry<R>(args.residual, b, 0) = (R)NAN;
  args.info[b] = SVDGRAD_INFO_NONFINITE;
}

/* sigma and residual, given as numbers of a matrix times 2^-exponent. */
template <class R>
__device__ inline void store_sigma(const power_args_t &args, int64_t b, R sigma, R residual, int exponent) {
  if (threadIdx.x != 0)
    return;
  *entry<R>(args.sigma, b, 0) = times_power(sigma, exponent);
  if (args.residual.data)
    *entry<R>(args.residual, b, 0) = times_power(residual, exponent);
}

/* Without iterations: y = A v and w = A^H u of the caller's u and v, of any length, in the caller's units. */
template <class T>
__device__ inline void finish_given(const power_args_t &args, int64_t b, const T *w, int exponent, real_t<T> *scratch) {
  typedef real_t<T> R;
  const T *y = (const T *)args.y + b * args.m;
  const int unit = exponent + power_limits<R>::exponent; /* the largest part of A is about 1 */
  R sigma = 0;
  for (int64_t i = threadIdx.x; i < args.m; i += blockDim.x)
    sigma += re(conj(*component<T>(args.u, b, i)) * times_power(y[i], -unit));
  sigma = block_reduce<sum_of<R>>(sigma, scratch);
  const auto left = [&](int64_t i) { return times_power(y[i], -unit) - sigma * *component<T>(args.u, b, i); };
  const auto right = [&](int64_t j) { return times_power(w[j], -unit) - sigma * *component<T>(args.v, b, j); };
  const long_norm<R> of_left = norm_of<T>(args.m, left, scratch), of_right = norm_of<T>(args.n, right, scratch);
  const R residual =
      hypot(times_power(of_left.value, of_left.exponent), times_power(of_right.value, of_right.exponent));
  store_sigma(args, b, sigma, residual, unit);
}

/* After the first pass: the exponent, what state the matrix is in, and the first v. */
template <class T> __global__ void power_start_kernel(power_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    T *w = (T *)args.w + b * args.n, *v = (T *)args.v_work + b * args.n;
    const R largest = collect_parts(args, b, w, scratch);
    int exponent = power_limits<R>::exponent;
    if (largest > 0 && largest - largest == 0)
      (void)frexp(largest, &exponent);
    exponent -= power_limits<R>::exponent;
    const long_norm<R> norm = norm_of<T>(
        args.n, [&](int64_t j) { return w[j]; }, scratch);
    const long_norm<R> of_u = norm_of<T>(
        args.m, [&](int64_t i) { return *component<T>(args.u, b, i); }, scratch);
    const long_norm<R> of_v = args.iterations
                                  ? norm
                                  : norm_of<T>(
                                        args.n, [&](int64_t j) { return *component<T>(args.v, b, j); }, scratch);
    const bool bad = largest - largest != 0 || of_u.value != of_u.value || of_v.value != of_v.value;
    const int state = bad ? CUDA_POWER_NONFINITE : norm.value > 0 ? CUDA_POWER_MOVES : CUDA_POWER_STUCK;
    if (threadIdx.x == 0) {
      args.state[b] = largest == 0 && !bad ? CUDA_POWER_ZERO : state;
      args.exponent[b] = exponent;
      args.info[b] = SVDGRAD_INFO_OK;
    }
    if (bad)
      store_power_nan<T>(args, b);
    else if (args.iterations == 0)
      finish_given(args, b, w, exponent, scratch);
    else if (state == CUDA_POWER_MOVES)
      store_unit<T>(args.n, w, norm, [&](int64_t j, T x) { v[j] = *component<T>(args.v, b, j) = x; });
    __syncthreads();
  }
}

/* |w / |y| - sigma v| with sigma = |y|. */
template <class T>
__device__ inline real_t<T> residual_of(const power_args_t &args, const T *w, const T *v, long_norm<real_t<T>> y,
                                        real_t<T> *scratch) {
  typedef real_t<T> R;
  const R sigma = times_power(y.value, y.exponent), inverse = y.value > 0 ? 1 / y.value : 0;
  R square = 0;
  for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x)
    square = plus_abs2(square, inverse * times_power(w[j], -y.exponent) - sigma * v[j]);
  return sqrt(block_reduce<sum_of<R>>(square, scratch));
}

/* After an iteration: u, and the next v, or sigma. */
template <class T> __global__ void power_finish_kernel(power_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    T *w = (T *)args.w + b * args.n, *v = (T *)args.v_work + b * args.n;
    const T *y = (const T *)args.y + b * args.m;
    const int state = args.state[b];
    if (state == CUDA_POWER_NONFINITE)
      continue;
    (void)collect_parts(args, b, w, scratch);
    const long_norm<R> of_y = norm_of<T>(
        args.m, [&](int64_t i) { return y[i]; }, scratch);
    if (state == CUDA_POWER_MOVES && of_y.value > 0)
      store_unit<T>(args.m, y, of_y, [&](int64_t i, T x) { *component<T>(args.u, b, i) = x; });
    if (args.last_pass) {
      const R sigma = state == CUDA_POWER_MOVES ? times_power(of_y.value, of_y.exponent) : 0;
      const R stuck = state == CUDA_POWER_STUCK ? times_power(of_y.value, of_y.exponent) : 0;
      const R residual = state == CUDA_POWER_MOVES ? residual_of(args, w, v, of_y, scratch) : stuck;
      store_sigma(args, b, sigma, residual, args.exponent[b]);
    } else if (state == CUDA_POWER_MOVES) {
      const long_norm<R> of_w = norm_of<T>(
          args.n, [&](int64_t j) { return w[j]; }, scratch);
      if (of_w.value > 0)
        store_unit<T>(args.n, w, of_w, [&](int64_t j, T x) { v[j] = *component<T>(args.v, b, j) = x; });
    }
    __syncthreads();
  }
}

/* Of empty matrices: no singular value. */
template <class T> __global__ void power_clear_kernel(power_args_t args) {
  typedef real_t<T> R;
  for (int64_t b = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; b < args.batch_count;
       b += (int64_t)gridDim.x * blockDim.x) {
    if (args.sigma.data)
      *entry<R>(args.sigma, b, 0) = 0;
    if (args.residual.data)
      *entry<R>(args.residual, b, 0) = 0;
    if (args.info)
      args.info[b] = SVDGRAD_INFO_OK;
  }
}

/* Y = A / sigma, 0 where sigma is. */
template <class T> __global__ void power_quotient_kernel(power_args_t args) {
  typedef real_t<T> R;
  for (int64_t item = blockIdx.x; item < args.batch_count * args.chunks; item += gridDim.x) {
    const int64_t b = item / args.chunks, first = item % args.chunks * args.chunk_rows;
    const int64_t rows = args.m - first < args.chunk_rows ? args.m - first : args.chunk_rows;
    const R sigma = *entry<R>(args.sigma, b, 0);
    visit_elements(args.Y, rows, args.n, [&](int64_t i, int64_t j) {
      const T a = *element<T>(args.A, b, first + i, j);
      *element<T>(args.Y, b, first + i, j) = sigma == 0 ? from_real<T>(0) : make<T>::of(re(a) / sigma, im(a) / sigma);
    });
  }
}

/* A chunk's share of Re<gY, A / sigma>. */
template <class T> __global__ void normalize_along_kernel(normalize_gradient_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  for (int64_t item = blockIdx.x; item < args.batch_count * args.chunks; item += gridDim.x) {
    const int64_t b = item / args.chunks, first = item % args.chunks * args.chunk_rows;
    const int64_t rows = args.m - first < args.chunk_rows ? args.m - first : args.chunk_rows;
    const R sigma = *entry<R>(args.sigma, b, 0);
    R along = 0;
    visit_elements(args.A, sigma == 0 ? 0 : rows, args.n, [&](int64_t i, int64_t j) {
      const T a = *element<T>(args.A, b, first + i, j), g = *element<T>(args.gY, b, first + i, j);
      along += re(conj(g) * make<T>::of(re(a) / sigma, im(a) / sigma));
    });
    along = block_reduce<sum_of<R>>(along, scratch);
    if (threadIdx.x == 0)
      ((R *)args.along_parts)[item] = along;
  }
}

/* gA = alpha (gY - Re<gY, A / sigma> u v^H) / sigma + beta gA: no square of sigma is formed. */
template <class T> __global__ void normalize_gradient_kernel(normalize_gradient_args_t args) {
  typedef real_t<T> R;
  for (int64_t item = blockIdx.x; item < args.batch_count * args.chunks; item += gridDim.x) {
    const int64_t b = item / args.chunks, first = item % args.chunks * args.chunk_rows;
    const int64_t rows = args.m - first < args.chunk_rows ? args.m - first : args.chunk_rows;
    const R sigma = *entry<R>(args.sigma, b, 0), *parts = (const R *)args.along_parts + b * args.chunks;
    R along = 0;
    for (int64_t c = 0; c < args.chunks; c++)
      along += parts[c];
    visit_elements(args.gA, rows, args.n, [&](int64_t i, int64_t j) {
      const T uv = *component<T>(args.u, b, first + i) * conj(*component<T>(args.v, b, j));
      const T g = *element<T>(args.gY, b, first + i, j) - along * uv;
      const T gradient = sigma == 0 ? from_real<T>(0) : make<T>::of(re(g) / sigma, im(g) / sigma);
      T *gA = element<T>(args.gA, b, first + i, j);
      *gA = args.beta == 0 ? (R)args.alpha * gradient : (R)args.alpha * gradient + (R)args.beta * *gA;
    });
  }
}
