/* SPDX-License-Identifier: BSD-3-Clause */
/* A workspace of exactly the size that svdgrad_workspace_size() returns, between two guards. */
#ifndef TEST_WORKSPACE_H
#define TEST_WORKSPACE_H
#include <svdgrad/svdgrad.h>

typedef struct workspace {
  unsigned char *memory, *work;
  size_t bytes;
} workspace_t;

/* Every byte of it is `fill`.  If the library refuses to tell the size: prints and aborts. */
workspace_t workspace_make(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc, unsigned char fill);

/* Non-zero if the guards are as they were. */
int workspace_free(workspace_t *workspace);

#endif
