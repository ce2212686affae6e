/* SPDX-License-Identifier: BSD-3-Clause */
#include "module.h"

#include "base/error.h"
#include "cuda_backend.h"

const backend_t *svdgrad_cuda_module(int interface, const cuda_host_t *host) {
  cuda_module_host = host;
  if (interface == CUDA_MODULE_INTERFACE)
    return &cuda_backend;
  error_set("svdgrad_create: libsvdgrad_cuda.so is of version " SVDGRAD_VERSION_STRING
            " (interface %d), the library needs interface %d",
            CUDA_MODULE_INTERFACE, interface);
  return NULL;
}
