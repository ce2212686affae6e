/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels that compute one matrix at a time (dense/), for each element type; and the plan that a call makes
 * once for all its matrices. */
#ifndef SVDGRAD_CPU_KERNELS_H
#define SVDGRAD_CPU_KERNELS_H
#include "backend.h"
#include "simd/one/reflectors.h"
#include "simd/one/secular.h"

typedef struct cpu_svd_plan {
  const problem_t *p;
  const svd_call_t *call;            /* NULL while measuring */
  int vectors;                       /* U or Vh is wanted */
  int lwork;                         /* elements of LAPACK's workspace */
  const reflector_ops_t *bidiagonal; /* for the bidiagonal path; NULL: gesdd */
  const secular_ops_t *secular;      /* for the bidiagonal path */
  const reflector_ops_t *tall;       /* for a QR factorization by blocks of rows first; NULL: none */
  team_t *team;                      /* NULL: a matrix is not worth more than one thread */
} cpu_svd_plan_t;

/* B = U diag(S) Vh; B is n-by-n and has d on the diagonal, e above.  All are real numbers of the element type. */
typedef struct bidiagonal_problem {
  int64_t n, leading;
  const void *d, *e;
  void *S, *U, *Vh; /* n; n-by-n, column-major, of which the first `leading` columns of U and rows of Vh are written */
  const secular_ops_t *ops;
} bidiagonal_problem_t;

typedef struct cpu_kernels {
  int (*svd_lwork)(int m, int n, int vectors, int full, int bidiagonal);
  size_t (*svd_scratch)(const cpu_svd_plan_t *plan); /* bytes per matrix */
  batch_task_t svd;                                  /* its call is the plan */
  int (*lost_values)(const svd_call_t *call, int64_t b);
  /* The SVD of one bidiagonal matrix by divide and conquer, as svd computes it (conquer/whole.h): for tests. */
  int (*conquer)(const bidiagonal_problem_t *problem, arena_t *scratch);
} cpu_kernels_t;

extern const cpu_kernels_t *const cpu_kernels[4]; /* by svdgrad_dtype_t */

/* Rough nanoseconds per matrix: a fixed part, and a multiple of m n min(m, n). */
static inline double cpu_cost(const problem_t *p, double fixed, double flops) {
  return fixed + flops * (double)p->m * (double)p->n * (double)p->mn;
}

/* Runs a batch whose tasks call the BLAS. */
void cpu_run_blas(const parallel_t *parallel, batch_t batch);

#endif
