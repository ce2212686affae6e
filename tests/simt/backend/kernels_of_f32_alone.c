/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables that have only `load`, in place of the kernels that the race check, which runs one element type, does not
 * need. */
#include "cuda/launch.h"

static cudaError_t load_none(size_t shared_bytes) {
  (void)shared_bytes;
  return cudaSuccess;
}

const cuda_kernels_t svdgrad_cuda_kernels_f64 = {.load = load_none};
const cuda_kernels_t svdgrad_cuda_kernels_c64 = {.load = load_none};
const cuda_kernels_t svdgrad_cuda_kernels_c128 = {.load = load_none};
