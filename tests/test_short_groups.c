/* SPDX-License-Identifier: BSD-3-Clause */
/* Partial groups of SIMD lanes.  The largest matrices computed in lanes, in batches smaller than a group or with a
 * remainder, take as much memory as full groups: only outputs and workspace are written.  Up to half a group goes into
 * registers half as wide where the instruction set has them.  Every matrix has the result that it has alone. */
#include "cpu/cpu_kernels.h"
#include "cpu/cpu_lanes_svd.h"
#include "base/parallel.h"
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

/* The gradient is that of the SVD of the matrices. */
static svdgrad_status_t run(functions_t *x, svdgrad_op_t op) {
  switch (op) {
  case SVDGRAD_OP_SVD: return fixture_forward(&x->f, WITH_VECTORS);
  case SVDGRAD_OP_SVDVALS: return fixture_forward(&x->f, 0);
  case SVDGRAD_OP_SVD_BACKWARD: {
    const svdgrad_status_t status = fixture_forward(&x->f, WITH_VECTORS);
    return status == SVDGRAD_STATUS_SUCCESS ? fixture_backward(&x->f, WITH_COTANGENTS, 1, 0) : status;
  }
  default: return functions_run(x, op, 0, 1, 0);
  }
}

static functions_t computed(const svdgrad_desc_t *desc, svdgrad_op_t op, int threads, uint64_t first_seed) {
  functions_t x = functions_make(SVDGRAD_BACKEND_CPU, desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  for (int64_t b = 0; b < desc->batch_count; b++)
    functions_fill(&x, b, (first_seed + (uint64_t)b) % SEEDS);
  cr_assert_eq(svdgrad_set_num_threads(x.f.handle, threads), SVDGRAD_STATUS_SUCCESS);
  const svdgrad_status_t status = run(&x, op);
  cr_assert_eq(status, SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_expect(x.f.intact, "%s %dx%d, %d of them, op %d: something beside the outputs was written",
            dtype_name(desc->dtype), (int)desc->m, (int)desc->n, (int)desc->batch_count, (int)op);
  return x;
}

static int same(functions_t *x, int64_t bx, functions_t *y, int64_t by, svdgrad_op_t op) {
  switch (op) {
  case SVDGRAD_OP_SVD: return fixture_same_forward(&x->f, bx, &y->f, by, WITH_VECTORS);
  case SVDGRAD_OP_SVDVALS: return fixture_same_forward(&x->f, bx, &y->f, by, 0);
  case SVDGRAD_OP_SVD_BACKWARD: return fixture_same_backward(&x->f, bx, &y->f, by);
  default: return functions_same(x, bx, y, by, op);
  }
}

/* Of the widest registers. */
static int64_t lanes_of(svdgrad_dtype_t dtype) { return dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? 16 : 8; }

static void check_batches(svdgrad_desc_t desc, svdgrad_op_t op, const int64_t batches[2]) {
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

static void check_remainders(svdgrad_desc_t desc, svdgrad_op_t op) {
  const int64_t lanes = lanes_of(desc.dtype);
  check_batches(desc, op, (int64_t[]){lanes - 1, lanes + 1});
}

static void check_all(svdgrad_op_t op) {
  for (int v = 0; v < VARIANT_COUNT; v++) {
    svdgrad_desc_t desc = make_desc(variants[v].dtype, variants[v].m, variants[v].n, 1);
    desc.algo = SVDGRAD_ALGO_JACOBI;
    desc.max_sweeps = 1; /* accuracy does not matter here, memory does */
    desc.full_matrices = variants[v].full_matrices;
    check_remainders(desc, op);
  }
}

Test(short_groups, svd) { check_all(SVDGRAD_OP_SVD); }

/* Programs in lanes, and operations of SVDs and programs. */
Test(short_groups, functions) {
  static const svdgrad_op_t ops[] = {SVDGRAD_OP_SVD_JVP, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, SVDGRAD_OP_MATRIX_FUNCTION,
                                     SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      check_remainders(make_desc(dtype, 16, 16, 1), ops[i]);
      check_remainders(make_desc(dtype, 40, 33, 1), ops[i]);
      svdgrad_desc_t truncated = make_desc(dtype, 16, 15, 1);
      truncated.rank = 3;
      if (ops[i] == SVDGRAD_OP_SVD_JVP)
        check_remainders(truncated, ops[i]);
    }
}

/* Sizes with kernels of their own, and above; tall and wide; the QR iteration and the qd algorithm begin among them. */
Test(short_groups, half_of_a_group) {
  static const int64_t shapes[][2] = {{1, 1}, {2, 2}, {3, 3},   {4, 4},   {5, 5},   {6, 6},  {7, 7},  {8, 8},
                                      {9, 9}, {5, 3}, {12, 12}, {17, 17}, {24, 24}, {40, 4}, {9, 33}, {41, 20}};
  static const svdgrad_op_t ops[] = {SVDGRAD_OP_SVD, SVDGRAD_OP_SVDVALS, SVDGRAD_OP_SVD_BACKWARD};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        const int64_t half = lanes_of(dtype) / 2;
        svdgrad_desc_t desc = make_desc(dtype, shapes[s][0], shapes[s][1], 1);
        check_batches(desc, ops[i], (int64_t[]){half, 3 * half});
        desc.algo = SVDGRAD_ALGO_JACOBI;
        check_batches(desc, ops[i], (int64_t[]){half - 1, half + 1});
      }
}

/* Neither the sums that tiny matrices are spared nor half a group take more than what a group is said to take. */
static void check_scratch(const svd_ops_t *ops, const problem_t *p) {
  for (int vectors = 0; vectors < 2; vectors++) {
    const size_t bytes = cpu_lanes_svd_scratch(ops, p, vectors);
    cr_expect_leq(ops->scratch(p, vectors), bytes, "%s %dx%d", dtype_name(p->dtype), (int)p->m, (int)p->n);
    cr_expect_leq(cpu_kernels[p->dtype]->again_scratch(p), bytes, "%s %dx%d", dtype_name(p->dtype), (int)p->m,
                  (int)p->n);
    if (ops->narrow)
      cr_expect_leq(ops->narrow->scratch(p, vectors), bytes, "%s %dx%d", dtype_name(p->dtype), (int)p->m, (int)p->n);
  }
}

Test(short_groups, scratch) {
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
    const lane_kernels_t *kernels = lanes_choose()->kernels[dtype];
    for (int64_t m = 1; m <= 40; m++)
      for (int64_t n = 1; n <= 40; n++)
        for (int full = 0; full < 2; full++) {
          const problem_t p = {.dtype = dtype,
                               .m = m,
                               .n = n,
                               .mn = m < n ? m : n,
                               .k = m < n ? m : n,
                               .batch_count = 1,
                               .full_matrices = full};
          check_scratch(kernels->svd, &p);
          if (p.mn >= 8) { /* smaller ones do not take these */
            check_scratch(kernels->values, &p);
            check_scratch(kernels->vectors, &p);
          }
          const backward_ops_t *backward = kernels->backward;
          if (backward->narrow)
            cr_expect_leq(backward->narrow->scratch(&p), backward->scratch(&p));
        }
  }
}

Test(short_groups, norm_with_its_gradient) {
  svdgrad_desc_t desc = make_desc(SVDGRAD_C64, 128, 127, 1);
  desc.algo = SVDGRAD_ALGO_JACOBI;
  desc.max_sweeps = 1;
  check_remainders(desc, SVDGRAD_OP_NORM_GRADIENT);
}
