// SPDX-License-Identifier: BSD-3-Clause
// The environment variables, read once, at first use.
#pragma once

namespace simt {

enum class Order { FORWARD, REVERSE, RANDOM };

struct Options {
  Order order = Order::FORWARD; // SIMT_ORDER=fwd|rev|rand[:seed]
  unsigned seed = 0;
  bool async = false;       // SIMT_ASYNC=1: queued work runs only when something waits for it
  bool no_gpu = false;      // SIMT_NOGPU=1: every call fails as on a machine without a driver
  int devices = 1;          // SIMT_DEVICES=n
  int shared_kib = 227;     // SIMT_SHARED_KIB=n: shared memory that a block can have, 48 to 227
  bool blocks_apart = false; // SIMT_XBLOCK=1, with the thread sanitizer: every block on a thread of its own
  const char *skip_file = ""; // SIMT_SKIP=file.cuh:line: this __syncthreads or __syncwarp does nothing
  int skip_line = 0;
  bool warn_shuffle = true; // SIMT_WARN_SHFL=0: do not report shuffles from lanes outside the mask
};

const Options &options();

} // namespace simt
