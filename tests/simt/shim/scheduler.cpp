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

enum class State { READY, AT_BLOCK_BARRIER, IN_WARP, ENDED };

static void thread_body();

struct Thread {
  explicit Thread(int number, const char *name) : id(number), fibre(thread_body, name) {}
  int id;
  Fibre fibre;
  State state = State::ENDED;
  Index index = {};
  const char *what = ""; // the intrinsic it waits in, and where
  int line = 0;
  unsigned mask = 0;
  uint64_t in = 0, argument = 0, out = 0; // what it brought and what it takes away
};

// Lanes of one warp that wait in the same call, kept under the lowest lane of its mask.
struct Group {
  unsigned mask, arrived;
  const char *what;
  char *order;
};
struct Warp {
  Group groups[32];
  unsigned absent; // lanes that have ended or never were
};

// The block that runs now.
static std::vector<Thread *> *threads;
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
static unsigned long switches;

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

static const char *describe(const Thread &t) { return t.state == State::READY ? "running" : t.what; }

// Names of intrinsics: nearly always the same literal.
static bool same_name(const char *a, const char *b) { return a == b || !strcmp(a, b); }

[[noreturn]] static void die(const char *message) {
  fprintf(stderr, "simt: %s; block (%u,%u,%u) of kernel\n", message, block_index.x, block_index.y, block_index.z);
  int shown = 0;
  for (int i = 0; i < thread_count && shown < 40; i++) {
    const Thread &t = *(*threads)[static_cast<size_t>(i)];
    if (t.state == State::ENDED && &t != current)
      continue;
    fprintf(stderr, "  thread %d: %s line %d mask %08x%s\n", i, describe(t), t.line, t.mask,
            &t == current ? " <- here" : "");
    shown++;
  }
  abort();
}

int lane() { return current->id & 31; }

uint64_t lane_outside_mask(unsigned mask, int source) {
  if (options().warn_shuffle)
    fprintf(stderr, "simt: thread %d reads lane %d which is not in mask %08x (line %d)\n", current->id, source, mask,
            current->line);
  return 0x7ff7dead7fb7deadull; // a NaN as a double and, its lower half, as a float
}

// ---- one thread

static void make_ready(Thread *t) {
  t->state = State::READY;
  ready.add(t->id);
}

static void wait_as(Thread *t, State state) {
  t->state = state;
  ready.remove(t->id);
}

static void run_thread(Thread *t) {
  current = t;
  thread_index = t->index;
  switches++;
  t->fibre.resume();
}

static void thread_body() {
  for (;;) { // the fibre serves one block after another
    acquire(launch_order);
    after_previous_block();
    (*kernel_body)();
    before_next_block();
    wait_as(current, State::ENDED);
    current->line = 0;
    alive--;
    warps[current->id / 32].absent |= 1u << (current->id & 31);
    Fibre::suspend();
  }
}

// ---- meetings

static void (*after_meeting)(int warp);

void observe_meetings(void (*of_warp)(int warp)) { after_meeting = of_warp; }

static void give_results(int first_thread, unsigned mask, Combine combine) {
  uint64_t in[32] = {};
  for (int i = 0; i < 32; i++)
    if (combine && (mask >> i & 1))
      in[i] = (*threads)[static_cast<size_t>(first_thread + i)]->in;
  for (int i = 0; i < 32; i++)
    if (mask >> i & 1) {
      Thread *t = (*threads)[static_cast<size_t>(first_thread + i)];
      if (combine) {
        current = t; // for the report of a lane outside the mask
        t->out = combine(in, mask, i, t->argument);
      }
      make_ready(t);
    }
}

uint64_t warp_meet(const char *what, unsigned mask, uint64_t in, uint64_t argument, Combine combine, int line) {
  Thread *me = current;
  const unsigned my_bit = 1u << (me->id & 31);
  Warp &warp = warps[me->id / 32];
  me->what = what, me->line = line, me->mask = mask, me->in = in, me->argument = argument;
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
  wait_as(me, State::IN_WARP);
  if (group.mask != mask || !same_name(group.what, what))
    die("lanes of one warp meet in different _sync calls or with different masks");
  group.arrived |= my_bit;
  if (group.arrived == mask) {
    group.arrived = 0;
    if (after_meeting && (mask | warp.absent) == ~0u)
      after_meeting(me->id / 32);
    give_results(me->id & ~31, mask, combine);
  }
  Fibre::suspend();
  if (orders_memory)
    acquire(order);
  return me->out;
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
  wait_as(me, State::AT_BLOCK_BARRIER);
  char *order = barrier.order;
  release(order);
  Fibre::suspend();
  acquire(order);
  return static_cast<int>(me->out);
}

static void open_block_barrier() {
  if (!barrier.arrived || barrier.arrived != alive) {
    current = nullptr;
    die("deadlock");
  }
  for (size_t i = 0; i < static_cast<size_t>(thread_count); i++) {
    Thread *t = (*threads)[i], *first_of_warp = (*threads)[i & ~size_t{31}];
    if ((t->state == State::AT_BLOCK_BARRIER) != (first_of_warp->state == State::AT_BLOCK_BARRIER)) {
      current = t;
      die("only a part of a warp reached __syncthreads (the rest has exited)");
    }
    t->out = static_cast<uint64_t>(barrier.votes);
  }
  barrier.arrived = 0;
  for (int i = 0; i < thread_count; i += 32)
    if (after_meeting)
      after_meeting(i / 32);
  for (int i = 0; i < thread_count; i++)
    if ((*threads)[static_cast<size_t>(i)]->state == State::AT_BLOCK_BARRIER)
      make_ready((*threads)[static_cast<size_t>(i)]);
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

static void seat_threads(Place &place) {
  thread_count = alive = static_cast<int>(block_size.x * block_size.y * block_size.z);
  threads = &place.threads;
  while (static_cast<int>(threads->size()) < thread_count) {
    const int id = static_cast<int>(threads->size());
    char name[32];
    snprintf(name, sizeof name, "cuda thread %d", id);
    threads->push_back(new Thread(id, name));
  }
  for (int i = 0; i < thread_count; i++) {
    Thread *t = (*threads)[static_cast<size_t>(i)];
    const unsigned n = static_cast<unsigned>(i);
    t->index = {n % block_size.x, n / block_size.x % block_size.y, n / (block_size.x * block_size.y)};
    t->state = State::READY;
    t->line = 0;
  }
  for (int w = 0; w < ReadySet::max_threads / 32; w++) {
    const int lanes = thread_count - w * 32;
    warps[w] = {};
    warps[w].absent = lanes >= 32 ? 0 : lanes <= 0 ? ~0u : ~0u << lanes;
  }
}

static void draw_priorities() {
  ready.draw_priorities(static_cast<size_t>(thread_count));
  for (int i = 0; i < thread_count; i++)
    if ((*threads)[static_cast<size_t>(i)]->state == State::READY)
      ready.add(i);
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
  previous_block = this_block ? this_block : new_order();
  this_block = new_order();
  launch_order = new_order();
  release(launch_order);
  draw_priorities();
  while (alive) {
    if (draw_rarely())
      draw_priorities();
    const int next = ready.first();
    if (next >= 0)
      run_thread((*threads)[static_cast<size_t>(next)]);
    else
      open_block_barrier();
  }
  before_host();
  current = nullptr;
}

} // namespace simt
