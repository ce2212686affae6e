// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"
#include "simt_core.hpp"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>

namespace simt {

static int number(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text && *text ? atoi(text) : otherwise;
}

static void read_skip(Options &o) {
  const char *text = getenv("SIMT_SKIP");
  if (!text || !*text)
    return;
  const char *colon = strrchr(text, ':');
  o.skip_line = colon ? atoi(colon + 1) : 0;
  if (o.skip_line <= 0) {
    fprintf(stderr, "simt: SIMT_SKIP is %s, must be <file>:<line>\n", text);
    abort();
  }
  static const std::string file(text, colon);
  o.skip_file = file.c_str();
}

static Options read() {
  Options o;
  const char *order = getenv("SIMT_ORDER");
  if (order && !strncmp(order, "rev", 3))
    o.order = Order::REVERSE;
  if (order && !strncmp(order, "rand", 4)) {
    o.order = Order::RANDOM;
    if (const char *seed = strchr(order, ':'))
      o.seed = static_cast<unsigned>(strtoul(seed + 1, nullptr, 10));
  }
  o.async = number("SIMT_ASYNC", 0) != 0;
  o.no_gpu = number("SIMT_NOGPU", 0) != 0;
  o.devices = number("SIMT_DEVICES", 1);
  const int most_kib = o.shared_kib;
  o.shared_kib = number("SIMT_SHARED_KIB", most_kib);
  if (o.shared_kib < 48 || o.shared_kib > most_kib)
    o.shared_kib = most_kib;
  o.blocks_apart = number("SIMT_XBLOCK", 0) != 0;
  read_skip(o);
  o.warn_shuffle = number("SIMT_WARN_SHFL", 1) != 0;
  return o;
}

const Options &options() {
  static const Options once = read();
  return once;
}

const int skipped_line = options().skip_line;

bool skipped_in(const char *file) {
  const char *slash = strrchr(file, '/');
  return !strcmp(slash ? slash + 1 : file, options().skip_file);
}

} // namespace simt
