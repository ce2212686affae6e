/* SPDX-License-Identifier: BSD-3-Clause */
/* SVD of matrices of up to 32 rows (16 in double complex) by a group of lanes in registers, several matrices per warp:
 *   A P = Q R (Householder, columns sorted by norm), L = R^H, one-sided Jacobi L V = Y S, so that A = (Q V) S (P Y)^H.
 * Z. Drmac and K. Veselic, SIAM J. Matrix Anal. Appl. 29, 2008: a column-sorted QR and the rows of R make Jacobi converge
 * fast whatever the condition of A.  The rotations accumulate in Q itself, so that X = Q V needs no product, and its
 * columns beyond those of A are what full_matrices asks for.
 *
 * Pairs meet in odd-even order (F. T. Luk and H. Park, IEEE Trans. Comput. 38, 1989): N steps per sweep, in which the
 * pairs (0,1) (2,3) .. and (1,2) (3,4) .. take turns, and both columns of every pair change places: two sets of pairs
 * that do not depend on the step, so that all of L and X stays in registers with constant indices.
 *
 * Sizes are compile-time: N x N, N >= rows, with zeros where A ends.  One warp per block, and warp_shape<T, N> says how
 * many lanes a matrix has (GROUP) and rows a lane (ROWS): lane l holds rows l, l + GROUP .. of L and of X, at most 144
 * 32-bit registers; row i of L is the conjugate of column i of R, and row i of X that of column i of Q^H, so that QR
 * works on the same registers with columns in lanes.  Shared memory: one tile per matrix, in which A arrives, reflectors
 * are passed round, and factors leave.  Per matrix 4 N^3 multiplications for QR, and per sweep 9/2 N^3 (complex: four
 * times that). */
#pragma once
#include "block.cuh"
#include "direct.cuh"
#include "grid.cuh"
#include "lanes.cuh"
#include "rotation.cuh"

template <class T> constexpr int jacobi_warp_limit() { return sizeof(T) == 16 ? 16 : 32; }

template <class T> struct __align__(16) pack { T at[16 / sizeof(T)]; };

template <class T, int N> struct warp_shape {
  static constexpr int rows_of(int lanes) { return (N + lanes - 1) / lanes; }
  static constexpr bool fits(int lanes) {
    return rows_of(lanes) <= 3 && 2 * rows_of(lanes) * N * (int)(sizeof(T) / 4) <= 144;
  }
  static constexpr int GROUP = fits(4) ? 4 : fits(8) ? 8 : fits(16) ? 16 : 32;
  static constexpr int ROWS = rows_of(GROUP), MATRICES = WARP / GROUP, SLOTS = ROWS * GROUP;
  /* Pairs per step, rounded up to a power of two for scattered_sum; every REPEAT lanes own OWN of them. */
  static constexpr int PAIRS = N / 2, SUMS = PAIRS <= 4 ? 4 : PAIRS <= 8 ? 8 : 16;
  static constexpr int OWN = SUMS > GROUP ? SUMS / GROUP : 1, REPEAT = SUMS > GROUP ? 1 : GROUP / SUMS;
  static constexpr int OWNERS = PAIRS / OWN;
  /* A column of the tile is an odd number of packs long, and tiles of neighbours in the warp are shifted against each
   * other: eight lanes reading a pack each, of neighbouring columns, meet no bank twice. */
  static constexpr int PER_PACK = 16 / (int)sizeof(T), PACKS = (N / PER_PACK) | 1, STRIDE = PACKS * PER_PACK;
  static constexpr int TILE = SLOTS * PACKS + (GROUP + 32 - SLOTS * PACKS % 8) % 8;
  /* Blocks per multiprocessor that registers must suffice for. */
  static constexpr int WORDS = 2 * ROWS * N * (int)(sizeof(T) / 4), BLOCKS = WORDS <= 64 ? 16 : WORDS <= 96 ? 12 : 8;
  static_assert(N % 2 == 0 && N % PER_PACK == 0 && PAIRS % OWN == 0, "N");
};

/* Shared memory of one matrix. */
template <class T, int N> struct warp_vectors {
  real_t<T> norms[N], S[N];
  T factors[N]; /* conj(tau) of the reflectors; products in complete_tile */
  T phases[N];
  int order[warp_shape<T, N>::SLOTS], place[N]; /* column j of A P is order[j] of A; column j of L goes to place[j] */
  int exponent;
  bool finite, failed; /* did not converge; here, as it would take a register from the columns */
};
template <class T, int N> struct warp_memory {
  pack<T> tile[warp_shape<T, N>::MATRICES][warp_shape<T, N>::TILE];
  warp_vectors<T, N> vectors[warp_shape<T, N>::MATRICES];
  __device__ T *column(int matrix, int j) { return tile[matrix][j * warp_shape<T, N>::PACKS].at; }
};

template <int GROUP> __device__ inline unsigned group_mask() {
  return (FULL_WARP >> (WARP - GROUP)) << (lane_index() / GROUP * GROUP);
}
/* Whether any lane of the group says so. */
template <int GROUP> __device__ inline bool group_any(bool mine) {
  return __ballot_sync(FULL_WARP, mine) & group_mask<GROUP>();
}

/* The tall matrices in the caller's memory: element (i, j) of matrix b, conjugated if asked, is at data[..]. */
template <class T> struct tall_view {
  T *data;
  int64_t batch, row, column;
  bool conjugate;
  __device__ T *at(int64_t b, int i, int j) const { return data + (b * batch + i * row + j * column); }
  __device__ T converted(T x) const { return make<T>::of(re(x), conjugate ? -im(x) : im(x)); }
};
template <class T>
__device__ inline tall_view<T> view_of(const svdgrad_matrix_t &matrix, bool transposed, bool conjugate) {
  return {(T *)matrix.data, matrix.batch_stride, transposed ? matrix.col_stride : matrix.row_stride,
          transposed ? matrix.row_stride : matrix.col_stride, conjugate};
}

/* Walks through the elements of an m-by-n corner of all tiles, the whole warp side by side along the smaller stride. */
template <class T, int N> struct tile_walk {
  static constexpr int PER_MATRIX = (N * N + WARP - 1) / WARP, STEPS = warp_shape<T, N>::MATRICES * PER_MATRIX;
  int count, inner, inverse;
  bool rows_first;
  __device__ tile_walk(int m, int n, bool rows_first_)
      : count(m * n), inner(rows_first_ ? m : n), rows_first(rows_first_) {
    inverse = 65536 / inner + 1; /* e * inverse / 65536 is e / inner, rounded down, as e * inner <= 2^15 */
  }
  /* False beyond the last element. */
  __device__ bool step(int step, int *matrix, int *i, int *j) const {
    const int e = step % PER_MATRIX * WARP + lane_index();
    const int major = e * inverse >> 16, minor = e - major * inner;
    *matrix = step / PER_MATRIX;
    *i = rows_first ? minor : major;
    *j = rows_first ? major : minor;
    return step < STEPS && e < count;
  }
};

template <class T, int N>
__device__ __forceinline__ void load_tiles(const direct_args_t &args, int64_t first, warp_memory<T, N> &memory) {
  typedef warp_shape<T, N> shape;
  constexpr int AT_ONCE = 16; /* loads under way */
  const pack<T> zero = {};
  for (int e = lane_index(); e < shape::MATRICES * shape::TILE; e += WARP)
    memory.tile[e / shape::TILE][e % shape::TILE] = zero;
  __syncwarp();
  const tall_view<T> A = view_of<T>(args.A, args.transposed, args.transposed);
  const tile_walk<T, N> walk((int)args.rows, (int)args.columns, args.columns == 1 || A.row <= A.column);
  for (int step = 0; step < walk.STEPS; step += AT_ONCE) {
    T x[AT_ONCE];
    int matrix, i, j;
#pragma unroll
    for (int s = 0; s < AT_ONCE; s++)
      if (walk.step(step + s, &matrix, &i, &j) && first + matrix < args.batch_count)
        x[s] = *A.at(first + matrix, i, j);
#pragma unroll
    for (int s = 0; s < AT_ONCE; s++)
      if (walk.step(step + s, &matrix, &i, &j) && first + matrix < args.batch_count)
        memory.column(matrix, j)[i] = A.converted(x[s]);
  }
  __syncwarp();
}

template <class T, int N> __device__ __forceinline__ void read_column(const T *column, T (&x)[N]) {
  const pack<T> *packs = reinterpret_cast<const pack<T> *>(column);
#pragma unroll
  for (int q = 0; q < N / warp_shape<T, N>::PER_PACK; q++) {
    const pack<T> p = packs[q];
#pragma unroll
    for (int e = 0; e < warp_shape<T, N>::PER_PACK; e++)
      x[q * warp_shape<T, N>::PER_PACK + e] = p.at[e];
  }
}

/* Entries times low times high are the scaled ones, entries times 2^-exponent; of a matrix with NaN or Inf, zero. */
template <class R> struct scaling {
  R low, high;
  bool finite;
};

template <class R> __device__ inline scaling<R> make_scaling(R largest, int *exponent_out) {
  const bool finite = largest - largest == 0;
  int exponent = 0;
  if (finite && largest > 0) {
    (void)frexp(largest, &exponent);
    exponent -= 1 + limits<R>::scaled_exponent;
  }
  *exponent_out = exponent;
  const int half = -exponent / 2;
  return {(R)ldexp((R)1, half), (R)ldexp((R)1, -exponent - half), finite};
}

/* Column `order[slot]` of the scaled matrix for each slot of the lane; order NULL: the slot itself. */
template <class T, int N>
__device__ __forceinline__ void read_scaled(const T *tile, const int *order, const scaling<real_t<T>> &scale,
                                            T (&x)[warp_shape<T, N>::ROWS][N]) {
  typedef warp_shape<T, N> shape;
#pragma unroll
  for (int r = 0; r < shape::ROWS; r++) {
    const int slot = lane_in_group<shape::GROUP>() + r * shape::GROUP;
    read_column<T, N>(tile + (order ? order[slot] : slot) * shape::STRIDE, x[r]);
#pragma unroll
    for (int i = 0; i < N; i++)
      x[r][i] = scale.finite ? scale.high * (scale.low * x[r][i]) : from_real<T>(0);
  }
}

template <class T, int N> __device__ __forceinline__ real_t<T> largest_entry(const T *tile) {
  typedef warp_shape<T, N> shape;
  typedef real_t<T> R;
  R largest = 0;
#pragma unroll
  for (int r = 0; r < shape::ROWS; r++) {
    T x[N];
    read_column<T, N>(tile + (lane_in_group<shape::GROUP>() + r * shape::GROUP) * shape::STRIDE, x);
#pragma unroll
    for (int i = 0; i < N; i++)
      largest = max_of<R>::combine(largest, largest_part(x[i]));
  }
#pragma unroll
  for (int offset = shape::GROUP / 2; offset; offset /= 2)
    largest = max_of<R>::combine(largest, exchange(largest, offset));
  return largest;
}

/* Calls put(i, place) for every number: its place in descending order, the first of equals first. */
template <class T, int N, class Put>
__device__ __forceinline__ void rank_numbers(const real_t<T> (&numbers)[N], Put put) {
  for (int i = lane_in_group<warp_shape<T, N>::GROUP>(); i < N; i += warp_shape<T, N>::GROUP) {
    const real_t<T> mine = numbers[i];
    int place = 0;
#pragma unroll 8
    for (int j = 0; j < N; j++)
      place += numbers[j] > mine || (numbers[j] == mine && j < i);
    put(i, place);
  }
}

/* The order of columns by norm, and the columns in that order. */
template <class T, int N>
__device__ __forceinline__ void read_sorted(const T *tile, const scaling<real_t<T>> &scale, warp_vectors<T, N> &shared,
                                            T (&x)[warp_shape<T, N>::ROWS][N]) {
  typedef warp_shape<T, N> shape;
  const int lane = lane_in_group<shape::GROUP>();
  read_scaled<T, N>(tile, nullptr, scale, x);
#pragma unroll
  for (int r = 0; r < shape::ROWS; r++) {
    real_t<T> square = 0;
#pragma unroll
    for (int i = 0; i < N; i++)
      square = plus_abs2(square, x[r][i]);
    const int slot = lane + r * shape::GROUP;
    if (slot < N)
      shared.norms[slot] = square;
    else
      shared.order[slot] = slot;
  }
  __syncwarp();
  rank_numbers<T, N>(shared.norms, [&](int i, int place) { shared.order[place] = i; });
  __syncwarp();
  read_scaled<T, N>(tile, shared.order, scale, x);
  __syncwarp(); /* the tile may be overwritten */
}

/* along += v^H x and x -= v along on rows FIRST and below, v from the tile pack by pack. */
template <int FIRST, class T, int N>
__device__ __forceinline__ void multiply_column(const T *v, const T (&x)[N], T &along) {
  constexpr int PER_PACK = warp_shape<T, N>::PER_PACK;
  const pack<T> *packs = reinterpret_cast<const pack<T> *>(v);
#pragma unroll
  for (int i = FIRST; i < N; i++)
    along = fused(along, conj(packs[i / PER_PACK].at[i % PER_PACK]), x[i]);
}
template <int FIRST, class T, int N> __device__ __forceinline__ void subtract_column(const T *v, T along, T (&x)[N]) {
  constexpr int PER_PACK = warp_shape<T, N>::PER_PACK;
  const pack<T> *packs = reinterpret_cast<const pack<T> *>(v);
#pragma unroll
  for (int i = FIRST; i < N; i++)
    x[i] = fused(x[i], -packs[i / PER_PACK].at[i % PER_PACK], along);
}

/* The reflector that maps rows j and below of x to a real multiple of e_j, FIRST <= j < FIRST + COUNT, as in
 * householder.cuh: v to the tile, with v_j = 1 and zeros above, and conj(tau); returns beta. */
template <int FIRST, int COUNT, class T, int N>
__device__ __forceinline__ real_t<T> make_reflector(int j, const T (&x)[N], T *v, T *conj_tau) {
  typedef real_t<T> R;
  R square = 0;
  T alpha = from_real<T>(0);
#pragma unroll
  for (int i = FIRST; i < N; i++) {
    square = i >= j ? plus_abs2(square, x[i]) : square;
    if (i < FIRST + COUNT && i == j)
      alpha = x[i];
  }
  const bool negligible = is_null(square);
  const R beta = negligible ? 0 : -copysign(sqrt(square), re(alpha));
  const T pivot = alpha - from_real<T>(beta);
  const T inverse = negligible ? from_real<T>(0) : ((R)1 / abs2(pivot)) * conj(pivot);
#pragma unroll
  for (int i = FIRST; i < N; i++)
    v[i] = i > j ? x[i] * inverse : from_real<T>(i == j);
  *conj_tau = negligible ? from_real<T>(0) : ((R)1 / beta) * (from_real<T>(beta) - conj(alpha));
  return beta;
}

/* Reflectors FIRST and on of QR, columns in lanes: A becomes R, X, which begins as the identity, Q^H. */
template <int FIRST, class T, int N, int ROWS, bool VECTORS>
__device__ __forceinline__ void factor_columns(int n, T *tile, T *factors, T (&A)[ROWS][N], T (&X)[ROWS][N],
                                               real_t<T> (&diagonal)[ROWS]) {
  typedef warp_shape<T, N> shape;
  constexpr int COUNT = shape::GROUP < 8 ? shape::GROUP : 8, SLOT = FIRST / shape::GROUP;
#pragma unroll 1
  for (int j = FIRST; j < FIRST + COUNT && j < n; j++) {
    T *column = tile + j * shape::STRIDE;
    if (lane_in_group<shape::GROUP>() == j % shape::GROUP)
      diagonal[SLOT] = make_reflector<FIRST, COUNT>(j, A[SLOT], column, factors + j);
    __syncwarp();
    T along_a[ROWS], along_x[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      along_a[r] = along_x[r] = from_real<T>(0);
      if (r >= SLOT)
        multiply_column<FIRST>(column, A[r], along_a[r]);
      if (VECTORS)
        multiply_column<FIRST>(column, X[r], along_x[r]);
    }
    const T factor = factors[j];
    __syncwarp(); /* lets the compiler read v anew, in place of holding it in registers */
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      if (r >= SLOT)
        subtract_column<FIRST>(column, factor * along_a[r], A[r]);
      if (VECTORS)
        subtract_column<FIRST>(column, factor * along_x[r], X[r]);
    }
  }
  if constexpr (FIRST + COUNT < N)
    factor_columns<FIRST + COUNT, T, N, ROWS, VECTORS>(n, tile, factors, A, X, diagonal);
}

/* On entry the columns of A; on return the rows of L = R^H, and of Q. */
template <class T, int N, int ROWS, bool VECTORS>
__device__ __forceinline__ void factor_matrix(int n, T *tile, T *factors, T (&L)[ROWS][N], T (&X)[ROWS][N]) {
  typedef warp_shape<T, N> shape;
  real_t<T> diagonal[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    diagonal[r] = 0;
#pragma unroll
    for (int i = 0; i < N; i++)
      X[r][i] = from_real<T>(i == lane_in_group<shape::GROUP>() + r * shape::GROUP);
  }
  factor_columns<0, T, N, ROWS, VECTORS>(n, tile, factors, L, X, diagonal);
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    const int row = lane_in_group<shape::GROUP>() + r * shape::GROUP;
#pragma unroll
    for (int j = 0; j < N; j++) {
      L[r][j] = j < row ? conj(L[r][j]) : from_real<T>(j > row ? 0 : diagonal[r]);
      X[r][j] = conj(X[r][j]);
    }
  }
}

/* What a lane knows about its pairs of columns: squared norms of the first and the second ones.  In even steps pair p is
 * (2p, 2p+1), in odd ones (2p+1, 2p+2), where the last one is (N-1, 0), and is left alone. */
template <class T, int N> struct warp_pairs {
  typedef warp_shape<T, N> shape;
  typedef real_t<T> R;
  R a[shape::OWN], b[shape::OWN];

  __device__ static int owner() { return lane_in_group<shape::GROUP>() / shape::REPEAT; }
  __device__ static bool is_last(int s) { return owner() * shape::OWN + s == shape::PAIRS - 1; }

  __device__ __forceinline__ void to_odd() {
    const R from_next = broadcast<shape::GROUP>(a[0], (owner() + 1) % shape::OWNERS * shape::REPEAT);
#pragma unroll
    for (int s = 0; s < shape::OWN; s++) {
      const R next = s + 1 < shape::OWN ? a[(s + 1) % shape::OWN] : from_next;
      a[s] = b[s];
      b[s] = next;
    }
  }
  __device__ __forceinline__ void to_even() {
    const R from_previous =
        broadcast<shape::GROUP>(b[shape::OWN - 1], (owner() + shape::OWNERS - 1) % shape::OWNERS * shape::REPEAT);
    R previous = from_previous;
#pragma unroll
    for (int s = 0; s < shape::OWN; s++) {
      const R next = b[s];
      b[s] = a[s];
      a[s] = previous;
      previous = next;
    }
  }
};

/* Squared norms of columns FIRST, FIRST + 2 .., by the owners of the pairs. */
template <int FIRST, class T, int N, int ROWS>
__device__ __forceinline__ real_t<T> square_column(int s, const T (&L)[ROWS][N]) {
  typedef warp_shape<T, N> shape;
  return scattered_sum<shape::GROUP, shape::SUMS>(s, [&](int p) {
    real_t<T> square = 0;
#pragma unroll
    for (int r = 0; r < ROWS && p < shape::PAIRS; r++)
      square = plus_abs2(square, L[r][(2 * p + FIRST) % N]);
    return square;
  });
}

/* x^H y of columns 2p + FIRST and 2p + FIRST + 1, by the owners of the pairs. */
template <int FIRST, class T, int N, int ROWS>
__device__ __forceinline__ T multiply_pair(int s, const T (&L)[ROWS][N]) {
  typedef warp_shape<T, N> shape;
  return scattered_sum<shape::GROUP, shape::SUMS>(s, [&](int p) {
    T product = from_real<T>(0);
#pragma unroll
    for (int r = 0; r < ROWS && 2 * p + FIRST + 1 < N; r++)
      product = fused(product, conj(L[r][2 * p + FIRST]), L[r][2 * p + FIRST + 1]);
    return product;
  });
}

/* Norms from the columns, of pairs (2p, 2p+1): once per sweep.  Within it they follow from the rotations; what is lost to
 * cancellation where a column becomes much shorter costs one sweep in a hundred. */
template <class T, int N, int ROWS>
__device__ __forceinline__ void measure_columns(const T (&L)[ROWS][N], warp_pairs<T, N> &pairs) {
  typedef warp_shape<T, N> shape;
#pragma unroll
  for (int s = 0; s < shape::OWN; s++)
    pairs.a[s] = square_column<0>(s, L);
#pragma unroll
  for (int s = 0; s < shape::OWN; s++)
    pairs.b[s] = square_column<1>(s, L);
}

/* One step: true if this lane rotated a pair. */
template <int FIRST, class T, int N, int ROWS, bool VECTORS>
__device__ __forceinline__ bool rotate_pairs(T (&L)[ROWS][N], T (&X)[ROWS][N], warp_pairs<T, N> &pairs,
                                             real_t<T> tolerance) {
  typedef warp_shape<T, N> shape;
  typedef real_t<T> R;
  rotation<T> own[shape::OWN];
  bool rotated = false;
#pragma unroll
  for (int s = 0; s < shape::OWN; s++) {
    own[s] = make_rotation(pairs.a[s], pairs.b[s], multiply_pair<FIRST>(s, L), tolerance);
    const R a = pairs.a[s], b = pairs.b[s], new_a = a - own[s].gain, new_b = b + own[s].gain;
    const bool stays = FIRST == 1 && pairs.is_last(s);
    rotated |= rotates(own[s]);
    pairs.a[s] = stays ? a : new_b;
    pairs.b[s] = stays ? b : new_a;
  }
#pragma unroll
  for (int p = 0; 2 * p + FIRST + 1 < N; p++) {
    const int source = p / shape::OWN * shape::REPEAT;
    const R c = broadcast<shape::GROUP>(own[p % shape::OWN].c, source);
    const T s = broadcast<shape::GROUP>(own[p % shape::OWN].s, source);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      T x = L[r][2 * p + FIRST], y = L[r][2 * p + FIRST + 1];
      rotate_row(x, y, c, s);
      L[r][2 * p + FIRST] = y;
      L[r][2 * p + FIRST + 1] = x;
      if (VECTORS) {
        T u = X[r][2 * p + FIRST], v = X[r][2 * p + FIRST + 1];
        rotate_row(u, v, c, s);
        X[r][2 * p + FIRST] = v;
        X[r][2 * p + FIRST + 1] = u;
      }
    }
  }
  return rotated;
}

struct warp_sweeps {
  bool reversed, failed; /* columns are in reverse order; this matrix did not converge */
};

/* Sweeps until every matrix of the warp has had one without a rotation; in further ones nothing happens to a matrix but
 * that its columns are reversed, and zeros may change their sign.  `pairs` gets the final norms, of (2p, 2p+1). */
template <class T, int N, int ROWS, bool VECTORS>
__device__ __forceinline__ warp_sweeps orthogonalize(const direct_args_t &args, T (&L)[ROWS][N], T (&X)[ROWS][N],
                                                     warp_pairs<T, N> &pairs) {
  typedef real_t<T> R;
  R tolerance = jacobi_tolerance<R>(args.columns);
  bool active = true;
  int sweep = 0;
  measure_columns(L, pairs);
  for (; sweep < args.max_sweeps && __any_sync(FULL_WARP, active); sweep++) {
    bool rotated = false;
#pragma unroll 1
    for (int step = 0; step < N; step += 2) {
      rotated |= rotate_pairs<0, T, N, ROWS, VECTORS>(L, X, pairs, tolerance);
      pairs.to_odd();
      rotated |= rotate_pairs<1, T, N, ROWS, VECTORS>(L, X, pairs, tolerance);
      pairs.to_even();
    }
    active = group_any<warp_shape<T, N>::GROUP>(rotated);
    tolerance = active ? tolerance : (R)INFINITY; /* nothing is to rotate any more */
    measure_columns(L, pairs);
  }
  return {sweep % 2 != 0, active};
}

/* S in descending order, equal ones as L = R^H had them, and where the columns go. */
template <class T, int N>
__device__ __forceinline__ void sort_norms(const warp_pairs<T, N> &pairs, bool reversed, warp_vectors<T, N> &shared) {
  typedef warp_shape<T, N> shape;
  const int lane = lane_in_group<shape::GROUP>();
#pragma unroll
  for (int s = 0; s < shape::OWN; s++) {
    const int j = 2 * (pairs.owner() * shape::OWN + s);
    if (j < N && lane % shape::REPEAT == 0) {
      shared.norms[reversed ? N - 1 - j : j] = is_null(pairs.a[s]) ? 0 : sqrt(pairs.a[s]);
      shared.norms[reversed ? N - 2 - j : j + 1] = is_null(pairs.b[s]) ? 0 : sqrt(pairs.b[s]);
    }
  }
  __syncwarp();
  rank_numbers<T, N>(shared.norms, [&](int i, int place) {
    shared.place[reversed ? N - 1 - i : i] = place;
    shared.S[place] = shared.norms[i];
  });
  __syncwarp();
}

/* Rows of X or L to the tile, columns in descending order of S; those of L normalized, and its rows in the order of A's
 * columns.  + 0: a zero is positive, whatever rotations did to it. */
template <bool LEFT, class T, int N, int ROWS>
__device__ __forceinline__ void fill_tile(const T (&x)[ROWS][N], const warp_vectors<T, N> &shared, T *tile) {
  typedef warp_shape<T, N> shape;
#pragma unroll
  for (int j = 0; j < N; j++) {
    const int place = shared.place[j];
    const real_t<T> norm = shared.S[place], inverse = LEFT || norm == 0 ? 0 : 1 / norm;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      const int slot = lane_in_group<shape::GROUP>() + r * shape::GROUP;
      if (slot < N)
        tile[place * shape::STRIDE + (LEFT ? slot : shared.order[slot])] =
            (LEFT ? x[r][j] : inverse * x[r][j]) + from_real<T>(0);
    }
  }
  __syncwarp();
}

/* The row of the unit vector with most outside the span of columns 0..c-1 of an orthonormal n x n tile. */
template <class T, int N> __device__ inline int least_covered(int n, int c, const T *tile) {
  typedef warp_shape<T, N> shape;
  typedef real_t<T> R;
  R least = (R)INFINITY;
  int where = 0;
  for (int i = lane_in_group<shape::GROUP>(); i < n; i += shape::GROUP) {
    R covered = 0;
#pragma unroll 1
    for (int j = 0; j < c; j++)
      covered = plus_abs2(covered, tile[j * shape::STRIDE + i]);
    if (covered < least) {
      least = covered;
      where = i;
    }
  }
  for (int offset = shape::GROUP / 2; offset; offset /= 2) {
    const R other = exchange(least, offset);
    const int other_where = exchange(where, offset);
    if (other < least || (other == least && other_where < where)) {
      least = other;
      where = other_where;
    }
  }
  return where;
}

/* Column c of an n x n tile becomes orthogonal to those before it, one step of Gram-Schmidt. */
template <class T, int N> __device__ inline void project(int n, int c, bool ours, T *tile, T *products) {
  typedef warp_shape<T, N> shape;
  const int lane = lane_in_group<shape::GROUP>();
  T *x = tile + c * shape::STRIDE;
  for (int j = lane; j < c; j += shape::GROUP) {
    T product = from_real<T>(0);
#pragma unroll 1
    for (int i = 0; i < n; i++)
      product = fused(product, conj(tile[j * shape::STRIDE + i]), x[i]);
    products[j] = product;
  }
  __syncwarp();
  for (int i = lane; i < n && ours; i += shape::GROUP) {
    T left = x[i];
#pragma unroll 1
    for (int j = 0; j < c; j++)
      left = fused(left, -tile[j * shape::STRIDE + i], products[j]);
    x[i] = left;
  }
  __syncwarp();
}

/* Columns of Y that belong to a zero S: unit vectors, orthogonalized twice against what is there (at least 1/sqrt(n) of
 * a unit vector so chosen is outside, so that twice is enough), and normalized.  All groups of the warp go along. */
template <class T, int N> __device__ inline void complete_tile(int n, const real_t<T> (&S)[N], T *tile, T *products) {
  typedef warp_shape<T, N> shape;
  typedef real_t<T> R;
  const int lane = lane_in_group<shape::GROUP>();
  for (int c = 0; c < n; c++) {
    const bool ours = S[c] == 0;
    if (!__any_sync(FULL_WARP, ours))
      continue;
    const int where = least_covered<T, N>(n, c, tile);
    T *x = tile + c * shape::STRIDE;
    for (int i = lane; i < n && ours; i += shape::GROUP)
      x[i] = from_real<T>(i == where);
    __syncwarp();
    project<T, N>(n, c, ours, tile, products);
    project<T, N>(n, c, ours, tile, products);
    R square = 0;
    for (int i = lane; i < n; i += shape::GROUP)
      square = plus_abs2(square, x[i]);
    square = group_sum<shape::GROUP>(square);
    for (int i = lane; i < n && ours; i += shape::GROUP)
      x[i] = (1 / sqrt(square)) * x[i];
    __syncwarp();
  }
}

/* The phase that makes the largest entry of column x of U (the first of equals) real and positive; x gets it. */
template <class T> __device__ inline T fix_phase(int m, T *x) {
  typedef real_t<T> R;
  R best = -1;
  int where = 0;
  for (int i = 0; i < m; i++)
    if (abs2(x[i]) > best) {
      best = abs2(x[i]);
      where = i;
    }
  const R size = sqrt(best);
  const T phase = ((R)1 / size) * conj(x[where]);
  for (int i = 0; i < m; i++)
    x[i] = i == where ? from_real<T>(size) : phase * x[i];
  return phase;
}

/* The columns of U in the tile get their phases, and those of V the same ones. */
template <class T, int N>
__device__ inline void fix_phases(const direct_args_t &args, bool is_left, T *tile, T *phases) {
  typedef warp_shape<T, N> shape;
  const bool is_u = is_left != (args.transposed != 0);
  const int m = (int)(is_left ? args.rows : args.columns);
  for (int j = lane_in_group<shape::GROUP>(); j < N && j < args.u_cols; j += shape::GROUP) {
    T *x = tile + j * shape::STRIDE;
    if (is_u)
      phases[j] = fix_phase(m, x);
    else
      for (int i = 0; i < m && j < args.columns; i++)
        x[i] = phases[j] * x[i];
  }
  __syncwarp();
}

/* The tiles, which hold the left factors or the right ones; NaN for the matrices of `nan`, one bit per lane. */
template <class T, int N>
__device__ __forceinline__ void store_tiles(const direct_args_t &args, int64_t first, bool is_left, unsigned nan,
                                            warp_memory<T, N> &memory) {
  typedef warp_shape<T, N> shape;
  const bool is_u = is_left != (args.transposed != 0);
  const int wanted = (int)(is_left ? wanted_left(args) : wanted_right(args));
  if (wanted == 0)
    return;
  const tall_view<T> to = view_of<T>(is_u ? args.U : args.Vh, !is_u, !is_u);
  const tile_walk<T, N> walk((int)(is_left ? args.rows : args.columns), wanted, wanted == 1 || to.row <= to.column);
#pragma unroll 4
  for (int step = 0; step < walk.STEPS; step++) {
    int matrix, i, j;
    if (!walk.step(step, &matrix, &i, &j) || first + matrix >= args.batch_count)
      continue;
    const T x = to.converted(memory.column(matrix, j)[i]);
    *to.at(first + matrix, i, j) = nan >> (matrix * shape::GROUP) & 1 ? not_a_number<T>() : x;
  }
  __syncwarp();
}

template <class T, int N>
__device__ __forceinline__ void store_values(const direct_args_t &args, int64_t b, const warp_vectors<T, N> &shared) {
  typedef real_t<T> R;
  const int lane = lane_in_group<warp_shape<T, N>::GROUP>();
  if (b >= args.batch_count)
    return;
  const int exponent = stored_exponent(args.exponent, shared.exponent, limits<R>::scaled_exponent);
  for (int j = lane; j < args.k; j += warp_shape<T, N>::GROUP)
    *entry<R>(args.S, b, j) = shared.finite ? times_power(shared.S[j], exponent) : (R)NAN;
  if (lane == 0) {
    tell_exponent(args.exponent, b, shared.exponent, limits<R>::scaled_exponent);
    args.info[b] = direct_info(shared.finite, shared.failed, overflows(shared.S[0], exponent));
  }
}

/* Both factors through the tile, U before V, because the phases come from U. */
template <class T, int N, int ROWS>
__device__ __forceinline__ void store_factors(const direct_args_t &args, int64_t first, unsigned nan,
                                              const T (&L)[ROWS][N], const T (&X)[ROWS][N], warp_memory<T, N> &memory) {
  const int matrix = lane_index() / warp_shape<T, N>::GROUP;
  T *tile = memory.column(matrix, 0);
  warp_vectors<T, N> &shared = memory.vectors[matrix];
#pragma unroll 1
  for (int turn = 0; turn < 2; turn++) {
    const bool is_left = (turn == 0) != (args.transposed != 0);
    if (is_left)
      fill_tile<true>(X, shared, tile);
    else {
      fill_tile<false>(L, shared, tile);
      complete_tile<T, N>((int)args.columns, shared.S, tile, shared.factors);
    }
    if (args.positive_gauge)
      fix_phases<T, N>(args, is_left, tile, shared.phases);
    store_tiles<T, N>(args, first, is_left, nan, memory);
  }
}

/* From the caller's matrices, those from `first` on, to S and to L V = Y S and X in registers; true if their columns are
 * in reverse order. */
template <class T, int N, int ROWS, bool VECTORS>
__device__ __forceinline__ bool solve_tiles(const direct_args_t &args, int64_t first, T (&L)[ROWS][N], T (&X)[ROWS][N],
                                            warp_memory<T, N> &memory) {
  typedef warp_shape<T, N> shape;
  const int matrix = lane_index() / shape::GROUP;
  T *tile = memory.column(matrix, 0);
  warp_vectors<T, N> &shared = memory.vectors[matrix];
  load_tiles(args, first, memory);
  int exponent;
  const scaling<real_t<T>> scale = make_scaling(largest_entry<T, N>(tile), &exponent);
  if (lane_in_group<shape::GROUP>() == 0) {
    shared.exponent = exponent;
    shared.finite = scale.finite;
  }
  read_sorted<T, N>(tile, scale, shared, L);
  factor_matrix<T, N, ROWS, VECTORS>((int)args.columns, tile, shared.factors, L, X);
  warp_pairs<T, N> pairs;
  const warp_sweeps sweeps = orthogonalize<T, N, ROWS, VECTORS>(args, L, X, pairs);
  if (lane_in_group<shape::GROUP>() == 0)
    shared.failed = sweeps.failed;
  sort_norms(pairs, sweeps.reversed, shared);
  return sweeps.reversed;
}

/* The matrices from `first` on.  No loop over the batch, whose invariants would take registers from the sweeps. */
template <class T, int N, bool VECTORS>
__global__ void __launch_bounds__(WARP, warp_shape<T, N>::BLOCKS)
    jacobi_warp_kernel(direct_args_t args, int64_t first) {
  typedef warp_shape<T, N> shape;
  __shared__ warp_memory<T, N> memory;
  const int matrix = lane_index() / shape::GROUP;
  warp_vectors<T, N> &shared = memory.vectors[matrix];
  first += (int64_t)blockIdx.x * shape::MATRICES;
  T L[shape::ROWS][N], X[shape::ROWS][N];
  (void)solve_tiles<T, N, shape::ROWS, VECTORS>(args, first, L, X, memory);
  store_values<T, N>(args, first + matrix, shared); /* before the factors: after them f64 spills on sm_90 */
  if (VECTORS)
    store_factors(args, first, __ballot_sync(FULL_WARP, !shared.finite), L, X, memory);
}

template <class T, int N, class Launch> cudaError_t launch_warps_sized(int64_t batch_count, Launch launch) {
  constexpr int MATRICES = warp_shape<T, N>::MATRICES;
  cudaError_t error = cudaSuccess;
  for (int64_t first = 0; first < batch_count && !error;) {
    const dim3 grid = grid_of((batch_count - first + MATRICES - 1) / MATRICES);
    error = launch(launch_size<N>(), grid, first);
    first += (int64_t)grid.x * MATRICES;
  }
  return error;
}

/* Calls launch(N, grid, first), with N as a type, for the matrices from `first` on, of so many rows,
 * jacobi_warp_limit<T>() at most; more often than once only if a grid is too small for all. */
template <class T, class Launch> cudaError_t launch_warps(int64_t rows, int64_t batch_count, Launch launch) {
  if (rows <= 8)
    return launch_warps_sized<T, 8>(batch_count, launch);
  if (rows <= 12)
    return launch_warps_sized<T, 12>(batch_count, launch);
  if constexpr (jacobi_warp_limit<T>() > 16) {
    if (rows > 24)
      return launch_warps_sized<T, 32>(batch_count, launch);
    if (rows > 16)
      return launch_warps_sized<T, 24>(batch_count, launch);
  }
  return launch_warps_sized<T, 16>(batch_count, launch);
}

template <class T> cudaError_t jacobi_warp_launch(const direct_args_t *args, cudaStream_t stream) {
  return launch_warps<T>(args->rows, args->batch_count, [&](auto size, dim3 grid, int64_t first) {
    constexpr int N = decltype(size)::value;
    if (args->U.data || args->Vh.data)
      return SIMT_LAUNCH((jacobi_warp_kernel<T, N, true>), grid, dim3(WARP), 0, stream, *args, first);
    return SIMT_LAUNCH((jacobi_warp_kernel<T, N, false>), grid, dim3(WARP), 0, stream, *args, first);
  });
}
