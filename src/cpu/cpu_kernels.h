/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of the cpu backend for each element type, and what a call works out once for all its matrices. */
#ifndef SVDGRAD_CPU_KERNELS_H
#define SVDGRAD_CPU_KERNELS_H
#include "functions/rest.h"
#include "simd/one/reflectors.h"

typedef struct cpu_svd_plan {
  const problem_t *p;
  const svd_call_t *call;            /* NULL while measuring */
  int vectors;                       /* U or Vh wanted */
  int lwork;                         /* elements of LAPACK's workspace */
  const reflector_ops_t *bidiagonal; /* NULL: by LAPACK alone */
  const reflector_ops_t *tall;       /* QR first, since LAPACK does not count so many rows; NULL: it does */
} cpu_svd_plan_t;

typedef struct cpu_backward_plan {
  const problem_t *p;
  const svd_backward_call_t *call; /* NULL while measuring */
  const rest_t *rest;              /* NULL: full rank, or no cotangent of vectors */
} cpu_backward_plan_t;

typedef struct cpu_kernels {
  int (*svd_lwork)(int m, int n, int vectors, int full, int bidiagonal);
  size_t (*svd_scratch)(const cpu_svd_plan_t *plan); /* bytes per matrix */
  size_t (*backward_scratch)(const cpu_backward_plan_t *plan);
  batch_task_t svd, backward; /* the call is the plan */
  int (*lost_values)(const svd_call_t *call, int64_t b);
} cpu_kernels_t;

extern const cpu_kernels_t *const cpu_kernels[4]; /* by svdgrad_dtype_t */

/* Nanoseconds of one matrix, roughly: a fixed part, and some flops per element of the product. */
static inline double cpu_cost(const problem_t *p, double fixed, double flops) {
  return fixed + flops * (double)p->m * (double)p->n * (double)p->mn;
}

/* A batch whose tasks call the BLAS. */
void cpu_run_blas(const parallel_t *parallel, batch_t batch, void *work);

#endif
