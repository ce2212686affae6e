/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices of small integers: all of one shape, or random sparse and structured ones.  Many have exactly orthogonal or
 * dependent columns, ties or zeros, which random real numbers never give. */
#ifndef TEST_INTEGERS_H
#define TEST_INTEGERS_H
#include "buffer.h"

typedef struct integers {
  int64_t m, n, count;
  double *at; /* owned; real and imaginary part of element (i, j) of matrix b: at[2 * ((b * n + j) * m + i)] and next */
} integers_t;

/* Every matrix with entries least..most; with a stride, every so many of them. */
integers_t integers_all(int64_t m, int64_t n, int least, int most, int64_t stride);

/* In turn: a fifth of the entries in -3..3, half of them in -2..2, scaled permutations, permuted block diagonals of
 * blocks of one to three rows and columns.  Gaussian integers if `is_complex`. */
integers_t integers_sparse(int64_t m, int64_t n, int64_t count, int is_complex, uint64_t seed);

/* Multiplies rows and columns by 1, i, -1 or -i each: singular values stay. */
void integers_turn(const integers_t *x);

void integers_free(integers_t *x);

const double *integers_matrix(const integers_t *x, int64_t b);
/* Into an operand of that shape and number of matrices. */
void integers_store(const integers_t *x, const buffer_t *A);

#endif
