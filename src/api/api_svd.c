/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD and its derivatives: check every argument in the order of validate.h, fill the call, hand it on. */
#include "base/error.h"
#include "base/fp_environment.h"
#include "functions/functions.h"
#include "shapes.h"
#include "validate.h"

svdgrad_status_t svdgrad_svd(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                             const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                             const svdgrad_matrix_t *Vh, int32_t *info, void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_svd";
  const svdgrad_op_t op = U || Vh ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS;
  svd_call_t call = {.stream = stream, .info = info, .work = validate_aligned(work)};
  problem_t *p = &call.p;
  svdgrad_status_t status = validate_begin(function, handle, op, desc, stream, p);
  if (status)
    return status;
  const operand_t operands[] = {
      shape_A(p, "A", OPERAND_INPUT, 1, A, &call.A),
      shape_S(p, "S", OPERAND_OUTPUT, 1, S, &call.S),
      shape_U(p, "U", OPERAND_OUTPUT, 0, U, &call.U),
      shape_Vh(p, "Vh", OPERAND_OUTPUT, 0, Vh, &call.Vh),
  };
  status = validate_operands(function, handle, op, p, operands, COUNT(operands),
                             (arrays_t){.info = info, .work = work, .work_bytes = work_bytes});
  if (status || p->batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return context.backend->svd(&context, &call);
}

svdgrad_status_t svdgrad_svd_backward(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                      const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                                      const svdgrad_matrix_t *Vh, const svdgrad_vector_t *gS,
                                      const svdgrad_matrix_t *gU, const svdgrad_matrix_t *gVh, double alpha,
                                      double beta, const svdgrad_matrix_t *gA, svdgrad_report_t *report, void *work,
                                      size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_svd_backward";
  const svdgrad_op_t op = SVDGRAD_OP_SVD_BACKWARD;
  svd_backward_call_t call = {
      .stream = stream, .alpha = alpha, .beta = beta, .report = report, .work = validate_aligned(work)};
  problem_t *p = &call.p;
  svdgrad_status_t status = validate_begin(function, handle, op, desc, stream, p);
  if (status || (status = validate_scalars(function, alpha, beta)))
    return status;
  const int truncated = p->k < p->mn;
  const operand_t operands[] = {
      shape_A(p, "A", OPERAND_INPUT, truncated, truncated ? A : NULL, &call.A),
      shape_S(p, "S", OPERAND_INPUT, 1, S, &call.S),
      shape_U(p, "U", OPERAND_INPUT, 1, U, &call.U),
      shape_Vh(p, "Vh", OPERAND_INPUT, 1, Vh, &call.Vh),
      shape_S(p, "gS", OPERAND_INPUT, 0, gS, &call.gS),
      shape_U(p, "gU", OPERAND_INPUT, 0, gU, &call.gU),
      shape_Vh(p, "gVh", OPERAND_INPUT, 0, gVh, &call.gVh),
      shape_A(p, "gA", OPERAND_OUTPUT, 1, gA, &call.gA),
  };
  status = validate_operands(function, handle, op, p, operands, COUNT(operands),
                             (arrays_t){.report = report, .work = work, .work_bytes = work_bytes});
  if (status || p->batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return context.backend->svd_backward(&context, &call);
}

svdgrad_status_t svdgrad_svd_jvp(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                 const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                                 const svdgrad_matrix_t *Vh, const svdgrad_matrix_t *dA, const svdgrad_vector_t *dS,
                                 const svdgrad_matrix_t *dU, const svdgrad_matrix_t *dVh, svdgrad_report_t *report,
                                 void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_svd_jvp";
  const svdgrad_op_t op = SVDGRAD_OP_SVD_JVP;
  svd_jvp_call_t call = {.stream = stream, .report = report, .work = validate_aligned(work)};
  problem_t *p = &call.p;
  svdgrad_status_t status = validate_begin(function, handle, op, desc, stream, p);
  if (status)
    return status;
  const int truncated = p->k < p->mn;
  const operand_t operands[] = {
      shape_A(p, "A", OPERAND_INPUT, truncated, truncated ? A : NULL, &call.A),
      shape_S(p, "S", OPERAND_INPUT, 1, S, &call.S),
      shape_U(p, "U", OPERAND_INPUT, 1, U, &call.U),
      shape_Vh(p, "Vh", OPERAND_INPUT, 1, Vh, &call.Vh),
      shape_A(p, "dA", OPERAND_INPUT, 1, dA, &call.dA),
      shape_S(p, "dS", OPERAND_OUTPUT, 0, dS, &call.dS),
      shape_U(p, "dU", OPERAND_OUTPUT, 0, dU, &call.dU),
      shape_Vh(p, "dVh", OPERAND_OUTPUT, 0, dVh, &call.dVh),
  };
  status = validate_operands(function, handle, op, p, operands, COUNT(operands),
                             (arrays_t){.report = report, .work = work, .work_bytes = work_bytes});
  if (status || p->batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return svd_jvp(&context, &call);
}

svdgrad_status_t svdgrad_svd_backward_backward(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                               const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                                               const svdgrad_matrix_t *Vh, const svdgrad_vector_t *gS,
                                               const svdgrad_matrix_t *gU, const svdgrad_matrix_t *gVh,
                                               const svdgrad_matrix_t *ggA, const svdgrad_vector_t *ggS,
                                               const svdgrad_matrix_t *ggU, const svdgrad_matrix_t *ggVh, double alpha,
                                               double beta, const svdgrad_matrix_t *gA, svdgrad_report_t *report,
                                               void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_svd_backward_backward";
  const svdgrad_op_t op = SVDGRAD_OP_SVD_BACKWARD_BACKWARD;
  svd_backward_backward_call_t call = {
      .stream = stream, .alpha = alpha, .beta = beta, .report = report, .work = validate_aligned(work)};
  problem_t *p = &call.p;
  svdgrad_status_t status = validate_begin(function, handle, op, desc, stream, p);
  if (status || (status = validate_scalars(function, alpha, beta)))
    return status;
  const operand_t operands[] = {
      shape_S(p, "S", OPERAND_INPUT, 1, S, &call.S),        shape_U(p, "U", OPERAND_INPUT, 1, U, &call.U),
      shape_Vh(p, "Vh", OPERAND_INPUT, 1, Vh, &call.Vh),    shape_S(p, "gS", OPERAND_INPUT, 0, gS, &call.gS),
      shape_U(p, "gU", OPERAND_INPUT, 0, gU, &call.gU),     shape_Vh(p, "gVh", OPERAND_INPUT, 0, gVh, &call.gVh),
      shape_A(p, "ggA", OPERAND_INPUT, 1, ggA, &call.ggA),  shape_S(p, "ggS", OPERAND_OUTPUT, 0, ggS, &call.ggS),
      shape_U(p, "ggU", OPERAND_OUTPUT, 0, ggU, &call.ggU), shape_Vh(p, "ggVh", OPERAND_OUTPUT, 0, ggVh, &call.ggVh),
      shape_A(p, "gA", OPERAND_OUTPUT, 0, gA, &call.gA),
  };
  status = validate_operands(function, handle, op, p, operands, COUNT(operands),
                             (arrays_t){.report = report, .work = work, .work_bytes = work_bytes});
  if (status || p->batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return svd_backward_backward(&context, &call);
}
