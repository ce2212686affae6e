/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of problems: shapes, spectra and settings that the mathematical tests run over. */
#include "cases.h"

#include "buffer.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const test_shape_t whole[] = {
    {1, 1},   {1, 5},   {5, 1},  {2, 2},  {3, 3},   {4, 4},   {3, 2},   {2, 3},
    {5, 4},   {4, 7},   {8, 8},  {9, 9},  {16, 16}, {17, 11}, {11, 17}, /* the small table ends here */
    {32, 32}, {33, 33}, {60, 7}, {7, 60}, {40, 20}, {20, 40},
};
enum { WHOLE_COUNT = sizeof whole / sizeof *whole, SMALL_COUNT = WHOLE_COUNT - 6 };
static const test_shape_t tiny[] = {{1, 1}, {3, 3}, {5, 4}, {4, 7}, {9, 9}, {17, 11}};
static const test_shape_t tiers[] = {{1, 1}, {3, 3}, {5, 4}, {4, 7}, {17, 11}, {11, 17}, {33, 33}, {40, 34}};
static const test_shape_t medium[] = {{70, 66}, {67, 135}, {97, 98}}; /* complex types: the second by QR first */
static const test_shape_t large[] = {{48, 48}, {70, 66}, {60, 100}, {91, 90}, {130, 129}, {164, 161}};

test_table_t test_table = TABLE_WHOLE;
const test_shape_t *test_shapes = whole;
int test_shape_count = WHOLE_COUNT;
int test_sampled = TEST_SAMPLED;

static const struct table {
  const char *name;
  test_table_t table;
  const test_shape_t *shapes;
  int count;
} tables[] = {
    {"whole", TABLE_WHOLE, whole, WHOLE_COUNT},
    {"small", TABLE_SMALL, whole, SMALL_COUNT},
    {"tiny", TABLE_SMALL, tiny, sizeof tiny / sizeof *tiny},
    {"tiers", TABLE_WHOLE, tiers, sizeof tiers / sizeof *tiers},
    {"medium", TABLE_MEDIUM, medium, sizeof medium / sizeof *medium},
    {"large", TABLE_LARGE, large, sizeof large / sizeof *large},
};

__attribute__((constructor)) static void take_sampling_under_test(void) {
  const char *sampled = getenv("TEST_SAMPLED");
  test_sampled |= sampled && strcmp(sampled, "1") == 0;
}

/* A constructor, since Criterion has its own main(). */
__attribute__((constructor)) static void take_table_under_test(void) {
  const char *name = getenv("TEST_TABLE");
  for (size_t i = 0; name && i < sizeof tables / sizeof *tables; i++)
    if (strcmp(name, tables[i].name) == 0) {
      test_table = tables[i].table;
      test_shapes = tables[i].shapes;
      test_shape_count = tables[i].count;
      return;
    }
  if (name) {
    fprintf(stderr, "test: TEST_TABLE is %s, must be whole, tiers, small, tiny, medium or large\n", name);
    abort();
  }
}

int test_type_is_sampled(svdgrad_dtype_t dtype) {
  return !test_sampled || dtype == SVDGRAD_F32 || dtype == SVDGRAD_C128;
}

const char *spectrum_name(spectrum_t spectrum) {
  static const char *const names[] = {"normal", "linear",   "geometric", "clustered", "repeated", "deficient",
                                      "zero",   "identity", "ones",      "small",     "large",    "graded"};
  return names[spectrum];
}

static long double singular_value(spectrum_t spectrum, svdgrad_dtype_t dtype, int64_t i, int64_t k) {
  const long double linear = (long double)(k - i) / (long double)k, eps = dtype_epsilon(dtype);
  const int is_float = dtype_real(dtype) == SVDGRAD_F32;
  switch (spectrum) {
  case SPECTRUM_GEOMETRIC: return k > 1 ? powl(eps, (long double)i / (long double)(k - 1)) : 1;
  case SPECTRUM_CLUSTERED: return i == 0 ? 1 : 0.5L + 10 * eps * linear;
  case SPECTRUM_REPEATED: return 3;
  case SPECTRUM_DEFICIENT: return 2 * i < k ? linear : 0;
  case SPECTRUM_SMALL: return linear * (is_float ? 1e-37L : 1e-300L);
  case SPECTRUM_LARGE: return linear * (is_float ? 1e37L : 1e300L);
  default: return linear;
  }
}

/* Random U and V of the same seed: every spectrum, type and test of one program asks for the same ones. */
typedef struct bases {
  uint64_t seed;
  int64_t m, n;
  int is_complex;
  dense_t U, V;
} bases_t;

static bases_t bases_make(uint64_t seed, int64_t m, int64_t n, int is_complex) {
  const int64_t k = m < n ? m : n;
  random_t random = random_seed(seed);
  bases_t bases = {seed, m, n, is_complex, {0}, {0}};
  bases.U = random_orthonormal(&random, m, k, is_complex);
  bases.V = random_orthonormal(&random, n, k, is_complex);
  return bases;
}

/* From a table, which forgets the oldest; tests have one thread where they make matrices. */
static const bases_t *bases_of(uint64_t seed, int64_t m, int64_t n, int is_complex) {
  enum { KEPT = 128 };
  static bases_t kept[KEPT];
  static int next;
  for (int i = 0; i < KEPT; i++)
    if (kept[i].U.at && kept[i].seed == seed && kept[i].m == m && kept[i].n == n && kept[i].is_complex == is_complex)
      return &kept[i];
  bases_t *const place = &kept[next];
  next = (next + 1) % KEPT;
  dense_free(&place->U);
  dense_free(&place->V);
  *place = bases_make(seed, m, n, is_complex);
  return place;
}

/* U diag(s) V^H with random U and V. */
static dense_t from_spectrum(spectrum_t spectrum, svdgrad_dtype_t dtype, int64_t m, int64_t n, uint64_t seed) {
  const int64_t k = m < n ? m : n;
  const bases_t *bases = bases_of(seed, m, n, dtype_is_complex(dtype));
  dense_t U = dense_copy(&bases->U);
  for (int64_t j = 0; j < k; j++) {
    const long double s = singular_value(spectrum, dtype, j, k);
    for (int64_t i = 0; i < m; i++)
      U.at[j * m + i] *= s;
  }
  dense_t A = dense_product_h(&U, &bases->V);
  dense_free(&U);
  return A;
}

static dense_t graded(svdgrad_dtype_t dtype, int64_t m, int64_t n, uint64_t seed) {
  random_t random = random_seed(seed);
  dense_t A = random_matrix(&random, m, n, dtype_is_complex(dtype));
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < m; i++)
      A.at[j * m + i] *= ldexpl(1, n > 1 ? (int)(-60 * j / (n - 1)) : 0);
  return A;
}

static dense_t ones(int64_t m, int64_t n) {
  dense_t A = dense_zero(m, n);
  for (int64_t i = 0; i < m * n; i++)
    A.at[i] = 1;
  return A;
}

dense_t make_matrix(spectrum_t spectrum, svdgrad_dtype_t dtype, int64_t m, int64_t n, uint64_t seed) {
  random_t random = random_seed(seed);
  switch (spectrum) {
  case SPECTRUM_NORMAL: return random_matrix(&random, m, n, dtype_is_complex(dtype));
  case SPECTRUM_ZERO: return dense_zero(m, n);
  case SPECTRUM_IDENTITY: return dense_identity(m, n);
  case SPECTRUM_ONES: return ones(m, n);
  case SPECTRUM_GRADED: return graded(dtype, m, n, seed);
  default: return from_spectrum(spectrum, dtype, m, n, seed);
  }
}
