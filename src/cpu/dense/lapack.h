/* SPDX-License-Identifier: BSD-3-Clause */
/* Declarations of the LAPACK routines in use.  They are Fortran: 32-bit integers, column-major, and the lengths
 * of character arguments come last and by value.  A typed file (type.h). */
#ifndef SVDGRAD_DENSE_LAPACK_H
#define SVDGRAD_DENSE_LAPACK_H
#include "base/type.h"

#include <stddef.h>

#if IS_COMPLEX
#define RWORK_PARAMETER R *rwork,
#define RWORK(pointer)  pointer,
#else
#define RWORK_PARAMETER
#define RWORK(pointer)
#endif

void LAPACK(gesdd)(const char *jobz, const int *m, const int *n, T *A, const int *lda, R *S, T *U, const int *ldu,
                   T *Vh, const int *ldvh, T *work, const int *lwork, RWORK_PARAMETER int *iwork, int *info, size_t);
void LAPACK(gesvd)(const char *jobu, const char *jobvh, const int *m, const int *n, T *A, const int *lda, R *S, T *U,
                   const int *ldu, T *Vh, const int *ldvh, T *work, const int *lwork, RWORK_PARAMETER int *info, size_t,
                   size_t);

#endif
