/* SPDX-License-Identifier: BSD-3-Clause */
#include "random.h"

#include <math.h>

random_t random_seed(uint64_t seed) { return (random_t){seed * 0x9e3779b97f4a7c15u + 1}; }

uint64_t random_bits(random_t *random) {
  uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double random_uniform(random_t *random) { return (double)(random_bits(random) >> 11) * 0x1p-53; }

/* Four uniform numbers of 32 bits, whose sum has variance 1/3: near enough to normal, and several times faster than
 * logarithm and cosine, which took most of the time of tests with large matrices. */
double random_normal(random_t *random) {
  const uint64_t a = random_bits(random), b = random_bits(random);
  const int64_t sum = (int64_t)((a >> 32) + (a & 0xffffffff) + (b >> 32) + (b & 0xffffffff));
  return sqrt(3) * ((double)(sum - ((int64_t)1 << 33)) * 0x1p-32);
}

dense_t random_matrix(random_t *random, int64_t m, int64_t n, int is_complex) {
  dense_t A = dense_zero(m, n);
  for (int64_t i = 0; i < m * n; i++) {
    const double re = random_normal(random), im = is_complex ? random_normal(random) : 0;
    A.at[i] = CMPLXL(re, im);
  }
  return A;
}

/* Gram-Schmidt, twice, on normal entries. */
dense_t random_orthonormal(random_t *random, int64_t m, int64_t n, int is_complex) {
  dense_t Q = random_matrix(random, m, n, is_complex);
  for (int64_t j = 0; j < n; j++) {
    z_t *q = Q.at + j * m;
    for (int64_t pass = 0; pass < 2; pass++)
      for (int64_t l = 0; l < j; l++) {
        z_t along = 0;
        for (int64_t i = 0; i < m; i++)
          along += conjl(Q.at[l * m + i]) * q[i];
        for (int64_t i = 0; i < m; i++)
          q[i] -= along * Q.at[l * m + i];
      }
    long double norm = 0;
    for (int64_t i = 0; i < m; i++)
      norm += creall(q[i]) * creall(q[i]) + cimagl(q[i]) * cimagl(q[i]);
    for (int64_t i = 0; i < m; i++)
      q[i] /= sqrtl(norm);
  }
  return Q;
}
