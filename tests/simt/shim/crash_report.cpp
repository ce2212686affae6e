// SPDX-License-Identifier: BSD-3-Clause
// The sanitizers have reports of their own.
#include "crash_report.hpp"
#include "scheduler.hpp"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

namespace simt {

#if defined(SIMT_ASAN) || defined(SIMT_TSAN)

void report_crashes() {}

#else

static struct sigaction before;

static void on_crash(int, siginfo_t *info, void *) {
  char text[256];
  int n = snprintf(text, sizeof text,
                   "simt: SIGSEGV at %p (dynamic shared memory ends %p), block (%u,%u,%u) thread (%u,%u,%u), %s\n",
                   info->si_addr, shared_memory_end(), block_index.x, block_index.y, block_index.z, thread_index.x,
                   thread_index.y, thread_index.z, in_kernel() ? "in a kernel" : "in host code");
  (void)!write(2, text, static_cast<size_t>(n));
  sigaction(SIGSEGV, &before, nullptr); // the access is repeated and ends the process as it would have
}

void report_crashes() {
  static bool done;
  if (done)
    return;
  done = true;
  struct sigaction action = {};
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &before);
}

#endif

} // namespace simt
