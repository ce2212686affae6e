/* SPDX-License-Identifier: BSD-3-Clause */
/* The arguments of every operation, as backends and functions/ receive them: all are checked, and an operand that the
 * caller left out has data == NULL.  The matrices of a call are adjacent members, and so are its real vectors
 * (call_fields_t). */
#ifndef SVDGRAD_CALLS_H
#define SVDGRAD_CALLS_H
#include <svdgrad/svdgrad.h>

#include <stddef.h>

/* The checked descriptor, and sizes derived from it. */
typedef struct problem {
  svdgrad_dtype_t dtype;
  svdgrad_algo_t algo;
  int64_t m, n, batch_count;
  int64_t mn;      /* min(m, n): triplets that exist */
  int64_t k;       /* triplets kept: desc.rank, or mn */
  int64_t u_cols;  /* columns of U: k, or m if full_matrices */
  int64_t vh_rows; /* rows of Vh:   k, or n if full_matrices */
  int full_matrices, positive_gauge, max_sweeps;
  svdgrad_gap_policy_t gap_policy;
  double gap_param;
  /* The batch_count that AUTO looks at: that of the whole call, of which this problem may be a part.  INT64_MAX: the
   * choice is that for large batches, with desc.batch_invariant and with other algorithms. */
  int64_t chosen_for;
} problem_t;

typedef struct svd_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, U, Vh;
  svdgrad_vector_t S;
  int32_t *info; /* NULL only if m, n or batch_count is 0 */
  void *work;
  /* Output, one per matrix: S holds the singular values times 2^-exponent.  The largest is then neither subnormal nor
   * Inf for any finite A, and SVDGRAD_INFO_OVERFLOW does not occur.  NULL: S holds the singular values themselves. */
  int32_t *exponent;
  int keep_small; /* the caller takes logarithms: values that may be rounding noise need more accuracy */
} svd_call_t;

typedef struct svd_backward_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, U, Vh, gU, gVh, gA;
  svdgrad_vector_t S, gS;
  double alpha, beta;
  svdgrad_report_t *report;
  void *work;
} svd_backward_call_t;

typedef struct svd_jvp_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, U, Vh, dA, dU, dVh;
  svdgrad_vector_t S, dS;
  svdgrad_report_t *report;
  void *work;
} svd_jvp_call_t;

typedef struct second_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t U, Vh, gU, gVh, ggA, ggU, ggVh, gA;
  svdgrad_vector_t S, gS, ggS;
  double alpha, beta;
  svdgrad_report_t *report;
  void *work;
} svd_backward_backward_call_t;

typedef struct function_call {
  problem_t p;
  void *stream;
  svdgrad_function_t function;
  svdgrad_matrix_t U, Vh, Y; /* backward: Y is the cotangent */
  svdgrad_matrix_t gA;       /* backward */
  svdgrad_vector_t S;
  double alpha, beta;
  svdgrad_report_t *report;
  void *work;
} function_call_t;

typedef struct norm_call {
  problem_t p;
  void *stream;
  int gradient; /* gA is wanted */
  svdgrad_norm_kind_t kind;
  double exponent; /* p of SCHATTEN */
  svdgrad_matrix_t A, gA;
  svdgrad_vector_t value, g;
  double alpha, beta;
  int32_t *info;
  void *work;
} norm_call_t;

/* Scalars of the element type are 1-by-1 matrices. */
typedef struct determinant_call {
  problem_t p;
  void *stream;
  int gradient; /* gA is wanted */
  svdgrad_matrix_t A, gA, det, sign, g_det, g_sign;
  svdgrad_vector_t log_abs, g_log_abs;
  double alpha, beta;
  int32_t *info;
  void *work;
} determinant_call_t;

typedef struct power_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, Y; /* Y: A / sigma, if wanted */
  int32_t iterations;
  svdgrad_vector_t u, v, sigma, residual;
  int32_t *info;
  void *work;
} power_call_t;

typedef struct normalize_backward_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, gY, gA;
  svdgrad_vector_t u, v, sigma;
  double alpha, beta;
  void *work;
} normalize_backward_call_t;

/* ---- parts of a call ---- */

/* The first members of every call. */
typedef struct call_head {
  problem_t p;
  void *stream;
} call_head_t;

/* The calls that can run on a part of their batch. */
typedef union any_call {
  call_head_t head;
  svd_backward_call_t svd_backward;
  svd_jvp_call_t svd_jvp;
  svd_backward_backward_call_t svd_backward_backward;
  norm_call_t norm;
  determinant_call_t determinant;
} any_call_t;

/* Byte offsets of the operands of a call that have one entry per matrix; 0: the call has none of that kind. */
typedef struct call_fields {
  size_t size, matrices, reals, info, report;
  size_t matrix_count, reals_count;
} call_fields_t;

/* For a call type whose matrices are the members A to Z, and whose real vectors are s to z. */
#define CALL_FIELDS(type, A, Z, s, z)                                                                                  \
  .size = sizeof(type), .matrices = offsetof(type, A), .reals = offsetof(type, s),                                     \
  .matrix_count = (offsetof(type, Z) - offsetof(type, A)) / sizeof(svdgrad_matrix_t) + 1,                              \
  .reals_count = (offsetof(type, z) - offsetof(type, s)) / sizeof(svdgrad_vector_t) + 1

/* *part = the same call for matrices first..first+count-1 of its batch. */
void call_part(const call_fields_t *fields, const void *call, int64_t first, int64_t count, any_call_t *part);

#endif
