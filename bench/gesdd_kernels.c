/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop over gesdd.  A typed file (src/base/type.h). */
#include "gesdd_kernels.h"

#include "cpu/dense/lapack.h"

#include <string.h>

typedef void typed_gesdd_t(const char *jobz, const int *m, const int *n, T *A, const int *lda, R *S, T *U,
                           const int *ldu, T *Vh, const int *ldvh, T *work, const int *lwork,
                           RWORK_PARAMETER int *iwork, int *info, size_t);

static typed_gesdd_t *gesdd_of(const gesdd_loop_t *loop) {
  return loop->gesdd ? (typed_gesdd_t *)loop->gesdd : LAPACK(gesdd);
}

static int gesdd_lwork(const gesdd_loop_t *loop) {
  const int m = loop->m, n = loop->n, mn = m < n ? m : n, query = -1;
  int info = 0, iwork = 0;
  T A = 0, work = 0;
  R S = 0, rwork = 0;
  (void)rwork;
  gesdd_of(loop)(loop->vectors ? "S" : "N", &m, &n, &A, &m, &S, &A, &m, &A, &mn, &work, &query, RWORK(&rwork) & iwork,
                 &info, 1);
  return (int)((double)RE(work) * (1 + (double)EPSILON)) + 1;
}

static int64_t gesdd_batch(const gesdd_loop_t *loop, int64_t batch_count, const void *A, void *S, void *U, void *Vh) {
  const int m = loop->m, n = loop->n, mn = m < n ? m : n;
  const int64_t size = (int64_t)m * n;
  const char *job = loop->vectors ? "S" : "N";
  typed_gesdd_t *gesdd = gesdd_of(loop);
  int64_t failures = 0;
  for (int64_t b = 0; b < batch_count; b++) {
    int info = 0;
    memcpy(loop->copy, (const T *)A + b * size, (size_t)size * sizeof(T));
    gesdd(job, &m, &n, loop->copy, &m, (R *)S + b * mn, (T *)U + b * m * mn, &m, (T *)Vh + b * mn * n, &mn, loop->work,
          &loop->lwork, RWORK(loop->rwork) loop->iwork, &info, 1);
    failures += info != 0;
  }
  return failures;
}

const gesdd_kernels_t TYPED(gesdd_kernels) = {.element = sizeof(T), .lwork = gesdd_lwork, .batch = gesdd_batch};
