/* SPDX-License-Identifier: BSD-3-Clause */
/* What a backend is: a const table of typed function pointers, and the calls that it receives with every argument
 * checked (validate.c).  A new backend adds one table to backends.c; a new operation adds one call struct and one
 * entry here.  See src/ref for the plainest implementation. */
#ifndef SVDGRAD_BACKEND_H
#define SVDGRAD_BACKEND_H
#include <svdgrad/svdgrad.h>

#include "parallel.h"

/* The descriptor, checked, with what follows from it. */
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
} problem_t;

/* An operand that the caller left out has data == NULL. */
typedef struct svd_call {
  problem_t p;
  void *stream;
  svdgrad_matrix_t A, U, Vh;
  svdgrad_vector_t S;
  int32_t *info; /* NULL only if m, n or batch_count is 0 */
  void *work;
  /* Per matrix, out: what is stored in S is 2^-exponent times the singular values, of which the largest is then neither
   * subnormal nor Inf, whatever A; SVDGRAD_INFO_OVERFLOW does not occur.  NULL: S is the singular values. */
  int32_t *exponent;
  int keep_small; /* logarithms of the values are asked for: those within rounding noise are worth more time */
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

typedef struct svdgrad_context context_t;

/* What functions of the SVD are made of (functions/machine.h, functions/calls.h). */
typedef struct program program_t;
typedef struct norm_call norm_call_t;
typedef struct power_call power_call_t;
typedef struct normalize_backward_call normalize_backward_call_t;

typedef struct backend {
  const char *name;
  /* Sets context->state.  May allocate; sets the error message where it fails. */
  svdgrad_status_t (*create)(context_t *context, int device);
  void (*destroy)(context_t *context);
  /* Name of the algorithm, or NULL with a message if this backend has none for (op, problem). */
  const char *(*algorithm_name)(const context_t *context, svdgrad_op_t op, const problem_t *problem);
  /* What the problem exceeds where that is NULL, for the message; NULL where there is no word for it. */
  const char *(*limit)(svdgrad_op_t op, const problem_t *problem);
  int (*is_capturable)(const context_t *context, svdgrad_op_t op, const problem_t *problem);
  /* Of a CPU backend: matrices that svd() takes at once. */
  int (*svd_group)(const context_t *context, const problem_t *problem);
  /* Of SVD, SVDVALS, SVD_BACKWARD and the power iteration.  Bytes, SIZE_MAX if they do not fit a size_t; pure, growing with
   * batch_count by at most so much for each matrix.  algorithm_name() was not NULL. */
  size_t (*workspace_size)(const context_t *context, svdgrad_op_t op, const problem_t *problem);
  svdgrad_status_t (*svd)(const context_t *context, const svd_call_t *call);
  svdgrad_status_t (*svd_backward)(const context_t *context, const svd_backward_call_t *call);
  /* A program for the whole batch; its workspace is as above, and none for an empty batch. */
  size_t (*program_workspace)(const context_t *context, const program_t *program);
  svdgrad_status_t (*program_run)(const context_t *context, const program_t *program, void *stream, void *work);
  /* Whether there is a fused_norm() for the problem: a norm with its gradient at once and without workspace. */
  int (*fuses_norm)(const context_t *context, const problem_t *problem);
  svdgrad_status_t (*fused_norm)(const context_t *context, const norm_call_t *call);
  svdgrad_status_t (*power_iteration)(const context_t *context, const power_call_t *call);
  svdgrad_status_t (*normalize_backward)(const context_t *context, const normalize_backward_call_t *call);
} backend_t;

struct svdgrad_context {
  const backend_t *backend;
  svdgrad_backend_t id;
  parallel_t parallel; /* of the CPU backends */
  void *state;         /* the backend's own */
};

/* The backend's table (backends.c); NULL with a message if this library, or this machine, does not have it. */
const backend_t *backend_find(svdgrad_backend_t id);

extern const backend_t ref_backend, cpu_backend;

/* Linked in (static library) or from the module libsvdgrad_cuda.so (shared); NULL with a message if that cannot be
 * loaded. */
const backend_t *cuda_backend_find(void);

/* What an SVD left can be used: its info code is OK, or values overflowed. */
static inline int svd_is_valid(int32_t info) { return info == SVDGRAD_INFO_OK || info == SVDGRAD_INFO_OVERFLOW; }

#endif
