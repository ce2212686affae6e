/* SPDX-License-Identifier: BSD-3-Clause */
/* A first look at a device: a few matrices for every kernel family and type go forward, backward, through a function, a
 * norm and the power iteration, and are compared with the ref backend.  A fault of compiler, driver or device shows here
 * within seconds; the accuracy of hard problems is the business of the tests of all backends.
 *
 * From the same factors both backends compute the same formula, so errors of gA and Y are in units of
 * max(m, n) eps |expected|.  The power iteration starts from the same vector, the norm is a smooth one. */
#include "functions.h"
#include "power.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { BATCH = 3, ITERATIONS = 3 };

/* What is the same in a tier for all its types. */
typedef struct tier {
  const char *algorithm; /* svdgrad_algorithm_name of the forward pass */
  svdgrad_algo_t algo;
  int64_t rank; /* 0: all */
  struct {
    int64_t m, n;
  } shape[4]; /* by type */
} tier_t;
#define ALL(m, n)                                                                                                      \
  {                                                                                                                    \
    {m, n}, {m, n}, {m, n}, { m, n }                                                                                   \
  } /* the same shape for every type */

/* The same problem for both backends. */
typedef struct pair {
  functions_t cuda, ref;
} pair_t;

static pair_t pair_make(const svdgrad_desc_t *desc) {
  pair_t p;
  svdgrad_desc_t other = *desc;
  other.algo = SVDGRAD_ALGO_AUTO; /* ref knows no VENDOR */
  p.cuda = functions_make(SVDGRAD_BACKEND_CUDA, desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  p.ref = functions_make(SVDGRAD_BACKEND_REF, &other, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < desc->batch_count; b++) {
    functions_fill(&p.cuda, b, 10 + (uint64_t)b);
    functions_fill(&p.ref, b, 10 + (uint64_t)b);
  }
  return p;
}

static void pair_free(pair_t *p) {
  functions_free(&p->cuda);
  functions_free(&p->ref);
}

static int64_t larger(const svdgrad_desc_t *d) { return d->m > d->n ? d->m : d->n; }

static void note(worst_t *worst, const svdgrad_desc_t *d, double ratio, const char *what) {
  worst_note(worst, ratio, "%s %lldx%lld %s", dtype_name(d->dtype), (long long)d->m, (long long)d->n, what);
}

static void expect_success(svdgrad_status_t status, const svdgrad_desc_t *d, const char *what) {
  cr_assert_eq(status, SVDGRAD_STATUS_SUCCESS, "%s %lldx%lld %s: %s", dtype_name(d->dtype), (long long)d->m,
               (long long)d->n, what, svdgrad_last_error_message());
}

/* |x - expected| / (|expected| max(m, n) eps), the largest of the batch. */
static void compare(worst_t *worst, const svdgrad_desc_t *d, const buffer_t *x, const buffer_t *expected,
                    const char *what) {
  for (int64_t b = 0; b < d->batch_count; b++) {
    LOCAL(dense) X = buffer_load(x, b);
    LOCAL(dense) E = buffer_load(expected, b);
    LOCAL(dense) difference = dense_sum(1, &X, -1, &E);
    const long double unit = (long double)larger(d) * dtype_epsilon(d->dtype);
    note(worst, d, ratio_of(dense_norm(&difference), dense_norm(&E) * unit), what);
  }
}

static void check_forward(pair_t *p, worst_t *worst) {
  const fixture_t *f = &p->cuda.f;
  const svdgrad_desc_t *d = &f->desc;
  expect_success(fixture_forward(&p->cuda.f, WITH_VECTORS), d, "svdgrad_svd");
  expect_success(fixture_forward(&p->ref.f, WITH_VECTORS), d, "svdgrad_svd of ref");
  compare(worst, d, &f->S, &p->ref.f.S, "S");
  for (int64_t b = 0; b < d->batch_count; b++) {
    LOCAL(dense) U = load_U(f, b);
    LOCAL(dense) V = load_V(f, b);
    cr_expect_eq(f->info[b], SVDGRAD_INFO_OK, "%s: info of matrix %lld is %d", dtype_name(d->dtype), (long long)b,
                 (int)f->info[b]);
    note(worst, d, ratio_orthonormal(&U, dtype_epsilon(d->dtype)), "U");
    note(worst, d, ratio_orthonormal(&V, dtype_epsilon(d->dtype)), "V");
    if (d->rank == 0)
      note(worst, d, ratio_residual(f, b), "residual");
  }
}

/* From the factors of the device. */
static void check_backward(pair_t *p, worst_t *worst) {
  const svdgrad_desc_t *d = &p->cuda.f.desc;
  buffer_copy(&p->ref.f.S, &p->cuda.f.S);
  buffer_copy(&p->ref.f.U, &p->cuda.f.U);
  buffer_copy(&p->ref.f.Vh, &p->cuda.f.Vh);
  expect_success(fixture_backward(&p->cuda.f, WITH_COTANGENTS, 1, 0), d, "svdgrad_svd_backward");
  expect_success(fixture_backward(&p->ref.f, WITH_COTANGENTS, 1, 0), d, "svdgrad_svd_backward of ref");
  compare(worst, d, &p->cuda.f.gA, &p->ref.f.gA, "gA");
}

static void check_function(pair_t *p, worst_t *worst) {
  const svdgrad_desc_t *d = &p->cuda.f.desc;
  p->cuda.function.kind = p->ref.function.kind = SVDGRAD_FUNCTION_SOFT_THRESHOLD;
  p->cuda.function.param = p->ref.function.param = 0.25;
  expect_success(functions_run(&p->cuda, SVDGRAD_OP_MATRIX_FUNCTION, 0, 1, 0), d, "svdgrad_matrix_function");
  expect_success(functions_run(&p->ref, SVDGRAD_OP_MATRIX_FUNCTION, 0, 1, 0), d, "svdgrad_matrix_function of ref");
  compare(worst, d, &p->cuda.Y, &p->ref.Y, "Y");
}

static void check_norm(pair_t *p, worst_t *worst) {
  const svdgrad_desc_t *d = &p->cuda.f.desc;
  p->cuda.norm = p->ref.norm = SVDGRAD_NORM_SCHATTEN;
  p->cuda.p = p->ref.p = 3;
  expect_success(functions_run(&p->cuda, SVDGRAD_OP_NORM_GRADIENT, 0, 1, 0), d, "svdgrad_norm");
  expect_success(functions_run(&p->ref, SVDGRAD_OP_NORM_GRADIENT, 0, 1, 0), d, "svdgrad_norm of ref");
  compare(worst, d, &p->cuda.value, &p->ref.value, "norm");
  compare(worst, d, &p->cuda.f.gA, &p->ref.f.gA, "gA of the norm");
}

static void check_power(const pair_t *p, worst_t *worst) {
  const svdgrad_desc_t *d = &p->cuda.f.desc;
  power_problem_t x = power_make(SVDGRAD_BACKEND_CUDA, d, LAYOUT_COLUMN_MAJOR, 0);
  power_problem_t y = power_make(SVDGRAD_BACKEND_REF, &p->ref.f.desc, LAYOUT_COLUMN_MAJOR, 0);
  buffer_copy(&x.A, &p->cuda.f.A);
  buffer_copy(&y.A, &p->cuda.f.A);
  for (int64_t b = 0; b < d->batch_count; b++) {
    power_fill(&x, b, 5);
    power_fill(&y, b, 5);
  }
  expect_success(power_iterate(&x, ITERATIONS), d, "svdgrad_power_iteration");
  expect_success(power_iterate(&y, ITERATIONS), d, "svdgrad_power_iteration of ref");
  compare(worst, d, &x.sigma, &y.sigma, "sigma");
  compare(worst, d, &x.u, &y.u, "u");
  compare(worst, d, &x.v, &y.v, "v");
  cr_expect(x.intact);
  power_free(&x);
  power_free(&y);
}

static void check_type(const tier_t *tier, svdgrad_dtype_t dtype, worst_t *worst) {
  svdgrad_desc_t desc = make_desc(dtype, tier->shape[dtype].m, tier->shape[dtype].n, BATCH);
  desc.algo = tier->algo;
  desc.rank = tier->rank;
  pair_t p = pair_make(&desc);
  const char *name = svdgrad_algorithm_name(p.cuda.f.handle, SVDGRAD_OP_SVD, &desc);
  cr_assert_not_null(name, "%s", svdgrad_last_error_message());
  cr_expect_str_eq(name, tier->algorithm, "%s is computed by %s", dtype_name(dtype), name);
  check_forward(&p, worst);
  check_backward(&p, worst);
  if (tier->rank == 0) {
    check_function(&p, worst);
    check_norm(&p, worst);
    check_power(&p, worst);
  }
  cr_expect(p.cuda.f.intact, "%s: bytes outside the operands were written", dtype_name(dtype));
  pair_free(&p);
}

/* TEST_LIGHT, for tools that slow kernels down a hundredfold, and the CPU run leave the large ones out. */
static void check_tier(const tier_t *tier) {
  const int64_t largest = TEST_SIMT || getenv("TEST_LIGHT") ? 70 : INT64_MAX;
  worst_t worst = worst_make(tier->algorithm);
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    if (tier->shape[dtype].m <= largest)
      check_type(tier, dtype, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

#define SMOKE(name, ...)                                                                                               \
  Test(smoke, name) {                                                                                                  \
    static const tier_t tier = __VA_ARGS__;                                                                            \
    check_tier(&tier);                                                                                                 \
  }

/* The shapes as cuda_choice.c assigns them. */
SMOKE(thread, {"jacobi-thread", SVDGRAD_ALGO_JACOBI, 0, ALL(4, 3)})
SMOKE(skinny, {"jacobi-skinny", SVDGRAD_ALGO_JACOBI, 0, ALL(40, 3)})
SMOKE(warp, {"jacobi-warp", SVDGRAD_ALGO_JACOBI, 0, ALL(8, 8)})
SMOKE(qr_then_warp, {"jacobi-warp", SVDGRAD_ALGO_JACOBI, 0, ALL(11, 60)})
SMOKE(panels, {"jacobi-panels", SVDGRAD_ALGO_JACOBI, 0, ALL(36, 34)})
SMOKE(blocked, {"jacobi-blocked", SVDGRAD_ALGO_JACOBI, 0, {{132, 130}, {100, 98}, {98, 100}, {66, 65}}})
SMOKE(truncated, {"jacobi-warp", SVDGRAD_ALGO_JACOBI, 4, ALL(16, 12)})
SMOKE(batched_gesvdj, {"cusolver-gesvdjBatched", SVDGRAD_ALGO_VENDOR, 0, ALL(8, 8)})
SMOKE(gesvdj, {"cusolver-gesvdj", SVDGRAD_ALGO_VENDOR, 0, ALL(40, 36)})
