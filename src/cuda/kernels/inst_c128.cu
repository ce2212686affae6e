/* SPDX-License-Identifier: BSD-3-Clause */
#include "launchers.cuh"

extern "C" const cuda_kernels_t svdgrad_cuda_kernels_c128 = make_kernels<complex_t<double>>();
