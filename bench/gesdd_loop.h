/* SPDX-License-Identifier: BSD-3-Clause */
/* What the library is compared with: LAPACK's gesdd in a loop over the batch, as one writes it without a library.  The
 * workspace is asked for once; every matrix is copied, because gesdd destroys its input; U and Vh go to their place. */
#ifndef GESDD_LOOP_H
#define GESDD_LOOP_H
#include <svdgrad/svdgrad.h>

/* The address of a LAPACK's gesdd, whose arguments depend on the element type (gesdd_kernels.c); NULL: the one that this
 * program is linked with. */
typedef void gesdd_t(void);

typedef struct gesdd_loop {
  gesdd_t *gesdd;
  svdgrad_dtype_t dtype;
  int m, n, vectors; /* without vectors gesdd computes singular values alone */
  int lwork;
  void *copy, *work, *rwork; /* owned */
  int *iwork;
} gesdd_loop_t;

gesdd_loop_t gesdd_loop_make(gesdd_t *gesdd, svdgrad_dtype_t dtype, int64_t m, int64_t n, int vectors);
void gesdd_loop_free(gesdd_loop_t *loop);

/* All arrays packed and column-major: A m-by-n, S k, U m-by-k, Vh k-by-n.  Number of matrices that did not converge. */
int64_t gesdd_loop_run(const gesdd_loop_t *loop, int64_t batch_count, const void *A, void *S, void *U, void *Vh);

#endif
