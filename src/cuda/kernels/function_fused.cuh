/* SPDX-License-Identifier: BSD-3-Clause */
/* A function of the SVD of a small matrix, Y = U f(S) Vh or V f(S) Vh, and its backward pass (svdgrad.h), in one kernel
 * by one team per matrix (team.cuh): a group of lanes, or a block.  The steps are those of the program
 * src/functions/matrix_function.c, and every sum is in its order, so that the bits are, too; but nothing between the
 * caller's operands and the result leaves the chip. */
#pragma once
#include "backward_fused.cuh"
#include "form_functions.cuh"
#include "gemm.cuh"
#include "grid.cuh"

enum { FUNCTION_ROWS = 32 }; /* most rows and columns */

/* A matrix in shared memory, or its conjugate transpose. */
template <class T> struct chip_matrix {
  T *data;
  int rows, columns, row_stride, column_stride;
  bool conjugate;
  __device__ T &at(int i, int j) const { return data[i * row_stride + j * column_stride]; }
  __device__ T read(int i, int j) const {
    const T x = at(i, j);
    return conjugate ? conj(x) : x;
  }
  __device__ chip_matrix hermitian() const { return {data, columns, rows, column_stride, row_stride, !conjugate}; }
};

/* C = alpha A B + beta C as gemm.cuh has it, in tiles of 2-by-2. */
template <class Team, class T>
__device__ inline void multiply_on_chip(real_t<T> alpha, const chip_matrix<T> &A, const chip_matrix<T> &B, int beta,
                                        const chip_matrix<T> &C) {
  constexpr int TILE = 2;
  const int tiles = tile_place<TILE>(C.rows, C.columns, 0).count();
  for (int t = Team::rank(); t < tiles; t += Team::size()) {
    const tile_place<TILE> place(C.rows, C.columns, t);
    tile_sum<T, TILE> sum;
    sum.clear();
    T a[TILE], b[TILE];
#pragma unroll 2
    for (int l = 0; l < A.columns; l++) {
#pragma unroll
      for (int x = 0; x < TILE; x++) {
        a[x] = A.read(place.i(x), l);
        b[x] = B.read(l, place.j(x));
      }
      sum.add(a, b);
    }
    if (A.columns % GEMM_DEPTH != 0) { /* what a slice that is not full does to a negative zero */
      a[0] = a[1] = b[0] = b[1] = from_real<T>(0);
      sum.add(a, b);
    }
    sum.visit(place, [&](int x, int y, T &element) {
      T &c = C.at(place.i(x), place.j(y));
      const T product = alpha * element;
      c = beta == 0 ? product : product + (real_t<T>)beta * c;
    });
  }
}

/* One after the other in shared memory: the same places for every matrix of a call. */
struct chip_sizes {
  int m, n, k, rows; /* rows of X: of the side that may reach beyond its span */
  int square;        /* V f(S) Vh */
  static __host__ __device__ constexpr int pitch(int rows) { return rows | 1; }
  __host__ __device__ constexpr int larger() const { return m > n ? m : n; }
};
static inline __host__ __device__ chip_sizes chip_sizes_of(const function_args_t &args) {
  const int m = (int)args.m, n = (int)args.n, square = args.form.form.function.form != SVDGRAD_FORM_UVH;
  return {m, n, (int)args.k, square || m < n ? n : m, square};
}

template <class Team, class T> struct chip_memory {
  typedef real_t<T> R;
  chip_matrix<T> U, V, X, P, G; /* P, later M; G, later the result */
  R *s, *f, *kept, *df, *factor, *scratch;

  static __host__ __device__ size_t bytes(const chip_sizes &of) {
    const size_t elements = (size_t)(of.pitch(of.m) + of.pitch(of.n) + of.pitch(of.rows) + of.pitch(of.k)) * of.k +
                            (size_t)of.pitch(of.larger()) * of.n;
    return (elements * sizeof(T) + (size_t)(5 * of.k + Team::SCRATCH) * sizeof(R) + 15) / 16 * 16;
  }
  static __device__ chip_matrix<T> carve(T **memory, int rows, int columns) {
    const chip_matrix<T> matrix = {*memory, rows, columns, 1, chip_sizes::pitch(rows), false};
    *memory += chip_sizes::pitch(rows) * columns;
    return matrix;
  }
  __device__ chip_memory(unsigned char *memory, const chip_sizes &of) {
    T *at = (T *)memory;
    U = carve(&at, of.m, of.k);
    V = carve(&at, of.n, of.k);
    X = carve(&at, of.rows, of.k);
    P = carve(&at, of.k, of.k);
    G = carve(&at, of.larger(), of.n);
    s = (R *)at;
    f = s + of.k;
    kept = f + of.k;
    df = kept + of.k;
    factor = df + of.k;
    scratch = factor + of.k;
  }
};

/* Zeros where the operand is absent: U of V f(S) Vh. */
template <class Team, class T>
__device__ inline void load_on_chip(const side_view<T> &side, int64_t b, const chip_matrix<T> &to) {
  if (side.matrix.data)
    load_tile<Team>(side, b, 0, to.rows, to.columns, to.column_stride, to.data);
  for (int e = Team::rank(); e < to.rows * to.columns && !side.matrix.data; e += Team::size())
    to.at(e % to.rows, e / to.rows) = from_real<T>(0);
}

/* The factors, and the singular values normalized; returns what the forms have in common. */
template <class Team, class T>
__device__ inline form_scene<real_t<T>> load_factors(const function_args_t &args, int64_t b,
                                                     const chip_memory<Team, T> &on) {
  typedef real_t<T> R;
  const int k = (int)args.k, exponent = gap_exponent(*entry<R>(args.S, b, 0), ANY_EXPONENT);
  const bool custom = args.form.form.function.kind == SVDGRAD_FUNCTION_CUSTOM;
  for (int j = Team::rank(); j < k; j += Team::size()) {
    on.s[j] = times_power(*entry<R>(args.S, b, j), -exponent);
    on.f[j] = custom ? *entry<R>(args.f, b, j) : 0;
    on.df[j] = custom && args.df.data ? *entry<R>(args.df, b, j) : 0;
  }
  load_on_chip<Team, T>({args.U, 0}, b, on.U);
  load_on_chip<Team, T>({args.Vh, 1}, b, on.V);
  SYNC_TEAM(Team);
  return form_scene_of(args.form, b, 0, 1, k, (const R *)on.s, exponent);
}

/* The result, which is in G, to the caller, in the order of its memory. */
template <class Team, class T>
__device__ inline void store_result(const svdgrad_matrix_t &to, int64_t b, double alpha, double beta,
                                    const chip_matrix<T> &result) {
  typedef real_t<T> R;
  const bool rows_first = to.row_stride <= to.col_stride;
  const unsigned inner = (unsigned)(rows_first ? result.rows : result.columns);
  const unsigned elements = (unsigned)(result.rows * result.columns);
  for (unsigned e = Team::rank(); e < elements; e += Team::size()) {
    const unsigned major = e / inner, minor = e - major * inner;
    const int i = (int)(rows_first ? minor : major), j = (int)(rows_first ? major : minor);
    const T scaled = (R)alpha * result.at(i, j);
    T *y = element<T>(to, b, i, j);
    *y = beta == 0 ? scaled : scaled + (R)beta * *y;
  }
}

template <class Team, class T>
__device__ inline void function_by_team(const function_args_t &args, int64_t b, bool wanted,
                                        const chip_memory<Team, T> &on) {
  typedef real_t<T> R;
  const function_form_t &form = args.form.form.function;
  const form_scene<R> scene = load_factors(args, b, on);
  const function_rule<R> rule = rule_of(args.form, form, scene);
  const R scale = value_scale(args.form, form, scene);
  const chip_matrix<T> left = form.form == SVDGRAD_FORM_UVH ? on.U : on.V;
  const chip_matrix<T> scaled = {on.X.data, left.rows, left.columns, 1, left.column_stride, false};
  const chip_matrix<T> Y = {on.G.data, left.rows, on.V.rows, 1, on.G.column_stride, false};
  for (int j = Team::rank(); j < left.columns; j += Team::size())
    on.factor[j] = evaluate(form, rule, scene, j, on.f[j]).f * scale - (R)form.null_value;
  SYNC_TEAM(Team);
  for (int e = Team::rank(); e < left.rows * left.columns; e += Team::size())
    scaled.at(e % left.rows, e / left.rows) = on.factor[e / left.rows] * left.at(e % left.rows, e / left.rows);
  SYNC_TEAM(Team);
  multiply_on_chip<Team, T>(1, scaled, on.V.hermitian(), 0, Y);
  SYNC_TEAM(Team);
  if (form.null_value != 0) {
    for (int i = Team::rank(); i < Y.rows; i += Team::size())
      Y.at(i, i) = Y.at(i, i) + from_real<T>((R)form.null_value);
    SYNC_TEAM(Team);
  }
  if (wanted)
    store_result<Team, T>(args.Y, b, 1, 0, Y);
  SYNC_TEAM(Team);
}

/* X = G V and P = U^H X, or what takes their place (matrix_function.c); and what pairs need of every value. */
template <class Team, class T>
__device__ inline void project_on_chip(const function_args_t &args, const form_scene<real_t<T>> &scene,
                                       const function_rule<real_t<T>> &rule, const chip_memory<Team, T> &on) {
  typedef real_t<T> R;
  const function_form_t &form = args.form.form.function;
  const chip_sizes of = chip_sizes_of(args);
  const chip_matrix<T> G = {on.G.data, of.square ? of.n : of.m, of.n, 1, on.G.column_stride, false};
  if (of.square) {
    multiply_on_chip<Team, T>((R)0.5, G, on.V, 0, on.X);
    multiply_on_chip<Team, T>((R)0.5, G.hermitian(), on.V, 1, on.X); /* a thread has the same elements again */
  } else if (of.m >= of.n)
    multiply_on_chip<Team, T>(1, G, on.V, 0, on.X);
  else
    multiply_on_chip<Team, T>(1, G.hermitian(), on.U, 0, on.X);
  for (int j = Team::rank(); j < of.k; j += Team::size()) {
    const function_point_of<R> point = evaluate(form, rule, scene, j, on.f[j]);
    on.f[j] = point.f;
    on.kept[j] = (R)point.kept;
  }
  SYNC_TEAM(Team);
  if (of.square || of.m >= of.n)
    multiply_on_chip<Team, T>(1, (of.square ? on.V : on.U).hermitian(), on.X, 0, on.P);
  else
    multiply_on_chip<Team, T>(1, on.X.hermitian(), on.V, 0, on.P);
}

/* P becomes M. */
template <class Team, class T>
__device__ inline void pairs_on_chip(const function_form_t &form, const function_rule<real_t<T>> &rule,
                                     const function_points<real_t<T>> &points, const moving_share<real_t<T>> &moving,
                                     power_of_two<real_t<T>> scale, form_scene<real_t<T>> *scene,
                                     const chip_memory<Team, T> &on) {
  const int k = (int)scene->k;
  for (int e = Team::rank(); e < k * (k + 1) / 2; e += Team::size()) {
    int64_t i, j;
    pair_of(e, &i, &j);
    T &ij = on.P.at((int)i, (int)j), &ji = on.P.at((int)j, (int)i);
    const entry_pair<T> m = function_pair(form, rule, points, moving, ij, ji, i, j, scale, &scene->policy);
    ij = m.ij;
    if (i != j)
      ji = m.ji;
  }
}

template <class Team, class T>
__device__ inline void function_backward_by_team(const function_args_t &args, int64_t b, bool wanted,
                                                 const chip_memory<Team, T> &on) {
  typedef real_t<T> R;
  const function_form_t &form = args.form.form.function;
  const chip_sizes of = chip_sizes_of(args);
  const bool tall = !of.square && of.m >= of.n;
  const chip_matrix<T> basis = tall ? on.U : on.V;
  const chip_matrix<T> inside = tall ? on.P : on.P.hermitian(); /* P, later M */
  load_on_chip<Team, T>({args.Y, 0}, b, {on.G.data, of.square ? of.n : of.m, of.n, 1, on.G.column_stride, false});
  form_scene<R> scene = load_factors(args, b, on);
  const function_rule<R> rule = rule_of(args.form, form, scene);
  const power_of_two<R> scale = pair_scale(args.form, form, scene);
  const function_points<R> points = {scene.s, on.f, on.kept, form.kind == SVDGRAD_FUNCTION_CUSTOM ? on.df : nullptr,
                                     scene.exponent};
  project_on_chip(args, scene, rule, on);
  for (int j = Team::rank(); j < of.k && form.outside; j += Team::size())
    on.factor[j] = factor_at(args.form, form, rule, points, &scene, j, scale);
  SYNC_TEAM(Team);
  const moving_share<R> moving =
      find_moving(rule, points, scene, [&](int64_t i) { return re(on.P.at((int)i, (int)i)); });
  if (form.outside) {
    multiply_on_chip<Team, T>((R)-1, basis, inside, 1, on.X);
    SYNC_TEAM(Team);
    const R step = factor_step(form, scene, scale);
    for (int e = Team::rank(); e < of.rows * of.k; e += Team::size()) {
      T &x = on.X.at(e % of.rows, e / of.rows);
      x = step * (on.factor[e / of.rows] * x);
    }
  }
  SYNC_TEAM(Team);
  pairs_on_chip(form, rule, points, moving, scale, &scene, on);
  SYNC_TEAM(Team);
  multiply_on_chip<Team, T>(1, basis, inside, form.outside, on.X);
  SYNC_TEAM(Team);
  const chip_matrix<T> gA = {on.G.data, of.m, of.n, 1, on.G.column_stride, false};
  multiply_on_chip<Team, T>(1, tall ? on.X : on.U, (tall ? on.V : on.X).hermitian(), 0, gA);
  SYNC_TEAM(Team);
  if (wanted)
    store_result<Team, T>(args.gA, b, args.alpha, args.beta, gA);
  if (args.report) {
    const gap_policy<R> policy = gap_combine(scene.policy, on.scratch, Team());
    if (wanted && Team::rank() == 0)
      args.report[b] = gap_report(&policy, scene.exponent);
  }
  SYNC_TEAM(Team);
}

/* Calls by(b, wanted, memory) for every matrix. */
template <class Team, int GROUP, class T, class By>
__device__ inline void for_each_on_chip(const function_args_t &args, unsigned char *memory, By by) {
  const chip_sizes of = chip_sizes_of(args);
  const int matrices = Team::IS_BLOCK ? 1 : WARP / GROUP, group = Team::IS_BLOCK ? 0 : lane_index() / GROUP;
  const chip_memory<Team, T> on(memory + group * chip_memory<Team, T>::bytes(of), of);
  for (int64_t first = (int64_t)blockIdx.x * matrices; first < args.form.batch_count;
       first += (int64_t)gridDim.x * matrices) {
    const int64_t b = first + group;
    const bool wanted = b < args.form.batch_count;
    by(wanted ? b : first, wanted, on);
  }
}

template <class T, class Team, int GROUP> __global__ void function_kernel(function_args_t args) {
  SIMT_DYN_SHARED(unsigned char, memory);
  for_each_on_chip<Team, GROUP, T>(args, memory, [&](int64_t b, bool wanted, const chip_memory<Team, T> &on) {
    function_by_team(args, b, wanted, on);
  });
}

template <class T, class Team, int GROUP> __global__ void function_backward_kernel(function_args_t args) {
  SIMT_DYN_SHARED(unsigned char, memory);
  for_each_on_chip<Team, GROUP, T>(args, memory, [&](int64_t b, bool wanted, const chip_memory<Team, T> &on) {
    function_backward_by_team(args, b, wanted, on);
  });
}

/* A lane for every tile of a product up to 8 rows, beyond that a block. */
template <class T, class Launch> cudaError_t choose_function_team(const function_args_t *args, Launch launch) {
  const chip_sizes of = chip_sizes_of(*args);
  const int64_t batch = args->form.batch_count;
  if (of.larger() <= 4)
    return launch(group_team<4>(), launch_size<4>(), grid_of((batch + 7) / 8), dim3(WARP),
                  8 * chip_memory<group_team<4>, T>::bytes(of));
  if (of.larger() <= 8)
    return launch(group_team<16>(), launch_size<16>(), grid_of((batch + 1) / 2), dim3(WARP),
                  2 * chip_memory<group_team<16>, T>::bytes(of));
  return launch(block_team(), launch_size<WARP>(), grid_of(batch), dim3(threads_for((int64_t)of.m * of.n / 4)),
                chip_memory<block_team, T>::bytes(of));
}

template <class T> size_t function_shared_bytes(const function_args_t *args) {
  return chip_memory<block_team, T>::bytes(chip_sizes_of(*args));
}

template <class T> cudaError_t function_launch(const function_args_t *args, cudaStream_t stream) {
  return choose_function_team<T>(args, [&](auto team, auto group, dim3 grid, dim3 block, size_t bytes) {
    return SIMT_LAUNCH((function_kernel<T, decltype(team), decltype(group)::value>), grid, block, bytes, stream, *args);
  });
}

template <class T> cudaError_t function_backward_launch(const function_args_t *args, cudaStream_t stream) {
  return choose_function_team<T>(args, [&](auto team, auto group, dim3 grid, dim3 block, size_t bytes) {
    return SIMT_LAUNCH((function_backward_kernel<T, decltype(team), decltype(group)::value>), grid, block, bytes,
                       stream, *args);
  });
}
