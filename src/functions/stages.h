/* SPDX-License-Identifier: BSD-3-Clause */
/* The workspace of a function that calls its backend several times: what the calls use comes first, each using the same
 * memory again, and then the arrays that lie between them. */
#ifndef SVDGRAD_STAGES_H
#define SVDGRAD_STAGES_H
#include "../batch_layout.h"
#include "../element_size.h"
#include "machine.h"

typedef struct stages {
  const problem_t *p;
  size_t shared;         /* bytes of the largest call; SIZE_MAX: too many */
  batch_layout_t layout; /* of the arrays */
} stages_t;

/* Measures while work is NULL; then `shared` must be known from a measurement. */
static inline stages_t stages_make(const problem_t *p, void *work, size_t shared) {
  unsigned char *arrays = work ? (unsigned char *)work + shared : NULL;
  return (stages_t){p, shared, {arrays, p->batch_count, 0, 0, 0}};
}

static inline void stages_share(stages_t *stages, size_t bytes) {
  stages->shared = bytes > stages->shared ? bytes : stages->shared;
}

static inline size_t stages_bytes(const stages_t *stages) {
  const size_t arrays = layout_bytes(&stages->layout);
  return arrays > SIZE_MAX / 2 || stages->shared > SIZE_MAX / 2 ? SIZE_MAX : stages->shared + arrays;
}

/* A packed column-major matrix, a vector of real numbers, and a word for each matrix of the batch. */
static inline svdgrad_matrix_t stages_matrix(stages_t *stages, int64_t rows, int64_t columns) {
  void *data = layout_take(&stages->layout, element_count(rows, columns), element_size(stages->p->dtype));
  return (svdgrad_matrix_t){data, 1, rows > 0 ? rows : 1, rows * columns};
}

static inline svdgrad_vector_t stages_reals(stages_t *stages, int64_t count) {
  return (svdgrad_vector_t){layout_take(&stages->layout, count, real_size(stages->p->dtype)), 1, count};
}

static inline int32_t *stages_words(stages_t *stages) { return layout_take(&stages->layout, 1, sizeof(int32_t)); }

/* The same problem for a plain SVD: thin factors of full rank. */
static inline problem_t stages_thin(const problem_t *p) {
  problem_t thin = *p;
  thin.k = thin.u_cols = thin.vh_rows = p->mn;
  thin.full_matrices = thin.positive_gauge = 0;
  return thin;
}

/* Bytes that the stages need for a problem. */
typedef size_t (*stages_bytes_t)(const context_t *context, const problem_t *p);

/* Runs the stages for matrices first..first+count-1 of the call. */
typedef svdgrad_status_t (*stages_part_t)(const context_t *context, const void *call, int64_t first, int64_t count,
                                          void *work);

/* On the CPU the stages run piece by piece, small enough for the cache; on CUDA for the whole batch. */
size_t stages_workspace(const context_t *context, const problem_t *p, stages_bytes_t bytes);
svdgrad_status_t stages_run(const context_t *context, const problem_t *p, stages_bytes_t bytes, stages_part_t part,
                            const void *call, void *work);

/* Operands from matrix `first` of the batch on. */
static inline svdgrad_matrix_t matrix_from(svdgrad_matrix_t X, int64_t first, svdgrad_dtype_t dtype) {
  if (X.data)
    X.data = (unsigned char *)X.data + (ptrdiff_t)(first * X.batch_stride) * (ptrdiff_t)element_size(dtype);
  return X;
}

static inline svdgrad_vector_t reals_from(svdgrad_vector_t x, int64_t first, svdgrad_dtype_t dtype) {
  if (x.data)
    x.data = (unsigned char *)x.data + (ptrdiff_t)(first * x.batch_stride) * (ptrdiff_t)real_size(dtype);
  return x;
}

#endif
