/* SPDX-License-Identifier: BSD-3-Clause */
/* One tall matrix and its SVD, packed by columns, and the work arrays of LAPACK for it (gesdd.c). */
#ifndef SVDGRAD_DENSE_ARRAYS_H
#define SVDGRAD_DENSE_ARRAYS_H
#include "base/arena.h"
#include "base/type.h"

typedef struct dense_svd {
  int64_t m, n;
  int64_t leading; /* columns of U and rows of Vh that are wanted: the bidiagonal path computes no others */
  T *A;            /* m-by-n, destroyed */
  R *S;            /* n */
  T *U, *Vh;       /* m-by-n, n-by-n; NULL: values only */
  int lwork;       /* elements of `work`; 0: LAPACK is not called */
  T *work;
  R *rwork;
  int *iwork;
} dense_svd_t;

/* The sizes below are those of LAPACK 3.7 and later; older versions need less. */
static inline dense_svd_t dense_svd_take(arena_t *arena, int64_t m, int64_t n, int vectors, int lwork) {
  dense_svd_t w = {.m = m, .n = n, .leading = n, .lwork = lwork};
  w.A = arena_take(arena, m * n, sizeof(T));
  w.S = arena_take(arena, n, sizeof(R));
  if (vectors) {
    w.U = arena_take(arena, m * n, sizeof(T));
    w.Vh = arena_take(arena, n * n, sizeof(T));
  }
  if (lwork == 0)
    return w;
  w.work = arena_take(arena, lwork, sizeof(T));
  if (IS_COMPLEX) {
    const int64_t shorter = 5 * n + 5, longer = 2 * m + 2 * n + 1;
    w.rwork = arena_take(arena, vectors ? n * (shorter > longer ? shorter : longer) : 7 * n, sizeof(R));
  }
  w.iwork = arena_take(arena, 8 * n, sizeof(int));
  return w;
}

#endif
