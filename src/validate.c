/* SPDX-License-Identifier: BSD-3-Clause */
#include "validate.h"

#include "element_size.h"
#include "error.h"
#include "operation.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Of what the backends see; the size that is asked for has room for it. */
enum { WORK_ALIGNMENT = 256 };

/* A quick return: no element is read or written. */
int validate_is_empty(const problem_t *p) { return p->mn == 0 || p->batch_count == 0; }

static svdgrad_status_t invalid_range(const char *function, const char *argument, int64_t value, int64_t least,
                                      int64_t most) {
  return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s is %lld, must be in %lld..%lld", function, argument,
                      (long long)value, (long long)least, (long long)most);
}

static svdgrad_status_t invalid_negative(const char *function, const char *argument, int64_t value) {
  return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s is %lld, must be >= 0", function, argument,
                      (long long)value);
}

static svdgrad_status_t check_enums(const char *function, svdgrad_op_t op, const svdgrad_desc_t *desc) {
  if ((int)op < SVDGRAD_OP_SVD || op > SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD)
    return invalid_range(function, "op", (int)op, SVDGRAD_OP_SVD, SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD);
  if ((int)desc->dtype < SVDGRAD_F32 || desc->dtype > SVDGRAD_C128)
    return invalid_range(function, "desc.dtype", (int)desc->dtype, SVDGRAD_F32, SVDGRAD_C128);
  if ((int)desc->algo < SVDGRAD_ALGO_AUTO || desc->algo > SVDGRAD_ALGO_VENDOR)
    return invalid_range(function, "desc.algo", (int)desc->algo, SVDGRAD_ALGO_AUTO, SVDGRAD_ALGO_VENDOR);
  if ((int)desc->gap_policy < SVDGRAD_GAP_DEFAULT || desc->gap_policy > SVDGRAD_GAP_LORENTZ)
    return invalid_range(function, "desc.gap_policy", (int)desc->gap_policy, SVDGRAD_GAP_DEFAULT, SVDGRAD_GAP_LORENTZ);
  return SVDGRAD_STATUS_SUCCESS;
}

static int product_overflows(int64_t *product, int64_t factor) {
  if (*product > INT64_MAX / factor)
    return 1;
  *product *= factor;
  return 0;
}

/* The largest operand must have fewer than 2^63 bytes. */
static svdgrad_status_t check_total(const char *function, const svdgrad_desc_t *desc) {
  if (desc->m == 0 || desc->n == 0 || desc->batch_count == 0)
    return SVDGRAD_STATUS_SUCCESS;
  const int64_t larger = desc->m > desc->n ? desc->m : desc->n;
  int64_t bytes = (int64_t)element_size(desc->dtype);
  if (product_overflows(&bytes, larger) ||
      product_overflows(&bytes, desc->full_matrices ? larger : desc->m + desc->n - larger) ||
      product_overflows(&bytes, desc->batch_count))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT,
                        "%s: desc.m = %lld, desc.n = %lld, desc.batch_count = %lld: an operand must have "
                        "<= %lld bytes",
                        function, (long long)desc->m, (long long)desc->n, (long long)desc->batch_count,
                        (long long)INT64_MAX);
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t check_sizes(const char *function, const svdgrad_desc_t *desc) {
  const int64_t mn = desc->m < desc->n ? desc->m : desc->n;
  if (desc->m < 0)
    return invalid_negative(function, "desc.m", desc->m);
  if (desc->n < 0)
    return invalid_negative(function, "desc.n", desc->n);
  if (desc->batch_count < 0)
    return invalid_negative(function, "desc.batch_count", desc->batch_count);
  if (desc->rank < 0 || desc->rank > mn)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: desc.rank is %lld, must be in 0..min(m, n) = 0..%lld",
                        function, (long long)desc->rank, (long long)mn);
  if (desc->full_matrices && desc->rank != 0)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: desc.rank is %lld, must be 0 with full_matrices",
                        function, (long long)desc->rank);
  if (desc->max_sweeps < 0)
    return invalid_negative(function, "desc.max_sweeps", desc->max_sweeps);
  if (!(isfinite(desc->gap_param) && desc->gap_param >= 0))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: desc.gap_param is %g, must be finite and >= 0", function,
                        desc->gap_param);
  return check_total(function, desc);
}

static void problem_from_desc(const svdgrad_desc_t *desc, problem_t *problem) {
  const int64_t mn = desc->m < desc->n ? desc->m : desc->n, k = desc->rank ? desc->rank : mn;
  *problem = (problem_t){
      .dtype = desc->dtype,
      .algo = desc->algo,
      .m = desc->m,
      .n = desc->n,
      .batch_count = desc->batch_count,
      .mn = mn,
      .k = k,
      .u_cols = desc->full_matrices ? desc->m : k,
      .vh_rows = desc->full_matrices ? desc->n : k,
      .full_matrices = desc->full_matrices != 0,
      .positive_gauge = desc->positive_gauge != 0,
      .max_sweeps = desc->max_sweeps,
      .gap_policy = desc->gap_policy,
      .gap_param = desc->gap_param,
  };
}

/* The descriptor only ever grows at its end; programs of 0.1 end before the pool of a call. */
enum { SIZE_0_1 = offsetof(svdgrad_desc_t, parallel_for) };

static int has_pool(const svdgrad_desc_t *desc) { return desc->struct_size > SIZE_0_1 && desc->parallel_for != NULL; }

static svdgrad_status_t check_struct_size(const char *function, const svdgrad_desc_t *desc) {
  if (desc->struct_size != SIZE_0_1 && desc->struct_size != sizeof *desc)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT,
                        "%s: desc.struct_size is %zu, must be %zu (use SVDGRAD_DESC_INIT)", function, desc->struct_size,
                        sizeof *desc);
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t check_pool(const char *function, svdgrad_handle_t handle, const svdgrad_desc_t *desc) {
  if (has_pool(desc) && handle->id == SVDGRAD_BACKEND_CUDA)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT,
                        "%s: desc.parallel_for is set, must be NULL for the cuda backend", function);
  return SVDGRAD_STATUS_SUCCESS;
}

context_t validate_context(svdgrad_handle_t handle, const svdgrad_desc_t *desc) {
  context_t context = *handle;
  if (has_pool(desc))
    context.parallel.run = desc->parallel_for, context.parallel.pool = desc->pool;
  return context;
}

/* Some operations take no leading triplets. */
static svdgrad_status_t check_rank(const char *function, svdgrad_op_t op, const problem_t *p) {
  const int whole = op == SVDGRAD_OP_SVD_BACKWARD_BACKWARD || op == SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD ||
                    op == SVDGRAD_OP_NORM || op == SVDGRAD_OP_NORM_GRADIENT;
  if (whole && p->k < p->mn)
    return error_status(SVDGRAD_STATUS_NOT_SUPPORTED, "%s: desc.rank is %lld, must be 0 or min(m, n) = %lld", function,
                        (long long)p->k, (long long)p->mn);
  if (op == SVDGRAD_OP_SVD_BACKWARD_BACKWARD && p->full_matrices)
    return error_status(SVDGRAD_STATUS_NOT_SUPPORTED, "%s: desc.full_matrices is 1, must be 0", function);
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t check_algorithm(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                        const problem_t *problem) {
  static const char *const names[] = {"AUTO", "JACOBI", "VENDOR"};
  if (!operation_algorithm(handle, op, problem))
    return error_status(SVDGRAD_STATUS_NOT_SUPPORTED,
                        "%s: op %d with desc.algo %s is not supported by the %s backend at m = %lld, n = %lld",
                        function, (int)op, names[problem->algo], handle->backend->name, (long long)problem->m,
                        (long long)problem->n);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t validate_problem(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                  const svdgrad_desc_t *desc, problem_t *problem) {
  svdgrad_status_t status;
  if (!handle)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: handle is NULL, must not be", function);
  if (!desc)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: desc is NULL, must not be", function);
  if ((status = check_struct_size(function, desc)) || (status = check_enums(function, op, desc)) ||
      (status = check_sizes(function, desc)) || (status = check_pool(function, handle, desc)))
    return status;
  problem_from_desc(desc, problem);
  return (status = check_rank(function, op, problem)) ? status : check_algorithm(function, handle, op, problem);
}

svdgrad_status_t validate_workspace_bytes(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                          const problem_t *problem, size_t *bytes) {
  const size_t need = operation_workspace(handle, op, problem);
  if (need > SIZE_MAX - 1 - WORK_ALIGNMENT)
    return error_status(
        SVDGRAD_STATUS_INVALID_ARGUMENT,
        "%s: desc.m = %lld, desc.n = %lld, desc.batch_count = %lld: the workspace must have <= %zu bytes", function,
        (long long)problem->m, (long long)problem->n, (long long)problem->batch_count, SIZE_MAX - 1);
  *bytes = need > 0 ? need + WORK_ALIGNMENT : 0;
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t validate_workspace(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                    const problem_t *problem, const void *work, size_t work_bytes) {
  size_t need = 0;
  const svdgrad_status_t status = validate_workspace_bytes(function, handle, op, problem, &need);
  if (status)
    return status;
  if (work_bytes < need)
    return error_status(SVDGRAD_STATUS_WORKSPACE_TOO_SMALL, "%s: work_bytes is %zu, must be >= %zu", function,
                        work_bytes, need);
  if (need > 0 && !work)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: work is NULL, must have %zu bytes", function, need);
  return SVDGRAD_STATUS_SUCCESS;
}

void *validate_aligned(void *work) {
  return work ? (unsigned char *)work + (WORK_ALIGNMENT - (uintptr_t)work % WORK_ALIGNMENT) % WORK_ALIGNMENT : NULL;
}

/* Empty matrices (quick returns) may come with any pointers and strides; but where there is memory, the identity may be
 * written to it: U of an m-by-0 matrix with full_matrices. */
svdgrad_status_t validate_operands(const char *function, const problem_t *p, const operand_t *operands, int count) {
  svdgrad_status_t status;
  for (int i = 0; i < count; i++)
    if ((!validate_is_empty(p) || operands[i].data) && (status = operand_check_strides(function, &operands[i])))
      return status;
  for (int i = 0; i < count && !validate_is_empty(p); i++)
    if ((status = operand_check_pointer(function, &operands[i])))
      return status;
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t validate_stream(const char *function, svdgrad_handle_t handle, const void *stream) {
  if (stream && handle->id != SVDGRAD_BACKEND_CUDA)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: stream is %p, must be NULL for the %s backend", function,
                        stream, handle->backend->name);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_matrix_t matrix_or_none(const svdgrad_matrix_t *matrix) { return matrix ? *matrix : (svdgrad_matrix_t){0}; }

svdgrad_vector_t vector_or_none(const svdgrad_vector_t *vector) { return vector ? *vector : (svdgrad_vector_t){0}; }

svdgrad_status_t validate_svd(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                              const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                              const svdgrad_matrix_t *Vh, int32_t *info, void *work, size_t work_bytes,
                              svd_call_t *call) {
  static const char function[] = "svdgrad_svd";
  const svdgrad_op_t op = U || Vh ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS;
  problem_t *p = &call->p;
  svdgrad_status_t status = validate_problem(function, handle, op, desc, p);
  if (status || (status = validate_stream(function, handle, stream)))
    return status;
  const size_t element = element_size(p->dtype), real = real_size(p->dtype);
  const extent_t m = {"m", p->m}, n = {"n", p->n}, k = {"k", p->k};
  const extent_t u_cols = {p->full_matrices ? "m" : "k", p->u_cols},
                 vh_rows = {p->full_matrices ? "n" : "k", p->vh_rows};
  const operand_t operands[] = {
      operand_matrix("A", OPERAND_INPUT, 1, A, m, n, p->batch_count, element),
      operand_vector("S", OPERAND_OUTPUT, 1, S, k, p->batch_count, real),
      operand_matrix("U", OPERAND_OUTPUT, 0, U, m, u_cols, p->batch_count, element),
      operand_matrix("Vh", OPERAND_OUTPUT, 0, Vh, vh_rows, n, p->batch_count, element),
  };
  if ((status = validate_operands(function, p, operands, (int)(sizeof operands / sizeof *operands))))
    return status;
  if (!info && !validate_is_empty(p))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: info is NULL, must have batch_count = %lld words",
                        function, (long long)p->batch_count);
  if ((status = validate_workspace(function, handle, op, p, work, work_bytes)))
    return status;
  call->stream = stream;
  call->A = matrix_or_none(A), call->U = matrix_or_none(U), call->Vh = matrix_or_none(Vh);
  call->S = vector_or_none(S);
  call->info = info;
  call->work = validate_aligned(work);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t validate_scalars(const char *function, double alpha, double beta) {
  if (!isfinite(alpha))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: alpha is %g, must be finite", function, alpha);
  if (!isfinite(beta))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: beta is %g, must be finite", function, beta);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t validate_svd_backward(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                       const svdgrad_matrix_t *A, const svdgrad_vector_t *S, const svdgrad_matrix_t *U,
                                       const svdgrad_matrix_t *Vh, const svdgrad_vector_t *gS,
                                       const svdgrad_matrix_t *gU, const svdgrad_matrix_t *gVh, double alpha,
                                       double beta, const svdgrad_matrix_t *gA, svdgrad_report_t *report, void *work,
                                       size_t work_bytes, svd_backward_call_t *call) {
  static const char function[] = "svdgrad_svd_backward";
  problem_t *p = &call->p;
  svdgrad_status_t status = validate_problem(function, handle, SVDGRAD_OP_SVD_BACKWARD, desc, p);
  if (status || (status = validate_stream(function, handle, stream)) ||
      (status = validate_scalars(function, alpha, beta)))
    return status;
  const int truncated = p->k < p->mn;
  const size_t element = element_size(p->dtype), real = real_size(p->dtype);
  const extent_t m = {"m", p->m}, n = {"n", p->n}, k = {"k", p->k};
  const extent_t u_cols = {p->full_matrices ? "m" : "k", p->u_cols},
                 vh_rows = {p->full_matrices ? "n" : "k", p->vh_rows};
  const operand_t operands[] = {
      operand_matrix("A", OPERAND_INPUT, truncated, truncated ? A : NULL, m, n, p->batch_count, element),
      operand_vector("S", OPERAND_INPUT, 1, S, k, p->batch_count, real),
      operand_matrix("U", OPERAND_INPUT, 1, U, m, u_cols, p->batch_count, element),
      operand_matrix("Vh", OPERAND_INPUT, 1, Vh, vh_rows, n, p->batch_count, element),
      operand_vector("gS", OPERAND_INPUT, 0, gS, k, p->batch_count, real),
      operand_matrix("gU", OPERAND_INPUT, 0, gU, m, u_cols, p->batch_count, element),
      operand_matrix("gVh", OPERAND_INPUT, 0, gVh, vh_rows, n, p->batch_count, element),
      operand_matrix("gA", OPERAND_OUTPUT, 1, gA, m, n, p->batch_count, element),
  };
  if ((status = validate_operands(function, p, operands, (int)(sizeof operands / sizeof *operands))) ||
      (status = validate_workspace(function, handle, SVDGRAD_OP_SVD_BACKWARD, p, work, work_bytes)))
    return status;
  call->stream = stream;
  call->A = truncated ? matrix_or_none(A) : (svdgrad_matrix_t){0};
  call->U = matrix_or_none(U), call->Vh = matrix_or_none(Vh), call->S = vector_or_none(S);
  call->gU = matrix_or_none(gU), call->gVh = matrix_or_none(gVh), call->gS = vector_or_none(gS);
  call->gA = matrix_or_none(gA);
  call->alpha = alpha, call->beta = beta;
  call->report = report;
  call->work = validate_aligned(work);
  return SVDGRAD_STATUS_SUCCESS;
}
