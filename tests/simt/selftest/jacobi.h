/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <cuda_runtime_api.h>

enum {
  BUG_NONE,
  BUG_NO_SYNCWARP,
  BUG_NO_SYNCTHREADS,
  BUG_DIVERGENT_BARRIER,
  BUG_OUT_OF_BOUNDS,
  BUG_NO_STREAM_SYNCHRONIZE /* of the host code */
};

#ifdef __cplusplus
extern "C" {
#endif
cudaError_t jacobi_f32_8(const float *a, float *u, float *s, float *v, int batch, int *sweeps, cudaStream_t stream);
cudaError_t jacobi_f64_8(const double *a, double *u, double *s, double *v, int batch, int *sweeps, cudaStream_t stream,
                         int bug);
cudaError_t jacobi_f64_32(const double *a, double *u, double *s, double *v, int batch, int *sweeps,
                          cudaStream_t stream);
#ifdef __cplusplus
}
#endif
