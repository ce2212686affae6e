/* SPDX-License-Identifier: BSD-3-Clause */
/* Launching a kernel, and the list of all kernels that are launched anywhere, for svdgrad_create to prepare. */
#pragma once
#include "compat.cuh"

namespace { /* a list for each translation unit, filled before main or when the library is loaded */

struct kernel_entry {
  const void *kernel;
  const kernel_entry *next;
};
static const kernel_entry *all_kernels;

/* One object for each kernel that is named in a launch: its constructor puts it into the list. */
template <auto KERNEL> struct listed_kernel {
  kernel_entry entry;
  listed_kernel() : entry{reinterpret_cast<const void *>(KERNEL), all_kernels} { all_kernels = &entry; }
  static listed_kernel once;
};
template <auto KERNEL> listed_kernel<KERNEL> listed_kernel<KERNEL>::once;

/* A parameter that takes its type from the kernel, not from the argument. */
template <class P> struct parameter_of { typedef P type; };

template <auto KERNEL> struct launcher {
  /* What the launch itself says.  cudaGetLastError after <<<>>> would also report, and clear, an error that the caller
   * has pending from calls of its own. */
  template <class... P>
  static cudaError_t run(void (*kernel)(P...), dim3 grid, dim3 block, size_t bytes, cudaStream_t stream,
                         typename parameter_of<P>::type... arguments) {
    (void)&listed_kernel<KERNEL>::once;
    void *pointers[] = {(void *)&arguments...};
    return cudaLaunchKernel(kernel, grid, block, pointers, bytes, stream);
  }
};

} // namespace

/* A kernel with commas goes into parentheses. */
#define SIMT_LAUNCH(kernel, grid, block, bytes, stream, ...)                                                           \
  launcher<(kernel)>::run((kernel), grid, block, bytes, stream, __VA_ARGS__)

/* Loads every kernel of this translation unit onto the current device, where CUDA would otherwise do so during the first
 * launch, and allocate memory for it; and lets each take all the shared memory that a block can have on the device.
 * That limit is state which all threads share, so it is set to one value, here, and never by a call. */
static inline cudaError_t prepare_kernels(size_t shared_bytes) {
  for (const kernel_entry *at = all_kernels; at; at = at->next) {
    cudaFuncAttributes attributes;
    cudaError_t error = cudaFuncGetAttributes(&attributes, at->kernel);
    if (!error)
      error = cudaFuncSetAttribute(at->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   (int)(shared_bytes - attributes.sharedSizeBytes));
    if (error)
      return error;
  }
  return cudaSuccess;
}
