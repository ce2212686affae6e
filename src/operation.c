/* SPDX-License-Identifier: BSD-3-Clause */
#include "operation.h"

#include "functions/functions.h"

/* What does the work of an operation that is put together. */
static svdgrad_op_t solver_of(svdgrad_op_t op) {
  switch (op) {
  case SVDGRAD_OP_NORM: return SVDGRAD_OP_SVDVALS;
  case SVDGRAD_OP_NORM_GRADIENT:
  case SVDGRAD_OP_DETERMINANT:
  case SVDGRAD_OP_DETERMINANT_GRADIENT: return SVDGRAD_OP_SVD;
  default: return op;
  }
}

const char *operation_algorithm(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  return context->backend->algorithm_name(context, solver_of(op), p);
}

const char *operation_limit(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  return context->backend->limit(solver_of(op), p);
}

int operation_is_capturable(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  return context->backend->is_capturable(context, solver_of(op), p);
}

size_t operation_workspace(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  if (p->batch_count == 0)
    return 0;
  switch (op) {
  case SVDGRAD_OP_SVD_JVP: return svd_jvp_workspace(context, p);
  case SVDGRAD_OP_SVD_BACKWARD_BACKWARD: return second_workspace(context, p);
  case SVDGRAD_OP_MATRIX_FUNCTION: return matrix_function_workspace(context, p);
  case SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD: return matrix_function_backward_workspace(context, p);
  case SVDGRAD_OP_NORM: return norm_workspace(context, p, 0);
  case SVDGRAD_OP_NORM_GRADIENT: return norm_workspace(context, p, 1);
  case SVDGRAD_OP_DETERMINANT: return determinant_workspace(context, p, 0);
  case SVDGRAD_OP_DETERMINANT_GRADIENT: return determinant_workspace(context, p, 1);
  default: return p->mn == 0 ? 0 : context->backend->workspace_size(context, op, p);
  }
}
