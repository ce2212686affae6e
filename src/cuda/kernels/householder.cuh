/* SPDX-License-Identifier: BSD-3-Clause */
/* Householder QR of tall matrices, column-major in global memory (G. H. Golub and C. F. Van Loan, Matrix Computations,
 * 5.2).  H_j = I - tau_j v v^H with v_j = 1; v below the diagonal, R on and above it; H_j^H is applied, so that R has a
 * real diagonal and A = H_0 H_1 ... R.  About 4 n^2 (m - n/3) flops.
 *
 * A panel of QR_PANEL columns is factored by one block: for each column a reduction over the block for its norm, then one
 * warp per column to the right.  The columns to the right of the panel take its reflectors in a launch of its own, many
 * blocks per matrix.  Where they fit, columns stay in shared memory meanwhile.  Every column sees the same operations in
 * the same order, whatever the number of blocks. */
#pragma once
#include "block.cuh"
#include "grid.cuh"
#include "strided.cuh"

/* x <- (I - t v v^H) x on rows j.., v = [1; A(j+1.., j)], for COUNT columns x that lie m elements apart, by one warp. */
template <int COUNT, class T> __device__ inline void reflect_columns(int64_t m, int64_t j, const T *v, T t, T *x) {
  T along[COUNT];
#pragma unroll
  for (int c = 0; c < COUNT; c++)
    along[c] = lane_index() == 0 ? x[c * m + j] : from_real<T>(0);
  for (int64_t i = j + 1 + lane_index(); i < m; i += WARP) {
    const T h = conj(v[i]);
#pragma unroll
    for (int c = 0; c < COUNT; c++)
      along[c] = fused(along[c], h, x[c * m + i]);
  }
#pragma unroll
  for (int c = 0; c < COUNT; c++)
    along[c] = t * warp_sum(along[c]);
  __syncwarp();
  for (int64_t i = j + 1 + lane_index(); i < m; i += WARP) {
    const T h = -v[i];
#pragma unroll
    for (int c = 0; c < COUNT; c++)
      x[c * m + i] = fused(x[c * m + i], h, along[c]);
  }
  if (lane_index() == 0)
#pragma unroll
    for (int c = 0; c < COUNT; c++)
      x[c * m + j] = x[c * m + j] - along[c];
  __syncwarp();
}

/* The reflector that maps column j, rows j.., to a real multiple of e_j; LAPACK's larfg.  What is too short for its
 * square to be a normal number is zero. */
template <class T> __device__ inline T make_reflector(int64_t m, int64_t j, T *a, real_t<T> *scratch) {
  typedef real_t<T> R;
  R below = 0;
  for (int64_t i = j + 1 + threadIdx.x; i < m; i += blockDim.x)
    below = plus_abs2(below, a[i]);
  below = block_reduce<sum_of<R>>(below, scratch);
  const T alpha = a[j];
  const R square = abs2(alpha) + below;
  const bool negligible = square < limits<R>::smallest_square();
  const R beta = negligible ? 0 : -copysign(sqrt(square), re(alpha));
  const T pivot = alpha - from_real<T>(beta);
  const T inverse = negligible ? from_real<T>(0) : ((R)1 / abs2(pivot)) * conj(pivot);
  __syncthreads(); /* everybody has read a[j] */
  for (int64_t i = j + 1 + threadIdx.x; i < m; i += blockDim.x)
    a[i] = a[i] * inverse;
  if (threadIdx.x == 0)
    a[j] = from_real<T>(beta);
  __syncthreads();
  return negligible ? from_real<T>(0) : ((R)1 / beta) * (from_real<T>(beta) - alpha);
}

/* Columns of a packed matrix in the order that a permutation gives; NULL: as they are. */
template <class T> struct columns_t {
  T *A;
  int64_t m;
  const int32_t *order;
  __device__ T *operator[](int64_t j) const { return A + (order ? order[j] : j) * m; }
};

/* A panel in shared memory: column j of the matrix, from column `first` on. */
template <class T> struct panel_t {
  T *memory;
  int64_t m, first;
  __device__ T *operator[](int64_t j) const { return memory + (j - first) * m; }
};

/* Columns first.. up to end, of which every earlier reflector has been applied to. */
template <class T, class Columns>
__device__ inline void householder_qr(int64_t m, int64_t first, int64_t end, Columns A, T *tau, real_t<T> *scratch) {
  for (int64_t j = first; j < end; j++) {
    const T t = make_reflector(m, j, A[j], scratch);
    if (threadIdx.x == 0)
      tau[j] = t;
    for (int64_t c = j + 1 + warp_index(); c < end; c += warp_count())
      reflect_columns<1>(m, j, A[j], conj(t), A[c]);
    __syncthreads();
  }
}

/* x <- Q x for one column, by one warp: reflectors do not wait for each other's columns. */
template <class T> __device__ inline void apply_reflectors(int64_t m, int64_t n, columns_t<T> A, const T *tau, T *x) {
  for (int64_t j = n - 1; j >= 0; j--)
    reflect_columns<1>(m, j, A[j], tau[j], x);
}

/* Copies one column, by one warp. */
template <class T> __device__ inline void copy_column(int64_t m, const T *from, T *to) {
  for (int64_t i = lane_index(); i < m; i += WARP)
    to[i] = from[i];
}

/* order: columns by descending norm, equal ones as they come; `norms` is scratch. */
template <class T> __device__ inline void order_by_norm(int64_t m, int64_t n, const T *A, T *norms, int32_t *order) {
  typedef real_t<T> R;
  for (int64_t j = warp_index(); j < n; j += warp_count()) {
    R square = 0;
    for (int64_t i = lane_index(); i < m; i += WARP)
      square = plus_abs2(square, A[j * m + i]);
    square = warp_sum(square);
    if (lane_index() == 0)
      norms[j] = from_real<T>(square);
  }
  __syncthreads();
  for (int64_t j = threadIdx.x; j < n; j += blockDim.x) {
    const R mine = re(norms[j]);
    int64_t place = 0;
    for (int64_t i = 0; i < n; i++)
      place += re(norms[i]) > mine || (re(norms[i]) == mine && i < j);
    order[place] = (int32_t)j;
  }
  __syncthreads();
}

template <class T> __device__ inline void store_triangle(const qr_args_t &args, columns_t<T> columns, T *R) {
  const int64_t n = args.columns;
  for (int64_t e = threadIdx.x; e < n * n; e += blockDim.x) {
    const int64_t i = args.lower ? e / n : e % n, j = args.lower ? e % n : e / n;
    const T r = i <= j ? columns[j][i] : from_real<T>(0);
    R[e] = args.lower ? conj(r) : r;
  }
}

/* Columns first.. up to end of each matrix.  STAGED: in dynamic shared memory, (end - first) * rows elements. */
template <class T, bool STAGED> __global__ void qr_panel_kernel(qr_args_t args, int64_t first, int64_t end) {
  __shared__ real_t<T> scratch[WARP];
  SIMT_DYN_SHARED(T, memory);
  const int64_t m = args.rows, n = args.columns;
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x) {
    T *A = (T *)args.A + b * m * n, *tau = (T *)args.tau + b * n;
    int32_t *order = args.order ? args.order + b * n : nullptr;
    if (order && first == 0)
      order_by_norm(m, n, A, tau, order);
    const columns_t<T> columns = {A, m, order};
    if constexpr (STAGED) {
      const panel_t<T> panel = {memory, m, first};
      for (int64_t c = first + warp_index(); c < end; c += warp_count())
        copy_column(m, columns[c], panel[c]);
      __syncthreads();
      householder_qr(m, first, end, panel, tau, scratch);
      for (int64_t c = first + warp_index(); c < end; c += warp_count())
        copy_column(m, panel[c], columns[c]);
      __syncthreads();
    } else
      householder_qr(m, first, end, columns, tau, scratch);
    if (end == n)
      store_triangle(args, columns, (T *)args.R + b * n * n);
    __syncthreads();
  }
}

/* How the columns of all matrices are shared out: COUNT neighbours to a warp, so many warps to a block, and blocks to a
 * matrix. */
struct column_blocks {
  int64_t columns, per_block, blocks; /* of a matrix, of a block, of a matrix */
  __device__ column_blocks(int64_t columns_of_matrix, int count) {
    columns = columns_of_matrix;
    per_block = (int64_t)warp_count() * count;
    blocks = (columns + per_block - 1) / per_block;
  }
  __device__ int64_t matrix(int64_t block) const { return block / blocks; }
  __device__ int64_t first(int64_t block, int count) const { return block % blocks * per_block + warp_index() * count; }
};

/* What is right of a panel takes its reflectors, columns first.. up to end; COLUMNS of a warp at a time, in dynamic shared
 * memory (COLUMNS * rows elements for each warp). */
template <class T, int COLUMNS> __global__ void qr_update_kernel(qr_args_t args, int64_t first, int64_t end) {
  SIMT_DYN_SHARED(T, memory);
  const int64_t m = args.rows, n = args.columns;
  T *x = memory + warp_index() * COLUMNS * m;
  const column_blocks shares(n - end, COLUMNS);
  for (int64_t block = blockIdx.x; block < args.batch_count * shares.blocks; block += gridDim.x) {
    const int64_t b = shares.matrix(block), at = end + shares.first(block, COLUMNS), left = n - at;
    if (left <= 0)
      continue;
    const columns_t<T> A = {(T *)args.A + b * m * n, m, args.order ? args.order + b * n : nullptr};
    const T *tau = (const T *)args.tau + b * n;
    for (int c = 0; c < COLUMNS; c++)
      copy_column(m, A[at + (c < left ? c : 0)], x + c * m); /* beyond the last: one to waste */
    __syncwarp();
    for (int64_t j = first; j < end; j++)
      reflect_columns<COLUMNS>(m, j, A[j], conj(tau[j]), x);
    for (int c = 0; c < COLUMNS && c < left; c++)
      copy_column(m, x + c * m, A[at + c]);
    __syncwarp();
  }
}

/* Element i of column c of diag(small, I). */
template <class T>
__device__ inline T block_diagonal(const apply_q_args_t &args, const T *small, int64_t i, int64_t c) {
  const int64_t n = args.columns;
  if (c >= n || i >= n)
    return from_real<T>(i == c);
  return args.adjoint ? conj(small[i * n + c]) : small[c * n + i];
}

/* X = Q diag(small, I), COLUMNS of a warp at a time.  STAGED: in dynamic shared memory, COLUMNS * rows elements for each
 * warp; else in X, one column at a time. */
template <class T, int COLUMNS, bool STAGED> __global__ void apply_q_kernel(apply_q_args_t args) {
  SIMT_DYN_SHARED(T, memory);
  const int64_t m = args.rows, n = args.columns;
  const column_blocks shares(args.wanted, COLUMNS);
  for (int64_t block = blockIdx.x; block < args.batch_count * shares.blocks; block += gridDim.x) {
    const int64_t b = shares.matrix(block), at = shares.first(block, COLUMNS), left = args.wanted - at;
    if (left <= 0)
      continue;
    const columns_t<T> A = {(T *)args.A + b * m * n, m, args.order ? args.order + b * n : nullptr};
    const T *tau = (const T *)args.tau + b * n, *small = (const T *)args.small + b * n * n;
    T *X = (T *)args.X + b * args.x_stride + at * m;
    T *x = STAGED ? memory + warp_index() * COLUMNS * m : X;
    for (int c = 0; c < COLUMNS; c++)
      for (int64_t i = lane_index(); i < m; i += WARP)
        x[c * m + i] = block_diagonal(args, small, i, at + c);
    __syncwarp();
    for (int64_t j = n - 1; j >= 0; j--)
      reflect_columns<COLUMNS>(m, j, A[j], tau[j], x);
    for (int c = 0; c < COLUMNS && c < left && STAGED; c++)
      copy_column(m, x + c * m, X + c * m);
    __syncwarp();
  }
}

static const int QR_PANEL = 32, QR_COLUMNS = 4;   /* columns of a panel; of a warp beside it */
static const int64_t QR_SHARED_BYTES = 46 * 1024; /* which every device has, with what is static */

template <class T> bool fits(int64_t elements) { return elements * (int64_t)sizeof(T) <= QR_SHARED_BYTES; }

/* Warps of a block that have `columns` in shared memory each: a power of two, at most 4 and at most what is wanted; 0 if
 * not even one has room. */
template <class T> int warps_that_fit(int64_t rows, int columns, int64_t wanted) {
  int warps = 4;
  while (warps > 0 && (!fits<T>(warps * columns * rows) || (warps / 2) * columns >= wanted))
    warps /= 2;
  return warps;
}

/* Grid for blocks of so many warps with so many columns each. */
static inline dim3 grid_of_columns(int64_t batch_count, int64_t columns, int warps, int count) {
  return grid_of(batch_count * ((columns + warps * count - 1) / (warps * count)));
}

template <class T> cudaError_t qr_update(const qr_args_t *args, int64_t first, int64_t end, cudaStream_t stream) {
  const int64_t m = args->rows, columns = args->columns - end;
  const int many = warps_that_fit<T>(m, QR_COLUMNS, columns), one = warps_that_fit<T>(m, 1, columns);
  if (many > 0)
    return SIMT_LAUNCH((qr_update_kernel<T, QR_COLUMNS>), grid_of_columns(args->batch_count, columns, many, QR_COLUMNS),
                       dim3((unsigned)(WARP * many)), (size_t)(many * QR_COLUMNS * m) * sizeof(T), stream, *args, first,
                       end);
  return SIMT_LAUNCH((qr_update_kernel<T, 1>), grid_of_columns(args->batch_count, columns, one, 1),
                     dim3((unsigned)(WARP * one)), (size_t)(one * m) * sizeof(T), stream, *args, first, end);
}

/* Panel by panel; columns that do not fit into shared memory are one panel. */
template <class T> cudaError_t qr_launch(const qr_args_t *args, cudaStream_t stream) {
  const int64_t m = args->rows, n = args->columns, width = fits<T>(m) && n > QR_PANEL ? QR_PANEL : n;
  const dim3 block(threads_for(m > 32 * n ? m : 32 * n)), grid = grid_of(args->batch_count);
  for (int64_t first = 0; first < n; first += width) {
    const int64_t end = first + width < n ? first + width : n, elements = (end - first) * m;
    cudaError_t error = fits<T>(elements)
                            ? SIMT_LAUNCH((qr_panel_kernel<T, true>), grid, block, (size_t)elements * sizeof(T), stream,
                                          *args, first, end)
                            : SIMT_LAUNCH((qr_panel_kernel<T, false>), grid, block, 0, stream, *args, first, end);
    if (!error && end < n)
      error = qr_update<T>(args, first, end, stream);
    if (error)
      return error;
  }
  return cudaSuccess;
}

template <class T> cudaError_t apply_q_launch(const apply_q_args_t *args, cudaStream_t stream) {
  const int64_t m = args->rows;
  const int many = warps_that_fit<T>(m, QR_COLUMNS, args->wanted), one = warps_that_fit<T>(m, 1, args->wanted);
  if (many > 0)
    return SIMT_LAUNCH((apply_q_kernel<T, QR_COLUMNS, true>),
                       grid_of_columns(args->batch_count, args->wanted, many, QR_COLUMNS),
                       dim3((unsigned)(WARP * many)), (size_t)(many * QR_COLUMNS * m) * sizeof(T), stream, *args);
  if (one > 0)
    return SIMT_LAUNCH((apply_q_kernel<T, 1, true>), grid_of_columns(args->batch_count, args->wanted, one, 1),
                       dim3((unsigned)(WARP * one)), (size_t)(one * m) * sizeof(T), stream, *args);
  return SIMT_LAUNCH((apply_q_kernel<T, 1, false>), grid_of_columns(args->batch_count, args->wanted, 4, 1),
                     dim3(4 * WARP), 0, stream, *args);
}
