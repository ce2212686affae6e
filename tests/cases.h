/* SPDX-License-Identifier: BSD-3-Clause */
/* The one table of problems: tested on every backend. */
#ifndef TEST_CASES_H
#define TEST_CASES_H
#include "dense.h"

#include <svdgrad/svdgrad.h>

/* Which shapes a test program takes: the environment variable TEST_TABLE names it before main starts, whole without. */
typedef enum test_table {
  TABLE_WHOLE, /* "whole"; "tiers": a shape or two for every algorithm of CUDA up to there */
  TABLE_SMALL, /* "small": fewer and smaller, for the CPU run of CUDA, which is slow; "tiny": fewest, otherwise alike */
  TABLE_MEDIUM, /* "medium": what the cpu backend leaves to its bidiagonal path, or puts into lanes of > 64 columns */
  TABLE_LARGE   /* "large": a few, for what has an algorithm of its own for them */
} test_table_t;
extern test_table_t test_table;

/* 1 where tests are slow, on the CPU run of CUDA and under sanitizers, which define TEST_SAMPLED, and where they repeat a
 * property on another instruction set, with TEST_SAMPLED=1 in the environment: fewer combinations, the same paths of the
 * code.  The four types are compiled from one source, so that at large shapes two of them, f32 and c128, stand for all. */
#ifndef TEST_SAMPLED
#define TEST_SAMPLED 0
#endif
extern int test_sampled;
int test_type_is_sampled(svdgrad_dtype_t dtype);

typedef struct test_shape {
  int64_t m, n;
} test_shape_t;
extern const test_shape_t *test_shapes; /* of that table */
extern int test_shape_count;

/* Singular values of the test matrices, as LAPACK's svd tests and MAGMA's generator have them; the largest is 1 unless
 * said otherwise. */
typedef enum spectrum {
  SPECTRUM_NORMAL,    /* normal entries */
  SPECTRUM_LINEAR,    /* from 1 down to 1/k */
  SPECTRUM_GEOMETRIC, /* from 1 down to eps */
  SPECTRUM_CLUSTERED, /* 1, and all others within 10 eps of 1/2 */
  SPECTRUM_REPEATED,  /* all 3: a multiple of an orthonormal matrix */
  SPECTRUM_DEFICIENT, /* half of them zero */
  SPECTRUM_ZERO,      /* the zero matrix */
  SPECTRUM_IDENTITY,
  SPECTRUM_ONES,   /* every entry 1: rank one */
  SPECTRUM_SMALL,  /* linear, times 1e-300 in double, 1e-37 in float: entries near underflow */
  SPECTRUM_LARGE,  /* linear, times 1e300, 1e37 */
  SPECTRUM_GRADED, /* columns scaled from 1 down to 2^-60 */
  SPECTRUM_COUNT
} spectrum_t;
const char *spectrum_name(spectrum_t spectrum);

/* m-by-n matrix with that spectrum for elements of `dtype` (not yet rounded to it); to be freed. */
dense_t make_matrix(spectrum_t spectrum, svdgrad_dtype_t dtype, int64_t m, int64_t n, uint64_t seed);

#endif
