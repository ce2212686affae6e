/* SPDX-License-Identifier: BSD-3-Clause */
/* Every check of a public call's arguments, in the order handle, enums, sizes, strides, pointers, workspace.
 * On success the call struct holds what the backend needs; on failure the message names function, argument, value and
 * bound. */
#ifndef SVDGRAD_VALIDATE_H
#define SVDGRAD_VALIDATE_H
#include "backend.h"

svdgrad_status_t validate_problem(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                  const svdgrad_desc_t *desc, problem_t *problem);

svdgrad_status_t validate_workspace_bytes(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                          const problem_t *problem, size_t *bytes);

/* `call` comes with the operands filled in as the caller gave them; NULL operands as data == NULL. */
svdgrad_status_t validate_svd(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                              const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                              const svdgrad_matrix_t *Vh, int32_t *info, void *work, size_t work_bytes,
                              svd_call_t *call);

svdgrad_status_t validate_svd_backward(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                       const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                                       const svdgrad_matrix_t *Vh, const svdgrad_vector_t *gS,
                                       const svdgrad_matrix_t *gU, const svdgrad_matrix_t *gVh, double alpha,
                                       double beta, const svdgrad_matrix_t *gA, svdgrad_report_t *report, void *work,
                                       size_t work_bytes, svd_backward_call_t *call);

#endif
