// SPDX-License-Identifier: BSD-3-Clause
// What translated PTX calls: memory that is checked, meetings of threads, arithmetic with corners.
#pragma once
#include "simt_core.hpp"
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>

namespace simt {
const void *shared_memory_end(); // of the dynamic one
} // namespace simt

namespace ptx {

template <int BYTES> struct alignas(8) parameter { // of a kernel, as the caller lays it out
  static_assert(BYTES > 16, "smaller ones may come in registers");
  unsigned char at[BYTES];
};

template <class To, class From> To bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "a change of type, not of width");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// ---- memory

[[noreturn]] inline void fault(const char *what, const char *where, uint64_t address) {
  fprintf(stderr, "ptx: %s: %s, address 0x%llx; thread (%u,%u,%u) of block (%u,%u,%u)\n", where, what,
          static_cast<unsigned long long>(address), simt::thread_index.x, simt::thread_index.y, simt::thread_index.z,
          simt::block_index.x, simt::block_index.y, simt::block_index.z);
  abort();
}

// Global and local memory, and generic addresses; `bytes` of all of the vector, which must be aligned to as many.
inline unsigned char *memory(uint64_t address, unsigned bytes, const char *where) {
  if (__builtin_expect(address % bytes != 0, 0))
    fault("misaligned", where, address);
  return reinterpret_cast<unsigned char *>(address);
}

// A variable in shared memory.  Its address there is (place in the table + 1) << 24, plus its alignment: as little
// aligned as the declaration allows, and far from all others.
constexpr uint32_t dynamic = ~0u; // bytes of dynamic shared memory
struct variable {
  unsigned char *data;
  uint32_t bytes, align;
};

inline unsigned char *in_shared(const variable *table, uint64_t address, unsigned bytes, const char *where) {
  const variable &v = table[((address >> 24) - 1) & 255];
  const uint32_t offset = (address & 0xffffff) - v.align;
  unsigned char *const data = v.bytes == dynamic ? simt::dynamic_shared : v.data;
  const uint32_t end =
      v.bytes == dynamic ? static_cast<const unsigned char *>(simt::shared_memory_end()) - data : v.bytes;
  if (__builtin_expect(offset > end || end - offset < bytes, 0))
    fault("outside of the variable in shared memory", where, address);
  return data + offset;
}

inline unsigned char *shared(const variable *table, uint64_t address, unsigned bytes, const char *where) {
  if (__builtin_expect(address % bytes != 0, 0))
    fault("misaligned in shared memory", where, address);
  return in_shared(table, address, bytes, where);
}

// ---- where threads meet

// c: 32 - width of a segment in the second byte; in the first the last lane of it, or the first one for `up`.
inline uint32_t shuffle(const char *what, simt::Shuffle kind, uint32_t value, uint32_t b, uint32_t c, uint32_t mask,
                        int line) {
  if ((c & 31) != (kind == simt::SHUFFLE_UP ? 0u : 31u))
    fault("a shuffle that ends within its segment", what, c);
  const uint64_t width = 32 - (c >> 8 & 31);
  const uint64_t argument = static_cast<uint64_t>(kind) | width << 8 | static_cast<uint64_t>(b & 31) << 16;
  return static_cast<uint32_t>(simt::warp_meet(what, mask, value, argument, simt::combine_shuffle, line));
}

inline uint32_t ballot(const char *what, bool p, uint32_t mask, int line) {
  return static_cast<uint32_t>(simt::warp_meet(what, mask, p, 0, simt::combine_ballot, line));
}

// ---- integers

// By zero: PTX leaves open what comes out.
template <class T> T quotient(T a, T b) {
  return b == 0 ? static_cast<T>(-1) : std::is_signed_v<T> && b == static_cast<T>(-1) ? static_cast<T>(0u - a) : a / b;
}
template <class T> T remainder(T a, T b) {
  return b == 0 ? a : std::is_signed_v<T> && b == static_cast<T>(-1) ? 0 : a % b;
}
template <class T> T shifted_left(T a, uint32_t by) { return by < 8 * sizeof(T) ? static_cast<T>(a << by) : 0; }
template <class T> T shifted_right(T a, uint32_t by) {
  return static_cast<T>(by < 8 * sizeof(T) ? a >> by : a < 0 ? -1 : 0);
}
template <class T> T size(T a) { return a < 0 ? static_cast<T>(static_cast<std::make_unsigned_t<T>>(0) - a) : a; }

template <class T> T least(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return std::fmin(a, b);
  else
    return b < a ? b : a;
}
template <class T> T largest(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return std::fmax(a, b);
  else
    return a < b ? b : a;
}

// Of a rounded number; for what does not fit the nearest that does, for NaN 0.
template <class I, class F> I integer(F x) {
  typedef std::numeric_limits<I> limits;
  if (!(x == x))
    return 0;
  if (x <= static_cast<F>(limits::min()))
    return limits::min();
  return x >= static_cast<F>(limits::max()) ? limits::max() : static_cast<I>(x);
}

// ---- numbers

inline float toward_zero_sum(float a, float b) {
  const double sum = static_cast<double>(a) + b, of_b = sum - a;
  const double lost = (a - (sum - of_b)) + (b - of_b); // exact (Knuth): a + b = sum + lost
  const float rounded = static_cast<float>(sum);
  const double beyond = rounded - sum; // exact
  const bool too_large = beyond != 0 ? beyond > 0 == sum > 0 : lost != 0 && lost<0 == sum> 0;
  return too_large ? nextafterf(rounded, 0.0f) : rounded;
}

// Approximate functions are as bad as the manual of PTX allows: an ulp or two too large where they are not exact; with
// .ftz numbers below the normal range are zero, and so is a quotient by more than 2^126.  Those of double know the upper
// half of a number.
inline float flushed(float x) { return std::fabs(x) < std::numeric_limits<float>::min() ? copysignf(0.0f, x) : x; }
inline float ulps_above(double exact, uint32_t n) {
  const float x = static_cast<float>(exact);
  return x == exact || !std::isfinite(x) ? x : bits<float>(bits<uint32_t>(x) + n);
}
inline double upper_half(double x) { return bits<double>(bits<uint64_t>(x) >> 32 << 32); }
inline float approximate_rcp(float x) { return ulps_above(1.0 / x, 1); }
inline double approximate_rcp(double x) { return upper_half(1 / upper_half(x)); }
inline float approximate_rsqrt(float x) { return ulps_above(1 / std::sqrt(static_cast<double>(x)), 2); }
inline double approximate_rsqrt(double x) { return upper_half(1 / std::sqrt(upper_half(x))); }
inline float approximate_sqrt(float x) { return ulps_above(std::sqrt(static_cast<double>(x)), 2); }
inline float approximate_ex2(float x) { return ulps_above(std::exp2(static_cast<double>(x)), 2); }
inline float approximate_lg2(float x) { return ulps_above(std::log2(static_cast<double>(x)), 1); }
inline float approximate_div(float a, float b) {
  return std::fabs(b) > 0x1p126f && std::isfinite(b) ? 0 * a * b : ulps_above(static_cast<double>(a) / b, 2);
}

} // namespace ptx
