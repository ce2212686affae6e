/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps LAPACK and the BLAS on one thread while a call runs: the call is parallel over the batch, and its result must
 * not depend on the number of BLAS threads. */
#ifndef SVDGRAD_BLAS_THREADS_H
#define SVDGRAD_BLAS_THREADS_H

void blas_threads_open(void);    /* to be called first; makes a forked child start with no holders */
void blas_threads_hold(void);    /* one BLAS thread from now on; calls nest, also from several threads */
void blas_threads_release(void); /* the last release restores the number of BLAS threads */

#endif
