/* SPDX-License-Identifier: BSD-3-Clause */
/* The backends compiled into this library. */
#include "backend.h"
#include "error.h"

#include <stddef.h>

static const backend_t *const backends[] = {
    [SVDGRAD_BACKEND_REF] = &ref_backend,
    [SVDGRAD_BACKEND_CPU] = &cpu_backend,
#if SVDGRAD_HAVE_CUDA
    [SVDGRAD_BACKEND_CUDA] = &cuda_backend,
#else
    [SVDGRAD_BACKEND_CUDA] = NULL,
#endif
};

const backend_t *backend_find(svdgrad_backend_t id) {
  if (!backends[id])
    error_set("svdgrad_create: the cuda backend is not compiled into this library (SVDGRAD_CUDA was off)");
  return backends[id];
}
