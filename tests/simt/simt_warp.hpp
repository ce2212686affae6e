// SPDX-License-Identifier: BSD-3-Clause
// Barriers, votes, shuffles, matches and reductions.  Each takes the caller's line by default argument, so
// that a report can name it.  No intrinsic but a barrier orders memory, as in the CUDA programming guide.
#pragma once

#define SIMT_LINE int line = __builtin_LINE()
#define SIMT_FILE const char *file = __builtin_FILE()

// ---- block barriers

inline void __syncthreads(SIMT_LINE, SIMT_FILE) {
  if (!simt::skipped(file, line))
    simt::block_meet("__syncthreads", false, line);
}
inline int __syncthreads_count(int p, SIMT_LINE) { return simt::block_meet("__syncthreads_count", p != 0, line); }
inline int __syncthreads_or(int p, SIMT_LINE) { return simt::block_meet("__syncthreads_or", p != 0, line) != 0; }
inline int __syncthreads_and(int p, SIMT_LINE) { return simt::block_meet("__syncthreads_and", p == 0, line) == 0; }
inline void __threadfence() {} // the scheduler changes threads only where they meet
inline void __threadfence_block() {}

// ---- warp barrier and votes

inline void __syncwarp(unsigned mask = ~0u, SIMT_LINE, SIMT_FILE) {
  if (!simt::skipped(file, line))
    simt::warp_meet("__syncwarp", mask, 0, 0, nullptr, line);
}

// The worst answer that a GPU may give: this lane alone.
inline unsigned __activemask() { return 1u << simt::lane(); }

namespace simt {

template <class T> uint64_t to_bits(T value) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class T> T from_bits(uint64_t bits) {
  T value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

} // namespace simt

inline unsigned __ballot_sync(unsigned mask, int p, SIMT_LINE) {
  return static_cast<unsigned>(simt::warp_meet("__ballot_sync", mask, p != 0, 0, simt::combine_ballot, line));
}
inline int __any_sync(unsigned mask, int p, SIMT_LINE) {
  return simt::warp_meet("__any_sync", mask, p != 0, 0, simt::combine_ballot, line) != 0;
}
inline int __all_sync(unsigned mask, int p, SIMT_LINE) {
  return simt::warp_meet("__all_sync", mask, p != 0, 0, simt::combine_ballot, line) == mask;
}

// ---- shuffles

namespace simt {

template <class T>
T shuffle(const char *what, Shuffle kind, unsigned mask, T value, unsigned distance, int width, int line) {
  const uint64_t argument =
      static_cast<uint64_t>(kind) | static_cast<uint64_t>(width) << 8 | static_cast<uint64_t>(distance & 31) << 16;
  return from_bits<T>(warp_meet(what, mask, to_bits(value), argument, combine_shuffle, line));
}

} // namespace simt

template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_LINE) {
  return simt::shuffle("__shfl_sync", simt::SHUFFLE_INDEX, mask, value, static_cast<unsigned>(source), width, line);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, SIMT_LINE) {
  return simt::shuffle("__shfl_up_sync", simt::SHUFFLE_UP, mask, value, by, width, line);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, SIMT_LINE) {
  return simt::shuffle("__shfl_down_sync", simt::SHUFFLE_DOWN, mask, value, by, width, line);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, SIMT_LINE) {
  return simt::shuffle("__shfl_xor_sync", simt::SHUFFLE_XOR, mask, value, static_cast<unsigned>(by), width, line);
}

// ---- matches

template <class T> unsigned __match_any_sync(unsigned mask, T value, SIMT_LINE) {
  return static_cast<unsigned>(
      simt::warp_meet("__match_any_sync", mask, simt::to_bits(value), 0, simt::combine_match_any, line));
}
template <class T> unsigned __match_all_sync(unsigned mask, T value, int *same, SIMT_LINE) {
  *same = simt::warp_meet("__match_all_sync", mask, simt::to_bits(value), 0, simt::combine_match_any, line) == mask;
  return *same ? mask : 0;
}

// ---- reductions of int and unsigned

namespace simt {

template <class T> T reduce(const char *what, unsigned mask, T value, Combine combine, int line) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>, "as on a GPU: int or unsigned");
  return from_bits<T>(warp_meet(what, mask, to_bits(value), 0, combine, line));
}

} // namespace simt

template <class T> T __reduce_add_sync(unsigned mask, T value, SIMT_LINE) {
  return simt::reduce("__reduce_add_sync", mask, value, simt::combine_add, line);
}
template <class T> T __reduce_min_sync(unsigned mask, T value, SIMT_LINE) {
  return simt::reduce("__reduce_min_sync", mask, value, simt::combine_min<T>, line);
}
template <class T> T __reduce_max_sync(unsigned mask, T value, SIMT_LINE) {
  return simt::reduce("__reduce_max_sync", mask, value, simt::combine_max<T>, line);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, SIMT_LINE) {
  return simt::reduce("__reduce_or_sync", mask, value, simt::combine_or, line);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, SIMT_LINE) {
  return simt::reduce("__reduce_and_sync", mask, value, simt::combine_and, line);
}
