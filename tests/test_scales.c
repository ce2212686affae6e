/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values at the ends of the range: too large for their type, or so far apart that squares over- or
 * underflow. */
#include "cases.h"
#include "functions.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

static int is_single(svdgrad_dtype_t dtype) { return dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64; }

static fixture_t start(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t n, int64_t batch_count) {
  const svdgrad_desc_t desc = make_desc(dtype, n, n, batch_count);
  fixture_t f = fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < batch_count; b++)
    for (int64_t j = 0; j < n; j++)
      for (int64_t i = 0; i < n; i++)
        buffer_set(&f.A, b, i, j, 0);
  return f;
}

static void factorize(fixture_t *f) {
  cr_assert_eq(fixture_forward(f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
}

static double value_of(const fixture_t *f, int64_t b, int64_t j) { return (double)creall(buffer_get(&f->S, b, j, 0)); }

static void overflows(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  const double largest = is_single(dtype) ? 3e38 : 1.7e308;
  fixture_t f = start(backend, dtype, 2, 1);
  for (int64_t i = 0; i < 4; i++)
    buffer_set(&f.A, 0, i / 2, i % 2, i == 3 ? -largest : largest);
  factorize(&f);
  cr_expect_eq(f.info[0], SVDGRAD_INFO_OVERFLOW);
  for (int64_t j = 0; j < 2; j++)
    cr_expect(isinf(value_of(&f, 0, j)));
  for (int64_t i = 0; i < 4; i++) {
    cr_expect(isfinite(creall(buffer_get(&f.U, 0, i / 2, i % 2))));
    cr_expect(isfinite(creall(buffer_get(&f.Vh, 0, i / 2, i % 2))));
  }
  fixture_free(&f);
}

/* diag(1, .., 1, x) for every matrix but the first one, which has a true zero. */
static void keeps_small(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t n) {
  const double x = is_single(dtype) ? 0x1p-110 : 0x1p-1000;
  fixture_t f = start(backend, dtype, n, 17);
  if (f.desc.algo == SVDGRAD_ALGO_VENDOR) { /* its errors are c eps s_1 */
    fixture_free(&f);
    return;
  }
  if (n > 8) /* from 12 columns on those of AUTO, too */
    f.desc.algo = SVDGRAD_ALGO_JACOBI;
  for (int64_t b = 0; b < 17; b++)
    for (int64_t i = 0; i < n; i++)
      buffer_set(&f.A, b, i, i, i < n - 1 ? 1 : b ? x : 0);
  factorize(&f);
  for (int64_t b = 0; b < 17; b++)
    cr_expect_float_eq(value_of(&f, b, n - 1) / x, b != 0, 1e-5, "%s type %d n %d", backend_name(backend), (int)dtype,
                       (int)n);
  fixture_free(&f);
}

static void for_all(void (*check)(svdgrad_backend_t backend, svdgrad_dtype_t dtype)) {
  static const svdgrad_dtype_t types[] = {SVDGRAD_F32, SVDGRAD_F64, SVDGRAD_C64, SVDGRAD_C128};
  for (int i = 0; i < test_backend_count; i++)
    for (int t = 0; t < 4; t++)
      check(test_backends[i], types[t]);
}

static void keeps_small_at_sizes(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  static const int64_t sizes[] = {2, 3, 5, 8, 20, 40};
  for (int i = 0; i < 6; i++)
    if (backend == SVDGRAD_BACKEND_REF || backend == SVDGRAD_BACKEND_CPU)
      keeps_small(backend, dtype, sizes[i]);
}

Test(scales, values_too_large_are_infinite_and_say_so) { for_all(overflows); }
Test(scales, values_far_below_the_largest_are_kept) { for_all(keeps_small_at_sizes); }

/* ---- small values -------------------------------------------------------------------------------------
 * The companion matrix of x^n + n x^(n-1) + .. + n!/1! x + n!, n! times the first terms of the exponential series: its
 * last column is that of the coefficients c_j, below the diagonal are ones.  Of its values all are 1 but the first and
 * the last, s_1^2 + s_n^2 = 1 + sum c_j^2 and s_1 s_n = n!; s_1 is 10^48 at n = 40. */

typedef struct companion {
  fixture_t f;
  long double first, last;
} companion_t;

static void set_entry(const companion_t *c, int transposed, int64_t i, int64_t j, long double x) {
  buffer_set(&c->f.A, 0, transposed ? j : i, transposed ? i : j, x);
}

static companion_t companion_make(svdgrad_backend_t backend, svdgrad_dtype_t dtype, svdgrad_algo_t algo,
                                  int transposed) {
  const int64_t n = is_single(dtype) ? 20 : 40;
  companion_t c = {.f = start(backend, dtype, n, 1)};
  long double coefficient = 1, squares = 1;
  c.f.desc.algo = algo;
  for (int64_t j = 1; j < n; j++)
    set_entry(&c, transposed, j, j - 1, 1);
  for (int64_t j = n - 1; j >= 0; j--) {
    coefficient *= (long double)(j + 1);
    set_entry(&c, transposed, j, n - 1, -coefficient);
    const long double rounded = creall(buffer_get(&c.f.A, 0, transposed ? n - 1 : j, transposed ? j : n - 1));
    squares += rounded * rounded;
    c.last = -rounded;
  }
  c.first = sqrtl((squares + sqrtl(squares * squares - 4 * c.last * c.last)) / 2);
  c.last /= c.first;
  return c;
}

/* To eps s_1 always; to eps s_i too by Jacobi's algorithm, if a column (not a row) is large. */
static void check_companion(svdgrad_backend_t backend, svdgrad_dtype_t dtype, svdgrad_algo_t algo, int transposed,
                            int with) {
  companion_t c = companion_make(backend, dtype, algo, transposed);
  const int64_t n = c.f.desc.n;
  const int is_relative = !transposed && algo == SVDGRAD_ALGO_JACOBI && backend != SVDGRAD_BACKEND_CUDA;
  cr_assert_eq(fixture_forward(&c.f, with), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  for (int64_t j = 0; j < n; j++) {
    const long double expected = j == 0 ? c.first : j < n - 1 ? 1 : c.last;
    const long double unit = 4 * (long double)n * dtype_epsilon(dtype) * (is_relative ? expected : c.first);
    cr_expect(fabsl((long double)value_of(&c.f, 0, j) - expected) <= unit,
              "%s %s algorithm %d%s%s: value %d is %g, not %Lg", backend_name(backend), dtype_name(dtype), (int)algo,
              with ? "" : ", values alone", transposed ? ", large row" : "", (int)j, value_of(&c.f, 0, j), expected);
  }
  fixture_free(&c.f);
}

static void companions(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  for (int algo = SVDGRAD_ALGO_AUTO; algo <= SVDGRAD_ALGO_VENDOR; algo++)
    for (int i = 0; i < 4; i++)
      if (algo != SVDGRAD_ALGO_VENDOR || (backend == SVDGRAD_BACKEND_CPU && backend_has(backend, SVDGRAD_ALGO_VENDOR)))
        check_companion(backend, dtype, (svdgrad_algo_t)algo, i / 2, i % 2 ? WITH_VECTORS : 0);
}

/* Columns (rows, if m < n) of a well-conditioned matrix times powers of two in disorder. */
static void fill_graded(const fixture_t *f, int64_t b) {
  const int range = is_single(f->desc.dtype) ? 60 : 400;
  dense_t A = make_matrix(SPECTRUM_LINEAR, f->desc.dtype, f->desc.m, f->desc.n, (uint64_t)b);
  for (int64_t j = 0; j < A.n; j++)
    for (int64_t i = 0; i < A.m; i++) {
      const int power = -(int)((f->desc.m < f->desc.n ? i : j) * 37 % range);
      z_t *a = &A.at[i + j * A.m];
      *a = CMPLXL(ldexpl(creall(*a), power), ldexpl(cimagl(*a), power));
    }
  buffer_store(&f->A, b, &A);
  dense_free(&A);
}

/* The reference computes with a wider type. */
static void check_graded(svdgrad_dtype_t dtype, int64_t m, int64_t n, int with) {
  svdgrad_desc_t desc = make_desc(dtype, m, n, 2);
  desc.algo = SVDGRAD_ALGO_JACOBI;
  fixture_t f = fixture_make(SVDGRAD_BACKEND_CPU, &desc, LAYOUT_COLUMN_MAJOR);
  fixture_t reference = fixture_make(SVDGRAD_BACKEND_REF, &desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < 2; b++)
    fill_graded(&f, b), fill_graded(&reference, b);
  cr_assert_eq(fixture_forward(&f, with), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert_eq(fixture_forward(&reference, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  for (int64_t b = 0; b < 2; b++)
    for (int64_t j = 0; j < f.S.rows; j++) {
      const double expected = value_of(&reference, b, j), got = value_of(&f, b, j);
      cr_expect(fabs(got - expected) <= 4 * (double)f.S.rows * dtype_epsilon(dtype) * expected,
                "%s %d x %d value %d: %g, not %g", dtype_name(dtype), (int)m, (int)n, (int)j, got, expected);
    }
  fixture_free(&f);
  fixture_free(&reference);
}

static void graded(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  static const int64_t shapes[][2] = {{2, 2}, {3, 3}, {5, 5}, {12, 12}, {40, 40}, {60, 20}, {20, 60}, {70, 70}};
  for (int i = 0; i < 8 && backend == SVDGRAD_BACKEND_CPU; i++)
    for (int with = 0; with < 2; with++)
      check_graded(dtype, shapes[i][0], shapes[i][1], with ? WITH_VECTORS : 0);
}

Test(scales, values_of_a_companion_matrix) { for_all(companions); }
Test(scales, jacobi_keeps_graded_columns) { for_all(graded); }

/* ---- derivatives ------------------------------------------------------------------------------------
 * Times powers of two S and the other inputs give the same results times powers of two, bit for bit but for rounding to
 * subnormal numbers.  The calls take factors, so that S may be as exact as it likes. */

/* The operands of one call, times 2^power each. */
typedef struct scaled {
  int operand, power;
} scaled_t;

typedef struct problem_of {
  svdgrad_backend_t backend;
  svdgrad_desc_t desc;
  svdgrad_op_t op;
  svdgrad_function_t function;
  int power; /* of S */
  const scaled_t *inputs, *outputs;
  int input_count, output_count;
} problem_of_t;

static void multiply_by(const buffer_t *X, int64_t b, int power) {
  for (int64_t j = 0; j < X->cols; j++)
    for (int64_t i = 0; i < X->rows; i++) {
      const z_t x = buffer_get(X, b, i, j);
      const int is_complex = dtype_is_complex(X->dtype);
      buffer_set(X, b, i, j, ldexpl(creall(x), power) + (is_complex ? ldexpl(cimagl(x), power) * I : 0));
    }
}

/* S = k, .., 2, 1 and small integers in A, which is what the discarded triplets come from. */
static void set_integers(functions_t *x, int64_t b) {
  for (int64_t j = 0; j < x->f.S.rows; j++)
    buffer_set(&x->f.S, b, j, 0, (double)(x->f.S.rows - j));
  for (int64_t j = 0; j < x->f.A.cols; j++)
    for (int64_t i = 0; i < x->f.A.rows; i++)
      buffer_set(&x->f.A, b, i, j, rintl(4 * creall(buffer_get(&x->f.A, b, i, j))));
}

static functions_t run_scaled(const problem_of_t *p, int scaled) {
  functions_t x = functions_make(p->backend, &p->desc, p->function.form, LAYOUT_COLUMN_MAJOR);
  x.function = p->function;
  for (int64_t b = 0; b < p->desc.batch_count; b++)
    functions_fill(&x, b, 5);
  factorize(&x.f); /* for U and Vh */
  for (int64_t b = 0; b < p->desc.batch_count; b++) {
    set_integers(&x, b);
    if (!scaled)
      continue;
    multiply_by(&x.f.S, b, p->power);
    multiply_by(&x.f.A, b, p->power);
    for (int i = 0; i < p->input_count; i++)
      multiply_by(functions_operand(&x, p->inputs[i].operand), b, p->inputs[i].power);
  }
  const svdgrad_status_t status = p->op == SVDGRAD_OP_SVD_BACKWARD ? fixture_backward(&x.f, WITH_COTANGENTS, 1, 0)
                                                                   : functions_run(&x, p->op, 0, 1, 0);
  cr_assert_eq(status, SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  return x;
}

/* Largest difference of x and y 2^power, relative to the largest element of the latter. */
static double difference_of(const buffer_t *x, const buffer_t *y, int64_t b, int power) {
  long double most = 0, difference = 0;
  for (int64_t j = 0; j < x->cols; j++)
    for (int64_t i = 0; i < x->rows; i++) {
      const z_t expected = buffer_get(y, b, i, j), got = buffer_get(x, b, i, j);
      const long double re = ldexpl(creall(got), -power) - creall(expected);
      const long double im = dtype_is_complex(x->dtype) ? ldexpl(cimagl(got), -power) - cimagl(expected) : 0;
      most = fmaxl(most, cabsl(expected));
      difference = isfinite(re) && isfinite(im) ? fmaxl(difference, hypotl(re, im)) : INFINITY;
    }
  return most > 0 ? (double)(difference / most) : (double)difference;
}

static void check_scaled(const problem_of_t *p) {
  functions_t base = run_scaled(p, 0), x = run_scaled(p, 1);
  /* 2^(power degree) is as right as degree - 1, a rounded double, is. */
  const double of_degree = p->function.kind == SVDGRAD_FUNCTION_POWER ? 2 * DBL_EPSILON * abs(p->power) : 0;
  const double tolerance = 64 * dtype_epsilon(p->desc.dtype) + of_degree;
  for (int i = 0; i < p->output_count; i++) {
    const int operand = p->outputs[i].operand;
    double most = 0;
    for (int64_t b = 0; b < p->desc.batch_count; b++)
      most = fmax(most, difference_of(functions_operand(&x, operand), functions_operand(&base, operand), b,
                                      p->outputs[i].power));
    cr_expect(most <= tolerance, "%s of operation %d kind %d param %g, %s %s %d x %d rank %d, S 2^%d: %g",
              functions_operand_name(operand), (int)p->op, (int)p->function.kind, p->function.param,
              backend_name(p->backend), dtype_name(p->desc.dtype), (int)p->desc.m, (int)p->desc.n, (int)p->desc.rank,
              p->power, most);
  }
  functions_free(&base);
  functions_free(&x);
}

static int between(int x, int least, int most) { return x < least ? least : x > most ? most : x; }

/* Powers of cotangents and tangents stay where products with them are normal numbers. */
static int normal_power(svdgrad_dtype_t dtype, int power) {
  const int limit = is_single(dtype) ? 100 : 990;
  return between(power, -limit, limit);
}

static void check_jvp(problem_of_t p) {
  const int dA = normal_power(p.desc.dtype, p.power);
  const scaled_t inputs[] = {{OPERAND_DA, dA}};
  const scaled_t outputs[] = {{OPERAND_DS, dA}, {OPERAND_DU, dA - p.power}, {OPERAND_DVH, dA - p.power}};
  p.op = SVDGRAD_OP_SVD_JVP, p.inputs = inputs, p.outputs = outputs, p.input_count = 1, p.output_count = 3;
  check_scaled(&p);
}

static void check_backward(problem_of_t p) {
  const int g = normal_power(p.desc.dtype, p.power), gS = g - p.power;
  const scaled_t inputs[] = {{OPERAND_GU, g}, {OPERAND_GVH, g}, {OPERAND_GS, gS}};
  const scaled_t outputs[] = {{OPERAND_GA, gS}};
  p.op = SVDGRAD_OP_SVD_BACKWARD, p.inputs = inputs, p.outputs = outputs, p.input_count = 3, p.output_count = 1;
  check_scaled(&p);
}

static void check_second(problem_of_t p) {
  const int g = normal_power(p.desc.dtype, p.power);
  const scaled_t inputs[] = {{OPERAND_GU, g}, {OPERAND_GVH, g}, {OPERAND_GS, g - p.power}, {OPERAND_DA, g}};
  const scaled_t outputs[] = {
      {OPERAND_DS, g}, {OPERAND_DU, g - p.power}, {OPERAND_DVH, g - p.power}, {OPERAND_GA, 2 * (g - p.power)}};
  p.op = SVDGRAD_OP_SVD_BACKWARD_BACKWARD;
  p.inputs = inputs, p.outputs = outputs, p.input_count = p.output_count = 4;
  check_scaled(&p);
}

/* The gradient of f with f(2 s) = 2^degree f(s). */
static void check_function(problem_of_t p, svdgrad_function_kind_t kind, double degree) {
  const double change = (degree - 1) * p.power; /* the exponent of gA / gY */
  const int limit = is_single(p.desc.dtype) ? 90 : 900;
  const int gY = between((int)-change, -limit, limit), gA = (int)lrint(gY + change);
  if (p.power % 10 != 0 || gA < -limit || gA > limit)
    return;
  const scaled_t inputs[] = {{OPERAND_GY, gY}}, outputs[] = {{OPERAND_GA, gA}};
  p.function.kind = kind, p.function.param = kind == SVDGRAD_FUNCTION_POWER ? degree : 0;
  p.op = SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD;
  p.inputs = inputs, p.outputs = outputs, p.input_count = p.output_count = 1;
  check_scaled(&p);
}

static void check_functions(problem_of_t p) {
  check_function(p, SVDGRAD_FUNCTION_POLAR, 0);
  check_function(p, SVDGRAD_FUNCTION_INVERSE, -1);
  check_function(p, SVDGRAD_FUNCTION_POWER, 2.7);
  check_function(p, SVDGRAD_FUNCTION_POWER, -1.3);
}

static void check_truncated(problem_of_t p) {
  p.desc.rank = 2;
  check_jvp(p);
  check_backward(p);
}

/* Over the whole range: k 2^power is a number for k up to 20. */
static void over_range(svdgrad_backend_t backend, svdgrad_dtype_t dtype, void (*check)(problem_of_t p), int smallest) {
  static const int64_t shapes[][2] = {{3, 3}, {12, 5}, {5, 12}, {2, 2}, {8, 8}, {20, 20}};
  static const int single[] = {-149, -140, -130, -127, -120, -100, -60, 20, 60, 100, 110, 123};
  static const int twice[] = {-1074, -1060, -1030, -1022, -1010, -990, -300, 300, 700, 990, 1010, 1019};
  const int count = test_table == TABLE_SMALL ? 3 : 6;
  for (int s = 0; s < count; s++)
    for (int i = 0; i < 12; i++) {
      const svdgrad_desc_t desc = make_desc(dtype, shapes[s][0], shapes[s][1], 2);
      const svdgrad_function_t function = SVDGRAD_FUNCTION_INIT;
      if (shapes[s][0] > smallest && shapes[s][1] > smallest)
        check((problem_of_t){
            .backend = backend, .desc = desc, .function = function, .power = is_single(dtype) ? single[i] : twice[i]});
    }
}

static void jvp_over_range(svdgrad_backend_t b, svdgrad_dtype_t t) { over_range(b, t, check_jvp, 0); }
static void backward_over_range(svdgrad_backend_t b, svdgrad_dtype_t t) { over_range(b, t, check_backward, 0); }
static void second_over_range(svdgrad_backend_t b, svdgrad_dtype_t t) { over_range(b, t, check_second, 0); }
static void functions_over_range(svdgrad_backend_t b, svdgrad_dtype_t t) { over_range(b, t, check_functions, 0); }
static void truncated_over_range(svdgrad_backend_t b, svdgrad_dtype_t t) { over_range(b, t, check_truncated, 2); }

Test(scales, tangents_over_the_whole_range) { for_all(jvp_over_range); }
Test(scales, gradients_over_the_whole_range) { for_all(backward_over_range); }
Test(scales, second_order_over_the_whole_range) { for_all(second_over_range); }
Test(scales, gradients_of_functions_over_the_whole_range) { for_all(functions_over_range); }
Test(scales, truncated_over_the_whole_range) { for_all(truncated_over_range); }

/* ---- thresholds ------------------------------------------------------------------------------------
 * What counts as gauge or as noise is relative to the norms of the cotangents, whose squares may be no numbers. */

/* gX = X (H + c N) 2^power for the columns of U or V, H Hermitian, N not: without N the gauge part is rounding noise. */
static void set_cotangent(const buffer_t *X, const buffer_t *gX, int64_t b, int is_vh, double c, int power) {
  const int64_t rows = is_vh ? X->cols : X->rows, columns = is_vh ? X->rows : X->cols;
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < rows; i++) {
      long double re = 0, im = 0;
      for (int64_t a = 0; a < columns; a++) {
        const z_t x = is_vh ? buffer_get(X, b, a, i) : buffer_get(X, b, i, a);
        const long double h = 1 / (long double)(1 + a + j) + c * (long double)(a < j ? a + 2 * j : 0);
        re += creall(x) * h, im += cimagl(x) * h;
      }
      const z_t g = CMPLXL(ldexpl(re, power), ldexpl(im, power));
      buffer_set(gX, b, is_vh ? j : i, is_vh ? i : j, g);
    }
}

static fixture_t run_cotangents(svdgrad_backend_t backend, const svdgrad_desc_t *desc, double c, int power) {
  fixture_t f = fixture_make(backend, desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < desc->batch_count; b++)
    fixture_fill(&f, b, 7);
  factorize(&f);
  for (int64_t b = 0; b < desc->batch_count; b++) {
    for (int64_t j = 0; j < f.S.rows; j++) /* a tie of the first two */
      buffer_set(&f.S, b, j, 0, (double)(f.S.rows - (j > 0 ? j : 1)));
    set_cotangent(&f.U, &f.gU, b, 0, c, power);
    set_cotangent(&f.Vh, &f.gVh, b, 1, c, power);
  }
  cr_assert_eq(fixture_backward(&f, WITH_GU | WITH_GVH, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  return f;
}

static void check_thresholds(svdgrad_backend_t backend, const svdgrad_desc_t *desc, double c) {
  const int far = is_single(desc->dtype) ? 100 : 665; /* 1e30, 1e200 */
  fixture_t base = run_cotangents(backend, desc, c, 0);
  for (int power = -far; power <= far; power += 2 * far) {
    fixture_t f = run_cotangents(backend, desc, c, power);
    for (int64_t b = 0; b < desc->batch_count; b++) {
      const svdgrad_report_t *x = &f.report[b], *y = &base.report[b];
      cr_expect(
          x->flags == y->flags && x->dropped_pairs == y->dropped_pairs &&
              fabs(x->gauge_residual - y->gauge_residual) <= 1e-5,
          "%s %s %d x %d rank %d full %d policy %d, gauge %g, cotangents times 2^%d: flags %d, not %d; %d dropped, "
          "not %d; gauge residual %g, not %g",
          backend_name(backend), dtype_name(desc->dtype), (int)desc->m, (int)desc->n, (int)desc->rank,
          desc->full_matrices, (int)desc->gap_policy, c, power, x->flags, y->flags, x->dropped_pairs, y->dropped_pairs,
          x->gauge_residual, y->gauge_residual);
      cr_expect(((y->flags & SVDGRAD_REPORT_GAUGE) != 0) == (c != 0));
    }
    fixture_free(&f);
  }
  fixture_free(&base);
}

static void thresholds(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  static const int64_t shapes[][2] = {{2, 2}, {4, 3}, {12, 5}, {5, 12}};
  for (int s = 0; s < 4; s++)
    for (int variant = 0; variant < 3; variant++)
      for (int policy = 0; policy < 2; policy++) {
        svdgrad_desc_t desc = make_desc(dtype, shapes[s][0], shapes[s][1], 1);
        const int64_t mn = desc.m < desc.n ? desc.m : desc.n;
        desc.full_matrices = variant == 1;
        desc.rank = variant == 2 && mn > 2 ? 2 : 0;
        desc.gap_policy = policy ? SVDGRAD_GAP_NOISE_FLOOR : SVDGRAD_GAP_DEFAULT;
        check_thresholds(backend, &desc, 0);
        if (!policy)
          check_thresholds(backend, &desc, 1);
      }
}

Test(scales, thresholds_do_not_depend_on_the_size_of_cotangents) { for_all(thresholds); }
