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

template <class F> void each_lane(unsigned mask, F f) {
  for (int i = 0; i < 32; i++)
    if (mask >> i & 1)
      f(i);
}

inline uint64_t combine_ballot(const uint64_t *in, unsigned mask, int, uint64_t) {
  uint64_t votes = 0;
  each_lane(mask, [&](int i) { votes |= in[i] << i; });
  return votes;
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

enum Shuffle { SHUFFLE_INDEX, SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_XOR };

// argument: kind | width << 8 | distance << 16.  A source outside the segment means the lane's own value.
inline uint64_t combine_shuffle(const uint64_t *in, unsigned mask, int me, uint64_t argument) {
  const int kind = argument & 255, width = argument >> 8 & 255, distance = static_cast<int>(argument >> 16);
  const int base = me & ~(width - 1), relative = me - base;
  int source = me;
  switch (kind) {
  case SHUFFLE_INDEX: source = base + (distance & (width - 1)); break;
  case SHUFFLE_UP: source = relative - distance < 0 ? me : me - distance; break;
  case SHUFFLE_DOWN: source = relative + distance >= width ? me : me + distance; break;
  default: source = (me ^ distance) >= base + width ? me : (me ^ distance);
  }
  return mask >> source & 1 ? in[source] : lane_outside_mask(mask, source);
}

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

namespace simt {

inline uint64_t combine_match_any(const uint64_t *in, unsigned mask, int me, uint64_t) {
  uint64_t same = 0;
  each_lane(mask, [&](int i) { same |= static_cast<uint64_t>(in[i] == in[me]) << i; });
  return same;
}

} // namespace simt

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

template <class T, class F> uint64_t fold(const uint64_t *in, unsigned mask, F f) {
  T sum = from_bits<T>(in[__builtin_ctz(mask)]);
  each_lane(mask & (mask - 1), [&](int i) { sum = f(sum, from_bits<T>(in[i])); });
  return to_bits(sum);
}

template <class T> T reduce(const char *what, unsigned mask, T value, Combine combine, int line) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>, "as on a GPU: int or unsigned");
  return from_bits<T>(warp_meet(what, mask, to_bits(value), 0, combine, line));
}

} // namespace simt

// Sums wrap around: they are taken as unsigned.
template <class T> T __reduce_add_sync(unsigned mask, T value, SIMT_LINE) {
  return simt::reduce(
      "__reduce_add_sync", mask, value,
      [](const uint64_t *in, unsigned lanes, int, uint64_t) {
        return simt::fold<unsigned>(in, lanes, [](unsigned a, unsigned b) { return a + b; });
      },
      line);
}
template <class T> T __reduce_min_sync(unsigned mask, T value, SIMT_LINE) {
  return simt::reduce(
      "__reduce_min_sync", mask, value,
      [](const uint64_t *in, unsigned lanes, int, uint64_t) {
        return simt::fold<T>(in, lanes, [](T a, T b) { return b < a ? b : a; });
      },
      line);
}
template <class T> T __reduce_max_sync(unsigned mask, T value, SIMT_LINE) {
  return simt::reduce(
      "__reduce_max_sync", mask, value,
      [](const uint64_t *in, unsigned lanes, int, uint64_t) {
        return simt::fold<T>(in, lanes, [](T a, T b) { return a < b ? b : a; });
      },
      line);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, SIMT_LINE) {
  return simt::reduce(
      "__reduce_or_sync", mask, value,
      [](const uint64_t *in, unsigned lanes, int, uint64_t) {
        return simt::fold<unsigned>(in, lanes, [](unsigned a, unsigned b) { return a | b; });
      },
      line);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, SIMT_LINE) {
  return simt::reduce(
      "__reduce_and_sync", mask, value,
      [](const uint64_t *in, unsigned lanes, int, uint64_t) {
        return simt::fold<unsigned>(in, lanes, [](unsigned a, unsigned b) { return a & b; });
      },
      line);
}
