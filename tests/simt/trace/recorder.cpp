// SPDX-License-Identifier: BSD-3-Clause
// Counts what the loads and stores of a kernel would cost the memory of a GPU.
//
// Kernels compiled with -fsanitize=thread call __tsan_read4(address) and its like before every access.  This file has
// those functions in place of the sanitizer's library.  The n-th visit of the lanes of a warp to one instruction since
// they last met is taken as one request of the warp, which is what a GPU would issue if the lanes ran in step.
//
// Shared memory has 32 banks of four bytes; a request takes as many wavefronts as the busiest bank has different words.
// Lanes that want 8 bytes are served in halves of the warp, 16 bytes in quarters.  Global memory is moved in sectors of
// 32 bytes.  (CUDA C++ Best Practices Guide, "Shared Memory and Memory Banks" and "Coalesced Access to Global Memory".)
// Ideal are as many wavefronts as the different bytes of the request fill, and as many sectors.
#include "recorder.h"
#include "device_memory.hpp"
#include "scheduler.hpp"
#include "simt_core.hpp"
#include <algorithm>
#include <array>
#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>
#include <map>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

enum class Space { SHARED, GLOBAL, OTHER };

struct Access {
  uintptr_t address;
  unsigned size;
};

struct Request {
  Space space;
  std::vector<Access> lanes; // in the order in which they came
  std::vector<uint8_t> lane;
};

struct Totals {
  unsigned long launches = 0, wavefronts = 0, ideal_wavefronts = 0, sectors = 0, ideal_sectors = 0, misaligned = 0;
};

struct Key {
  uintptr_t instruction;
  unsigned visit;
  bool operator==(const Key &k) const { return instruction == k.instruction && visit == k.visit; }
};
struct KeyHash {
  size_t operator()(const Key &k) const {
    return (k.instruction * 0x9E3779B97F4A7C15u) ^ (uintptr_t{k.visit} * 0xC2B2AE3D27D4EB4Fu);
  }
};

// Of the warps of the block that runs now, since their lanes last met.
struct Warp {
  std::unordered_map<Key, Request, KeyHash> requests;
  std::unordered_map<uintptr_t, std::array<unsigned, 32>> visits; // of an instruction, by lane
} warps[simt::max_block_threads / 32];

std::map<const void *, Totals> kernels; // by function
std::map<uintptr_t, Totals> instructions;
const void *kernel_now;

// Static __shared__ memory is thread-local in what the race check compiles: one block of memory of this thread.
uintptr_t tls_begin, tls_end;

int find_tls(struct dl_phdr_info *info, size_t, void *) {
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_TLS && info->dlpi_tls_data) {
      tls_begin = reinterpret_cast<uintptr_t>(info->dlpi_tls_data);
      tls_end = tls_begin + info->dlpi_phdr[i].p_memsz;
    }
  return 1; // the program is the first
}

Space space_of(uintptr_t address, unsigned size) {
  if (address >= reinterpret_cast<uintptr_t>(simt::dynamic_shared) &&
      address < reinterpret_cast<uintptr_t>(simt::shared_memory_end()))
    return Space::SHARED;
  if (!tls_end)
    dl_iterate_phdr(find_tls, nullptr);
  if (address >= tls_begin && address < tls_end)
    return Space::SHARED;
  return simt::is_device_range(reinterpret_cast<void *>(address), size) ? Space::GLOBAL : Space::OTHER;
}

// Different units of so many bytes that the accesses touch.
std::vector<uintptr_t> units(const std::vector<Access> &accesses, unsigned bytes) {
  std::vector<uintptr_t> all;
  for (const Access &a : accesses)
    for (uintptr_t u = a.address / bytes; u <= (a.address + a.size - 1) / bytes; u++)
      all.push_back(u);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

unsigned long wavefronts_of(const std::vector<Access> &accesses) {
  unsigned long banks[32] = {}, most = 0;
  for (uintptr_t word : units(accesses, 4))
    most = std::max(most, ++banks[word % 32]);
  return most;
}

void count_shared(const Request &request, Totals *to) {
  unsigned size = 0;
  for (const Access &a : request.lanes)
    size = std::max(size, a.size);
  const unsigned parts = size <= 4 ? 1 : size <= 8 ? 2 : 4, lanes = 32 / parts;
  std::vector<Access> part[4];
  for (size_t i = 0; i < request.lanes.size(); i++)
    part[request.lane[i] / lanes].push_back(request.lanes[i]);
  for (const std::vector<Access> &p : part)
    if (!p.empty())
      to->wavefronts += wavefronts_of(p);
  to->ideal_wavefronts += (units(request.lanes, 4).size() + 31) / 32;
}

void count_global(const Request &request, Totals *to) {
  to->sectors += units(request.lanes, 32).size();
  to->ideal_sectors += (units(request.lanes, 4).size() + 7) / 8;
}

void count(const Key &key, const Request &request) {
  for (Totals *to : {&kernels[kernel_now], &instructions[key.instruction]}) {
    for (const Access &a : request.lanes)
      to->misaligned += a.address % a.size != 0;
    if (request.space == Space::SHARED)
      count_shared(request, to);
    else
      count_global(request, to);
  }
}

void end_meeting(int number) {
  Warp &warp = warps[number];
  for (const auto &[key, request] : warp.requests)
    count(key, request);
  warp.requests.clear();
  warp.visits.clear();
}

void end_block() {
  for (int w = 0; w < static_cast<int>(simt::max_block_threads / 32); w++)
    end_meeting(w);
}

unsigned thread_number() {
  return simt::thread_index.x + simt::block_size.x * (simt::thread_index.y + simt::block_size.y * simt::thread_index.z);
}

void record(const void *p, unsigned size, const void *instruction) {
  if (!simt::in_kernel())
    return;
  const uintptr_t address = reinterpret_cast<uintptr_t>(p);
  const Space space = space_of(address, size);
  if (space == Space::OTHER) // registers and local memory, which nvcc places in its own way
    return;
  const unsigned thread = thread_number(), lane = thread % 32;
  const uintptr_t at = reinterpret_cast<uintptr_t>(instruction);
  Warp &warp = warps[thread / 32];
  const Key key = {at, warp.visits[at][lane]++};
  Request &request = warp.requests[key];
  request.space = space;
  request.lanes.push_back({address, size});
  request.lane.push_back(static_cast<uint8_t>(lane));
  if (request.lanes.size() == 32) { // keeps the memory of a long kernel bounded
    count(key, request);
    warp.requests.erase(key);
  }
}

std::string name_of(const void *function) {
  Dl_info info;
  if (!dladdr(function, &info) || !info.dli_sname)
    return "?";
  int status = 0;
  char *plain = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  std::string name = plain ? plain : info.dli_sname;
  free(plain);
  const size_t kernel = name.find("_kernel<"), start = name.rfind(' ', kernel == std::string::npos ? 0 : kernel);
  const size_t end = name.find('(', kernel == std::string::npos ? 0 : kernel);
  name = name.substr(start == std::string::npos ? 0 : start + 1, end - (start == std::string::npos ? 0 : start + 1));
  const size_t word = name.find("_kernel");
  return word == std::string::npos ? name : name.erase(word, strlen("_kernel"));
}

void before_launch(const void *function) {
  kernel_now = function;
  kernels[function].launches++;
}

} // namespace

void recorder_start(void) {
  kernels.clear();
  instructions.clear();
  simt::observe_blocks(before_launch, end_block);
  simt::observe_meetings(end_meeting);
}

void recorder_print(const char *problem) {
  std::map<std::string, Totals> sorted;
  for (const auto &[function, totals] : kernels)
    sorted[name_of(function)] = totals;
  for (const auto &[name, t] : sorted)
    printf("%s\t%s\t%lu\t%lu\t%lu\t%lu\t%lu\t%lu\n", problem, name.c_str(), t.launches, t.wavefronts,
           t.ideal_wavefronts, t.sectors, t.ideal_sectors, t.misaligned);
}

void recorder_print_instructions(void) {
  for (const auto &[instruction, t] : instructions)
    if (t.wavefronts > t.ideal_wavefronts || t.sectors > t.ideal_sectors) {
      Dl_info info;
      const uintptr_t base =
          dladdr(reinterpret_cast<void *>(instruction), &info) ? reinterpret_cast<uintptr_t>(info.dli_fbase) : 0;
      printf("0x%lx\t%lu\t%lu\t%lu\t%lu\n", static_cast<unsigned long>(instruction - base), t.wavefronts,
             t.ideal_wavefronts, t.sectors, t.ideal_sectors);
    }
}

// ---- what the compiler calls

#define RETURN_ADDRESS __builtin_return_address(0)
#define ACCESS(size)                                                                                                   \
  extern "C" void __tsan_read##size(void *p) { record(p, size, RETURN_ADDRESS); }                                      \
  extern "C" void __tsan_write##size(void *p) { record(p, size, RETURN_ADDRESS); }                                     \
  extern "C" void __tsan_unaligned_read##size(void *p) { record(p, size, RETURN_ADDRESS); }                            \
  extern "C" void __tsan_unaligned_write##size(void *p) { record(p, size, RETURN_ADDRESS); }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void *) {}
extern "C" void __tsan_func_exit() {}
// Copies of whole structs: arguments, in local memory.
extern "C" void __tsan_read_range(void *, unsigned long) {}
extern "C" void __tsan_write_range(void *, unsigned long) {}

#define ATOMIC(bits, type)                                                                                             \
  extern "C" type __tsan_atomic##bits##_load(const volatile type *p, int) {                                            \
    record(const_cast<const type *>(p), (bits) / 8, RETURN_ADDRESS);                                                   \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                                       \
  }                                                                                                                    \
  extern "C" int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *expected, type desired, int,    \
                                                               int) {                                                  \
    record(const_cast<const type *>(p), (bits) / 8, RETURN_ADDRESS);                                                   \
    return __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);               \
  }
ATOMIC(32, int)
ATOMIC(64, long)
