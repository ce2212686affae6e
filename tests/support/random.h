/* SPDX-License-Identifier: BSD-3-Clause */
/* Reproducible random numbers: splitmix64 (Steele, Lea, Flood 2014), the same on every machine. */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H
#include "dense.h"

typedef struct random_state {
  uint64_t state;
} random_t;

random_t random_seed(uint64_t seed);
uint64_t random_bits(random_t *random);
double random_uniform(random_t *random); /* [0, 1) */
double random_normal(random_t *random);

/* Entries nearly normal, with imaginary parts if `is_complex`. */
dense_t random_matrix(random_t *random, int64_t m, int64_t n, int is_complex);
/* m-by-n, m >= n, orthonormal columns. */
dense_t random_orthonormal(random_t *random, int64_t m, int64_t n, int is_complex);

#endif
