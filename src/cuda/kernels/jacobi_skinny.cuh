/* SPDX-License-Identifier: BSD-3-Clause */
/* SVD of tall matrices of N <= 4 columns, one block of 32 to 256 threads each: Householder QR (G. H. Golub and C. F.
 * Van Loan, Matrix Computations, 5.2), the SVD of R by one thread (small_svd.cuh; Jacobi on the columns of R itself
 * keeps their grading), and X = Q [U_R; 0] with Q = I - V K V^H (R. Schreiber and C. Van Loan, SIAM J. Sci. Stat.
 * Comput. 10, 1989).
 *
 * The first N rows, the head, are thread 0's, in shared memory with all N-by-N matrices.  The body, rows N.., is
 * streamed through registers, a few rows per thread at a time, and lies scaled in args.work between passes, unless it
 * all fits into the registers.  A pass updates with the last reflector while it multiplies the next pivot column with
 * all others, so that a column costs one pass and one reduction.  In the body reflectors stay as the columns W that
 * they were made of: V = W diag(inverse), and X = W C.
 *
 * Per matrix 4 m N^2 flops for R and K, 2 m N^2 for X, N + 2 passes over the body, two over A; once over each if the
 * body fits into the registers.  Shared memory: 5 N^2 + 11 N elements, 16 N more for the gauge.  Registers: those of
 * small_svd, N^2 elements for C, and 96 bytes of rows at most. */
#pragma once
#include "direct.cuh"
#include "grid.cuh"
#include "lanes.cuh"
#include "small_svd.cuh"

static const int SKINNY_THREADS = 256, SKINNY_WARPS = SKINNY_THREADS / WARP;

template <class T, int N> struct skinny_shared {
  real_t<T> scratch[WARP];
  T products[N][SKINNY_WARPS]; /* of every column with the pivot column, per warp */
  T head[N][N];                /* head[j][i]: column j, row i; R on and above the diagonal, V below it */
  T inverse[N], factor[N];     /* body of column j <- column j - factor[j] pivot column */
  T K[N][N];                   /* upper triangle, by columns */
  T X[N][N], C[N][N], Y[N][N]; /* X: its head; all by columns */
  int64_t winner[N];           /* row of X that the gauge makes real, -1 for none */
  T entry[N];                  /* what is there */
  real_t<T> best[N][SKINNY_WARPS];
  int64_t where[N][SKINNY_WARPS];
};

/* The body of one matrix, thread t having rows N + t, N + t + blockDim.x ... */
template <class T, int N> struct skinny_body {
  static constexpr int FITS = (int)(96 / (N * sizeof(T))), TILE = FITS < 4 ? FITS : 4; /* rows at a time */
  static const int CHUNK = 16; /* tiles: sums over millions of rows are sums of shorter ones, for their accuracy */
  int64_t rows;
  bool loaded;
  T w[TILE][N];

  /* Not with rows that leave no registers beside small_svd. */
  __device__ __forceinline__ bool resident() const { return FITS > 1 && rows - N <= (int64_t)TILE * blockDim.x; }

  /* Calls use(row, its elements) for all rows of the thread, in order, with elements from load(row, column), and
   * settle() now and then, and in the end. */
  template <class Load, class Use, class Settle>
  __device__ __forceinline__ void visit(Load load, Use use, Settle settle) {
    int tiles = 0;
    for (int64_t first = N + threadIdx.x; first < rows; first += (int64_t)TILE * blockDim.x) {
      if (!(loaded && resident()))
#pragma unroll
        for (int r = 0; r < TILE; r++)
#pragma unroll
          for (int j = 0; j < N; j++) {
            const int64_t row = first + (int64_t)r * blockDim.x;
            w[r][j] = row < rows ? load(row, j) : from_real<T>(0);
          }
#pragma unroll
      for (int r = 0; r < TILE; r++) {
        const int64_t row = first + (int64_t)r * blockDim.x;
        if (row < rows)
          use(row, w[r]);
      }
      if (++tiles % CHUNK == 0)
        settle();
    }
    settle();
    loaded = true;
  }
};

/* What a column's pass has summed up: over the body, conj(pivot column) times column j. */
template <class T, int N>
__device__ __forceinline__ void sum_over_warps(const skinny_shared<T, N> &shared, T (&dot)[N]) {
  const int j = lane_index() / SKINNY_WARPS, w = lane_index() % SKINNY_WARPS;
  const T sum = group_sum<SKINNY_WARPS>(j < N && w < warp_count() ? shared.products[j][w] : from_real<T>(0));
#pragma unroll
  for (int column = 0; column < N; column++)
    dot[column] = broadcast<WARP>(sum, column * SKINNY_WARPS);
}

/* Column C of K: -tau K (V^H v), v the new reflector, and tau. */
template <int C, class T, int N>
__device__ __forceinline__ void extend_triangle(skinny_shared<T, N> &shared, const T (&dot)[N], T tau) {
  T along[N]; /* v_a^H v */
#pragma unroll
  for (int a = 0; a < C; a++) {
    along[a] = fused(conj(shared.head[a][C]), conj(shared.inverse[a] * dot[a]), shared.inverse[C]);
#pragma unroll
    for (int i = C + 1; i < N; i++)
      along[a] = fused(along[a], conj(shared.head[a][i]), shared.head[C][i]);
  }
#pragma unroll
  for (int a = 0; a < C; a++) {
    T sum = from_real<T>(0);
#pragma unroll
    for (int l = a; l < C; l++)
      sum = fused(sum, shared.K[l][a], along[l]);
    shared.K[C][a] = -tau * sum;
  }
  shared.K[C][C] = tau;
}

/* The reflector of column C as LAPACK's larfg makes it (householder.cuh), applied to the head; thread 0. */
template <int C, bool VECTORS, class T, int N>
__device__ __forceinline__ void reflect_head(skinny_shared<T, N> &shared, const T (&dot)[N]) {
  typedef real_t<T> R;
  T *pivot_column = shared.head[C];
  const T alpha = pivot_column[C];
  R square = abs2(alpha) + re(dot[C]);
#pragma unroll
  for (int i = C + 1; i < N; i++)
    square = plus_abs2(square, pivot_column[i]);
  const bool negligible = is_null(square);
  const R beta = negligible ? 0 : -copysign(sqrt(square), re(alpha));
  const T pivot = alpha - from_real<T>(beta);
  const T inverse = negligible ? from_real<T>(0) : ((R)1 / abs2(pivot)) * conj(pivot);
  const T tau = negligible ? from_real<T>(0) : ((R)1 / beta) * (from_real<T>(beta) - alpha);
  shared.inverse[C] = inverse;
  pivot_column[C] = from_real<T>(beta);
#pragma unroll
  for (int i = C + 1; i < N; i++)
    pivot_column[i] = pivot_column[i] * inverse;
#pragma unroll
  for (int j = C + 1; j < N; j++) {
    T along = fused(shared.head[j][C], conj(inverse), dot[j]);
#pragma unroll
    for (int i = C + 1; i < N; i++)
      along = fused(along, conj(pivot_column[i]), shared.head[j][i]);
    along = conj(tau) * along;
    shared.head[j][C] = shared.head[j][C] - along;
#pragma unroll
    for (int i = C + 1; i < N; i++)
      shared.head[j][i] = fused(shared.head[j][i], -pivot_column[i], along);
    shared.factor[j] = inverse * along;
  }
  if (VECTORS)
    extend_triangle<C>(shared, dot, tau);
}

/* Reflector C - 1 applied to the body's columns C.., then reflector C made.  load(row, column) is A in column 0, and
 * work later; after the last pass the body is W. */
template <int C, bool VECTORS, class T, int N, class Load>
__device__ __forceinline__ void column_pass(skinny_body<T, N> &body, skinny_shared<T, N> &shared, T *work, int exponent,
                                            Load load) {
  T part[N], total[N], factor[N];
#pragma unroll
  for (int j = 0; j < N; j++) {
    part[j] = total[j] = from_real<T>(0);
    factor[j] = C > 0 && j >= C ? shared.factor[j] : from_real<T>(0);
  }
  const bool keep = !body.resident();
  body.visit(
      load,
      [&](int64_t row, T(&w)[N]) {
#pragma unroll
        for (int j = C; j < N; j++) {
          w[j] = C > 0 ? fused(w[j], -w[C > 0 ? C - 1 : 0], factor[j]) : times_power(w[j], -exponent);
          if (keep)
            work[j * body.rows + row] = w[j];
        }
#pragma unroll
        for (int j = VECTORS ? 0 : C; j < N; j++)
          part[j] = fused(part[j], conj(w[C]), w[j]);
      },
      [&] {
#pragma unroll
        for (int j = 0; j < N; j++) {
          total[j] = total[j] + part[j];
          part[j] = from_real<T>(0);
        }
      });
#pragma unroll
  for (int j = VECTORS ? 0 : C; j < N; j++) {
    const T sum = warp_sum(total[j]);
    if (lane_index() == 0)
      shared.products[j][warp_index()] = sum;
  }
  __syncthreads();
  if (warp_index() == 0) {
    T dot[N];
    sum_over_warps(shared, dot);
    if (threadIdx.x == 0)
      reflect_head<C, VECTORS>(shared, dot);
  }
  __syncthreads();
}

template <int C, bool VECTORS, class T, int N>
__device__ __forceinline__ void later_passes(skinny_body<T, N> &body, skinny_shared<T, N> &shared, T *work) {
  if constexpr (C < N) {
    column_pass<C, VECTORS>(body, shared, work, 0, [&](int64_t row, int j) {
      return VECTORS || j >= C - 1 ? work[j * body.rows + row] : from_real<T>(0);
    });
    later_passes<C + 1, VECTORS>(body, shared, work);
  }
}

/* R, V and K.  Returns whether A is finite (no more is done with it otherwise), and the exponent that undoes the
 * scaling, which puts the largest entry where sums of squares are safe. */
template <bool VECTORS, class T, int N>
__device__ __forceinline__ bool skinny_qr(const direct_args_t &args, int64_t b, skinny_body<T, N> &body,
                                          skinny_shared<T, N> &shared, T *work, int *exponent) {
  typedef real_t<T> R;
  const auto from_caller = [&](int64_t row, int j) { return load_tall<T>(args, b, row, j); };
  const bool in_head = threadIdx.x < N * N;
  const int i = (int)threadIdx.x % N, j = (int)threadIdx.x / N;
  const T own = in_head ? from_caller(i, j) : from_real<T>(0);
  R largest = largest_part(own);
  body.visit(
      from_caller,
      [&](int64_t, T(&w)[N]) {
#pragma unroll
        for (int c = 0; c < N; c++)
          largest = max_of<R>::combine(largest, largest_part(w[c]));
      },
      [] {});
  largest = block_reduce<max_of<R>>(largest, shared.scratch);
  if (!(largest - largest == 0))
    return false;
  *exponent = 0;
  if (largest > 0) {
    (void)frexp(largest, exponent);
    *exponent -= 1 + limits<R>::scaled_exponent - (args.rows * N > (1 << 20) ? 11 : 0);
  }
  if (in_head)
    shared.head[j][i] = times_power(own, -*exponent);
  column_pass<0, VECTORS>(body, shared, work, *exponent, from_caller);
  later_passes<1, VECTORS>(body, shared, work);
  return true;
}

/* Column j of the head of X, U_R + V_head Z with Z = -K V_head^H U_R, and of C = diag(inverse) Z. */
template <class T, int N>
__device__ __forceinline__ void assemble_column(skinny_shared<T, N> &shared, int j, const T (&u)[N]) {
  T along[N], z[N];
#pragma unroll
  for (int c = 0; c < N; c++) {
    along[c] = u[c];
#pragma unroll
    for (int i = c + 1; i < N; i++)
      along[c] = fused(along[c], conj(shared.head[c][i]), u[i]);
  }
#pragma unroll
  for (int c = 0; c < N; c++) {
    T sum = from_real<T>(0);
#pragma unroll
    for (int l = c; l < N; l++)
      sum = fused(sum, shared.K[l][c], along[l]);
    z[c] = -sum;
    shared.C[j][c] = shared.inverse[c] * z[c];
  }
#pragma unroll
  for (int i = 0; i < N; i++) {
    T x = u[i] + z[i];
#pragma unroll
    for (int c = 0; c < i; c++)
      x = fused(x, shared.head[c][i], z[c]);
    shared.X[j][i] = x;
  }
}

/* S and info of the matrix, the right vectors, and what X is made of; thread 0. */
template <bool VECTORS, class T, int N>
__device__ __forceinline__ void solve_head(const direct_args_t &args, int64_t b, skinny_shared<T, N> &shared,
                                           int exponent) {
  small_svd<T, N, VECTORS> svd;
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int i = 0; i < N; i++)
      svd.X[j][i] = i <= j ? shared.head[j][i] : from_real<T>(0);
  const int failed = svd.solve(args.max_sweeps);
  tell_exponent(args.exponent, b, exponent, limits<real_t<T>>::scaled_exponent);
  exponent = stored_exponent(args.exponent, exponent, limits<real_t<T>>::scaled_exponent);
  args.info[b] = direct_info(true, failed, overflows(svd.S[0], exponent));
#pragma unroll
  for (int j = 0; j < N; j++) {
    if (j < args.k)
      *entry<real_t<T>>(args.S, b, j) = times_power(svd.S[j], exponent);
    if constexpr (VECTORS) {
      shared.winner[j] = -1;
      assemble_column(shared, j, svd.X[j]);
#pragma unroll
      for (int i = 0; i < N; i++)
        shared.Y[j][i] = svd.Y[j][i];
    }
  }
}

/* Element of column j of X in a row of the body. */
template <class T, int N> __device__ __forceinline__ T multiply_row(const T (&w)[N], const T (&c)[N]) {
  T x = w[0] * c[0];
#pragma unroll
  for (int k = 1; k < N; k++)
    x = fused(x, w[k], c[k]);
  return x;
}

/* Column j of X and of Y times the phase that makes `entry` real and positive; thread 0. */
template <class T, int N> __device__ __forceinline__ void apply_phase(skinny_shared<T, N> &shared, int j, T entry) {
  const T phase = ((real_t<T>)1 / sqrt(abs2(entry))) * conj(entry);
#pragma unroll
  for (int i = 0; i < N; i++) {
    shared.X[j][i] = phase * shared.X[j][i];
    shared.C[j][i] = phase * shared.C[j][i];
    shared.Y[j][i] = phase * shared.Y[j][i];
  }
}

/* The gauge where U is Y; thread 0. */
template <class T, int N>
__device__ __forceinline__ void fix_gauge_of_right(const direct_args_t &args, skinny_shared<T, N> &shared) {
  for (int j = 0; j < N && j < args.u_cols; j++) {
    int row = 0;
    for (int i = 1; i < N; i++)
      row = abs2(shared.Y[j][i]) > abs2(shared.Y[j][row]) ? i : row;
    const T largest = shared.Y[j][row];
    apply_phase(shared, j, largest);
    shared.Y[j][row] = from_real<T>(sqrt(abs2(largest)));
  }
}

/* The largest entry of a column, the first of equals. */
template <class R> struct column_maximum {
  R best;
  int64_t where;

  __device__ __forceinline__ bool offer(R other, int64_t other_where) {
    const bool better = other > best || (other == best && other_where < where);
    best = better ? other : best;
    where = better ? other_where : where;
    return better;
  }
  __device__ __forceinline__ void over_warp() {
#pragma unroll
    for (int offset = WARP / 2; offset; offset /= 2) {
      const R other = __shfl_xor_sync(FULL_WARP, best, offset);
      offer(other, __shfl_xor_sync(FULL_WARP, where, offset));
    }
  }
};

/* The gauge where U is X: a pass for the largest entries.  The thread that has the winner hands it out. */
template <class T, int N, class Load>
__device__ __forceinline__ void fix_gauge_of_left(const direct_args_t &args, skinny_body<T, N> &body,
                                                  skinny_shared<T, N> &shared, const T (&C)[N][N], Load load) {
  typedef real_t<T> R;
  column_maximum<R> own[N];
  T largest[N];
#pragma unroll
  for (int j = 0; j < N; j++) {
    own[j] = {-1, args.rows};
    largest[j] = from_real<T>(0);
    if (threadIdx.x < N) {
      largest[j] = shared.X[j][threadIdx.x];
      own[j] = {abs2(largest[j]), (int64_t)threadIdx.x};
    }
  }
  body.visit(
      load,
      [&](int64_t row, T(&w)[N]) {
#pragma unroll
        for (int j = 0; j < N; j++) {
          const T x = multiply_row(w, C[j]);
          largest[j] = own[j].offer(abs2(x), row) ? x : largest[j];
        }
      },
      [] {});
#pragma unroll
  for (int j = 0; j < N; j++) {
    column_maximum<R> all = own[j];
    all.over_warp();
    if (lane_index() == 0) {
      shared.best[j][warp_index()] = all.best;
      shared.where[j][warp_index()] = all.where;
    }
  }
  __syncthreads();
#pragma unroll
  for (int j = 0; j < N; j++) {
    column_maximum<R> all = {shared.best[j][0], shared.where[j][0]};
    for (int w = 1; w < warp_count(); w++)
      all.offer(shared.best[j][w], shared.where[j][w]);
    if (j < args.u_cols && own[j].where == all.where) {
      shared.winner[j] = all.where;
      shared.entry[j] = largest[j];
    }
  }
  __syncthreads();
  if (threadIdx.x == 0)
    for (int j = 0; j < N && j < args.u_cols; j++)
      apply_phase(shared, j, shared.entry[j]);
  __syncthreads();
}

/* Columns N.. of X for full_matrices, Q e_c = e_c - V K (row c of V)^H, one warp each, from V in work. */
template <class T, int N>
__device__ __forceinline__ void store_further_columns(const direct_args_t &args, int64_t b,
                                                      const skinny_shared<T, N> &shared, const T *V) {
  typedef real_t<T> R;
  const int64_t rows = args.rows;
  for (int64_t c = N + warp_index(); c < wanted_left(args); c += warp_count()) {
    T z[N];
#pragma unroll
    for (int k = 0; k < N; k++) {
      z[k] = from_real<T>(0);
#pragma unroll
      for (int l = k; l < N; l++)
        z[k] = fused(z[k], -shared.K[l][k], conj(V[l * rows + c]));
    }
    const auto at = [&](int64_t i) {
      T x = from_real<T>(i == c);
#pragma unroll
      for (int k = 0; k < N; k++)
        x = fused(x, V[k * rows + i], z[k]);
      return x;
    };
    column_maximum<R> largest = {-1, rows};
    T phase = from_real<T>(1);
    if (args.positive_gauge && !args.transposed) {
      for (int64_t i = lane_index(); i < rows; i += WARP)
        largest.offer(abs2(at(i)), i);
      largest.over_warp();
      phase = ((R)1 / sqrt(largest.best)) * conj(at(largest.where));
    }
    for (int64_t i = lane_index(); i < rows; i += WARP)
      store_left(args, b, i, c, i == largest.where ? from_real<T>(sqrt(largest.best)) : phase * at(i));
  }
}

/* V into work, row by row normalized, and the further columns. */
template <class T, int N, class Load>
__device__ __forceinline__ void complete_left(const direct_args_t &args, int64_t b, skinny_body<T, N> &body,
                                              const skinny_shared<T, N> &shared, T *work, Load load) {
  body.visit(
      load,
      [&](int64_t row, T(&w)[N]) {
#pragma unroll
        for (int k = 0; k < N; k++)
          work[k * body.rows + row] = w[k] * shared.inverse[k];
      },
      [] {});
  const int i = (int)threadIdx.x % N, k = (int)threadIdx.x / N;
  if (k < N)
    work[k * body.rows + i] = i > k ? shared.head[k][i] : from_real<T>(i == k);
  __syncthreads();
  store_further_columns(args, b, shared, work);
}

template <class T, int N>
__device__ __forceinline__ void store_factors(const direct_args_t &args, int64_t b, skinny_body<T, N> &body,
                                              skinny_shared<T, N> &shared, T *work) {
  typedef real_t<T> R;
  const auto from_work = [&](int64_t row, int j) { return work[j * body.rows + row]; };
  const int64_t left = wanted_left(args), right = wanted_right(args);
  T C[N][N];
  const auto fetch = [&] {
#pragma unroll
    for (int j = 0; j < N; j++)
#pragma unroll
      for (int k = 0; k < N; k++)
        C[j][k] = shared.C[j][k];
  };
  fetch();
  if (args.positive_gauge && !args.transposed) {
    fix_gauge_of_left(args, body, shared, C, from_work);
    fetch();
  }
  const auto exact = [&](int64_t row, int j, T x) {
    return row == shared.winner[j] ? from_real<T>((R)sqrt(abs2(shared.entry[j]))) : x;
  };
  const int i = (int)threadIdx.x % N, j = (int)threadIdx.x / N;
  if (j < N && j < left)
    store_left(args, b, i, j, exact(i, j, shared.X[j][i]));
  if (j < N && j < right)
    store_right(args, b, i, j, shared.Y[j][i]);
  if (left)
    body.visit(
        from_work,
        [&](int64_t row, T(&w)[N]) {
#pragma unroll
          for (int c = 0; c < N; c++)
            if (c < left)
              store_left(args, b, row, c, exact(row, c, multiply_row(w, C[c])));
        },
        [] {});
  if (left > N)
    complete_left(args, b, body, shared, work, from_work);
}

template <class T> __device__ inline void store_not_a_number(const direct_args_t &args, int64_t b) {
  const int64_t left = args.rows * wanted_left(args), right = args.columns * wanted_right(args);
  for (int64_t e = threadIdx.x; e < left; e += blockDim.x)
    store_left(args, b, e % args.rows, e / args.rows, not_a_number<T>());
  for (int64_t e = threadIdx.x; e < right; e += blockDim.x)
    store_right(args, b, e % args.columns, e / args.columns, not_a_number<T>());
  for (int64_t j = threadIdx.x; j < args.k; j += blockDim.x)
    *entry<real_t<T>>(args.S, b, j) = (real_t<T>)NAN;
  if (threadIdx.x == 0)
    args.info[b] = SVDGRAD_INFO_NONFINITE;
  if (threadIdx.x == 0 && args.exponent)
    args.exponent[b] = 0;
}

template <class T, int N, bool VECTORS>
__global__ void __launch_bounds__(SKINNY_THREADS, 1) jacobi_skinny_kernel(direct_args_t args) {
  __shared__ skinny_shared<T, N> shared;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    T *work = (T *)args.work + b * args.rows * N;
    skinny_body<T, N> body;
    body.rows = args.rows;
    body.loaded = false;
    int exponent;
    if (skinny_qr<VECTORS>(args, b, body, shared, work, &exponent)) {
      if (threadIdx.x == 0) {
        solve_head<VECTORS>(args, b, shared, exponent);
        if (VECTORS && args.positive_gauge && args.transposed)
          fix_gauge_of_right(args, shared);
      }
      __syncthreads();
      if (VECTORS)
        store_factors(args, b, body, shared, work);
    } else
      store_not_a_number<T>(args, b);
    __syncthreads();
  }
}

template <class T, int N> cudaError_t jacobi_skinny_start(const direct_args_t *args, cudaStream_t stream) {
  const int64_t tiles = (args->rows - N + skinny_body<T, N>::TILE - 1) / skinny_body<T, N>::TILE;
  const dim3 block(threads_for(tiles));
  const dim3 grid = grid_of(args->batch_count);
  if (args->U.data || args->Vh.data)
    return SIMT_LAUNCH((jacobi_skinny_kernel<T, N, true>), grid, block, 0, stream, *args);
  return SIMT_LAUNCH((jacobi_skinny_kernel<T, N, false>), grid, block, 0, stream, *args);
}

/* rows > 4 >= columns */
template <class T> cudaError_t jacobi_skinny_launch(const direct_args_t *args, cudaStream_t stream) {
  switch (args->columns) {
  case 1: return jacobi_skinny_start<T, 1>(args, stream);
  case 2: return jacobi_skinny_start<T, 2>(args, stream);
  case 3: return jacobi_skinny_start<T, 3>(args, stream);
  default: return jacobi_skinny_start<T, 4>(args, stream);
  }
}
