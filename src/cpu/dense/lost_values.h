/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a kernel may have lost non-zero singular values of a matrix.
 *
 * The SIMD kernel takes a column for zero if its squared norm is not a normal number.  If a row or a column is that
 * short relative to the largest entry, S ends with a wrong zero.  The reference algorithm, whose type has a wider
 * range, then solves the matrix again (cpu_lanes_svd.c).
 *
 * Where the caller takes logarithms (svd_call_t.keep_small), values that may be rounding noise count as lost, too. */
#ifndef SVDGRAD_DENSE_LOST_VALUES_H
#define SVDGRAD_DENSE_LOST_VALUES_H
#include "backend.h"
#include "base/type.h"
#include "base/strided.h"

/* Short: below about 2^-71 of the largest entry in float, 2^-685 in double.  These bounds have a margin. */
enum { SHORT_EXPONENT = sizeof(R) == sizeof(float) ? -60 : -660 };

static R largest_of(const svdgrad_matrix_t *A, int64_t b, int64_t i, int64_t j, int64_t rows, int64_t columns) {
  R largest = 0;
  for (int64_t r = i; r < i + rows; r++)
    for (int64_t c = j; c < j + columns; c++) {
      const T a = *element(A, b, r, c);
      largest = (R)fmax(largest, fmax(fabs((double)RE(a)), fabs((double)IM(a))));
    }
  return largest;
}

static int is_short(R largest, R all) { return largest > 0 && largest < (R)ldexp(all, SHORT_EXPONENT); }

/* Whether an entry other than zero is so small that its row and its column may be short: one pass, since zeros in S are
 * usual where matrices have a low rank. */
static int has_short_entry(const svdgrad_matrix_t *A, int64_t b, int64_t m, int64_t n) {
  R largest = 0, least = (R)INFINITY;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      const T a = *element(A, b, i, j);
      const R re = (R)fabs(RE(a)), im = (R)fabs(IM(a)), size = re > im ? re : im, other = size > 0 ? size : least;
      largest = size > largest ? size : largest;
      least = other < least ? other : least;
    }
  return largest > 0 && is_short(least, largest);
}

static int cpu_lost_values(const svd_call_t *call, int64_t b) {
  const problem_t *p = &call->p;
  const R first = *entry(&call->S, b, 0), last = *entry(&call->S, b, p->k - 1);
  if (call->keep_small)
    return first > 0 && last <= 4 * (R)(p->m < p->n ? p->n : p->m) * EPSILON * first;
  if (last != 0)
    return 0; /* the usual case */
  if (!has_short_entry(&call->A, b, p->m, p->n))
    return 0;
  const R all = largest_of(&call->A, b, 0, 0, p->m, p->n);
  for (int64_t i = 0; i < p->m; i++)
    if (is_short(largest_of(&call->A, b, i, 0, 1, p->n), all))
      return 1;
  for (int64_t j = 0; j < p->n; j++)
    if (is_short(largest_of(&call->A, b, 0, j, p->m, 1), all))
      return 1;
  return 0;
}

#endif
