// SPDX-License-Identifier: BSD-3-Clause
#include "draw.hpp"
#include "options.hpp"
#include <algorithm>
#include <numeric>
#include <random>

namespace simt {

static std::mt19937 &generator() {
  static std::mt19937 once(options().seed);
  return once;
}

std::vector<int> draw_order(size_t n) {
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  if (options().order == Order::REVERSE)
    std::reverse(order.begin(), order.end());
  if (options().order == Order::RANDOM)
    std::shuffle(order.begin(), order.end(), generator());
  return order;
}

size_t draw_one(size_t n) {
  switch (options().order) {
  case Order::FORWARD: return 0;
  case Order::REVERSE: return n - 1;
  default: return generator()() % n;
  }
}

bool draw_rarely() { return options().order == Order::RANDOM && generator()() % 97 == 0; }

} // namespace simt
