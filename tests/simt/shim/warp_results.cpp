// SPDX-License-Identifier: BSD-3-Clause
// What the lanes of a warp take away from an intrinsic in which they have met.
#include "scheduler.hpp"
#include <string.h>

namespace simt {

template <class F> static void each_lane(unsigned mask, F f) {
  for (; mask; mask &= mask - 1)
    f(__builtin_ctz(mask));
}

static void same_for_all(const Meeting &meeting, uint64_t result) {
  each_lane(meeting.mask, [&](int i) { meeting.out[i] = result; });
}

void combine_ballot(const Meeting &meeting) {
  uint64_t votes = 0;
  each_lane(meeting.mask, [&](int i) { votes |= meeting.in[i] << i; });
  same_for_all(meeting, votes);
}

void combine_match_any(const Meeting &meeting) {
  each_lane(meeting.mask, [&](int me) {
    uint64_t same = 0;
    each_lane(meeting.mask, [&](int i) { same |= static_cast<uint64_t>(meeting.in[i] == meeting.in[me]) << i; });
    meeting.out[me] = same;
  });
}

// ---- shuffles

// A source outside the segment means the lane's own value.
static int shuffle_source(int me, uint64_t argument) {
  const int kind = argument & 255, width = argument >> 8 & 255, distance = static_cast<int>(argument >> 16);
  const int base = me & ~(width - 1), relative = me - base;
  switch (kind) {
  case SHUFFLE_INDEX: return base + (distance & (width - 1));
  case SHUFFLE_UP: return relative - distance < 0 ? me : me - distance;
  case SHUFFLE_DOWN: return relative + distance >= width ? me : me + distance;
  default: return (me ^ distance) >= base + width ? me : (me ^ distance);
  }
}

void combine_shuffle(const Meeting &meeting) {
  each_lane(meeting.mask, [&](int i) {
    const int source = shuffle_source(i, meeting.argument[i]);
    meeting.out[i] = meeting.mask >> source & 1 ? meeting.in[source] : lane_outside_mask(meeting.mask, i, source);
  });
}

// ---- reductions

template <class T> static T from_bits(uint64_t bits) {
  T value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T> static uint64_t to_bits(T value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class T, class F> static void fold(const Meeting &meeting, F f) {
  T sum = from_bits<T>(meeting.in[__builtin_ctz(meeting.mask)]);
  each_lane(meeting.mask & (meeting.mask - 1), [&](int i) { sum = f(sum, from_bits<T>(meeting.in[i])); });
  same_for_all(meeting, to_bits(sum));
}

void combine_add(const Meeting &meeting) {
  fold<unsigned>(meeting, [](unsigned a, unsigned b) { return a + b; });
}
void combine_or(const Meeting &meeting) {
  fold<unsigned>(meeting, [](unsigned a, unsigned b) { return a | b; });
}
void combine_and(const Meeting &meeting) {
  fold<unsigned>(meeting, [](unsigned a, unsigned b) { return a & b; });
}

template <class T> void combine_min(const Meeting &meeting) {
  fold<T>(meeting, [](T a, T b) { return b < a ? b : a; });
}
template <class T> void combine_max(const Meeting &meeting) {
  fold<T>(meeting, [](T a, T b) { return a < b ? b : a; });
}

template void combine_min<int>(const Meeting &);
template void combine_min<unsigned>(const Meeting &);
template void combine_max<int>(const Meeting &);
template void combine_max<unsigned>(const Meeting &);

} // namespace simt
