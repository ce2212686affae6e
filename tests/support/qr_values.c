/* SPDX-License-Identifier: BSD-3-Clause */
#include "qr_values.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fortran: complex numbers are pairs, the lengths of character arguments come last. */
void zgesvd_(const char *jobu, const char *jobvt, const int *m, const int *n, double *A, const int *lda, double *S,
             double *U, const int *ldu, double *Vt, const int *ldvt, double *work, const int *lwork, double *rwork,
             int *info, size_t, size_t);

void qr_values(int64_t m, int64_t n, const double *A, double *S) {
  const int rows = (int)m, columns = (int)n, one = 1, lwork = 4 * (rows + columns);
  double *copy = malloc((size_t)(2 * m * n) * sizeof *copy), *work = malloc((size_t)(2 * lwork) * sizeof *work);
  double *rwork = malloc((size_t)(5 * (m < n ? m : n)) * sizeof *rwork);
  int info = 1;
  if (copy && work && rwork) {
    memcpy(copy, A, (size_t)(2 * m * n) * sizeof *copy);
    zgesvd_("N", "N", &rows, &columns, copy, &rows, S, NULL, &one, NULL, &one, work, &lwork, rwork, &info, 1, 1);
  }
  if (info) {
    fputs("test: zgesvd failed\n", stderr);
    abort();
  }
  free(copy);
  free(work);
  free(rwork);
}
