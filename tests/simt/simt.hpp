// SPDX-License-Identifier: BSD-3-Clause
// Compiles a CUDA kernel file with a plain C++17 compiler and runs its kernels on the CPU.  Stands where
// nvcc would include <cuda_runtime.h>; README.md says how to build with it.
#pragma once

// The standard headers that a kernel file may want, before the keywords below are macros: libstdc++ spells
// one of its attributes __noinline__.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>
#include <assert.h>
#include <math.h> // in C++ also puts the float overloads (sqrt, fabs, hypot, ...) into the global namespace

#include <cuda_runtime_api.h> // types and prototypes: nocuda/ or the toolkit's
#include <vector_functions.h> // make_float2, ...

// ---- keywords
#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __launch_bounds__
#undef __forceinline__
#undef __noinline__
#undef __align__
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __noinline__    __attribute__((noinline))
#define __align__(n)    __attribute__((aligned(n)))
#ifdef SIMT_TSAN
#define __shared__ static thread_local // with SIMT_XBLOCK=1 every block runs on a thread of its own
#else
#define __shared__ static // one block runs at a time in the process
#endif

#include "simt_core.hpp"

// ---- built-in variables
#define threadIdx (simt::thread_index)
#define blockIdx  (simt::block_index)
#define blockDim  (simt::block_size)
#define gridDim   (simt::grid_size)
#define warpSize  32

#include "simt_warp.hpp"
#include "simt_atomics.hpp"
#include "simt_math.hpp"
#include "simt_launch.hpp"
