/* SPDX-License-Identifier: BSD-3-Clause */
#include "operations.h"

#include "functions/functions.h"

#define OP(name) SVDGRAD_OP_##name
const operation_t operations[] = {
    [OP(SVD)] = {OP(SVD), HAS_INFO, NULL},
    [OP(SVDVALS)] = {OP(SVDVALS), HAS_INFO, NULL},
    [OP(SVD_BACKWARD)] = {OP(SVD_BACKWARD), 0, NULL},
    [OP(SVD_JVP)] = {OP(SVD_JVP), 0, svd_jvp_workspace},
    [OP(SVD_BACKWARD_BACKWARD)] = {OP(SVD_BACKWARD_BACKWARD), WHOLE_RANK | THIN, second_workspace},
    [OP(MATRIX_FUNCTION)] = {OP(MATRIX_FUNCTION), 0, matrix_function_workspace},
    [OP(MATRIX_FUNCTION_BACKWARD)] = {OP(MATRIX_FUNCTION_BACKWARD), WHOLE_RANK, matrix_function_backward_workspace},
    [OP(NORM)] = {OP(SVDVALS), WHOLE_RANK | HAS_INFO, norm_workspace},
    [OP(NORM_GRADIENT)] = {OP(SVD), WHOLE_RANK | HAS_INFO, norm_gradient_workspace},
    [OP(POWER_ITERATION)] = {OP(POWER_ITERATION), HAS_INFO, NULL},
    [OP(SPECTRAL_NORMALIZE)] = {OP(SPECTRAL_NORMALIZE), HAS_INFO, NULL},
    [OP(SPECTRAL_NORMALIZE_BACKWARD)] = {OP(SPECTRAL_NORMALIZE_BACKWARD), 0, NULL},
    [OP(DETERMINANT)] = {OP(SVD), WHOLE_RANK | SQUARE | HAS_INFO, determinant_workspace},
    [OP(DETERMINANT_GRADIENT)] = {OP(SVD), WHOLE_RANK | SQUARE | HAS_INFO, determinant_gradient_workspace},
};
const int operation_count = sizeof operations / sizeof *operations;

size_t operation_bytes(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  if (p->batch_count == 0)
    return 0;
  if (operations[op].workspace)
    return operations[op].workspace(context, p);
  return p->mn == 0 ? 0 : context->backend->workspace_size(context, op, p);
}

size_t operation_workspace(const context_t *context, svdgrad_op_t op, const problem_t *p) {
  problem_t smaller = *p;
  size_t most = 0;
  while (smaller.batch_count > 0) {
    const size_t bytes = operation_bytes(context, op, &smaller);
    most = bytes > most ? bytes : most;
    smaller.batch_count = smaller.chosen_for = context->backend->choice_below(context, op, &smaller);
  }
  return most;
}
