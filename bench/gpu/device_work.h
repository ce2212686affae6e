/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernels of the bench itself: random matrices made on the device, and the two ceilings that times are held against. */
#ifndef BENCH_DEVICE_WORK_H
#define BENCH_DEVICE_WORK_H
#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Enqueues: `count` normal numbers (float, or double), a function of the seed and the index alone. */
cudaError_t fill_normal(void *to, int64_t count, int is_double, uint64_t seed, cudaStream_t stream);

/* Enqueues: copies `bytes` bytes, a multiple of 16. */
cudaError_t copy_bytes(void *to, const void *from, size_t bytes, cudaStream_t stream);

/* Enqueues: `blocks` blocks of 256 threads, each of which does `rounds` times 64 independent fused multiply-adds; `to`
 * has room for one number per thread. */
enum { FMA_THREADS = 256, FMA_PER_ROUND = 64 };
cudaError_t multiply_add(void *to, int blocks, int rounds, int is_double, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
