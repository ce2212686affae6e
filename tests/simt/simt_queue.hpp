// SPDX-License-Identifier: BSD-3-Clause
// What stand-ins of other CUDA libraries need of the shim.
#pragma once
#include <cuda_runtime_api.h>
#include <functional>

namespace simt {

// Work that runs when the stream comes to it; recorded while the stream is captured.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);

// Call where the original allocates or frees: an error, and the end of the capture, where one forbids it.
cudaError_t library_allocates(const char *name);

// Call where the original waits for the stream: an error, and the end of the capture, while it is captured.
// Waits for nothing here: a caller must not rely on it.
cudaError_t library_waits(cudaStream_t stream);

} // namespace simt
