/* SPDX-License-Identifier: BSD-3-Clause */
/* Partial groups of SIMD lanes, which take as much memory as full ones: the largest matrices computed in lanes, in
 * batches smaller than a group or with a remainder.  Only outputs and workspace are written, and every matrix has the
 * result that it has alone. */
#include "functions.h"

#include <criterion/criterion.h>

enum { SEEDS = 2 }; /* matrix b of a batch is made from seed b % SEEDS */

typedef struct variant {
  svdgrad_dtype_t dtype;
  int64_t m, n;
  int full_matrices;
} variant_t;
/* At the limits of what lanes take: min(m, n) of 128, and 128 KiB of A or of its larger factor. */
static const variant_t variants[] = {
    {SVDGRAD_F32, 128, 256, 0}, {SVDGRAD_F32, 181, 128, 1}, {SVDGRAD_F64, 128, 128, 1}, {SVDGRAD_C64, 128, 128, 1},
    {SVDGRAD_C64, 128, 127, 1}, {SVDGRAD_C64, 127, 128, 0}, {SVDGRAD_C128, 90, 90, 1},  {SVDGRAD_C128, 2730, 3, 0},
};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants };

static functions_t computed(const svdgrad_desc_t *desc, svdgrad_op_t op, int threads, uint64_t first_seed) {
  functions_t x = functions_make(SVDGRAD_BACKEND_CPU, desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < desc->batch_count; b++)
    functions_fill(&x, b, (first_seed + (uint64_t)b) % SEEDS);
  cr_assert_eq(svdgrad_set_num_threads(x.f.handle, threads), SVDGRAD_STATUS_SUCCESS);
  const svdgrad_status_t status =
      op == SVDGRAD_OP_SVD ? fixture_forward(&x.f, WITH_VECTORS) : functions_run(&x, op, 0, 1, 0);
  cr_assert_eq(status, SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_expect(x.f.intact, "%s %dx%d, %d of them, op %d: something beside the outputs was written",
            dtype_name(desc->dtype), (int)desc->m, (int)desc->n, (int)desc->batch_count, (int)op);
  return x;
}

static int same(functions_t *x, int64_t bx, functions_t *y, int64_t by, svdgrad_op_t op) {
  return op == SVDGRAD_OP_SVD ? fixture_same_forward(&x->f, bx, &y->f, by, WITH_VECTORS)
                              : functions_same(x, bx, y, by, op);
}

static void check_batches(svdgrad_desc_t desc, svdgrad_op_t op) {
  const int64_t lanes = desc.dtype == SVDGRAD_F32 || desc.dtype == SVDGRAD_C64 ? 16 : 8; /* of the widest registers */
  const int64_t batches[] = {lanes - 1, lanes + 1};
  desc.batch_invariant = 1; /* in lanes, even alone */
  LOCAL(functions) zero = computed(&desc, op, 1, 0);
  LOCAL(functions) one = computed(&desc, op, 2, 1);
  functions_t *const alone[SEEDS] = {&zero, &one};
  for (int i = 0; i < 2; i++) {
    desc.batch_count = batches[i];
    LOCAL(functions) x = computed(&desc, op, i + 1, 0);
    for (int64_t b = 0; b < desc.batch_count; b++)
      cr_expect(same(&x, b, alone[b % SEEDS], 0, op), "%s %dx%d full %d op %d: matrix %d of %d differs",
                dtype_name(desc.dtype), (int)desc.m, (int)desc.n, (int)desc.full_matrices, (int)op, (int)b,
                (int)desc.batch_count);
  }
}

static void check_all(svdgrad_op_t op) {
  for (int v = 0; v < VARIANT_COUNT; v++) {
    svdgrad_desc_t desc = make_desc(variants[v].dtype, variants[v].m, variants[v].n, 1);
    desc.algo = SVDGRAD_ALGO_JACOBI;
    desc.max_sweeps = 1; /* accuracy does not matter here, memory does */
    desc.full_matrices = variants[v].full_matrices;
    check_batches(desc, op);
  }
}

Test(short_groups, svd) { check_all(SVDGRAD_OP_SVD); }

/* Programs in lanes, and operations of SVDs and programs. */
Test(short_groups, functions) {
  static const svdgrad_op_t ops[] = {SVDGRAD_OP_SVD_JVP, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, SVDGRAD_OP_MATRIX_FUNCTION,
                                     SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      check_batches(make_desc(dtype, 16, 16, 1), ops[i]);
      check_batches(make_desc(dtype, 40, 33, 1), ops[i]);
      svdgrad_desc_t truncated = make_desc(dtype, 16, 15, 1);
      truncated.rank = 3;
      if (ops[i] == SVDGRAD_OP_SVD_JVP)
        check_batches(truncated, ops[i]);
    }
}

Test(short_groups, norm_with_its_gradient) {
  svdgrad_desc_t desc = make_desc(SVDGRAD_C64, 128, 127, 1);
  desc.algo = SVDGRAD_ALGO_JACOBI;
  desc.max_sweeps = 1;
  check_batches(desc, SVDGRAD_OP_NORM_GRADIENT);
}
