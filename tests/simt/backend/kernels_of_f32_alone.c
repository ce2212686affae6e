/* SPDX-License-Identifier: BSD-3-Clause */
/* Empty tables in place of the kernels that the race check, which runs one element type, does not need. */
#include "../../../cuda/launch.h"

const cuda_kernels_t svdgrad_cuda_kernels_f64 = {0};
const cuda_kernels_t svdgrad_cuda_kernels_c64 = {0};
const cuda_kernels_t svdgrad_cuda_kernels_c128 = {0};
