/* SPDX-License-Identifier: BSD-3-Clause */
/* Power iteration: passes over A, each a launch over chunks of rows, and after each a launch that brings the chunks of a
 * matrix together (T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral normalization for generative adversarial
 * networks", ICLR 2018, for its use).
 *
 * A pass makes y = A v for the rows of its chunk and the chunk's share of A^H y, so that one reading of A serves both
 * halves of an iteration; the chunk is read twice, the second time from the cache.  The first pass makes A^H u and finds
 * the largest part of A, whose power of two scales what follows: the norms of iterates and their products are numbers.
 * The first pass itself is in the units of A, but for chunks near an end of the range, or a start u that is: there a
 * block makes its share again, scaled, as soon as it knows the largest part of its chunk.
 *
 * A block per chunk; y of the chunk in shared memory (chunk_rows T), and for matrices whose columns are contiguous one T
 * per thread.  Sums over chunks are taken in their order, of many in a launch of its own: no atomics, the same bits under
 * every schedule. */
#pragma once
#include "block.cuh"
#include "strided.cuh"

template <class T> __device__ inline T *component(const svdgrad_vector_t &x, int64_t b, int64_t i) {
  return (T *)x.data + (b * x.batch_stride + i * x.stride);
}

/* exponent: of the largest entry of a scaled matrix; its square times 2^46 elements is finite.
 * ordinary, ordinary_start: exponents of A and of a start u or v that need no scale; 2^46 times both is finite, and what
 * underflows in a product of the largest entries is far below its last bit. */
template <class R> struct power_limits;
template <> struct power_limits<float> {
  static const int exponent = 40, ordinary = 60, ordinary_start = 20, infinite = FLT_MAX_EXP;
  static __device__ constexpr float smallest_normal() { return FLT_MIN; }
};
template <> struct power_limits<double> {
  static const int exponent = 400, ordinary = 480, ordinary_start = 160, infinite = DBL_MAX_EXP;
  static __device__ constexpr double smallest_normal() { return DBL_MIN; }
};

/* e with x in [2^(e-1), 2^e); `otherwise` where x is 0, Inf or NaN. */
template <class R> __device__ inline int exponent_of(R x, int otherwise) {
  int exponent = otherwise;
  if (x > 0 && x - x == 0)
    (void)frexp(x, &exponent);
  return exponent;
}

/* The first pass takes a chunk, whose largest part is given, times 2^-exponent. */
template <class R> __device__ inline int chunk_exponent(R largest) {
  const int exponent = exponent_of(largest, 0), limit = power_limits<R>::ordinary;
  return exponent < -limit || exponent > limit ? exponent - power_limits<R>::exponent : 0;
}

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

/* y = A v for the rows of the chunk, in shared memory and in y_out. */
template <class T>
__device__ inline void rows_of_chunk(const power_args_t &args, int64_t b, int64_t first, int count, int exponent,
                                     T *y) {
  const T *v = (const T *)args.v_work + b * args.n;
  T *y_out = (T *)args.y + b * args.m + first;
  if (rows_are_contiguous<T>(args))
    rows_by_warps(args, b, first, count, exponent, v, y);
  else
    rows_by_lanes(args, b, first, count, exponent, v, y, y + args.chunk_rows);
  for (int r = threadIdx.x; r < count; r += blockDim.x)
    y_out[r] = y[r];
}

/* The chunk's share of A^H u 2^-u_exponent and its largest part; returns its exponent. */
template <class T>
__device__ inline int first_columns(const power_args_t &args, int64_t item, int64_t b, int64_t first, int count, T *w,
                                    real_t<T> *scratch) {
  typedef real_t<T> R;
  const int u_exponent = args.u_exponent[b];
  R largest = columns_of_chunk<T>(
      args, b, first, count, 0, [&](int r) { return *component<T>(args.u, b, first + r); }, w);
  largest = block_reduce<max_of<R>>(largest, scratch);
  if (threadIdx.x == 0)
    ((R *)args.largest_parts)[item] = largest;
  const int exponent = chunk_exponent(largest);
  if (exponent != 0 || u_exponent != 0)
    (void)columns_of_chunk<T>(
        args, b, first, count, exponent,
        [&](int r) { return times_power(*component<T>(args.u, b, first + r), -u_exponent); }, w);
  return exponent;
}

template <class T> __global__ void power_pass_kernel(power_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  SIMT_DYN_SHARED(T, shared);
  for (int64_t item = blockIdx.x; item < args.batch_count * args.chunks; item += gridDim.x) {
    const int64_t b = item / args.chunks, chunk = item % args.chunks, first = chunk * args.chunk_rows;
    const int count = (int)(args.m - first < args.chunk_rows ? args.m - first : args.chunk_rows);
    T *y = shared, *w = (T *)args.w_parts + item * args.n;
    const int exponent = args.first_pass ? first_columns<T>(args, item, b, first, count, w, scratch) : args.exponent[b];
    if (!args.first_pass || args.iterations == 0)
      rows_of_chunk<T>(args, b, first, count, exponent, y);
    if (!args.first_pass)
      (void)columns_of_chunk<T>(
          args, b, first, count, exponent, [&](int r) { return y[r]; }, w);
    __syncthreads();
  }
}

/* Power of two that makes the largest part of a start about 1, if that is not ordinary; 0 where it is not finite, too. */
template <class R> __device__ inline int start_exponent(R largest) {
  const int exponent = exponent_of(largest, 0), limit = power_limits<R>::ordinary_start;
  return exponent < -limit || exponent > limit ? exponent : 0;
}

template <class T>
__device__ inline real_t<T> largest_of_start(const svdgrad_vector_t &x, int64_t b, int64_t count, real_t<T> *scratch) {
  typedef real_t<T> R;
  R largest = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x)
    largest = max_of<R>::combine(largest_part(*component<T>(x, b, i)), largest);
  return block_reduce<max_of<R>>(largest, scratch);
}

/* The scales of the start, and whether it is finite; v counts only where there is no iteration, or none that moves it. */
template <class T> __global__ void power_begin_kernel(power_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const R of_u = largest_of_start<T>(args.u, b, args.m, scratch),
            of_v = largest_of_start<T>(args.v, b, args.n, scratch);
    const int v_exponent = start_exponent(of_v);
    for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x)
      ((T *)args.v_work)[b * args.n + j] = times_power(*component<T>(args.v, b, j), -v_exponent);
    if (threadIdx.x != 0)
      continue;
    const bool bad = of_u - of_u != 0 || (args.iterations == 0 && of_v - of_v != 0);
    args.u_exponent[b] = start_exponent(of_u);
    args.v_exponent[b] = v_exponent;
    args.state[b] = bad ? CUDA_POWER_NONFINITE : CUDA_POWER_MOVES;
  }
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

/* What brings the chunks of a matrix together in the first pass, where they may have powers of two of their own: w is
 * taken times 2^-exponent. */
template <class R> struct first_units {
  R largest; /* part of A */
  int exponent;
  bool scaled; /* some chunk has one */
};

template <class R> __device__ inline first_units<R> units_of_first(const power_args_t &args, int64_t b, R *scratch) {
  R largest = 0, scaled = 0;
  for (int64_t c = threadIdx.x; c < args.chunks; c += blockDim.x) {
    const R part = ((const R *)args.largest_parts)[b * args.chunks + c];
    largest = max_of<R>::combine(part, largest);
    scaled = chunk_exponent(part) != 0 ? 1 : scaled;
  }
  largest = block_reduce<max_of<R>>(largest, scratch);
  scaled = block_reduce<max_of<R>>(scaled, scratch);
  return {largest, chunk_exponent(largest), scaled != 0};
}

/* Sum over chunks first.. up to end of what they have for w_j. */
template <class T>
__device__ inline T sum_of_chunks(const power_args_t &args, int64_t b, int64_t j, int64_t first, int64_t end,
                                  const first_units<real_t<T>> *units) {
  typedef real_t<T> R;
  const T *parts = (const T *)args.w_parts + b * args.chunks * args.n + j;
  const R *largest = (const R *)args.largest_parts + b * args.chunks;
  T sum = from_real<T>(0);
  if (units && units->scaled) {
    for (int64_t c = first; c < end; c++)
      sum = sum + times_power(parts[c * args.n], chunk_exponent(largest[c]) - units->exponent);
    return sum;
  }
  if (first < end)
    sum = parts[first * args.n];
  for (int64_t c = first + 1; c < end; c++)
    sum = sum + parts[c * args.n];
  return sum;
}

/* w = A^H y, or A^H u 2^-exponent of the first pass, from their shares, unless power_collect_kernel has done so. */
template <class T>
__device__ inline void collect_parts(const power_args_t &args, int64_t b, const first_units<real_t<T>> *units, T *w) {
  if (args.chunks > CUDA_POWER_RUNS)
    return;
  for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x)
    w[j] = sum_of_chunks<T>(args, b, j, 0, args.chunks, units);
  __syncthreads();
}

/* The same of many chunks, a block for 32 columns: chunks are shared out among warps in runs, whose sums are then added
 * up in their order. */
template <class T> __global__ void power_collect_kernel(power_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  __shared__ T sums[CUDA_POWER_RUNS][WARP];
  const int64_t blocks = (args.n + WARP - 1) / WARP, run = (args.chunks + CUDA_POWER_RUNS - 1) / CUDA_POWER_RUNS;
  const int64_t first = warp_index() * run, end = first + run < args.chunks ? first + run : args.chunks;
  for (int64_t item = blockIdx.x; item < args.batch_count * blocks; item += gridDim.x) {
    const int64_t b = item / blocks, j = item % blocks * WARP + lane_index();
    first_units<R> units = {0, 0, false};
    if (args.first_pass)
      units = units_of_first<R>(args, b, scratch);
    if (j < args.n)
      sums[warp_index()][lane_index()] = sum_of_chunks<T>(args, b, j, first, end, &units);
    __syncthreads();
    if (warp_index() == 0 && j < args.n) {
      T all = sums[0][lane_index()];
      for (int r = 1; r < CUDA_POWER_RUNS && r * run < args.chunks; r++)
        all = all + sums[r][lane_index()];
      ((T *)args.w)[b * args.n + j] = all;
    }
    __syncthreads();
  }
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

/* value 2^exponent */
template <class R> struct long_number {
  R value;
  int exponent;
};

/* sigma is kept for A / sigma as well: rounded to R it may be Inf, or have few bits left. */
template <class R>
__device__ inline void store_sigma(const power_args_t &args, int64_t b, long_number<R> sigma, long_number<R> residual) {
  if (threadIdx.x != 0)
    return;
  const R stored = ldexp(sigma.value, sigma.exponent);
  *entry<R>(args.sigma, b, 0) = stored;
  const R of_residual = args.residual.data ? ldexp(residual.value, residual.exponent) : 0;
  if (args.residual.data)
    *entry<R>(args.residual, b, 0) = of_residual;
  ((R *)args.sigma_value)[b] = sigma.value;
  args.sigma_exponent[b] = sigma.exponent;
  const bool overflows = fabs(stored) == (R)INFINITY || of_residual == (R)INFINITY;
  args.info[b] = overflows ? SVDGRAD_INFO_OVERFLOW : SVDGRAD_INFO_OK;
}

/* Without iterations, y = A v and w = A^H u of the caller's u and v, of any length: y and w in units of a matrix whose
 * largest part is about 1, times 2^unit that of A. */
template <class T>
__device__ inline void scale_given(const power_args_t &args, int64_t b, T *y, T *w, int w_exponent, int unit) {
  const real_t<T> *largest = (const real_t<T> *)args.largest_parts + b * args.chunks;
  for (int64_t i = threadIdx.x; i < args.m; i += blockDim.x)
    y[i] = times_power(y[i], chunk_exponent(largest[i / args.chunk_rows]) - unit);
  for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x)
    w[j] = times_power(w[j], w_exponent - unit);
}

/* Their sigma and residual.  u and v are taken times 2^-p and 2^-q, so that sigma u has 2^2p in it, which what it is
 * subtracted from must not: both are taken times 2^-2p if that is large. */
template <class T>
__device__ inline void finish_given(const power_args_t &args, int64_t b, T *w, int w_exponent, int unit,
                                    real_t<T> *scratch) {
  typedef real_t<T> R;
  T *y = (T *)args.y + b * args.m;
  const int p = args.u_exponent[b], q = args.v_exponent[b], of_p = p > 0 ? 2 * p : 0, of_q = q > 0 ? 2 * q : 0;
  const auto u = [&](int64_t i) { return times_power(*component<T>(args.u, b, i), -p); };
  const auto v = [&](int64_t j) { return ((const T *)args.v_work)[b * args.n + j]; };
  R sigma = 0;
  scale_given(args, b, y, w, w_exponent, unit);
  for (int64_t i = threadIdx.x; i < args.m; i += blockDim.x)
    sigma += re(conj(u(i)) * y[i]);
  sigma = block_reduce<sum_of<R>>(sigma, scratch);
  const R of_u = times_power(sigma, 2 * p - of_p), of_v = times_power(sigma, 2 * q - of_q);
  const long_norm<R> left = norm_of<T>(
      args.m, [&](int64_t i) { return times_power(y[i], -of_p) - of_u * u(i); }, scratch);
  const long_norm<R> right = norm_of<T>(
      args.n, [&](int64_t j) { return times_power(w[j], -of_q) - of_v * v(j); }, scratch);
  const int of_left = q + of_p, of_right = p + of_q, larger = of_left > of_right ? of_left : of_right;
  const R residual = hypot(times_power(left.value, left.exponent + of_left - larger),
                           times_power(right.value, right.exponent + of_right - larger));
  store_sigma<R>(args, b, {sigma, unit + p + q}, {residual, unit + larger});
}

/* After the first pass: the exponent, what state the matrix is in, and the first v. */
template <class T> __global__ void power_start_kernel(power_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    T *w = (T *)args.w + b * args.n, *v = (T *)args.v_work + b * args.n;
    const bool start_is_bad = args.state[b] == CUDA_POWER_NONFINITE;
    const first_units<R> units = units_of_first<R>(args, b, scratch);
    const R largest = units.largest;
    collect_parts<T>(args, b, &units, w);
    const int unit = exponent_of(largest, power_limits<R>::exponent);
    const long_norm<R> norm = norm_of<T>(
        args.n, [&](int64_t j) { return w[j]; }, scratch);
    const bool bad = start_is_bad || largest - largest != 0;
    const int state = bad ? CUDA_POWER_NONFINITE : norm.value > 0 ? CUDA_POWER_MOVES : CUDA_POWER_STUCK;
    if (threadIdx.x == 0) {
      args.state[b] = largest == 0 && !bad ? CUDA_POWER_ZERO : state;
      args.exponent[b] = unit - power_limits<R>::exponent;
    }
    if (bad)
      store_power_nan<T>(args, b);
    else if (args.iterations == 0)
      finish_given(args, b, w, units.exponent, unit, scratch);
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
    collect_parts<T>(args, b, nullptr, w);
    const long_norm<R> of_y = norm_of<T>(
        args.m, [&](int64_t i) { return y[i]; }, scratch);
    if (state == CUDA_POWER_MOVES && of_y.value > 0)
      store_unit<T>(args.m, y, of_y, [&](int64_t i, T x) { *component<T>(args.u, b, i) = x; });
    if (args.last_pass) {
      const R sigma = state == CUDA_POWER_MOVES ? times_power(of_y.value, of_y.exponent) : 0;
      const R stuck = state == CUDA_POWER_STUCK ? times_power(of_y.value, of_y.exponent) : 0;
      const R residual = state == CUDA_POWER_MOVES ? residual_of(args, w, v, of_y, scratch) : stuck;
      const int exponent = args.exponent[b], of_v = state == CUDA_POWER_STUCK ? args.v_exponent[b] : 0;
      store_sigma<R>(args, b, {sigma, exponent}, {residual, exponent + of_v});
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

/* x / sigma is (scale x) / number: scale is a power of two. */
template <class R> struct divisor { R number, scale; };

/* At an end of the range: then the sigma that is divided by is not the stored one. */
template <class R> __device__ inline bool has_lost_bits(R sigma) {
  const R size = fabs(sigma);
  return size == (R)INFINITY || (size > 0 && size < power_limits<R>::smallest_normal());
}

/* Of a sigma that has lost bits; `exact` is what was rounded to it. */
template <class R> __device__ inline divisor<R> exact_divisor(R sigma, long_number<R> exact) {
  const int shift = fabs(sigma) == (R)INFINITY ? -64 : 64;
  return {(R)ldexp(exact.value, exact.exponent + shift), (R)ldexp((R)1, shift)};
}

template <class T> __device__ inline T quotient(T x, divisor<real_t<T>> sigma) {
  if (sigma.number == 0)
    return from_real<T>(0);
  return make<T>::of(sigma.scale * re(x) / sigma.number, sigma.scale * im(x) / sigma.number);
}

/* Y = A / sigma, 0 where sigma is. */
template <class T> __global__ void power_quotient_kernel(power_args_t args) {
  typedef real_t<T> R;
  for (int64_t item = blockIdx.x; item < args.batch_count * args.chunks; item += gridDim.x) {
    const int64_t b = item / args.chunks, first = item % args.chunks * args.chunk_rows;
    const int64_t rows = args.m - first < args.chunk_rows ? args.m - first : args.chunk_rows;
    const R stored = *entry<R>(args.sigma, b, 0);
    divisor<R> sigma = {stored, 1};
    if (has_lost_bits(stored))
      sigma = exact_divisor<R>(stored, {((const R *)args.sigma_value)[b], args.sigma_exponent[b]});
    visit_elements(args.Y, rows, args.n, [&](int64_t i, int64_t j) {
      *element<T>(args.Y, b, first + i, j) = quotient(*element<T>(args.A, b, first + i, j), sigma);
    });
  }
}

/* Blocks of the most threads that a launch has, of which as many are resident as registers for what is done away from
 * the ends of the range allow. */
enum { POWER_THREADS = 256 };
template <class T> constexpr int along_blocks() { return sizeof(T) == 4 ? 6 : sizeof(T) == 8 ? 5 : 4; }
template <class T> constexpr int gradient_blocks() { return sizeof(real_t<T>) == 4 ? 5 : 3; }

/* Half of the exponent of a sigma that has lost bits. */
template <class R> __device__ inline int half_exponent(R sigma) {
  return exponent_of((R)fabs(sigma), power_limits<R>::infinite) / 2;
}

/* A chunk's share of Re<gY, A> and of sigma = Re(u^H A v), both times 2^-2h with h half of the exponent of sigma: A
 * takes one half of that, gY and u the other one, so that all of them stay numbers.  Two visits, which need fewer
 * registers than one. */
template <class T>
__device__ inline void along_anew(const normalize_gradient_args_t &args, int64_t b, int64_t first, int64_t rows,
                                  real_t<T> stored, real_t<T> *along, real_t<T> *sigma) {
  typedef real_t<T> R;
  const R half = ldexp((R)1, -half_exponent(stored));
  visit_elements(args.A, rows, args.n, [&](int64_t i, int64_t j) {
    const T a = half * *element<T>(args.A, b, first + i, j), g = half * *element<T>(args.gY, b, first + i, j);
    *along += re(conj(g) * a);
  });
  visit_elements(args.A, rows, args.n, [&](int64_t i, int64_t j) {
    const T av = half * *element<T>(args.A, b, first + i, j) * *component<T>(args.v, b, j);
    *sigma += re(conj(half * *component<T>(args.u, b, first + i)) * av);
  });
}

/* A chunk's share of Re<gY, A / sigma>; along_anew() where sigma has lost bits. */
template <class T>
__global__ void __launch_bounds__(POWER_THREADS, along_blocks<T>())
    normalize_along_kernel(normalize_gradient_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  for (int64_t item = blockIdx.x; item < args.batch_count * args.chunks; item += gridDim.x) {
    const int64_t b = item / args.chunks, first = item % args.chunks * args.chunk_rows;
    const int64_t rows = args.m - first < args.chunk_rows ? args.m - first : args.chunk_rows;
    const R sigma = *entry<R>(args.sigma, b, 0);
    const bool anew = has_lost_bits(sigma);
    R along = 0, of_sigma = 0;
    if (anew)
      along_anew<T>(args, b, first, rows, sigma, &along, &of_sigma);
    visit_elements(args.A, sigma == 0 || anew ? 0 : rows, args.n, [&](int64_t i, int64_t j) {
      const T a = *element<T>(args.A, b, first + i, j), g = *element<T>(args.gY, b, first + i, j);
      along += re(conj(g) * make<T>::of(re(a) / sigma, im(a) / sigma));
    });
    along = block_reduce<sum_of<R>>(along, scratch);
    if (anew)
      of_sigma = block_reduce<sum_of<R>>(of_sigma, scratch);
    if (threadIdx.x != 0)
      continue;
    ((R *)args.along_parts)[item] = along;
    ((R *)args.sigma_parts)[item] = of_sigma;
  }
}

template <class R>
__device__ inline R sum_of_parts(const normalize_gradient_args_t &args, const void *parts, int64_t b) {
  R sum = 0;
  for (int64_t c = 0; c < args.chunks; c++)
    sum += ((const R *)parts)[b * args.chunks + c];
  return sum;
}

/* gA = alpha (gY - Re<gY, A / sigma> u v^H) / sigma + beta gA: no square of sigma is formed. */
template <class T>
__global__ void __launch_bounds__(POWER_THREADS, gradient_blocks<T>())
    normalize_gradient_kernel(normalize_gradient_args_t args) {
  typedef real_t<T> R;
  for (int64_t item = blockIdx.x; item < args.batch_count * args.chunks; item += gridDim.x) {
    const int64_t b = item / args.chunks, first = item % args.chunks * args.chunk_rows;
    const int64_t rows = args.m - first < args.chunk_rows ? args.m - first : args.chunk_rows;
    const R stored = *entry<R>(args.sigma, b, 0);
    divisor<R> sigma = {stored, 1};
    R along = sum_of_parts<R>(args, args.along_parts, b);
    if (has_lost_bits(stored)) {
      const R anew = sum_of_parts<R>(args, args.sigma_parts, b);
      along = anew == 0 ? 0 : along / anew;
      sigma = exact_divisor<R>(stored, {anew, 2 * half_exponent(stored)});
    }
    visit_elements(args.gA, rows, args.n, [&](int64_t i, int64_t j) {
      const T uv = *component<T>(args.u, b, first + i) * conj(*component<T>(args.v, b, j));
      const T gradient = quotient(*element<T>(args.gY, b, first + i, j) - along * uv, sigma);
      T *gA = element<T>(args.gA, b, first + i, j);
      *gA = args.beta == 0 ? (R)args.alpha * gradient : (R)args.alpha * gradient + (R)args.beta * *gA;
    });
  }
}
