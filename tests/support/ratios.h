/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors of a result in the units of LAPACK's own tests; ratios <= RATIO_LIMIT are as good as rounding allows.  The
 * largest ratio of each kind is kept with its case, and printed, so that slow drift is visible. */
#ifndef TEST_RATIOS_H
#define TEST_RATIOS_H
#include "fixture.h"

enum { RATIO_LIMIT = 30 }; /* LAPACK's threshold */

typedef struct worst {
  const char *what;
  double ratio;
  char where[160];
} worst_t;

worst_t worst_make(const char *what);
/* Keeps the ratio if it is the largest so far (NaN is larger than everything). */
void worst_note(worst_t *worst, double ratio, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Prints "ratio <what> ..."; non-zero if it is within `limit`. */
int worst_within(const worst_t *worst, double limit);

/* numerator / denominator, with 0 / 0 = 0. */
double ratio_of(long double numerator, long double denominator);

/* |A - U diag(S) Vh|_1 / (|A|_1 max(m, n) eps) of matrix b, from thin or full factors. */
double ratio_residual(const fixture_t *f, int64_t b);
/* |I - Q^H Q|_1 / (rows eps): orthonormal columns. */
double ratio_orthonormal(const dense_t *Q, double epsilon);

/* U, V (from Vh) and S of matrix b. */
dense_t load_U(const fixture_t *f, int64_t b);
dense_t load_V(const fixture_t *f, int64_t b);
/* Length k; to be freed. */
long double *load_S(const fixture_t *f, int64_t b);

#endif
