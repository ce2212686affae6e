/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_backward.h"

#include "tall_svd.h"

enum { REST_SWEEPS = 24 };

/* The arrays of the steps (launch.h). */
typedef struct backward {
  const cuda_kernels_t *kernels;
  cudaStream_t stream;
  steps_args_t a;
  void *extra_product; /* further columns: g2^H B1 */
  tall_svd_t rest;     /* of the discarded part */
  cudaError_t error;   /* the first one; nothing is launched after it */
} backward_t;

static void backward_take(backward_t *w, batch_layout_t *layout, const cuda_state_t *state, const problem_t *p) {
  const size_t T = cuda_kernels_of(p->dtype)->element_size, R = cuda_kernels_of(p->dtype)->real_size;
  const int64_t m = p->m, n = p->n, k = p->k, extra_u = p->u_cols - k, extra_v = p->vh_rows - k;
  steps_args_t *a = &w->a;
  *w = (backward_t){.kernels = cuda_kernels_of(p->dtype)};
  a->batch_count = p->batch_count;
  a->m = m, a->n = n, a->mn = p->mn, a->k = k, a->u_cols = p->u_cols, a->v_cols = p->vh_rows;
  a->truncated = k < p->mn;
  a->U = layout_take(layout, m * p->u_cols, T);
  a->V = layout_take(layout, n * p->vh_rows, T);
  a->gU = layout_take(layout, m * p->u_cols, T);
  a->gV = layout_take(layout, n * p->vh_rows, T);
  a->s = layout_take(layout, k, R);
  a->gS = layout_take(layout, k, R);
  a->exponent = layout_take(layout, 1, sizeof(int32_t));
  a->P = layout_take(layout, k * k, T);
  a->Q = layout_take(layout, k * k, T);
  a->M = layout_take(layout, k * k, T);
  a->inverse = layout_take(layout, k, R);
  a->left = layout_take(layout, m * k, T);
  a->gA = layout_take(layout, m * n, T);
  if (p->full_matrices) {
    a->extra_U = layout_take(layout, extra_u * extra_u, T);
    a->extra_V = layout_take(layout, extra_v * extra_v, T);
    w->extra_product = layout_take(layout, (extra_u > extra_v ? extra_u : extra_v) * k, T);
  }
  if (k < m)
    a->outside_U = layout_take(layout, m * k, T);
  if (k < n)
    a->outside_V = layout_take(layout, n * k, T);
  if (a->truncated) {
    a->rest = layout_take(layout, m * n, T);
    const int64_t rows = m < n ? n : m;
    w->rest = (tall_svd_t){.kernels = w->kernels,
                           .solver = cuda_choose_solver(state, p->dtype, p->mn),
                           .rows = rows,
                           .columns = p->mn,
                           .wanted = p->mn,
                           .vectors = 1,
                           .A = a->rest};
    tall_svd_take(&w->rest, layout);
    a->rest_S = w->rest.S;
    a->rest_failed = w->rest.failed;
    a->p = layout_take(layout, p->mn * k, T);
    a->q = layout_take(layout, p->mn * k, T);
    a->x = layout_take(layout, p->mn * k, T);
    a->y = layout_take(layout, p->mn * k, T);
  }
}

size_t cuda_backward_workspace(const cuda_state_t *state, const problem_t *p) {
  backward_t w;
  batch_layout_t layout = {NULL, p->batch_count, 0, 0, 0};
  if (cuda_choose(state, SVDGRAD_OP_SVD_BACKWARD, p) != CUDA_BACKWARD_STEPS)
    return 0;
  backward_take(&w, &layout, state, p);
  return layout_bytes(&layout);
}

/* A packed matrix of the batch, from a column of each on: rows-by-(columns of the array). */
typedef struct packed {
  void *data;
  int64_t rows, columns; /* of the array: leading dimension and stride */
  int64_t first;         /* column */
} packed_t;

static packed_t all_of(void *data, int64_t rows, int64_t columns) { return (packed_t){data, rows, columns, 0}; }

static void *start_of(const backward_t *w, packed_t x) {
  return (char *)x.data + (size_t)(x.first * x.rows) * w->kernels->element_size;
}

/* C = alpha op(A) op(B) + beta C, op(A) m-by-k. */
static void multiply(backward_t *w, int64_t m, int64_t n, int64_t k, double alpha, cuda_operation_t op_a, packed_t A,
                     cuda_operation_t op_b, packed_t B, double beta, packed_t C) {
  const gemm_args_t args = {.batch_count = w->a.batch_count,
                            .m = m,
                            .n = n,
                            .k = k,
                            .op_a = op_a,
                            .op_b = op_b,
                            .alpha = alpha,
                            .beta = beta,
                            .A = start_of(w, A),
                            .B = start_of(w, B),
                            .C = start_of(w, C),
                            .lda = A.rows,
                            .ldb = B.rows,
                            .ldc = C.rows,
                            .stride_a = A.rows * A.columns,
                            .stride_b = B.rows * B.columns,
                            .stride_c = C.rows * C.columns};
  if (!w->error && m > 0 && n > 0)
    w->error = w->kernels->gemm(&args, w->stream);
}

static void clear(backward_t *w, void *data, int64_t count) {
  if (!w->error && data)
    w->error = cudaMemsetAsync(data, 0, (size_t)(w->a.batch_count * count) * w->kernels->element_size, w->stream);
}

static void step(backward_t *w, cudaError_t (*launch)(const steps_args_t *, cudaStream_t)) {
  if (!w->error)
    w->error = launch(&w->a, w->stream);
}

/* One side: basis rows-by-columns, projection = B1^H g1, outside = g1 - B1 projection - B2 (g2^H B1), extra = B2^H g2,
 * where B2 are the further columns of full_matrices; all zero without a cotangent. */
static void split_side(backward_t *w, int64_t rows, int64_t columns, void *basis, void *g, void *projection,
                       void *outside, void *extra) {
  const int64_t k = w->a.k, further = columns - k;
  const packed_t B = all_of(basis, rows, columns), G = all_of(g, rows, columns), P = all_of(projection, k, k);
  const packed_t B2 = {basis, rows, columns, k}, G2 = {g, rows, columns, k};
  const packed_t O = all_of(outside, rows, k), E = all_of(extra, further, further),
                 F = all_of(w->extra_product, further, k);
  if (!g) {
    clear(w, projection, k * k);
    clear(w, outside, rows * k);
    clear(w, extra, further * further);
    return;
  }
  multiply(w, k, k, rows, 1, CUDA_HERMITIAN, B, CUDA_PLAIN, G, 0, P);
  if (!outside)
    return;
  multiply(w, rows, k, k, -1, CUDA_PLAIN, B, CUDA_PLAIN, P, 1, O); /* loaded with g1 */
  if (further > 0) {
    multiply(w, further, k, rows, 1, CUDA_HERMITIAN, G2, CUDA_PLAIN, B, 0, F);
    multiply(w, rows, k, further, -1, CUDA_PLAIN, B2, CUDA_PLAIN, F, 1, O);
    multiply(w, further, further, rows, 1, CUDA_HERMITIAN, B2, CUDA_PLAIN, G2, 0, E);
  }
}

/* SVD of the discarded part, and the cotangents outside the spans in its singular bases. */
static void factorize_rest(backward_t *w) {
  const steps_args_t *a = &w->a;
  const int64_t rows = a->m < a->n ? a->n : a->m, mn = a->mn, k = a->k;
  const packed_t short_basis = a->m < a->n ? all_of(a->U, a->m, k) : all_of(a->V, a->n, k);
  multiply(w, rows, mn, k, -1, CUDA_PLAIN, all_of(a->gA, rows, mn), CUDA_HERMITIAN, short_basis, 1,
           all_of(a->rest, rows, mn));
  if (!w->error)
    w->error = tall_svd_run(&w->rest, a->batch_count, REST_SWEEPS, w->stream);
}

/* outside <- basis x + (outside - basis p) / s on both sides. */
static void solve_truncated(backward_t *w) {
  const steps_args_t *a = &w->a;
  const int64_t mn = a->mn, k = a->k;
  const int wide = a->m < a->n;
  const packed_t U2 = all_of(wide ? w->rest.Y : w->rest.X, a->m, mn),
                 V2 = all_of(wide ? w->rest.X : w->rest.Y, a->n, mn);
  const packed_t O_U = all_of(a->outside_U, a->m, k), O_V = all_of(a->outside_V, a->n, k);
  const packed_t p = all_of(a->p, mn, k), q = all_of(a->q, mn, k), x = all_of(a->x, mn, k), y = all_of(a->y, mn, k);
  factorize_rest(w);
  multiply(w, mn, k, a->m, 1, CUDA_HERMITIAN, U2, CUDA_PLAIN, O_U, 0, p);
  multiply(w, mn, k, a->n, 1, CUDA_HERMITIAN, V2, CUDA_PLAIN, O_V, 0, q);
  step(w, w->kernels->backward_form);
  multiply(w, a->m, k, mn, -1, CUDA_PLAIN, U2, CUDA_PLAIN, p, 1, O_U);
  multiply(w, a->n, k, mn, -1, CUDA_PLAIN, V2, CUDA_PLAIN, q, 1, O_V);
  step(w, w->kernels->backward_scale);
  multiply(w, a->m, k, mn, 1, CUDA_PLAIN, U2, CUDA_PLAIN, x, 1, O_U);
  multiply(w, a->n, k, mn, 1, CUDA_PLAIN, V2, CUDA_PLAIN, y, 1, O_V);
}

/* gA = U M Vh + X_ Vh + U Y_^H, with two products where one of X_ and Y_ is absent. */
static void assemble(backward_t *w) {
  const steps_args_t *a = &w->a;
  const int64_t m = a->m, n = a->n, k = a->k;
  const packed_t U = all_of(a->U, m, a->u_cols), V = all_of(a->V, n, a->v_cols), M = all_of(a->M, k, k);
  const packed_t X_ = all_of(a->outside_U, m, k), Y_ = all_of(a->outside_V, n, k), gA = all_of(a->gA, m, n);
  if (a->outside_U || !a->outside_V) {
    const packed_t left = a->outside_U ? X_ : all_of(a->left, m, k);
    multiply(w, m, k, k, 1, CUDA_PLAIN, U, CUDA_PLAIN, M, a->outside_U ? 1 : 0, left);
    multiply(w, m, n, k, 1, CUDA_PLAIN, left, CUDA_HERMITIAN, V, 0, gA);
    if (a->outside_V)
      multiply(w, m, n, k, 1, CUDA_PLAIN, U, CUDA_HERMITIAN, Y_, 1, gA);
  } else {
    multiply(w, n, k, k, 1, CUDA_PLAIN, V, CUDA_HERMITIAN, M, 1, Y_);
    multiply(w, m, n, k, 1, CUDA_PLAIN, U, CUDA_HERMITIAN, Y_, 0, gA);
  }
}

static void fill_call(backward_t *w, const svd_backward_call_t *call) {
  steps_args_t *a = &w->a;
  a->A = call->A, a->U_in = call->U, a->Vh_in = call->Vh, a->gU_in = call->gU, a->gVh_in = call->gVh;
  a->gA_out = call->gA, a->S_in = call->S, a->gS_in = call->gS;
  a->alpha = call->alpha, a->beta = call->beta;
  a->gap_param = call->p.gap_param, a->gap_policy = call->p.gap_policy;
  a->report = call->report;
  a->vectors = call->gU.data || call->gVh.data;
  a->gU = call->gU.data ? a->gU : NULL;
  a->gV = call->gVh.data ? a->gV : NULL;
  w->stream = call->stream;
}

static cudaError_t backward_steps(const cuda_state_t *state, const svd_backward_call_t *call) {
  backward_t w;
  batch_layout_t layout = {call->work, call->p.batch_count, 0, 0, 0};
  backward_take(&w, &layout, state, &call->p);
  fill_call(&w, call);
  step(&w, w.kernels->backward_load);
  split_side(&w, w.a.m, w.a.u_cols, w.a.U, w.a.gU, w.a.P, w.a.outside_U, w.a.extra_U);
  split_side(&w, w.a.n, w.a.v_cols, w.a.V, w.a.gV, w.a.Q, w.a.outside_V, w.a.extra_V);
  if (w.a.truncated && w.a.vectors) {
    solve_truncated(&w);
  } else {
    step(&w, w.kernels->backward_form);
    step(&w, w.kernels->backward_scale);
  }
  assemble(&w);
  step(&w, w.kernels->backward_store);
  return w.error;
}

/* In one launch. */
static cudaError_t backward_fused(cuda_algorithm_t algorithm, const svd_backward_call_t *call) {
  const cuda_kernels_t *kernels = cuda_kernels_of(call->p.dtype);
  const problem_t *p = &call->p;
  const fused_args_t args = {.batch_count = p->batch_count,
                             .m = p->m,
                             .n = p->n,
                             .k = p->k,
                             .U = call->U,
                             .Vh = call->Vh,
                             .gU = call->gU,
                             .gVh = call->gVh,
                             .gA = call->gA,
                             .S = call->S,
                             .gS = call->gS,
                             .alpha = call->alpha,
                             .beta = call->beta,
                             .gap_param = p->gap_param,
                             .gap_policy = p->gap_policy,
                             .report = call->report};
  return (algorithm == CUDA_BACKWARD_THREAD ? kernels->backward_thread
          : algorithm == CUDA_BACKWARD_WARP ? kernels->backward_warp
                                            : kernels->backward_fused)(&args, call->stream);
}

svdgrad_status_t cuda_backward(const cuda_state_t *state, const svd_backward_call_t *call) {
  const cuda_algorithm_t algorithm = cuda_choose(state, SVDGRAD_OP_SVD_BACKWARD, &call->p);
  return cuda_status("svdgrad_svd_backward",
                     algorithm == CUDA_BACKWARD_STEPS ? backward_steps(state, call) : backward_fused(algorithm, call));
}
