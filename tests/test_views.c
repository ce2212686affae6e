/* SPDX-License-Identifier: BSD-3-Clause */
/* Inputs may be views, as array libraries create them without a copy: broadcast, flipped, or sliding windows.  The
 * result of every operation has the bits of a packed copy of the same values (power iteration: equal to rounding), and
 * inputs are never written. */
#include "cases.h"
#include "functions.h"
#include "power.h"
#include "random.h"

#include <criterion/criterion.h>

/* A full group of lanes, and part of another; of large matrices fewer. */
enum { LARGE_BATCH = 2 };
static int64_t batch(void) { return test_table == TABLE_SMALL ? LARGE_BATCH : 17; }

typedef struct variant {
  int64_t m, n, rank;
  int full_matrices;
} variant_t;
static const variant_t variants[] = {
    {1, 1, 0, 0},
    {4, 4, 0, 0},
    {5, 3, 0, 1},
    {3, 6, 2, 0},
    /* from here on not for the small table */
    {1, 4, 0, 0},
    {4, 1, 0, 0},
    {13, 17, 0, 0},
    {33, 40, 5, 0},
    {100, 97, 0, 0},
};
static int variant_count(void) { return test_table == TABLE_SMALL ? 4 : (int)(sizeof variants / sizeof *variants); }

/* ---- the calls: the SVD, its backward pass, and those of functions.h ---- */

static functions_role_t role_of(const functions_t *x, svdgrad_op_t op, int operand) {
  const int truncated = x->f.S.rows < (x->f.desc.m < x->f.desc.n ? x->f.desc.m : x->f.desc.n);
  switch (op) {
  case SVDGRAD_OP_SVD: return operand == OPERAND_A ? ROLE_INPUT : operand <= OPERAND_VH ? ROLE_OUTPUT : ROLE_NONE;
  case SVDGRAD_OP_SVD_BACKWARD:
    if (operand == OPERAND_A && !truncated)
      return ROLE_NONE;
    return operand < OPERAND_GA ? ROLE_INPUT : operand == OPERAND_GA ? ROLE_OUTPUT : ROLE_NONE;
  default: return functions_role(x, op, operand);
  }
}

static svdgrad_status_t run(functions_t *x, svdgrad_op_t op) {
  switch (op) {
  case SVDGRAD_OP_SVD: return fixture_forward(&x->f, WITH_VECTORS);
  case SVDGRAD_OP_SVD_BACKWARD: return fixture_backward(&x->f, WITH_COTANGENTS, 1.5, -0.5);
  default: return functions_run(x, op, 0, 1.5, -0.5);
  }
}

static int same(functions_t *x, functions_t *y, svdgrad_op_t op) {
  int all = x->f.intact && y->f.intact;
  for (int64_t b = 0; b < x->f.desc.batch_count; b++)
    switch (op) {
    case SVDGRAD_OP_SVD: all &= fixture_same_forward(&x->f, b, &y->f, b, WITH_VECTORS); break;
    case SVDGRAD_OP_SVD_BACKWARD: all &= fixture_same_backward(&x->f, b, &y->f, b); break;
    default: all &= functions_same(x, b, y, b, op); break;
    }
  return all;
}

static int is_taken(const functions_t *x, svdgrad_op_t op) {
  size_t bytes;
  return svdgrad_workspace_size(x->f.handle, op, &x->f.desc, &bytes) == SVDGRAD_STATUS_SUCCESS;
}

/* ---- one input as a view ---- */

static int equal(const buffer_t *x, const buffer_t *y) {
  int all = buffer_padding_intact(x);
  for (int64_t b = 0; b < x->batch_count; b++)
    all &= buffer_same_bits(x, b, y, b);
  return all;
}

static void fill_view(const buffer_t *view, uint64_t seed) {
  random_t random = random_seed(seed);
  for (int64_t b = 0; b < view->batch_count; b++) {
    LOCAL(dense) X = random_matrix(&random, view->rows, view->cols, dtype_is_complex(view->dtype));
    buffer_store(view, b, &X);
  }
}

static functions_t copy_with(functions_t *from, int operand, layout_t layout) {
  placement_t placements[FUNCTIONS_OPERAND_COUNT] = {{LAYOUT_COLUMN_MAJOR, 0}};
  placements[operand].layout = layout;
  functions_t x = functions_make_placed(from->f.backend, &from->f.desc, from->function.form, placements);
  x.function.kind = from->function.kind;
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++)
    if (i != operand)
      buffer_copy(functions_operand(&x, i), functions_operand(from, i));
  return x;
}

static void check_view(functions_t *from, svdgrad_op_t op, int operand, layout_t layout) {
  const svdgrad_desc_t *desc = &from->f.desc;
  (void)desc; /* of the message alone */
  LOCAL(functions) viewed = copy_with(from, operand, layout);
  LOCAL(functions) packed = copy_with(from, operand, LAYOUT_COLUMN_MAJOR);
  fill_view(functions_operand(&viewed, operand), 7);
  buffer_copy(functions_operand(&packed, operand), functions_operand(&viewed, operand));
  const svdgrad_status_t status = run(&viewed, op);
  cr_expect_eq(status, SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert_eq(run(&packed, op), SVDGRAD_STATUS_SUCCESS);
  cr_expect(status || (same(&viewed, &packed, op) &&
                       equal(functions_operand(&viewed, operand), functions_operand(&packed, operand))),
            "%s %s algo %d %dx%d rank %d full %d op %d: %s %s", backend_name(from->f.backend), dtype_name(desc->dtype),
            (int)desc->algo, (int)desc->m, (int)desc->n, (int)desc->rank, desc->full_matrices, (int)op,
            functions_operand_name(operand), layout_name(layout));
}

static void check_views(svdgrad_backend_t backend, const svdgrad_desc_t *desc, svdgrad_form_t form,
                        const svdgrad_op_t *ops, int op_count) {
  LOCAL(functions) x = functions_make(backend, desc, form, LAYOUT_COLUMN_MAJOR);
  if (!is_taken(&x, SVDGRAD_OP_SVD))
    return;
  x.function.kind = SVDGRAD_FUNCTION_CUSTOM;
  for (int64_t b = 0; b < desc->batch_count; b++)
    functions_fill(&x, b, (uint64_t)b + 1);
  cr_assert_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  for (int i = 0; i < op_count; i++)
    for (int operand = 0; operand < FUNCTIONS_OPERAND_COUNT && is_taken(&x, ops[i]); operand++)
      for (layout_t view = LAYOUT_COUNT; view < LAYOUT_VIEW_END; view++)
        if (role_of(&x, ops[i], operand) == ROLE_INPUT)
          check_view(&x, ops[i], operand, view);
}

typedef void (*check_t)(svdgrad_backend_t backend, const svdgrad_desc_t *desc);

/* On the cpu backend, every algorithm. */
static void for_each_problem(check_t check) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int v = 0; v < variant_count(); v++) {
        const int is_large = variants[v].m > 17;
        if (is_large && (dtype == SVDGRAD_F64 || dtype == SVDGRAD_C64))
          continue;
        svdgrad_desc_t desc = make_desc(dtype, variants[v].m, variants[v].n, is_large ? LARGE_BATCH : batch());
        desc.rank = variants[v].rank, desc.full_matrices = variants[v].full_matrices;
        const int every = test_backends[i] == SVDGRAD_BACKEND_CPU && desc.algo == SVDGRAD_ALGO_AUTO;
        for (int more = every ? 2 : 0; more >= 0 && !(is_large && test_backends[i] == SVDGRAD_BACKEND_REF); more--) {
          check(test_backends[i], &desc);
          desc.algo = (svdgrad_algo_t)((int)desc.algo + every);
        }
      }
}

static void check_svd(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  static const svdgrad_op_t ops[] = {SVDGRAD_OP_SVD, SVDGRAD_OP_SVD_BACKWARD};
  check_views(backend, desc, SVDGRAD_FORM_UVH, ops, 2);
}

Test(views, svd) { for_each_problem(check_svd); }

static void check_functions(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  if (desc->m < 50 && (desc->batch_count == LARGE_BATCH || desc->algo == SVDGRAD_ALGO_AUTO))
    check_views(backend, desc, desc->m == 4 ? SVDGRAD_FORM_VVH : SVDGRAD_FORM_UVH, functions_ops, FUNCTIONS_OP_COUNT);
}

Test(views, functions) { for_each_problem(check_functions); }

/* ---- power iteration ---- */

static power_problem_t power_with(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  power_problem_t p = power_make(backend, desc, LAYOUT_ROW_MAJOR, 0);
  for (int64_t b = 0; b < desc->batch_count; b++)
    power_fill(&p, b, (uint64_t)b);
  fill_view(&p.A, 3);
  return p;
}

static buffer_t *power_input(power_problem_t *p, int input) {
  buffer_t *const inputs[] = {&p->A, &p->gY, &p->u, &p->v, &p->sigma};
  return inputs[input];
}

static int power_run(power_problem_t *p, int forward) {
  return (int)(forward ? power_normalize(p, 2) : power_backward(p, 0.7, 0.3));
}

static int nearly(const buffer_t *x, const buffer_t *y, double tolerance) {
  int all = 1;
  for (int64_t b = 0; b < x->batch_count; b++) {
    LOCAL(dense) X = buffer_load(x, b);
    LOCAL(dense) Y = buffer_load(y, b);
    LOCAL(dense) rest = dense_sum(1, &X, -1, &Y);
    all &= dense_norm(&rest) <= tolerance * dense_norm(&Y);
  }
  return all;
}

/* The order of sums in the iteration follows that of memory; on CUDA that of the gradient too. */
static int same_power(const power_problem_t *x, const power_problem_t *y, int forward) {
  const double tolerance = 8 * (double)(x->desc.m + x->desc.n) * dtype_epsilon(x->desc.dtype);
  int all = x->intact && y->intact;
  if (forward)
    return all && nearly(&x->sigma, &y->sigma, tolerance) && nearly(&x->Y, &y->Y, tolerance);
  if (x->backend == SVDGRAD_BACKEND_CUDA)
    return all && nearly(&x->gA, &y->gA, tolerance);
  for (int64_t b = 0; b < x->desc.batch_count; b++)
    all &= buffer_same_bits(&x->gA, b, &y->gA, b);
  return all;
}

/* `packed` has the values of `viewed`, in rows; both have gone through the iteration if this is the backward pass. */
static void check_power_view(svdgrad_backend_t backend, const svdgrad_desc_t *desc, int input, int forward,
                             layout_t layout) {
  power_problem_t viewed = power_with(backend, desc), packed = power_with(backend, desc);
  cr_assert(forward || (!power_run(&viewed, 1) && !power_run(&packed, 1)));
  buffer_t *view = power_input(&viewed, input), *plain = power_input(&packed, input), old = *view;
  *view = buffer_make(old.dtype, old.rows, old.cols, old.batch_count, layout, 0);
  fill_view(view, 5);
  buffer_copy(plain, view);
  const int status = power_run(&viewed, forward);
  cr_expect_eq(status, 0, "%s", svdgrad_last_error_message());
  cr_assert_eq(power_run(&packed, forward), 0);
  cr_expect(status || (same_power(&viewed, &packed, forward) && equal(view, plain)),
            "%s %s %dx%d power, forward %d: input %d, %s", backend_name(backend), dtype_name(desc->dtype), (int)desc->m,
            (int)desc->n, forward, input, layout_name(layout));
  buffer_free(&old);
  power_free(&viewed), power_free(&packed);
}

static void check_power(svdgrad_backend_t backend, const svdgrad_desc_t *of) {
  svdgrad_desc_t desc = *of;
  desc.rank = 0, desc.full_matrices = 0;
  if (desc.algo != make_desc(desc.dtype, 1, 1, 1).algo) /* the power iteration has one algorithm */
    return;
  for (layout_t view = LAYOUT_COUNT; view < LAYOUT_VIEW_END; view++) {
    check_power_view(backend, &desc, 0, 1, view);
    for (int input = 0; input < 5; input++)
      check_power_view(backend, &desc, input, 0, view);
  }
}

Test(views, power) { for_each_problem(check_power); }
