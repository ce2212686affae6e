/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrix functions, norms and the determinant: check every argument in the order of validate.h, fill the call, hand it on. */
#include "base/error.h"
#include "base/fp_environment.h"
#include "functions/functions.h"
#include "shapes.h"
#include "validate.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* ---- kinds of matrix functions ---- */

/* What function.param must be; a THRESHOLD may be relative. */
typedef enum param_rule { IGNORED, INTEGER_TO_MN, THRESHOLD, FINITE } param_rule_t;

/* Of every svdgrad_function_kind_t. */
static const param_rule_t param_rules[] = {
    [SVDGRAD_FUNCTION_POLAR] = IGNORED,
    [SVDGRAD_FUNCTION_RANK] = INTEGER_TO_MN,
    [SVDGRAD_FUNCTION_SOFT_THRESHOLD] = THRESHOLD,
    [SVDGRAD_FUNCTION_HARD_THRESHOLD] = THRESHOLD,
    [SVDGRAD_FUNCTION_CLIP] = THRESHOLD,
    [SVDGRAD_FUNCTION_POWER] = FINITE,
    [SVDGRAD_FUNCTION_INVERSE] = THRESHOLD,
    [SVDGRAD_FUNCTION_ROTATION] = IGNORED,
    [SVDGRAD_FUNCTION_CUSTOM] = IGNORED,
    [SVDGRAD_FUNCTION_SIGN] = THRESHOLD,
};

static svdgrad_status_t invalid_param(const char *function, double param, const char *bound) {
  return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.param is %g, must be %s", function, param, bound);
}

static svdgrad_status_t check_param(const char *function, const problem_t *p, const svdgrad_function_t *f) {
  const double t = f->param;
  switch (param_rules[f->kind]) {
  case INTEGER_TO_MN:
    if (!(t >= 0 && t <= (double)p->mn && t == floor(t)))
      return invalid_param(function, t, "an integer in 0..min(m, n)");
    break;
  case THRESHOLD:
    if (!(isfinite(t) && t >= 0))
      return invalid_param(function, t, "finite and >= 0");
    break;
  case FINITE:
    if (!isfinite(t))
      return invalid_param(function, t, "finite");
    break;
  case IGNORED: break;
  }
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t check_rotation(const char *function, const problem_t *p, const svdgrad_function_t *f) {
  if (f->kind != SVDGRAD_FUNCTION_ROTATION)
    return SVDGRAD_STATUS_SUCCESS;
  if (p->m != p->n || p->k != p->mn)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT,
                        "%s: desc.m = %lld, desc.n = %lld, desc.rank = %lld: must be square and of full rank for "
                        "ROTATION",
                        function, (long long)p->m, (long long)p->n, (long long)p->k);
  if (f->form != SVDGRAD_FORM_UVH)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.form is %d, must be UVH for ROTATION", function,
                        (int)f->form);
  return SVDGRAD_STATUS_SUCCESS;
}

/* What was appended after 0.1. */
static svdgrad_status_t check_appended(const char *function, const svdgrad_function_t *f) {
  if (!isfinite(f->null_value))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.null_value is %g, must be finite", function,
                        f->null_value);
  if (f->null_value != 0 && f->form != SVDGRAD_FORM_VVH)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.null_value is %g, must be 0 for the form UVH",
                        function, f->null_value);
  if (f->relative && param_rules[f->kind] != THRESHOLD)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT,
                        "%s: function.relative is %d, must be 0 for kind %d, which has no threshold", function,
                        (int)f->relative, (int)f->kind);
  return SVDGRAD_STATUS_SUCCESS;
}

/* The struct only ever grows at its end; programs of 0.1 end before null_value. */
enum { FUNCTION_SIZE_0_1 = offsetof(svdgrad_function_t, null_value) };

static svdgrad_status_t check_function(const char *function, const problem_t *p, const svdgrad_function_t *given,
                                       svdgrad_function_t *f) {
  *f = (svdgrad_function_t)SVDGRAD_FUNCTION_INIT;
  if (!given)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function is NULL, must not be", function);
  if (given->struct_size != FUNCTION_SIZE_0_1 && given->struct_size != sizeof *f)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT,
                        "%s: function.struct_size is %zu, must be %zu (use SVDGRAD_FUNCTION_INIT)", function,
                        given->struct_size, sizeof *f);
  memcpy(f, given, given->struct_size);
  if ((int)f->kind < SVDGRAD_FUNCTION_POLAR || (int)f->kind >= COUNT(param_rules))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.kind is %d, must be in %d..%d", function,
                        (int)f->kind, SVDGRAD_FUNCTION_POLAR, COUNT(param_rules) - 1);
  if ((int)f->form < SVDGRAD_FORM_UVH || f->form > SVDGRAD_FORM_VVH)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.form is %d, must be in %d..%d", function,
                        (int)f->form, SVDGRAD_FORM_UVH, SVDGRAD_FORM_VVH);
  svdgrad_status_t status = check_param(function, p, f);
  if (status || (status = check_appended(function, f)))
    return status;
  return check_rotation(function, p, f);
}

/* Everything of both directions; Y and gA as outputs or not. */
static svdgrad_status_t function_operands(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                          const svdgrad_function_t *f, const svdgrad_vector_t *S,
                                          const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                          const svdgrad_matrix_t *Y, const svdgrad_matrix_t *gA, arrays_t arrays,
                                          function_call_t *call) {
  const problem_t *p = &call->p;
  const int backward = op == SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, custom = f->kind == SVDGRAD_FUNCTION_CUSTOM;
  const int needs_U = backward || f->form == SVDGRAD_FORM_UVH;
  call->function = *f;
  const operand_t operands[] = {
      shape_S(p, "function.f", OPERAND_INPUT, custom, custom ? &f->f : NULL, &call->function.f),
      shape_S(p, "function.df", OPERAND_INPUT, custom && backward, custom && backward ? &f->df : NULL,
              &call->function.df),
      shape_S(p, "S", OPERAND_INPUT, 1, S, &call->S),
      shape_U(p, "U", OPERAND_INPUT, needs_U, U, &call->U),
      shape_Vh(p, "Vh", OPERAND_INPUT, 1, Vh, &call->Vh),
      shape_Y(p, f->form, backward ? "gY" : "Y", backward ? OPERAND_INPUT : OPERAND_OUTPUT, Y, &call->Y),
      shape_A(p, "gA", OPERAND_OUTPUT, backward, gA, &call->gA),
  };
  return validate_operands(function, handle, op, p, operands, COUNT(operands), arrays);
}

svdgrad_status_t svdgrad_matrix_function(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                         const svdgrad_function_t *function, const svdgrad_vector_t *S,
                                         const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                         const svdgrad_matrix_t *Y, void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char name[] = "svdgrad_matrix_function";
  const svdgrad_op_t op = SVDGRAD_OP_MATRIX_FUNCTION;
  const arrays_t arrays = {.work = work, .work_bytes = work_bytes};
  function_call_t call = {.stream = stream, .work = validate_aligned(work)};
  svdgrad_function_t f;
  svdgrad_status_t status = validate_begin(name, handle, op, desc, stream, &call.p);
  if (status || (status = check_function(name, &call.p, function, &f)) ||
      (status = function_operands(name, handle, op, &f, S, U, Vh, Y, NULL, arrays, &call)) || call.p.batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return matrix_function(&context, &call);
}

svdgrad_status_t svdgrad_matrix_function_backward(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                  const svdgrad_function_t *function, const svdgrad_vector_t *S,
                                                  const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                                  const svdgrad_matrix_t *gY, double alpha, double beta,
                                                  const svdgrad_matrix_t *gA, svdgrad_report_t *report, void *work,
                                                  size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char name[] = "svdgrad_matrix_function_backward";
  const svdgrad_op_t op = SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD;
  const arrays_t arrays = {.report = report, .work = work, .work_bytes = work_bytes};
  function_call_t call = {
      .stream = stream, .alpha = alpha, .beta = beta, .report = report, .work = validate_aligned(work)};
  svdgrad_function_t f;
  svdgrad_status_t status = validate_begin(name, handle, op, desc, stream, &call.p);
  if (status || (status = validate_scalars(name, alpha, beta)) ||
      (status = check_function(name, &call.p, function, &f)) ||
      (status = function_operands(name, handle, op, &f, S, U, Vh, gY, gA, arrays, &call)) || call.p.batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return matrix_function_backward(&context, &call);
}

/* ---- norms and the determinant ---- */

svdgrad_status_t svdgrad_norm(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                              svdgrad_norm_kind_t kind, double p, const svdgrad_matrix_t *A,
                              const svdgrad_vector_t *value, const svdgrad_vector_t *g, double alpha, double beta,
                              const svdgrad_matrix_t *gA, int32_t *info, void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_norm";
  const svdgrad_op_t op = gA ? SVDGRAD_OP_NORM_GRADIENT : SVDGRAD_OP_NORM;
  norm_call_t call = {.stream = stream,
                      .gradient = gA != NULL,
                      .kind = kind,
                      .exponent = p,
                      .alpha = alpha,
                      .beta = beta,
                      .info = info,
                      .work = validate_aligned(work)};
  svdgrad_status_t status = validate_begin(function, handle, op, desc, stream, &call.p);
  if (status || (status = validate_scalars(function, alpha, beta)))
    return status;
  if ((int)kind < SVDGRAD_NORM_NUCLEAR || kind > SVDGRAD_NORM_LOG_DETERMINANT)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: kind is %d, must be in %d..%d", function, (int)kind,
                        SVDGRAD_NORM_NUCLEAR, SVDGRAD_NORM_LOG_DETERMINANT);
  if (kind == SVDGRAD_NORM_SCHATTEN && !(isfinite(p) && p > 0))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: p is %g, must be finite and > 0", function, p);
  const operand_t operands[] = {
      shape_A(&call.p, "A", OPERAND_INPUT, 1, A, &call.A),
      shape_real(&call.p, "value", OPERAND_OUTPUT, 1, value, &call.value),
      shape_real(&call.p, "g", OPERAND_INPUT, 0, g, &call.g),
      shape_A(&call.p, "gA", OPERAND_OUTPUT, 0, gA, &call.gA),
  };
  status = validate_operands(function, handle, op, &call.p, operands, COUNT(operands),
                             (arrays_t){.info = info, .work = work, .work_bytes = work_bytes});
  if (status || call.p.batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return norm(&context, &call);
}

svdgrad_status_t svdgrad_determinant(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                     const svdgrad_matrix_t *A, const svdgrad_vector_t *det,
                                     const svdgrad_vector_t *sign, const svdgrad_vector_t *log_abs,
                                     const svdgrad_vector_t *g_det, const svdgrad_vector_t *g_sign,
                                     const svdgrad_vector_t *g_log_abs, double alpha, double beta,
                                     const svdgrad_matrix_t *gA, int32_t *info, void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_determinant";
  const svdgrad_op_t op = gA ? SVDGRAD_OP_DETERMINANT_GRADIENT : SVDGRAD_OP_DETERMINANT;
  determinant_call_t call = {.stream = stream,
                             .gradient = gA != NULL,
                             .alpha = alpha,
                             .beta = beta,
                             .info = info,
                             .work = validate_aligned(work)};
  problem_t *p = &call.p;
  svdgrad_status_t status = validate_begin(function, handle, op, desc, stream, p);
  if (status || (status = validate_scalars(function, alpha, beta)))
    return status;
  const operand_t operands[] = {
      shape_A(p, "A", OPERAND_INPUT, 1, A, &call.A),
      shape_element(p, "det", OPERAND_OUTPUT, det, &call.det),
      shape_element(p, "sign", OPERAND_OUTPUT, sign, &call.sign),
      shape_real(p, "log_abs", OPERAND_OUTPUT, 0, log_abs, &call.log_abs),
      shape_element(p, "g_det", OPERAND_INPUT, g_det, &call.g_det),
      shape_element(p, "g_sign", OPERAND_INPUT, g_sign, &call.g_sign),
      shape_real(p, "g_log_abs", OPERAND_INPUT, 0, g_log_abs, &call.g_log_abs),
      shape_A(p, "gA", OPERAND_OUTPUT, 0, gA, &call.gA),
  };
  if (!det && !sign && !log_abs && !gA && !validate_is_empty(p))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: det, sign, log_abs and gA are NULL, one must not be",
                        function);
  status = validate_operands(function, handle, op, p, operands, COUNT(operands),
                             (arrays_t){.info = info, .work = work, .work_bytes = work_bytes});
  if (status || p->batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return determinant(&context, &call);
}
