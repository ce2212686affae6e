/* SPDX-License-Identifier: BSD-3-Clause */
#include "workspace.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 0x5A, GUARD = 256, ALIGNMENT = 16 }; /* what malloc() gives */

workspace_t workspace_make(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc, unsigned char fill) {
  workspace_t w = {0};
  if (svdgrad_workspace_size(handle, op, desc, &w.bytes)) {
    fprintf(stderr, "test: %s\n", svdgrad_last_error_message());
    abort();
  }
  w.memory = malloc(w.bytes + 3 * GUARD);
  if (!w.memory) {
    fputs("test: out of memory\n", stderr);
    abort();
  }
  memset(w.memory, CANARY, w.bytes + 3 * GUARD);
  w.work = w.memory + 2 * GUARD - (uintptr_t)w.memory % GUARD - ALIGNMENT;
  memset(w.work, fill, w.bytes);
  return w;
}

int workspace_free(workspace_t *w) {
  int intact = 1;
  for (const unsigned char *p = w->memory; p < w->work; p++)
    intact &= *p == CANARY;
  for (const unsigned char *p = w->work + w->bytes; p < w->memory + w->bytes + 3 * GUARD; p++)
    intact &= *p == CANARY;
  free(w->memory);
  return intact;
}
