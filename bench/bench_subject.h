/* SPDX-License-Identifier: BSD-3-Clause */
/* One problem with everything needed to compute it by the library and by the loop, and what is measured of it. */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H
#include "cases.h"
#include "functions.h"
#include "gesdd_loop.h"

typedef struct bench_case {
  int64_t batch_count, m, n;
} bench_case_t;

typedef enum bench_op {
  BENCH_SVD,
  BENCH_SVDVALS,
  BENCH_BACKWARD,
  BENCH_BACKWARD_GS,
  BENCH_JVP,
  BENCH_POLAR_BACKWARD,
  BENCH_NUCLEAR, /* value and gradient */
  BENCH_OP_COUNT
} bench_op_t;

typedef struct subject {
  functions_t x; /* packed column-major operands; every matrix of the batch has its own normal entries */
  svdgrad_backend_t backend;
  void *work[BENCH_OP_COUNT];
  size_t work_bytes[BENCH_OP_COUNT];
  gesdd_loop_t loop_svd, loop_svdvals;
} subject_t;

/* One row of the output. */
typedef struct series {
  bench_op_t op;
  int threads;    /* of the library; 0: the loop, on one */
  int calls;      /* of the whole batch in one sample */
  double *sample; /* seconds of one call, for each repetition */
  double accuracy;
} series_t;

/* Computes the batch once; every series reads and writes the same operands.  Exits on failure. */
void series_run(subject_t *subject, const series_t *series);

#endif
