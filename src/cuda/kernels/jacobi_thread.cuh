/* SPDX-License-Identifier: BSD-3-Clause */
/* SVD of matrices of at most 4 rows and columns, one per thread (small_svd.cuh): N is the number of rows of the tall
 * matrix, and missing columns are zero, so that X always is a whole orthogonal matrix.
 *
 * A warp brings its 32 matrices through shared memory, 32 (N^2 + 1) elements at most, in the order in which the operand
 * has them in memory; matrices closer together than their elements need no detour.  Blocks of two warps that never wait
 * for each other.  Registers: those of small_svd.  Global memory is touched once per element of A, U, S and Vh. */
#pragma once
#include "direct.cuh"
#include "grid.cuh"
#include "lanes.cuh"
#include "small_svd.cuh"

static const int THREAD_WARPS = 2;

/* One operand of the warp's matrices, rows-by-columns each, of which lane l owns matrix l, if there is one. */
template <class T> struct warp_operand {
  T *data; /* of the warp's first matrix */
  int64_t row_stride, column_stride, batch_stride;
  int rows, columns;
  int active; /* matrices, 32 but for the last warp */
  T *shared;  /* element (i, j) of matrix l is shared[l * pitch + i * row_place + j * column_place] */

  __device__ __forceinline__ bool by_rows() const { return rows == 1 || (columns > 1 && column_stride < row_stride); }
  /* Neighbours in memory are elements of neighbouring matrices: `shared` is not used. */
  __device__ __forceinline__ bool side_by_side() const {
    return (rows == 1 || batch_stride <= row_stride) && (columns == 1 || batch_stride <= column_stride);
  }
  __device__ __forceinline__ int pitch() const { return rows * columns | 1; } /* odd: no bank conflicts */

  /* Lanes side by side in memory: calls copy(in memory, in `shared`) for all elements of all matrices; four at a time,
   * so that four loads are on their way at once. */
  template <class Copy> __device__ __forceinline__ void move(Copy copy) const {
    const int inner = by_rows() ? columns : rows, outer = by_rows() ? rows : columns, count = rows * columns;
    const int64_t inner_stride = by_rows() ? column_stride : row_stride;
    const int64_t outer_stride = by_rows() ? row_stride : column_stride;
    int minor = lane_index() % inner, major = lane_index() / inner % outer, l = lane_index() / count;
    for (int step = 0; step < count; step += 4) {
      T *at[4], *to[4];
#pragma unroll
      for (int r = 0; r < 4; r++) {
        const bool there = step + r < count && l < active;
        at[r] = there ? data + (l * batch_stride + major * outer_stride + minor * inner_stride) : nullptr;
        to[r] = shared + (l * pitch() + major * inner + minor);
        minor += WARP % inner; /* 32 elements on, in digits: of `inner`, of `outer`, and the rest */
        const int carry = minor >= inner;
        minor -= carry ? inner : 0;
        major += WARP / inner % outer + carry;
        const int next = major >= outer;
        major -= next ? outer : 0;
        l += WARP / count + next;
      }
      copy(at, to);
    }
  }

  /* Calls visit(i, j, element) for the elements of the lane's own matrix, N rows and columns at most. */
  template <int N, class Visit> __device__ __forceinline__ void visit_own(Visit visit) const {
    const bool direct = side_by_side();
    const int row_place = by_rows() ? columns : 1, column_place = by_rows() ? 1 : rows;
    if (lane_index() >= active)
      return;
    if (direct)
      visit_strided<N>(data + lane_index() * batch_stride, row_stride, column_stride, visit);
    else
      visit_strided<N>(shared + lane_index() * pitch(), row_place, column_place, visit);
  }
  template <int N, class Stride, class Visit>
  __device__ __forceinline__ void visit_strided(T *first, Stride row, Stride column, Visit visit) const {
#pragma unroll
    for (int j = 0; j < N; j++)
#pragma unroll
      for (int i = 0; i < N; i++)
        if (i < rows && j < columns)
          visit(i, j, first[i * row + j * column]);
  }

  template <int N, class Visit> __device__ __forceinline__ void load(Visit visit) const {
    if (!side_by_side())
      move([](T *const(&at)[4], T *const(&to)[4]) {
        T moved[4];
#pragma unroll
        for (int r = 0; r < 4; r++)
          if (at[r])
            moved[r] = *at[r];
#pragma unroll
        for (int r = 0; r < 4; r++)
          if (at[r])
            *to[r] = moved[r];
      });
    __syncwarp();
    visit_own<N>(visit);
    __syncwarp();
  }

  template <int N, class Visit> __device__ __forceinline__ void store(Visit visit) const {
    visit_own<N>(visit);
    __syncwarp();
    if (!side_by_side())
      move([](T *const(&at)[4], T *const(&to)[4]) {
#pragma unroll
        for (int r = 0; r < 4; r++)
          if (at[r])
            *at[r] = *to[r];
      });
    __syncwarp();
  }
};

/* A matrix of the caller's, or its transpose. */
template <class T>
__device__ __forceinline__ warp_operand<T> make_operand(const svdgrad_matrix_t &matrix, bool transposed, int64_t rows,
                                                        int64_t columns, int64_t first, int active, T *shared) {
  return {(T *)matrix.data + first * matrix.batch_stride,
          transposed ? matrix.col_stride : matrix.row_stride,
          transposed ? matrix.row_stride : matrix.col_stride,
          matrix.batch_stride,
          (int)rows,
          (int)columns,
          active,
          shared};
}

/* Puts the largest entry where squares are safe, and returns the exponent that undoes it.  A matrix with NaN or Inf
 * becomes zero. */
template <class T, int N, bool VECTORS>
__device__ __forceinline__ int scale_small(small_svd<T, N, VECTORS> &svd, bool *finite) {
  typedef real_t<T> R;
  R largest = 0;
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int i = 0; i < N; i++)
      largest = max_of<R>::combine(largest, largest_part(svd.X[j][i]));
  *finite = largest - largest == 0;
  int exponent = 0;
  if (*finite && largest > 0)
    (void)frexp(largest, &exponent);
  exponent -= *finite && largest > 0 ? 1 + limits<R>::scaled_exponent : 0;
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int i = 0; i < N; i++)
      svd.X[j][i] = *finite ? times_power(svd.X[j][i], -exponent) : from_real<T>(0);
  return exponent;
}

/* The largest entry of column j of U, the first of equals, becomes real and positive. */
template <class T, int N>
__device__ __forceinline__ void fix_gauge(small_svd<T, N, true> &svd, int j, bool transposed) {
  typedef real_t<T> R;
  R best = -1;
  int row = 0;
  T entry = from_real<T>(0);
#pragma unroll
  for (int i = 0; i < N; i++) {
    const T u = transposed ? svd.Y[j][i] : svd.X[j][i];
    const bool better = abs2(u) > best;
    row = better ? i : row;
    entry = better ? u : entry;
    best = better ? abs2(u) : best;
  }
  const R size = sqrt(best);
  const T phase = ((R)1 / size) * conj(entry);
#pragma unroll
  for (int i = 0; i < N; i++) {
    svd.X[j][i] = !transposed && i == row ? from_real<T>(size) : phase * svd.X[j][i];
    svd.Y[j][i] = transposed && i == row ? from_real<T>(size) : phase * svd.Y[j][i];
  }
}

/* X to U and Y to Vh, or, transposed, Y to U and X to Vh. */
template <class T, int N>
__device__ __forceinline__ void store_small(const direct_args_t &args, int64_t first, int active, T *shared,
                                            small_svd<T, N, true> &svd, bool finite) {
  const bool transposed = args.transposed != 0;
#pragma unroll
  for (int j = 0; j < N; j++)
    if (args.positive_gauge && j < args.u_cols)
      fix_gauge(svd, j, transposed);
  const int64_t left = wanted_left(args), right = wanted_right(args);
  if (left)
    make_operand(transposed ? args.Vh : args.U, transposed, args.rows, left, first, active, shared)
        .template store<N>([&](int i, int j, T &x) {
          x = !finite ? not_a_number<T>() : transposed ? conj(svd.X[j][i]) : svd.X[j][i];
        });
  if (right)
    make_operand(transposed ? args.U : args.Vh, !transposed, args.columns, right, first, active, shared)
        .template store<N>([&](int i, int j, T &y) {
          y = !finite ? not_a_number<T>() : transposed ? svd.Y[j][i] : conj(svd.Y[j][i]);
        });
}

/* From the caller's A; returns the exponent that undoes the scaling. */
template <class T, int N, bool VECTORS>
__device__ __forceinline__ int solve_small(const direct_args_t &args, int64_t first, int active, T *shared,
                                           small_svd<T, N, VECTORS> &svd, bool *finite, bool *failed) {
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int i = 0; i < N; i++)
      svd.X[j][i] = from_real<T>(0);
  const bool transposed = args.transposed != 0;
  make_operand(args.A, transposed, args.rows, args.columns, first, active, shared)
      .template load<N>([&](int i, int j, T &a) { svd.X[j][i] = transposed ? conj(a) : a; });
  const int exponent = scale_small(svd, finite);
  *failed = svd.solve(args.max_sweeps);
  return exponent;
}

template <class T, int N, bool VECTORS>
__device__ __forceinline__ void factorize_small(const direct_args_t &args, int64_t first, int active, T *shared) {
  typedef real_t<T> R;
  small_svd<T, N, VECTORS> svd;
  bool finite, failed;
  int exponent = solve_small(args, first, active, shared, svd, &finite, &failed);
  if (lane_index() < active) {
    const int64_t b = first + lane_index();
    tell_exponent(args.exponent, b, exponent, limits<R>::scaled_exponent);
    exponent = stored_exponent(args.exponent, exponent, limits<R>::scaled_exponent);
    args.info[b] = direct_info(finite, failed, overflows(svd.S[0], exponent));
  }
  const svdgrad_matrix_t values = {args.S.data, 1, args.S.stride, args.S.batch_stride};
  make_operand(values, false, 1, args.k, first, active, (R *)shared).template store<N>([&](int, int j, R &s) {
    s = finite ? times_power(svd.S[j], exponent) : (R)NAN;
  });
  if constexpr (VECTORS)
    store_small(args, first, active, shared, svd, finite);
}

/* Calls solve(first, active) for the warp's matrices, 32 at a time. */
template <class Solve> __device__ __forceinline__ void visit_warps(int64_t batch_count, Solve solve) {
  for (int round = 0;; round++) {
    const int64_t block = (int64_t)round * gridDim.x + blockIdx.x;
    const int64_t first = (block * THREAD_WARPS + warp_index()) * WARP, left = batch_count - first;
    if (left <= 0)
      return;
    solve(first, left < WARP ? (int)left : WARP);
  }
}

template <class T, int N, bool VECTORS>
__global__ void __launch_bounds__(THREAD_WARPS *WARP, 1) jacobi_thread_kernel(direct_args_t args) {
  __shared__ T memory[THREAD_WARPS][WARP * (N * N | 1)];
  visit_warps(args.batch_count, [&](int64_t first, int active) {
    factorize_small<T, N, VECTORS>(args, first, active, memory[warp_index()]);
  });
}

/* Calls launch(N, grid, block), with N as a type, for matrices of so many rows, 4 at most. */
template <class Launch> cudaError_t launch_threads(int64_t rows, int64_t batch_count, Launch launch) {
  const dim3 grid = grid_of((batch_count + THREAD_WARPS * WARP - 1) / (THREAD_WARPS * WARP));
  const dim3 block(THREAD_WARPS * WARP);
  switch (rows) {
  case 1: return launch(launch_size<1>(), grid, block);
  case 2: return launch(launch_size<2>(), grid, block);
  case 3: return launch(launch_size<3>(), grid, block);
  default: return launch(launch_size<4>(), grid, block);
  }
}

/* rows <= 4 */
template <class T> cudaError_t jacobi_thread_launch(const direct_args_t *args, cudaStream_t stream) {
  return launch_threads(args->rows, args->batch_count, [&](auto size, dim3 grid, dim3 block) {
    constexpr int N = decltype(size)::value;
    if (args->U.data || args->Vh.data)
      return SIMT_LAUNCH((jacobi_thread_kernel<T, N, true>), grid, block, 0, stream, *args);
    return SIMT_LAUNCH((jacobi_thread_kernel<T, N, false>), grid, block, 0, stream, *args);
  });
}
