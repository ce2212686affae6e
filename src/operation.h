/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be asked of any operation, whether a backend does it itself or functions/ puts it together. */
#ifndef SVDGRAD_OPERATION_H
#define SVDGRAD_OPERATION_H
#include "backend.h"

/* NULL if not supported. */
const char *operation_algorithm(const context_t *context, svdgrad_op_t op, const problem_t *p);
/* What the problem exceeds where the algorithm is NULL; NULL if the backend does not tell. */
const char *operation_limit(const context_t *context, svdgrad_op_t op, const problem_t *p);
int operation_is_capturable(const context_t *context, svdgrad_op_t op, const problem_t *p);

/* Bytes; SIZE_MAX if they do not fit. */
size_t operation_workspace(const context_t *context, svdgrad_op_t op, const problem_t *p);

#endif
