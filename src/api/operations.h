/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of operations: what each takes, and who does its work, a backend itself or functions/ with its help. */
#ifndef SVDGRAD_OPERATIONS_H
#define SVDGRAD_OPERATIONS_H
#include "backend.h"

/* What an operation asks of the problem, and whether it has an info array. */
enum { WHOLE_RANK = 1, THIN = 2, SQUARE = 4, HAS_INFO = 8 };

typedef struct operation {
  svdgrad_op_t solver; /* the backend operation in which it spends its time: itself, or one that it is composed of */
  int traits;
  /* Bytes, SIZE_MAX if they do not fit; NULL: what the backend says of the operation. */
  size_t (*workspace)(const context_t *context, const problem_t *p);
} operation_t;

/* Of 0..operation_count-1, the values of svdgrad_op_t. */
extern const operation_t operations[];
extern const int operation_count;

/* What a call with this batch needs; SIZE_MAX if too many. */
size_t operation_bytes(const context_t *context, svdgrad_op_t op, const problem_t *p);

/* What svdgrad_workspace_size() says: enough for every smaller batch too, also where AUTO takes other algorithms for it.
 * At most a constant plus a fixed number for each matrix. */
size_t operation_workspace(const context_t *context, svdgrad_op_t op, const problem_t *p);

#endif
