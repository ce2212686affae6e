/* SPDX-License-Identifier: BSD-3-Clause */
/* The public functions of a handle, and what can be asked about an operation. */
#include "backend.h"
#include "base/error.h"
#include "base/fp_environment.h"
#include "operations.h"
#include "validate.h"

#include <stdlib.h>

int svdgrad_version(void) {
  return 10000 * SVDGRAD_VERSION_MAJOR + 100 * SVDGRAD_VERSION_MINOR + SVDGRAD_VERSION_PATCH;
}

svdgrad_status_t svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle) {
  if (!handle)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "svdgrad_create: handle is NULL, must not be");
  *handle = NULL;
  if ((int)backend < SVDGRAD_BACKEND_REF || backend > SVDGRAD_BACKEND_CUDA)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "svdgrad_create: backend is %d, must be in %d..%d",
                        (int)backend, SVDGRAD_BACKEND_REF, SVDGRAD_BACKEND_CUDA);
  const backend_t *table = backend_find(backend);
  if (!table)
    return SVDGRAD_STATUS_BACKEND_UNAVAILABLE;
  context_t *context = calloc(1, sizeof *context);
  if (!context)
    return error_status(SVDGRAD_STATUS_OUT_OF_MEMORY, "svdgrad_create: out of memory");
  context->backend = table;
  const svdgrad_status_t status = table->create(context, device);
  if (status) {
    free(context);
    return status;
  }
  if (table->traits->has_threads)
    parallel_open(&context->parallel);
  *handle = context;
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t svdgrad_destroy(svdgrad_handle_t handle) {
  if (handle) {
    if (handle->backend->traits->has_threads)
      parallel_close();
    handle->backend->destroy(handle);
    free(handle);
  }
  return SVDGRAD_STATUS_SUCCESS;
}

static svdgrad_status_t check_threads(const char *function, svdgrad_handle_t handle) {
  if (!handle)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: handle is NULL, must not be", function);
  if (!handle->backend->traits->has_threads)
    return error_status(SVDGRAD_STATUS_NOT_SUPPORTED, "%s: handle is of the %s backend, must be of a CPU one", function,
                        handle->backend->name);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t svdgrad_set_parallel_for(svdgrad_handle_t handle, svdgrad_parallel_for_t run, void *pool) {
  const svdgrad_status_t status = check_threads("svdgrad_set_parallel_for", handle);
  if (status)
    return status;
  handle->parallel.run = run;
  handle->parallel.pool = pool;
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t svdgrad_set_num_threads(svdgrad_handle_t handle, int num_threads) {
  const svdgrad_status_t status = check_threads("svdgrad_set_num_threads", handle);
  if (status)
    return status;
  if (num_threads < 0)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "svdgrad_set_num_threads: num_threads is %d, must be >= 0",
                        num_threads);
  parallel_set_threads(&handle->parallel, num_threads);
  return SVDGRAD_STATUS_SUCCESS;
}

int svdgrad_get_num_threads(svdgrad_handle_t handle) {
  return handle && handle->backend->traits->has_threads ? handle->parallel.num_threads : 0;
}

const char *svdgrad_instruction_set(svdgrad_handle_t handle) {
  if (handle)
    return handle->backend->instruction_set(handle);
  (void)error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "svdgrad_instruction_set: handle is NULL, must not be");
  return NULL;
}

svdgrad_status_t svdgrad_workspace_size(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc,
                                        size_t *bytes) {
  IN_DEFAULT_FP_ENVIRONMENT;
  static const char function[] = "svdgrad_workspace_size";
  problem_t problem;
  const svdgrad_status_t status = validate_problem(function, handle, op, desc, &problem);
  if (status)
    return status;
  if (!bytes)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: bytes is NULL, must not be", function);
  return validate_workspace_bytes(function, handle, op, &problem, bytes);
}

const char *svdgrad_algorithm_name(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc) {
  IN_DEFAULT_FP_ENVIRONMENT;
  problem_t problem;
  if (validate_problem("svdgrad_algorithm_name", handle, op, desc, &problem))
    return NULL;
  return handle->backend->algorithm_name(handle, operations[op].solver, &problem);
}

int svdgrad_is_capturable(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc) {
  IN_DEFAULT_FP_ENVIRONMENT;
  problem_t problem;
  if (validate_problem("svdgrad_is_capturable", handle, op, desc, &problem))
    return 0;
  return handle->backend->is_capturable(handle, operations[op].solver, &problem);
}
