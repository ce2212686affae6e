/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors of one matrix for the functions of the SVD, as bench_accuracy.h states them but for eps. */
#ifndef BENCH_FUNCTIONS_ACCURACY_H
#define BENCH_FUNCTIONS_ACCURACY_H
#include "functions.h"

double jvp_error(const functions_t *x, int64_t b);
double polar_error(const functions_t *x, int64_t b);
double nuclear_error(const functions_t *x, int64_t b);

static inline double larger(double x, double y) { return y <= x ? x : y; } /* a NaN y stays */

#endif
