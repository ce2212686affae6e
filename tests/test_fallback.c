/* SPDX-License-Identifier: BSD-3-Clause */
/* VENDOR: where LAPACK's divide and conquer does not converge, the cpu backend uses LAPACK's QR iteration, in the SVD and in
 * the truncated backward pass.  Where that does not converge either, info and gA say so.
 *
 * No matrix is known for which gesdd fails.  This program therefore defines its own gesdd: the dynamic linker looks up
 * symbols in the program first, so that the shared library calls these. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "cases.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int qr_iteration_fails;              /* gesvd too */
static atomic_int gesdd_calls, gesvd_calls; /* without queries */

/* In place of gesdd: claims one element of workspace, and fails with A destroyed, as the real one may. */
static void failing_gesdd(svdgrad_dtype_t dtype, const int *m, const int *n, void *A, void *work, const int *lwork,
                          int *info) {
  const size_t real = dtype_real(dtype) == SVDGRAD_F32 ? sizeof(float) : sizeof(double);
  const size_t element = dtype_is_complex(dtype) ? 2 * real : real;
  *info = 0;
  if (*lwork == -1) {
    const double one = 1;
    const float one_f32 = 1;
    memset(work, 0, element);
    memcpy(work, real == sizeof(float) ? (const void *)&one_f32 : (const void *)&one, real);
    return;
  }
  atomic_fetch_add(&gesdd_calls, 1);
  memset(A, 0xFF, (size_t)*m * (size_t)*n * element); /* NaN */
  *info = 1;
}

/* The parameters of the Fortran routines, whose matrices are only passed on here. */
#define GESDD_REAL                                                                                                     \
  const char *job, const int *m, const int *n, void *A, const int *lda, void *S, void *U, const int *ldu, void *Vh,    \
      const int *ldvh, void *work, const int *lwork, int *iwork, int *info, size_t job_length
#define GESDD_COMPLEX                                                                                                  \
  const char *job, const int *m, const int *n, void *A, const int *lda, void *S, void *U, const int *ldu, void *Vh,    \
      const int *ldvh, void *work, const int *lwork, void *rwork, int *iwork, int *info, size_t job_length
#define GESVD_REAL                                                                                                     \
  const char *jobu, const char *jobvh, const int *m, const int *n, void *A, const int *lda, void *S, void *U,          \
      const int *ldu, void *Vh, const int *ldvh, void *work, const int *lwork, int *info, size_t jobu_length,          \
      size_t jobvh_length
#define GESVD_COMPLEX                                                                                                  \
  const char *jobu, const char *jobvh, const int *m, const int *n, void *A, const int *lda, void *S, void *U,          \
      const int *ldu, void *Vh, const int *ldvh, void *work, const int *lwork, void *rwork, int *info,                 \
      size_t jobu_length, size_t jobvh_length
#define GESDD_UNUSED                                                                                                   \
  (void)job, (void)lda, (void)S, (void)U, (void)ldu, (void)Vh, (void)ldvh, (void)iwork, (void)job_length

void sgesdd_(GESDD_REAL);
void dgesdd_(GESDD_REAL);
void cgesdd_(GESDD_COMPLEX);
void zgesdd_(GESDD_COMPLEX);
void sgesvd_(GESVD_REAL);
void dgesvd_(GESVD_REAL);
void cgesvd_(GESVD_COMPLEX);
void zgesvd_(GESVD_COMPLEX);

void sgesdd_(GESDD_REAL) {
  GESDD_UNUSED;
  failing_gesdd(SVDGRAD_F32, m, n, A, work, lwork, info);
}

void dgesdd_(GESDD_REAL) {
  GESDD_UNUSED;
  failing_gesdd(SVDGRAD_F64, m, n, A, work, lwork, info);
}

void cgesdd_(GESDD_COMPLEX) {
  GESDD_UNUSED, (void)rwork;
  failing_gesdd(SVDGRAD_C64, m, n, A, work, lwork, info);
}

void zgesdd_(GESDD_COMPLEX) {
  GESDD_UNUSED, (void)rwork;
  failing_gesdd(SVDGRAD_C128, m, n, A, work, lwork, info);
}

typedef void gesvd_real_t(GESVD_REAL);
typedef void gesvd_complex_t(GESVD_COMPLEX);
typedef union routine {
  void *symbol;
  gesvd_real_t *of_real;
  gesvd_complex_t *of_complex;
} routine_t;

/* LAPACK's own routine. */
static routine_t lapack(const char *name) {
  const routine_t routine = {.symbol = dlsym(RTLD_NEXT, name)};
  if (!routine.symbol) {
    fprintf(stderr, "test: no %s\n", name);
    abort();
  }
  return routine;
}

/* Counts the call; non-zero if it has failed. */
static int fails(const int *lwork, int *info) {
  if (*lwork == -1)
    return 0;
  atomic_fetch_add(&gesvd_calls, 1);
  *info = qr_iteration_fails;
  return qr_iteration_fails;
}

static void gesvd_real(const char *name, GESVD_REAL) {
  if (!fails(lwork, info))
    lapack(name).of_real(jobu, jobvh, m, n, A, lda, S, U, ldu, Vh, ldvh, work, lwork, info, jobu_length, jobvh_length);
}

static void gesvd_complex(const char *name, GESVD_COMPLEX) {
  if (!fails(lwork, info))
    lapack(name).of_complex(jobu, jobvh, m, n, A, lda, S, U, ldu, Vh, ldvh, work, lwork, rwork, info, jobu_length,
                            jobvh_length);
}

void sgesvd_(GESVD_REAL) {
  gesvd_real("sgesvd_", jobu, jobvh, m, n, A, lda, S, U, ldu, Vh, ldvh, work, lwork, info, jobu_length, jobvh_length);
}

void dgesvd_(GESVD_REAL) {
  gesvd_real("dgesvd_", jobu, jobvh, m, n, A, lda, S, U, ldu, Vh, ldvh, work, lwork, info, jobu_length, jobvh_length);
}

void cgesvd_(GESVD_COMPLEX) {
  gesvd_complex("cgesvd_", jobu, jobvh, m, n, A, lda, S, U, ldu, Vh, ldvh, work, lwork, rwork, info, jobu_length,
                jobvh_length);
}

void zgesvd_(GESVD_COMPLEX) {
  gesvd_complex("zgesvd_", jobu, jobvh, m, n, A, lda, S, U, ldu, Vh, ldvh, work, lwork, rwork, info, jobu_length,
                jobvh_length);
}

enum { BATCH = 3, LIMIT = 30 };

typedef struct variant {
  int64_t m, n, rank;
  int full_matrices;
} variant_t;
static const variant_t variants[] = {{4, 4, 0, 0}, {9, 5, 0, 1},   {5, 9, 0, 1},
                                     {8, 8, 3, 0}, {20, 13, 4, 0}, {13, 20, 4, 0}};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants };

/* Calls check(desc) for every variant and element type. */
static void for_each_problem(void (*check)(const svdgrad_desc_t *desc)) {
  for (int v = 0; v < VARIANT_COUNT; v++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      svdgrad_desc_t desc = make_desc(dtype, variants[v].m, variants[v].n, BATCH);
      desc.rank = variants[v].rank;
      desc.full_matrices = variants[v].full_matrices;
      check(&desc);
    }
}

/* With the cpu backend's LAPACK path, which AUTO takes for large matrices only. */
static fixture_t make_fixture(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  fixture_t f = fixture_make(backend, desc, LAYOUT_COLUMN_MAJOR);
  f.desc.algo = backend == SVDGRAD_BACKEND_CPU ? SVDGRAD_ALGO_VENDOR : SVDGRAD_ALGO_AUTO;
  return f;
}

/* Factors from `backend`, cotangents random. */
static fixture_t factorized(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  fixture_t f = make_fixture(backend, desc);
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t A = make_matrix(SPECTRUM_LINEAR, desc->dtype, desc->m, desc->n, (uint64_t)b + 1);
    buffer_store(&f.A, b, &A);
    dense_free(&A);
  }
  fixture_random_cotangents(&f, 9);
  cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  return f;
}

/* |X - Y| / (|Y| scale eps); NaN stays NaN. */
static double ratio_of(const dense_t *X, const dense_t *Y, double scale, svdgrad_dtype_t dtype) {
  dense_t difference = dense_sum(1, X, -1, Y);
  const long double ratio = dense_norm(&difference) / (dense_norm(Y) * scale * dtype_epsilon(dtype));
  dense_free(&difference);
  return (double)ratio;
}

/* U^H A V against diag(S), which holds for truncated factors too. */
static double forward_ratio(const fixture_t *f, int64_t b) {
  dense_t A = buffer_load(&f->A, b), U = buffer_load(&f->U, b), Vh = buffer_load(&f->Vh, b);
  dense_t UhA = dense_h_product(&U, &A), UhAV = dense_product_h(&UhA, &Vh), S = dense_zero(U.n, Vh.m);
  for (int64_t i = 0; i < f->S.rows; i++)
    S.at[i * S.m + i] = buffer_get(&f->S, b, i, 0);
  const double ratio = ratio_of(&UhAV, &S, (double)(A.m + A.n), f->desc.dtype);
  dense_t *const all[] = {&A, &U, &Vh, &UhA, &UhAV, &S};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  return ratio;
}

static double unitary_ratio(const buffer_t *buffer, int64_t b, int rows) {
  dense_t X = buffer_load(buffer, b);
  dense_t gram = rows ? dense_product_h(&X, &X) : dense_h_product(&X, &X), identity = dense_identity(gram.m, gram.n);
  const double ratio = ratio_of(&gram, &identity, (double)(X.m + X.n), buffer->dtype);
  dense_free(&X);
  dense_free(&gram);
  dense_free(&identity);
  return ratio;
}

static double worst_forward, worst_backward;

static void expect_ratio(double ratio, double *worst, const svdgrad_desc_t *desc, const char *what) {
  cr_expect(ratio <= LIMIT, "%s %dx%d rank %d: ratio of %s is %g", dtype_name(desc->dtype), (int)desc->m, (int)desc->n,
            (int)desc->rank, what, ratio);
  *worst = ratio <= *worst ? *worst : ratio;
}

static void check_forward(const svdgrad_desc_t *desc) {
  const int before = atomic_load(&gesdd_calls), before_qr = atomic_load(&gesvd_calls);
  fixture_t f = factorized(SVDGRAD_BACKEND_CPU, desc);
  cr_expect_eq(atomic_load(&gesdd_calls) - before, BATCH, "the library did not call this program's gesdd");
  cr_expect_eq(atomic_load(&gesvd_calls) - before_qr, BATCH, "the library did not call this program's gesvd");
  for (int64_t b = 0; b < BATCH; b++) {
    cr_expect_eq(f.info[b], SVDGRAD_INFO_OK);
    expect_ratio(forward_ratio(&f, b), &worst_forward, desc, "U^H A V - S");
    expect_ratio(unitary_ratio(&f.U, b, 0), &worst_forward, desc, "U^H U - I");
    expect_ratio(unitary_ratio(&f.Vh, b, 1), &worst_forward, desc, "Vh Vh^H - I");
  }
  cr_expect(f.intact);
  fixture_free(&f);
}

Test(fallback, forward) {
  for_each_problem(check_forward);
  printf("ratio fallback forward %.3g\n", worst_forward);
}

/* The values alone are those of the reference backend. */
static void check_values(const svdgrad_desc_t *desc) {
  fixture_t f = factorized(SVDGRAD_BACKEND_CPU, desc), oracle = factorized(SVDGRAD_BACKEND_REF, desc);
  cr_assert_eq(fixture_forward(&f, 0), SVDGRAD_STATUS_SUCCESS);
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t S = buffer_load(&f.S, b), expected = buffer_load(&oracle.S, b);
    cr_expect_eq(f.info[b], SVDGRAD_INFO_OK);
    expect_ratio(ratio_of(&S, &expected, (double)(desc->m + desc->n), desc->dtype), &worst_forward, desc, "S");
    dense_free(&S);
    dense_free(&expected);
  }
  fixture_free(&f);
  fixture_free(&oracle);
}

Test(fallback, values) { for_each_problem(check_values); }

/* A fixture of the cpu backend with the factors of the reference backend, which needs no LAPACK. */
static fixture_t with_factors_of(fixture_t *oracle) {
  fixture_t f = make_fixture(SVDGRAD_BACKEND_CPU, &oracle->desc);
  for (fixture_operand_t i = 0; i < OPERAND_GA; i++)
    for (int64_t b = 0; b < BATCH; b++) {
      dense_t X = buffer_load(fixture_operand(oracle, i), b);
      buffer_store(fixture_operand(&f, i), b, &X);
      dense_free(&X);
    }
  return f;
}

/* gA against the reference backend from the same factors; errors grow like that of the smallest gap. */
static void check_backward(const svdgrad_desc_t *desc) {
  fixture_t oracle = factorized(SVDGRAD_BACKEND_REF, desc), f = with_factors_of(&oracle);
  const int before = atomic_load(&gesvd_calls);
  cr_assert_eq(fixture_backward(&oracle, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(fixture_backward(&f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(atomic_load(&gesvd_calls) - before, desc->rank ? BATCH : 0);
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t gA = buffer_load(&f.gA, b), expected = buffer_load(&oracle.gA, b);
    const double scale = (double)(desc->m + desc->n) / oracle.report[b].min_gap;
    expect_ratio(ratio_of(&gA, &expected, scale, desc->dtype), &worst_backward, desc, "gA");
    dense_free(&gA);
    dense_free(&expected);
  }
  cr_expect(f.intact);
  fixture_free(&f);
  fixture_free(&oracle);
}

Test(fallback, truncated_backward) {
  for_each_problem(check_backward);
  printf("ratio fallback backward %.3g\n", worst_backward);
}

static void check_failure(const svdgrad_desc_t *desc) {
  fixture_t f = factorized(SVDGRAD_BACKEND_CPU, desc);
  for (int with = 0; with <= WITH_VECTORS; with += WITH_VECTORS) {
    memset(f.info, 0, BATCH * sizeof *f.info);
    cr_assert_eq(fixture_forward(&f, with), SVDGRAD_STATUS_SUCCESS);
    for (int64_t b = 0; b < BATCH; b++)
      cr_expect_eq(f.info[b], SVDGRAD_INFO_NOT_CONVERGED);
  }
  cr_expect(f.intact);
  fixture_free(&f);
}

Test(fallback, both_failing_is_reported) {
  qr_iteration_fails = 1;
  for_each_problem(check_failure);
}

static void check_loud_backward(const svdgrad_desc_t *desc) {
  fixture_t oracle = factorized(SVDGRAD_BACKEND_REF, desc), f = with_factors_of(&oracle);
  cr_assert_eq(fixture_backward(&f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  for (int64_t b = 0; b < BATCH; b++)
    for (int64_t j = 0; j < desc->n; j++)
      for (int64_t i = 0; i < desc->m; i++)
        cr_expect_eq(isnan(creall(buffer_get(&f.gA, b, i, j))) != 0, desc->rank != 0, "gA of %dx%d rank %d",
                     (int)desc->m, (int)desc->n, (int)desc->rank);
  fixture_free(&f);
  fixture_free(&oracle);
}

Test(fallback, both_failing_makes_the_truncated_gradient_nan) {
  qr_iteration_fails = 1;
  for_each_problem(check_loud_backward);
}
