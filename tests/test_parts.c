/* SPDX-License-Identifier: BSD-3-Clause */
/* The requested outputs do not change the results, for every algorithm: S alone, with U, with Vh, with both, thin and
 * full; one factor alone equals the same factor of both, up to phases of its columns; the leading columns of full
 * factors span the same space as thin factors.  Different requests may take different algorithms: results agree to
 * rounding. */
#include "cases.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { BATCH = 1 };

static void note(worst_t *worst, const fixture_t *f, double ratio, const char *what) {
  worst_note(worst, ratio, "%s %s %lldx%lld: %s", svdgrad_algorithm_name(f->handle, SVDGRAD_OP_SVD, &f->desc),
             dtype_name(f->desc.dtype), (long long)f->desc.m, (long long)f->desc.n, what);
}

typedef struct problem {
  svdgrad_backend_t backend;
  svdgrad_algo_t algo;
  svdgrad_dtype_t dtype;
  spectrum_t spectrum;
  int64_t m, n;
} problem_t;

static fixture_t factorized(const problem_t *p, int full_matrices, int with) {
  svdgrad_desc_t desc = make_desc(p->dtype, p->m, p->n, BATCH);
  desc.algo = p->algo;
  desc.full_matrices = full_matrices;
  fixture_t f = fixture_make(p->backend, &desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t A = make_matrix(p->spectrum, p->dtype, p->m, p->n, (uint64_t)(1000 * p->m + p->n + b));
    buffer_store(&f.A, b, &A);
    dense_free(&A);
  }
  cr_assert_eq(fixture_forward(&f, with), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(f.intact);
  for (int64_t b = 0; b < BATCH; b++)
    cr_assert_eq(f.info[b], SVDGRAD_INFO_OK);
  return f;
}

/* |S - S'| in units of eps s_1 max(m, n) */
static void compare_values(worst_t *worst, const fixture_t *x, const fixture_t *y, const char *what) {
  const long double longer = (long double)(x->desc.m > x->desc.n ? x->desc.m : x->desc.n);
  for (int64_t b = 0; b < BATCH; b++) {
    const long double s_1 = creall(buffer_get(&x->S, b, 0, 0));
    for (int64_t i = 0; i < x->S.rows; i++) {
      const long double off = cabsl(buffer_get(&x->S, b, i, 0) - buffer_get(&y->S, b, i, 0));
      note(worst, y, ratio_of(off, s_1 * longer * dtype_epsilon(x->desc.dtype)), what);
    }
  }
}

/* Smallest distance of s_i from the others, and from zero where that is a value more of the other side. */
static long double gap_at(const long double *s, int64_t k, int64_t i) {
  long double gap = s[i];
  if (i > 0)
    gap = fminl(gap, s[i - 1] - s[i]);
  if (i + 1 < k)
    gap = fminl(gap, s[i] - s[i + 1]);
  return gap;
}

/* | |x^H y| - 1 | and the distance of x from y but for a phase, of the leading columns, in units of eps s_1 / gap
 * max(m, n). */
static void compare_columns(worst_t *worst, const fixture_t *f, int64_t b, const dense_t *X, const dense_t *Y,
                            const char *what) {
  long double *s = load_S(f, b);
  const long double longer = (long double)(f->desc.m > f->desc.n ? f->desc.m : f->desc.n);
  for (int64_t i = 0; i < f->S.rows; i++) {
    const long double gap = gap_at(s, f->S.rows, i);
    if (gap < 1e-3L * s[0])
      continue; /* of a cluster only the span is determined */
    dense_t x = dense_columns(X, i, 1), y = dense_columns(Y, i, 1), inner = dense_h_product(&x, &y);
    dense_t off = dense_sum(inner.at[0] / cabsl(inner.at[0]), &x, -1, &y);
    note(worst, f, ratio_of(dense_norm(&off), s[0] / gap * longer * dtype_epsilon(f->desc.dtype)), what);
    dense_t *const all[] = {&x, &y, &inner, &off};
    for (size_t c = 0; c < sizeof all / sizeof *all; c++)
      dense_free(all[c]);
  }
  free(s);
}

static void compare_U(worst_t *worst, const fixture_t *x, const fixture_t *y, const char *what) {
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t X = load_U(x, b), Y = load_U(y, b);
    compare_columns(worst, x, b, &X, &Y, what);
    dense_free(&X);
    dense_free(&Y);
  }
}

static void compare_V(worst_t *worst, const fixture_t *x, const fixture_t *y, const char *what) {
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t X = load_V(x, b), Y = load_V(y, b);
    compare_columns(worst, x, b, &X, &Y, what);
    dense_free(&X);
    dense_free(&Y);
  }
}

static void check_parts(const problem_t *p, worst_t *worst) {
  fixture_t thin = factorized(p, 0, WITH_VECTORS);
  for (int full = 0; full < 2; full++) {
    fixture_t values = factorized(p, full, 0), U = factorized(p, full, WITH_U), Vh = factorized(p, full, WITH_VH),
              both = factorized(p, full, WITH_VECTORS);
    compare_values(worst, &thin, &values, "S alone");
    compare_values(worst, &thin, &U, "S with U");
    compare_values(worst, &thin, &Vh, "S with Vh");
    compare_values(worst, &thin, &both, "S with both");
    compare_U(worst, &thin, &U, "U alone");
    compare_U(worst, &thin, &both, "U");
    compare_V(worst, &thin, &Vh, "Vh alone");
    compare_V(worst, &thin, &both, "Vh");
    fixture_t *const all[] = {&values, &U, &Vh, &both};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      fixture_free(all[i]);
  }
  fixture_free(&thin);
}

/* Whether the algorithm solves problems of that kind. */
static int is_taken(const problem_t *p) {
  svdgrad_desc_t desc = make_desc(p->dtype, p->m, p->n, BATCH);
  desc.algo = p->algo;
  svdgrad_handle_t handle;
  cr_assert_eq(svdgrad_create(p->backend, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  int taken = 1;
  for (desc.full_matrices = 0; desc.full_matrices < 2; desc.full_matrices++)
    taken &= svdgrad_algorithm_name(handle, SVDGRAD_OP_SVD, &desc) &&
             svdgrad_algorithm_name(handle, SVDGRAD_OP_SVDVALS, &desc);
  (void)svdgrad_destroy(handle);
  return taken;
}

Test(parts, of_one_matrix_agree) {
  static const test_shape_t shapes[] = {{1, 6},  {3, 3},  {5, 4},   {4, 9},    {9, 9},   {17, 11},
                                        {40, 6}, {6, 40}, {33, 33}, {20, 130}, {130, 20}};
  static const spectrum_t spectra[] = {SPECTRUM_NORMAL, SPECTRUM_LINEAR, SPECTRUM_DEFICIENT};
  worst_t worst = worst_make("parts");
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_algo_t algo = SVDGRAD_ALGO_AUTO; algo <= SVDGRAD_ALGO_VENDOR; algo++)
      for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
        for (size_t spectrum = 0; spectrum < sizeof spectra / sizeof *spectra; spectrum++)
          for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
            const int is_ref = test_backends[i] == SVDGRAD_BACKEND_REF;
            const int64_t m = shapes[shape].m, n = shapes[shape].n;
            const problem_t p = {test_backends[i], algo, dtype, spectra[spectrum], m, n};
            const int is_tried = !is_ref || (algo == SVDGRAD_ALGO_AUTO && m * n < 300); /* the reference is slow */
            if (is_tried && is_taken(&p))
              check_parts(&p, &worst);
          }
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}
