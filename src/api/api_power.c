/* SPDX-License-Identifier: BSD-3-Clause */
/* The power iteration and spectral normalization: check every argument in the order of validate.h, fill the call, hand it on. */
#include "base/error.h"
#include "base/fp_environment.h"
#include "shapes.h"
#include "validate.h"

static svdgrad_status_t power_call(const char *function, svdgrad_handle_t handle, void *stream, svdgrad_op_t op,
                                   const svdgrad_desc_t *desc, const svdgrad_matrix_t *A, int32_t iterations,
                                   const svdgrad_vector_t *u, const svdgrad_vector_t *v, const svdgrad_vector_t *sigma,
                                   const svdgrad_vector_t *residual, const svdgrad_matrix_t *Y, int32_t *info,
                                   void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  power_call_t call = {.stream = stream, .iterations = iterations, .info = info, .work = validate_aligned(work)};
  problem_t *p = &call.p;
  svdgrad_status_t status = validate_begin(function, handle, op, desc, stream, p);
  if (status)
    return status;
  if (iterations < 0)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: iterations is %d, must be >= 0", function,
                        (int)iterations);
  /* u and v are inputs and outputs: their places must be distinct. */
  const operand_t operands[] = {
      shape_A(p, "A", OPERAND_INPUT, 1, A, &call.A),
      shape_u(p, OPERAND_OUTPUT, u, &call.u),
      shape_v(p, OPERAND_OUTPUT, v, &call.v),
      shape_real(p, "sigma", OPERAND_OUTPUT, 1, sigma, &call.sigma),
      shape_real(p, "residual", OPERAND_OUTPUT, 0, residual, &call.residual),
      shape_A(p, "Y", OPERAND_OUTPUT, op == SVDGRAD_OP_SPECTRAL_NORMALIZE, Y, &call.Y),
  };
  status = validate_operands(function, handle, op, p, operands, COUNT(operands),
                             (arrays_t){.info = info, .work = work, .work_bytes = work_bytes});
  if (status || p->batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return context.backend->power_iteration(&context, &call);
}

svdgrad_status_t svdgrad_power_iteration(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                         const svdgrad_matrix_t *A, int32_t iterations, const svdgrad_vector_t *u,
                                         const svdgrad_vector_t *v, const svdgrad_vector_t *sigma,
                                         const svdgrad_vector_t *residual, int32_t *info, void *work,
                                         size_t work_bytes) {
  return power_call("svdgrad_power_iteration", handle, stream, SVDGRAD_OP_POWER_ITERATION, desc, A, iterations, u, v,
                    sigma, residual, NULL, info, work, work_bytes);
}

svdgrad_status_t svdgrad_spectral_normalize(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                            const svdgrad_matrix_t *A, int32_t iterations, const svdgrad_vector_t *u,
                                            const svdgrad_vector_t *v, const svdgrad_vector_t *sigma,
                                            const svdgrad_vector_t *residual, const svdgrad_matrix_t *Y, int32_t *info,
                                            void *work, size_t work_bytes) {
  return power_call("svdgrad_spectral_normalize", handle, stream, SVDGRAD_OP_SPECTRAL_NORMALIZE, desc, A, iterations, u,
                    v, sigma, residual, Y, info, work, work_bytes);
}

svdgrad_status_t svdgrad_spectral_normalize_backward(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                     const svdgrad_matrix_t *A, const svdgrad_vector_t *u,
                                                     const svdgrad_vector_t *v, const svdgrad_vector_t *sigma,
                                                     const svdgrad_matrix_t *gY, double alpha, double beta,
                                                     const svdgrad_matrix_t *gA, void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_spectral_normalize_backward";
  const svdgrad_op_t op = SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD;
  normalize_backward_call_t call = {.stream = stream, .alpha = alpha, .beta = beta, .work = validate_aligned(work)};
  problem_t *p = &call.p;
  svdgrad_status_t status = validate_begin(function, handle, op, desc, stream, p);
  if (status || (status = validate_scalars(function, alpha, beta)))
    return status;
  const operand_t operands[] = {
      shape_A(p, "A", OPERAND_INPUT, 1, A, &call.A),
      shape_u(p, OPERAND_INPUT, u, &call.u),
      shape_v(p, OPERAND_INPUT, v, &call.v),
      shape_real(p, "sigma", OPERAND_INPUT, 1, sigma, &call.sigma),
      shape_A(p, "gY", OPERAND_INPUT, 1, gY, &call.gY),
      shape_A(p, "gA", OPERAND_OUTPUT, 1, gA, &call.gA),
  };
  status = validate_operands(function, handle, op, p, operands, COUNT(operands),
                             (arrays_t){.work = work, .work_bytes = work_bytes});
  if (status || p->batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return context.backend->normalize_backward(&context, &call);
}
