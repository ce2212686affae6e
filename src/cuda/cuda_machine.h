/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs (src/functions/machine.h) on the device: every tensor is a packed array of the whole batch in the workspace,
 * every operation one launch. */
#ifndef SVDGRAD_CUDA_MACHINE_H
#define SVDGRAD_CUDA_MACHINE_H
#include "backend.h"

/* The entries of backend_t. */
size_t cuda_program_workspace(const context_t *context, const program_t *program);
svdgrad_status_t cuda_program_run(const context_t *context, const program_t *program, void *stream, void *work);

#endif
