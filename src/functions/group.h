/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of programs that are worth a SIMD kernel (cpu/simd/many/programs.c).  A group is matrices
 * first..first+count-1 of the batch, count <= lanes, one per SIMD lane.  Real number r of a packed array (a complex
 * element has two) is stored for all lanes at r * lanes.  The contents of unused lanes do not matter. */
#ifndef SVDGRAD_GROUP_H
#define SVDGRAD_GROUP_H
#include <svdgrad/svdgrad.h>

enum { GROUP_MOST_LANES = 16 };

/* c = alpha op(A) op(B) + beta c, op(A) m-by-k. */
typedef struct group_product {
  int64_t m, n, k;
  int hermitian_a, hermitian_b;
  double alpha, beta;
  const void *A, *B;
  void *c;
  int64_t lda, ldb, ldc;
} group_product_t;

/* load: packed = op(matrix).  store: matrix = alpha op(packed) + beta matrix. */
typedef struct group_copy {
  svdgrad_matrix_t matrix; /* the caller's */
  void *packed;            /* rows-by-columns */
  int64_t rows, columns;
  int hermitian;
  double alpha, beta;
  int64_t first;
  int count;
} group_copy_t;

typedef struct group_ops {
  int lanes;
  void (*load)(const group_copy_t *copy);
  void (*store)(const group_copy_t *copy);
  void (*multiply)(const group_product_t *product);
  void (*scale_columns)(void *packed, int64_t rows, int64_t columns, const void *factor);
} group_ops_t;

#endif
