/* SPDX-License-Identifier: BSD-3-Clause */
#include "validate.h"

#include "base/element_size.h"
#include "base/error.h"
#include "operations.h"
#include "overlap.h"

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
  if ((int)op < SVDGRAD_OP_SVD || (int)op >= operation_count)
    return invalid_range(function, "op", (int)op, SVDGRAD_OP_SVD, operation_count - 1);
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

/* The descriptor only ever grows at its end: programs of 0.1 end before the pool of a call, later ones before
 * batch_invariant. */
enum { SIZE_0_1 = offsetof(svdgrad_desc_t, parallel_for), SIZE_OF_POOL = offsetof(svdgrad_desc_t, batch_invariant) };

static int has_pool(const svdgrad_desc_t *desc) { return desc->struct_size > SIZE_0_1 && desc->parallel_for != NULL; }

/* Only AUTO looks at the batch.  Programs that do not know the field were promised the same bits for any. */
static int is_batch_invariant(const svdgrad_desc_t *desc) {
  return desc->algo != SVDGRAD_ALGO_AUTO || desc->struct_size <= SIZE_OF_POOL || desc->batch_invariant != 0;
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
      .chosen_for = is_batch_invariant(desc) ? INT64_MAX : desc->batch_count,
  };
}

static svdgrad_status_t check_struct_size(const char *function, const svdgrad_desc_t *desc) {
  if (desc->struct_size != SIZE_0_1 && desc->struct_size != SIZE_OF_POOL && desc->struct_size != sizeof *desc)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT,
                        "%s: desc.struct_size is %zu, must be %zu (use SVDGRAD_DESC_INIT)", function, desc->struct_size,
                        sizeof *desc);
  return SVDGRAD_STATUS_SUCCESS;
}

/* A determinant is of a square matrix. */
static svdgrad_status_t check_square(const char *function, svdgrad_op_t op, const problem_t *p) {
  if ((operations[op].traits & SQUARE) && p->m != p->n)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: desc.m is %lld, must be desc.n = %lld for a determinant",
                        function, (long long)p->m, (long long)p->n);
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t check_pool(const char *function, svdgrad_handle_t handle, const svdgrad_desc_t *desc) {
  if (has_pool(desc) && !handle->backend->traits->has_threads)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT,
                        "%s: desc.parallel_for is set, must be NULL for the %s backend", function,
                        handle->backend->name);
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
  if ((operations[op].traits & WHOLE_RANK) && p->k < p->mn)
    return error_status(SVDGRAD_STATUS_NOT_SUPPORTED, "%s: desc.rank is %lld, must be 0 or min(m, n) = %lld", function,
                        (long long)p->k, (long long)p->mn);
  if ((operations[op].traits & THIN) && p->full_matrices)
    return error_status(SVDGRAD_STATUS_NOT_SUPPORTED, "%s: desc.full_matrices is 1, must be 0", function);
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t check_algorithm(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                        const problem_t *problem) {
  static const char *const names[] = {"AUTO", "JACOBI", "VENDOR"};
  if (!handle->backend->algorithm_name(handle, operations[op].solver, problem)) {
    const char *limit = handle->backend->limit(operations[op].solver, problem);
    return error_status(SVDGRAD_STATUS_NOT_SUPPORTED,
                        "%s: op %d with desc.algo %s is not supported by the %s backend at m = %lld, n = %lld%s%s",
                        function, (int)op, names[problem->algo], handle->backend->name, (long long)problem->m,
                        (long long)problem->n, limit ? ": " : "", limit ? limit : "");
  }
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
  if ((status = check_square(function, op, problem)) || (status = check_rank(function, op, problem)))
    return status;
  return check_algorithm(function, handle, op, problem);
}

/* What a caller must give for `need` bytes, which are to be aligned. */
static svdgrad_status_t add_alignment(const char *function, const problem_t *problem, size_t need, size_t *bytes) {
  if (need > SIZE_MAX - 1 - WORK_ALIGNMENT)
    return error_status(
        SVDGRAD_STATUS_INVALID_ARGUMENT,
        "%s: desc.m = %lld, desc.n = %lld, desc.batch_count = %lld: the workspace must have <= %zu bytes", function,
        (long long)problem->m, (long long)problem->n, (long long)problem->batch_count, SIZE_MAX - 1);
  *bytes = need > 0 ? need + WORK_ALIGNMENT : 0;
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t validate_workspace_bytes(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                          const problem_t *problem, size_t *bytes) {
  return add_alignment(function, problem, operation_workspace(handle, op, problem), bytes);
}

static svdgrad_status_t check_workspace(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                        const problem_t *problem, const void *work, size_t work_bytes, size_t *bytes) {
  const svdgrad_status_t status = add_alignment(function, problem, operation_bytes(handle, op, problem), bytes);
  const size_t need = status ? 0 : *bytes;
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

/* Operands without elements may come with any pointers and strides.  Others of an empty problem, such as U of an m-by-0
 * matrix with full_matrices, are written where there is memory. */
static svdgrad_status_t check_operands(const char *function, const problem_t *p, const operand_t *operands, int count,
                                       memory_t *memory) {
  const int empty = validate_is_empty(p);
  svdgrad_status_t status;
  span_t span;
  for (int i = 0; i < count; i++) {
    if (!operands[i].given || (empty && !operands[i].data))
      continue;
    if ((status = operand_check_strides(function, &operands[i], &span)))
      return status;
    memory_add(memory, &operands[i], span);
  }
  for (int i = 0; i < count && !empty; i++)
    if ((status = operand_check_pointer(function, &operands[i])))
      return status;
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t check_overlap(const char *function, const problem_t *p, const arrays_t *arrays,
                                      memory_t *memory) {
  operand_t info, report, work;
  if (p->batch_count == 0)
    return SVDGRAD_STATUS_SUCCESS;
  memory_add_array(memory, &info, "info", arrays->info, p->batch_count, sizeof *arrays->info);
  memory_add_array(memory, &report, "report", arrays->report, p->batch_count, sizeof *arrays->report);
  memory_add_array(memory, &work, "work", arrays->work_bytes > 0 ? arrays->work : NULL, 1, arrays->work_bytes);
  return overlap_check(function, memory);
}

static svdgrad_status_t check_stream(const char *function, svdgrad_handle_t handle, const void *stream) {
  if (stream && !handle->backend->traits->takes_stream)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: stream is %p, must be NULL for the %s backend", function,
                        stream, handle->backend->name);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t validate_scalars(const char *function, double alpha, double beta) {
  if (!isfinite(alpha))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: alpha is %g, must be finite", function, alpha);
  if (!isfinite(beta))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: beta is %g, must be finite", function, beta);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t validate_begin(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                const svdgrad_desc_t *desc, const void *stream, problem_t *p) {
  const svdgrad_status_t status = validate_problem(function, handle, op, desc, p);
  return status ? status : check_stream(function, handle, stream);
}

static svdgrad_status_t check_info(const char *function, const problem_t *p, const int32_t *info) {
  if (!info && !validate_is_empty(p))
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: info is NULL, must have batch_count = %lld words",
                        function, (long long)p->batch_count);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t validate_operands(const char *function, svdgrad_handle_t handle, svdgrad_op_t op, const problem_t *p,
                                   const operand_t *operands, int count, arrays_t arrays) {
  memory_t memory;
  memory.count = 0;
  svdgrad_status_t status = check_operands(function, p, operands, count, &memory);
  if (status || ((operations[op].traits & HAS_INFO) && (status = check_info(function, p, arrays.info))))
    return status;
  status = check_workspace(function, handle, op, p, arrays.work, arrays.work_bytes, &arrays.work_bytes);
  return status ? status : check_overlap(function, p, &arrays, &memory);
}
