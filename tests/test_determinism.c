/* SPDX-License-Identifier: BSD-3-Clause */
/* With desc.batch_invariant the result for one matrix has the same bits alone and anywhere in a batch, for any batch
 * size and number of threads, any pieces of a caller's parallel_for, any neighbours (NaN included), any alignment of the
 * operands, and any number of BLAS threads.  Without it all this holds among batches of one size.  A call does not
 * change the number of BLAS threads. */
#include "cases.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 3 }; /* matrix b of a batch is made from seed b % SEEDS */

typedef struct variant {
  int64_t m, n;
  int64_t large; /* a batch of several pieces, if that is fast */
  int64_t rank;
  int full_matrices;
  int with;
} variant_t;
static const variant_t variants[] = {
    {3, 3, 200, 0, 0, WITH_VECTORS},   {3, 3, 200, 0, 0, 0},
    {3, 2, 200, 0, 1, WITH_VECTORS},   {3, 3, 200, 2, 0, WITH_VECTORS},
    {8, 8, 100, 0, 0, WITH_U},         {8, 8, 100, 5, 0, WITH_VECTORS},
    {33, 20, 7, 0, 0, WITH_VECTORS},   {33, 20, 7, 0, 1, WITH_VECTORS},
    {33, 20, 7, 6, 0, WITH_VECTORS},   {64, 64, 4, 0, 0, WITH_VECTORS},
    {64, 64, 4, 9, 0, WITH_VECTORS},   {80, 80, 4, 0, 0, WITH_VECTORS},
    {130, 130, 3, 0, 0, WITH_VECTORS}, {130, 130, 3, 0, 0, 0},
};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants };

/* The reference backend calls no BLAS, and is slow. */
static int is_tried(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant) {
  if (test_table == TABLE_SMALL)
    return variant->m <= 8;
  if (variant->m > 33 && !test_type_is_sampled(dtype))
    return 0;
  return backend != SVDGRAD_BACKEND_REF || variant->m <= 8 || (variant->m <= 33 && dtype == SVDGRAD_C64);
}

/* How the work of one run is shared out. */
typedef struct sharing {
  int num_threads;
  svdgrad_parallel_for_t run;
  int64_t pool; /* the pool of run() */
} sharing_t;

/* Pieces of 1, 2, 3, .. times the grain plus `pool`, from the end of the batch to its beginning; the last piece has the
 * remainder, which may be a single matrix. */
static void backward_growing(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *),
                             void *arg) {
  int64_t last = count;
  for (int64_t i = 1; last > 0; i++) {
    const int64_t size = i * grain + *(int64_t *)pool, first = last > size ? last - size : 0;
    body(first, last, arg);
    last = first;
  }
}

/* Every second piece first, then the others. */
static void alternating(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  const int64_t size = grain + *(int64_t *)pool;
  for (int64_t start = 0; start < 2; start++)
    for (int64_t first = start * size; first < count; first += 2 * size)
      body(first, first + size < count ? first + size : count, arg);
}

static void in_one_piece(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  (void)pool;
  (void)grain;
  body(0, count, arg);
}

static const sharing_t serial = {1, NULL, 0};
static const sharing_t sharings[] = {{1, NULL, 0},
                                     {2, NULL, 0},
                                     {3, NULL, 0},
                                     {8, NULL, 0},
                                     {0, NULL, 0},
                                     {1, alternating, 0},
                                     {1, alternating, 1},
                                     {1, backward_growing, 0},
                                     {1, backward_growing, 2},
                                     {1, in_one_piece, 0}};
enum { SHARING_COUNT = sizeof sharings / sizeof *sharings };

static svdgrad_desc_t variant_desc(const variant_t *variant, svdgrad_dtype_t dtype, int64_t batch_count) {
  svdgrad_desc_t desc = make_desc(dtype, variant->m, variant->n, batch_count);
  desc.rank = variant->rank;
  desc.full_matrices = variant->full_matrices;
  desc.batch_invariant = desc.algo == SVDGRAD_ALGO_AUTO; /* others never look at the batch */
  return desc;
}

static fixture_t filled(svdgrad_backend_t backend, const svdgrad_desc_t *desc, uint64_t first_seed) {
  fixture_t f = fixture_make(backend, desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < desc->batch_count; b++)
    fixture_fill(&f, b, (first_seed + (uint64_t)b) % SEEDS);
  return f;
}

static void compute(fixture_t *f, int with, sharing_t sharing) {
  if (f->backend != SVDGRAD_BACKEND_CUDA) { /* CUDA has no threads to set */
    cr_assert_eq(svdgrad_set_num_threads(f->handle, sharing.num_threads), SVDGRAD_STATUS_SUCCESS);
    cr_assert_eq(svdgrad_set_parallel_for(f->handle, sharing.run, &sharing.pool), SVDGRAD_STATUS_SUCCESS);
  }
  cr_assert_eq(fixture_forward(f, with), SVDGRAD_STATUS_SUCCESS);
  if (with == WITH_VECTORS)
    cr_assert_eq(fixture_backward(f, WITH_COTANGENTS, 0.7, 0.3), SVDGRAD_STATUS_SUCCESS);
  cr_expect(f->intact);
}

/* The expected results: the matrix of each seed alone, by one thread. */
typedef struct expected {
  fixture_t alone[SEEDS];
} expected_t;

static expected_t expected_make(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant) {
  const svdgrad_desc_t desc = variant_desc(variant, dtype, 1);
  expected_t expected;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    expected.alone[seed] = filled(backend, &desc, seed);
    compute(&expected.alone[seed], variant->with, serial);
  }
  return expected;
}

static void expected_free(expected_t *expected) {
  for (int seed = 0; seed < SEEDS; seed++)
    fixture_free(&expected->alone[seed]);
}

static int agrees(const expected_t *expected, const fixture_t *f, int64_t b, int with) {
  const fixture_t *alone = &expected->alone[b % SEEDS];
  return fixture_same_forward(f, b, alone, 0, with) && (with != WITH_VECTORS || fixture_same_backward(f, b, alone, 0));
}

static int all_agree(const expected_t *expected, const fixture_t *f, int with) {
  int same = 1;
  for (int64_t b = 0; b < f->desc.batch_count; b++)
    same &= agrees(expected, f, b, with);
  return same;
}

static int batch_agrees(const expected_t *expected, svdgrad_backend_t backend, const svdgrad_desc_t *desc, int with,
                        sharing_t sharing) {
  fixture_t f = filled(backend, desc, 0);
  compute(&f, with, sharing);
  const int same = all_agree(expected, &f, with);
  fixture_free(&f);
  return same;
}

typedef void (*check_t)(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant,
                        const expected_t *expected);

static void for_each_variant(check_t check) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int v = 0; v < VARIANT_COUNT; v++) {
        if (!is_tried(test_backends[i], dtype, &variants[v]))
          continue;
        expected_t expected = expected_make(test_backends[i], dtype, &variants[v]);
        check(test_backends[i], dtype, &variants[v], &expected);
        expected_free(&expected);
      }
}

static void check_batches(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant,
                          const expected_t *expected) {
  const int64_t sizes[] = {1, 2, 5};
  for (int i = 0; i < 3; i++) {
    const svdgrad_desc_t desc = variant_desc(variant, dtype, sizes[i]);
    cr_expect(batch_agrees(expected, backend, &desc, variant->with, serial), "%s %s %dx%d rank %d, batch of %d",
              backend_name(backend), dtype_name(dtype), (int)desc.m, (int)desc.n, (int)desc.rank, (int)sizes[i]);
  }
}

Test(determinism, any_place_in_any_batch) { for_each_variant(check_batches); }

static void check_sharings(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant,
                           const expected_t *expected) {
  const svdgrad_desc_t desc = variant_desc(variant, dtype, test_table == TABLE_SMALL ? 7 : variant->large);
  const int count = test_table == TABLE_SMALL ? 1 : SHARING_COUNT;
  for (int i = 0; i < count; i++)
    cr_expect(batch_agrees(expected, backend, &desc, variant->with, sharings[i]), "%s %s %dx%d rank %d: sharing %d",
              backend_name(backend), dtype_name(dtype), (int)desc.m, (int)desc.n, (int)desc.rank, i);
}

Test(determinism, any_number_of_threads_and_pieces) { for_each_variant(check_sharings); }

/* Without batch_invariant AUTO looks at the batch size, but never at a part of the batch. */
static void check_one_size(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant, int64_t count) {
  svdgrad_desc_t desc = variant_desc(variant, dtype, count);
  desc.batch_invariant = 0;
  fixture_t first = filled(backend, &desc, 0);
  compute(&first, variant->with, serial);
  for (int i = 0; i < SHARING_COUNT; i++) {
    fixture_t f = filled(backend, &desc, 1);
    compute(&f, variant->with, sharings[i]);
    for (int64_t b = 0; b < count; b++) {
      const int64_t same = (b + 1) % SEEDS; /* made from the same seed */
      cr_expect(fixture_same_forward(&f, b, &first, same, variant->with) &&
                    (variant->with != WITH_VECTORS || fixture_same_backward(&f, b, &first, same)),
                "%s %s %dx%d rank %d, batch of %d: matrix %d, sharing %d", backend_name(backend), dtype_name(dtype),
                (int)desc.m, (int)desc.n, (int)desc.rank, (int)count, (int)b, i);
    }
    fixture_free(&f);
  }
  fixture_free(&first);
}

static void check_sizes(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant,
                        const expected_t *expected) {
  (void)expected;
  if (test_table == TABLE_SMALL || backend != SVDGRAD_BACKEND_CPU || variant->m > 64)
    return;
  for (int64_t count = 3; count <= 5; count++)
    check_one_size(backend, dtype, variant, count);
  if (variant->m <= 33) /* a full group, and one matrix that is left */
    check_one_size(backend, dtype, variant, dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? 17 : 9);
}

Test(determinism, any_place_and_threads_in_batches_of_one_size) { for_each_variant(check_sizes); }

static void check_bad_neighbours(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant,
                                 const expected_t *expected) {
  const svdgrad_desc_t desc = variant_desc(variant, dtype, 3);
  fixture_t f = filled(backend, &desc, 0);
  for (int64_t b = 0; b < 3; b += 2)
    for (int64_t j = 0; j < desc.n; j++)
      for (int64_t i = 0; i < desc.m; i++)
        buffer_set(&f.A, b, i, j, (long double)NAN);
  compute(&f, variant->with, serial);
  cr_expect(agrees(expected, &f, 1, variant->with), "%s %s %dx%d rank %d", backend_name(backend), dtype_name(dtype),
            (int)desc.m, (int)desc.n, (int)desc.rank);
  fixture_free(&f);
}

Test(determinism, beside_matrices_of_nan) { for_each_variant(check_bad_neighbours); }

/* Extra steps for a singular, graded or zero matrix must not affect its neighbours. */
static void check_all_kinds(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant,
                            const expected_t *expected) {
  const svdgrad_desc_t desc = variant_desc(variant, dtype, SPECTRUM_COUNT), one = variant_desc(variant, dtype, 1);
  fixture_t f = filled(backend, &desc, 0), alone = filled(backend, &one, 0);
  dense_t A[SPECTRUM_COUNT];
  (void)expected;
  for (int b = 0; b < SPECTRUM_COUNT; b++) {
    A[b] = make_matrix((spectrum_t)b, dtype, desc.m, desc.n, (uint64_t)b);
    buffer_store(&f.A, b, &A[b]);
  }
  cr_assert_eq(fixture_forward(&f, variant->with), SVDGRAD_STATUS_SUCCESS);
  for (int b = 0; b < SPECTRUM_COUNT; b++) {
    buffer_store(&alone.A, 0, &A[b]);
    cr_assert_eq(fixture_forward(&alone, variant->with), SVDGRAD_STATUS_SUCCESS);
    cr_expect(fixture_same_forward(&f, b, &alone, 0, variant->with), "%s %s %s %dx%d rank %d", backend_name(backend),
              dtype_name(dtype), spectrum_name((spectrum_t)b), (int)desc.m, (int)desc.n, (int)desc.rank);
    dense_free(&A[b]);
  }
  fixture_free(&f);
  fixture_free(&alone);
}

Test(determinism, beside_matrices_of_all_kinds) { for_each_variant(check_all_kinds); }

/* In matrices of low rank, the columns that rotations reduce to noise depend on every rounding error: a fault may show
 * at few sizes only. */
Test(determinism, beside_matrices_of_all_kinds_at_many_sizes) {
  static const int64_t rows[] = {9, 12, 17};
  const int64_t first = test_table == TABLE_SMALL ? 9 : 5, last = test_table == TABLE_SMALL ? 9 : 17;
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
      for (int64_t n = first; n <= rows[i] && n <= last; n++)
        for (int with = 0; with <= WITH_VECTORS; with += WITH_VECTORS) {
          const variant_t variant = {rows[i], n, 1, 0, 0, with};
          for (int b = 0; b < test_backend_count; b++)
            if (test_backends[b] != SVDGRAD_BACKEND_REF) /* the reference is slow */
              check_all_kinds(test_backends[b], dtype, &variant, NULL);
        }
}

/* Moves an operand one element behind the start of a new block; returns that block, to be freed. */
static unsigned char *displace(buffer_t *buffer) {
  unsigned char *block = malloc(buffer->bytes + buffer->element_size), *memory = block + buffer->element_size;
  cr_assert(block != NULL);
  const size_t margin = (size_t)((unsigned char *)buffer->matrix.data - buffer->memory);
  memcpy(memory, buffer->memory, buffer->bytes);
  buffer_free(buffer);
  buffer->memory = memory;
  buffer->matrix.data = buffer->vector.data = memory + margin;
  return block;
}

static void check_alignment(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant,
                            const expected_t *expected) {
  const svdgrad_desc_t desc = variant_desc(variant, dtype, 2);
  fixture_t f = filled(backend, &desc, 0);
  unsigned char *blocks[OPERAND_COUNT];
  for (fixture_operand_t i = 0; i < OPERAND_COUNT; i++)
    blocks[i] = displace(fixture_operand(&f, i));
  compute(&f, variant->with, serial);
  cr_expect(all_agree(expected, &f, variant->with), "%s %s %dx%d rank %d", backend_name(backend), dtype_name(dtype),
            (int)desc.m, (int)desc.n, (int)desc.rank);
  for (fixture_operand_t i = 0; i < OPERAND_COUNT; i++) {
    fixture_operand(&f, i)->memory = NULL;
    free(blocks[i]);
  }
  fixture_free(&f);
}

Test(determinism, at_any_alignment) { for_each_variant(check_alignment); }

/* The functions by which OpenBLAS sets its threads; NULL for another BLAS. */
__attribute__((weak)) int openblas_get_num_threads(void);
__attribute__((weak)) void openblas_set_num_threads(int num_threads);

static void check_blas_threads(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant,
                               const expected_t *expected) {
  const svdgrad_desc_t desc = variant_desc(variant, dtype, 2);
  if (backend == SVDGRAD_BACKEND_CUDA || !openblas_get_num_threads || !openblas_set_num_threads)
    return;
  const int before = openblas_get_num_threads();
  for (int num_threads = 1; num_threads <= 3; num_threads++) {
    openblas_set_num_threads(num_threads);
    cr_expect(batch_agrees(expected, backend, &desc, variant->with, sharings[num_threads]),
              "%s %s %dx%d rank %d: the BLAS set to %d threads", backend_name(backend), dtype_name(dtype), (int)desc.m,
              (int)desc.n, (int)desc.rank, num_threads);
    cr_expect_eq(openblas_get_num_threads(), num_threads);
  }
  openblas_set_num_threads(before);
}

Test(determinism, the_threads_of_the_blas_do_not_matter_and_are_left_alone) { for_each_variant(check_blas_threads); }
