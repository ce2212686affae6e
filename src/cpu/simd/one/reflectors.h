/* SPDX-License-Identifier: BSD-3-Clause */
/* Householder reflectors of one matrix: its reduction to bidiagonal form (bidiagonal.h), the QR factorization of a
 * panel of a few columns (panel.h), products of reflectors with each other (gram.h), and blocks of rows between the caller's
 * memory and panels (row_block.h). */
#ifndef SVDGRAD_LANES_REFLECTORS_H
#define SVDGRAD_LANES_REFLECTORS_H
#include "base/team.h"
#include "product.h"

/* A = Q B P^H, m >= n; Q = H_0 .. H_(n-1), P = G_0 .. G_(n-2), H_k = I - tau v v^H.
 *
 * Columns of A, P, x and w consist of registers, with a lane for each row: row i of a complex column has its real part
 * at i / lanes * 2 lanes + i % lanes, and its imaginary part `lanes` reals behind.  A column begins at an address that
 * a register may be loaded from; lanes beyond the last row are zero. */
typedef struct reduction {
  int64_t m, n;
  int64_t a_stride,
      p_stride;        /* reals from a column to the next; p_stride 0: P is one column, overwritten in each step */
  void *A;             /* m-by-n; replaced by the v of H_k, in rows k.. of column k */
  void *P;             /* n-by-n, only written: the v of G_k, rows k+1.. of column k */
  void *d, *e;         /* n, n - 1 reals: the diagonal of B and the one above */
  void *tau_q, *tau_p; /* n, n - 1 elements */
  void *x, *w, *y;     /* work: two columns like those of A, n elements */
  void *partial;       /* work: reduction_blocks(n, n) - 1 columns like those of A */
  void *along;         /* work: reduction_blocks(n, n) elements */
  atomic_uint *met;    /* work: reduction_blocks(n, n) */
  team_t *team;
} reduction_t;

/* A step divides the columns on its right into equal blocks, which threads share: a power of two of them, so that two,
 * four or eight threads have equal shares, of LEAST_BLOCK columns or more.  Of fewer than LEAST_SHARED_COLUMNS columns
 * there is one block. */
enum { LEAST_SHARED_COLUMNS = 256, LEAST_BLOCK = 48 };

static inline int64_t reduction_blocks(int64_t n, int64_t columns) {
  int64_t blocks = 1;
  while (n >= LEAST_SHARED_COLUMNS && columns >= 2 * blocks * LEAST_BLOCK)
    blocks *= 2;
  return blocks;
}

/* A = Q R, rows >= columns; Q = H_0 .. H_(columns - 1). */
typedef struct panel {
  int64_t rows, columns;
  int64_t stride; /* reals from a column of A to the next */
  void *A;        /* rows-by-columns, as above; replaced by the v of H_k, in rows k.. of column k */
  void *triangle; /* R: columns-by-columns elements; those below the diagonal are not written */
  void *tau, *y;  /* columns elements; work: 2 columns elements */
  team_t *team;   /* NULL: this thread alone */
} panel_t;

/* X^H X, where column j of X begins at row first + j; only what is above the diagonal. */
typedef struct gram {
  int64_t first, rows, count;
  int64_t stride; /* reals from a column of X to the next */
  const void *X;
  void *gram; /* count-by-count elements */
} gram_t;

/* Rows of the caller's matrix, and the panel they are factored in. */
typedef struct row_block {
  int64_t rows, columns;
  void *caller;        /* NULL: absent */
  int64_t row, column; /* the caller's strides, in reals */
  int conjugated;      /* the panel is the conjugate of the caller's rows */
  void *panel;
  int64_t stride; /* reals from a column of the panel to the next */
  void *work;     /* row_block_work() reals */
} row_block_t;

/* U = Q [X; 0], where Q = H_0 .. H_(columns - 1) has the v of the H_k in the panel. */
typedef struct row_product {
  row_block_t block; /* whose `caller` becomes the first `kept` columns of U */
  int64_t kept;
  const void *tau; /* columns elements */
  const void *X;   /* columns-by-columns elements, by columns */
  int64_t ldx;
  void *gram, *factor; /* work: columns-by-columns elements each */
} row_product_t;

typedef struct reflector_ops {
  int lanes;
  void (*reduce)(const reduction_t *reduction);
  void (*factor)(const panel_t *panel);
  void (*multiply)(const gram_t *gram);
  /* Panel = 2^-e rows, such that the largest real or imaginary part is in [1, 2).  Returns this largest part as the
   * caller has it; NaN, without a useful panel, if an entry is not finite. */
  double (*load)(const row_block_t *block);
  void (*form)(const row_product_t *product);
  const product_ops_t *products; /* for blocks of reflectors (dense/reflectors.h) */
} reflector_ops_t;

/* Two groups of rows of U, each of `lanes` rows, and a transpose of short rows. */
static inline int64_t row_block_work(int64_t columns, int lanes) { return 4 * (columns + 1) * lanes; }

#endif
