/* SPDX-License-Identifier: BSD-3-Clause */
/* LAPACK and BLAS on one thread while a call runs: the batch is what is parallel, and a result must not depend on how
 * many threads the BLAS would have taken. */
#ifndef SVDGRAD_BLAS_THREADS_H
#define SVDGRAD_BLAS_THREADS_H

void blas_threads_open(void);    /* once before the others, so that a child forked in between starts afresh */
void blas_threads_hold(void);    /* one thread from here on; calls nest, also from several threads */
void blas_threads_release(void); /* the last one gives the BLAS its threads back */

#endif
