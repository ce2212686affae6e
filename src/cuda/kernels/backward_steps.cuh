/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of the backward pass between products (gemm.cuh), for what does not fit into one block's shared memory, for
 * truncated rank and for full_matrices: packed column-major arrays in global memory, one block per matrix. */
#pragma once
#include "backward_core.cuh"
#include "strided.cuh"

template <class T>
__device__ inline void pack_plain(const svdgrad_matrix_t &from, int64_t b, int64_t rows, int64_t columns, void *to) {
  T *packed = (T *)to + b * rows * columns;
  visit_elements(from, rows, columns, [&](int64_t i, int64_t j) { packed[j * rows + i] = *element<T>(from, b, i, j); });
}

/* X^H of a rows-by-columns X that is kept as its conjugate transpose. */
template <class T>
__device__ inline void pack_hermitian(const svdgrad_matrix_t &from, int64_t b, int64_t rows, int64_t columns,
                                      void *to) {
  T *packed = (T *)to + b * rows * columns;
  visit_elements(from, columns, rows,
                 [&](int64_t i, int64_t j) { packed[i * rows + j] = conj(*element<T>(from, b, i, j)); });
}

/* Truncated: the tall matrix 2^-exponent A (A^H), and the kept singular values times its left kept vectors, so that a
 * product can subtract them. */
template <class T> __device__ inline void load_rest(const steps_args_t &args, int64_t b, int exponent) {
  const bool wide = args.m < args.n;
  const int64_t rows = wide ? args.n : args.m, m = args.m;
  T *rest = (T *)args.rest + b * m * args.n, *scaled = (T *)args.gA + b * m * args.n;
  const T *kept = (const T *)(wide ? args.V : args.U) + b * rows * args.k;
  visit_elements(args.A, m, args.n, [&](int64_t i, int64_t j) {
    const T a = times_power(*element<T>(args.A, b, i, j), -exponent);
    rest[wide ? i * rows + j : j * rows + i] = wide ? conj(a) : a;
  });
  const real_t<T> *s = (const real_t<T> *)args.s + b * args.k;
  for (int64_t e = threadIdx.x; e < rows * args.k; e += blockDim.x)
    scaled[e] = s[e / rows] * kept[e];
}

template <class T> __global__ void backward_load_kernel(steps_args_t args) {
  typedef real_t<T> R;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const int exponent = gap_exponent(*entry<R>(args.S_in, b, 0), ANY_EXPONENT);
    R *s = (R *)args.s + b * args.k, *gS = (R *)args.gS + b * args.k;
    for (int64_t j = threadIdx.x; j < args.k; j += blockDim.x) {
      s[j] = times_power(*entry<R>(args.S_in, b, j), -exponent);
      gS[j] = args.gS_in.data ? *entry<R>(args.gS_in, b, j) : 0;
    }
    if (threadIdx.x == 0)
      args.exponent[b] = exponent;
    pack_plain<T>(args.U_in, b, args.m, args.u_cols, args.U);
    pack_hermitian<T>(args.Vh_in, b, args.n, args.v_cols, args.V);
    if (args.gU_in.data)
      pack_plain<T>(args.gU_in, b, args.m, args.u_cols, args.gU);
    if (args.gVh_in.data)
      pack_hermitian<T>(args.gVh_in, b, args.n, args.v_cols, args.gV);
    if (args.gU_in.data && args.outside_U)
      pack_plain<T>(args.gU_in, b, args.m, args.k, args.outside_U);
    if (args.gVh_in.data && args.outside_V)
      pack_hermitian<T>(args.gVh_in, b, args.n, args.k, args.outside_V);
    __syncthreads();
    if (args.truncated && args.vectors)
      load_rest<T>(args, b, exponent);
    __syncthreads();
  }
}

/* Norm of one packed column, by one warp. */
template <class T> __device__ inline real_t<T> column_square(int64_t rows, const T *x) {
  real_t<T> sum = 0;
  for (int64_t i = lane_index(); i < rows; i += WARP)
    sum = plus_abs2(sum, x[i]);
  return warp_sum(sum);
}

/* Its largest entry, or part of one. */
template <class T> __device__ inline real_t<T> column_largest(int64_t rows, const T *x) {
  typedef real_t<T> R;
  R largest = 0;
  for (int64_t i = lane_index(); i < rows; i += WARP)
    largest = max_of<R>::combine(largest, largest_part(x[i]));
  return warp_reduce<max_of<R>>(largest);
}

template <class T>
__device__ inline void add_packed_norms(int64_t rows, int64_t columns, const T *g, real_t<T> *norm, real_t<T> *largest,
                                        real_t<T> *scratch) {
  typedef real_t<T> R;
  R sum = 0, most = 0;
  for (int64_t j = warp_index(); j < columns && g; j += warp_count()) {
    const R square = column_square(rows, g + j * rows);
    sum += lane_index() == 0 ? square : 0;
    most = max_of<R>::combine(most, square);
  }
  sum = block_reduce<sum_of<R>>(sum, scratch);
  if (g && !square_is_normal(sum)) {
    add_scaled_norms<T>(
        rows, columns, [&](int64_t i, int64_t j) { return g[j * rows + i]; }, norm, largest, scratch);
    return;
  }
  *norm += sqrt(sum);
  *largest += sqrt(block_reduce<max_of<R>>(most, scratch));
}

/* Further columns of full_matrices: what their cotangent has along themselves is gauge. */
template <class T>
__device__ inline void tally_extra(int64_t extra, const T *product, real_t<T> norm, gap_policy<real_t<T>> *policy) {
  for (int64_t e = threadIdx.x; e < extra * extra && product; e += blockDim.x)
    gap_gauge(policy, magnitude(product[e] - conj(product[e % extra * extra + e / extra])), norm);
}

/* X_ S - R Y_ = gU', Y_ S - R^H X_ = gV' for the discarded part R of the spectrum: two equations for each of its values
 * r_i and each kept s_j (Francuz, Schuch, Vanhecke, Phys. Rev. Research 7, 013237, 2025). */
template <class T>
__device__ inline void solve_discarded(const steps_args_t &args, int64_t b, power_of_two<real_t<T>> scale,
                                       gap_policy<real_t<T>> *policy) {
  typedef real_t<T> R;
  const int64_t mn = args.mn, k = args.k, offset = b * mn * k;
  const R *r = (const R *)args.rest_S + b * mn, *s = (const R *)args.s + b * k;
  const T *p = (const T *)args.p + offset, *q = (const T *)args.q + offset;
  for (int64_t e = threadIdx.x; e < mn * k; e += blockDim.x) {
    const gap_factors<R> f = gap_pair(policy, r[e % mn], s[e / mn], magnitude(p[e] + q[e]), magnitude(p[e] - q[e]));
    const T sum = scale * (f.minus / 2 * (p[e] + q[e])), difference = scale * (f.plus / 2 * (p[e] - q[e]));
    ((T *)args.x)[offset + e] = sum + difference;
    ((T *)args.y)[offset + e] = sum - difference;
  }
  if (threadIdx.x == 0)
    gap_cut(policy, s[k - 1], r[0]);
}

/* What stands for 1/s_j, where something lies outside the spans, but for the second part of its power of two. */
template <class T>
__device__ inline void form_inverse(const steps_args_t &args, int64_t b, power_of_two<real_t<T>> scale,
                                    gap_policy<real_t<T>> *policy) {
  typedef real_t<T> R;
  const int64_t k = args.k;
  const R *s = (const R *)args.s + b * k;
  const T *u = args.outside_U ? (const T *)args.outside_U + b * args.m * k : NULL;
  const T *v = args.outside_V ? (const T *)args.outside_V + b * args.n * k : NULL;
  for (int64_t j = warp_index(); j < k; j += warp_count()) {
    const R of_u = u ? column_largest(args.m, u + j * args.m) : 0,
            of_v = v ? column_largest(args.n, v + j * args.n) : 0;
    const R outside = max_of<R>::combine(of_u, of_v); /* whether anything is: squares might be zero */
    if (lane_index() == 0)
      ((R *)args.inverse)[b * k + j] = scale.first * gap_outside(policy, s[j], outside);
  }
}

template <class T> __global__ void backward_form_kernel(steps_args_t args) {
  typedef real_t<T> R;
  __shared__ R scratch[WARP];
  const int64_t k = args.k, extra_u = args.u_cols - k, extra_v = args.v_cols - k;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const R *s = (const R *)args.s + b * k, *gS = (const R *)args.gS + b * k;
    const T *P = (const T *)args.P + b * k * k, *Q = (const T *)args.Q + b * k * k;
    R norm = 0, largest = 0;
    add_packed_norms(args.m, args.u_cols, args.gU ? (const T *)args.gU + b * args.m * args.u_cols : (const T *)NULL,
                     &norm, &largest, scratch);
    add_packed_norms(args.n, args.v_cols, args.gV ? (const T *)args.gV + b * args.n * args.v_cols : (const T *)NULL,
                     &norm, &largest, scratch);
    gap_policy<R> policy =
        gap_policy_make(args.gap_policy, (R)args.gap_param, limits<R>::epsilon(), s[0], norm, largest);
    const power_of_two<R> scale = make_power<R>(-args.exponent[b]);
    tally_phases(k, k, P, Q, norm, &policy);
    tally_extra(extra_u, args.extra_U ? (const T *)args.extra_U + b * extra_u * extra_u : (const T *)NULL, norm,
                &policy);
    tally_extra(extra_v, args.extra_V ? (const T *)args.extra_V + b * extra_v * extra_v : (const T *)NULL, norm,
                &policy);
    form_M(k, k, P, Q, s, gS, scale, &policy, (T *)args.M + b * k * k);
    if (args.truncated)
      solve_discarded<T>(args, b, scale, &policy);
    form_inverse<T>(args, b, scale, &policy);
    policy = gap_combine(policy, scratch);
    if (args.report && threadIdx.x == 0)
      args.report[b] = gap_report(&policy, args.exponent[b]);
    __syncthreads();
  }
}

template <class T>
__device__ inline void scale_columns(int64_t rows, int64_t k, const real_t<T> *factor, real_t<T> rest, T *x) {
  for (int64_t e = threadIdx.x; e < rows * k; e += blockDim.x)
    x[e] = rest * (factor[e / rows] * x[e]);
}

/* The cotangents outside the spans times what stands for 1/s_j. */
template <class T> __global__ void backward_scale_kernel(steps_args_t args) {
  const int64_t k = args.k;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const real_t<T> *inverse = (const real_t<T> *)args.inverse + b * k;
    const real_t<T> rest = make_power<real_t<T>>(-args.exponent[b]).second;
    if (args.outside_U)
      scale_columns(args.m, k, inverse, rest, (T *)args.outside_U + b * args.m * k);
    if (args.outside_V)
      scale_columns(args.n, k, inverse, rest, (T *)args.outside_V + b * args.n * k);
  }
}

/* gA = alpha gradient + beta gA; NaN where the discarded spectrum did not converge, since nothing else can say so. */
template <class T> __global__ void backward_store_kernel(steps_args_t args) {
  typedef real_t<T> R;
  const int64_t m = args.m;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    const T *gradient = (const T *)args.gA + b * m * args.n;
    const int failed = args.truncated && args.vectors && args.rest_failed[b];
    visit_elements(args.gA_out, m, args.n, [&](int64_t i, int64_t j) {
      T *gA = element<T>(args.gA_out, b, i, j);
      const T g = failed ? not_a_number<T>() : (R)args.alpha * gradient[j * m + i];
      *gA = args.beta == 0 ? g : g + (R)args.beta * *gA;
    });
  }
}
