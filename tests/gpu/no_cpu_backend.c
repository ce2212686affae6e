/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands for the CPU backend where there is no LAPACK: the tests of the CUDA backend compare with the reference
 * backend, which needs none. */
#include "backend.h"
#include "base/error.h"

static svdgrad_status_t no_create(context_t *context, int device) {
  (void)context;
  (void)device;
  return error_status(SVDGRAD_STATUS_BACKEND_UNAVAILABLE, "svdgrad_create: this build has no cpu backend");
}

const backend_t cpu_backend = {.name = "cpu", .create = no_create};
