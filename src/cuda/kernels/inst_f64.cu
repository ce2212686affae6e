/* SPDX-License-Identifier: BSD-3-Clause */
#include "launchers.cuh"

extern "C" const cuda_kernels_t svdgrad_cuda_kernels_f64 = make_kernels<double>();
