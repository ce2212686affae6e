/* SPDX-License-Identifier: BSD-3-Clause */
/* Reduction of one matrix to bidiagonal form (bidiagonal.inc). */
#ifndef SVDGRAD_LANES_BIDIAGONAL_H
#define SVDGRAD_LANES_BIDIAGONAL_H
#include <stdint.h>

/* A = Q B P^H, m >= n; Q = H_0 .. H_(n-1), P = G_0 .. G_(n-2), H_k = I - tau v v^H.
 *
 * Columns of A, P, x and w are of registers, a lane for each row: row i of a complex one has its real part at
 * i / lanes * 2 lanes + i % lanes, its imaginary part `lanes` behind.  They begin where a register may be loaded from, and
 * lanes beyond the last row are zero. */
typedef struct reduction {
  int64_t m, n;
  int64_t a_stride, p_stride; /* reals from a column to the next; p_stride 0: P is one column, which is written anew */
  void *A;                    /* m-by-n; goes to the v of H_k, rows k.. of column k */
  void *P;                    /* n-by-n, only written: the v of G_k, rows k+1.. of column k */
  void *d, *e;                /* n, n - 1 reals: the diagonal of B and the one above */
  void *tau_q, *tau_p;        /* n, n - 1 elements */
  void *x, *w, *y;            /* work: two columns like those of A, n elements */
} reduction_t;

typedef struct bidiagonal_ops {
  int lanes;
  void (*reduce)(const reduction_t *reduction);
} bidiagonal_ops_t;

#endif
