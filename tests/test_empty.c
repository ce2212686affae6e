/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices without elements and batches without matrices are a quick return, wherever their operands lie; an output that has
 * elements even then is written. */
#include "mistakes.h"

#include <math.h>

static const shape_t empty_shapes[] = {{0, 3, 2},   {3, 0, 2}, {0, 0, 2}, {4, 3, 0},
                                       {48, 40, 0}, {0, 0, 0}, {0, 7, 0}, {0, POWER_OF_2(40), 2}};

static void expect_quick_return(svdgrad_handle_t handle, const svdgrad_desc_t *desc, const svdgrad_matrix_t *matrix,
                                const svdgrad_vector_t *vector) {
  size_t bytes = 99;
  for (int op = SVDGRAD_OP_SVD; op <= SVDGRAD_OP_SVD_BACKWARD; op++) {
    cr_expect_eq(svdgrad_workspace_size(handle, (svdgrad_op_t)op, desc, &bytes), SVDGRAD_STATUS_SUCCESS);
    cr_expect_eq(bytes, 0);
  }
  const svdgrad_status_t forward = svdgrad_svd(handle, NULL, desc, matrix, vector, matrix, matrix, NULL, NULL, 0);
  cr_expect_eq(forward, SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  const svdgrad_status_t backward = svdgrad_svd_backward(handle, NULL, desc, matrix, vector, matrix, matrix, vector,
                                                         matrix, matrix, 1, 0, matrix, NULL, NULL, 0);
  cr_expect_eq(backward, SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
}

Test(empty, quick_returns) {
  const svdgrad_matrix_t no_matrix = {0};
  const svdgrad_vector_t no_vector = {0};
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(empty_shapes); i++)
      for (int full = 0; full < 2; full++) {
        svdgrad_handle_t handle;
        cr_assert_eq(svdgrad_create(test_backends[b], 0, &handle), SVDGRAD_STATUS_SUCCESS);
        svdgrad_desc_t desc = make_desc(SVDGRAD_F64, empty_shapes[i].m, empty_shapes[i].n, empty_shapes[i].batch_count);
        desc.full_matrices = full;
        expect_quick_return(handle, &desc, &no_matrix, &no_vector);
        expect_quick_return(handle, &desc, NULL, NULL);
        cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
      }
}

/* Array libraries give an array without elements strides of 0, and a pointer to somewhere. */
Test(empty, empty_operands_may_lie_anywhere) {
  double somewhere = 0;
  const svdgrad_matrix_t matrix = {&somewhere, 0, 0, 0};
  const svdgrad_vector_t vector = {&somewhere, 0, 0};
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(empty_shapes); i++) {
      svdgrad_handle_t handle;
      cr_assert_eq(svdgrad_create(test_backends[b], 0, &handle), SVDGRAD_STATUS_SUCCESS);
      const svdgrad_desc_t desc =
          make_desc(SVDGRAD_F64, empty_shapes[i].m, empty_shapes[i].n, empty_shapes[i].batch_count);
      expect_quick_return(handle, &desc, &matrix, &vector);
      cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
    }
}

/* An empty batch is accepted however large its matrices are; a sanitizer would report an overflow. */
Test(empty, empty_batch_of_huge_matrices) {
  svdgrad_handle_t handle;
  const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, POWER_OF_2(40), POWER_OF_2(40), 0);
  cr_assert_eq(svdgrad_create(SVDGRAD_BACKEND_REF, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  expect_quick_return(handle, &desc, NULL, NULL);
  cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
}

static void expect_identity(const buffer_t *buffer) {
  for (int64_t b = 0; b < buffer->batch_count; b++)
    for (int64_t i = 0; i < buffer->rows; i++)
      for (int64_t j = 0; j < buffer->cols; j++)
        cr_expect(buffer_get(buffer, b, i, j) == (i == j), "element (%d,%d,%d)", (int)b, (int)i, (int)j);
  cr_expect(buffer_padding_intact(buffer));
}

static void expect_empty_report(const svdgrad_report_t *report) {
  cr_expect(isinf(report->min_gap) && report->min_gap > 0);
  cr_expect(report->gauge_residual == 0 && report->amplification == 0);
  cr_expect(report->dropped_pairs == 0 && report->flags == 0);
}

/* Every output is written, though the matrices have no elements. */
static void check_empty_matrices(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  svdgrad_desc_t desc = make_desc(dtype, m, n, 2);
  desc.full_matrices = 1;
  fixture_t f = fixture_make(backend, &desc, LAYOUT_GENERAL);
  memset(f.report, CANARY, 2 * sizeof *f.report);
  cr_expect_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_expect_eq(fixture_backward(&f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_expect(f.intact);
  expect_identity(&f.U);
  expect_identity(&f.Vh);
  for (int b = 0; b < 2; b++) {
    cr_expect_eq(f.info[b], SVDGRAD_INFO_OK);
    expect_empty_report(&f.report[b]);
  }
  fixture_free(&f);
}

Test(empty, empty_matrices) {
  for (int b = 0; b < test_backend_count; b++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      check_empty_matrices(test_backends[b], (svdgrad_dtype_t)dtype, 3, 0);
      check_empty_matrices(test_backends[b], (svdgrad_dtype_t)dtype, 0, 3);
      check_empty_matrices(test_backends[b], (svdgrad_dtype_t)dtype, 0, 0);
    }
}
