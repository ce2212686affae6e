/* SPDX-License-Identifier: BSD-3-Clause */
/* The limits of each algorithm, and the measured crossovers between them. */
#include "cpu_choice.h"

#include "base/element_size.h"
#include "cpu_few.h"
#include "simd/kernels.h"

#include <limits.h>
#include <stddef.h>

/* LAPACK counts in 32-bit integers.  Its largest array here is gesdd's workspace: 4 mn^2 + 7 mn elements. */
static int fits_lapack(const problem_t *p) {
  if (p->mn == 0 || p->batch_count == 0)
    return 1;
  const double mn = (double)p->mn, mx = (double)(p->m > p->n ? p->m : p->n);
  return mx < INT_MAX / 64.0 && (4 * mn + 64) * mn + 2 * mx < INT_MAX;
}

/* More rows go through our QR factorization (dense/tall.h) first, and LAPACK solves the square factor; not with
 * full_matrices. */
static int fits_core(const problem_t *p) {
  const double mn = (double)p->mn;
  return (4 * mn + 66) * mn < INT_MAX;
}

int cpu_is_beyond_lapack(const problem_t *p) { return !fits_lapack(p); }

/* Where the bidiagonal path goes by blocks of rows (dense/tall.h).  Time over that of QR by panels of all rows and
 * products by the BLAS: 0.8 to 0.95 at m = 3 n and 4 n up to 96 columns, 0.6 to 0.85 at 10 n, 0.2 to 0.45 at 10,000 by 3;
 * 1.1 to 1.2 at m = 2 n, and up to 1.3 at 256 columns (one thread, AVX-512 of Sapphire Rapids, 2026-11-30). */
enum { BY_ROWS_MOST_COLUMNS = 96, BY_ROWS_LEAST_RATIO = 3 };

int cpu_goes_by_rows(const problem_t *p, int vectors) {
  const int64_t mx = p->m < p->n ? p->n : p->m;
  return p->mn > 0 && p->mn <= BY_ROWS_MOST_COLUMNS && mx >= BY_ROWS_LEAST_RATIO * p->mn &&
         !(vectors && p->full_matrices);
}

static int fits_vendor(svdgrad_op_t op, const problem_t *p) {
  const int completes = p->full_matrices && op == SVDGRAD_OP_SVD;
  return fits_lapack(p) || (fits_core(p) && !completes);
}

/* Largest min(m, n) for which AUTO computes in lanes.  Full groups are slower than one matrix at a time beyond that, on
 * AVX-512 by the numbers at qr_least_columns; with narrower registers, and for tall matrices, cpu_few.c says so before.
 *
 * Values alone from 8 columns on: time of the bidiagonal path divided by that of the qd algorithm in lanes, full groups,
 * m = n, one thread, AVX-512; in brackets AVX2 of Zen 3; both 2026-11-30:
 *
 *    n     f32         f64         c64         c128
 *    8    12 (13)    6.2 (5.7)    11 (9.6)   5.5 (5.0)
 *   16   9.6 (9.2)   4.9 (5.4)   8.2 (7.3)   4.3 (3.8)
 *   32   6.5 (6.8)   3.9 (3.4)   5.3 (3.9)   2.9 (2.2)
 *   48   5.9 (5.7)   3.3 (3.1)   4.1 (3.3)   2.4 (2.1)
 *   64   3.5 (4.3)   2.1 (2.1)   3.1 (2.8)   1.9 (1.7)
 *   96   3.3 (2.9)   2.2 (2.0)   2.3 (1.7)   1.6 (1.4)
 *  128   2.2 (2.4)   1.4 (1.5)   1.8 (1.9)   1.3 (1.4) */
static int64_t lanes_limit(svdgrad_op_t op, svdgrad_dtype_t dtype) {
  static const int64_t with_vectors[] = {96, 72, 80, 80}, values[] = {128, 128, 128, 96}; /* by svdgrad_dtype_t */
  return op == SVDGRAD_OP_SVDVALS ? values[dtype] : with_vectors[dtype];
}

/* Smallest min(m, n) of values alone by the qd algorithm.  Time of Jacobi in lanes over its time, full groups, m = n,
 * AVX-512 of Sapphire Rapids, 2026-11-30: f32 and f64 0.6 at 4, 1.0 to 1.5 at 5 and 6, 1.5 at 8, 2.5 at 16, 4.2 at 32, 5 at
 * 96; complex types 2.1 at 8, 3.6 at 16, 5.3 at 32, 6 at 64; 1.2 to 1.4 at 160 x 16.  Below 8 columns the gain is not worth
 * the digits of small values of graded columns, which Jacobi keeps. */
enum { QD_LEAST_COLUMNS = 8 };

/* Smallest min(m, n) of vectors by QR iteration, by svdgrad_dtype_t.  Time of Jacobi in lanes over its time, full groups,
 * m = n, and of the bidiagonal path, one matrix at a time, over its time; one thread, AVX-512 of Zen 4, 2026-11-30:
 *
 *          Jacobi over QR iteration         bidiagonal over QR iteration
 *    n    f32    f64    c64    c128           f32    f64    c64    c128
 *    8   0.70   0.72   1.00    1.12           11    4.9    7.7     4.2
 *   12   0.84   1.01   1.35    1.47          8.3    3.9    5.9     3.4
 *   16   1.11   1.09   1.43    1.65          5.5    3.3    4.4     2.8
 *   20   0.99   1.16   1.53    1.69          5.0    3.1    4.6     2.7
 *   32   1.24   1.32   1.70    1.92          3.1    2.1    2.8     2.1
 *   48    3.0   1.48   1.92    2.03          2.1    1.5    2.0     1.5
 *   64   1.55   1.52   2.01    2.17          1.5    1.2    1.6     1.3
 *   80   1.57   1.68   2.06    2.21          1.3    1.0    1.3     1.1
 *   96   1.68   1.70   2.09    2.20          1.1    0.9    1.2     1.0
 *  128   1.73   1.73   2.17    2.20          0.8    0.7    1.0     0.9
 *
 * On AVX2 of Zen 3 Jacobi takes 1.0, 1.05, 1.4, 1.5 of its time at 16, 1.15, 1.15, 1.5, 1.6 at 20, 1.1, 1.3, 2.0, 1.8 at
 * 32, and 1.6, 1.4, 1.9, 1.8 at 64 (2026-11-30); where m >= 8 n in real types 0.75 to 1. */
static const int64_t qr_least_columns[] = {16, 16, 12, 12};

/* Time of Jacobi over that of QR iteration for tall matrices of f32, full groups of a batch that fills no cache: 0.84 at
 * 64 x 16, 0.88 at 128 x 32 and 512 x 16; of halves of a group 0.84 to 0.93.  The other types gain by QR iteration, or lose
 * less than 0.12 (64 x 16 in f64). */
enum { TALL_F32_RATIO = 4 };

static int is_by_qr(const problem_t *p) {
  const int64_t mx = p->m < p->n ? p->n : p->m;
  return p->mn >= qr_least_columns[p->dtype] && !(p->dtype == SVDGRAD_F32 && mx >= TALL_F32_RATIO * p->mn);
}

static int is_by_qd(svdgrad_op_t op, const problem_t *p) {
  return op == SVDGRAD_OP_SVDVALS && p->algo == SVDGRAD_ALGO_AUTO && p->mn >= QD_LEAST_COLUMNS;
}

/* Most bytes of A, or of its larger factor.  Above this a group is larger than the caches of one core.  Full groups
 * would still be faster than LAPACK (time of gesdd over lanes, one thread, f32: 2.0 at 1024 x 64, 2.1 at 2048 x 32, 1.4
 * at 8192 x 32; f64: 1.6 at 1024 x 64), but a batch that does not fill a group would lose more
 * with batch_invariant. */
enum { LANES_MOST_BYTES = 1 << 17 };

static int fits_lanes(const problem_t *p) {
  const double rows = (double)(p->m < p->n ? p->n : p->m), columns = p->full_matrices ? rows : (double)p->mn;
  return p->mn <= LANES_MOST_COLUMNS && rows * columns * (double)element_size(p->dtype) <= LANES_MOST_BYTES;
}

/* Whether a full group takes longer in lanes than its matrices by blocks of rows.  Time in lanes over that: with vectors
 * 1.05 to 1.25 at 64,000 bytes (4000 by 4 in f32, 8000 by 1 and 1000 by 8 in f64, 1000 by 4 in c128), 1.2 to 1.75 at
 * 128,000; values alone 0.7 to 1 and 1.1 to 1.7.  At 400 by 16 in f64, whose ratio is less, 0.7. */
enum { LONG_LEAST_RATIO = 100, LONG_LEAST_BYTES = 60000, LONG_LEAST_BYTES_OF_VALUES = 120000 };

static int is_long(svdgrad_op_t op, const problem_t *p) {
  const int64_t mx = p->m < p->n ? p->n : p->m;
  const double bytes = (double)mx * (double)p->mn * (double)element_size(p->dtype);
  return !p->full_matrices && mx >= LONG_LEAST_RATIO * p->mn &&
         bytes >= (op == SVDGRAD_OP_SVDVALS ? LONG_LEAST_BYTES_OF_VALUES : LONG_LEAST_BYTES);
}

static cpu_few_t few_of(svdgrad_op_t op, const problem_t *p) {
  return is_by_qd(op, p) ? CPU_FEW_QD_VALUES : op == SVDGRAD_OP_SVDVALS ? CPU_FEW_VALUES : CPU_FEW_SVD;
}

/* The bidiagonal path takes 0.4 to 0.96 of gesdd's time from 65 columns to 1024, tall and wide included, 0.36 to 0.81 of it
 * at 4096 by 32, and 0.2 to 0.9 at 20,000 by 1 to 16 (Zen 4, 2026-11-23). */
static cpu_algorithm_t choose_auto(svdgrad_op_t op, const problem_t *p, int lanes) {
  if (p->mn > lanes_limit(op, p->dtype) || !fits_lanes(p) || is_long(op, p) || cpu_is_few(few_of(op, p), p, lanes))
    return CPU_BIDIAGONAL;
  if (is_by_qd(op, p))
    return CPU_VALUE_LANES;
  return op == SVDGRAD_OP_SVD && is_by_qr(p) ? CPU_VECTOR_LANES : CPU_LANES;
}

static cpu_algorithm_t choose_svd(svdgrad_op_t op, const problem_t *p, int lanes) {
  switch (p->algo) {
  case SVDGRAD_ALGO_JACOBI: return fits_lanes(p) ? CPU_LANES : CPU_NONE;
  case SVDGRAD_ALGO_VENDOR: return fits_vendor(op, p) ? CPU_GESDD : CPU_NONE;
  default: return choose_auto(op, p, lanes);
  }
}

/* Largest min(m, n) of gradients in lanes: full groups take less time than products in tiles (cpu_few.c), and beyond it
 * matrices do not fit. */
enum { LANES_BACKWARD_MOST = 96 };

/* For truncated rank the program needs the SVD of the discarded part. */
static int fits_program(const problem_t *p) {
  const problem_t thin = {.m = p->m, .n = p->n, .mn = p->mn, .batch_count = p->batch_count};
  return p->algo != SVDGRAD_ALGO_VENDOR || p->k == p->mn || fits_vendor(SVDGRAD_OP_SVD, &thin);
}

/* Largest max(m, n) of programs in lanes. */
enum { LANES_PROGRAM_MOST = 16 };

static cpu_algorithm_t choose_program(const problem_t *p, int lanes) {
  if (p->m <= LANES_PROGRAM_MOST && p->n <= LANES_PROGRAM_MOST && !cpu_is_few(CPU_FEW_PROGRAMS, p, lanes))
    return CPU_PROGRAM_LANES;
  return fits_program(p) ? CPU_PROGRAM : CPU_NONE;
}

static int is_thin(const problem_t *p) { return p->k == p->mn && p->u_cols == p->mn && p->vh_rows == p->mn; }

/* Only thin factors of full rank have a kernel of their own.  The program takes all others, whatever desc.algo is;
 * desc.algo still chooses the SVD of the discarded part (cpu_backend.c). */
static cpu_algorithm_t choose_backward(const problem_t *p, int lanes) {
  if (is_thin(p) && p->mn <= LANES_BACKWARD_MOST && p->algo != SVDGRAD_ALGO_VENDOR)
    return cpu_is_few(CPU_FEW_GRADIENTS, p, lanes) ? CPU_PROGRAM : CPU_LANES_BACKWARD;
  return choose_program(p, lanes);
}

cpu_algorithm_t cpu_choose(svdgrad_op_t op, const problem_t *p, int lanes) {
  if (p->algo == SVDGRAD_ALGO_VENDOR && !SVDGRAD_HAVE_LAPACK)
    return CPU_NONE;
  switch (op) {
  case SVDGRAD_OP_SVD:
  case SVDGRAD_OP_SVDVALS: return choose_svd(op, p, lanes);
  case SVDGRAD_OP_SVD_BACKWARD: return choose_backward(p, lanes);
  case SVDGRAD_OP_POWER_ITERATION:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD: return CPU_POWER_ITERATION;
  default: return choose_program(p, lanes);
  }
}

/* The choices that an operation depends on, as bits of cpu_few_t.  Stages go in groups if their SVD does (cpu_backend.c). */
static unsigned choices_of(svdgrad_op_t op, const problem_t *p) {
  enum { COMPOSED = 1 << CPU_FEW_SVD | 1 << CPU_FEW_PROGRAMS };
  switch (op) {
  case SVDGRAD_OP_SVD: return 1u << CPU_FEW_SVD | 1u << few_of(SVDGRAD_OP_SVDVALS, p); /* cpu_workspace_size() */
  case SVDGRAD_OP_SVDVALS: return 1u << few_of(op, p);
  case SVDGRAD_OP_SVD_BACKWARD: return is_thin(p) ? 1 << CPU_FEW_GRADIENTS : COMPOSED;
  case SVDGRAD_OP_NORM: return COMPOSED | 1u << few_of(SVDGRAD_OP_SVDVALS, p);
  case SVDGRAD_OP_POWER_ITERATION:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD: return 0;
  default: return COMPOSED;
  }
}

int64_t cpu_choice_below(svdgrad_op_t op, const problem_t *p, int lanes) {
  const unsigned choices = p->chosen_for < INT64_MAX ? choices_of(op, p) : 0;
  int64_t below = 0;
  for (cpu_few_t what = CPU_FEW_SVD; what <= CPU_FEW_PROGRAMS; what++) {
    const int64_t one = choices >> what & 1 ? cpu_few_below(what, p, lanes) : 0;
    below = one > below ? one : below;
  }
  return below;
}

const char *cpu_limit_string(svdgrad_op_t op, const problem_t *p) {
  _Static_assert(LANES_MOST_COLUMNS == 128 && LANES_MOST_BYTES == 131072, "as the text has it");
  if (p->algo == SVDGRAD_ALGO_JACOBI)
    return p->full_matrices
               ? "with full_matrices, min(m, n) must be <= 128 and max(m, n)^2 elements have <= 131072 bytes"
               : "min(m, n) must be <= 128 and a matrix have <= 131072 bytes";
  if (!SVDGRAD_HAVE_LAPACK)
    return "this library was built without LAPACK (SVDGRAD_LAPACK=OFF)";
  return p->full_matrices && op == SVDGRAD_OP_SVD
             ? "with full_matrices, max(m, n) must be < 2^25 and min(m, n) <= 23000"
             : "min(m, n) must be <= 23000";
}

const char *cpu_algorithm_string(cpu_algorithm_t algorithm) {
  switch (algorithm) {
  case CPU_GESDD: return "lapack-gesdd";
  case CPU_BIDIAGONAL: return "bidiagonal";
  case CPU_LANES: return "jacobi-lanes";
  case CPU_VALUE_LANES: return "dqds-lanes";
  case CPU_VECTOR_LANES: return "qr-lanes";
  case CPU_LANES_BACKWARD: return "lanes-backward";
  case CPU_PROGRAM: return "blas-program";
  case CPU_PROGRAM_LANES: return "lanes-program";
  case CPU_POWER_ITERATION: return "power-iteration";
  case CPU_NONE: break;
  }
  return NULL;
}
