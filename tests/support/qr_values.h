/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values by an algorithm that no backend takes first: LAPACK's gesvd, bidiagonal QR iteration (G. H. Golub and
 * C. Reinsch, Numer. Math. 14, 1970), in double precision.  Their errors are a few eps s_1. */
#ifndef TEST_QR_VALUES_H
#define TEST_QR_VALUES_H
#include <stdint.h>

/* A: m-by-n, column-major, real and imaginary parts in turn.  S: min(m, n), descending. */
void qr_values(int64_t m, int64_t n, const double *A, double *S);

#endif
