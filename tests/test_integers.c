/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of small integer matrices (all of one shape in one batch, and sparse ones with up to 33 columns), by every
 * backend and algorithm.  The reference backend is not needed: A = U diag(S) Vh with orthonormal factors and descending
 * S proves S; bisection computes S once more; determinants of integer matrices are exact.  Bounds are in
 * the units of LAPACK's tests (ratios.h). */
#include "bisection.h"
#include "cases.h"
#include "dilation.h"
#include "functions.h"
#include "integers.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 1: fewer matrices, for the CPU run of CUDA and sanitizers. */
#define FEW (test_table == TABLE_SMALL || test_sampled)

/* Matrices of one shape and their singular values. */
typedef struct family {
  const char *name;
  integers_t A;
  double *S; /* of matrix b: S[b * min(m, n)], descending; owned */
} family_t;

static family_t family_of(const char *name, integers_t A, int turned) {
  const int64_t k = A.m < A.n ? A.m : A.n;
  family_t family = {name, A, malloc((size_t)(A.count * k) * sizeof(double))};
  cr_assert(family.S);
  if (turned)
    integers_turn(&A);
  for (int64_t b = 0; b < A.count; b++)
    bisected_values(A.m, A.n, integers_matrix(&A, b), family.S + b * k);
  return family;
}

static void family_free(family_t *family) {
  integers_free(&family->A);
  free(family->S);
}

/* ---- one matrix ---- */

/* Columns one after the other; the parts apart, since products of C's complex type take several times as long. */
typedef struct wide {
  int64_t rows, columns;
  int is_complex;
  long double *re, *im; /* owned */
} wide_t;

static wide_t wide_make(int64_t rows, int64_t columns, int is_complex) {
  wide_t x = {rows, columns, is_complex, NULL, NULL};
  x.re = calloc((size_t)(2 * rows * columns) + 1, sizeof *x.re);
  cr_assert(x.re);
  x.im = x.re + rows * columns;
  return x;
}

static void wide_free(wide_t *x) { free(x->re); }

/* `adjoint`: of rows, the columns of its conjugate transpose. */
static wide_t wide_load(const buffer_t *from, int64_t b, int adjoint) {
  wide_t x =
      wide_make(adjoint ? from->cols : from->rows, adjoint ? from->rows : from->cols, dtype_is_complex(from->dtype));
  for (int64_t j = 0; j < x.columns; j++)
    for (int64_t i = 0; i < x.rows; i++) {
      const z_t z = adjoint ? buffer_get(from, b, j, i) : buffer_get(from, b, i, j);
      x.re[j * x.rows + i] = creall(z);
      x.im[j * x.rows + i] = adjoint ? -cimagl(z) : cimagl(z);
    }
  return x;
}

/* |I - Q^H Q|_1 / (rows eps) */
static double not_orthonormal(const wide_t *Q, double eps) {
  long double largest = 0;
  for (int64_t j = 0; j < Q->columns; j++) {
    long double sum = 0;
    for (int64_t c = 0; c < Q->columns; c++) {
      const int64_t x = c * Q->rows, y = j * Q->rows;
      long double re = c == j ? -1 : 0, im = 0;
      for (int64_t i = 0; i < Q->rows; i++)
        re += Q->re[x + i] * Q->re[y + i];
      for (int64_t i = 0; i < Q->rows && Q->is_complex; i++) {
        re += Q->im[x + i] * Q->im[y + i];
        im += Q->re[x + i] * Q->im[y + i] - Q->im[x + i] * Q->re[y + i];
      }
      sum += Q->is_complex ? sqrtl(re * re + im * im) : fabsl(re);
    }
    largest = sum <= largest ? largest : sum; /* a NaN stays */
  }
  return ratio_of(largest, (long double)Q->rows * eps);
}

/* |A - U diag(S) V^H|_1 / (|A|_1 max(m, n) eps) */
static double residual_of(const fixture_t *f, int64_t b, const wide_t *U, const wide_t *V) {
  long double largest = 0, norm = 0;
  for (int64_t j = 0; j < f->A.cols; j++) {
    long double sum = 0, size = 0;
    for (int64_t i = 0; i < f->A.rows; i++) {
      const z_t a = buffer_get(&f->A, b, i, j);
      long double re = creall(a), im = cimagl(a);
      for (int64_t c = 0; c < f->S.rows; c++) {
        const long double s = creall(buffer_get(&f->S, b, c, 0));
        const int64_t u = c * U->rows + i, v = c * V->rows + j;
        re -= s * (U->re[u] * V->re[v] + U->im[u] * V->im[v]);
        im -= U->is_complex ? s * (U->im[u] * V->re[v] - U->re[u] * V->im[v]) : 0;
      }
      sum += U->is_complex ? sqrtl(re * re + im * im) : fabsl(re);
      size += U->is_complex ? cabsl(a) : fabsl(creall(a));
    }
    largest = sum <= largest ? largest : sum;
    norm = size <= norm ? norm : size;
  }
  return ratio_of(largest,
                  norm * (long double)(f->A.rows > f->A.cols ? f->A.rows : f->A.cols) * dtype_epsilon(f->desc.dtype));
}

static const char *algorithm_of(const fixture_t *f) {
  return svdgrad_algorithm_name(f->handle, SVDGRAD_OP_SVD, &f->desc);
}

static void note(worst_t *worst, const family_t *family, const fixture_t *f, int64_t b, double ratio,
                 const char *what) {
  worst_note(worst, ratio, "%s %s %lldx%lld %s, matrix %lld: %s", algorithm_of(f), dtype_name(f->desc.dtype),
             (long long)f->desc.m, (long long)f->desc.n, family->name, (long long)b, what);
}

/* Descending, none negative, and those of the family. */
static void check_values(worst_t *worst, const family_t *family, const fixture_t *f, int64_t b) {
  const double *exact = family->S + b * f->S.rows, eps = dtype_epsilon(f->desc.dtype);
  const long double unit = exact[0] * (long double)(f->A.rows > f->A.cols ? f->A.rows : f->A.cols) * eps;
  long double error = 0, before = INFINITY;
  for (int64_t i = 0; i < f->S.rows; i++) {
    const long double s = creall(buffer_get(&f->S, b, i, 0)), off = fabsl(s - exact[i]);
    error = off <= error ? error : off;
    if (!(s >= 0 && s <= before))
      note(worst, family, f, b, INFINITY, "order of S");
    before = s;
  }
  note(worst, family, f, b, ratio_of(error, unit), "S");
}

static void check_matrix(worst_t *worst, const family_t *family, const fixture_t *f, int64_t b) {
  wide_t U = wide_load(&f->U, b, 0), V = wide_load(&f->Vh, b, 1);
  if (f->info[b] != SVDGRAD_INFO_OK)
    note(worst, family, f, b, INFINITY, "info");
  check_values(worst, family, f, b);
  note(worst, family, f, b, not_orthonormal(&U, dtype_epsilon(f->desc.dtype)), "U");
  note(worst, family, f, b, not_orthonormal(&V, dtype_epsilon(f->desc.dtype)), "V");
  note(worst, family, f, b, residual_of(f, b, &U, &V), "residual");
  wide_free(&U);
  wide_free(&V);
}

/* ---- all matrices of a family, by every algorithm ---- */

typedef void (*family_check_t)(worst_t *worst, const family_t *family, svdgrad_backend_t backend,
                               const svdgrad_desc_t *desc);

/* Whether the requested algorithm is that of AUTO, or does not exist. */
static int is_auto_again(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  svdgrad_desc_t by_default = *desc;
  by_default.algo = SVDGRAD_ALGO_AUTO;
  svdgrad_handle_t handle;
  cr_assert_eq(svdgrad_create(backend, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  const char *name = svdgrad_algorithm_name(handle, SVDGRAD_OP_SVD, desc);
  const char *usual = svdgrad_algorithm_name(handle, SVDGRAD_OP_SVD, &by_default);
  const int again = desc->algo != SVDGRAD_ALGO_AUTO && (!name || strcmp(name, usual) == 0);
  (void)svdgrad_destroy(handle);
  return again;
}

/* In the two precisions of the family's element type. */
static void for_each_algorithm(worst_t *worst, const family_t *family, int is_complex, family_check_t check) {
  for (int backend = 0; backend < test_backend_count; backend++)
    for (int algo = SVDGRAD_ALGO_AUTO; algo <= SVDGRAD_ALGO_VENDOR; algo++)
      for (int precision = 0; precision < 2; precision++) {
        svdgrad_desc_t desc =
            make_desc((svdgrad_dtype_t)(2 * is_complex + precision), family->A.m, family->A.n, family->A.count);
        desc.algo = (svdgrad_algo_t)algo;
        if (!is_auto_again(test_backends[backend], &desc))
          check(worst, family, test_backends[backend], &desc);
      }
}

static fixture_t factorized(const family_t *family, svdgrad_backend_t backend, const svdgrad_desc_t *desc, int with) {
  fixture_t f = fixture_make(backend, desc, LAYOUT_COLUMN_MAJOR);
  integers_store(&family->A, &f.A);
  cr_assert_eq(fixture_forward(&f, with), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(f.intact);
  return f;
}

static void check_family(worst_t *worst, const family_t *family, svdgrad_backend_t backend,
                         const svdgrad_desc_t *desc) {
  fixture_t f = factorized(family, backend, desc, WITH_VECTORS);
  for (int64_t b = 0; b < family->A.count; b++)
    check_matrix(worst, family, &f, b);
  fixture_free(&f);
}

static void check_full_family(worst_t *worst, const family_t *family, svdgrad_backend_t backend,
                              const svdgrad_desc_t *desc) {
  svdgrad_desc_t full = *desc;
  full.full_matrices = 1;
  check_family(worst, family, backend, &full);
}

/* With entries least..1, or every so many of them; of large families of complex type a third, which take long. */
static void for_every_matrix(worst_t *worst, int64_t m, int64_t n, int least, int64_t stride, family_check_t check) {
  for (int is_complex = 0; is_complex < 2; is_complex++) {
    const int64_t every = is_complex && m * n > 9 ? 3 * stride : stride;
    family_t family = family_of("all", integers_all(m, n, least, 1, every), is_complex);
    for_each_algorithm(worst, &family, is_complex, check);
    family_free(&family);
  }
}

Test(integers, every_3x3_of_minus_one_zero_one) {
  worst_t worst = worst_make("integers 3x3");
  for_every_matrix(&worst, 3, 3, -1, FEW ? 31 : 1, check_family);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

Test(integers, every_4x4_of_zero_one) {
  worst_t worst = worst_make("integers 4x4");
  for_every_matrix(&worst, 4, 4, 0, FEW ? 211 : 1, check_family);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Also of low rank, with square factors. */
Test(integers, every_tall_and_wide_one) {
  static const test_shape_t shapes[] = {{3, 2}, {2, 3}, {4, 2}, {2, 4}, {4, 3}, {3, 4}, {6, 2}, {2, 6}};
  worst_t worst = worst_make("integers tall, wide");
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const int least = shapes[i].m * shapes[i].n > 8 ? 0 : -1;
    for_every_matrix(&worst, shapes[i].m, shapes[i].n, least, FEW ? 31 : 1, check_family);
    for_every_matrix(&worst, shapes[i].m, shapes[i].n, least, FEW ? 211 : 7, check_full_family);
  }
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

static void for_sparse(worst_t *worst, test_shape_t shape, int64_t count, family_check_t check) {
  for (int is_complex = 0; is_complex < 2; is_complex++) {
    const uint64_t seed = (uint64_t)(100 * shape.m + shape.n);
    family_t family = family_of("sparse", integers_sparse(shape.m, shape.n, count, is_complex, seed), 0);
    for_each_algorithm(worst, &family, is_complex, check);
    family_free(&family);
  }
}

Test(integers, sparse_and_structured_up_to_33_columns) {
  static const test_shape_t shapes[] = {
      {4, 4},   {5, 5},   {6, 6},   {7, 7},   {8, 8},   {9, 9},   {5, 3},  {3, 5},
      {9, 5},   {5, 9},   {7, 20},  {20, 7},  {16, 16}, {17, 17}, {7, 9}, /* from here on not for the small table */
      {12, 33}, {33, 12}, {24, 24}, {32, 32}, {33, 33}, {33, 32}, {32, 33}};
  worst_t worst = worst_make("integers sparse");
  const size_t few = 14, all = sizeof shapes / sizeof *shapes;
  for (size_t i = 0; i < (test_table == TABLE_SMALL ? few : all); i++) {
    const int64_t count = shapes[i].m * shapes[i].n <= 100 ? 160 : 20; /* large ones are slow */
    for_sparse(&worst, shapes[i], FEW ? count / 10 : count, check_family);
  }
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- matrices with singular values in closed form ---- */

Test(integers, known_singular_values) {
  static const double at[][9] = {/* by rows */
                                 {1, 0, 0, 0, 1, 1, 0, 0, 1},
                                 {0, 0, 0, 0, 1, 2, 1, 0, 0},
                                 {-1, 0, 0, 0, -1, -1, 0, 0, -1}};
  const double golden = (1 + sqrt(5)) / 2;
  const double S[][3] = {{golden, 1, golden - 1}, {sqrt(5), 1, 0}, {golden, 1, golden - 1}};
  enum { COUNT = sizeof at / sizeof *at };
  for (int backend = 0; backend < test_backend_count; backend++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      const svdgrad_desc_t desc = make_desc(dtype, 3, 3, COUNT);
      fixture_t f = fixture_make(test_backends[backend], &desc, LAYOUT_COLUMN_MAJOR);
      for (int b = 0; b < COUNT; b++)
        for (int e = 0; e < 9; e++)
          buffer_set(&f.A, b, e / 3, e % 3, at[b][e]);
      cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
      for (int b = 0; b < COUNT; b++)
        for (int i = 0; i < 3; i++)
          cr_expect_float_eq((double)creall(buffer_get(&f.S, b, i, 0)), S[b][i], 8 * dtype_epsilon(dtype));
      fixture_free(&f);
    }
}

/* ---- negative zeros ---- */

static void check_signs(worst_t *worst, const family_t *family, svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  if (desc->algo == SVDGRAD_ALGO_VENDOR)
    return; /* LAPACK's own zeros have either sign */
  for (int with = 0; with <= WITH_VECTORS; with += WITH_VECTORS) {
    fixture_t f = factorized(family, backend, desc, with);
    for (int64_t b = 0; b < family->A.count; b++)
      for (int64_t i = 0; i < f.S.rows; i++)
        if (signbit(creall(buffer_get(&f.S, b, i, 0))))
          note(worst, family, &f, b, INFINITY, with ? "negative S" : "negative S, values alone");
    fixture_free(&f);
  }
}

Test(integers, no_singular_value_is_a_negative_zero) {
  static const test_shape_t shapes[] = {{3, 2}, {2, 3}, {6, 2}, {2, 6}, {3, 3}};
  worst_t worst = worst_make("integers signs");
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for_every_matrix(&worst, shapes[i].m, shapes[i].n, shapes[i].m * shapes[i].n > 9 ? 0 : -1, FEW ? 101 : 1,
                     check_signs);
  cr_assert(worst_within(&worst, 0));
}

/* ---- norms ---- */

static double determinant_3x3(const double *a) { /* of the real parts, column-major pairs */
  return a[0] * (a[8] * a[16] - a[14] * a[10]) - a[6] * (a[2] * a[16] - a[14] * a[4]) +
         a[12] * (a[2] * a[10] - a[8] * a[4]);
}

static void check_norm(worst_t *worst, const family_t *family, svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  const int64_t k = desc->m < desc->n ? desc->m : desc->n;
  functions_t x = functions_make(backend, desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  integers_store(&family->A, &x.f.A);
  for (int kind = 0; kind < 2; kind++) {
    x.norm = kind ? SVDGRAD_NORM_LOG_DETERMINANT : SVDGRAD_NORM_NUCLEAR;
    cr_assert_eq(functions_run(&x, SVDGRAD_OP_NORM, ABSENT(OPERAND_G), 1, 0), SVDGRAD_STATUS_SUCCESS);
    for (int64_t b = 0; b < family->A.count; b++) {
      const double *s = family->S + b * k;
      const int is_known = kind && k == 3 && desc->m == desc->n && !dtype_is_complex(desc->dtype);
      long double sum = 0, condition = 0;
      for (int64_t i = 0; i < k; i++) {
        sum += kind ? logl(s[i]) : s[i];
        condition += kind ? s[0] / s[i] : s[0];
      }
      if (kind && !(s[k - 1] > 1e-3 * s[0]))
        continue; /* singular, or nearly so */
      if (is_known)
        sum = logl(fabsl(determinant_3x3(integers_matrix(&family->A, b))));
      const long double error = fabsl(creall(buffer_get(&x.value, b, 0, 0)) - sum);
      note(worst, family, &x.f, b, ratio_of(error, (condition + fabsl(sum)) * dtype_epsilon(desc->dtype)),
           kind ? "log det" : "nuclear norm");
    }
  }
  functions_free(&x);
}

Test(integers, norms) {
  static const test_shape_t shapes[] = {{5, 5}, {7, 4}, {6, 9}};
  worst_t worst = worst_make("integers norms");
  for_every_matrix(&worst, 3, 3, -1, FEW ? 101 : 1, check_norm);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for_sparse(&worst, shapes[i], FEW ? 8 : 160, check_norm);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- the backward pass of leading triplets ---- */

/* Smallest distance of the leading `rank` values from each other, from the next one and from zero; the others do not
 * matter. */
static double smallest_gap(const double *s, int64_t k, int64_t rank) {
  double gap = s[rank - 1];
  for (int64_t i = 0; i < rank && i + 1 < k; i++)
    gap = fmin(gap, s[i] - s[i + 1]);
  return gap;
}

static void check_gradient(worst_t *worst, const family_t *family, const fixture_t *f, int64_t b, double gap) {
  LOCAL(dense) A = buffer_load(&f->A, b);
  LOCAL(dense) U = load_U(f, b);
  LOCAL(dense) V = load_V(f, b);
  LOCAL(dense) gS = buffer_load(&f->gS, b);
  LOCAL(dense) gU = buffer_load(&f->gU, b);
  LOCAL(dense) gVh = buffer_load(&f->gVh, b);
  LOCAL(dense) gV = dense_conjugate_transpose(&gVh);
  LOCAL(dense) gA = buffer_load(&f->gA, b);
  long double *s = load_S(f, b), *weights = load_S(f, b);
  for (int64_t i = 0; i < f->S.rows; i++)
    weights[i] = creall(gS.at[i]);
  LOCAL(dense) exact = dilation_gradient(&A, s, &U, &V, weights, &gU, &gV);
  LOCAL(dense) error = dense_sum(1, &gA, -1, &exact);
  const long double condition = s[0] / gap;
  note(worst, family, f, b, ratio_of(dense_norm(&error), dense_norm(&exact) * condition * dtype_epsilon(f->desc.dtype)),
       "gradient");
  free(s);
  free(weights);
}

/* The leading `rank` triplets, if none of their values is near another one or zero. */
static void check_rank(worst_t *worst, const family_t *family, svdgrad_backend_t backend, const svdgrad_desc_t *desc,
                       int64_t rank) {
  const int64_t k = desc->m < desc->n ? desc->m : desc->n;
  svdgrad_desc_t truncated = *desc;
  truncated.rank = rank;
  fixture_t f = factorized(family, backend, &truncated, WITH_VECTORS);
  fixture_random_cotangents(&f, 5);
  cr_assert_eq(fixture_backward(&f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  cr_assert(f.intact);
  for (int64_t b = 0; b < family->A.count; b++) {
    const double *s = family->S + b * k, gap = smallest_gap(s, k, rank);
    if (gap > 0.05 * s[0])
      check_gradient(worst, family, &f, b, gap);
  }
  fixture_free(&f);
}

static void check_first(worst_t *worst, const family_t *family, svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  check_rank(worst, family, backend, desc, 1);
}

static void check_ranks(worst_t *worst, const family_t *family, svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  for (int64_t rank = 1; rank < 4 && rank < desc->m && rank < desc->n; rank++)
    check_rank(worst, family, backend, desc, rank);
}

Test(integers, truncated_gradients) {
  static const test_shape_t shapes[] = {{4, 4}, {5, 5}, {7, 4}, {4, 6}, {9, 9}, {12, 12}};
  worst_t worst = worst_make("integers truncated");
  for_every_matrix(&worst, 3, 3, -1, FEW ? 407 : 13, check_ranks);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for_sparse(&worst, shapes[i], FEW ? 4 : 40, check_ranks);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* A large value beside exactly orthogonal columns, which are all that is left without it. */
Test(integers, truncated_gradient_beside_orthogonal_columns) {
  static const double rest[] = {1, 0, 0, 0, 1, 1, 0, 0, 1}; /* by columns */
  worst_t worst = worst_make("integers truncated, orthogonal");
  for (int is_complex = 0; is_complex < 2; is_complex++) {
    integers_t A = integers_all(4, 4, 0, 0, 1);
    A.at[0] = 5;
    for (int e = 0; e < 9; e++)
      A.at[2 * ((1 + e / 3) * 4 + 1 + e % 3)] = rest[e];
    family_t family = family_of("5 and orthogonal columns", A, 0);
    for_each_algorithm(&worst, &family, is_complex, check_first);
    family_free(&family);
  }
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}
