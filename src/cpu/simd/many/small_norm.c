/* SPDX-License-Identifier: BSD-3-Clause */
/* The nuclear and the spectral norm with their gradients, of square matrices of 2 to 4 columns: from A to the gradient
 * in one pass, with factors that never leave the lanes.  The gradient is U diag(weight) Vh (norm_form.h).  Values and
 * gradients have the bits that the SVD and a program (functions/norm.c) give.
 *
 * Time of those two over that of one pass (f32, f64, c64, c128; one thread, AVX2 of Zen 3, 2026-11-30): 2.1, 1.9, 1.9,
 * 1.85 at 2 x 2; 1.7, 1.6, 1.7, 1.4 at 3 x 3; 1.5, 1.4, 1.3, 1.4 at 4 x 4. */
#include "../exported.h"
#include "norm_form.h"
#include "small_pairs.h"
#include "svd.h"

/* The arrays of the SVD serve for the gradient as well: A's for the gradient, U's for what gA held. */
typedef struct norm_group {
  lane_group_t svd;
  group_t group;
  const norm_call_t *call;
} norm_group_t;

INLINE norm_group_t take_norm(const norm_call_t *call, int64_t first, int n, int count, arena_t *scratch) {
  const svd_call_t svd = {.p = call->p, .A = call->A};
  norm_group_t x = {lane_group_take(scratch, &call->p, 1, n), {&call->p, first, count}, call};
  pack(&svd, first, n, n, 0, &x.svd.packed, x.svd.raw_in, x.svd.rotated, NULL, count);
  return x;
}

/* Normalized singular values in place of S; returns their exponents.  NaN where A is not finite. */
INLINE M normalize_values(const lane_group_t *g, int n) {
  const M exponent = exponent_below(load_real(g->S)), finite = (M)load_real(g->packed.finite);
  const powers_t scale = powers_of(-exponent);
  for (int j = 0; j < n; j++) {
    const V s = load_real(g->S + j * LANES) * scale.first * scale.second;
    store_real(g->S + j * LANES, choose_real(finite, s, broadcast((R)NAN)));
  }
  return exponent + (M)load_real(g->packed.exponent);
}

/* G = U diag(weight) V^H, in the order of the caller's elements.  Destroys U. */
INLINE void form_gradient(const lane_group_t *g, int n, const V *weight, const tile_t *G) {
  for (int j = 0; j < n; j++)
    for (int i = 0; i < n; i++)
      store(g->rotated, j * n + i, scaled(weight[j], load(g->rotated, j * n + i)));
  for (int j = 0; j < n; j++)
    for (int i = 0; i < n; i++) {
      E sum = from_real((V){0});
      for (int l = 0; l < n; l++)
        sum = add_product(sum, load(g->rotated, l * n + i), conjugate(load(g->J, l * n + j)));
      store(G->data, i * G->row + j * G->column, sum);
    }
}

/* gA = alpha U diag(weight) V^H + beta gA */
INLINE void store_gradient(const norm_group_t *x, int n, const V *weight) {
  const norm_call_t *call = x->call;
  const strided_t gA = strided_of(&call->gA, x->group.first, 0);
  const lines_t lines = lines_of(&gA, n, n, PARTS);
  const tile_t G = tile_of(x->svd.raw_in, &lines, n, n);
  const V alpha = broadcast((R)call->alpha), beta = broadcast((R)call->beta);
  form_gradient(&x->svd, n, weight, &G);
  if (call->beta != 0)
    (void)fetch(&gA, n, n, PARTS, x->svd.rotated, x->group.count);
  for (int e = 0; e < n * n; e++) {
    const E y = scaled(alpha, load(G.data, e));
    store(G.data, e, call->beta == 0 ? y : add_scaled(y, beta, load(x->svd.rotated, e)));
  }
  put_back(&gA, n, n, PARTS, G.data, x->group.count);
}

INLINE void store_norm(const norm_group_t *x, int n, M failed) {
  const norm_call_t *call = x->call;
  const lane_group_t *g = &x->svd;
  const lane_group_t fixed = sized(g, n);
  V factor = broadcast(1), weight[SMALL_SIZES];
  complete(&fixed);
  const powers_t power = powers_of(normalize_values(g, n));
  const lane_norm_t norm = norm_of(call->kind, &call->p, n, n, g->S);
  if (call->g.data)
    load_reals(&x->group, &call->g, 1, &factor);
  for (int j = 0; j < n; j++)
    weight[j] = norm_weight(&norm, factor, load_real(g->S + j * LANES));
  V value = norm.value * power.first * power.second;
  store_codes(g, failed, (M){0}, call->info + x->group.first, x->group.count);
  note_overflow(&x->group, value, call->info);
  store_gradient(x, n, weight);
  store_reals(&x->group, &value, 1, &call->value);
}

/* One group of n-by-n matrices, n a compile-time constant. */
INLINE void norm_alone(const norm_call_t *call, int64_t first, int n, int count, arena_t scratch) {
  const norm_group_t x = take_norm(call, first, n, count, &scratch);
  store_norm(&x, n, solve_small(n, x.svd.rotated, x.svd.J, x.svd.S, sweeps_of(&call->p)));
}

/* More than one group. */
INLINE void norm_pair(const norm_call_t *call, int64_t first, int n, int count, arena_t scratch) {
  norm_group_t x[2];
  small_group_t arrays[2];
  M failed[2];
  for (int i = 0; i < 2; i++) {
    x[i] = take_norm(call, first + i * LANES, n, i ? count - LANES : LANES, &scratch);
    arrays[i] = (small_group_t){x[i].svd.rotated, x[i].svd.J, x[i].svd.S};
  }
  solve_pair(n, arrays, sweeps_of(&call->p), failed);
  for (int i = 0; i < 2; i++)
    store_norm(&x[i], n, failed[i]);
}

INLINE void norm_small(const norm_call_t *call, int64_t first, int n, int count, arena_t scratch) {
  if (n <= PAIRS_MOST && count > LANES)
    norm_pair(call, first, n, count, scratch);
  else
    norm_alone(call, first, n, count, scratch);
}

NOINLINE void norm_2(const norm_call_t *call, int64_t first, int count, arena_t scratch) {
  norm_small(call, first, 2, count, scratch);
}

NOINLINE void norm_3(const norm_call_t *call, int64_t first, int count, arena_t scratch) {
  norm_small(call, first, 3, count, scratch);
}

NOINLINE void norm_4(const norm_call_t *call, int64_t first, int count, arena_t scratch) {
  norm_small(call, first, 4, count, scratch);
}

static void norm(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  static void (*const kernels[SMALL_SIZES])(const norm_call_t *, int64_t, int,
                                            arena_t) = {[2] = norm_2, [3] = norm_3, [4] = norm_4};
  const norm_call_t *call = argument;
  kernels[call->p.n](call, first, (int)count, scratch);
}

static int norm_exists(const problem_t *p, svdgrad_norm_kind_t kind) {
  return p->m == p->n && p->n > 1 && p->n < SMALL_SIZES && norm_is_in_lanes(kind);
}

const norm_ops_t EXPORTED(svdgrad_norm_ops) = {norm_exists, norm};
