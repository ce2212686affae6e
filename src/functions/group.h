/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of programs that are worth a SIMD kernel (cpu/simd/many/programs.c).  A group is matrices
 * first..first+count-1 of the batch, count <= lanes, one per SIMD lane.  Real number r of a packed array (a complex
 * element has two) is stored for all lanes at r * lanes.  The contents of unused lanes do not matter. */
#ifndef SVDGRAD_GROUP_H
#define SVDGRAD_GROUP_H
#include "functions/forms.h"

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

/* The matrices of a group. */
typedef struct group {
  const struct problem *p;
  int64_t first;
  int count;
} group_t;

typedef struct group_ops {
  int lanes;
  void (*load)(const group_copy_t *copy);
  void (*store)(const group_copy_t *copy);
  void (*multiply)(const group_product_t *product);
  void (*scale_columns)(void *packed, int64_t rows, int64_t columns, const void *factor);
  /* As the operations of these names in functions/machine.h. */
  void (*load_reals)(const group_t *group, const svdgrad_vector_t *from, int64_t count, void *to);
  void (*store_reals)(const group_t *group, const void *from, int64_t count, const svdgrad_vector_t *to);
  void (*load_values)(const group_t *group, const svdgrad_vector_t *S, const int32_t *exponent, const values_t *to);
  void (*normalize)(const int *exponent, int64_t elements, void *X);
  void (*determinant_phase)(void *X, int64_t n, void *phase);
  void (*form_backward)(const group_t *group, const backward_form_t *form);
  /* These return 0 for a kind that they do not have: it is computed lane by lane.  That does not depend on the values. */
  int (*form_values)(const group_t *group, const function_form_t *form);
  int (*form_pairs)(const group_t *group, const function_form_t *form);
  int (*form_norm)(const group_t *group, const norm_form_t *form);
} group_ops_t;

#endif
