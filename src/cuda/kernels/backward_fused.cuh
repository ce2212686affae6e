/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole backward pass of a thin, untruncated SVD by one team per matrix (team.cuh): a block here, a group of lanes in
 * backward_warp.cuh; P, Q and M never leave the chip.
 *
 * One side is long (max(m, n) rows), the other square (k rows).  For m >= n, with P = U^H gU over the long side and
 * Q = V^H gV, gA = left V^H, left = U M + (gU - U P) D, D = diag(1/s_j) where m > k.  For m < n the sides change
 * places: then M becomes M^H and the product gA^H.
 *
 * Shared memory: P, Q (later M) and the square basis, k-by-k; a tile of some rows of the long basis (later of gA) and
 * one of its cotangent (later `left`); 5 k reals.  Columns are an odd number of elements apart, so that neither rows nor
 * columns meet in one bank.  Two passes over the long side; 2 m k^2 + 4 k^3 multiplications for the first, 3 m k^2 for
 * the second.  A thread makes TILE-by-TILE elements of a product at a time, from 2 TILE elements in shared memory for
 * each term; every sum is in the order of its terms, whatever TILE is. */
#pragma once
#include "backward_core.cuh"
#include "strided.cuh"
#include "team.cuh"

/* Widest tile of a thread in registers: for c128 what four times as many take for f32. */
template <class T> __host__ __device__ constexpr int fused_tile() {
  return sizeof(T) > 8 && scalar<T>::is_complex ? 2 : 4;
}
/* Rows of the long side at a time. */
template <class T> __host__ __device__ constexpr int fused_rows() { return 8 * fused_tile<T>(); }

/* Terms of a product at a time: with small tiles more of them take more registers than the sums. */
__host__ __device__ constexpr int fused_unroll(int tile) { return tile > 2 ? 4 : 2; }

/* How a team works: the tile of a thread, and rows of the long side at a time.  Columns of these are PITCH apart; 0: so
 * far that there is room for as many rows as there are. */
template <class Team, int TILE_, int ROWS_, int PITCH_> struct fused_plan : Team {
  static constexpr int TILE = TILE_, ROWS = ROWS_, PITCH = PITCH_;
  static __host__ __device__ constexpr int pitch_for(int64_t rows) {
    return PITCH ? PITCH : (int)(rows < ROWS ? rows : ROWS) | 1;
  }
};
template <class T, int TILE> using fused_block = fused_plan<block_team, TILE, fused_rows<T>(), fused_rows<T>() + 1>;

/* U, or V (kept as Vh): column j of the basis, or of its cotangent. */
template <class T> struct side_view {
  svdgrad_matrix_t matrix;
  int conjugate_transposed;
  __device__ T at(int64_t b, int64_t i, int64_t j) const {
    return conjugate_transposed ? conj(*element<T>(matrix, b, j, i)) : *element<T>(matrix, b, i, j);
  }
};

template <class T> struct fused_memory {
  int k, pitch;   /* of P, Q, square: columns `pitch` apart */
  int tile_pitch; /* those of the tiles; see tile_pitch() */
  T *P, *Q, *square, *basis, *cotangent;
  real_t<T> *s, *gS, *inverse, *column_sums, *scratch;
  int *outside;
};

/* Known to the compiler where the plan has it. */
template <class Plan, class T> __device__ __forceinline__ int tile_pitch(const fused_memory<T> &f) {
  return Plan::PITCH ? Plan::PITCH : f.tile_pitch;
}

/* What fused_carve takes for matrices of k columns and so many rows on the long side. */
template <class Plan, class T> __host__ __device__ constexpr size_t fused_bytes(int64_t k, int64_t rows) {
  return (size_t)(3 * k * (k | 1) + 2 * Plan::pitch_for(rows) * k) * sizeof(T) +
         (size_t)(4 * k + Plan::SCRATCH) * sizeof(real_t<T>) + (size_t)k * sizeof(int);
}

template <class Plan, class T>
__device__ inline fused_memory<T> fused_carve(unsigned char *memory, int k, int64_t rows) {
  fused_memory<T> f;
  f.k = k;
  f.pitch = k | 1;
  f.tile_pitch = Plan::pitch_for(rows);
  f.P = (T *)memory;
  f.Q = f.P + k * f.pitch;
  f.square = f.Q + k * f.pitch;
  f.basis = f.square + k * f.pitch;
  f.cotangent = f.basis + tile_pitch<Plan>(f) * k;
  f.s = (real_t<T> *)(f.cotangent + tile_pitch<Plan>(f) * k);
  f.gS = f.s + k;
  f.inverse = f.gS + k;
  f.column_sums = f.inverse + k;
  f.scratch = f.column_sums + k;
  f.outside = (int *)(f.scratch + Plan::SCRATCH);
  return f;
}

/* Rows first.. of a side, `count` of them, to tile[column * pitch + row], in the order in which they are in memory. */
template <class Team, class T>
__device__ inline void load_tile(const side_view<T> &side, int64_t b, int64_t first, int count, int k, int pitch,
                                 T *tile) {
  const bool rows_first = side.conjugate_transposed ? side.matrix.col_stride <= side.matrix.row_stride
                                                    : side.matrix.row_stride <= side.matrix.col_stride;
  const unsigned inner = (unsigned)(rows_first ? count : k), elements = (unsigned)(count * k);
  for (unsigned e = Team::rank(); e < elements; e += Team::size()) {
    const unsigned major = e / inner, minor = e - major * inner;
    const int r = (int)(rows_first ? minor : major), c = (int)(rows_first ? major : minor);
    tile[c * pitch + r] = side.at(b, first + r, c);
  }
}

/* The rows and columns of tile `t` of a matrix, spread over the matrix, so that neighbouring threads read and write
 * neighbouring elements.  Beyond the edge is the last row or column again, and nothing of that is stored. */
template <int TILE> struct tile_place {
  int rows, columns, step_i, step_j, first_i, first_j;
  __device__ tile_place(int rows_, int columns_, int t) : rows(rows_), columns(columns_) {
    step_i = (rows + TILE - 1) / TILE;
    step_j = (columns + TILE - 1) / TILE;
    first_j = t / step_i;
    first_i = t - first_j * step_i;
  }
  __device__ int count() const { return step_i * step_j; }
  __device__ int i(int x) const { return min(first_i + x * step_i, rows - 1); }
  __device__ int j(int y) const { return min(first_j + y * step_j, columns - 1); }
  __device__ bool inside(int x, int y) const { return first_i + x * step_i < rows && first_j + y * step_j < columns; }
};

template <class T, int TILE> struct tile_sum {
  T at[TILE][TILE];
  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int x = 0; x < TILE; x++)
#pragma unroll
      for (int y = 0; y < TILE; y++)
        at[x][y] = from_real<T>(0);
  }
  __device__ __forceinline__ void add(const T (&a)[TILE], const T (&b)[TILE]) {
#pragma unroll
    for (int x = 0; x < TILE; x++)
#pragma unroll
      for (int y = 0; y < TILE; y++)
        at[x][y] = fused(at[x][y], a[x], b[y]);
  }
  /* Calls visit(x, y, element) for the elements that are elements of the matrix. */
  template <class Visit> __device__ __forceinline__ void visit(const tile_place<TILE> &place, Visit visit) {
#pragma unroll
    for (int y = 0; y < TILE; y++)
#pragma unroll
      for (int x = 0; x < TILE; x++)
        if (place.inside(x, y))
          visit(x, y, at[x][y]);
  }
};

/* sum += basis^H cotangent over `count` rows. */
template <class T, int TILE>
__device__ __forceinline__ void add_rows(int count, const T *basis, int pitch, const T *cotangent, int cotangent_pitch,
                                         const tile_place<TILE> &place, tile_sum<T, TILE> &sum) {
  const T *u[TILE], *g[TILE];
#pragma unroll
  for (int x = 0; x < TILE; x++) {
    u[x] = basis + place.i(x) * pitch;
    g[x] = cotangent + place.j(x) * cotangent_pitch;
  }
#pragma unroll fused_unroll(TILE)
  for (int r = 0; r < count; r++) {
    T a[TILE], b[TILE];
#pragma unroll
    for (int x = 0; x < TILE; x++) {
      a[x] = conj(u[x][r]);
      b[x] = g[x][r];
    }
    sum.add(a, b);
  }
}

/* Adds the squares of `count` rows of the cotangent to the sums of its columns. */
template <class Plan, class T> __device__ inline void add_squares(const fused_memory<T> &f, int count) {
  for (int j = Plan::rank(); j < f.k; j += Plan::size()) {
    real_t<T> sum = f.column_sums[j];
    for (int r = 0; r < count; r++)
      sum = plus_abs2(sum, f.cotangent[j * tile_pitch<Plan>(f) + r]);
    f.column_sums[j] = sum;
  }
}

template <class Plan> __device__ inline int rows_left(int64_t rows, int64_t first) {
  return rows - first < Plan::ROWS ? (int)(rows - first) : Plan::ROWS;
}

/* product = basis^H cotangent over all rows, and the squared norms of the columns of the cotangent; once over the rows
 * for as many tiles as there are threads.  Of the square side the basis is there already. */
template <class Plan, class T>
__device__ inline void project(const side_view<T> &basis, const side_view<T> &cotangent, int64_t b, int64_t rows,
                               bool is_square, const fused_memory<T> &f, T *product) {
  constexpr int TILE = Plan::TILE;
  const bool given = cotangent.matrix.data != NULL;
  for (int j = Plan::rank(); j < f.k; j += Plan::size())
    f.column_sums[j] = 0;
  const int tiles = tile_place<TILE>(f.k, f.k, 0).count();
  for (int done = 0; done < tiles; done += Plan::size()) {
    const int t = done + Plan::rank();
    const tile_place<TILE> place(f.k, f.k, t);
    tile_sum<T, TILE> sum;
    sum.clear();
    for (int64_t first = 0; first < rows && given; first += Plan::ROWS) {
      const int count = rows_left<Plan>(rows, first);
      const bool are_there = done > 0 && rows <= Plan::ROWS;
      if (!is_square && !are_there)
        load_tile<Plan>(basis, b, first, count, f.k, tile_pitch<Plan>(f), f.basis);
      if (!are_there)
        load_tile<Plan>(cotangent, b, first, count, f.k, tile_pitch<Plan>(f), f.cotangent);
      SYNC_TEAM(Plan);
      if (t < tiles)
        add_rows(count, is_square ? f.square + first : f.basis, is_square ? f.pitch : tile_pitch<Plan>(f), f.cotangent,
                 tile_pitch<Plan>(f), place, sum);
      if (done == 0)
        add_squares<Plan>(f, count);
      SYNC_TEAM(Plan);
    }
    if (t < tiles)
      sum.visit(place, [&](int x, int y, T &element) { product[place.j(y) * f.pitch + place.i(x)] = element; });
  }
  SYNC_TEAM(Plan);
}

/* Adds the norms of the cotangent whose column sums are in f. */
template <class Plan, class T>
__device__ inline void add_norms(const side_view<T> &cotangent, int64_t b, int64_t rows, const fused_memory<T> &f,
                                 real_t<T> *norm, real_t<T> *largest) {
  typedef real_t<T> R;
  R sum = 0, most = 0;
  for (int j = Plan::rank(); j < f.k; j += Plan::size()) {
    sum += f.column_sums[j];
    most = max_of<R>::combine(most, f.column_sums[j]);
  }
  sum = Plan::template reduce<sum_of<R>>(sum, f.scratch);
  most = Plan::template reduce<max_of<R>>(most, f.scratch);
  R size = sqrt(sum), widest = sqrt(most);
  const bool unusual = cotangent.matrix.data && !square_is_normal(sum);
  if (Plan::any(unusual)) {
    const scaled_norms<R> scaled = scaled_norms_of<Plan, T>(
        rows, f.k, [&](int64_t i, int64_t j) { return cotangent.at(b, i, j); }, f.scratch);
    size = unusual ? scaled.norm : size;
    widest = unusual ? scaled.largest : widest;
  }
  *norm += size;
  *largest += widest;
}

/* The singular values, normalized, and the square basis. */
template <class Plan, class T>
__device__ inline int load_values(const fused_args_t &args, const side_view<T> &square, int64_t b,
                                  const fused_memory<T> &f) {
  typedef real_t<T> R;
  const int exponent = gap_exponent(*entry<R>(args.S, b, 0), ANY_EXPONENT);
  for (int j = Plan::rank(); j < f.k; j += Plan::size()) {
    f.s[j] = times_power(*entry<R>(args.S, b, j), -exponent);
    f.gS[j] = args.gS.data ? *entry<R>(args.gS, b, j) : 0;
    f.inverse[j] = 0;
    f.outside[j] = 0;
  }
  load_tile<Plan>(square, b, 0, f.k, f.k, f.pitch, f.square);
  SYNC_TEAM(Plan);
  return exponent;
}

/* left = basis M + (cotangent - basis P) D for the tiles in f, over the cotangent, D times `rest` in place of D; without
 * `OUTSIDE` only the first term.  Notes the columns with something outside the span. */
template <class Plan, bool OUTSIDE, class T>
__device__ inline void form_left(int count, const fused_memory<T> &f, const T *M, real_t<T> rest) {
  constexpr int TILE = Plan::TILE;
  const int tiles = tile_place<TILE>(count, f.k, 0).count();
  for (int t = Plan::rank(); t < tiles; t += Plan::size()) {
    const tile_place<TILE> place(count, f.k, t);
    tile_sum<T, TILE> inside, outside;
    inside.clear();
    outside.clear();
    T *const left = f.cotangent;
    if (OUTSIDE)
      outside.visit(place, [&](int x, int y, T &sum) { sum = left[place.j(y) * tile_pitch<Plan>(f) + place.i(x)]; });
#pragma unroll fused_unroll(TILE)
    for (int i = 0; i < f.k; i++) {
      T u[TILE], minus_u[TILE], m[TILE], p[TILE];
#pragma unroll
      for (int x = 0; x < TILE; x++) {
        u[x] = f.basis[i * tile_pitch<Plan>(f) + place.i(x)];
        minus_u[x] = -u[x];
        m[x] = M[place.j(x) * f.pitch + i];
        if (OUTSIDE)
          p[x] = f.P[place.j(x) * f.pitch + i];
      }
      inside.add(u, m);
      if (OUTSIDE)
        outside.add(minus_u, p);
    }
    inside.visit(place, [&](int x, int y, T &sum) {
      const int c = place.j(y);
      const T more = outside.at[x][y];
      if (OUTSIDE && (re(more) != 0 || im(more) != 0))
        atomicOr(&f.outside[c], 1);
      left[c * tile_pitch<Plan>(f) + place.i(x)] = OUTSIDE ? sum + rest * (f.inverse[c] * more) : sum;
    });
  }
}

/* The tile of the basis becomes left square^H. */
template <class Plan, class T> __device__ inline void form_gradient(int count, const fused_memory<T> &f) {
  constexpr int TILE = Plan::TILE;
  const int tiles = tile_place<TILE>(count, f.k, 0).count();
  for (int t = Plan::rank(); t < tiles; t += Plan::size()) {
    const tile_place<TILE> place(count, f.k, t);
    tile_sum<T, TILE> sum;
    sum.clear();
#pragma unroll fused_unroll(TILE)
    for (int i = 0; i < f.k; i++) {
      T left[TILE], v[TILE];
#pragma unroll
      for (int x = 0; x < TILE; x++) {
        left[x] = f.cotangent[i * tile_pitch<Plan>(f) + place.i(x)];
        v[x] = conj(f.square[i * f.pitch + place.j(x)]);
      }
      sum.add(left, v);
    }
    sum.visit(place,
              [&](int x, int y, T &element) { f.basis[place.j(y) * tile_pitch<Plan>(f) + place.i(x)] = element; });
  }
}

/* gA(first.., :) = alpha gradient + beta gA, or its conjugate transpose, in the order in which gA is in memory. */
template <class Plan, class T>
__device__ inline void store_rows(const fused_args_t &args, int64_t b, int64_t first, int count,
                                  const fused_memory<T> &f) {
  typedef real_t<T> R;
  const bool wide = args.m < args.n;
  const bool rows_first = wide ? args.gA.col_stride <= args.gA.row_stride : args.gA.row_stride <= args.gA.col_stride;
  const unsigned inner = (unsigned)(rows_first ? count : f.k), elements = (unsigned)(count * f.k);
  for (unsigned e = Plan::rank(); e < elements; e += Plan::size()) {
    const unsigned major = e / inner, minor = e - major * inner;
    const int r = (int)(rows_first ? minor : major), c = (int)(rows_first ? major : minor);
    const T sum = f.basis[c * tile_pitch<Plan>(f) + r];
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

/* A cotangent of the long side that is not given counts as zeros, and so do the parts outside: under EXACT they are
 * divided by singular values that are zero, too. */
template <class Plan, class T>
__device__ inline void divide_absent(const fused_args_t &args, const fused_sides<T> &sides, int64_t rows,
                                     const fused_memory<T> &f) {
  if (args.gap_policy != SVDGRAD_GAP_EXACT || rows == f.k || sides.cotangent.matrix.data)
    return;
  for (int e = Plan::rank(); e < f.k * f.k; e += Plan::size())
    if (isinf(f.inverse[e / f.k]))
      f.Q[e / f.k * f.pitch + e % f.k] = not_a_number<T>();
}

/* P, Q, then M over Q, and the factors before what lies outside; returns the policy with this thread's tally. */
template <class Plan, class T>
__device__ inline gap_policy<real_t<T>> form_core(const fused_args_t &args, const fused_sides<T> &sides, int64_t b,
                                                  int64_t rows, int exponent, const fused_memory<T> &f) {
  typedef real_t<T> R;
  R norm = 0, largest = 0;
  project<Plan>(sides.square, sides.square_cotangent, b, f.k, true, f, f.Q);
  add_norms<Plan>(sides.square_cotangent, b, f.k, f, &norm, &largest);
  project<Plan>(sides.basis, sides.cotangent, b, rows, false, f, f.P);
  add_norms<Plan>(sides.cotangent, b, rows, f, &norm, &largest);
  gap_policy<R> policy =
      gap_policy_make(args.gap_policy, (R)args.gap_param, limits<R>::epsilon(), f.s[0], norm, largest);
  const power_of_two<R> scale = make_power<R>(-exponent);
  tally_phases<Plan>(f.k, f.pitch, f.P, f.Q, norm, &policy);
  SYNC_TEAM(Plan);
  form_M<Plan>(f.k, f.pitch, f.P, f.Q, f.s, f.gS, scale, &policy, f.Q);
  for (int j = Plan::rank(); j < f.k; j += Plan::size()) {
    gap_policy<R> untallied = policy;
    f.inverse[j] = scale.first * gap_outside(&untallied, f.s[j], (R)1);
  }
  SYNC_TEAM(Plan);
  divide_absent<Plan>(args, sides, rows, f);
  return policy;
}

template <class Plan, class T>
__device__ inline void store_report(const fused_args_t &args, int64_t b, bool wanted, int exponent, int has_outside,
                                    gap_policy<real_t<T>> policy, const fused_memory<T> &f) {
  for (int j = Plan::rank(); j < f.k && has_outside; j += Plan::size())
    (void)gap_outside(&policy, f.s[j], (real_t<T>)f.outside[j]);
  policy = gap_combine(policy, f.scratch, Plan());
  if (Plan::rank() == 0 && wanted)
    args.report[b] = gap_report(&policy, exponent);
}

/* The second pass: gA, rows after rows.  Where these are few, the first pass has left them in shared memory. */
template <class Plan, class T>
__device__ inline void assemble_rows(const fused_args_t &args, const fused_sides<T> &sides, int64_t b, bool wanted,
                                     int64_t rows, int has_outside, real_t<T> rest, const fused_memory<T> &f) {
  const bool are_there = rows <= Plan::ROWS && sides.cotangent.matrix.data;
  for (int64_t first = 0; first < rows; first += Plan::ROWS) {
    const int count = rows_left<Plan>(rows, first);
    if (!are_there) {
      load_tile<Plan>(sides.basis, b, first, count, f.k, tile_pitch<Plan>(f), f.basis);
      if (has_outside)
        load_tile<Plan>(sides.cotangent, b, first, count, f.k, tile_pitch<Plan>(f), f.cotangent);
    }
    SYNC_TEAM(Plan);
    if (has_outside)
      form_left<Plan, true>(count, f, f.Q, rest);
    else
      form_left<Plan, false>(count, f, f.Q, rest);
    SYNC_TEAM(Plan);
    form_gradient<Plan>(count, f);
    SYNC_TEAM(Plan);
    if (wanted)
      store_rows<Plan>(args, b, first, count, f);
    SYNC_TEAM(Plan);
  }
}

/* Matrix b by the team.  Of a team that only goes along, `wanted` is false: nothing is stored. */
template <class Plan, class T>
__device__ inline void backward_by_team(const fused_args_t &args, int64_t b, bool wanted, const fused_memory<T> &f) {
  typedef real_t<T> R;
  const int64_t rows = args.m >= args.n ? args.m : args.n;
  const fused_sides<T> sides = sides_of<T>(args);
  const int has_outside = rows > args.k && sides.cotangent.matrix.data != NULL;
  const int exponent = load_values<Plan>(args, sides.square, b, f);
  const R rest = make_power<R>(-exponent).second; /* of D, which has the first */
  gap_policy<R> policy = gap_policy_make(args.gap_policy, (R)0, (R)0, (R)0, (R)0, (R)0);
  if (args.gU.data || args.gVh.data)
    policy = form_core<Plan>(args, sides, b, rows, exponent, f);
  else
    for (int e = Plan::rank(); e < f.k * f.k; e += Plan::size())
      f.Q[e / f.k * f.pitch + e % f.k] = from_real<T>(e % f.k == e / f.k ? f.gS[e % f.k] : 0);
  assemble_rows<Plan>(args, sides, b, wanted, rows, has_outside, rest, f);
  if (args.report)
    store_report<Plan>(args, b, wanted, exponent, has_outside, policy, f);
  SYNC_TEAM(Plan);
}

template <class T, int TILE> __global__ void backward_fused_kernel(fused_args_t args) {
  SIMT_DYN_SHARED(unsigned char, memory);
  typedef fused_block<T, TILE> plan;
  const fused_memory<T> f = fused_carve<plan, T>(memory, (int)args.k, args.m >= args.n ? args.m : args.n);
  for (int64_t b = blockIdx.x; b < args.batch_count; b += gridDim.x)
    backward_by_team<plan>(args, b, true, f);
}
