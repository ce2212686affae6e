// SPDX-License-Identifier: BSD-3-Clause
// Running the blocks of a kernel, each until all its threads have ended.
#pragma once
#include "simt_core.hpp"
#include <functional>
#include <vector>

namespace simt {

struct Thread;

constexpr size_t max_shared_bytes = 227 << 10;
constexpr size_t max_block_threads = 1024;

// Where a block runs: its threads and its dynamic shared memory.
struct Place {
  Place();
  std::vector<Thread *> threads;
  unsigned char *shared_end; // a guard page follows
};

void run_block(Place &place, Index block, size_t shared_bytes, const std::function<void()> &kernel);

struct Grid {
  dim3 size, block;
  size_t shared_bytes;
  std::function<void()> kernel;
  const void *function;
};
void run_grid(const Grid &grid);

// For the trace of memory accesses: called before a grid runs, after each of its blocks, and where all lanes of a warp
// that have not ended meet.
void observe_blocks(void (*before_grid)(const void *function), void (*after_block)());
void observe_meetings(void (*of_warp)(int warp));

uint64_t lane_outside_mask(unsigned mask, int lane, int source); // reports it and returns a NaN

// For reports.
bool in_kernel();
const void *shared_memory_end();
unsigned long switch_count();
unsigned long launch_count();

// For the check between blocks: the sanitizer's names of the threads of a place.
std::vector<void *> sanitizer_handles(const Place &place);
void free_stacks(const Place &place); // of threads that will never run again

} // namespace simt
