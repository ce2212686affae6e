/* SPDX-License-Identifier: BSD-3-Clause */
/* The discarded part of the spectrum of a truncated SVD: that of R = A - U S Vh, by the backend's own SVD. */
#ifndef SVDGRAD_REST_H
#define SVDGRAD_REST_H
#include "stages.h"

/* Its min(m, n) - k triplets, times 2^-exponent; packed and column-major. */
typedef struct rest {
  problem_t thin; /* of its SVD */
  svdgrad_matrix_t R, U, Vh;
  svdgrad_vector_t S;
  int32_t *info;
} rest_t;

/* What it is made of: A and its leading k triplets. */
typedef struct rest_call {
  const char *function; /* whose part it is, for messages */
  const problem_t *p;
  void *stream;
  svdgrad_matrix_t A, U, Vh;
  svdgrad_vector_t S;
  void *work;
} rest_call_t;

static inline int is_truncated(const problem_t *p) { return p->k < p->mn; }

/* Bytes of workspace for rest_factorize(). */
size_t rest_workspace(const context_t *context, const problem_t *p, svdgrad_algo_t algo);

rest_t rest_take(stages_t *stages, svdgrad_algo_t algo);
svdgrad_status_t rest_factorize(const context_t *context, const rest_call_t *call, const rest_t *rest);

#endif
