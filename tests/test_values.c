/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values, alone and with vectors, of matrices that are hard for algorithms that go through a bidiagonal form: graded in either
 * direction, with clusters, with zeros on the diagonal and beside it, and with values that differ by less than rounding.
 * They are those of the reference to a small multiple of eps s_1, and the bits of each do not depend on the others of its
 * batch, which take other numbers of sweeps and split at other places. */
#include "fixture.h"
#include "random.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

typedef enum family {
  GRADED,
  GRADED_UP,
  BEYOND_EPSILON, /* down to 1e-30 */
  TOEPLITZ,
  GLUED,       /* Wilkinson's matrices, coupled by 1e-9 */
  ALTERNATING, /* 1, eps, 1, eps, ... */
  NEARLY_IDENTITY,
  ZERO_DIAGONAL, /* in the middle */
  ZERO_FIRST,
  ZERO_LAST,
  SPLIT,  /* zeros beside the diagonal */
  BLOCKS, /* equal ones: values repeat */
  KAHAN,
  COMPANION,
  RANK_ONE,
  PERMUTED, /* diagonal, half of it zero */
  NORMAL,
  ZERO,
  FAMILIES
} family_t;

static long double bidiagonal_entry(family_t family, int64_t i, int64_t n, int beside) {
  switch (family) {
  case GRADED: return powl(10, -(long double)i / 2);
  case GRADED_UP: return powl(10, (long double)(i - n) / 2);
  case BEYOND_EPSILON: return powl(10, -30.0L * (long double)i / (long double)n);
  case TOEPLITZ: return 1;
  case GLUED: return beside ? (i % 7 == 6 ? 1e-9L : 1) : fabsl((long double)(i % 7 - 3));
  case ALTERNATING: return beside ? 0.5L : i % 2 ? 1e-16L : 1;
  case ZERO_DIAGONAL: return !beside && i == n / 2 ? 0 : 1 + (long double)i / (long double)n;
  case ZERO_FIRST: return !beside && i == 0 ? 0 : 2 - (long double)i / (long double)n;
  case ZERO_LAST: return !beside && i == n - 1 ? 0 : 2 - (long double)i / (long double)n;
  case SPLIT: return beside && i % 3 == 2 ? 0 : 1 + (long double)(i * 5 % 7);
  case BLOCKS: return beside ? (i % 2 ? 0 : 0.75L) : 1 + (long double)(i % 2);
  default: return 0;
  }
}

static long double entry(family_t family, int64_t i, int64_t j, int64_t n, random_t *random) {
  const long double c = cosl(1.2L), s = sinl(1.2L);
  switch (family) {
  case NEARLY_IDENTITY: return (i == j) + 1e-12L * random_normal(random);
  case KAHAN: return i > j || i >= n ? 0 : powl(s, (long double)i) * (i == j ? 1 : -c);
  case COMPANION: return i == j + 1 ? 1 : j == n - 1 ? (long double)(i % 5 - 2) : 0;
  case PERMUTED: return j >= n / 2 && (i + j) % n == 0 ? powl(2, (long double)(j - n)) : 0;
  case RANK_ONE: return (long double)(i + 1) / (long double)(j + 1);
  case NORMAL: return random_normal(random);
  default: return i == j ? bidiagonal_entry(family, i, n, 0) : j == i + 1 ? bidiagonal_entry(family, i, n, 1) : 0;
  }
}

static void fill(fixture_t *f, int64_t b, family_t family) {
  const int64_t m = f->desc.m, n = f->desc.n, k = m < n ? m : n;
  random_t random = random_seed((uint64_t)(family + 100 * m + n));
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      const long double x = m < n ? entry(family, j, i, k, &random) : entry(family, i, j, k, &random);
      buffer_set(&f->A, b, i, j, dtype_is_complex(f->desc.dtype) ? x * CMPLXL(0.6L, -0.8L) : x);
    }
}

static const struct {
  int64_t m, n;
} shapes[] = {{3, 3},   {5, 5},   {8, 8},   {9, 9},  {13, 13}, {20, 20},
              {32, 32}, {33, 33}, {50, 50}, {12, 9}, {40, 16}, {9, 30}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static fixture_t problem(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int shape, int64_t batch_count) {
  const svdgrad_desc_t desc = make_desc(dtype, shapes[shape].m, shapes[shape].n, batch_count);
  return fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
}

static void run(fixture_t *f) {
  cr_assert_eq(fixture_forward(f, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  for (int64_t b = 0; b < f->desc.batch_count; b++)
    cr_assert_eq(f->info[b], SVDGRAD_INFO_OK, "matrix %d of %s %dx%d", (int)b, dtype_name(f->desc.dtype),
                 (int)f->desc.m, (int)f->desc.n);
}

static void compare(const fixture_t *f, const fixture_t *oracle, int64_t b, worst_t *worst) {
  const long double s1 = creall(buffer_get(&oracle->S, b, 0, 0));
  const long double eps = dtype_epsilon(f->desc.dtype) * (long double)f->S.rows;
  for (int64_t i = 0; i < f->S.rows; i++) {
    const long double s = creall(buffer_get(&f->S, b, i, 0));
    cr_expect(s >= 0 && !signbit(s) && (i == 0 || s <= creall(buffer_get(&f->S, b, i - 1, 0))));
    worst_note(worst, ratio_of(fabsl(s - creall(buffer_get(&oracle->S, b, i, 0))), eps * s1),
               "%s %dx%d, family %d, value %d", dtype_name(f->desc.dtype), (int)f->desc.m, (int)f->desc.n,
               (int)(b % FAMILIES), (int)i);
  }
}

/* Limit: what LAPACK reaches here is 1.  Batches of three of each, in an order that puts different ones into one group. */
static void check(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int shape, worst_t *worst) {
  fixture_t f = problem(backend, dtype, shape, 3 * FAMILIES),
            oracle = problem(SVDGRAD_BACKEND_REF, dtype, shape, FAMILIES);
  for (int64_t b = 0; b < 3 * FAMILIES; b++)
    fill(&f, b, (family_t)(b % FAMILIES));
  for (int64_t b = 0; b < FAMILIES; b++)
    fill(&oracle, b, (family_t)b);
  run(&f);
  run(&oracle);
  for (int64_t b = 0; b < FAMILIES; b++) {
    compare(&f, &oracle, b, worst);
    fixture_t alone = problem(backend, dtype, shape, 1);
    fill(&alone, 0, (family_t)b);
    run(&alone);
    for (int64_t copy = b; copy < 3 * FAMILIES; copy += FAMILIES)
      cr_expect(buffer_same_bits(&f.S, copy, &alone.S, 0), "%s %dx%d, family %d", dtype_name(dtype), (int)f.desc.m,
                (int)f.desc.n, (int)b);
    fixture_free(&alone);
  }
  fixture_free(&f);
  fixture_free(&oracle);
}

Test(values, of_hard_matrices) {
  worst_t worst = worst_make("values of hard matrices");
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int shape = 0; shape < SHAPES; shape++)
        if (test_backends[backend] == SVDGRAD_BACKEND_CPU)
          check(test_backends[backend], (svdgrad_dtype_t)dtype, shape, &worst);
  cr_assert(worst_within(&worst, 3));
}

static int takes(const fixture_t *f, svdgrad_op_t op, const char *algorithm) {
  const char *name = svdgrad_algorithm_name(f->handle, op, &f->desc);
  return name && strcmp(name, algorithm) == 0;
}

static void run_with_vectors(fixture_t *f) {
  cr_assert_eq(fixture_forward(f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  for (int64_t b = 0; b < f->desc.batch_count; b++)
    cr_assert_eq(f->info[b], SVDGRAD_INFO_OK);
}

static void note_errors(const fixture_t *f, int64_t b, worst_t *worst) {
  const double epsilon = (double)dtype_epsilon(f->desc.dtype);
  dense_t U = load_U(f, b), V = load_V(f, b);
  const double ratios[] = {ratio_residual(f, b), ratio_orthonormal(&U, epsilon), ratio_orthonormal(&V, epsilon)};
  for (int i = 0; i < 3; i++)
    worst_note(worst, ratios[i], "%s %dx%d, family %d, ratio %d", dtype_name(f->desc.dtype), (int)f->desc.m,
               (int)f->desc.n, (int)(b % FAMILIES), i);
  dense_free(&U);
  dense_free(&V);
}

/* As check(), with vectors; and S has the same bits without them, where the header says so. */
static void check_vectors(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int shape, worst_t *worst) {
  fixture_t f = problem(backend, dtype, shape, 3 * FAMILIES), values = problem(backend, dtype, shape, 3 * FAMILIES);
  for (int64_t b = 0; b < 3 * FAMILIES; b++) {
    fill(&f, b, (family_t)(b % FAMILIES));
    fill(&values, b, (family_t)(b % FAMILIES));
  }
  run_with_vectors(&f);
  run(&values);
  const int same = takes(&f, SVDGRAD_OP_SVD, "qr-lanes") && takes(&f, SVDGRAD_OP_SVDVALS, "dqds-lanes");
  for (int64_t b = 0; b < FAMILIES; b++) {
    note_errors(&f, b, worst);
    cr_expect(!same || buffer_same_bits(&f.S, b, &values.S, b), "%s %dx%d, family %d: S with vectors",
              dtype_name(dtype), (int)f.desc.m, (int)f.desc.n, (int)b);
    fixture_t alone = problem(backend, dtype, shape, 1);
    fill(&alone, 0, (family_t)b);
    run_with_vectors(&alone);
    for (int64_t copy = b; copy < 3 * FAMILIES; copy += FAMILIES)
      cr_expect(fixture_same_forward(&f, copy, &alone, 0, WITH_VECTORS), "%s %dx%d, family %d", dtype_name(dtype),
                (int)f.desc.m, (int)f.desc.n, (int)b);
    fixture_free(&alone);
  }
  fixture_free(&f);
  fixture_free(&values);
}

Test(values, of_hard_matrices_with_vectors) {
  worst_t worst = worst_make("vectors of hard matrices");
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int shape = 0; shape < SHAPES; shape++)
        if (test_backends[backend] == SVDGRAD_BACKEND_CPU)
          check_vectors(test_backends[backend], (svdgrad_dtype_t)dtype, shape, &worst);
  cr_assert(worst_within(&worst, 8)); /* LAPACK's threshold is 30 */
}
