/* SPDX-License-Identifier: BSD-3-Clause */
/* SIMD kernels along the rows of one matrix (rows.c). A row is `count` neighbouring elements; rows lie `stride`
 * elements apart.  x and w are stored as vectors of reals (rows.c), twice the elements for complex types. */
#ifndef SVDGRAD_ROWS_H
#define SVDGRAD_ROWS_H
#include <stdint.h>

typedef struct row_ops {
  double (*largest)(const void *row, int64_t count); /* real or imaginary part; NaN if one is not finite */
  /* y_i = sum_j a_ij (factor x_j) */
  void (*products)(const void *A, int64_t stride, int64_t rows, int64_t count, double factor, const void *x, void *y);
  /* w_j += sum_i conj(a_ij) y_i */
  void (*sums)(const void *A, int64_t stride, int64_t rows, int64_t count, const void *y, void *w);
} row_ops_t;

#endif
