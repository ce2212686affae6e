/* SPDX-License-Identifier: BSD-3-Clause */
/* Work that takes its time on a stream, so that whoever does not wait for it is seen. */
#ifndef TEST_SLOW_KERNEL_H
#define TEST_SLOW_KERNEL_H
#include <cuda_runtime_api.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Enqueues: waits for about `milliseconds` on the device, then copies; on the CPU run of CUDA only the copy. */
cudaError_t slow_copy(void *to, const void *from, size_t bytes, int milliseconds, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
