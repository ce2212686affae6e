/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory layout changes no result: with any one operand in any layout, or one input matrix for the whole batch
 * (batch stride 0), every result has the bits of packed column-major operands.  Padding is neither read nor written,
 * and inputs are never written. */
#include "cases.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* A full group of lanes, and part of another. */
static int64_t batch_size(void) { return test_table == TABLE_SMALL ? 3 : 17; }

typedef struct variant {
  int64_t m, n, rank;
  int full_matrices;
} variant_t;
static const variant_t variants[] = {
    {1, 1, 0, 0}, {1, 4, 0, 1}, {4, 1, 0, 0}, {4, 4, 0, 0},   {5, 3, 0, 0},   {3, 5, 0, 0},   {5, 3, 0, 1},
    {3, 5, 0, 1}, {5, 4, 2, 0}, {4, 6, 3, 0}, {17, 13, 0, 0}, {13, 17, 5, 0}, {17, 13, 0, 1}, {13, 17, 0, 1},
};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants };

/* The large ones are computed one at a time; the reference backend has one way for all. */
static int is_tried(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const variant_t *variant) {
  return variant->m < 13 || (backend != SVDGRAD_BACKEND_REF && test_type_is_sampled(dtype));
}

/* VENDOR's backward pass of a whole SVD is that of JACOBI on CUDA: there nothing but the SVD is left to try. */
static int is_the_same_for_vendor(svdgrad_backend_t backend, const svdgrad_desc_t *desc, fixture_operand_t operand) {
  return backend == SVDGRAD_BACKEND_CUDA && desc->algo == SVDGRAD_ALGO_VENDOR && desc->rank == 0 &&
         operand > OPERAND_VH;
}

static svdgrad_desc_t variant_desc(const variant_t *variant, svdgrad_dtype_t dtype) {
  svdgrad_desc_t desc = make_desc(dtype, variant->m, variant->n, batch_size());
  desc.rank = variant->rank;
  desc.full_matrices = variant->full_matrices;
  return desc;
}

static void copy_operand(fixture_t *to, fixture_t *from, fixture_operand_t operand) {
  for (int64_t b = 0; b < batch_size(); b++) {
    dense_t X = buffer_load(fixture_operand(from, operand), b);
    buffer_store(fixture_operand(to, operand), b, &X);
    dense_free(&X);
  }
}

static int same_operand(fixture_t *x, fixture_t *y, fixture_operand_t operand) {
  int same = buffer_padding_intact(fixture_operand(x, operand));
  for (int64_t b = 0; b < batch_size(); b++)
    same &= buffer_same_bits(fixture_operand(x, operand), b, fixture_operand(y, operand), b);
  return same;
}

static int same_operands(fixture_t *x, fixture_t *y) {
  int same = x->intact && y->intact;
  for (fixture_operand_t operand = 0; operand < OPERAND_COUNT; operand++)
    same &= same_operand(x, y, operand);
  return same;
}

/* Fixture in packed column-major storage but for one operand. */
static fixture_t make_with(svdgrad_backend_t backend, const svdgrad_desc_t *desc, fixture_operand_t operand,
                           placement_t placement) {
  placement_t placements[OPERAND_COUNT] = {{LAYOUT_COLUMN_MAJOR, 0}};
  placements[operand] = placement;
  return fixture_make_placed(backend, desc, placements);
}

/* Inputs filled in, everything computed. */
static fixture_t packed_run(svdgrad_backend_t backend, const svdgrad_desc_t *desc, double beta) {
  fixture_t f = fixture_make(backend, desc, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < batch_size(); b++)
    fixture_fill(&f, b, (uint64_t)b + 1);
  cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(fixture_backward(&f, WITH_COTANGENTS, 1.5, beta), SVDGRAD_STATUS_SUCCESS);
  return f;
}

/* Makes the factors, or takes those of `packed` where no operand of the SVD lies otherwise. */
static void make_factors(fixture_t *f, fixture_t *packed, fixture_operand_t operand) {
  if (operand <= OPERAND_VH)
    cr_assert_eq(fixture_forward(f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  for (fixture_operand_t factor = OPERAND_S; operand > OPERAND_VH && factor <= OPERAND_VH; factor++)
    copy_operand(f, packed, factor);
}

/* beta = 0 must write every element of gA and read none of it, so there gA is left as it was made. */
static int layout_changes_nothing(svdgrad_backend_t backend, const svdgrad_desc_t *desc, fixture_t *packed,
                                  fixture_operand_t operand, layout_t layout, double beta) {
  fixture_t f = make_with(backend, desc, operand, (placement_t){layout, 0});
  for (int64_t b = 0; b < batch_size() && beta != 0; b++)
    fixture_fill(&f, b, (uint64_t)b + 1);
  copy_operand(&f, packed, OPERAND_A);
  for (fixture_operand_t cotangent = OPERAND_GS; cotangent <= OPERAND_GVH; cotangent++)
    copy_operand(&f, packed, cotangent);
  make_factors(&f, packed, operand);
  cr_assert_eq(fixture_backward(&f, WITH_COTANGENTS, 1.5, beta), SVDGRAD_STATUS_SUCCESS);
  int same = same_operands(&f, packed);
  for (int64_t b = 0; b < batch_size(); b++) {
    same &= operand > OPERAND_VH || fixture_same_forward(&f, b, packed, b, WITH_VECTORS);
    same &= fixture_same_backward(&f, b, packed, b);
  }
  fixture_free(&f);
  return same;
}

/* The operands from `first` on. */
static void try_layouts(svdgrad_backend_t backend, const svdgrad_desc_t *desc, fixture_operand_t first, double beta) {
  fixture_operand_t end = OPERAND_COUNT;
  while (end > first && is_the_same_for_vendor(backend, desc, end - 1))
    end--;
  if (end == first)
    return;
  fixture_t packed = packed_run(backend, desc, beta);
  for (fixture_operand_t operand = first; operand < end; operand++)
    for (layout_t layout = 0; layout < LAYOUT_COUNT; layout++)
      cr_expect(layout_changes_nothing(backend, desc, &packed, operand, layout, beta),
                "%s %s %dx%d rank %d full %d beta %g: %s %s", backend_name(backend), dtype_name(desc->dtype),
                (int)desc->m, (int)desc->n, (int)desc->rank, desc->full_matrices, beta, operand_name(operand),
                layout_name(layout));
  fixture_free(&packed);
}

Test(layouts, every_operand_in_every_layout) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int v = 0; v < VARIANT_COUNT; v++) {
        const svdgrad_desc_t desc = variant_desc(&variants[v], dtype);
        if (!is_tried(test_backends[i], dtype, &variants[v]))
          continue;
        try_layouts(test_backends[i], &desc, OPERAND_A, 0);
        try_layouts(test_backends[i], &desc, OPERAND_GA, -0.5);
      }
}

/* NaN wherever an operand has no element. */
static void poison_padding(buffer_t *buffer) {
  buffer_t before = *buffer;
  before.memory = malloc(buffer->bytes);
  cr_assert(before.memory);
  memcpy(before.memory, buffer->memory, buffer->bytes);
  memset(buffer->memory, 0xFF, buffer->bytes);
  for (int64_t b = 0; b < buffer->batch_count; b++) {
    dense_t X = buffer_load(&before, b);
    buffer_store(buffer, b, &X);
    dense_free(&X);
  }
  buffer_free(&before);
}

/* Inputs get the NaN before the call; the factors, outputs of the SVD and inputs of the backward pass, between the two
 * calls. */
static int padding_is_not_read(svdgrad_backend_t backend, const svdgrad_desc_t *desc, layout_t layout) {
  fixture_t packed = packed_run(backend, desc, 0), f = fixture_make(backend, desc, layout);
  for (fixture_operand_t operand = OPERAND_A; operand < OPERAND_GA; operand++)
    if (operand == OPERAND_A || operand >= OPERAND_GS) {
      copy_operand(&f, &packed, operand);
      poison_padding(fixture_operand(&f, operand));
    }
  cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  for (fixture_operand_t operand = OPERAND_S; operand <= OPERAND_VH; operand++)
    poison_padding(fixture_operand(&f, operand));
  cr_assert_eq(fixture_backward(&f, WITH_COTANGENTS, 1.5, 0), SVDGRAD_STATUS_SUCCESS);
  int same = f.intact;
  for (int64_t b = 0; b < batch_size(); b++)
    same &= fixture_same_forward(&f, b, &packed, b, WITH_VECTORS) && fixture_same_backward(&f, b, &packed, b);
  fixture_free(&packed);
  fixture_free(&f);
  return same;
}

Test(layouts, padding_of_inputs_is_not_read) {
  static const layout_t padded[] = {LAYOUT_COLUMN_PADDED, LAYOUT_ROW_PADDED, LAYOUT_GENERAL};
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int v = 0; v < VARIANT_COUNT; v++)
        for (int layout = 0; layout < 3 && is_tried(test_backends[i], dtype, &variants[v]); layout++) {
          const svdgrad_desc_t desc = variant_desc(&variants[v], dtype);
          cr_expect(padding_is_not_read(test_backends[i], &desc, padded[layout]), "%s %s %dx%d rank %d full %d: %s",
                    backend_name(test_backends[i]), dtype_name(dtype), (int)desc.m, (int)desc.n, (int)desc.rank,
                    desc.full_matrices, layout_name(padded[layout]));
        }
}

/* The second run differs from the first in having one copy of `operand` for the batch instead of batch_size() equal
 * ones; all other operands differ from matrix to matrix. */
static int broadcast_changes_nothing(svdgrad_backend_t backend, const svdgrad_desc_t *desc, fixture_operand_t operand) {
  fixture_t copies = packed_run(backend, desc, 1);
  fixture_t shared = make_with(backend, desc, operand, (placement_t){LAYOUT_ROW_PADDED, 1});
  dense_t first = buffer_load(fixture_operand(&copies, operand), 0);
  for (int64_t b = 1; b < batch_size(); b++)
    buffer_store(fixture_operand(&copies, operand), b, &first);
  dense_free(&first);
  for (fixture_operand_t i = 0; i < OPERAND_COUNT; i++)
    copy_operand(&shared, &copies, i);
  fixture_t *const runs[] = {&copies, &shared};
  for (int run = 0; run < 2; run++) {
    if (operand == OPERAND_A)
      cr_assert_eq(fixture_forward(runs[run], WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
    cr_assert_eq(fixture_backward(runs[run], WITH_COTANGENTS, 1, 1), SVDGRAD_STATUS_SUCCESS);
  }
  int same = same_operands(&shared, &copies);
  for (int64_t b = 0; b < batch_size(); b++)
    same &= fixture_same_backward(&shared, b, &copies, b);
  fixture_free(&copies);
  fixture_free(&shared);
  return same;
}

Test(layouts, one_input_for_the_whole_batch) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int v = 0; v < VARIANT_COUNT; v++)
        for (fixture_operand_t operand = 0; operand < OPERAND_GA; operand++) {
          const svdgrad_desc_t desc = variant_desc(&variants[v], dtype);
          cr_expect(!is_tried(test_backends[i], dtype, &variants[v]) ||
                        is_the_same_for_vendor(test_backends[i], &desc, operand) ||
                        broadcast_changes_nothing(test_backends[i], &desc, operand),
                    "%s %s %dx%d rank %d full %d: %s", backend_name(test_backends[i]), dtype_name(dtype), (int)desc.m,
                    (int)desc.n, (int)desc.rank, desc.full_matrices, operand_name(operand));
        }
}
