/* SPDX-License-Identifier: BSD-3-Clause */
/* The checks that public calls share, in the order handle, enums, sizes, strides, pointers, workspace; what is special to a
 * function is checked in its api_*.c.  The message of a failure names function, argument, value and bound. */
#ifndef SVDGRAD_VALIDATE_H
#define SVDGRAD_VALIDATE_H
#include "backend.h"
#include "operand.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

svdgrad_status_t validate_problem(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                  const svdgrad_desc_t *desc, problem_t *problem);

svdgrad_status_t validate_workspace_bytes(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                          const problem_t *problem, size_t *bytes);

/* A call, from its first argument to its stream; `p` is filled in.  Then come its own arguments, such as these two, */
svdgrad_status_t validate_begin(const char *function, svdgrad_handle_t handle, svdgrad_op_t op,
                                const svdgrad_desc_t *desc, const void *stream, problem_t *p);
svdgrad_status_t validate_scalars(const char *function, double alpha, double beta);

/* and its memory: operands, info, workspace, and last that no output, which `info`, `report` and `work_bytes` bytes of
 * `work` are too, overlaps another operand. */
typedef struct arrays {
  int32_t *info;
  svdgrad_report_t *report;
  void *work;
  size_t work_bytes;
} arrays_t;
svdgrad_status_t validate_operands(const char *function, svdgrad_handle_t handle, svdgrad_op_t op, const problem_t *p,
                                   const operand_t *operands, int count, arrays_t arrays);

/* What a call of a checked problem runs in: the handle, with the pool of the call if it has one. */
context_t validate_context(svdgrad_handle_t handle, const svdgrad_desc_t *desc);

/* The caller's workspace from where it is aligned for the backends. */
void *validate_aligned(void *work);

/* A quick return: no element is read or written. */
int validate_is_empty(const problem_t *p);

#endif
