/* SPDX-License-Identifier: BSD-3-Clause */
/* The CUDA backend linked into the library that asks for it. */
#include "cuda_backend.h"

const backend_t *cuda_backend_find(void) { return &cuda_backend; }
