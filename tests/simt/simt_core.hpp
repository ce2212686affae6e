// SPDX-License-Identifier: BSD-3-Clause
// What a kernel and the scheduler say to each other.
#pragma once
#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>
#include <functional>

namespace simt {

struct Index {
  unsigned x, y, z;
};

extern Index thread_index, block_index; // of the CUDA thread that runs now
extern dim3 block_size, grid_size;
extern unsigned char *dynamic_shared;

// One lane's result of a warp intrinsic, from what all lanes brought.  `argument` is this lane's own.
using Combine = uint64_t (*)(const uint64_t *in, unsigned mask, int lane, uint64_t argument);

// All lanes of the mask meet here.  A null `combine` is __syncwarp: the only one that orders memory.
uint64_t warp_meet(const char *what, unsigned mask, uint64_t in, uint64_t argument, Combine combine, int line);

// All threads of the block meet here; returns how many brought a true predicate.
int block_meet(const char *what, bool predicate, int line);

// The barrier that SIMT_SKIP names, to show that the checks find one that is missing.
extern const int skipped_line;
bool skipped_in(const char *file);
inline bool skipped(const char *file, int line) { return line == skipped_line && skipped_in(file); }

int lane();
uint64_t lane_outside_mask(unsigned mask, int source); // reports it and returns a NaN

// Queues a kernel; `function` identifies it for the attributes set with cudaFuncSetAttribute.
cudaError_t launch(const void *function, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                   std::function<void()> kernel);

} // namespace simt
