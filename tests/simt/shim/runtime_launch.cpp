// SPDX-License-Identifier: BSD-3-Clause
// Launching kernels: the limits of a launch, and the attributes that raise them.
#include "device_memory.hpp"
#include "options.hpp"
#include "runtime.hpp"
#include "scheduler.hpp"
#include "simt_queue.hpp"
#include "simt_test.h"
#include "static_shared.hpp"
#include <chrono>
#include <map>
#include <set>
#include <string.h>
#include <thread>

namespace simt {

// Set per device, as on a GPU: an attribute set on one device says nothing about another.
static std::map<std::pair<int, const void *>, size_t> &shared_limits() {
  static auto &all = *new std::map<std::pair<int, const void *>, size_t>;
  return all;
}

static size_t shared_limit(const void *function) {
  auto at = shared_limits().find({current_device(), function});
  return at == shared_limits().end() ? (48 << 10) - static_shared_bytes(function) : at->second;
}

// Puts a kernel on the current device: at its first launch, or where its attributes are asked for or set.  True if it was
// not there.
static bool load(const void *function) {
  static auto &all = *new std::set<std::pair<int, const void *>>;
  note_kernel(function);
  use_device(current_device());
  return all.insert({current_device(), function}).second;
}

// Threads of a block, at most: what __launch_bounds__ of the kernel says (simt.hpp), whole warps.
static size_t thread_limit([[maybe_unused]] const void *function) {
  size_t bound = 0;
#if defined __x86_64__ && !defined __clang__
  const unsigned char *const start = static_cast<const unsigned char *>(function);
  while (bound < max_block_threads && *(start - bound - 1) == 0x90)
    bound++;
  bound = bound / 32 * 32; // less than a warp is where the compiler aligns functions
#endif
  return bound ? bound : max_block_threads;
}

static cudaError_t check(const Grid &grid, const void *function) {
  const dim3 g = grid.size, b = grid.block;
  const size_t threads = static_cast<size_t>(b.x) * b.y * b.z;
  if (!threads || threads > max_block_threads || b.x > 1024 || b.y > 1024 || b.z > 64)
    return cudaErrorInvalidConfiguration;
  if (!g.x || !g.y || !g.z || g.x > 2147483647u || g.y > 65535 || g.z > 65535)
    return cudaErrorInvalidConfiguration;
  if (threads > thread_limit(function))
    return cudaErrorLaunchOutOfResources;
  return grid.shared_bytes > shared_limit(function) ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t launch(const void *function, dim3 size, dim3 block, size_t shared_bytes, cudaStream_t handle,
                   std::function<void()> kernel) {
  SIMT_ENTER;
  const Grid grid = {size, block, shared_bytes, std::move(kernel), function};
  SIMT_TRY(check(grid, function));
  const int device = current_device();
  const StreamPointer stream = find_stream(handle, device);
  if (!stream || stream->device != device)
    return fail(cudaErrorInvalidResourceHandle);
  note_if_default(stream, "kernel launch on the default stream");
  if (load(function))
    note_forbidden("first launch of a kernel, which loads it"); // and so allocates memory for its code
  return fail(add_work(stream, [grid, device] {
    OthersHidden hidden(device);
    run_grid(grid);
  }));
}

} // namespace simt

using namespace simt;

static cudaError_t set_attribute(const void *function, enum cudaFuncAttribute attribute, int value, bool *changed) {
  SIMT_ENTER;
  load(function);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
    return cudaSuccess; // the carveout is a hint
  const size_t limit = static_cast<size_t>(value);
  if (value < 0 || limit + static_shared_bytes(function) > static_cast<size_t>(options().shared_kib) * 1024)
    return fail(cudaErrorInvalidValue);
  auto at = shared_limits().insert({{current_device(), function}, limit}).first;
  *changed = at->second != limit;
  at->second = limit;
  return cudaSuccess;
}

// Where the limit had another value before, other threads get time for what they do with theirs.
SIMT_API cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute attribute, int value) {
  bool changed = false;
  const cudaError_t error = set_attribute(function, attribute, value, &changed);
  if (changed)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return error;
}

SIMT_API cudaFuncGetAttributes(struct cudaFuncAttributes *to, const void *function) {
  SIMT_ENTER;
  load(function);
  memset(to, 0, sizeof *to);
  to->maxThreadsPerBlock = static_cast<int>(thread_limit(function));
  to->sharedSizeBytes = static_shared_bytes(function);
  to->maxDynamicSharedSizeBytes = static_cast<int>(shared_limit(function));
  return cudaSuccess;
}

extern "C" unsigned long simt_switches(void) {
  Call call;
  return switch_count();
}

extern "C" unsigned long simt_launches(void) {
  Call call;
  return launch_count();
}
