/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes to the caller: values, vectors and info codes. */
#ifndef SVDGRAD_SIMD_RESULTS_H
#define SVDGRAD_SIMD_RESULTS_H
#include "gauge.h"
#include "lane_group.h"
#include "base/nonfinite.h"

/* Mask of the matrices whose largest singular value overflows R. */
INLINE M store_values(const lane_group_t *g, const svd_call_t *call, int64_t first, int count) {
  M exponent = (M)load_real(g->packed.exponent);
  if (call->exponent) {
    for (int l = 0; l < count; l++)
      call->exponent[first + l] = (int32_t)(exponent[l] + SCALED_EXPONENT);
    exponent = (M){0} - SCALED_EXPONENT;
  }
  const M half_exponent = exponent >> 1;
  const V half = power_of_two(half_exponent), rest = power_of_two(exponent - half_exponent);
  for (int64_t j = 0; j < g->n; j++) /* undoes the scaling of pack.h, in two steps as well */
    store_real(g->S + j * LANES, load_real(g->S + j * LANES) * half * rest);
  const strided_t S = strided_vector(&call->S, first);
  put_back(&S, call->p.k, 1, 1, g->S, count);
  return (M)(load_real(g->S) > broadcast(LARGEST));
}

/* X, in pieces of at most n columns: raw_out has no room for more. */
INLINE void store_long_vectors(const lane_group_t *g, const strided_t *to, int adjoint, int64_t columns, R *X,
                               int count) {
  for (int64_t j = 0; j < columns; j += g->n) {
    const strided_t piece = {to->data + j * to->column, to->batch, to->row, to->column};
    put_columns(&piece, adjoint, g->rows, columns - j < g->n ? columns - j : g->n, NULL, element_at(X, j * g->rows),
                g->raw_out, count);
  }
}

INLINE void store_vectors(const lane_group_t *g, const svd_call_t *call, int64_t first, int64_t u_cols, int64_t vh_rows,
                          int count) {
  const problem_t *p = &call->p;
  const int transposed = p->m < p->n;
  const strided_t left = strided_of(transposed ? &call->Vh : &call->U, first, transposed);
  const strided_t right = strided_of(transposed ? &call->U : &call->Vh, first, !transposed);
  R *X = g->by_qr ? g->X : g->rotated, *Y = g->by_qr ? g->rotated : g->J;
  if (p->positive_gauge && transposed)
    fix_gauge(g->n, g->n, Y, g->n, g->rows, X);
  else if (p->positive_gauge)
    fix_gauge(g->rows, g->wanted, X, g->n, g->n, Y);
  if (left.data)
    store_long_vectors(g, &left, transposed, transposed ? vh_rows : u_cols, X, count);
  if (right.data)
    put_columns(&right, !transposed, g->n, transposed ? u_cols : vh_rows, g->packed.sorted ? g->packed.order : NULL, Y,
                g->raw_out, count);
}

INLINE void store_codes(const lane_group_t *g, M failed, M overflow, int32_t *info, int count) {
  const M lost = ~(M)load_real(g->packed.finite);
  for (int l = 0; l < count; l++)
    info[l] = SVDGRAD_INFO_OK;
  if (!any_lane(failed | lost | overflow))
    return; /* the usual case */
  for (int l = 0; l < count; l++) {
    if (overflow[l])
      info[l] = SVDGRAD_INFO_OVERFLOW;
    if (failed[l])
      info[l] = SVDGRAD_INFO_NOT_CONVERGED;
    if (lost[l])
      info[l] = SVDGRAD_INFO_NONFINITE;
  }
}

INLINE void store_info(const lane_group_t *g, const svd_call_t *call, int64_t first, M failed, M overflow, int count) {
  store_codes(g, failed, overflow, call->info + first, count);
  if (!any_lane(~(M)load_real(g->packed.finite)))
    return;
  for (int l = 0; l < count; l++)
    if (call->info[first + l] == SVDGRAD_INFO_NONFINITE)
      store_nan(call, first + l);
}

/* For the caller of the group; after store_values(), which may round a value to zero, and store_info(). */
INLINE void note_zeros(const lane_group_t *g, const svd_call_t *call, int64_t first, int count) {
  const V zero = {0};
  const M ends = (M)(load_real(g->S + (g->n - 1) * LANES) == zero) & (M)(load_real(g->S) > zero);
  if (!any_lane(ends))
    return; /* the usual case */
  for (int l = 0; l < count; l++)
    if (ends[l] && call->info[first + l] != SVDGRAD_INFO_NONFINITE)
      call->info[first + l] |= INFO_HAS_ZERO;
}

#endif
