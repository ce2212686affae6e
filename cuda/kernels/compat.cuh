/* SPDX-License-Identifier: BSD-3-Clause */
/* The same kernels compile with nvcc, and with a plain C++17 compiler on the tests' CPU run of CUDA (tests/simt). */
#pragma once
#ifdef __CUDACC__
#include <cuda_runtime.h>
#define SIMT_DYN_SHARED(T, name)                                                                                       \
  extern __shared__ __align__(16) unsigned char simt_dynamic_[];                                                       \
  T *name = reinterpret_cast<T *>(simt_dynamic_)
// clang-format off
#define SIMT_LAUNCH(kernel, grid, block, smem, stream, ...) \
  ((kernel)<<<grid, block, smem, stream>>>(__VA_ARGS__), cudaGetLastError())
// clang-format on
#else
#include "simt.hpp"
#endif
#include <stdint.h>
