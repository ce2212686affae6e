/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations made of several backend calls, one after the other.  The same text measures the workspace and runs: it
 * takes the arrays that pass results between the calls, then makes the calls, which measure or run.  In the workspace
 * the arrays come first.  All calls share the memory behind them. */
#ifndef SVDGRAD_STAGES_H
#define SVDGRAD_STAGES_H
#include "base/batch_layout.h"
#include "base/element_size.h"
#include "calls.h"
#include "functions/machine.h"

typedef struct stages {
  const context_t *context;
  const problem_t *p;
  void *stream;
  int measuring;
  batch_layout_t layout;   /* of the arrays */
  size_t shared;           /* measuring: bytes of the largest call; SIZE_MAX: too many */
  svdgrad_status_t status; /* of the first call that failed; no more calls are made then */
} stages_t;

/* The text of an operation, and where its call struct has the operands (calls.h). */
typedef struct composition {
  void (*run)(stages_t *stages, const void *call);
  call_fields_t fields;
} composition_t;

/* Bytes; SIZE_MAX if they do not fit a size_t.  Only those members of the call that affect the size are read. */
size_t stages_workspace(const context_t *context, const composition_t *composition, const void *call);
svdgrad_status_t stages_run(const context_t *context, const composition_t *composition, const void *call, void *work);

/* ---- arrays, for the text of an operation: all are taken before the first call ---- */

/* For each matrix of the batch: a packed column-major matrix, a vector of real numbers, a 32-bit word. */
static inline svdgrad_matrix_t stages_matrix(stages_t *stages, int64_t rows, int64_t columns) {
  void *data = layout_take(&stages->layout, element_count(rows, columns), element_size(stages->p->dtype));
  return (svdgrad_matrix_t){data, 1, rows > 0 ? rows : 1, rows * columns};
}

static inline svdgrad_vector_t stages_reals(stages_t *stages, int64_t count) {
  return (svdgrad_vector_t){layout_take(&stages->layout, count, real_size(stages->p->dtype)), 1, count};
}

static inline int32_t *stages_words(stages_t *stages) { return layout_take(&stages->layout, 1, sizeof(int32_t)); }

/* ---- calls; these functions fill in stream and workspace ---- */

void stages_svd(stages_t *stages, svdgrad_op_t op, svd_call_t *call);
void stages_svd_backward(stages_t *stages, svd_backward_call_t *call);
void stages_program(stages_t *stages, program_t program);

/* Workspace for a call of another kind: `bytes` counts while measuring, and NULL is returned then. */
void *stages_other(stages_t *stages, size_t bytes);

/* The same problem for a plain SVD: thin factors of full rank. */
static inline problem_t stages_thin(const problem_t *p) {
  problem_t thin = *p;
  thin.k = thin.u_cols = thin.vh_rows = p->mn;
  thin.full_matrices = thin.positive_gauge = 0;
  return thin;
}

/* The SVD of A with S times 2^-exponent: unscaled, S might overflow or lose digits.  stages_scaled_svd() takes the
 * arrays and makes the call. */
typedef struct scaled_svd {
  problem_t thin;
  int vectors; /* 0: no U and Vh */
  svdgrad_matrix_t U, Vh;
  svdgrad_vector_t S;
  int32_t *exponent;
} scaled_svd_t;

scaled_svd_t stages_scaled_svd(stages_t *stages, svdgrad_matrix_t A, int vectors, int keep_small, int32_t *info);

#endif
