/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices of which a kernel may have lost non-zero singular values, and are solved again (graded.h).
 *
 * Jacobi in lanes takes a column for zero if its squared norm is not a normal number.  If a row or a column is that
 * short relative to the largest entry, S may end with a wrong zero.
 *
 * Where the caller takes logarithms (svd_call_t.keep_small), values that may be rounding noise count as lost, too. */
#ifndef SVDGRAD_DENSE_LOST_VALUES_H
#define SVDGRAD_DENSE_LOST_VALUES_H
#include "graded.h"

/* Short: below about 2^-71 of the largest entry in float, 2^-685 in double.  These bounds have a margin. */
enum { SHORT_EXPONENT = sizeof(R) == sizeof(float) ? -60 : -660 };

static R largest_of(const svdgrad_matrix_t *A, int64_t b, int64_t i, int64_t j, int64_t rows, int64_t columns) {
  R largest = 0;
  for (int64_t r = i; r < i + rows; r++)
    for (int64_t c = j; c < j + columns; c++) {
      const R size = (R)graded_size((W)*element(A, b, r, c));
      largest = size > largest ? size : largest;
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

static int has_short_line(const svdgrad_matrix_t *A, int64_t b, int64_t m, int64_t n) {
  if (!has_short_entry(A, b, m, n))
    return 0;
  const R all = largest_of(A, b, 0, 0, m, n);
  for (int64_t i = 0; i < m; i++)
    if (is_short(largest_of(A, b, i, 0, 1, n), all))
      return 1;
  for (int64_t j = 0; j < n; j++)
    if (is_short(largest_of(A, b, 0, j, m, 1), all))
      return 1;
  return 0;
}

static int may_be_noise(const svd_call_t *call, int64_t b) {
  const problem_t *p = &call->p;
  const R first = *entry(&call->S, b, 0), last = *entry(&call->S, b, p->k - 1);
  return first > 0 && last <= 4 * (R)(p->m < p->n ? p->n : p->m) * EPSILON * first;
}

/* has_zero: Jacobi in lanes found that the last one of all values, also of those that the caller does not want, is zero. */
static void solve_again(const svd_call_t *call, int64_t b, int has_zero, arena_t scratch) {
  const problem_t *p = &call->p;
  if (call->keep_small ? may_be_noise(call, b) : has_zero && has_short_line(&call->A, b, p->m, p->n))
    graded_svd(call, b, scratch);
}

#endif
