/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels that compute one matrix at a time (dense/), for each element type; and the plan that a call makes
 * once for all its matrices. */
#ifndef SVDGRAD_CPU_KERNELS_H
#define SVDGRAD_CPU_KERNELS_H
#include "backend.h"
#include "simd/one/reflectors.h"
#include "simd/one/secular.h"

/* LAPACK's SVD of a tall matrix, on the arrays of a dense_svd_t (dense/arrays.h).  Both return 0 if it did not converge. */
typedef struct gesdd_ops {
  int (*lwork)(int64_t m, int64_t n, int vectors); /* elements of its workspace */
  int (*by_dividing)(const void *arrays);
  int (*by_qr)(const void *arrays);
} gesdd_ops_t;

extern const gesdd_ops_t *const cpu_gesdd[4]; /* by svdgrad_dtype_t; NULL in a library without LAPACK */

typedef struct cpu_svd_plan {
  const problem_t *p;
  const svd_call_t *call;            /* NULL while measuring */
  int vectors;                       /* U or Vh is wanted */
  int lwork;                         /* elements of LAPACK's workspace; 0: it is not called */
  const reflector_ops_t *bidiagonal; /* for the bidiagonal path; NULL: gesdd */
  const conquer_ops_t *conquer;      /* for the bidiagonal path */
  const reflector_ops_t *tall;       /* for a QR factorization by blocks of rows first; NULL: none */
  const reflector_ops_t *completes;  /* the larger factor, to a square one */
  team_t *team;                      /* NULL: a matrix is not worth more than one thread */
} cpu_svd_plan_t;

/* B = U diag(S) Vh; B is n-by-n and has d on the diagonal, e above.  All are real numbers of the element type. */
typedef enum bidiagonal_method { BY_DIVIDING, BY_QR, VALUES_BY_QD, VALUES_BY_QR } bidiagonal_method_t;
typedef struct bidiagonal_problem {
  bidiagonal_method_t method;
  int64_t n, leading;
  const void *d, *e;
  void *S, *U, *Vh; /* n; n-by-n, column-major, of which the first `leading` columns of U and rows of Vh are written */
  const conquer_ops_t *ops;
} bidiagonal_problem_t;

typedef struct cpu_kernels {
  size_t (*svd_scratch)(const cpu_svd_plan_t *plan); /* bytes per matrix */
  batch_task_t svd;                                  /* its call is the plan */
  /* The SVD of matrix b once more if non-zero values of it may have been lost (dense/lost_values.h); bytes that this takes. */
  void (*solve_again)(const svd_call_t *call, int64_t b, int has_zero, arena_t scratch);
  size_t (*again_scratch)(const problem_t *p);
  /* The SVD of one bidiagonal matrix by a part of what svd does (conquer/whole.h): for tests. */
  int (*bidiagonal)(const bidiagonal_problem_t *problem, arena_t *scratch);
} cpu_kernels_t;

extern const cpu_kernels_t *const cpu_kernels[4]; /* by svdgrad_dtype_t */

/* Rough nanoseconds per matrix: a fixed part, and a multiple of m n min(m, n), as they are in f32.  Measured with AVX2 of
 * Zen 3, full groups of 8 x 8 to 96 x 96 and 320 x 32, 2026-11-30: within a factor of 2.5, mostly of 1.5. */
static inline double cpu_cost(const problem_t *p, double fixed, double flops) {
  static const double of_type[] = {1, 2, 2, 4}; /* by svdgrad_dtype_t */
  return fixed + flops * of_type[p->dtype] * (double)p->m * (double)p->n * (double)p->mn;
}

/* Runs a batch whose tasks call LAPACK. */
void cpu_run_blas(const parallel_t *parallel, batch_t batch);

#endif
