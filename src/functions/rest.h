/* SPDX-License-Identifier: BSD-3-Clause */
/* The discarded part of the spectrum of a truncated SVD: that of R = A - U S Vh, by the backend's own SVD. */
#ifndef SVDGRAD_REST_H
#define SVDGRAD_REST_H
#include "functions/stages.h"

/* Its min(m, n) - k triplets, times 2^-exponent; packed and column-major. */
typedef struct rest {
  problem_t thin; /* of its SVD */
  svdgrad_matrix_t U, Vh;
  svdgrad_vector_t S;
  int32_t *info;
} rest_t;

/* What it is made of: A and its leading k triplets. */
typedef struct rest_call {
  const char *function; /* whose part it is, for messages */
  svdgrad_matrix_t A, U, Vh;
  svdgrad_vector_t S;
} rest_call_t;

static inline int is_truncated(const problem_t *p) { return p->k < p->mn; }

/* Takes its arrays and makes its calls. */
rest_t rest_factorize(stages_t *stages, const rest_call_t *call, svdgrad_algo_t algo);

#endif
