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
#if defined __x86_64__ && !defined __clang__
// As many one-byte instructions that do nothing before the kernel as a block may have threads: there the shim counts them
// (shim/runtime_launch.cpp).  No attribute that takes a number which depends on template arguments is nearer.
#define __launch_bounds__(...)                                                                                         \
  __attribute__((patchable_function_entry(simt::first_of(__VA_ARGS__), simt::first_of(__VA_ARGS__))))
namespace simt {
template <class... More> constexpr int first_of(int first, More...) { return first; }
} // namespace simt
#else
#define __launch_bounds__(...)
#endif
#define __forceinline__ inline
#define __noinline__    __attribute__((noinline))
#define __align__(n)    __attribute__((aligned(n)))
// The tag stands in the name of the variable, by which the shim finds it (shim/static_shared.cpp).
#ifdef SIMT_TSAN // with SIMT_XBLOCK=1 every block runs on a thread of its own
#define __shared__ static thread_local __attribute__((abi_tag("simtshared")))
#else // one block runs at a time in the process
#define __shared__ static __attribute__((abi_tag("simtshared")))
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
