// SPDX-License-Identifier: BSD-3-Clause
// Every CUDA thread of a block is a fibre.  It runs until it meets others, at a barrier or in a warp
// intrinsic; then the thread of the highest priority runs (ready_set.hpp).  One block runs at a time.
#include "scheduler.hpp"
#include "fibre.hpp"
#include "options.hpp"
#include "ready_set.hpp"
#include "sanitizers.hpp"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

namespace simt {

Index thread_index, block_index;
dim3 block_size, grid_size;
unsigned char *dynamic_shared;

static void thread_body();

struct Thread {
  explicit Thread(int number, const char *name) : id(number), fibre(thread_body, number, name) {}
  int id;
  Fibre fibre;
  Index index = {};
  const char *what = ""; // the intrinsic it waits in, and where
  int line = 0;
  unsigned mask = 0;
};

// Lanes of one warp that wait in the same call, kept under the lowest lane of its mask.
struct Group {
  unsigned mask, arrived;
  const char *what;
  char *order;
};
struct Warp {
  unsigned existing, absent; // lanes; absent are those that have ended or never were
  unsigned at_barrier;       // of the block
  Group groups[32];
  uint64_t in[32], argument[32], out[32]; // what each lane brought, and what it takes away
};

// The block that runs now.
static Thread *const *threads;
static int thread_count, alive;
static Warp warps[ReadySet::max_threads / 32];
static ReadySet ready;
static Thread *current;
static const std::function<void()> *kernel_body;
static const void *shared_end;
static struct {
  int arrived, votes, line;
  const char *what;
  char *order;
} barrier;
static int votes_of_last_barrier;
static unsigned long switches;
static bool may_draw_again; // of priorities, while the block runs

bool in_kernel() { return current != nullptr; }
const void *shared_memory_end() { return shared_end; }
unsigned long switch_count() { return switches; }

// ---- what the race check is told

// One address for each *instance* of a barrier: with one for all, a thread that runs ahead to the next barrier
// would hand its later accesses to threads that still leave this one, and so hide races.
static char *launch_order; // from the host to the threads of the block
static char *this_block;   // and between blocks: they share static __shared__ memory, whoever launched them
static char *previous_block;
static char *new_order() {
  static char addresses[1 << 16];
  static unsigned next;
  return &addresses[next++ % sizeof addresses];
}

// Blocks on threads of their own have no order between them: only between launches, by the host, which waits for each.
// Otherwise the host learns nothing: through it the order of kernels would become one of host threads.
static void after_previous_block() {
  if (!options().blocks_apart)
    acquire(previous_block);
}
static void before_next_block() { release(options().blocks_apart ? launch_order : this_block); }
static void before_host() {
  if (options().blocks_apart)
    acquire(launch_order);
}

// ---- errors of a kernel

static bool has_ended(const Thread &t) { return warps[t.id / 32].absent >> (t.id & 31) & 1; }
static const char *describe(const Thread &t) { return ready.has(t.id) ? "running" : t.what; }

// Names of intrinsics: nearly always the same literal.
static bool same_name(const char *a, const char *b) { return a == b || !strcmp(a, b); }

[[noreturn]] static void die(const char *message) {
  fprintf(stderr, "simt: %s; block (%u,%u,%u) of kernel\n", message, block_index.x, block_index.y, block_index.z);
  int shown = 0;
  for (int i = 0; i < thread_count && shown < 40; i++) {
    const Thread &t = *threads[i];
    if (has_ended(t) && &t != current)
      continue;
    fprintf(stderr, "  thread %d: %s line %d mask %08x%s\n", i, describe(t), t.line, t.mask,
            &t == current ? " <- here" : "");
    shown++;
  }
  abort();
}

int lane() { return current->id & 31; }

uint64_t lane_outside_mask(unsigned mask, int lane, int source) {
  const Thread &t = *threads[(current->id & ~31) + lane]; // of the warp of the lane that came last
  if (options().warn_shuffle)
    fprintf(stderr, "simt: thread %d reads lane %d which is not in mask %08x (line %d)\n", t.id, source, mask, t.line);
  return 0x7ff7dead7fb7deadull; // a NaN as a double and, its lower half, as a float
}

// ---- one thread

static void step_onto(Thread *t) {
  current = t;
  thread_index = t->index;
  switches++;
}

static void run_thread(Thread *t) {
  step_onto(t);
  t->fibre.resume();
}

static int choose_next(const Thread *me, bool others_joined) {
  if (may_draw_again && draw_rarely())
    ready.draw_again();
  else if (!others_joined) // so that `me` still has the highest priority of those that could run
    return ready.first_after(me->id);
  return ready.first();
}

// From a thread that waits: the next one runs.  Where there is none the host opens the barrier of the block.
static void run_others(const Thread *me, bool others_joined) {
  const int next = choose_next(me, others_joined);
  if (next < 0) {
    Fibre::suspend();
  } else if (next != me->id) {
    step_onto(threads[next]);
    threads[next]->fibre.take_over();
  }
}

static void thread_body() {
  for (;;) { // the fibre serves one block after another
    acquire(launch_order);
    after_previous_block();
    (*kernel_body)();
    before_next_block();
    Thread *me = current;
    ready.remove(me->id);
    me->line = 0;
    alive--;
    warps[me->id / 32].absent |= 1u << (me->id & 31);
    run_others(me, false);
  }
}

// ---- meetings

static void (*after_meeting)(int warp);

void observe_meetings(void (*of_warp)(int warp)) { after_meeting = of_warp; }

static void end_meeting(Thread *last, Warp &warp, unsigned mask, Combine combine) {
  if (after_meeting && (mask | warp.absent) == ~0u)
    after_meeting(last->id / 32);
  if (combine)
    combine({mask, warp.in, warp.argument, warp.out});
  ready.add_lanes(last->id & ~31, mask);
}

uint64_t warp_meet(const char *what, unsigned mask, uint64_t in, uint64_t argument, Combine combine, int line) {
  Thread *me = current;
  const int my_lane = me->id & 31;
  const unsigned my_bit = 1u << my_lane;
  Warp &warp = warps[me->id / 32];
  me->what = what, me->line = line, me->mask = mask;
  warp.in[my_lane] = in, warp.argument[my_lane] = argument;
  if (!(mask & my_bit))
    die("thread calls a _sync intrinsic but is not in its own mask");
  if (warp.absent & mask)
    die("mask names a lane that has exited or does not exist");
  Group &group = warp.groups[__builtin_ctz(mask)];
  if (!group.arrived)
    group = {mask, 0, what, new_order()};
  char *order = group.order;
  const bool orders_memory = combine == nullptr;
  if (orders_memory)
    release(order);
  ready.remove(me->id);
  if (group.mask != mask || !same_name(group.what, what))
    die("lanes of one warp meet in different _sync calls or with different masks");
  group.arrived |= my_bit;
  const bool all_met = group.arrived == mask;
  if (all_met) {
    group.arrived = 0;
    end_meeting(me, warp, mask, combine);
  }
  run_others(me, all_met);
  if (orders_memory)
    acquire(order);
  return warp.out[my_lane];
}

int block_meet(const char *what, bool predicate, int line) {
  Thread *me = current;
  me->what = what, me->line = line, me->mask = 0;
  if (barrier.arrived && (barrier.line != line || !same_name(barrier.what, what)))
    die("threads of one block meet in different __syncthreads calls");
  if (!barrier.arrived)
    barrier = {0, 0, line, what, new_order()};
  barrier.arrived++;
  barrier.votes += predicate;
  warps[me->id / 32].at_barrier |= 1u << (me->id & 31);
  ready.remove(me->id);
  char *order = barrier.order;
  release(order);
  run_others(me, false);
  acquire(order);
  return votes_of_last_barrier; // the next one needs this thread
}

// All lanes of a warp that has a lane at the barrier must be there: none has ended, none waits elsewhere.
static void check_whole_warps() {
  for (int i = 0; i < thread_count; i += 32) {
    const Warp &warp = warps[i / 32];
    if (warp.at_barrier && warp.at_barrier != warp.existing) {
      current = threads[i + __builtin_ctz(warp.at_barrier)];
      die("only a part of a warp reached __syncthreads (the rest has exited)");
    }
  }
}

static void open_block_barrier() {
  if (!barrier.arrived || barrier.arrived != alive) {
    current = nullptr;
    die("deadlock");
  }
  check_whole_warps();
  votes_of_last_barrier = barrier.votes;
  barrier.arrived = 0;
  for (int i = 0; i < thread_count; i += 32)
    if (after_meeting)
      after_meeting(i / 32);
  for (int i = 0; i < thread_count; i += 32) {
    ready.add_lanes(i, warps[i / 32].at_barrier);
    warps[i / 32].at_barrier = 0;
  }
}

// ---- a block

Place::Place() {
  const size_t page = 4096, bytes = (max_shared_bytes + page - 1) / page * page;
  // Never unmapped: for the race check addresses must differ between blocks.
  void *memory =
      mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    perror("simt: no memory for a block");
    abort();
  }
  shared_end = static_cast<unsigned char *>(memory) + bytes;
  mprotect(shared_end, page, PROT_NONE);
}

std::vector<void *> sanitizer_handles(const Place &place) {
  std::vector<void *> handles;
  for (const Thread *t : place.threads)
    handles.push_back(t->fibre.sanitizer_handle());
  return handles;
}

void free_stacks(const Place &place) {
  for (Thread *t : place.threads)
    t->fibre.free_stack();
}

static void seat_threads(Place &place) {
  thread_count = alive = static_cast<int>(block_size.x * block_size.y * block_size.z);
  while (static_cast<int>(place.threads.size()) < thread_count) {
    const int id = static_cast<int>(place.threads.size());
    char name[32];
    snprintf(name, sizeof name, "cuda thread %d", id);
    place.threads.push_back(new Thread(id, name));
  }
  threads = place.threads.data();
  for (int i = 0; i < thread_count; i++) {
    const unsigned n = static_cast<unsigned>(i);
    threads[i]->index = {n % block_size.x, n / block_size.x % block_size.y, n / (block_size.x * block_size.y)};
    threads[i]->line = 0;
  }
}

static void seat_warps() {
  for (int i = 0; i < thread_count; i += 32) {
    const int lanes = thread_count - i;
    Warp &warp = warps[i / 32];
    warp.existing = lanes >= 32 ? ~0u : ~(~0u << lanes);
    warp.absent = ~warp.existing;
    warp.at_barrier = 0;
    for (Group &group : warp.groups)
      group.arrived = 0;
  }
}

void run_block(Place &place, Index block, size_t shared_bytes, const std::function<void()> &kernel) {
  const size_t bytes = (shared_bytes + 15) & ~size_t{15};
  shared_end = place.shared_end;
  dynamic_shared = place.shared_end - bytes; // ends at the guard page
  memset(dynamic_shared, 0xFF, bytes);       // NaN
  block_index = block;
  kernel_body = &kernel;
  barrier = {};
  seat_threads(place);
  seat_warps();
  previous_block = this_block ? this_block : new_order();
  this_block = new_order();
  launch_order = new_order();
  release(launch_order);
  may_draw_again = options().order == Order::RANDOM;
  ready.start(static_cast<size_t>(thread_count));
  while (alive) {
    const int next = ready.first();
    if (next >= 0)
      run_thread(threads[next]);
    else
      open_block_barrier();
  }
  before_host();
  current = nullptr;
}

} // namespace simt
