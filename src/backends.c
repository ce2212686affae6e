/* SPDX-License-Identifier: BSD-3-Clause */
/* The backends of this library. */
#include "backend.h"
#include "base/error.h"

#include <stddef.h>

static const backend_t *const backends[] = {
    [SVDGRAD_BACKEND_REF] = &ref_backend,
    [SVDGRAD_BACKEND_CPU] = &cpu_backend,
};

const backend_t *backend_find(svdgrad_backend_t id) {
  if (id != SVDGRAD_BACKEND_CUDA)
    return backends[id];
#if SVDGRAD_HAVE_CUDA
  return cuda_backend_find();
#else
  error_set("svdgrad_create: the cuda backend is not compiled into this library (SVDGRAD_CUDA was off)");
  return NULL;
#endif
}
