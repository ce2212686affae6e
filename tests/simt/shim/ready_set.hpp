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

  void start(size_t threads) { // all of them may run
    draw(threads);
    for (int i = 0; i < static_cast<int>(threads); i++)
      add(i);
  }

  void draw_again() { // other priorities for the same threads
    std::vector<int> members;
    for (int i = 0; i < static_cast<int>(thread_at_.size()); i++)
      if (has(i))
        members.push_back(i);
    draw(thread_at_.size());
    for (int i : members)
      add(i);
  }

  bool has(int thread) const { return bits_[word(thread)] & bit(thread); }
  void add(int thread) { bits_[word(thread)] |= bit(thread); }
  void remove(int thread) { bits_[word(thread)] &= ~bit(thread); }
  void add_lanes(int first_of_warp, unsigned mask) {
    if (in_order_)
      bits_[first_of_warp >> 6] |= uint64_t{mask} << (first_of_warp & 63);
    else
      for (; mask; mask &= mask - 1)
      add(first_of_warp + __builtin_ctz(mask));
  }

  int first() const { // -1 when no thread may run
    for (size_t i = 0; i * 64 < thread_at_.size(); i++)
      if (bits_[i])
        return thread_at_[i * 64 + static_cast<size_t>(__builtin_ctzll(bits_[i]))];
    return -1;
  }

  // first(), where no thread of a higher priority than this one may run.  The guess is mostly right, and the processor need
  // not wait for the search.
  int first_after(int thread) const {
    const size_t next = static_cast<size_t>(rank_of_[static_cast<size_t>(thread)]) + 1;
    return next < thread_at_.size() && bits_[next >> 6] >> (next & 63) & 1 ? thread_at_[next] : first();
  }

private:
  void draw(size_t threads) { // leaves the set empty
    thread_at_ = draw_order(threads);
    rank_of_.resize(threads);
    in_order_ = true;
    for (size_t i = 0; i < threads; i++) {
      rank_of_[static_cast<size_t>(thread_at_[i])] = static_cast<int>(i);
      in_order_ &= thread_at_[i] == static_cast<int>(i);
    }
    for (uint64_t &word : bits_)
      word = 0;
  }

  size_t word(int thread) const { return static_cast<size_t>(rank_of_[static_cast<size_t>(thread)] >> 6); }
  uint64_t bit(int thread) const { return uint64_t{1} << (rank_of_[static_cast<size_t>(thread)] & 63); }

  std::vector<int> rank_of_, thread_at_;
  bool in_order_ = true; // the rank of every thread is its number
  uint64_t bits_[max_threads / 64] = {};
};

} // namespace simt
