/* SPDX-License-Identifier: BSD-3-Clause */
/* Every check of a public call's arguments, in the order handle, enums, sizes, strides, pointers, workspace.
 * On success the call struct holds what the backend needs; on failure the message names function, argument, value and
 * bound. */
#ifndef SVDGRAD_VALIDATE_H
#define SVDGRAD_VALIDATE_H
#include "functions/calls.h"
#include "operand.h"

svdgrad_status_t validate_problem(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                  const svdgrad_desc_t *desc, problem_t *problem);

svdgrad_status_t validate_workspace_bytes(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                          const problem_t *problem, size_t *bytes);

/* The parts, in their order. */
svdgrad_status_t validate_stream(const char *function, svdgrad_handle_t handle, const void *stream);
svdgrad_status_t validate_scalars(const char *function, double alpha, double beta);
svdgrad_status_t validate_operands(const char *function, const problem_t *p, const operand_t *operands, int count);
svdgrad_status_t validate_workspace(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                    const problem_t *problem, const void *work, size_t work_bytes, size_t *bytes);

/* Last: no output, which `info`, `report` and `work_bytes` bytes of `work` are too, overlaps another operand.  Each of the
 * three may be NULL. */
typedef struct arrays {
  int32_t *info;
  svdgrad_report_t *report;
  void *work;
  size_t work_bytes;
} arrays_t;
svdgrad_status_t validate_overlap(const char *function, const problem_t *p, const operand_t *operands, int count,
                                  arrays_t arrays);

/* What a call of a checked problem runs in: the handle, with the pool of the call if it has one. */
context_t validate_context(svdgrad_handle_t handle, const svdgrad_desc_t *desc);

/* The caller's workspace from where it is aligned for the backends. */
void *validate_aligned(void *work);

/* A quick return: no element is read or written. */
int validate_is_empty(const problem_t *p);

svdgrad_matrix_t matrix_or_none(const svdgrad_matrix_t *matrix);
svdgrad_vector_t vector_or_none(const svdgrad_vector_t *vector);

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
