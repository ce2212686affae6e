/* SPDX-License-Identifier: BSD-3-Clause */
/* The cpu backend factors a tall matrix of few columns in blocks of rows, and reads and writes the caller's memory a few
 * rows at a time.  Shapes at the boundaries of blocks and of groups of rows: the factors are right, and have the same
 * bits in every layout, with truncated rank, and of a matrix times a power of two; blocks may be zero, tiny, or not
 * finite. */
#include "fixture.h"
#include "random.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <math.h>

/* The rows of a block: the first cache holds it. */
static int64_t block_rows(svdgrad_dtype_t dtype, int64_t n) {
  static const int64_t sizes[] = {4, 8, 8, 16};
  const int64_t rows = (1 << 15) / (n * sizes[dtype]) / 16 * 16;
  return rows > 8 * n ? rows : 8 * n;
}

typedef struct shape {
  int64_t blocks, more; /* rows: whole blocks, and these */
  int64_t n;
  int wide;
} shape_t;

static const shape_t shapes[] = {
    {0, 5, 1, 0},  {0, 31, 3, 0}, {1, 1, 1, 1},  {1, -1, 3, 0},  {2, -1, 2, 0}, {2, 0, 3, 0}, {2, 1, 3, 1},
    {3, -1, 5, 0}, {2, 17, 4, 1}, {4, 3, 16, 0}, {2, 15, 17, 1}, {3, 8, 33, 0}, {2, 1, 2, 1}, {3, 16, 1, 0},
};
enum { SHAPE_COUNT = sizeof shapes / sizeof *shapes };

static svdgrad_desc_t desc_of(const shape_t *s, svdgrad_dtype_t dtype) {
  const int64_t rows = s->blocks * block_rows(dtype, s->n) + s->more;
  svdgrad_desc_t desc = make_desc(dtype, s->wide ? s->n : rows, s->wide ? rows : s->n, 1);
  desc.batch_invariant = 0; /* for one matrix, not for a group of them */
  return desc;
}

static int64_t long_side(const fixture_t *f) { return f->desc.m > f->desc.n ? f->desc.m : f->desc.n; }

/* Row i of the tall matrix times factor, for rows first .. end - 1. */
static void scale_rows(fixture_t *f, int64_t first, int64_t end, long double factor) {
  const int wide = f->desc.m < f->desc.n;
  const int64_t n = wide ? f->desc.m : f->desc.n;
  for (int64_t i = first; i < end; i++)
    for (int64_t j = 0; j < n; j++)
      buffer_set(&f->A, 0, wide ? j : i, wide ? i : j, factor * buffer_get(&f->A, 0, wide ? j : i, wide ? i : j));
}

static fixture_t filled(const svdgrad_desc_t *desc, layout_t A, layout_t factors) {
  placement_t placements[OPERAND_COUNT] = {{LAYOUT_COLUMN_MAJOR, 0}};
  placements[OPERAND_A].layout = A;
  placements[OPERAND_U].layout = placements[OPERAND_VH].layout = factors;
  fixture_t f = fixture_make_placed(SVDGRAD_BACKEND_CPU, desc, placements);
  fixture_fill(&f, 0, 7);
  return f;
}

static void run(fixture_t *f, int with) {
  cr_assert_eq(fixture_forward(f, with), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(f->intact);
}

static void note(worst_t *worst, const fixture_t *f) {
  const svdgrad_desc_t *d = &f->desc;
  dense_t U = load_U(f, 0), V = load_V(f, 0);
  const double ratios[] = {ratio_residual(f, 0), ratio_orthonormal(&U, dtype_epsilon(d->dtype)),
                           ratio_orthonormal(&V, dtype_epsilon(d->dtype))};
  for (int i = 0; i < 3; i++)
    worst_note(worst, ratios[i], "%s %dx%d %s", dtype_name(d->dtype), (int)d->m, (int)d->n,
               i == 0   ? "residual"
               : i == 1 ? "U"
                        : "V");
  cr_expect_eq(f->info[0], SVDGRAD_INFO_OK);
  dense_free(&U), dense_free(&V);
}

typedef void (*check_t)(const svdgrad_desc_t *desc, worst_t *worst);

static void for_each_shape(check_t check, worst_t *worst) {
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    for (int s = 0; s < SHAPE_COUNT; s++) {
      const svdgrad_desc_t desc = desc_of(&shapes[s], dtype);
      check(&desc, worst);
    }
}

/* Values alone are right to rounding; U alone and Vh alone have the bits of both. */
static void check_parts(const fixture_t *both, worst_t *worst) {
  fixture_t f = filled(&both->desc, LAYOUT_ROW_MAJOR, LAYOUT_ROW_MAJOR);
  run(&f, 0);
  const double unit = (double)f.S.rows * dtype_epsilon(f.desc.dtype) * (double)creall(buffer_get(&both->S, 0, 0, 0));
  for (int64_t i = 0; i < f.S.rows; i++)
    worst_note(worst, (double)cabsl(buffer_get(&f.S, 0, i, 0) - buffer_get(&both->S, 0, i, 0)) / unit, "values");
  run(&f, WITH_U);
  cr_expect(buffer_same_bits(&f.U, 0, &both->U, 0));
  run(&f, WITH_VH);
  cr_expect(buffer_same_bits(&f.Vh, 0, &both->Vh, 0));
  fixture_free(&f);
}

/* The first of the largest entries of each column of U is real and positive. */
static void check_gauge(const fixture_t *f) {
  for (int64_t j = 0; j < f->U.cols; j++) {
    long double largest = 0, positive = 0;
    for (int64_t i = 0; i < f->U.rows; i++) {
      const z_t u = buffer_get(&f->U, 0, i, j);
      largest = fmaxl(largest, cabsl(u));
      positive = cimagl(u) == 0 ? fmaxl(positive, creall(u)) : positive;
    }
    cr_expect(positive >= largest * (1 - 4 * dtype_epsilon(f->desc.dtype)));
  }
}

static void check_factors(const svdgrad_desc_t *desc, worst_t *worst) {
  for (int positive_gauge = 0; positive_gauge < 2; positive_gauge++) {
    svdgrad_desc_t d = *desc;
    d.positive_gauge = positive_gauge;
    fixture_t f = filled(&d, LAYOUT_ROW_MAJOR, LAYOUT_ROW_MAJOR);
    run(&f, WITH_VECTORS);
    note(worst, &f);
    check_parts(&f, worst);
    if (positive_gauge)
      check_gauge(&f);
    fixture_free(&f);
  }
}

Test(row_blocks, factors) {
  worst_t worst = worst_make("row blocks");
  for_each_shape(check_factors, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* The first half is zero, the last rows are tiny. */
static void check_uneven(const svdgrad_desc_t *desc, worst_t *worst) {
  fixture_t f = filled(desc, LAYOUT_ROW_MAJOR, LAYOUT_ROW_MAJOR);
  const int64_t rows = long_side(&f);
  scale_rows(&f, 0, rows / 2, 0);
  scale_rows(&f, rows - rows / 4, rows, 0x1p-90L);
  run(&f, WITH_VECTORS);
  note(worst, &f);
  fixture_free(&f);
}

Test(row_blocks, zero_and_tiny_blocks) {
  worst_t worst = worst_make("row blocks uneven");
  for_each_shape(check_uneven, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

static void check_layouts(const svdgrad_desc_t *desc, worst_t *worst) {
  (void)worst;
  fixture_t packed = filled(desc, LAYOUT_COLUMN_MAJOR, LAYOUT_COLUMN_MAJOR);
  run(&packed, WITH_VECTORS);
  for (layout_t layout = 0; layout < LAYOUT_COUNT; layout++) {
    fixture_t f = filled(desc, layout, LAYOUT_COUNT - 1 - layout);
    run(&f, WITH_VECTORS);
    cr_expect(fixture_same_forward(&f, 0, &packed, 0, WITH_VECTORS), "%s %dx%d %s", dtype_name(desc->dtype),
              (int)desc->m, (int)desc->n, layout_name(layout));
    fixture_free(&f);
  }
  fixture_free(&packed);
}

/* First and last of a batch. */
static void check_place(const svdgrad_desc_t *desc, worst_t *worst) {
  (void)worst;
  svdgrad_desc_t three = *desc;
  three.batch_count = 3;
  fixture_t f = filled(&three, LAYOUT_ROW_MAJOR, LAYOUT_ROW_MAJOR);
  fixture_fill(&f, 1, 8), fixture_fill(&f, 2, 7);
  run(&f, WITH_VECTORS);
  cr_expect(fixture_same_forward(&f, 0, &f, 2, WITH_VECTORS), "%s %dx%d", dtype_name(desc->dtype), (int)desc->m,
            (int)desc->n);
  fixture_free(&f);
}

Test(row_blocks, place_in_the_batch) { for_each_shape(check_place, NULL); }

Test(row_blocks, layouts) { for_each_shape(check_layouts, NULL); }

/* Of `f`, the leading triplets of `whole`. */
static int is_leading(const fixture_t *f, const fixture_t *whole) {
  int same = 1;
  for (int64_t j = 0; j < f->S.rows; j++) {
    same &= buffer_get(&f->S, 0, j, 0) == buffer_get(&whole->S, 0, j, 0);
    for (int64_t i = 0; i < f->desc.m; i++)
      same &= buffer_get(&f->U, 0, i, j) == buffer_get(&whole->U, 0, i, j);
    for (int64_t i = 0; i < f->desc.n; i++)
      same &= buffer_get(&f->Vh, 0, j, i) == buffer_get(&whole->Vh, 0, j, i);
  }
  return same;
}

static void check_rank(const svdgrad_desc_t *desc, worst_t *worst) {
  (void)worst;
  svdgrad_desc_t truncated = *desc;
  truncated.rank = ((desc->m < desc->n ? desc->m : desc->n) + 1) / 2;
  fixture_t whole = filled(desc, LAYOUT_ROW_MAJOR, LAYOUT_ROW_MAJOR);
  fixture_t f = filled(&truncated, LAYOUT_ROW_MAJOR, LAYOUT_ROW_MAJOR);
  run(&whole, WITH_VECTORS), run(&f, WITH_VECTORS);
  cr_expect(is_leading(&f, &whole), "%s %dx%d", dtype_name(desc->dtype), (int)desc->m, (int)desc->n);
  fixture_free(&whole), fixture_free(&f);
}

Test(row_blocks, rank) { for_each_shape(check_rank, NULL); }

static void check_power(const svdgrad_desc_t *desc, worst_t *worst) {
  (void)worst;
  const int exponent = desc->dtype % 2 ? 900 : 100;
  fixture_t whole = filled(desc, LAYOUT_ROW_MAJOR, LAYOUT_ROW_MAJOR);
  run(&whole, WITH_VECTORS);
  for (int sign = -1; sign <= 1; sign += 2) {
    fixture_t f = filled(desc, LAYOUT_ROW_MAJOR, LAYOUT_ROW_MAJOR);
    scale_rows(&f, 0, long_side(&f), ldexpl(1, sign * exponent));
    run(&f, WITH_VECTORS);
    for (int64_t i = 0; i < f.S.rows; i++)
      buffer_set(&f.S, 0, i, 0, buffer_get(&f.S, 0, i, 0) * ldexpl(1, -sign * exponent));
    cr_expect(is_leading(&f, &whole), "%s %dx%d times 2^%d", dtype_name(desc->dtype), (int)desc->m, (int)desc->n,
              sign * exponent);
    fixture_free(&f);
  }
  fixture_free(&whole);
}

Test(row_blocks, powers_of_two) { for_each_shape(check_power, NULL); }

/* In the first, the middle and the last row. */
static void check_nonfinite(const svdgrad_desc_t *desc, worst_t *worst) {
  (void)worst;
  for (int place = 0; place < 3; place++) {
    fixture_t f = filled(desc, LAYOUT_ROW_MAJOR, LAYOUT_COLUMN_MAJOR);
    const int64_t row = place * (long_side(&f) - 1) / 2;
    scale_rows(&f, row, row + 1, place == 1 ? (long double)INFINITY : (long double)NAN);
    run(&f, WITH_VECTORS);
    cr_expect_eq(f.info[0], SVDGRAD_INFO_NONFINITE);
    cr_expect(isnan((double)creall(buffer_get(&f.S, 0, 0, 0))) && isnan((double)creall(buffer_get(&f.U, 0, 0, 0))));
    fixture_free(&f);
  }
}

Test(row_blocks, not_finite) { for_each_shape(check_nonfinite, NULL); }
