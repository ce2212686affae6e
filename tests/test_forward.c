/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD is right: LAPACK's test ratios for every spectrum, shape, type and backend, with thin, full and truncated
 * factors, values only, and one factor only.  Singular values are sorted, and right for matrices where they are known;
 * tiny ones of graded columns have full relative accuracy where the algorithm promises it.  The gauge is the requested
 * one.  Scaling by a power of two is exact. */
#include "cases.h"
#include "random.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

static const spectrum_t all_spectra[] = {SPECTRUM_NORMAL,   SPECTRUM_LINEAR,    SPECTRUM_GEOMETRIC, SPECTRUM_CLUSTERED,
                                         SPECTRUM_REPEATED, SPECTRUM_DEFICIENT, SPECTRUM_ZERO,      SPECTRUM_IDENTITY,
                                         SPECTRUM_ONES,     SPECTRUM_SMALL,     SPECTRUM_LARGE,     SPECTRUM_GRADED};
_Static_assert(sizeof all_spectra / sizeof *all_spectra == SPECTRUM_COUNT, "all_spectra");

static void for_each_setting(setting_check_t check, worst_t *worst) {
  settings_for_each_of_ref_too(all_spectra, SPECTRUM_COUNT, check, worst);
}

static fixture_t filled(const setting_t *s, const svdgrad_desc_t *desc) {
  fixture_t f = fixture_make(s->backend, desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < desc->batch_count; b++) {
    dense_t A = make_matrix(s->spectrum, s->dtype, s->m, s->n, (uint64_t)(97 * b + 1000 * s->m + s->n));
    buffer_store(&f.A, b, &A);
    dense_free(&A);
  }
  return f;
}

static fixture_t fixture_of(const setting_t *s, int64_t rank, int full_matrices, int positive_gauge) {
  svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, 2);
  desc.rank = rank;
  desc.full_matrices = full_matrices;
  desc.positive_gauge = positive_gauge;
  return filled(s, &desc);
}

static void check_sorted(const fixture_t *f, int64_t b) {
  for (int64_t i = 0; i < f->S.rows; i++) {
    const double s = (double)creall(buffer_get(&f->S, b, i, 0));
    cr_assert(s >= 0);
    cr_assert(i == 0 || s <= (double)creall(buffer_get(&f->S, b, i - 1, 0)));
  }
}

static void run(fixture_t *f, int with) {
  cr_assert_eq(fixture_forward(f, with), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(f->intact);
  for (int64_t b = 0; b < f->desc.batch_count; b++) {
    cr_assert_eq(f->info[b], SVDGRAD_INFO_OK, "info %d: %s %lldx%lld", f->info[b], dtype_name(f->desc.dtype),
                 (long long)f->desc.m, (long long)f->desc.n);
    check_sorted(f, b);
  }
}

static void check_factors(const fixture_t *f, const setting_t *s, worst_t *worst, int residual) {
  const double eps = dtype_epsilon(s->dtype);
  for (int64_t b = 0; b < f->desc.batch_count; b++) {
    dense_t U = load_U(f, b), V = load_V(f, b);
    if (residual)
      settings_note(worst, s, ratio_residual(f, b), "residual");
    settings_note(worst, s, ratio_orthonormal(&U, eps), "U");
    settings_note(worst, s, ratio_orthonormal(&V, eps), "V");
    dense_free(&U);
    dense_free(&V);
  }
}

static void check_thin(const setting_t *s, worst_t *worst) {
  fixture_t f = fixture_of(s, 0, 0, 0);
  run(&f, WITH_VECTORS);
  check_factors(&f, s, worst, 1);
  fixture_free(&f);
}

/* No sample here: convergence is a matter of the spectrum, and of the type. */
Test(forward, thin) {
  worst_t worst = worst_make("forward thin");
  settings_for_all(all_spectra, SPECTRUM_COUNT, check_thin, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

static void check_full(const setting_t *s, worst_t *worst) {
  fixture_t f = fixture_of(s, 0, 1, 0);
  run(&f, WITH_VECTORS);
  check_factors(&f, s, worst, 1);
  fixture_free(&f);
}

/* AUTO may take another algorithm for each of these numbers of matrices. */
static void check_batches(const setting_t *s, worst_t *worst) {
  static const int64_t counts[] = {1, 5, 20};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, counts[c]);
    desc.batch_invariant = 0;
    fixture_t f = filled(s, &desc);
    run(&f, WITH_VECTORS);
    check_factors(&f, s, worst, 1);
    fixture_free(&f);
  }
}

Test(forward, batches_of_several_sizes) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_DEFICIENT};
  worst_t worst = worst_make("forward batches");
  settings_for_each(spectra, 2, check_batches, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

Test(forward, full_matrices) {
  worst_t worst = worst_make("forward full");
  for_each_setting(check_full, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* The leading triplets are those of the thin decomposition, bit for bit. */
static void check_rank(const setting_t *s, worst_t *worst) {
  const int64_t mn = s->m < s->n ? s->m : s->n;
  fixture_t thin = fixture_of(s, 0, 0, 0), f = fixture_of(s, (mn + 1) / 2, 0, 0);
  run(&thin, WITH_VECTORS);
  run(&f, WITH_VECTORS);
  check_factors(&f, s, worst, 0);
  for (int64_t i = 0; i < f.S.rows; i++) {
    cr_assert(buffer_get(&f.S, 1, i, 0) == buffer_get(&thin.S, 1, i, 0));
    for (int64_t r = 0; r < s->m; r++)
      cr_assert(buffer_get(&f.U, 1, r, i) == buffer_get(&thin.U, 1, r, i));
    for (int64_t r = 0; r < s->n; r++)
      cr_assert(buffer_get(&f.Vh, 1, i, r) == buffer_get(&thin.Vh, 1, i, r));
  }
  fixture_free(&thin);
  fixture_free(&f);
}

Test(forward, rank) {
  worst_t worst = worst_make("forward rank");
  for_each_setting(check_rank, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Values alone agree with the reference to rounding; U alone and Vh alone are those of both, bit for bit. */
static void check_parts(const setting_t *s, worst_t *worst) {
  setting_t ref = *s;
  ref.backend = SVDGRAD_BACKEND_REF;
  fixture_t oracle = fixture_of(&ref, 0, 0, 0), both = fixture_of(s, 0, 0, 0), f = fixture_of(s, 0, 0, 0);
  run(&oracle, 0);
  run(&both, WITH_VECTORS);
  run(&f, 0);
  const int64_t k = f.S.rows;
  const long double s1 = creall(buffer_get(&oracle.S, 0, 0, 0));
  for (int64_t i = 0; i < k; i++) {
    const long double difference = cabsl(buffer_get(&f.S, 0, i, 0) - buffer_get(&oracle.S, 0, i, 0));
    settings_note(worst, s, ratio_of(difference, s1 * (long double)k * dtype_epsilon(s->dtype)), "values");
  }
  run(&f, WITH_U);
  cr_assert(buffer_same_bits(&f.U, 1, &both.U, 1) && buffer_same_bits(&f.S, 1, &both.S, 1));
  run(&f, WITH_VH);
  cr_assert(buffer_same_bits(&f.Vh, 1, &both.Vh, 1) && buffer_same_bits(&f.S, 1, &both.S, 1));
  fixture_free(&oracle);
  fixture_free(&both);
  fixture_free(&f);
}

Test(forward, values_and_single_factors) {
  worst_t worst = worst_make("forward values against ref");
  for_each_setting(check_parts, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* The largest entry of every column of U is real and positive, also of the further columns of full_matrices. */
static void check_gauge(const setting_t *s, worst_t *worst) {
  fixture_t f = fixture_of(s, 0, s->m != s->n, 1);
  run(&f, WITH_VECTORS);
  check_factors(&f, s, worst, 1);
  dense_t U = load_U(&f, 1);
  for (int64_t j = 0; j < U.n; j++) {
    long double largest = 0, positive = 0;
    for (int64_t i = 0; i < U.m; i++) {
      const z_t u = U.at[j * U.m + i];
      largest = fmaxl(largest, cabsl(u));
      if (cimagl(u) == 0)
        positive = fmaxl(positive, creall(u));
    }
    cr_assert(positive >= largest * (1 - 4 * dtype_epsilon(s->dtype)));
  }
  dense_free(&U);
  fixture_free(&f);
}

Test(forward, positive_gauge) {
  worst_t worst = worst_make("forward positive gauge");
  for_each_setting(check_gauge, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

static double smallest_normal(svdgrad_dtype_t dtype) { return dtype_real(dtype) == SVDGRAD_F32 ? FLT_MIN : DBL_MIN; }

/* A times 2^p has the same factors to the last bit, and S times 2^p (subnormal values are rounded). */
static void check_power_of_two(const setting_t *s, worst_t *worst) {
  const int p = dtype_real(s->dtype) == SVDGRAD_F32 ? 60 : 500;
  fixture_t f = fixture_of(s, 0, 0, 0), g = fixture_of(s, 0, 0, 0);
  for (int64_t j = 0; j < s->n; j++)
    for (int64_t i = 0; i < s->m; i++) {
      buffer_set(&g.A, 0, i, j, buffer_get(&f.A, 0, i, j) * ldexpl(1, p));
      buffer_set(&g.A, 1, i, j, buffer_get(&f.A, 1, i, j) * ldexpl(1, -p));
    }
  run(&f, WITH_VECTORS);
  run(&g, WITH_VECTORS);
  for (int64_t b = 0; b < 2; b++) {
    cr_assert(buffer_same_bits(&f.U, b, &g.U, b) && buffer_same_bits(&f.Vh, b, &g.Vh, b), "%s %s %s %dx%d",
              backend_name(s->backend), dtype_name(s->dtype), spectrum_name(s->spectrum), (int)s->m, (int)s->n);
    for (int64_t i = 0; i < f.S.rows; i++) {
      const long double scaled = creall(buffer_get(&f.S, b, i, 0)) * ldexpl(1, b ? -p : p);
      if (scaled >= smallest_normal(s->dtype))
        cr_assert(creall(buffer_get(&g.S, b, i, 0)) == scaled);
    }
  }
  settings_note(worst, s, 0, "");
  fixture_free(&f);
  fixture_free(&g);
}

Test(forward, powers_of_two_are_exact) {
  const spectrum_t spectra[] = {SPECTRUM_NORMAL, SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_ONES};
  worst_t worst = worst_make("forward powers of two");
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (size_t i = 0; i < sizeof spectra / sizeof *spectra; i++)
        for (int shape = 0; shape < test_shape_count; shape++) {
          const setting_t s = {test_backends[backend], (svdgrad_dtype_t)dtype, spectra[i], test_shapes[shape].m,
                               test_shapes[shape].n};
          check_power_of_two(&s, &worst);
        }
}

typedef enum tiny { TINY_COLUMNS, TINY_ROWS, TINY_OFF_DIAGONAL, TINY_ANYHOW, TINY_COUNT } tiny_t;

/* From 0 down to `least`. */
static int tiny_exponent(tiny_t tiny, int64_t i, int64_t j, int least) {
  const int line = (int)(tiny == TINY_COLUMNS ? j : i) % 15;
  random_t random = random_seed((uint64_t)i);
  switch (tiny) {
  case TINY_OFF_DIAGONAL: return i == j ? 0 : least;
  case TINY_ANYHOW: return i == 0 ? 0 : (int)(least * random_uniform(&random)); /* by rows */
  default: return line % 3 ? least / (1 + line % 5) : 0;
  }
}

/* Entries whose squares underflow, beside others of size 1, as far down as denormal numbers. */
static fixture_t tiny_fixture(const setting_t *s, tiny_t tiny) {
  const int least = dtype_real(s->dtype) == SVDGRAD_F32 ? -135 : -1060;
  fixture_t f = fixture_of(s, 0, 0, 0);
  for (int64_t i = 0; i < s->m; i++)
    for (int64_t j = 0; j < s->n; j++)
      for (int64_t b = 0; b < f.desc.batch_count; b++)
        buffer_set(&f.A, b, i, j, ldexpl(1, tiny_exponent(tiny, i, j, least)) * buffer_get(&f.A, b, i, j));
  return f;
}

/* Factors are orthonormal, and the residual is small relative to the norm of A. */
Test(forward, tiny_entries) {
  worst_t worst = worst_make("forward tiny entries");
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int shape = 0; shape < test_shape_count; shape++)
        for (tiny_t tiny = TINY_COLUMNS; tiny < TINY_COUNT; tiny++) {
          const setting_t s = {test_backends[backend], (svdgrad_dtype_t)dtype, SPECTRUM_NORMAL, test_shapes[shape].m,
                               test_shapes[shape].n};
          fixture_t f = tiny_fixture(&s, tiny);
          run(&f, WITH_VECTORS);
          check_factors(&f, &s, &worst, 1);
          fixture_free(&f);
        }
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Entries of every magnitude, down to a bound that differs between matrices.  Rotations take nearly all of the norm of
 * some columns, so that norms updated during a sweep become inaccurate. */
static fixture_t every_size_fixture(const setting_t *s) {
  const double least = dtype_real(s->dtype) == SVDGRAD_F32 ? -149 : -1074;
  const int few = s->m * s->n > 300 || s->backend == SVDGRAD_BACKEND_CUDA; /* those take long */
  svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, few ? 4 : 48);
  fixture_t f = fixture_make(s->backend, &desc, LAYOUT_COLUMN_MAJOR);
  random_t random = random_seed((uint64_t)(s->m + s->n));
  for (int64_t b = 0; b < desc.batch_count; b++) {
    const double depth = least * random_uniform(&random);
    for (int64_t i = 0; i < s->m; i++)
      for (int64_t j = 0; j < s->n; j++) {
        const long double re = random_normal(&random), im = random_normal(&random);
        const int exponent = i + j == 0 ? 0 : (int)(depth * random_uniform(&random));
        buffer_set(&f.A, b, i, j, ldexpl(1, exponent) * CMPLXL(re, dtype_is_complex(s->dtype) ? im : 0));
      }
  }
  return f;
}

Test(forward, entries_of_every_size) {
  worst_t worst = worst_make("forward entries of every size");
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int shape = 0; shape < test_shape_count; shape++) {
        const setting_t s = {test_backends[backend], (svdgrad_dtype_t)dtype, SPECTRUM_NORMAL, test_shapes[shape].m,
                             test_shapes[shape].n};
        fixture_t f = every_size_fixture(&s);
        run(&f, WITH_VECTORS);
        check_factors(&f, &s, &worst, 1);
        fixture_free(&f);
      }
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* An orthogonal matrix plus a small one: every pair of columns is rotated by a large angle in every sweep, the worst
 * case for the scale factors of rotations. */
static void check_large_angles(const setting_t *s, svdgrad_algo_t algo, worst_t *worst) {
  const long double size = powl(dtype_epsilon(s->dtype), 0.75L);
  fixture_t f = fixture_of(s, 0, 0, 0);
  if (algo != SVDGRAD_ALGO_AUTO)
    f.desc.algo = algo;
  for (int64_t b = 0; b < f.desc.batch_count; b++)
    for (int64_t i = 0; i < s->m; i++)
      for (int64_t j = 0; j < s->n; j++)
        buffer_set(&f.A, b, i, j, (i == j) + size * buffer_get(&f.A, b, i, j));
  run(&f, WITH_VECTORS);
  check_factors(&f, s, worst, 1);
  fixture_free(&f);
}

Test(forward, large_angles) {
  worst_t worst = worst_make("forward large angles");
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      setting_t s = {test_backends[backend], (svdgrad_dtype_t)dtype, SPECTRUM_NORMAL, 128, 128};
      if (test_table == TABLE_MEDIUM && dtype == SVDGRAD_F32) /* the most columns in lanes, of the least exponents */
        check_large_angles(&s, SVDGRAD_ALGO_JACOBI, &worst);
      for (int shape = 0; shape < test_shape_count; shape++) {
        s.m = test_shapes[shape].m, s.n = test_shapes[shape].n;
        check_large_angles(&s, SVDGRAD_ALGO_AUTO, &worst);
      }
    }
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Thin factors of very tall and very wide matrices: no square of the long side is ever allocated. */
Test(forward, extreme_shapes) {
  const test_shape_t shapes[] = {{400000, 2}, {2, 400000}, {3, 1048576}, {20000, 1}, {1, 20000}};
  worst_t worst = worst_make("forward extreme shapes");
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int backend = 0; backend < test_backend_count; backend++) {
      const setting_t s = {test_backends[backend], SVDGRAD_F64, SPECTRUM_NORMAL, shapes[i].m, shapes[i].n};
      svdgrad_desc_t desc = make_desc(s.dtype, s.m, s.n, 1);
      size_t bytes = 0;
      fixture_t f = fixture_make(s.backend, &desc, LAYOUT_ROW_MAJOR);
      random_t random = random_seed(i);
      for (int64_t r = 0; r < s.m; r++)
        for (int64_t c = 0; c < s.n; c++)
          buffer_set(&f.A, 0, r, c, random_normal(&random));
      cr_assert_eq(svdgrad_workspace_size(f.handle, SVDGRAD_OP_SVD, &desc, &bytes), SVDGRAD_STATUS_SUCCESS);
      cr_assert(bytes < (size_t)(s.m * s.n) * 128 + (1 << 20));
      run(&f, WITH_VECTORS);
      check_factors(&f, &s, &worst, 1);
      fixture_free(&f);
    }
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}
