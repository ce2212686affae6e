/* SPDX-License-Identifier: BSD-3-Clause */
/* How the CPU backends run an operation of several calls (backend_t.staged_run): piece by piece of the batch, small enough
 * that the arrays between two calls stay in the cache; the pieces are what is parallel. */
#ifndef SVDGRAD_PIECES_H
#define SVDGRAD_PIECES_H
#include "backend.h"

/* `group`: matrices that the backend's svd() takes at once. */
size_t pieces_workspace(const context_t *context, const staged_t *staged, int group);
svdgrad_status_t pieces_run(const context_t *context, const staged_t *staged, int group, void *work);

#endif
