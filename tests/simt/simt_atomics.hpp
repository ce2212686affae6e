// SPDX-License-Identifier: BSD-3-Clause
// Atomics: real (relaxed) atomics of the host, so that the thread sanitizer does not take them for races.
#pragma once

namespace simt {

template <class T, class F> T exchange(T *at, F f) {
  T before, after;
  __atomic_load(at, &before, __ATOMIC_RELAXED);
  do
    after = f(before);
  while (!__atomic_compare_exchange(at, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return before;
}

template <class T> struct Same { // keeps an argument out of template deduction: atomicAdd(&unsigned, 1) is fine
  using type = T;
};

} // namespace simt

#define SIMT_ATOMIC(name, expression)                                                                                  \
  template <class T> T name(T *at, typename simt::Same<T>::type v) {                                                   \
    return simt::exchange(at, [=](T old) { return static_cast<T>(expression); });                                      \
  }
SIMT_ATOMIC(atomicAdd, old + v)
SIMT_ATOMIC(atomicSub, old - v)
SIMT_ATOMIC(atomicMax, old > v ? old : v)
SIMT_ATOMIC(atomicMin, old < v ? old : v)
SIMT_ATOMIC(atomicExch, ((void)old, v))
SIMT_ATOMIC(atomicOr, old | v)
SIMT_ATOMIC(atomicAnd, old &v)
SIMT_ATOMIC(atomicXor, old ^ v)
#undef SIMT_ATOMIC

template <class T> T atomicCAS(T *at, typename simt::Same<T>::type expected, typename simt::Same<T>::type v) {
  return simt::exchange(at, [=](T old) { return old == expected ? v : old; });
}
