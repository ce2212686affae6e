/* SPDX-License-Identifier: BSD-3-Clause */
#include "integers.h"

#include "random.h"

#include <stdlib.h>

static integers_t integers_make(int64_t m, int64_t n, int64_t count) {
  integers_t x = {m, n, count, calloc((size_t)(2 * m * n * count) + 1, sizeof(double))};
  if (!x.at)
    abort();
  return x;
}

void integers_free(integers_t *x) {
  free(x->at);
  x->at = NULL;
}

const double *integers_matrix(const integers_t *x, int64_t b) { return x->at + 2 * x->m * x->n * b; }

static double *entry(const integers_t *x, int64_t b, int64_t i, int64_t j) {
  return x->at + 2 * ((b * x->n + j) * x->m + i);
}

/* The digits of a number are the entries of its matrix. */
integers_t integers_all(int64_t m, int64_t n, int least, int most, int64_t stride) {
  const int64_t base = most - least + 1;
  int64_t all = 1;
  for (int64_t e = 0; e < m * n; e++)
    all *= base;
  integers_t x = integers_make(m, n, (all + stride - 1) / stride);
  for (int64_t b = 0; b < x.count; b++) {
    int64_t digits = b * stride;
    for (int64_t e = 0; e < m * n; e++, digits /= base)
      x.at[2 * (b * m * n + e)] = (double)(least + digits % base);
  }
  return x;
}

static int64_t below(random_t *random, int64_t limit) { return (int64_t)(random_uniform(random) * (double)limit); }

static int within(random_t *random, int size) { return (int)below(random, 2 * size + 1) - size; }

static void set_entry(const integers_t *x, int64_t b, int64_t i, int64_t j, int size, int is_complex,
                      random_t *random) {
  entry(x, b, i, j)[0] = within(random, size);
  entry(x, b, i, j)[1] = is_complex ? within(random, size) : 0;
}

static void fill_sparse(const integers_t *x, int64_t b, double density, int size, int is_complex, random_t *random) {
  for (int64_t j = 0; j < x->n; j++)
    for (int64_t i = 0; i < x->m; i++)
      if (random_uniform(random) < density)
        set_entry(x, b, i, j, size, is_complex, random);
}

/* Fisher and Yates; to be freed. */
static int64_t *permutation(int64_t n, random_t *random) {
  int64_t *order = calloc((size_t)n + 1, sizeof *order);
  if (!order)
    abort();
  for (int64_t i = 0; i < n; i++) {
    const int64_t j = below(random, i + 1);
    order[i] = order[j];
    order[j] = i;
  }
  return order;
}

/* Blocks of up to `most` rows and columns on the diagonal, rows and columns permuted. */
static void fill_blocks(const integers_t *x, int64_t b, int64_t most, int is_complex, random_t *random) {
  int64_t *row = permutation(x->m, random), *column = permutation(x->n, random);
  for (int64_t i = 0, j = 0; i < x->m && j < x->n;) {
    const int64_t rows = 1 + below(random, most), columns = 1 + below(random, most);
    for (int64_t r = i; r < i + rows && r < x->m; r++)
      for (int64_t c = j; c < j + columns && c < x->n; c++)
        set_entry(x, b, row[r], column[c], 2, is_complex, random);
    i += rows, j += columns;
  }
  free(row);
  free(column);
}

integers_t integers_sparse(int64_t m, int64_t n, int64_t count, int is_complex, uint64_t seed) {
  integers_t x = integers_make(m, n, count);
  random_t random = random_seed(seed);
  for (int64_t b = 0; b < count; b++)
    switch (b % 4) {
    case 0: fill_sparse(&x, b, 0.2, 3, is_complex, &random); break;
    case 1: fill_sparse(&x, b, 0.5, 2, is_complex, &random); break;
    case 2: fill_blocks(&x, b, 1, is_complex, &random); break;
    default: fill_blocks(&x, b, 3, is_complex, &random); break;
    }
  return x;
}

/* z times i, so many times. */
static void times_unit(double *z, int64_t power) {
  for (int64_t p = 0; p < power; p++) {
    const double re = z[0];
    z[0] = z[1] == 0 ? 0 : -z[1];
    z[1] = re;
  }
}

void integers_turn(const integers_t *x) {
  random_t random = random_seed(1);
  for (int64_t b = 0; b < x->count; b++) {
    const uint64_t rows = random_bits(&random), columns = random_bits(&random);
    for (int64_t j = 0; j < x->n; j++)
      for (int64_t i = 0; i < x->m; i++)
        times_unit(entry(x, b, i, j), (int64_t)((rows >> 2 * (i % 32) & 3) + (columns >> 2 * (j % 32) & 3)));
  }
}

void integers_store(const integers_t *x, const buffer_t *A) {
  for (int64_t b = 0; b < x->count; b++)
    for (int64_t j = 0; j < x->n; j++)
      for (int64_t i = 0; i < x->m; i++)
        buffer_set(A, b, i, j, CMPLXL(entry(x, b, i, j)[0], entry(x, b, i, j)[1]));
}
