/* SPDX-License-Identifier: BSD-3-Clause */
/* How the CPU backends run an operation of several calls (backend_t.staged_run): all calls for one piece of the batch,
 * then the next.  A piece is so small that the arrays between two calls stay in the cache.  Threads share pieces. */
#ifndef SVDGRAD_PIECES_H
#define SVDGRAD_PIECES_H
#include "backend.h"

/* group: number of matrices that the backend's svd() computes at once. */
size_t pieces_workspace(const context_t *context, const staged_t *staged, int group);
svdgrad_status_t pieces_run(const context_t *context, const staged_t *staged, int group, void *work);

#endif
