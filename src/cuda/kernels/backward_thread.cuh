/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass of a thin, untruncated SVD of matrices of at most 4 rows and columns, one per thread; formula and
 * names of the sides are those of backward_fused.cuh.  N is the number of rows of the long side, K = N columns, or up to
 * K = N - 1, where something can lie outside the span; missing columns are zero.
 *
 * Operands go through shared memory, a warp's 32 at a time (jacobi_thread.cuh): one buffer for the square basis, which is
 * needed first and last, one for all others in turn, and Q - Q^H.  Registers: the long basis, P (then M, then `left`), 2 N^2
 * elements.  Global memory is touched once per element (twice per element of gA if beta is not 0). */
#pragma once
#include "backward_core.cuh"
#include "jacobi_thread.cuh"

/* U, or V (kept as Vh), or a cotangent of one, of the warp's matrices. */
template <class T> struct small_side {
  warp_operand<T> operand;
  bool given, conjugate;
  __device__ __forceinline__ T value(const T &x) const { return conjugate ? conj(x) : x; }
};

template <class T>
__device__ __forceinline__ small_side<T> make_side(const svdgrad_matrix_t &matrix, bool is_v, int64_t rows, int64_t k,
                                                   int64_t first, int active, T *shared) {
  return {make_operand(matrix, is_v, rows, k, first, active, shared), matrix.data != NULL, is_v};
}

/* What one thread has of its matrix; column j of P is P[j]. */
template <class T, int N, int K> struct small_backward {
  typedef real_t<T> R;
  int k;
  R s[K], gS[K];                        /* normalized singular values */
  T basis[K][N], square[K][K], P[K][K]; /* the square basis only where it is needed */
  T *Y;                                 /* the lane's own in shared memory: Q - Q^H, i <= j, column by column */
  T M[K][N];                            /* M, then `left` */
  R norm, largest;                      /* of the cotangents */
  int exponent;                         /* of the singular values */
  bool exact;                           /* the policy EXACT is in use */
  gap_policy<R> policy;

  static __device__ __forceinline__ int place(int i, int j) { return j * (j + 1) / 2 + i; }

  template <int ROWS> static __device__ __forceinline__ void clear(T (&X)[K][ROWS]) {
#pragma unroll
    for (int j = 0; j < K; j++)
#pragma unroll
      for (int i = 0; i < ROWS; i++)
        X[j][i] = from_real<T>(0);
  }

  static __device__ __forceinline__ void load_reals(const svdgrad_vector_t &from, int64_t k, int64_t first, int active,
                                                    T *shared, R (&to)[K]) {
    const svdgrad_matrix_t row = {from.data, 1, from.stride, from.batch_stride};
#pragma unroll
    for (int j = 0; j < K; j++)
      to[j] = 0;
    if (from.data)
      make_operand(row, false, 1, k, first, active, (R *)shared).template load<K>([&](int, int j, R &x) { to[j] = x; });
  }

  __device__ __forceinline__ void load_values(const fused_args_t &args, int64_t first, int active, T *shared) {
    k = (int)args.k;
    norm = largest = 0;
    load_reals(args.S, args.k, first, active, shared, s);
    load_reals(args.gS, args.k, first, active, shared, gS);
    exponent = gap_exponent(s[0], ANY_EXPONENT);
#pragma unroll
    for (int j = 0; j < K; j++)
      s[j] = times_power(s[j], -exponent);
    policy = gap_policy_make(args.gap_policy, (R)0, (R)0, (R)0, (R)0, (R)0);
  }

  template <int ROWS> __device__ __forceinline__ void load_basis(const small_side<T> &side, T (&X)[K][ROWS]) {
    clear(X);
    side.operand.template load<ROWS>([&](int i, int j, T &x) {
      if (j < K)
        X[j][i] = side.value(x);
    });
  }

  /* product = X^H cotangent, and the norms of the cotangent. */
  template <int ROWS>
  __device__ __forceinline__ void project(const small_side<T> &cotangent, const T (&X)[K][ROWS], T (&product)[K][K]) {
    R squares[K], sum = 0, most = 0;
    clear(product);
    if (!cotangent.given)
      return;
#pragma unroll
    for (int j = 0; j < K; j++)
      squares[j] = 0;
    cotangent.operand.template load<ROWS>([&](int r, int j, T &x) {
      if (j >= K)
        return;
      const T g = cotangent.value(x);
      squares[j] = plus_abs2(squares[j], g);
#pragma unroll
      for (int i = 0; i < K; i++)
        if (i < k)
          product[j][i] = fused(product[j][i], conj(X[i][r]), g);
    });
#pragma unroll
    for (int j = 0; j < K; j++) {
      sum += squares[j];
      most = max_of<R>::combine(most, squares[j]);
    }
    if (!square_is_normal(sum))
      add_scaled_norms<ROWS>(cotangent);
    else {
      norm += sqrt(sum);
      largest += sqrt(most);
    }
    __syncwarp(); /* lanes may still be at their elements of the cotangent */
  }

  /* The norms of a cotangent whose sum of squares is not normal. */
  template <int ROWS> __device__ __forceinline__ void add_scaled_norms(const small_side<T> &cotangent) {
    R part = 0, squares[K], sum = 0, most = 0;
    cotangent.operand.template visit_own<ROWS>(
        [&](int, int, T &x) { part = max_of<R>::combine(part, largest_part(x)); });
    const int scale = gap_exponent(part, ANY_EXPONENT);
#pragma unroll
    for (int j = 0; j < K; j++)
      squares[j] = 0;
    cotangent.operand.template visit_own<ROWS>([&](int, int j, T &x) {
      if (j < K)
        squares[j] = plus_abs2(squares[j], times_power(x, -scale));
    });
#pragma unroll
    for (int j = 0; j < K; j++) {
      sum += squares[j];
      most = max_of<R>::combine(most, squares[j]);
    }
    norm += times_power(sqrt(sum), scale);
    largest += times_power(sqrt(most), scale);
  }

  __device__ __forceinline__ void project_square(const small_side<T> &cotangent) {
    T Q[K][K];
    project(cotangent, square, Q);
#pragma unroll
    for (int j = 0; j < K; j++)
#pragma unroll
      for (int i = 0; i <= j; i++)
        Y[place(i, j)] = Q[j][i] - conj(Q[i][j]);
  }

  __device__ __forceinline__ void form_diagonal(int j, power_of_two<R> scale) {
    if (!scalar<T>::is_complex)
      return;
    const T difference = P[j][j] - conj(P[j][j]) - Y[place(j, j)];
    gap_gauge(&policy, fabs(im(P[j][j]) + im(Y[place(j, j)]) / 2), norm);
    const gap_factors<R> f = gap_diagonal(&policy, s[j], magnitude(difference));
    M[j][j] = M[j][j] + scale * (f.plus / 2 * difference);
  }

  __device__ __forceinline__ void form_pair(int i, int j, power_of_two<R> scale) {
    const T X = P[j][i] - conj(P[i][j]), sum = X + Y[place(i, j)], difference = X - Y[place(i, j)];
    const gap_factors<R> f = gap_pair(&policy, s[i], s[j], magnitude(sum), magnitude(difference));
    const T hermitian = scale * (f.minus / 2 * sum), skew = scale * (f.plus / 2 * difference);
    M[j][i] = hermitian + skew;
    M[i][j] = conj(hermitian) - conj(skew);
  }

  /* Without cotangents of the vectors M is diag(gS). */
  __device__ __forceinline__ void form_core(const fused_args_t &args, bool vectors) {
    const power_of_two<R> scale = make_power<R>(-exponent);
    exact = vectors && args.gap_policy == SVDGRAD_GAP_EXACT;
    if (vectors)
      policy = gap_policy_make(args.gap_policy, (R)args.gap_param, limits<R>::epsilon(), s[0], norm, largest);
    clear(M);
#pragma unroll
    for (int j = 0; j < K; j++) {
      if (j >= k)
        continue;
      M[j][j] = from_real<T>(gS[j]);
      if (!vectors)
        continue;
      form_diagonal(j, scale);
#pragma unroll
      for (int i = 0; i < j; i++)
        form_pair(i, j, scale);
    }
  }

  /* (g - (U P)_(r, c)) D_c, where `g` is the cotangent; marks the column if that is not zero. */
  __device__ __forceinline__ T outside(int r, int c, T g, power_of_two<R> scale, int *found) const {
    gap_policy<R> untallied = policy;
#pragma unroll
    for (int i = 0; i < K; i++)
      g = fused(g, -basis[i][r], P[c][i]);
    *found |= re(g) != 0 || im(g) != 0 ? 1 << c : 0;
    return scale.second * (scale.first * gap_outside(&untallied, s[c], (R)1) * g);
  }

  /* Without that cotangent, which counts as zeros: under EXACT they are divided by a zero, too. */
  __device__ __forceinline__ void divide_absent() {
#pragma unroll
    for (int c = 0; c < K; c++)
#pragma unroll
      for (int r = 0; r < N; r++)
        if (exact && c < k && isinf(1 / s[c]))
          M[c][r] = not_a_number<T>();
  }

  /* M becomes left = U M + (gU - U P) D. */
  __device__ __forceinline__ void form_left(const small_side<T> &cotangent) {
    const power_of_two<R> scale = make_power<R>(-exponent);
#pragma unroll
    for (int c = 0; c < K; c++) {
      T column[N];
#pragma unroll
      for (int r = 0; r < N; r++) {
        column[r] = from_real<T>(0);
#pragma unroll
        for (int i = 0; i < K; i++)
          column[r] = fused(column[r], basis[i][r], M[c][i]);
      }
#pragma unroll
      for (int r = 0; r < N; r++)
        M[c][r] = column[r];
    }
    if (K == N)
      return;
    if (!cotangent.given) {
      divide_absent();
      return;
    }
    int found = 0;
    cotangent.operand.template visit_own<N>([&](int r, int c, T &x) {
      if (c < K)
        M[c][r] = M[c][r] + outside(r, c, cotangent.value(x), scale, &found);
    });
#pragma unroll
    for (int c = 0; c < K; c++)
      if (c < k)
        (void)gap_outside(&policy, s[c], (R)(found >> c & 1));
  }

  /* gA = alpha left V^H + beta gA, or its conjugate transpose. */
  __device__ __forceinline__ void store(const fused_args_t &args, const small_side<T> &gA) {
    if (args.beta != 0) {
      __syncwarp();                                      /* lanes may still be at their elements of the cotangent */
      gA.operand.template load<N>([](int, int, T &) {}); /* to where store() has it */
    }
    gA.operand.template store<N>([&](int i, int j, T &to) {
      T sum = from_real<T>(0);
#pragma unroll
      for (int c = 0; c < K; c++)
        if (j < K)
          sum = fused(sum, M[c][i], conj(square[c][j]));
      const T gradient = (R)args.alpha * gA.value(sum);
      to = args.beta == 0 ? gradient : gradient + (R)args.beta * to;
    });
  }
};

template <class T, int N, int K> struct small_backward_memory {
  T operand[WARP * (N * N | 1)], square[WARP * (K * K | 1)], Y[WARP][K * (K + 1) / 2 | 1]; /* odd: no bank conflicts */
};

template <class T, int N, int K>
__device__ __forceinline__ void backward_small(const fused_args_t &args, int64_t first, int active,
                                               small_backward_memory<T, N, K> &memory) {
  T *const shared = memory.operand;
  const bool wide = args.m < args.n;
  const auto side = [&](const svdgrad_matrix_t &matrix, bool is_v, T *to) {
    return make_side<T>(matrix, is_v, is_v == wide ? N : args.k, args.k, first, active, to);
  };
  const small_side<T> square = side(wide ? args.U : args.Vh, !wide, memory.square);
  small_backward<T, N, K> of;
  of.Y = memory.Y[lane_index()];
  of.load_values(args, first, active, shared);
  of.load_basis(square, of.square);
  of.project_square(side(wide ? args.gU : args.gVh, !wide, shared));
  of.load_basis(side(wide ? args.Vh : args.U, wide, shared), of.basis);
  const small_side<T> cotangent = side(wide ? args.gVh : args.gU, wide, shared);
  of.project(cotangent, of.basis, of.P);
  of.form_core(args, args.gU.data || args.gVh.data);
  of.form_left(cotangent);
  if (args.report && lane_index() < active)
    args.report[first + lane_index()] = gap_report(&of.policy, of.exponent);
  square.operand.template visit_own<K>([&](int i, int j, T &x) { of.square[j][i] = square.value(x); });
  of.store(args, make_side<T>(args.gA, wide, N, args.k, first, active, shared));
}

template <class T, int N, int K>
__global__ void __launch_bounds__(THREAD_WARPS *WARP, 1) backward_thread_kernel(fused_args_t args) {
  __shared__ small_backward_memory<T, N, K> memory[THREAD_WARPS];
  visit_warps(args.batch_count,
              [&](int64_t first, int active) { backward_small(args, first, active, memory[warp_index()]); });
}

/* Most rows: three of c128 do not fit into the registers of every architecture. */
template <class T> constexpr int backward_thread_limit() { return sizeof(T) > 8 && scalar<T>::is_complex ? 2 : 4; }

/* max(m, n) <= backward_thread_limit */
template <class T> cudaError_t backward_thread_launch(const fused_args_t *args, cudaStream_t stream) {
  const int64_t rows = args->m < args->n ? args->n : args->m;
  return launch_threads(rows, args->batch_count, [&](auto size, dim3 grid, dim3 block) {
    constexpr int rows_of_it = decltype(size)::value, most = backward_thread_limit<T>();
    constexpr int N = rows_of_it < most ? rows_of_it : most, FEWER = N > 1 ? N - 1 : 1;
    if (args->k == N)
      return SIMT_LAUNCH((backward_thread_kernel<T, N, N>), grid, block, 0, stream, *args);
    return SIMT_LAUNCH((backward_thread_kernel<T, N, FEWER>), grid, block, 0, stream, *args);
  });
}
