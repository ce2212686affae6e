/* SPDX-License-Identifier: BSD-3-Clause */
/* The same kernels compile with nvcc, and with a plain C++17 compiler on the tests' CPU run of CUDA (tests/simt). */
#pragma once
#ifdef __CUDACC__
#include <cuda_runtime.h>
#define SIMT_DYN_SHARED(T, name)                                                                                       \
  extern __shared__ __align__(16) unsigned char simt_dynamic_[];                                                       \
  T *name = reinterpret_cast<T *>(simt_dynamic_)
#else
#include "simt.hpp"
#undef SIMT_LAUNCH /* launch_kernel.cuh has its own */
#endif
#include <stdint.h>
