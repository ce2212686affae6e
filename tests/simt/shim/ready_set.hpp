// SPDX-License-Identifier: BSD-3-Clause
// Which threads of a block may run, and which of them runs next: always the one of highest priority, until it
// blocks.  With SIMT_ORDER=fwd the first warp so runs ahead of all others as far as it can, with rev the last.
#pragma once
#include "draw.hpp"
#include <stdint.h>
#include <vector>

namespace simt {

class ReadySet {
public:
  static constexpr int max_threads = 1024;

  void draw_priorities(size_t threads) { // leaves the set empty
    thread_at_ = draw_order(threads);
    rank_of_.resize(threads);
    for (size_t i = 0; i < threads; i++)
      rank_of_[static_cast<size_t>(thread_at_[i])] = static_cast<int>(i);
    for (uint64_t &word : bits_)
      word = 0;
  }

  void add(int thread) { word(thread) |= bit(thread); }
  void remove(int thread) { word(thread) &= ~bit(thread); }

  int first() const { // -1 when no thread may run
    for (int i = 0; i < words; i++)
      if (bits_[i])
        return thread_at_[static_cast<size_t>(i * 64 + __builtin_ctzll(bits_[i]))];
    return -1;
  }

private:
  static constexpr int words = max_threads / 64;

  uint64_t &word(int thread) { return bits_[rank_of_[static_cast<size_t>(thread)] >> 6]; }
  uint64_t bit(int thread) const { return uint64_t{1} << (rank_of_[static_cast<size_t>(thread)] & 63); }

  std::vector<int> rank_of_, thread_at_;
  uint64_t bits_[words] = {};
};

} // namespace simt
