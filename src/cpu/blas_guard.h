/* SPDX-License-Identifier: BSD-3-Clause */
/* What LAPACK and the BLAS need from their callers.
 *
 * One thread: a call is parallel over the batch, and its result must not depend on the number of BLAS threads.
 *
 * No fork during a call: the child would inherit the BLAS's locks as other threads hold them, and wait for them for ever
 * (seen with OpenBLAS's lock of its thread count, and its lock of its buffers).  A fork therefore waits until no thread
 * computes a matrix with the BLAS; threads that go on to their next matrix wait for the fork. */
#ifndef SVDGRAD_BLAS_GUARD_H
#define SVDGRAD_BLAS_GUARD_H

void blas_guard_open(void); /* to be called first; forks wait from now on */

void blas_hold_threads(void);    /* one BLAS thread from now on; calls nest, also from several threads */
void blas_release_threads(void); /* the last release restores the number of BLAS threads */

void blas_enter(void); /* before and after the BLAS calls for one matrix, in their thread; they do not nest */
void blas_leave(void);

#endif
