/* SPDX-License-Identifier: BSD-3-Clause */
/* The discarded triplets of a truncated SVD: the SVD of R = A - U S Vh, by the backend. */
#ifndef SVDGRAD_REST_H
#define SVDGRAD_REST_H
#include "functions/stages.h"

/* The min(m, n) - k discarded triplets, packed and column-major; S is times 2^-exponent (rules/gap.h). */
typedef struct rest {
  problem_t thin; /* the problem of the SVD of R */
  svdgrad_matrix_t U, Vh;
  svdgrad_vector_t S;
  int32_t *info;
} rest_t;

/* A and its leading k triplets. */
typedef struct rest_call {
  const char *function; /* name of the public function, for messages */
  svdgrad_matrix_t A, U, Vh;
  svdgrad_vector_t S;
} rest_call_t;

static inline int is_truncated(const problem_t *p) { return p->k < p->mn; }

/* Takes the arrays and makes the calls. */
rest_t rest_factorize(stages_t *stages, const rest_call_t *call, svdgrad_algo_t algo);

#endif
