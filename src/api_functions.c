/* SPDX-License-Identifier: BSD-3-Clause */
/* The public functions of the SVD: check every argument in the order of validate.h, fill the call, hand it on. */
#include "element_size.h"
#include "error.h"
#include "fp_environment.h"
#include "functions/functions.h"
#include "validate.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static svdgrad_status_t begin(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                              const svdgrad_desc_t *desc, const void *stream, problem_t *p) {
  const svdgrad_status_t status = validate_problem(function, handle, op, desc, p);
  return status ? status : validate_stream(function, handle, stream);
}

static svdgrad_status_t check_info(const char *function, const problem_t *p, const int32_t *info) {
  if (!info && !validate_is_empty(p))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: info is NULL, must have batch_count = %lld words",
                        function, (long long)p->batch_count);
  return SVDGRAD_STATUS_SUCCESS;
}

/* `arrays` with the bytes that the caller gave; only those that are needed are the workspace. */
static svdgrad_status_t finish(const char *function, svdgrad_handle_t handle, svdgrad_op_t op, const problem_t *p,
                               const operand_t *operands, int count, arrays_t arrays) {
  const int has_info = op >= SVDGRAD_OP_NORM && op != SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD;
  svdgrad_status_t status = validate_operands(function, p, operands, count);
  if (status || (has_info && (status = check_info(function, p, arrays.info))))
    return status;
  status = validate_workspace(function, handle, op, p, arrays.work, arrays.work_bytes, &arrays.work_bytes);
  return status ? status : validate_overlap(function, p, operands, count, arrays);
}

static extent_t rows_of(const problem_t *p) { return (extent_t){"m", p->m}; }
static extent_t columns_of_A(const problem_t *p) { return (extent_t){"n", p->n}; }
static extent_t values_of(const problem_t *p) { return (extent_t){"k", p->k}; }
static extent_t one(void) { return (extent_t){"1", 1}; }

static operand_t matrix_A(const problem_t *p, const char *name, operand_role_t role, int required,
                          const svdgrad_matrix_t *matrix) {
  return operand_matrix(name, role, required, matrix, rows_of(p), columns_of_A(p), p->batch_count,
                        element_size(p->dtype));
}

static operand_t matrix_U(const problem_t *p, const char *name, operand_role_t role, int required,
                          const svdgrad_matrix_t *matrix) {
  const extent_t columns = {p->full_matrices ? "m" : "k", p->u_cols};
  return operand_matrix(name, role, required, matrix, rows_of(p), columns, p->batch_count, element_size(p->dtype));
}

static operand_t matrix_Vh(const problem_t *p, const char *name, operand_role_t role, int required,
                           const svdgrad_matrix_t *matrix) {
  const extent_t rows = {p->full_matrices ? "n" : "k", p->vh_rows};
  return operand_matrix(name, role, required, matrix, rows, columns_of_A(p), p->batch_count, element_size(p->dtype));
}

static operand_t vector_S(const problem_t *p, const char *name, operand_role_t role, int required,
                          const svdgrad_vector_t *vector) {
  return operand_vector(name, role, required, vector, values_of(p), p->batch_count, real_size(p->dtype));
}

static operand_t number(const problem_t *p, const char *name, operand_role_t role, int required,
                        const svdgrad_vector_t *vector) {
  return operand_vector(name, role, required, vector, one(), p->batch_count, real_size(p->dtype));
}

/* ---- derivatives --------------------------------------------------------------------------------- */

svdgrad_status_t svdgrad_svd_jvp(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                 const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                                 const svdgrad_matrix_t *Vh, const svdgrad_matrix_t *dA, const svdgrad_vector_t *dS,
                                 const svdgrad_matrix_t *dU, const svdgrad_matrix_t *dVh, svdgrad_report_t *report,
                                 void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_svd_jvp";
  svd_jvp_call_t call;
  problem_t *p = &call.p;
  svdgrad_status_t status = begin(function, handle, SVDGRAD_OP_SVD_JVP, desc, stream, p);
  if (status)
    return status;
  const int truncated = p->k < p->mn;
  const operand_t operands[] = {
      matrix_A(p, "A", OPERAND_INPUT, truncated, truncated ? A : NULL),
      vector_S(p, "S", OPERAND_INPUT, 1, S),
      matrix_U(p, "U", OPERAND_INPUT, 1, U),
      matrix_Vh(p, "Vh", OPERAND_INPUT, 1, Vh),
      matrix_A(p, "dA", OPERAND_INPUT, 1, dA),
      vector_S(p, "dS", OPERAND_OUTPUT, 0, dS),
      matrix_U(p, "dU", OPERAND_OUTPUT, 0, dU),
      matrix_Vh(p, "dVh", OPERAND_OUTPUT, 0, dVh),
  };
  status = finish(function, handle, SVDGRAD_OP_SVD_JVP, p, operands, COUNT(operands),
                  (arrays_t){NULL, report, work, work_bytes});
  if (status || p->batch_count == 0)
    return status;
  call.stream = stream;
  call.A = matrix_or_none(A), call.U = matrix_or_none(U), call.Vh = matrix_or_none(Vh), call.dA = matrix_or_none(dA);
  call.dU = matrix_or_none(dU), call.dVh = matrix_or_none(dVh);
  call.S = vector_or_none(S), call.dS = vector_or_none(dS);
  call.report = report, call.work = validate_aligned(work);
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
  second_call_t call;
  problem_t *p = &call.p;
  svdgrad_status_t status = begin(function, handle, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, desc, stream, p);
  if (status || (status = validate_scalars(function, alpha, beta)))
    return status;
  const operand_t operands[] = {
      vector_S(p, "S", OPERAND_INPUT, 1, S),      matrix_U(p, "U", OPERAND_INPUT, 1, U),
      matrix_Vh(p, "Vh", OPERAND_INPUT, 1, Vh),   vector_S(p, "gS", OPERAND_INPUT, 0, gS),
      matrix_U(p, "gU", OPERAND_INPUT, 0, gU),    matrix_Vh(p, "gVh", OPERAND_INPUT, 0, gVh),
      matrix_A(p, "ggA", OPERAND_INPUT, 1, ggA),  vector_S(p, "ggS", OPERAND_OUTPUT, 0, ggS),
      matrix_U(p, "ggU", OPERAND_OUTPUT, 0, ggU), matrix_Vh(p, "ggVh", OPERAND_OUTPUT, 0, ggVh),
      matrix_A(p, "gA", OPERAND_OUTPUT, 0, gA),
  };
  status = finish(function, handle, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, p, operands, COUNT(operands),
                  (arrays_t){NULL, report, work, work_bytes});
  if (status || p->batch_count == 0)
    return status;
  call.stream = stream;
  call.U = matrix_or_none(U), call.Vh = matrix_or_none(Vh), call.S = vector_or_none(S);
  call.gU = matrix_or_none(gU), call.gVh = matrix_or_none(gVh), call.gS = vector_or_none(gS);
  call.ggU = matrix_or_none(ggU), call.ggVh = matrix_or_none(ggVh), call.ggS = vector_or_none(ggS);
  call.ggA = matrix_or_none(ggA), call.gA = matrix_or_none(gA);
  call.alpha = alpha, call.beta = beta;
  call.report = report, call.work = validate_aligned(work);
  const context_t context = validate_context(handle, desc);
  return second(&context, &call);
}

/* ---- functions ----------------------------------------------------------------------------------- */

static svdgrad_status_t invalid_param(const char *function, double param, const char *bound) {
  return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.param is %g, must be %s", function, param, bound);
}

static svdgrad_status_t check_param(const char *function, const problem_t *p, const svdgrad_function_t *f) {
  const double t = f->param;
  switch (f->kind) {
  case SVDGRAD_FUNCTION_RANK:
    if (!(t >= 0 && t <= (double)p->mn && t == floor(t)))
      return invalid_param(function, t, "an integer in 0..min(m, n)");
    break;
  case SVDGRAD_FUNCTION_SOFT_THRESHOLD:
  case SVDGRAD_FUNCTION_HARD_THRESHOLD:
  case SVDGRAD_FUNCTION_CLIP:
  case SVDGRAD_FUNCTION_INVERSE:
  case SVDGRAD_FUNCTION_SIGN:
    if (!(isfinite(t) && t >= 0))
      return invalid_param(function, t, "finite and >= 0");
    break;
  case SVDGRAD_FUNCTION_POWER:
    if (!isfinite(t))
      return invalid_param(function, t, "finite");
    break;
  default: break;
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
  const int in_units = f->kind == SVDGRAD_FUNCTION_SOFT_THRESHOLD || f->kind == SVDGRAD_FUNCTION_HARD_THRESHOLD ||
                       f->kind == SVDGRAD_FUNCTION_CLIP || f->kind == SVDGRAD_FUNCTION_INVERSE ||
                       f->kind == SVDGRAD_FUNCTION_SIGN;
  if (!isfinite(f->null_value))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.null_value is %g, must be finite", function,
                        f->null_value);
  if (f->null_value != 0 && f->form != SVDGRAD_FORM_VVH)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.null_value is %g, must be 0 for the form UVH",
                        function, f->null_value);
  if (f->relative && !in_units)
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
  if ((int)f->kind < SVDGRAD_FUNCTION_POLAR || f->kind > SVDGRAD_FUNCTION_SIGN)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.kind is %d, must be in %d..%d", function,
                        (int)f->kind, SVDGRAD_FUNCTION_POLAR, SVDGRAD_FUNCTION_SIGN);
  if ((int)f->form < SVDGRAD_FORM_UVH || f->form > SVDGRAD_FORM_VVH)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: function.form is %d, must be in %d..%d", function,
                        (int)f->form, SVDGRAD_FORM_UVH, SVDGRAD_FORM_VVH);
  svdgrad_status_t status = check_param(function, p, f);
  if (status || (status = check_appended(function, f)))
    return status;
  return check_rotation(function, p, f);
}

/* Everything of both directions; Y and gA as outputs or not. */
static svdgrad_status_t function_call(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                      const svdgrad_function_t *f, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                                      const svdgrad_matrix_t *Vh, const svdgrad_matrix_t *Y, const svdgrad_matrix_t *gA,
                                      arrays_t arrays, function_call_t *call) {
  const problem_t *p = &call->p;
  const int backward = op == SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, both = f->form == SVDGRAD_FORM_UVH;
  const int custom = f->kind == SVDGRAD_FUNCTION_CUSTOM;
  const extent_t rows = both ? rows_of(p) : columns_of_A(p);
  const operand_t operands[] = {
      vector_S(p, "function.f", OPERAND_INPUT, custom, custom ? &f->f : NULL),
      vector_S(p, "function.df", OPERAND_INPUT, custom && backward, custom && backward ? &f->df : NULL),
      vector_S(p, "S", OPERAND_INPUT, 1, S),
      matrix_U(p, "U", OPERAND_INPUT, both || backward, U),
      matrix_Vh(p, "Vh", OPERAND_INPUT, 1, Vh),
      operand_matrix(backward ? "gY" : "Y", backward ? OPERAND_INPUT : OPERAND_OUTPUT, 1, Y, rows, columns_of_A(p),
                     p->batch_count, element_size(p->dtype)),
      matrix_A(p, "gA", OPERAND_OUTPUT, backward, gA),
  };
  const svdgrad_status_t status = finish(function, handle, op, p, operands, COUNT(operands), arrays);
  if (status)
    return status;
  call->function = *f;
  if (!backward)
    call->function.df = vector_or_none(NULL); /* nobody has looked at it */
  call->S = vector_or_none(S), call->U = matrix_or_none(U), call->Vh = matrix_or_none(Vh);
  call->Y = matrix_or_none(Y), call->gA = matrix_or_none(gA);
  call->work = validate_aligned(arrays.work);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t svdgrad_matrix_function(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                         const svdgrad_function_t *function, const svdgrad_vector_t *S,
                                         const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                         const svdgrad_matrix_t *Y, void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char name[] = "svdgrad_matrix_function";
  const svdgrad_op_t op = SVDGRAD_OP_MATRIX_FUNCTION;
  function_call_t call = {.stream = stream};
  svdgrad_function_t f;
  svdgrad_status_t status = begin(name, handle, op, desc, stream, &call.p);
  if (status || (status = check_function(name, &call.p, function, &f)) ||
      (status =
           function_call(name, handle, op, &f, S, U, Vh, Y, NULL, (arrays_t){NULL, NULL, work, work_bytes}, &call)))
    return status;
  if (call.p.batch_count == 0)
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
  function_call_t call = {.stream = stream, .alpha = alpha, .beta = beta, .report = report};
  svdgrad_function_t f;
  svdgrad_status_t status = begin(name, handle, op, desc, stream, &call.p);
  if (status || (status = validate_scalars(name, alpha, beta)) ||
      (status = check_function(name, &call.p, function, &f)) ||
      (status =
           function_call(name, handle, op, &f, S, U, Vh, gY, gA, (arrays_t){NULL, report, work, work_bytes}, &call)))
    return status;
  if (call.p.batch_count == 0)
    return status;
  const context_t context = validate_context(handle, desc);
  return matrix_function_backward(&context, &call);
}

svdgrad_status_t svdgrad_norm(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                              svdgrad_norm_kind_t kind, double p, const svdgrad_matrix_t *A,
                              const svdgrad_vector_t *value, const svdgrad_vector_t *g, double alpha, double beta,
                              const svdgrad_matrix_t *gA, int32_t *info, void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_norm";
  const svdgrad_op_t op = gA ? SVDGRAD_OP_NORM_GRADIENT : SVDGRAD_OP_NORM;
  norm_call_t call;
  svdgrad_status_t status = begin(function, handle, op, desc, stream, &call.p);
  if (status || (status = validate_scalars(function, alpha, beta)))
    return status;
  if ((int)kind < SVDGRAD_NORM_NUCLEAR || kind > SVDGRAD_NORM_LOG_DETERMINANT)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: kind is %d, must be in %d..%d", function, (int)kind,
                        SVDGRAD_NORM_NUCLEAR, SVDGRAD_NORM_LOG_DETERMINANT);
  if (kind == SVDGRAD_NORM_SCHATTEN && !(isfinite(p) && p > 0))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: p is %g, must be finite and > 0", function, p);
  const operand_t operands[] = {
      matrix_A(&call.p, "A", OPERAND_INPUT, 1, A),
      number(&call.p, "value", OPERAND_OUTPUT, 1, value),
      number(&call.p, "g", OPERAND_INPUT, 0, g),
      matrix_A(&call.p, "gA", OPERAND_OUTPUT, 0, gA),
  };
  if ((status = finish(function, handle, op, &call.p, operands, COUNT(operands),
                       (arrays_t){info, NULL, work, work_bytes})) ||
      call.p.batch_count == 0)
    return status;
  call.stream = stream, call.kind = kind, call.exponent = p;
  call.A = matrix_or_none(A), call.gA = matrix_or_none(gA);
  call.value = vector_or_none(value), call.g = vector_or_none(g);
  call.alpha = alpha, call.beta = beta;
  call.info = info, call.work = validate_aligned(work);
  const context_t context = validate_context(handle, desc);
  return norm(&context, &call);
}

/* One number of the element type per matrix. */
static operand_t element_number(const problem_t *p, const char *name, operand_role_t role,
                                const svdgrad_vector_t *vector) {
  return operand_vector(name, role, 0, vector, one(), p->batch_count, element_size(p->dtype));
}

static svdgrad_matrix_t one_by_one(const svdgrad_vector_t *vector) {
  return vector ? (svdgrad_matrix_t){vector->data, 1, 1, vector->batch_stride} : (svdgrad_matrix_t){0};
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
  determinant_call_t call;
  problem_t *p = &call.p;
  svdgrad_status_t status = begin(function, handle, op, desc, stream, p);
  if (status || (status = validate_scalars(function, alpha, beta)))
    return status;
  const operand_t operands[] = {
      matrix_A(p, "A", OPERAND_INPUT, 1, A),
      element_number(p, "det", OPERAND_OUTPUT, det),
      element_number(p, "sign", OPERAND_OUTPUT, sign),
      number(p, "log_abs", OPERAND_OUTPUT, 0, log_abs),
      element_number(p, "g_det", OPERAND_INPUT, g_det),
      element_number(p, "g_sign", OPERAND_INPUT, g_sign),
      number(p, "g_log_abs", OPERAND_INPUT, 0, g_log_abs),
      matrix_A(p, "gA", OPERAND_OUTPUT, 0, gA),
  };
  if (!det && !sign && !log_abs && !gA && !validate_is_empty(p))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: det, sign, log_abs and gA are NULL, one must not be",
                        function);
  if ((status = finish(function, handle, op, p, operands, COUNT(operands), (arrays_t){info, NULL, work, work_bytes})) ||
      p->batch_count == 0)
    return status;
  call.stream = stream;
  call.A = matrix_or_none(A), call.gA = matrix_or_none(gA);
  call.det = one_by_one(det), call.sign = one_by_one(sign), call.log_abs = vector_or_none(log_abs);
  call.g_det = one_by_one(g_det), call.g_sign = one_by_one(g_sign), call.g_log_abs = vector_or_none(g_log_abs);
  call.alpha = alpha, call.beta = beta;
  call.info = info, call.work = validate_aligned(work);
  const context_t context = validate_context(handle, desc);
  return determinant(&context, &call);
}

/* ---- power iteration ------------------------------------------------------------------------------ */

/* u and v are inputs and outputs: their places must be distinct. */
static operand_t vector_u(const problem_t *p, operand_role_t role, const svdgrad_vector_t *u) {
  return operand_vector("u", role, 1, u, rows_of(p), p->batch_count, element_size(p->dtype));
}

static operand_t vector_v(const problem_t *p, operand_role_t role, const svdgrad_vector_t *v) {
  return operand_vector("v", role, 1, v, columns_of_A(p), p->batch_count, element_size(p->dtype));
}

static svdgrad_status_t power_call(const char *function, svdgrad_handle_t handle, void *stream, svdgrad_op_t op,
                                   const svdgrad_desc_t *desc, const svdgrad_matrix_t *A, int32_t iterations,
                                   const svdgrad_vector_t *u, const svdgrad_vector_t *v, const svdgrad_vector_t *sigma,
                                   const svdgrad_vector_t *residual, const svdgrad_matrix_t *Y, int32_t *info,
                                   void *work, size_t work_bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  power_call_t call;
  problem_t *p = &call.p;
  svdgrad_status_t status = begin(function, handle, op, desc, stream, p);
  if (status)
    return status;
  if (iterations < 0)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: iterations is %d, must be >= 0", function,
                        (int)iterations);
  const operand_t operands[] = {
      matrix_A(p, "A", OPERAND_INPUT, 1, A),
      vector_u(p, OPERAND_OUTPUT, u),
      vector_v(p, OPERAND_OUTPUT, v),
      number(p, "sigma", OPERAND_OUTPUT, 1, sigma),
      number(p, "residual", OPERAND_OUTPUT, 0, residual),
      matrix_A(p, "Y", OPERAND_OUTPUT, op == SVDGRAD_OP_SPECTRAL_NORMALIZE, Y),
  };
  if ((status = finish(function, handle, op, p, operands, COUNT(operands), (arrays_t){info, NULL, work, work_bytes})) ||
      p->batch_count == 0)
    return status;
  call.stream = stream, call.iterations = iterations;
  call.A = matrix_or_none(A), call.Y = matrix_or_none(Y);
  call.u = vector_or_none(u), call.v = vector_or_none(v);
  call.sigma = vector_or_none(sigma), call.residual = vector_or_none(residual);
  call.info = info, call.work = validate_aligned(work);
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
  normalize_backward_call_t call;
  problem_t *p = &call.p;
  svdgrad_status_t status = begin(function, handle, op, desc, stream, p);
  if (status || (status = validate_scalars(function, alpha, beta)))
    return status;
  const operand_t operands[] = {
      matrix_A(p, "A", OPERAND_INPUT, 1, A),   vector_u(p, OPERAND_INPUT, u),
      vector_v(p, OPERAND_INPUT, v),           number(p, "sigma", OPERAND_INPUT, 1, sigma),
      matrix_A(p, "gY", OPERAND_INPUT, 1, gY), matrix_A(p, "gA", OPERAND_OUTPUT, 1, gA),
  };
  if ((status = finish(function, handle, op, p, operands, COUNT(operands), (arrays_t){NULL, NULL, work, work_bytes})) ||
      p->batch_count == 0)
    return status;
  call.stream = stream;
  call.A = matrix_or_none(A), call.gY = matrix_or_none(gY), call.gA = matrix_or_none(gA);
  call.u = vector_or_none(u), call.v = vector_or_none(v), call.sigma = vector_or_none(sigma);
  call.alpha = alpha, call.beta = beta;
  call.work = validate_aligned(work);
  const context_t context = validate_context(handle, desc);
  return context.backend->normalize_backward(&context, &call);
}
