// SPDX-License-Identifier: BSD-3-Clause
#include "device_memory.hpp"
#include "options.hpp"
#include <map>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

namespace simt {

struct Allocation {
  size_t bytes;
  int device;
  void *pages; // without the guard page
  size_t page_bytes;
};

static std::map<const char *, Allocation> &allocations() {
  static auto &all = *new std::map<const char *, Allocation>; // lives as long as the process
  return all;
}

static const size_t alignment = 256;

#ifdef SIMT_ASAN
static void *take(size_t bytes, Allocation *) {
  void *p = nullptr;
  return posix_memalign(&p, alignment, bytes) ? nullptr : p;
}
static void give(void *p, const Allocation &) { free(p); }
#else
static const size_t page = 4096;
static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
static void *take(size_t bytes, Allocation *a) {
  a->page_bytes = round_up(bytes, page);
  a->pages =
      mmap(nullptr, a->page_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (a->pages == MAP_FAILED)
    return nullptr;
  char *end = static_cast<char *>(a->pages) + a->page_bytes;
  mprotect(end, page, PROT_NONE);
  return end - round_up(bytes, alignment);
}
static void give(void *, const Allocation &a) { munmap(a.pages, a.page_bytes + page); }
#endif

void *allocate(size_t bytes, int device) {
  if (bytes > SIZE_MAX / 2)
    return nullptr;
  Allocation a = {bytes, device, nullptr, 0};
  void *p = take(bytes, &a);
  if (!p)
    return nullptr;
  memset(p, 0xFF, bytes);
  allocations()[static_cast<const char *>(p)] = a;
  return p;
}

bool deallocate(void *p) {
  auto at = allocations().find(static_cast<const char *>(p));
  if (at == allocations().end())
    return false;
  give(p, at->second);
  allocations().erase(at);
  return true;
}

// The allocation that holds the address, or null.
static const Allocation *find(const void *p, const char **start) {
  auto at = allocations().upper_bound(static_cast<const char *>(p));
  if (at == allocations().begin())
    return nullptr;
  --at;
  *start = at->first;
  return static_cast<const char *>(p) < at->first + at->second.bytes ? &at->second : nullptr;
}

bool is_device_range(const void *p, size_t bytes) {
  const char *start;
  const Allocation *a = find(p, &start);
  return a && static_cast<const char *>(p) + bytes <= start + a->bytes;
}

int device_of(const void *p) {
  const char *start;
  const Allocation *a = find(p, &start);
  return a ? a->device : -1;
}

size_t allocation_count() { return allocations().size(); }

void OthersHidden::protect([[maybe_unused]] bool hide) {
#ifndef SIMT_ASAN
  if (options().devices < 2)
    return;
  for (const auto &[p, a] : allocations())
    if (a.device != device_)
      mprotect(a.pages, a.page_bytes, hide ? PROT_NONE : PROT_READ | PROT_WRITE);
#endif
}

} // namespace simt
