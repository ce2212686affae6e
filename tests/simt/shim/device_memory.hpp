// SPDX-License-Identifier: BSD-3-Clause
// Device memory: filled with NaN, and ending at a guard page.  Address sanitizer builds take it from malloc,
// for its red zones.
#pragma once
#include <stddef.h>

namespace simt {

void *allocate(size_t bytes, int device); // null when there is none
bool deallocate(void *p);                 // false: not the start of an allocation
bool is_device_range(const void *p, size_t bytes);
int device_of(const void *p); // -1 for memory of the host
size_t allocation_count();

// While a kernel runs, memory of other devices cannot be touched.
class OthersHidden {
public:
  explicit OthersHidden(int device) : device_(device) { protect(true); }
  ~OthersHidden() { protect(false); }
  OthersHidden(const OthersHidden &) = delete;
  OthersHidden &operator=(const OthersHidden &) = delete;

private:
  void protect(bool hide);
  int device_;
};

} // namespace simt
