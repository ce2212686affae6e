/* SPDX-License-Identifier: BSD-3-Clause */
/* LAPACK's SVD of one tall matrix, SVDGRAD_ALGO_VENDOR: divide and conquer (gesdd; M. Gu and S. C. Eisenstat, SIAM J. Matrix
 * Anal. Appl. 16, 1995), and QR iteration (gesvd) where gesdd does not converge. */
#include "cpu/cpu_kernels.h"
#include "arrays.h"
#include "lapack.h"

static int larger_lwork(int lwork, T query) {
  const int asked = (int)RE(query) + (int)((double)RE(query) * EPSILON) + 1; /* RE(query) may be rounded down */
  return asked > lwork ? asked : lwork;
}

/* Optimal workspace of both. */
static int gesdd_lwork(int64_t rows, int64_t columns, int vectors) {
  const int m = (int)rows, n = (int)columns, query = -1;
  const char *job = vectors ? "S" : "N";
  int info = 0, iwork = 0, lwork = 1;
  R rwork = 0, S = 0;
  T work = 0, A = 0;
  (void)rwork;
  LAPACK(gesdd)(job, &m, &n, &A, &m, &S, &A, &m, &A, &n, &work, &query, RWORK(&rwork) & iwork, &info, 1);
  lwork = larger_lwork(lwork, work);
  LAPACK(gesvd)(job, job, &m, &n, &A, &m, &S, &A, &m, &A, &n, &work, &query, RWORK(&rwork) & info, 1, 1);
  return larger_lwork(lwork, work);
}

static int lapack_gesdd(const void *arrays) {
  const dense_svd_t *w = arrays;
  const int m = (int)w->m, n = (int)w->n;
  int info = 0;
  LAPACK(gesdd)
  (w->U ? "S" : "N", &m, &n, w->A, &m, w->S, w->U, &m, w->Vh, &n, w->work, &w->lwork, RWORK(w->rwork) w->iwork, &info,
   1);
  return info == 0;
}

static int lapack_gesvd(const void *arrays) {
  const dense_svd_t *w = arrays;
  const int m = (int)w->m, n = (int)w->n;
  const char *job = w->U ? "S" : "N";
  int info = 0;
  LAPACK(gesvd)
  (job, job, &m, &n, w->A, &m, w->S, w->U, &m, w->Vh, &n, w->work, &w->lwork, RWORK(w->rwork) & info, 1, 1);
  return info == 0;
}

const gesdd_ops_t TYPED(cpu_gesdd) = {gesdd_lwork, lapack_gesdd, lapack_gesvd};
