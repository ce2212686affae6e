/* SPDX-License-Identifier: BSD-3-Clause */
/* Problems of the power iteration and of spectral normalization, with the checks of fixture.h; and the textbook
 * iteration in long double. */
#ifndef TEST_POWER_H
#define TEST_POWER_H
#include "buffer.h"

#include <svdgrad/svdgrad.h>

typedef struct power_problem {
  svdgrad_backend_t backend;
  svdgrad_handle_t handle;
  svdgrad_desc_t desc;
  buffer_t A, u, v, sigma, residual, Y, gY, gA;
  int32_t *info; /* batch_count and a canary after it */
  int intact;    /* no canary was touched so far */
} power_problem_t;

/* Buffers of all operands in `layout`; with `broadcast` the batch has one A. */
power_problem_t power_make(svdgrad_backend_t backend, const svdgrad_desc_t *desc, layout_t layout, int broadcast);
void power_free(power_problem_t *problem);

/* u, gY and gA of matrix b normal, v NaN: the same in every problem of that shape and element type. */
void power_fill(const power_problem_t *problem, int64_t b, uint64_t seed);

svdgrad_status_t power_iterate(power_problem_t *problem, int32_t iterations);
/* svdgrad_spectral_normalize */
svdgrad_status_t power_normalize(power_problem_t *problem, int32_t iterations);
svdgrad_status_t power_backward(power_problem_t *problem, double alpha, double beta);

/* Bitwise equality of sigma, residual, u, v and info of matrix bx of x and by of y. */
int power_same(const power_problem_t *x, int64_t bx, const power_problem_t *y, int64_t by);

typedef struct power_oracle {
  dense_t u, v; /* one column each */
  long double sigma, residual;
} power_oracle_t;

/* `iterations` from u (from u and v, if there are none); A must not map an iterate to zero. */
power_oracle_t power_oracle(const dense_t *A, const dense_t *u, const dense_t *v, int iterations);
power_oracle_t power_oracle_of(const power_problem_t *p, int64_t b, int iterations); /* of matrix b */
void power_oracle_free(power_oracle_t *oracle);

/* sigma = Re(u^H A v) and its residual. */
void power_evaluate(const dense_t *A, power_oracle_t *oracle);

#endif
