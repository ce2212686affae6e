// SPDX-License-Identifier: BSD-3-Clause
// The blocks of a grid, one after another; with SIMT_XBLOCK=1 each on a thread of the host that is its own.
#include "draw.hpp"
#include "options.hpp"
#include "sanitizers.hpp"
#include "scheduler.hpp"
#include "static_shared.hpp"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

namespace simt {

static unsigned long launches;
unsigned long launch_count() { return launches; }

static Index block_at(const dim3 &grid, size_t i) {
  return {static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
          static_cast<unsigned>(i / grid.x / grid.y)};
}

static void (*before_grid)(const void *function);
static void (*after_block)();

void observe_blocks(void (*grid)(const void *function), void (*block)()) {
  before_grid = grid;
  after_block = block;
}

static void run_in_turn(const Grid &grid, const std::vector<int> &order) {
  static Place &place = *new Place; // lives as long as the process
  for (int i : order) {
    poison_static_shared(grid.function);
    run_block(place, block_at(grid.size, static_cast<size_t>(i)), grid.shared_bytes, grid.kernel);
    if (after_block)
      after_block();
  }
}

// ---- the race check between blocks, which needs the thread sanitizer

#ifdef SIMT_TSAN

// All threads exist before the first block runs, and hand the turn on through a plain variable in this file,
// which is not instrumented: so the sanitizer sees no order between two blocks of a launch.
static volatile size_t turn;
static const size_t everyone_may_end = static_cast<size_t>(-1);

struct Job {
  const Grid *grid;
  size_t block, turn;
  Place *place;
};

static void *run_job(void *argument) {
  Job &job = *static_cast<Job *>(argument);
  ignore_accesses(true); // the scheduler's own memset and the like
  while (turn != job.turn)
    sched_yield();
  Place &place = *new Place;
  poison_static_shared(job.grid->function);
  run_block(place, block_at(job.grid->size, job.block), job.grid->shared_bytes, job.grid->kernel);
  job.place = &place;
  turn = job.turn + 1;
  ignore_accesses(false);
  while (turn != everyone_may_end) // no thread, and so no thread_local memory, ends before the last block
    sched_yield();
  return nullptr;
}

static void run_apart(const Grid &grid, const std::vector<int> &order) {
  const size_t block_threads = static_cast<size_t>(grid.block.x) * grid.block.y * grid.block.z;
  if (order.size() * block_threads > 7900) { // the sanitizer's limit is 8128 threads and fibres
    fprintf(stderr, "simt: grid too big for SIMT_XBLOCK (%zu blocks of %zu)\n", order.size(), block_threads);
    abort();
  }
  std::vector<Job> jobs;
  for (size_t k = 0; k < order.size(); k++)
    jobs.push_back({&grid, static_cast<size_t>(order[k]), k, nullptr});
  turn = 0;
  std::vector<pthread_t> hosts(jobs.size());
  for (size_t k = 0; k < jobs.size(); k++)
    pthread_create(&hosts[k], nullptr, run_job, &jobs[k]);
  while (turn != jobs.size())
    sched_yield();
  turn = everyone_may_end;
  for (pthread_t host : hosts)
    pthread_join(host, nullptr);
  for (const Job &job : jobs) { // only now: the sanitizer forgets the accesses of a destroyed fibre
    for (void *fibre : sanitizer_handles(*job.place))
      __tsan_destroy_fiber(fibre);
    free_stacks(*job.place); // a process may have 65,530 mappings
  }
}

#else

static void run_apart(const Grid &, const std::vector<int> &) {
  fputs("simt: SIMT_XBLOCK needs a build with the thread sanitizer\n", stderr);
  abort();
}

#endif

void run_grid(const Grid &grid) {
  launches++;
  if (before_grid)
    before_grid(grid.function);
  block_size = grid.block;
  grid_size = grid.size;
  const std::vector<int> order = draw_order(static_cast<size_t>(grid.size.x) * grid.size.y * grid.size.z);
  if (options().blocks_apart)
    run_apart(grid, order);
  else
    run_in_turn(grid, order);
}

} // namespace simt
