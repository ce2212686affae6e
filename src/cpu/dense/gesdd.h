/* SPDX-License-Identifier: BSD-3-Clause */
/* LAPACK's SVD of one tall matrix: divide and conquer (gesdd; M. Gu and S. C. Eisenstat, SIAM J. Matrix Anal. Appl. 16,
 * 1995), and QR iteration (gesvd) where gesdd does not converge. */
#ifndef SVDGRAD_DENSE_GESDD_H
#define SVDGRAD_DENSE_GESDD_H
#include "base/arena.h"
#include "lapack.h"

typedef struct lapack_svd {
  int m, n, mn, lwork;
  T *A;        /* m-by-n, destroyed */
  R *S;        /* mn */
  T *U, *Vh;   /* m-by-mn, mn-by-n; NULL: values only */
  int leading; /* columns of U and rows of Vh that are wanted: the bidiagonal path computes no others */
  T *work;
  R *rwork;
  int *iwork;
} lapack_svd_t;

/* The sizes below are those of LAPACK 3.7 and later; older versions need less. */
static lapack_svd_t lapack_svd_take(arena_t *arena, int64_t m, int64_t n, int vectors, int lwork) {
  const int64_t mn = m < n ? m : n, mx = m < n ? n : m;
  lapack_svd_t w = {.m = (int)m, .n = (int)n, .mn = (int)mn, .leading = (int)mn, .lwork = lwork};
  w.A = arena_take(arena, m * n, sizeof(T));
  w.S = arena_take(arena, mn, sizeof(R));
  if (vectors) {
    w.U = arena_take(arena, m * mn, sizeof(T));
    w.Vh = arena_take(arena, mn * n, sizeof(T));
  }
  w.work = arena_take(arena, lwork, sizeof(T));
  if (IS_COMPLEX)
    w.rwork =
        arena_take(arena, vectors ? mn * (5 * mn + 5 > 2 * mx + 2 * mn + 1 ? 5 * mn + 5 : 2 * mx + 2 * mn + 1) : 7 * mn,
                   sizeof(R));
  w.iwork = arena_take(arena, 8 * mn, sizeof(int));
  return w;
}

static int larger_lwork(int lwork, T query) {
  const int asked = (int)RE(query) + (int)((double)RE(query) * EPSILON) + 1; /* RE(query) may be rounded down */
  return asked > lwork ? asked : lwork;
}

/* Optimal workspace for all LAPACK routines that the SVD calls, on the bidiagonal path or with gesdd. */
static int svd_lwork(int m, int n, int vectors, int full, int bidiagonal) {
  const int mn = m < n ? m : n, mx = m < n ? n : m, query = -1;
  const char *job = vectors ? "S" : "N";
  int info = 0, iwork = 0, lwork = 1;
  R rwork = 0, S = 0;
  T work = 0, A = 0;
  (void)rwork;
  if (!bidiagonal) {
    LAPACK(gesdd)(job, &m, &n, &A, &m, &S, &A, &m, &A, &mn, &work, &query, RWORK(&rwork) & iwork, &info, 1);
    lwork = larger_lwork(lwork, work);
  }
  LAPACK(gesvd)(job, job, &m, &n, &A, &m, &S, &A, &m, &A, &mn, &work, &query, RWORK(&rwork) & info, 1, 1);
  lwork = larger_lwork(lwork, work);
  if (full) {
    LAPACK(geqrf)(&mx, &mn, &A, &mx, &A, &work, &query, &info);
    lwork = larger_lwork(lwork, work);
    ORGQR(&mx, &mx, &mn, &A, &mx, &A, &work, &query, &info);
    lwork = larger_lwork(lwork, work);
  }
  return lwork;
}

/* SVD of w->A, which is destroyed.  Returns 0 if gesdd did not converge. */
static int lapack_gesdd(const lapack_svd_t *w) {
  int info = 0;
  LAPACK(gesdd)
  (w->U ? "S" : "N", &w->m, &w->n, w->A, &w->m, w->S, w->U, &w->m, w->Vh, &w->mn, w->work, &w->lwork,
   RWORK(w->rwork) w->iwork, &info, 1);
  return info == 0;
}

static int lapack_gesvd(const lapack_svd_t *w) {
  const char *job = w->U ? "S" : "N";
  int info = 0;
  LAPACK(gesvd)
  (job, job, &w->m, &w->n, w->A, &w->m, w->S, w->U, &w->m, w->Vh, &w->mn, w->work, &w->lwork, RWORK(w->rwork) & info, 1,
   1);
  return info == 0;
}

#endif
