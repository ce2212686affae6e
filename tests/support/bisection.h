/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values by an algorithm that no backend has: Householder reduction to bidiagonal form and bisection, in long double.
 * Their errors are far below those of double. */
#ifndef TEST_BISECTION_H
#define TEST_BISECTION_H
#include <stdint.h>

/* The number of singular values below x > 0 of the n-by-n matrix of d, and of e above. */
int64_t bidiagonal_count_below(int64_t n, const long double *d, const long double *e, long double x);

/* A: m-by-n, column-major, real and imaginary parts in turn.  S: min(m, n), descending. */
void bisected_values(int64_t m, int64_t n, const double *A, double *S);

#endif
