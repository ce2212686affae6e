/* SPDX-License-Identifier: BSD-3-Clause */
/* The discarded triplets of a truncated SVD, the SVD of R = A - U S Vh by the backend; and the system for what lies
 * outside the spans of U and V,
 *   X_ S - R Y_ = F,   Y_ S - R^H X_ = G,
 * which the backward pass and the JVP have in common.  For full rank R = 0, and X_, Y_ are quotients by s. */
#ifndef SVDGRAD_DISCARDED_H
#define SVDGRAD_DISCARDED_H
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

/* One side of the system, in a program. */
typedef struct outside {
  tensor_t part;    /* rows-by-k: F (or G), then X_ (Y_); scratch where k = rows */
  tensor_t basis;   /* truncated: mn - k singular vectors of R */
  tensor_t in, out; /* F in that basis, and the solution */
} outside_t;

outside_t outside_take(machine_t *machine, int64_t rows);
static inline int outside_exists(const outside_t *outside) { return outside->part.rows > outside->part.columns; }

/* The SVD of R, and its equations: solved by a form between outside_project() and outside_solve(). */
rest_form_t outside_rest(machine_t *machine, const rest_t *rest, const outside_t *u, const outside_t *v);
void outside_load(machine_t *machine, const rest_t *rest, const rest_form_t *form, const outside_t *u,
                  const outside_t *v);
void outside_project(machine_t *machine, const outside_t *outside);
void outside_solve(machine_t *machine, const outside_t *outside, reals_t inverse, reals_t step);

#endif
