/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices with rows or columns so short that their squares leave the range of the type.  JACOBI keeps the digits of their
 * values, however the matrix is solved; where it is singular whatever the length of its rows and columns, zeros are right
 * and need no second solution.  AUTO's other algorithms take such a row for the rounding noise that it is. */
#include "cases.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <math.h>

static int is_single(svdgrad_dtype_t dtype) { return dtype_real(dtype) == SVDGRAD_F32; }

static void factorize(fixture_t *f, int with) {
  cr_assert_eq(fixture_forward(f, with), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(f->intact);
}

static double value_of(const fixture_t *f, int64_t b, int64_t j) { return (double)creall(buffer_get(&f->S, b, j, 0)); }

static fixture_t start(svdgrad_dtype_t dtype, svdgrad_algo_t algo, int64_t m, int64_t n, int64_t batch_count) {
  svdgrad_desc_t desc = make_desc(dtype, m, n, batch_count);
  desc.algo = algo;
  return fixture_make(SVDGRAD_BACKEND_CPU, &desc, LAYOUT_COLUMN_MAJOR);
}

static void for_all(void (*check)(svdgrad_dtype_t dtype, int64_t m, int64_t n)) {
  static const int64_t shapes[][2] = {{2, 2},   {3, 3},   {4, 4},   {5, 5},  {6, 6},  {9, 9},   {16, 16}, {17, 17},
                                      {25, 25}, {33, 33}, {40, 40}, {12, 5}, {5, 12}, {40, 17}, {17, 40}};
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
      check(dtype, shapes[i][0], shapes[i][1]);
}

/* ---- singular ones ---- */

/* Small integers, the second column equal to the first one (m < n: rows), and the last row and column times `factor`. */
static void fill_singular(const fixture_t *f, int64_t b, long double factor) {
  const int64_t m = f->desc.m, n = f->desc.n;
  dense_t A = make_matrix(SPECTRUM_NORMAL, f->desc.dtype, m, n, (uint64_t)b);
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < m; i++) {
      const z_t x = A.at[(m >= n && j == 1 ? 0 : j) * m + (m < n && i == 1 ? 0 : i)];
      const long double by = i == m - 1 || (n > 2 && j == n - 1) ? factor : 1;
      buffer_set(&f->A, b, i, j, CMPLXL(by * (1 + rintl(4 * creall(x))), by * rintl(4 * cimagl(x))));
    }
  dense_free(&A);
}

static long double tiny(svdgrad_dtype_t dtype) { return is_single(dtype) ? 0x1p-100L : 0x1p-900L; }

/* The last value is exactly zero. */
static void check_zero(svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  fixture_t f = start(dtype, SVDGRAD_ALGO_JACOBI, m, n, 3);
  const double eps = dtype_epsilon(dtype);
  for (int64_t b = 0; b < 3; b++)
    fill_singular(&f, b, tiny(dtype));
  factorize(&f, WITH_VECTORS);
  for (int64_t b = 0; b < 3; b++) {
    dense_t U = load_U(&f, b), V = load_V(&f, b);
    cr_expect(f.info[b] == SVDGRAD_INFO_OK && value_of(&f, b, f.S.rows - 1) == 0, "%s %dx%d: %g", dtype_name(dtype),
              (int)m, (int)n, value_of(&f, b, f.S.rows - 1));
    cr_expect(ratio_residual(&f, b) <= RATIO_LIMIT && ratio_orthonormal(&U, eps) <= RATIO_LIMIT &&
              ratio_orthonormal(&V, eps) <= RATIO_LIMIT);
    dense_free(&U), dense_free(&V);
  }
  fixture_free(&f);
}

Test(short_lines, singular_matrices_keep_their_zero) { for_all(check_zero); }

/* The qd algorithm and QR iteration: bit for bit what a row and a column of zeros give. */
static void check_noise(svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  for (int with = 0; with <= WITH_VECTORS; with += WITH_VECTORS) {
    fixture_t f = start(dtype, SVDGRAD_ALGO_AUTO, m, n, 1), zero = start(dtype, SVDGRAD_ALGO_AUTO, m, n, 1);
    const char *name = svdgrad_algorithm_name(f.handle, with ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS, &f.desc);
    if (name[0] == 'q' || name[0] == 'd') { /* qr-lanes, dqds-lanes */
      fill_singular(&f, 0, tiny(dtype));
      fill_singular(&zero, 0, 0);
      factorize(&f, with);
      factorize(&zero, with);
      cr_expect(buffer_same_bits(&f.S, 0, &zero.S, 0), "%s %s %dx%d", name, dtype_name(dtype), (int)m, (int)n);
    }
    fixture_free(&f), fixture_free(&zero);
  }
}

Test(short_lines, other_algorithms_take_them_for_noise) { for_all(check_noise); }

/* ---- those of full rank ---- */

/* Columns (rows, if m < n) of a well-conditioned matrix times powers of two in disorder, from 1 to the least that leaves the
 * digits of the entries. */
static void fill_graded(const fixture_t *f, int64_t b) {
  const int range = is_single(f->desc.dtype) ? 100 : 960;
  const int64_t k = f->desc.m < f->desc.n ? f->desc.m : f->desc.n;
  dense_t A = make_matrix(SPECTRUM_LINEAR, f->desc.dtype, f->desc.m, f->desc.n, (uint64_t)b);
  for (int64_t j = 0; j < A.n; j++)
    for (int64_t i = 0; i < A.m; i++) {
      const int64_t line = f->desc.m < f->desc.n ? i : j, place = (line * 7 + b) % k;
      const int power = -(int)(range * place / (k - 1));
      z_t *a = &A.at[i + j * A.m];
      *a = CMPLXL(ldexpl(creall(*a), power), ldexpl(cimagl(*a), power));
    }
  buffer_store(&f->A, b, &A);
  dense_free(&A);
}

static void check_values(const fixture_t *f, const fixture_t *reference, int64_t b) {
  for (int64_t j = 0; j < f->S.rows; j++) {
    const double expected = value_of(reference, b, j), got = value_of(f, b, j);
    cr_expect(fabs(got - expected) <= 4 * (double)f->S.rows * dtype_epsilon(f->desc.dtype) * expected,
              "%s %d x %d value %d: %g, not %g", dtype_name(f->desc.dtype), (int)f->desc.m, (int)f->desc.n, (int)j, got,
              expected);
  }
}

/* AUTO's algorithms, too: squares of short columns are no normal numbers where those of others are. */
static void check_factors(svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  fixture_t f = start(dtype, SVDGRAD_ALGO_AUTO, m, n, 4);
  const double eps = dtype_epsilon(dtype);
  for (int64_t b = 0; b < 4; b++)
    fill_graded(&f, b);
  factorize(&f, WITH_VECTORS);
  for (int64_t b = 0; b < 4; b++) {
    dense_t U = load_U(&f, b), V = load_V(&f, b);
    cr_expect(ratio_residual(&f, b) <= RATIO_LIMIT && ratio_orthonormal(&U, eps) <= RATIO_LIMIT &&
                  ratio_orthonormal(&V, eps) <= RATIO_LIMIT,
              "%s %dx%d: %g %g %g", dtype_name(dtype), (int)m, (int)n, ratio_residual(&f, b),
              ratio_orthonormal(&U, eps), ratio_orthonormal(&V, eps));
    dense_free(&U), dense_free(&V);
  }
  fixture_free(&f);
}

Test(short_lines, factors_of_every_algorithm) { for_all(check_factors); }

/* The reference computes with a wider type.  Further columns and the gauge are those of every matrix. */
static void check_graded(svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  for (int full = 0; full < 2; full++) {
    svdgrad_desc_t desc = make_desc(dtype, m, n, 2);
    desc.algo = SVDGRAD_ALGO_JACOBI, desc.full_matrices = full, desc.positive_gauge = 1;
    fixture_t f = fixture_make(SVDGRAD_BACKEND_CPU, &desc, full ? LAYOUT_GENERAL : LAYOUT_ROW_MAJOR);
    fixture_t reference = fixture_make(SVDGRAD_BACKEND_REF, &desc, LAYOUT_COLUMN_MAJOR);
    const double eps = dtype_epsilon(dtype);
    for (int64_t b = 0; b < 2; b++)
      fill_graded(&f, b), fill_graded(&reference, b);
    factorize(&f, WITH_VECTORS);
    factorize(&reference, 0);
    for (int64_t b = 0; b < 2; b++) {
      dense_t U = load_U(&f, b), V = load_V(&f, b);
      check_values(&f, &reference, b);
      cr_expect(ratio_residual(&f, b) <= RATIO_LIMIT && ratio_orthonormal(&U, eps) <= RATIO_LIMIT &&
                    ratio_orthonormal(&V, eps) <= RATIO_LIMIT,
                "%s %dx%d full %d: %g %g %g", dtype_name(dtype), (int)m, (int)n, full, ratio_residual(&f, b),
                ratio_orthonormal(&U, eps), ratio_orthonormal(&V, eps));
      dense_free(&U), dense_free(&V);
    }
    factorize(&f, 0);
    for (int64_t b = 0; b < 2; b++)
      check_values(&f, &reference, b);
    fixture_free(&f), fixture_free(&reference);
  }
}

Test(short_lines, jacobi_keeps_their_digits) { for_all(check_graded); }

/* The leading triplets have the bits that they have in the whole. */
static void check_leading(svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  const int64_t k = m < n ? m : n;
  for (int64_t rank = 1; rank<k; rank += k> 8 ? 3 : 1) {
    svdgrad_desc_t desc = make_desc(dtype, m, n, 2);
    desc.algo = SVDGRAD_ALGO_JACOBI;
    fixture_t whole = fixture_make(SVDGRAD_BACKEND_CPU, &desc, LAYOUT_COLUMN_MAJOR);
    desc.rank = rank;
    fixture_t part = fixture_make(SVDGRAD_BACKEND_CPU, &desc, LAYOUT_COLUMN_MAJOR);
    fill_graded(&whole, 0), fill_graded(&part, 0);
    fill_singular(&whole, 1, tiny(dtype)), fill_singular(&part, 1, tiny(dtype));
    factorize(&whole, WITH_VECTORS);
    factorize(&part, WITH_VECTORS);
    for (int64_t b = 0; b < 2; b++)
      for (int64_t j = 0; j < rank; j++) {
        int same = buffer_get(&whole.S, b, j, 0) == buffer_get(&part.S, b, j, 0);
        for (int64_t i = 0; i < m; i++)
          same &= buffer_get(&whole.U, b, i, j) == buffer_get(&part.U, b, i, j);
        for (int64_t i = 0; i < n; i++)
          same &= buffer_get(&whole.Vh, b, j, i) == buffer_get(&part.Vh, b, j, i);
        cr_expect(same, "%s %dx%d rank %d matrix %d: triplet %d differs", dtype_name(dtype), (int)m, (int)n, (int)rank,
                  (int)b, (int)j);
      }
    fixture_free(&whole), fixture_free(&part);
  }
}

Test(short_lines, leading_triplets_are_those_of_the_whole) { for_all(check_leading); }
