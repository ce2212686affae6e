// SPDX-License-Identifier: BSD-3-Clause
// Counts the calls that stream-ordered code must not make (simt_test.h).
#include "runtime.hpp"
#include "simt_test.h"
#include <map>
#include <stdio.h>
#include <string>

namespace simt {

static bool watching;
static std::map<std::string, int> &seen() {
  static auto &calls = *new std::map<std::string, int>;
  return calls;
}

void note_forbidden(const char *name) {
  if (watching)
    seen()[name]++;
}

void note_if_default(const StreamPointer &stream, const char *name) {
  if (stream && stream->legacy)
    note_forbidden(name);
}

} // namespace simt

using namespace simt;

extern "C" void simt_forbidden_begin(void) {
  Call call;
  seen().clear();
  watching = true;
}

extern "C" int simt_forbidden_end(void) {
  Call call;
  watching = false;
  int total = 0;
  for (const auto &[name, count] : seen()) {
    fprintf(stderr, "simt: forbidden call: %s (%d times)\n", name.c_str(), count);
    total += count;
  }
  return total;
}
