/* SPDX-License-Identifier: BSD-3-Clause */
/* The binary interface is the one that programs were compiled against: sizes and offsets of the structs (64-bit long
 * and pointers), values of the constants, types of the functions.  Numbers in these tables never change; new ones are
 * added. */
#include <string.h>
#include <svdgrad/svdgrad.h>

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct pinned {
  const char *name;
  long long actual, expected;
} pinned_t;

static void expect_pinned(const pinned_t *table, size_t count) {
  for (size_t i = 0; i < count; i++)
    cr_expect(table[i].actual == table[i].expected, "%s is %lld, was %lld", table[i].name, table[i].actual,
              table[i].expected);
}

#define SIZE(type, expected)                                                                                           \
  { "sizeof " #type, (long long)sizeof(type), expected }
#define OFFSET(type, field, expected)                                                                                  \
  { #type "." #field, (long long)offsetof(type, field), expected }
#define VALUE(constant, expected)                                                                                      \
  { #constant, (long long)(constant), expected }

Test(abi, structs) {
  static const pinned_t table[] = {
      SIZE(svdgrad_handle_t, 8),
      SIZE(svdgrad_desc_t, 96),
      OFFSET(svdgrad_desc_t, struct_size, 0),
      OFFSET(svdgrad_desc_t, dtype, 8),
      OFFSET(svdgrad_desc_t, algo, 12),
      OFFSET(svdgrad_desc_t, m, 16),
      OFFSET(svdgrad_desc_t, n, 24),
      OFFSET(svdgrad_desc_t, batch_count, 32),
      OFFSET(svdgrad_desc_t, rank, 40),
      OFFSET(svdgrad_desc_t, full_matrices, 48),
      OFFSET(svdgrad_desc_t, positive_gauge, 52),
      OFFSET(svdgrad_desc_t, max_sweeps, 56),
      OFFSET(svdgrad_desc_t, gap_policy, 60),
      OFFSET(svdgrad_desc_t, gap_param, 64),
      OFFSET(svdgrad_desc_t, parallel_for, 72),
      OFFSET(svdgrad_desc_t, pool, 80),
      OFFSET(svdgrad_desc_t, batch_invariant, 88),
      SIZE(svdgrad_matrix_t, 32),
      OFFSET(svdgrad_matrix_t, data, 0),
      OFFSET(svdgrad_matrix_t, row_stride, 8),
      OFFSET(svdgrad_matrix_t, col_stride, 16),
      OFFSET(svdgrad_matrix_t, batch_stride, 24),
      SIZE(svdgrad_vector_t, 24),
      OFFSET(svdgrad_vector_t, data, 0),
      OFFSET(svdgrad_vector_t, stride, 8),
      OFFSET(svdgrad_vector_t, batch_stride, 16),
      SIZE(svdgrad_function_t, 88),
      OFFSET(svdgrad_function_t, kind, 8),
      OFFSET(svdgrad_function_t, form, 12),
      OFFSET(svdgrad_function_t, param, 16),
      OFFSET(svdgrad_function_t, f, 24),
      OFFSET(svdgrad_function_t, df, 48),
      OFFSET(svdgrad_function_t, null_value, 72),
      OFFSET(svdgrad_function_t, relative, 80),
      SIZE(svdgrad_report_t, 32),
      OFFSET(svdgrad_report_t, min_gap, 0),
      OFFSET(svdgrad_report_t, gauge_residual, 8),
      OFFSET(svdgrad_report_t, amplification, 16),
      OFFSET(svdgrad_report_t, dropped_pairs, 24),
      OFFSET(svdgrad_report_t, flags, 28),
  };
  expect_pinned(table, COUNT(table));
}

Test(abi, constants) {
  static const pinned_t table[] = {
      SIZE(svdgrad_status_t, 4),
      VALUE(SVDGRAD_STATUS_SUCCESS, 0),
      VALUE(SVDGRAD_STATUS_INVALID_ARGUMENT, 1),
      VALUE(SVDGRAD_STATUS_NOT_SUPPORTED, 2),
      VALUE(SVDGRAD_STATUS_WORKSPACE_TOO_SMALL, 3),
      VALUE(SVDGRAD_STATUS_OUT_OF_MEMORY, 4),
      VALUE(SVDGRAD_STATUS_BACKEND_UNAVAILABLE, 5),
      VALUE(SVDGRAD_STATUS_BACKEND_ERROR, 6),
      SIZE(svdgrad_backend_t, 4),
      VALUE(SVDGRAD_BACKEND_REF, 0),
      VALUE(SVDGRAD_BACKEND_CPU, 1),
      VALUE(SVDGRAD_BACKEND_CUDA, 2),
      SIZE(svdgrad_dtype_t, 4),
      VALUE(SVDGRAD_F32, 0),
      VALUE(SVDGRAD_F64, 1),
      VALUE(SVDGRAD_C64, 2),
      VALUE(SVDGRAD_C128, 3),
      SIZE(svdgrad_algo_t, 4),
      VALUE(SVDGRAD_ALGO_AUTO, 0),
      VALUE(SVDGRAD_ALGO_JACOBI, 1),
      VALUE(SVDGRAD_ALGO_VENDOR, 2),
      SIZE(svdgrad_gap_policy_t, 4),
      VALUE(SVDGRAD_GAP_DEFAULT, 0),
      VALUE(SVDGRAD_GAP_EXACT, 1),
      VALUE(SVDGRAD_GAP_MASK, 2),
      VALUE(SVDGRAD_GAP_NOISE_FLOOR, 3),
      VALUE(SVDGRAD_GAP_LORENTZ, 4),
      SIZE(svdgrad_op_t, 4),
      VALUE(SVDGRAD_OP_SVD, 0),
      VALUE(SVDGRAD_OP_SVDVALS, 1),
      VALUE(SVDGRAD_OP_SVD_BACKWARD, 2),
      VALUE(SVDGRAD_OP_SVD_JVP, 3),
      VALUE(SVDGRAD_OP_SVD_BACKWARD_BACKWARD, 4),
      VALUE(SVDGRAD_OP_MATRIX_FUNCTION, 5),
      VALUE(SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, 6),
      VALUE(SVDGRAD_OP_NORM, 7),
      VALUE(SVDGRAD_OP_NORM_GRADIENT, 8),
      VALUE(SVDGRAD_OP_POWER_ITERATION, 9),
      VALUE(SVDGRAD_OP_SPECTRAL_NORMALIZE, 10),
      VALUE(SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD, 11),
      VALUE(SVDGRAD_INFO_OK, 0),
      VALUE(SVDGRAD_INFO_NOT_CONVERGED, 1),
      VALUE(SVDGRAD_INFO_NONFINITE, 2),
      VALUE(SVDGRAD_INFO_OVERFLOW, 3),
      VALUE(SVDGRAD_OP_DETERMINANT, 12),
      VALUE(SVDGRAD_OP_DETERMINANT_GRADIENT, 13),
      VALUE(SVDGRAD_FUNCTION_POLAR, 0),
      VALUE(SVDGRAD_FUNCTION_RANK, 1),
      VALUE(SVDGRAD_FUNCTION_SOFT_THRESHOLD, 2),
      VALUE(SVDGRAD_FUNCTION_HARD_THRESHOLD, 3),
      VALUE(SVDGRAD_FUNCTION_CLIP, 4),
      VALUE(SVDGRAD_FUNCTION_POWER, 5),
      VALUE(SVDGRAD_FUNCTION_INVERSE, 6),
      VALUE(SVDGRAD_FUNCTION_ROTATION, 7),
      VALUE(SVDGRAD_FUNCTION_CUSTOM, 8),
      VALUE(SVDGRAD_FUNCTION_SIGN, 9),
      VALUE(SVDGRAD_FORM_UVH, 0),
      VALUE(SVDGRAD_FORM_VVH, 1),
      VALUE(SVDGRAD_NORM_NUCLEAR, 0),
      VALUE(SVDGRAD_NORM_SPECTRAL, 1),
      VALUE(SVDGRAD_NORM_SCHATTEN, 2),
      VALUE(SVDGRAD_NORM_LOG_DETERMINANT, 3),
      VALUE(SVDGRAD_REPORT_DROPPED, 1),
      VALUE(SVDGRAD_REPORT_GAUGE, 2),
      VALUE(SVDGRAD_REPORT_CUT, 4),
  };
  expect_pinned(table, COUNT(table));
}

Test(abi, desc_init) {
  const svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  const pinned_t table[] = {
      VALUE(desc.struct_size, 96),
      VALUE(desc.dtype, SVDGRAD_F32),
      VALUE(desc.algo, SVDGRAD_ALGO_AUTO),
      VALUE(desc.m, 0),
      VALUE(desc.n, 0),
      VALUE(desc.batch_count, 0),
      VALUE(desc.rank, 0),
      VALUE(desc.full_matrices, 0),
      VALUE(desc.positive_gauge, 0),
      VALUE(desc.max_sweeps, 0),
      VALUE(desc.gap_policy, SVDGRAD_GAP_DEFAULT),
      VALUE(desc.batch_invariant, 0),
  };
  expect_pinned(table, COUNT(table));
  cr_expect(desc.gap_param == 0.0);
  cr_expect(desc.parallel_for == NULL && desc.pool == NULL);
}

/* Every function as its callers were compiled; a changed declaration does not compile here. */
typedef svdgrad_status_t status_t;
typedef svdgrad_handle_t handle_t;
typedef const svdgrad_desc_t *desc_t;
typedef const svdgrad_matrix_t *matrix_t;
typedef const svdgrad_vector_t *vector_t;
typedef void body_t(int64_t first, int64_t last, void *arg);
typedef void run_t(void *pool, int64_t count, int64_t grain, body_t *body, void *arg);

static int (*const version)(void) = svdgrad_version;
static const char *(*const status_string)(status_t) = svdgrad_status_string;
static const char *(*const last_error_message)(void) = svdgrad_last_error_message;
static status_t (*const create)(svdgrad_backend_t, int, handle_t *) = svdgrad_create;
static status_t (*const destroy)(handle_t) = svdgrad_destroy;
static status_t (*const set_parallel_for)(handle_t, run_t *, void *) = svdgrad_set_parallel_for;
static status_t (*const set_num_threads)(handle_t, int) = svdgrad_set_num_threads;
static status_t (*const workspace_size)(handle_t, svdgrad_op_t, desc_t, size_t *) = svdgrad_workspace_size;
static const char *(*const algorithm_name)(handle_t, svdgrad_op_t, desc_t) = svdgrad_algorithm_name;
static int (*const get_num_threads)(handle_t) = svdgrad_get_num_threads;
static const char *(*const instruction_set)(handle_t) = svdgrad_instruction_set;
static int (*const is_capturable)(handle_t, svdgrad_op_t, desc_t) = svdgrad_is_capturable;
static status_t (*const svd)(handle_t, void *, desc_t, matrix_t, vector_t, matrix_t, matrix_t, int32_t *, void *,
                             size_t) = svdgrad_svd;
static status_t (*const svd_backward)(handle_t, void *, desc_t, matrix_t, vector_t, matrix_t, matrix_t, vector_t,
                                      matrix_t, matrix_t, double, double, matrix_t, svdgrad_report_t *, void *,
                                      size_t) = svdgrad_svd_backward;

static status_t (*const determinant)(handle_t, void *, desc_t, matrix_t, vector_t, vector_t, vector_t, vector_t,
                                     vector_t, vector_t, double, double, matrix_t, int32_t *, void *,
                                     size_t) = svdgrad_determinant;

static void run_at_once(void *pool, int64_t count, int64_t grain, body_t *body, void *arg) {
  (void)grain;
  ++*(int *)pool;
  body(0, count, arg);
}

Test(abi, functions_without_a_problem) {
  handle_t handle = NULL;
  cr_expect_geq(version(), 100);
  cr_expect_not_null(last_error_message());
  cr_expect_not_null(status_string(SVDGRAD_STATUS_SUCCESS));
  cr_assert_eq(create(SVDGRAD_BACKEND_REF, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(set_num_threads(handle, 3), SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(get_num_threads(handle), 3);
  cr_expect_str_eq(instruction_set(handle), "portable");
  cr_expect_eq(get_num_threads(NULL), 0);
  cr_expect(instruction_set(NULL) == NULL);
  cr_expect_eq(destroy(handle), SVDGRAD_STATUS_SUCCESS);
}

/* A = 3, with gS = 5: S = 3, gA = 5. */
Test(abi, functions_with_a_problem) {
  handle_t handle = NULL;
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.dtype = SVDGRAD_F64, desc.m = 1, desc.n = 1, desc.batch_count = 1;
  double A = 3, S = 0, U = 0, Vh = 0, gS = 5, gA = 0;
  const svdgrad_matrix_t A_ = {&A, 1, 1, 1}, U_ = {&U, 1, 1, 1}, Vh_ = {&Vh, 1, 1, 1}, gA_ = {&gA, 1, 1, 1};
  const svdgrad_vector_t S_ = {&S, 1, 1}, gS_ = {&gS, 1, 1};
  svdgrad_report_t report;
  int32_t info = -1;
  size_t bytes = 1;
  int pool = 0;
  cr_assert_eq(create(SVDGRAD_BACKEND_REF, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(set_parallel_for(handle, run_at_once, &pool), SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(workspace_size(handle, SVDGRAD_OP_SVD, &desc, &bytes), SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(bytes, 0);
  cr_expect_not_null(algorithm_name(handle, SVDGRAD_OP_SVD, &desc));
  cr_expect_eq(is_capturable(handle, SVDGRAD_OP_SVD, &desc), 0);
  cr_expect_eq(svd(handle, NULL, &desc, &A_, &S_, &U_, &Vh_, &info, NULL, 0), SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(svd_backward(handle, NULL, &desc, NULL, &S_, &U_, &Vh_, &gS_, NULL, NULL, 1, 0, &gA_, &report, NULL, 0),
               SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(info, SVDGRAD_INFO_OK);
  cr_expect(S == 3 && gA == 5, "S = %g, gA = %g", S, gA);
  const svdgrad_vector_t det_ = {&S, 1, 1};
  unsigned char *work = NULL;
  cr_expect_eq(workspace_size(handle, SVDGRAD_OP_DETERMINANT, &desc, &bytes), SVDGRAD_STATUS_SUCCESS);
  cr_assert_not_null(work = aligned_alloc(256, (bytes + 255) / 256 * 256 + 256));
  A = -3;
  cr_expect_eq(
      determinant(handle, NULL, &desc, &A_, &det_, NULL, NULL, NULL, NULL, NULL, 1, 0, NULL, &info, work, bytes),
      SVDGRAD_STATUS_SUCCESS);
  cr_expect(S == -3, "det = %g", S);
  free(work);
  cr_expect_eq(pool, 3, "all calls went through the caller's threads");
  cr_expect_eq(destroy(handle), SVDGRAD_STATUS_SUCCESS);
}

/* Descriptors of older programs end early: after gap_param, or after pool.  What lies behind is not looked at. */
static void check_short_descriptor(size_t struct_size, int calls_by_pool) {
  handle_t handle = NULL;
  int pool = 0;
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.struct_size = struct_size;
  desc.dtype = SVDGRAD_F64, desc.m = 1, desc.n = 1, desc.batch_count = 1;
  desc.parallel_for = run_at_once, desc.pool = &pool;
  double A = -3, S = 0;
  const svdgrad_matrix_t A_ = {&A, 1, 1, 1};
  const svdgrad_vector_t S_ = {&S, 1, 1};
  int32_t info = -1;
  size_t bytes = 1;
  cr_assert_eq(create(SVDGRAD_BACKEND_CPU, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(workspace_size(handle, SVDGRAD_OP_SVDVALS, &desc, &bytes), SVDGRAD_STATUS_SUCCESS);
  cr_expect_eq(bytes, 0);
  cr_expect_eq(svd(handle, NULL, &desc, &A_, &S_, NULL, NULL, &info, NULL, 0), SVDGRAD_STATUS_SUCCESS);
  cr_expect(S == 3 && pool == calls_by_pool, "struct_size %zu: S = %g, %d calls by the pool", struct_size, S, pool);
  cr_expect_eq(destroy(handle), SVDGRAD_STATUS_SUCCESS);
}

/* Programs that do not know batch_invariant keep the bits that they were promised: those of any batch. */
Test(abi, batch_invariant_of_short_descriptors) {
  handle_t handle = NULL;
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.dtype = SVDGRAD_F32, desc.m = 12, desc.n = 12, desc.batch_count = 1000;
  cr_assert_eq(create(SVDGRAD_BACKEND_CPU, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  const char *const many = algorithm_name(handle, SVDGRAD_OP_SVD, &desc);
  desc.batch_count = 1;
  cr_expect_str_neq(algorithm_name(handle, SVDGRAD_OP_SVD, &desc), many);
  desc.struct_size = 88;
  cr_expect_str_eq(algorithm_name(handle, SVDGRAD_OP_SVD, &desc), many);
  desc.struct_size = 72;
  cr_expect_str_eq(algorithm_name(handle, SVDGRAD_OP_SVD, &desc), many);
  desc.struct_size = sizeof desc, desc.batch_invariant = -1;
  cr_expect_str_eq(algorithm_name(handle, SVDGRAD_OP_SVD, &desc), many);
  cr_expect_eq(destroy(handle), SVDGRAD_STATUS_SUCCESS);
}

/* Where few matrices gain more by a path of their own than many lose by it, it serves both. */
Test(abi, batch_invariant_serves_few_and_many) {
  static const svdgrad_op_t ops[] = {SVDGRAD_OP_SVD, SVDGRAD_OP_SVDVALS, SVDGRAD_OP_SVD_BACKWARD};
  static const int64_t sizes[] = {8, 16, 20, 32, 64, 96};
  handle_t handle = NULL;
  cr_assert_eq(create(SVDGRAD_BACKEND_CPU, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  for (int i = 0; i < 4 * 3 * 6; i++) {
    svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
    const svdgrad_op_t op = ops[i / 4 % 3];
    desc.dtype = (svdgrad_dtype_t)(i % 4), desc.m = desc.n = sizes[i / 12], desc.batch_count = 1;
    const char *const few = algorithm_name(handle, op, &desc);
    desc.batch_invariant = 1;
    const char *const one = algorithm_name(handle, op, &desc);
    desc.batch_count = 1000;
    cr_expect_str_eq(algorithm_name(handle, op, &desc), one, "op %d, dtype %d, n %d", op, i % 4, (int)desc.n);
    desc.batch_invariant = 0;
    const char *const many = algorithm_name(handle, op, &desc);
    cr_expect(!strcmp(one, few) || !strcmp(one, many), "op %d, dtype %d, n %d: %s", op, i % 4, (int)desc.n, one);
    if (op == SVDGRAD_OP_SVD && desc.n == 96)
      cr_expect_str_eq(one, few);
  }
  cr_expect_eq(destroy(handle), SVDGRAD_STATUS_SUCCESS);
}

Test(abi, short_descriptors) {
  check_short_descriptor(72, 0);
  check_short_descriptor(88, 1);
  check_short_descriptor(96, 1);
}
