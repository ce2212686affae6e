/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of matrices, c = alpha op(A) op(B) + beta c (functions/group.h), packed by columns.
 *
 * Every c_ij is one chain of multiplications and additions in the order of l, cut at multiples of a number that depends
 * on k alone.  Its bits therefore depend on row i of op(A), column j of op(B), c_ij, alpha, beta and k, and on nothing
 * else: not on m and n, on addresses, on which path a product takes.  Hence
 *
 *   - the leading columns of a product are those of a product with fewer columns, and
 *   - threads may share a product: give each a range of columns of c and B (rows of B for B^H), or of rows of c and A,
 *     as a product of its own with work memory of its own.  Ranges of columns are better the fewer rows there are, and
 *     any range will do. */
#ifndef SVDGRAD_ONE_PRODUCT_H
#define SVDGRAD_ONE_PRODUCT_H
#include "functions/group.h"

#include <stddef.h>

typedef struct product_ops {
  /* Bytes of work memory for products with m, n and k up to `largest`: never more than a constant. */
  size_t (*work)(int64_t largest);
  /* beta = 0: c is only written.  alpha = 0 or k = 0: A and B are not read.  `work` has the alignment of an arena. */
  void (*multiply)(const group_product_t *product, void *work);
} product_ops_t;

#endif
