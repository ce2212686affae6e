/* SPDX-License-Identifier: BSD-3-Clause */
/* Every iterate of the power iteration is that of the textbook.  A singular value lies within the residual of sigma;
 * converged sigma, u and v are those of the SVD; u alone is the state.  Iterates that A maps to zero stay unchanged,
 * and NaN does not spread to other matrices.  Scale, layout, batch and number of threads do not matter.  A / sigma and
 * its gradient are compared with the tangent and with differences. */
#include "cases.h"
#include "power.h"
#include "random.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2 };

/* From one element to matrices that are computed in several pieces. */
static const test_shape_t power_shapes[] = {
    {1, 1},   {1, 7},   {7, 1},   {2, 2},     {3, 3},    {5, 4},    {4, 7},   {8, 8},    {9, 16},    {16, 9},
    {16, 16}, {17, 33}, {33, 17}, {150, 130}, {1, 1000}, {1000, 1}, {64, 64}, {70, 129}, {700, 300}, {300, 700},
};
enum { ALL_SHAPES = sizeof power_shapes / sizeof *power_shapes, SMALL_SHAPES = ALL_SHAPES - 6 };
static int shape_count(void) { return test_table == TABLE_SMALL ? SMALL_SHAPES : ALL_SHAPES; }

typedef struct setting {
  svdgrad_backend_t backend;
  svdgrad_dtype_t dtype;
  test_shape_t shape;
  layout_t layout;
} setting_t;

static void note(worst_t *worst, const setting_t *s, double ratio, const char *what) {
  worst_note(worst, ratio, "%s %s %dx%d %s %s", backend_name(s->backend), dtype_name(s->dtype), (int)s->shape.m,
             (int)s->shape.n, layout_name(s->layout), what);
}

/* The test's own iteration and the reference backend are slow for large matrices: those have one layout each, the one in
 * which columns or rows are long. */
static int is_tried(const setting_t *s) {
  const int64_t elements = s->shape.m * s->shape.n;
  if (s->backend == SVDGRAD_BACKEND_REF)
    return elements <= 5000;
  const layout_t layout = s->shape.m > s->shape.n ? LAYOUT_COLUMN_MAJOR : LAYOUT_ROW_MAJOR;
  if (test_sampled && elements > 1000) /* each layout with one type */
    return s->dtype == (s->layout == LAYOUT_COLUMN_MAJOR ? SVDGRAD_F32 : SVDGRAD_C128) &&
           (elements <= 50000 || s->layout == layout);
  return elements <= 50000 || (s->layout == layout && (s->dtype == SVDGRAD_F32 || s->dtype == SVDGRAD_C128));
}

static void for_each_setting(void (*check)(const setting_t *setting, worst_t *worst), worst_t *worst) {
  for (int i = 0; i < test_backend_count; i++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int shape = 0; shape < shape_count(); shape++)
        for (int layout = LAYOUT_COLUMN_MAJOR; layout <= LAYOUT_ROW_MAJOR; layout++) {
          const setting_t s = {test_backends[i], (svdgrad_dtype_t)dtype, power_shapes[shape], (layout_t)layout};
          if (is_tried(&s))
            check(&s, worst);
        }
}

static power_problem_t problem_of(const setting_t *s, int64_t batch_count) {
  const svdgrad_desc_t desc = make_desc(s->dtype, s->shape.m, s->shape.n, batch_count);
  power_problem_t p = power_make(s->backend, &desc, s->layout, 0);
  for (int64_t b = 0; b < batch_count; b++)
    power_fill(&p, b, (uint64_t)b);
  return p;
}

static void store_spectrum(const power_problem_t *p, int64_t b, spectrum_t spectrum) {
  const uint64_t seed = (uint64_t)(97 * b + 1000 * p->desc.m + p->desc.n);
  dense_t A = make_matrix(spectrum, p->desc.dtype, p->desc.m, p->desc.n, seed);
  buffer_store(&p->A, b, &A);
  dense_free(&A);
}

static power_problem_t problem_with(const setting_t *s, spectrum_t spectrum) {
  power_problem_t p = problem_of(s, BATCH);
  for (int64_t b = 0; b < BATCH; b++)
    store_spectrum(&p, b, spectrum);
  return p;
}

static void iterate(power_problem_t *p, int32_t iterations) {
  cr_assert_eq(power_iterate(p, iterations), SVDGRAD_STATUS_SUCCESS);
  cr_expect(p->intact);
}

static long double number(const buffer_t *buffer, int64_t b) { return creall(buffer_get(buffer, b, 0, 0)); }

static long double rounding(const power_problem_t *p) {
  return dtype_epsilon(p->desc.dtype) * (long double)(p->desc.m > p->desc.n ? p->desc.m : p->desc.n);
}

/* |x - y| of two columns, one of them in a buffer. */
static long double distance(const buffer_t *buffer, int64_t b, const dense_t *y) {
  dense_t x = buffer_load(buffer, b), difference = dense_sum(1, &x, -1, y);
  const long double norm = dense_norm(&difference);
  dense_free(&x);
  dense_free(&difference);
  return norm;
}

/* ---- iterates ------------------------------------------------------------------------------------- */

static void compare(const setting_t *s, const power_problem_t *p, int64_t b, const power_oracle_t *o, worst_t *worst) {
  const long double unit = rounding(p), size = fabsl(o->sigma) + o->residual;
  note(worst, s, ratio_of(distance(&p->u, b, &o->u), unit), "u");
  note(worst, s, ratio_of(distance(&p->v, b, &o->v), unit), "v");
  note(worst, s, ratio_of(fabsl(number(&p->sigma, b) - o->sigma), unit * size), "sigma");
  note(worst, s, ratio_of(fabsl(number(&p->residual, b) - o->residual), unit * size), "residual");
}

static void check_iterates(const setting_t *s, worst_t *worst) {
  for (int32_t iterations = 1; iterations <= 3; iterations += 2) {
    power_problem_t p = problem_with(s, SPECTRUM_NORMAL);
    power_oracle_t oracle[BATCH];
    for (int64_t b = 0; b < BATCH; b++)
      oracle[b] = power_oracle_of(&p, b, iterations);
    iterate(&p, iterations);
    for (int64_t b = 0; b < BATCH; b++) {
      cr_expect_eq(p.info[b], SVDGRAD_INFO_OK);
      compare(s, &p, b, &oracle[b], worst);
      power_oracle_free(&oracle[b]);
    }
    power_free(&p);
  }
}

Test(power, iterates_are_those_of_the_formula) {
  worst_t worst = worst_make("power iterates");
  for_each_setting(check_iterates, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* No iteration: u and v may have any length, and do not change. */
static void check_no_iteration(const setting_t *s, worst_t *worst) {
  power_problem_t p = problem_with(s, SPECTRUM_NORMAL), before = problem_of(s, BATCH);
  random_t random = random_seed(5);
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t v = random_matrix(&random, s->shape.n, 1, dtype_is_complex(s->dtype)), u = buffer_load(&p.u, b);
    for (int64_t i = 0; i < u.m; i++)
      u.at[i] = ldexpl(1, 20) * creall(u.at[i]) + ldexpl(1, 20) * cimagl(u.at[i]) * (z_t)_Complex_I;
    buffer_store(&p.u, b, &u), buffer_store(&before.u, b, &u);
    buffer_store(&p.v, b, &v), buffer_store(&before.v, b, &v);
    dense_free(&u), dense_free(&v);
  }
  iterate(&p, 0);
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t A = buffer_load(&p.A, b), u = buffer_load(&p.u, b), v = buffer_load(&p.v, b);
    power_oracle_t o = power_oracle(&A, &u, &v, 0);
    const long double size = dense_norm(&A) * dense_norm(&u) * dense_norm(&v) * rounding(&p);
    const long double largest = (1 + dense_norm(&u) + dense_norm(&v)) * size;
    note(worst, s, ratio_of(fabsl(number(&p.sigma, b) - o.sigma), size), "sigma");
    note(worst, s, ratio_of(fabsl(number(&p.residual, b) - o.residual), largest), "residual");
    cr_expect(buffer_same_bits(&p.u, b, &before.u, b) && buffer_same_bits(&p.v, b, &before.v, b));
    power_oracle_free(&o);
    dense_free(&A), dense_free(&u), dense_free(&v);
  }
  power_free(&p), power_free(&before);
}

Test(power, without_iterations_sigma_is_that_of_u_and_v) {
  worst_t worst = worst_make("power no iteration");
  for_each_setting(check_no_iteration, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* The SVD of the same matrices. */
static fixture_t solved(const power_problem_t *p, int with) {
  fixture_t f = fixture_make(p->backend, &p->desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < p->desc.batch_count; b++) {
    dense_t A = buffer_load(&p->A, b);
    buffer_store(&f.A, b, &A);
    dense_free(&A);
  }
  cr_assert_eq(fixture_forward(&f, with), SVDGRAD_STATUS_SUCCESS);
  return f;
}

static void check_residual(const setting_t *s, worst_t *worst) {
  if (s->shape.m * s->shape.n > 5000)
    return;
  power_problem_t p = problem_with(s, SPECTRUM_NORMAL);
  fixture_t f = solved(&p, 0);
  for (int32_t iterations = 1; iterations <= 4; iterations++) {
    iterate(&p, iterations);
    for (int64_t b = 0; b < BATCH; b++) {
      const long double sigma = number(&p.sigma, b);
      long double *S = load_S(&f, b), nearest = fabsl(sigma - S[0]);
      for (int64_t j = 1; j < f.S.rows; j++)
        nearest = fminl(nearest, fabsl(sigma - S[j]));
      const long double outside = nearest - number(&p.residual, b);
      note(worst, s, ratio_of(outside > 0 ? outside : 0, rounding(&p) * S[0]), "sigma");
      free(S);
    }
  }
  fixture_free(&f);
  power_free(&p);
}

Test(power, a_singular_value_lies_within_the_residual) {
  worst_t worst = worst_make("power residual");
  for_each_setting(check_residual, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* |x - y phase| for the best phase. */
static long double apart(const dense_t *x, const dense_t *y) {
  z_t along = 0;
  for (int64_t i = 0; i < x->m; i++)
    along += conjl(y->at[i]) * x->at[i];
  dense_t difference = dense_sum(1, x, -along / cabsl(along), y);
  const long double norm = dense_norm(&difference);
  dense_free(&difference);
  return norm;
}

static void compare_vector(const setting_t *s, const power_problem_t *p, const buffer_t *buffer, int64_t b,
                           const dense_t *vectors, const char *what, worst_t *worst) {
  dense_t first = dense_columns(vectors, 0, 1), x = buffer_load(buffer, b);
  note(worst, s, ratio_of(apart(&x, &first), rounding(p)), what);
  dense_free(&first);
  dense_free(&x);
}

/* The second singular value is about half of the first. */
static void check_converged(const setting_t *s, worst_t *worst) {
  if (s->shape.m * s->shape.n > (test_table == TABLE_SMALL ? 1200 : 20000))
    return;
  power_problem_t p = problem_with(s, SPECTRUM_CLUSTERED);
  fixture_t f = solved(&p, WITH_VECTORS);
  iterate(&p, 70);
  for (int64_t b = 0; b < BATCH; b++) {
    const long double s1 = number(&f.S, b);
    dense_t U = load_U(&f, b), V = load_V(&f, b);
    note(worst, s, ratio_of(fabsl(number(&p.sigma, b) - s1), rounding(&p) * s1), "sigma");
    note(worst, s, ratio_of(number(&p.residual, b), rounding(&p) * s1), "residual");
    compare_vector(s, &p, &p.u, b, &U, "u", worst);
    compare_vector(s, &p, &p.v, b, &V, "v", worst);
    dense_free(&U), dense_free(&V);
  }
  fixture_free(&f);
  power_free(&p);
}

Test(power, converges_to_the_largest_triplet) {
  worst_t worst = worst_make("power converged");
  for_each_setting(check_converged, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* Three iterations and four more are seven, but for the rounding of u in between. */
static void check_warm_start(const setting_t *s, worst_t *worst) {
  power_problem_t p = problem_with(s, SPECTRUM_NORMAL), whole = problem_with(s, SPECTRUM_NORMAL);
  iterate(&whole, 7);
  iterate(&p, 3);
  for (int64_t b = 0; b < BATCH; b++)
    for (int64_t j = 0; j < s->shape.n; j++)
      buffer_set(&p.v, b, j, 0, CMPLXL((long double)NAN, 0));
  iterate(&p, 4);
  for (int64_t b = 0; b < BATCH; b++) {
    power_oracle_t o = {buffer_load(&whole.u, b), buffer_load(&whole.v, b), number(&whole.sigma, b),
                        number(&whole.residual, b)};
    compare(s, &p, b, &o, worst);
    power_oracle_free(&o);
  }
  power_free(&p), power_free(&whole);
}

Test(power, u_is_all_the_state) {
  worst_t worst = worst_make("power warm start");
  for_each_setting(check_warm_start, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* ---- zero and nonfinite matrices and vectors ---------------------------------------------------------- */

static void set_all(const buffer_t *buffer, int64_t b, z_t value) {
  for (int64_t j = 0; j < buffer->cols; j++)
    for (int64_t i = 0; i < buffer->rows; i++)
      buffer_set(buffer, b, i, j, value);
}

static int all_nan(const buffer_t *buffer, int64_t b) {
  int all = 1;
  for (int64_t j = 0; j < buffer->cols; j++)
    for (int64_t i = 0; i < buffer->rows; i++)
      all &= isnan(creall(buffer_get(buffer, b, i, j)));
  return all;
}

static int all_zero(const buffer_t *buffer, int64_t b) {
  int all = 1;
  for (int64_t j = 0; j < buffer->cols; j++)
    for (int64_t i = 0; i < buffer->rows; i++)
      all &= buffer_get(buffer, b, i, j) == 0;
  return all;
}

static void normalize(power_problem_t *p, int32_t iterations) {
  cr_assert_eq(power_normalize(p, iterations), SVDGRAD_STATUS_SUCCESS);
  cr_expect(p->intact);
}

/* A = 0, u = 0, and A^H u = 0: u and v do not change; v affects only the residual. */
static void check_still(const setting_t *s, worst_t *worst) {
  power_problem_t p = problem_of(s, 3), before = problem_of(s, 3);
  power_problem_t *const both[] = {&p, &before};
  for (int i = 0; i < 2; i++) {
    set_all(&both[i]->A, 0, 0);
    set_all(&both[i]->A, 1, 2);
    set_all(&both[i]->A, 2, 2);
    set_all(&both[i]->u, 1, 0);
    set_all(&both[i]->v, 1, 0.5L);
    set_all(&both[i]->v, 2, 0.5L);
    for (int64_t j = 0; j < s->shape.n; j++)
      buffer_set(&both[i]->A, 2, 0, j, 0);
    set_all(&both[i]->u, 2, 0);
    buffer_set(&both[i]->u, 2, 0, 0, 1);
  }
  normalize(&p, 3);
  for (int64_t b = 0; b < 3; b++) {
    cr_expect_eq(p.info[b], SVDGRAD_INFO_OK);
    cr_expect(number(&p.sigma, b) == 0 && all_zero(&p.Y, b));
    cr_expect(buffer_same_bits(&p.u, b, &before.u, b) && buffer_same_bits(&p.v, b, &before.v, b), "%s %s %dx%d: moved",
              backend_name(s->backend), dtype_name(s->dtype), (int)s->shape.m, (int)s->shape.n);
    /* |A v| with rows of 2 and v of 1/2 */
    const long double expected = b == 0 ? 0 : (long double)s->shape.n * sqrtl((long double)(s->shape.m - (b == 2)));
    note(worst, s, ratio_of(fabsl(number(&p.residual, b) - expected), expected * rounding(&p)), "residual");
  }
  power_free(&p), power_free(&before);
}

Test(power, what_is_mapped_to_zero_stays) {
  worst_t worst = worst_make("power still");
  for_each_setting(check_still, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

static z_t poison(int kind) {
  const long double values[] = {(long double)NAN, (long double)INFINITY, -(long double)INFINITY};
  return kind < 3 ? CMPLXL(values[kind], 0) : CMPLXL(1, values[kind - 3]);
}

static void check_poisoned(const setting_t *s, const power_problem_t *clean, int in_u, int kind, int place) {
  power_problem_t p = problem_with(s, SPECTRUM_NORMAL);
  buffer_set(in_u ? &p.u : &p.A, 1, place * (s->shape.m - 1) / 2, in_u ? 0 : place * (s->shape.n - 1) / 2,
             poison(kind));
  normalize(&p, 2);
  cr_expect_eq(p.info[0], SVDGRAD_INFO_OK);
  cr_expect_eq(p.info[1], SVDGRAD_INFO_NONFINITE);
  cr_expect(power_same(&p, 0, clean, 0) && buffer_same_bits(&p.Y, 0, &clean->Y, 0));
  cr_expect(all_nan(&p.u, 1) && all_nan(&p.v, 1) && all_nan(&p.sigma, 1) && all_nan(&p.residual, 1) && all_nan(&p.Y, 1),
            "%s %s %dx%d", backend_name(s->backend), dtype_name(s->dtype), (int)s->shape.m, (int)s->shape.n);
  power_free(&p);
}

static void check_nonfinite(const setting_t *s, worst_t *worst) {
  (void)worst;
  const int large = s->shape.m * s->shape.n > 5000;
  power_problem_t clean = problem_with(s, SPECTRUM_NORMAL);
  normalize(&clean, 2);
  for (int kind = 0; kind < (large ? 1 : dtype_is_complex(s->dtype) ? 6 : 3); kind++)
    for (int place = large ? 2 : 0; place < 3; place++)
      for (int in_u = 0; in_u < 2; in_u++)
        check_poisoned(s, &clean, in_u, kind, place);
  power_free(&clean);
}

Test(power, one_bad_matrix_stays_alone) { for_each_setting(check_nonfinite, NULL); }

/* ---- scales ---------------------------------------------------------------------------------------- */

static void scale_buffer(const buffer_t *buffer, int64_t b, int exponent) {
  for (int64_t j = 0; j < buffer->cols; j++)
    for (int64_t i = 0; i < buffer->rows; i++) {
      const z_t x = buffer_get(buffer, b, i, j);
      buffer_set(buffer, b, i, j, CMPLXL(ldexpl(creall(x), exponent), ldexpl(cimagl(x), exponent)));
    }
}

/* A and u times powers of two: u and v are the same to the last bit. */
static void check_powers_of_two(const setting_t *s, worst_t *worst) {
  (void)worst;
  const int far = dtype_real(s->dtype) == SVDGRAD_F32 ? 90 : 900;
  power_problem_t plain = problem_with(s, SPECTRUM_NORMAL);
  iterate(&plain, 3);
  for (int sign = -1; sign <= 1; sign += 2) {
    power_problem_t p = problem_with(s, SPECTRUM_NORMAL);
    scale_buffer(&p.A, 0, sign * far), scale_buffer(&p.u, 1, sign * far);
    iterate(&p, 3);
    cr_expect(buffer_same_bits(&p.u, 0, &plain.u, 0) && buffer_same_bits(&p.v, 0, &plain.v, 0));
    cr_expect(number(&p.sigma, 0) == ldexpl(number(&plain.sigma, 0), sign * far));
    cr_expect(power_same(&p, 1, &plain, 1), "%s %s %dx%d %s: u scaled", backend_name(s->backend), dtype_name(s->dtype),
              (int)s->shape.m, (int)s->shape.n, layout_name(s->layout));
    power_free(&p);
  }
  power_free(&plain);
}

Test(power, powers_of_two_are_exact) { for_each_setting(check_powers_of_two, NULL); }

static int furthest(const setting_t *s) { return dtype_real(s->dtype) == SVDGRAD_F32 ? 110 : 1000; }

/* Rows from one end of the range of the type to the other. */
static void spread_rows(const setting_t *s, const power_problem_t *p, int64_t b, int descending) {
  for (int64_t i = 0; i < s->shape.m; i++) {
    const int up = (int)(s->shape.m > 1 ? 2 * furthest(s) * i / (s->shape.m - 1) : 0) - furthest(s);
    const int exponent = descending ? -up : up;
    for (int64_t j = 0; j < s->shape.n; j++) {
      const z_t x = buffer_get(&p->A, b, i, j);
      buffer_set(&p->A, b, i, j, CMPLXL(ldexpl(creall(x), exponent), ldexpl(cimagl(x), exponent)));
    }
  }
}

enum { EXTREMES = 4 };

static void check_extremes(const setting_t *s, worst_t *worst) {
  power_problem_t p = problem_of(s, EXTREMES);
  power_oracle_t oracle[EXTREMES];
  for (int64_t b = 0; b < EXTREMES; b++) {
    store_spectrum(&p, b, SPECTRUM_NORMAL);
    if (b < 2)
      scale_buffer(&p.A, b, b == 0 ? furthest(s) : -furthest(s));
    else
      spread_rows(s, &p, b, b == 3);
    oracle[b] = power_oracle_of(&p, b, 2);
  }
  iterate(&p, 2);
  for (int64_t b = 0; b < EXTREMES; b++) {
    cr_expect_eq(p.info[b], SVDGRAD_INFO_OK);
    compare(s, &p, b, &oracle[b], worst);
    power_oracle_free(&oracle[b]);
  }
  power_free(&p);
}

Test(power, no_scale_is_too_small_or_large) {
  worst_t worst = worst_make("power extremes");
  for_each_setting(check_extremes, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* ---- layouts, batches, threads, workspace --------------------------------------------------------- */

/* Every layout, one A for the whole batch or one each, against the column-major one. */
static void check_layouts(const setting_t *s, worst_t *worst) {
  if (s->layout != LAYOUT_COLUMN_MAJOR)
    return;
  power_problem_t plain = problem_with(s, SPECTRUM_NORMAL);
  normalize(&plain, 3);
  for (layout_t layout = LAYOUT_COLUMN_MAJOR; layout < LAYOUT_COUNT; layout++)
    for (int broadcast = 0; broadcast < 2; broadcast++) {
      setting_t other = *s;
      other.layout = layout;
      power_problem_t p = power_make(s->backend, &plain.desc, layout, broadcast);
      for (int64_t b = BATCH - 1; b >= 0; b--) {
        power_fill(&p, b, (uint64_t)b);
        store_spectrum(&p, b, SPECTRUM_NORMAL);
      }
      normalize(&p, 3);
      for (int64_t b = 0; b < (broadcast ? 1 : BATCH); b++) {
        power_oracle_t o = {buffer_load(&plain.u, b), buffer_load(&plain.v, b), number(&plain.sigma, b),
                            number(&plain.residual, b)};
        dense_t Y = buffer_load(&plain.Y, b);
        compare(&other, &p, b, &o, worst);
        note(worst, &other, ratio_of(distance(&p.Y, b, &Y), rounding(&p) * dense_norm(&Y)), "Y");
        dense_free(&Y);
        power_oracle_free(&o);
      }
      power_free(&p);
    }
  power_free(&plain);
}

Test(power, every_layout) {
  worst_t worst = worst_make("power layouts");
  for_each_setting(check_layouts, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

enum { SEEDS = 3 };

/* One matrix of a seed. */
static power_problem_t seed_of(const setting_t *s, int64_t seed) {
  power_problem_t p = problem_of(s, 1);
  dense_t A = make_matrix(SPECTRUM_NORMAL, s->dtype, s->shape.m, s->shape.n, (uint64_t)seed + 1);
  power_fill(&p, 0, (uint64_t)seed);
  buffer_store(&p.A, 0, &A);
  dense_free(&A);
  return p;
}

/* Matrix b is that of seed b mod SEEDS. */
static power_problem_t batch_of(const setting_t *s, int64_t batch_count, const power_problem_t seeds[SEEDS]) {
  const svdgrad_desc_t desc = make_desc(s->dtype, s->shape.m, s->shape.n, batch_count);
  power_problem_t p = power_make(s->backend, &desc, s->layout, 0);
  for (int64_t b = 0; b < batch_count; b++) {
    const power_problem_t *from = &seeds[b % SEEDS];
    buffer_copy_matrix(&p.A, b, &from->A, 0), buffer_copy_matrix(&p.u, b, &from->u, 0);
    buffer_copy_matrix(&p.v, b, &from->v, 0), buffer_copy_matrix(&p.gY, b, &from->gY, 0);
    buffer_copy_matrix(&p.gA, b, &from->gA, 0);
  }
  return p;
}

static void share(const power_problem_t *p, int num_threads) {
  if (p->backend != SVDGRAD_BACKEND_CUDA)
    cr_assert_eq(svdgrad_set_num_threads(p->handle, num_threads), SVDGRAD_STATUS_SUCCESS);
}

static void compute(power_problem_t *p) {
  normalize(p, 3);
  cr_assert_eq(power_backward(p, 0.7, 0.3), SVDGRAD_STATUS_SUCCESS);
}

static void check_determinism(const setting_t *s, worst_t *worst) {
  (void)worst;
  static const int64_t sizes[] = {1, 2, 5, 70};
  power_problem_t alone[SEEDS], seeds[SEEDS];
  for (int64_t seed = 0; seed < SEEDS; seed++) {
    seeds[seed] = seed_of(s, seed), alone[seed] = seed_of(s, seed);
    share(&alone[seed], 1);
    compute(&alone[seed]);
  }
  for (int i = 0; i < (s->shape.m * s->shape.n > 5000 || test_table == TABLE_SMALL ? 3 : 4); i++)
    for (int threads = 1; threads <= (s->backend == SVDGRAD_BACKEND_CUDA ? 1 : 3); threads++) {
      power_problem_t p = batch_of(s, sizes[i], seeds);
      share(&p, threads);
      compute(&p);
      int same = p.intact;
      for (int64_t b = 0; b < sizes[i]; b++)
        same &= power_same(&p, b, &alone[b % SEEDS], 0) && buffer_same_bits(&p.Y, b, &alone[b % SEEDS].Y, 0) &&
                buffer_same_bits(&p.gA, b, &alone[b % SEEDS].gA, 0);
      cr_expect(same, "%s %s %dx%d %s, batch of %d, %d threads", backend_name(s->backend), dtype_name(s->dtype),
                (int)s->shape.m, (int)s->shape.n, layout_name(s->layout), (int)sizes[i], threads);
      power_free(&p);
    }
  for (int seed = 0; seed < SEEDS; seed++)
    power_free(&alone[seed]), power_free(&seeds[seed]);
}

Test(power, any_place_in_any_batch_with_any_number_of_threads) { for_each_setting(check_determinism, NULL); }

static size_t size_of(const power_problem_t *p, svdgrad_op_t op, int64_t batch_count) {
  svdgrad_desc_t desc = p->desc;
  size_t bytes = SIZE_MAX;
  desc.batch_count = batch_count;
  cr_assert_eq(svdgrad_workspace_size(p->handle, op, &desc, &bytes), SVDGRAD_STATUS_SUCCESS);
  return bytes;
}

static void check_workspace(const setting_t *s, worst_t *worst) {
  (void)worst;
  power_problem_t p = problem_of(s, 1);
  for (svdgrad_op_t op = SVDGRAD_OP_POWER_ITERATION; op <= SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD; op++) {
    cr_expect_eq(size_of(&p, op, 0), 0);
    const size_t many = size_of(&p, op, 64), each = size_of(&p, op, 65) - many; /* from a group of lanes on */
    for (int64_t b = 1; b < 2000; b = 3 * b + 1)
      cr_expect_eq(size_of(&p, op, 64 + b), many + (size_t)b * each);
    cr_expect_leq(size_of(&p, op, 1), many);
    cr_expect_not_null(svdgrad_algorithm_name(p.handle, op, &p.desc));
    cr_expect_eq(svdgrad_is_capturable(p.handle, op, &p.desc), s->backend == SVDGRAD_BACKEND_CUDA);
  }
  power_free(&p);
}

Test(power, workspace_is_linear_from_a_group_on) { for_each_setting(check_workspace, NULL); }

Test(power, of_empty_matrices) {
  static const test_shape_t shapes[] = {{0, 0}, {0, 3}, {100000, 0}};
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int shape = 0; shape < 3; shape++) {
        const setting_t s = {test_backends[i], dtype, shapes[shape], LAYOUT_ROW_PADDED};
        power_problem_t p = problem_of(&s, BATCH), before = problem_of(&s, BATCH);
        normalize(&p, 2);
        cr_assert_eq(power_backward(&p, 1, 0), SVDGRAD_STATUS_SUCCESS);
        for (int64_t b = 0; b < BATCH; b++)
          cr_expect(number(&p.sigma, b) == 0 && number(&p.residual, b) == 0 && p.info[b] == SVDGRAD_INFO_OK &&
                    buffer_same_bits(&p.u, b, &before.u, b) && buffer_same_bits(&p.v, b, &before.v, b));
        cr_expect(p.intact);
        power_free(&p), power_free(&before);
      }
}

/* ---- spectral normalization -------------------------------------------------------------------------- */

/* Y sigma = A, and the iteration is that of svdgrad_power_iteration(). */
static void check_quotient(const setting_t *s, worst_t *worst) {
  power_problem_t p = problem_with(s, SPECTRUM_NORMAL), plain = problem_with(s, SPECTRUM_NORMAL);
  normalize(&p, 2);
  iterate(&plain, 2);
  for (int64_t b = 0; b < BATCH; b++) {
    dense_t A = buffer_load(&p.A, b), Y = buffer_load(&p.Y, b), rest = dense_sum(1, &A, -number(&p.sigma, b), &Y);
    note(worst, s, ratio_of(dense_norm(&rest), dense_norm(&A) * dtype_epsilon(s->dtype)), "Y");
    cr_expect(power_same(&p, b, &plain, b));
    dense_free(&A), dense_free(&Y), dense_free(&rest);
  }
  power_free(&p), power_free(&plain);
}

Test(power, normalized_is_the_quotient) {
  worst_t worst = worst_make("power quotient");
  for_each_setting(check_quotient, &worst);
  cr_expect(worst_within(&worst, 2));
}

typedef struct operands {
  dense_t A, u, v, gY, gA;
  long double sigma;
} operands_t;

static operands_t load(const power_problem_t *p, int64_t b) {
  return (operands_t){buffer_load(&p->A, b),  buffer_load(&p->u, b),  buffer_load(&p->v, b),
                      buffer_load(&p->gY, b), buffer_load(&p->gA, b), number(&p->sigma, b)};
}

static void unload(operands_t *x) {
  dense_t *const all[] = {&x->A, &x->u, &x->v, &x->gY, &x->gA};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
}

/* Re(u^H X v) */
static long double along(const operands_t *x, const dense_t *X) {
  dense_t Xv = dense_product(X, &x->v);
  const long double value = dense_inner(&x->u, &Xv);
  dense_free(&Xv);
  return value;
}

/* The tangent of A / Re(u^H A v): dA / sigma - A Re(u^H dA v) / sigma^2. */
static dense_t tangent(const operands_t *x, const dense_t *dA) {
  return dense_sum(1 / x->sigma, dA, -along(x, dA) / (x->sigma * x->sigma), &x->A);
}

/* The loss Re<gY, (A + t dA) / Re(u^H (A + t dA) v)> on either side. */
static long double difference(const operands_t *x, const dense_t *dA, long double t) {
  long double loss[2];
  for (int side = 0; side < 2; side++) {
    dense_t A = dense_sum(1, &x->A, side ? t : -t, dA);
    loss[side] = dense_inner(&x->gY, &A) / along(x, &A);
    dense_free(&A);
  }
  return (loss[1] - loss[0]) / (2 * t);
}

static void check_gradient(const setting_t *s, worst_t *worst) {
  power_problem_t p = problem_with(s, SPECTRUM_NORMAL);
  normalize(&p, 3);
  cr_assert_eq(power_backward(&p, 1, 0), SVDGRAD_STATUS_SUCCESS);
  cr_expect(p.intact);
  random_t random = random_seed(3);
  for (int64_t b = 0; b < BATCH; b++) {
    operands_t x = load(&p, b);
    dense_t dA = random_matrix(&random, s->shape.m, s->shape.n, dtype_is_complex(s->dtype)), dY = tangent(&x, &dA);
    const long double size = dense_norm(&x.gY) * dense_norm(&dA) / x.sigma * (1 + dense_norm(&x.A) / x.sigma);
    note(worst, s, ratio_of(fabsl(dense_inner(&x.gA, &dA) - dense_inner(&x.gY, &dY)), size * rounding(&p)), "adjoint");
    const long double t = 1e-5L * x.sigma / dense_norm(&dA), error = difference(&x, &dA, t) - dense_inner(&x.gA, &dA);
    note(worst, s, ratio_of(fabsl(error), size * (rounding(&p) + 1e-9L)), "difference");
    dense_free(&dA), dense_free(&dY);
    unload(&x);
  }
  power_free(&p);
}

Test(power, gradient_is_the_adjoint_of_the_tangent) {
  worst_t worst = worst_make("power gradient");
  for_each_setting(check_gradient, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* Every element, with alpha and beta, in every layout, and A and gY near the ends of the range. */
static void check_elements(const setting_t *s, worst_t *worst) {
  const int far = dtype_real(s->dtype) == SVDGRAD_F32 ? 100 : 900;
  for (int scale = -1; scale <= 1; scale++) {
    power_problem_t p = problem_with(s, SPECTRUM_NORMAL), before = problem_of(s, BATCH);
    scale_buffer(&p.A, 0, scale * far), scale_buffer(&p.gY, 0, scale * far);
    normalize(&p, 1);
    cr_assert_eq(power_backward(&p, -0.7, 0.3), SVDGRAD_STATUS_SUCCESS);
    for (int64_t b = 0; b < BATCH; b++) {
      operands_t x = load(&p, b);
      dense_t uvh = dense_product_h(&x.u, &x.v), old = buffer_load(&before.gA, b);
      const long double inner = dense_inner(&x.gY, &x.A) / x.sigma;
      dense_t gradient = dense_sum(1 / x.sigma, &x.gY, -inner / x.sigma, &uvh);
      dense_t expected = dense_sum(-0.7L, &gradient, 0.3L, &old), error = dense_sum(1, &x.gA, -1, &expected);
      const long double size = dense_norm(&x.gY) / x.sigma * (1 + dense_norm(&x.A) / x.sigma) + dense_norm(&old);
      note(worst, s, ratio_of(dense_norm(&error), size * dtype_epsilon(s->dtype)), "gA");
      dense_t *const all[] = {&uvh, &old, &gradient, &expected, &error};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        dense_free(all[i]);
      unload(&x);
    }
    power_free(&p), power_free(&before);
  }
}

static void check_elements_everywhere(const setting_t *s, worst_t *worst) {
  setting_t other = *s;
  for (layout_t layout = LAYOUT_COLUMN_MAJOR; layout < LAYOUT_COUNT && s->layout == LAYOUT_COLUMN_MAJOR; layout++) {
    other.layout = layout;
    if (layout <= LAYOUT_ROW_MAJOR || s->shape.m * s->shape.n < 5000)
      check_elements(&other, worst);
  }
}

Test(power, gradient_of_every_element) {
  worst_t worst = worst_make("power gradient elements");
  for_each_setting(check_elements_everywhere, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* sigma = 0: the gradient is 0, whatever gY holds; beta = 0 reads no gA. */
static void check_gradient_of_zero(const setting_t *s, worst_t *worst) {
  (void)worst;
  power_problem_t p = problem_of(s, BATCH), before = problem_of(s, BATCH);
  for (int64_t b = 0; b < BATCH; b++)
    set_all(&p.A, b, 0);
  normalize(&p, 1);
  cr_assert_eq(power_backward(&p, 1, 1), SVDGRAD_STATUS_SUCCESS);
  cr_expect(buffer_same_bits(&p.gA, 0, &before.gA, 0));
  set_all(&p.gA, 1, CMPLXL((long double)NAN, (long double)NAN));
  cr_assert_eq(power_backward(&p, 1, 0), SVDGRAD_STATUS_SUCCESS);
  cr_expect(all_zero(&p.gA, 0) && all_zero(&p.gA, 1));
  power_free(&p), power_free(&before);
}

Test(power, gradient_is_zero_where_sigma_is) { for_each_setting(check_gradient_of_zero, NULL); }

/* ---- the ends of the range -------------------------------------------------------------------------
 * Small integers times a power of two are exact wherever they are numbers, and so the results are those of the integers
 * but for that power: sigma overflows, or has few bits left, and neither A / sigma nor its gradient sees that. */

static void set_integers(const power_problem_t *p, int64_t b) {
  store_spectrum(p, b, SPECTRUM_NORMAL);
  for (int64_t j = 0; j < p->desc.n; j++)
    for (int64_t i = 0; i < p->desc.m; i++) {
      const z_t x = buffer_get(&p->A, b, i, j);
      const long double re = fminl(fmaxl(rintl(4 * creall(x)), -15), 15),
                        im = fminl(fmaxl(rintl(4 * cimagl(x)), -15), 15);
      buffer_set(&p->A, b, i, j, CMPLXL(i + j == 0 ? 5 : re, im));
    }
}

/* The exponent of gY: products with it are normal numbers. */
static int exponent_of_gY(const setting_t *s, int exponent) {
  const int limit = dtype_real(s->dtype) == SVDGRAD_F32 ? 90 : 900;
  return exponent < -limit ? -limit : exponent > limit ? limit : exponent;
}

static power_problem_t integers_times(const setting_t *s, int exponent, int32_t iterations) {
  power_problem_t p = problem_of(s, BATCH);
  for (int64_t b = 0; b < BATCH; b++) {
    set_integers(&p, b);
    scale_buffer(&p.A, b, exponent);
    scale_buffer(&p.gY, b, exponent_of_gY(s, exponent));
  }
  normalize(&p, iterations ? iterations : 2);
  if (iterations == 0)
    normalize(&p, 0);
  cr_assert_eq(power_backward(&p, 1, 0), SVDGRAD_STATUS_SUCCESS);
  return p;
}

static long double largest_number(const setting_t *s) {
  return dtype_real(s->dtype) == SVDGRAD_F32 ? FLT_MAX : DBL_MAX;
}

/* A real number that is `expected` 2^exponent, to `tolerance` 2^exponent, half of the least subnormal number, or
 * Inf. */
static void note_scaled(worst_t *worst, const setting_t *s, long double got, long double expected, int exponent,
                        long double tolerance, const char *what) {
  const long double least = dtype_real(s->dtype) == SVDGRAD_F32 ? 0x1p-149L : 0x1p-1074L;
  const long double error = fabsl(got - ldexpl(expected, exponent)) - least / 2;
  if (ldexpl(expected, exponent) > largest_number(s))
    cr_expect(isinf(got) && got > 0, "%s %s 2^%d: %s is %Lg", backend_name(s->backend), dtype_name(s->dtype), exponent,
              what, got);
  else
    note(worst, s, ratio_of(error > 0 ? error : 0, ldexpl(tolerance, exponent)), what);
}

static void note_matrix(worst_t *worst, const setting_t *s, const buffer_t *got, const buffer_t *expected, int64_t b,
                        int exponent, long double tolerance, const char *what) {
  dense_t x = buffer_load(got, b), y = buffer_load(expected, b);
  dense_t error = dense_sum(ldexpl(1, -exponent), &x, -1, &y);
  note(worst, s, ratio_of(dense_norm(&error), tolerance), what);
  dense_free(&x), dense_free(&y), dense_free(&error);
}

static void compare_scaled(const setting_t *s, const power_problem_t *p, const power_problem_t *plain, int64_t b,
                           int exponent, worst_t *worst) {
  const long double sigma = number(&plain->sigma, b), residual = number(&plain->residual, b), unit = rounding(p);
  const int overflows = ldexpl(sigma, exponent) > largest_number(s);
  dense_t A = buffer_load(&plain->A, b), gY = buffer_load(&plain->gY, b);
  const long double size = dense_norm(&A), of_gA = dense_norm(&gY) / sigma * (1 + size / sigma);
  cr_expect_eq(p->info[b], overflows ? SVDGRAD_INFO_OVERFLOW : SVDGRAD_INFO_OK, "%s %s %dx%d 2^%d: info %d",
               backend_name(s->backend), dtype_name(s->dtype), (int)s->shape.m, (int)s->shape.n, exponent, p->info[b]);
  note_scaled(worst, s, number(&p->sigma, b), sigma, exponent, unit * size, "sigma");
  note_scaled(worst, s, number(&p->residual, b), residual, exponent, unit * size, "residual");
  note_matrix(worst, s, &p->u, &plain->u, b, 0, unit, "u");
  note_matrix(worst, s, &p->v, &plain->v, b, 0, unit, "v");
  note_matrix(worst, s, &p->Y, &plain->Y, b, 0, unit * size / sigma, "Y");
  note_matrix(worst, s, &p->gA, &plain->gA, b, exponent_of_gY(s, exponent) - exponent, unit * of_gA, "gA");
  dense_free(&A), dense_free(&gY);
}

/* For large matrices one type is enough. */
static void check_ends(const setting_t *s, worst_t *worst) {
  static const int single[] = {-149, 124, -146, -140, -130, -126, -100, 100, 120};
  static const int twice[] = {-1074, 1020, -1071, -1060, -1030, -1022, -990, 990, 1015};
  const int64_t elements = s->shape.m * s->shape.n;
  const int is_large = elements > 1000, is_one_of_them = s->dtype == SVDGRAD_F32 && s->layout == LAYOUT_COLUMN_MAJOR;
  if (is_large && (s->backend == SVDGRAD_BACKEND_REF || !is_one_of_them))
    return;
  for (int32_t iterations = 0; iterations <= 2; iterations += 2) {
    power_problem_t plain = integers_times(s, 0, iterations);
    for (int i = 0; i < (elements > 100 ? 2 : 9); i++) {
      const int exponent = dtype_real(s->dtype) == SVDGRAD_F32 ? single[i] : twice[i];
      power_problem_t p = integers_times(s, exponent, iterations);
      for (int64_t b = 0; b < BATCH; b++)
        compare_scaled(s, &p, &plain, b, exponent, worst);
      power_free(&p);
    }
    power_free(&plain);
  }
}

Test(power, normalized_at_the_ends_of_the_range) {
  worst_t worst = worst_make("power ends of the range");
  for_each_setting(check_ends, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* A start of small integers times a power of two: its norm may overflow and its squares underflow, and the results are
 * those of the integers. */
static power_problem_t started_at(const setting_t *s, int exponent) {
  power_problem_t p = problem_with(s, SPECTRUM_NORMAL);
  for (int64_t b = 0; b < BATCH; b++) {
    for (int64_t i = 0; i < s->shape.m; i++)
      buffer_set(&p.u, b, i, 0, CMPLXL((long double)(1 + i % 7), dtype_is_complex(s->dtype) ? i % 3 - 1 : 0));
    scale_buffer(&p.u, b, exponent);
  }
  return p;
}

static void check_starts(const setting_t *s, worst_t *worst) {
  const int far = dtype_real(s->dtype) == SVDGRAD_F32 ? 120 : 1000;
  power_problem_t plain = started_at(s, 0);
  normalize(&plain, 1);
  cr_assert_eq(power_backward(&plain, 1, 0), SVDGRAD_STATUS_SUCCESS);
  for (int exponent = -far; exponent <= far; exponent += 2 * far) {
    power_problem_t p = started_at(s, exponent), iterated = started_at(s, exponent);
    normalize(&p, 1);
    cr_assert_eq(power_backward(&p, 1, 0), SVDGRAD_STATUS_SUCCESS);
    iterate(&iterated, 1);
    for (int64_t b = 0; b < BATCH; b++) {
      compare_scaled(s, &p, &plain, b, 0, worst);
      cr_expect(power_same(&iterated, b, &p, b));
    }
    power_free(&p), power_free(&iterated);
  }
  power_free(&plain);
}

Test(power, start_of_any_size) {
  worst_t worst = worst_make("power starts");
  for_each_setting(check_starts, &worst);
  cr_expect(worst_within(&worst, RATIO_LIMIT));
}

/* Entries far from u and v: sigma is 1, and the residual is too large for the type. */
static void check_residual_too_large(const setting_t *s, worst_t *worst) {
  (void)worst;
  const int64_t m = s->shape.m, n = s->shape.n;
  if (m < 2 || n < 2)
    return;
  power_problem_t p = problem_of(s, BATCH);
  for (int64_t b = 0; b < BATCH; b++) {
    set_all(&p.A, b, 0), set_all(&p.u, b, 0), set_all(&p.v, b, 0);
    buffer_set(&p.A, b, 0, 0, 1);
    buffer_set(&p.A, b, 0, 1, largest_number(s)), buffer_set(&p.A, b, 1, 0, largest_number(s));
    buffer_set(&p.u, b, 0, 0, 1), buffer_set(&p.v, b, 0, 0, 1);
  }
  iterate(&p, 0);
  for (int64_t b = 0; b < BATCH; b++)
    cr_expect(number(&p.sigma, b) == 1 && isinf(number(&p.residual, b)) && p.info[b] == SVDGRAD_INFO_OVERFLOW,
              "%s %s %dx%d: sigma %Lg, residual %Lg, info %d", backend_name(s->backend), dtype_name(s->dtype), (int)m,
              (int)n, number(&p.sigma, b), number(&p.residual, b), p.info[b]);
  power_free(&p);
}

Test(power, a_residual_too_large_says_so) { for_each_setting(check_residual_too_large, NULL); }
