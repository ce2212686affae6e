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

// Lanes of a warp that meet in an intrinsic: what each of the mask brings, and takes away.
struct Meeting {
  unsigned mask;
  const uint64_t *in, *argument; // of lane i: element i
  uint64_t *out;
};
using Combine = void (*)(const Meeting &meeting); // computes `out` for every lane of the mask

enum Shuffle { SHUFFLE_INDEX, SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_XOR };

// shim/warp_results.cpp, which the race check does not look into.
void combine_ballot(const Meeting &meeting);
void combine_shuffle(const Meeting &meeting); // argument: kind | width << 8 | distance << 16
void combine_match_any(const Meeting &meeting);
void combine_add(const Meeting &meeting); // of 32 bits, as the others below; sums wrap around
void combine_or(const Meeting &meeting);
void combine_and(const Meeting &meeting);
template <class T> void combine_min(const Meeting &meeting); // of int or unsigned
template <class T> void combine_max(const Meeting &meeting);

// All lanes of the mask meet here.  A null `combine` is __syncwarp: the only one that orders memory.
uint64_t warp_meet(const char *what, unsigned mask, uint64_t in, uint64_t argument, Combine combine, int line);

// All threads of the block meet here; returns how many brought a true predicate.
int block_meet(const char *what, bool predicate, int line);

// The barrier that SIMT_SKIP names, to show that the checks find one that is missing.
extern const int skipped_line;
bool skipped_in(const char *file);
inline bool skipped(const char *file, int line) { return line == skipped_line && skipped_in(file); }

int lane();

// Queues a kernel; `function` identifies it for the attributes set with cudaFuncSetAttribute.
cudaError_t launch(const void *function, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                   std::function<void()> kernel);

} // namespace simt
