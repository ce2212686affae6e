/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SVDGRAD_CUDA_BACKEND_H
#define SVDGRAD_CUDA_BACKEND_H
#include "backend.h"

extern const backend_t cuda_backend;

#endif
