/* SPDX-License-Identifier: BSD-3-Clause */
/* Multiply-adds per second of one thread, in the widest registers that the compiler has for this machine: the limit that
 * compare.py sets the times beside. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <time.h>

#ifdef __AVX512F__
enum { REGISTER_BYTES = 64 };
#elif defined __AVX__
enum { REGISTER_BYTES = 32 };
#else
enum { REGISTER_BYTES = 16 };
#endif
typedef float floats_t __attribute__((vector_size(REGISTER_BYTES)));
typedef double doubles_t __attribute__((vector_size(REGISTER_BYTES)));

enum { SUMS = 12, STEPS = 100000, ROUNDS = 50 }; /* as many sums as two units of latency 4 to 6 keep busy */

static double seconds_now(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static volatile double result; /* so that the compiler computes it */

/* The best of some rounds.  The sums converge, so that their numbers stay normal. */
#define DEFINE_RATE(name, vector_t)                                                                                    \
  static double name(void) {                                                                                           \
    vector_t sum[SUMS], factor = {0}, term = {0};                                                                      \
    factor += 0.5f, term += 1;                                                                                         \
    double best = 0;                                                                                                   \
    for (int i = 0; i < SUMS; i++)                                                                                     \
      sum[i] = term;                                                                                                   \
    for (int round = 0; round < ROUNDS; round++) {                                                                     \
      const double start = seconds_now();                                                                              \
      for (int step = 0; step < STEPS; step++)                                                                         \
        for (int i = 0; i < SUMS; i++)                                                                                 \
          sum[i] = sum[i] * factor + term;                                                                             \
      const double multiply_adds = (double)STEPS * SUMS * (double)(sizeof term / sizeof term[0]);                      \
      for (int i = 0; i < SUMS; i++)                                                                                   \
        result = (double)sum[i][0];                                                                                    \
      const double rate = multiply_adds / (seconds_now() - start);                                                     \
      best = rate > best ? rate : best;                                                                                \
    }                                                                                                                  \
    return best;                                                                                                       \
  }

DEFINE_RATE(rate_of_floats, floats_t)
DEFINE_RATE(rate_of_doubles, doubles_t)

/* Called through ctypes; the declaration is for the compiler. */
double fma_rate(int is_double);

double fma_rate(int is_double) { return is_double ? rate_of_doubles() : rate_of_floats(); }
