/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_choice.h"

#include "../element_size.h"

#include <limits.h>
#include <stddef.h>

/* LAPACK counts in 32-bit integers; its largest array here is the 4 min(m,n)^2 + 7 min(m,n) of gesdd's workspace. */
static int fits_lapack(const problem_t *p) {
  if (p->mn == 0 || p->batch_count == 0)
    return 1;
  const double mn = (double)p->mn, mx = (double)(p->m > p->n ? p->m : p->n);
  return mx < INT_MAX / 64.0 && (4 * mn + 64) * mn + 2 * mx < INT_MAX;
}

/* Largest min(m, n) for which AUTO puts matrices into lanes: where the table changes sides.  Time of another algorithm over
 * that of lanes, one thread, full groups, m = n, row-major, the best of 5, AVX-512 of Zen 4, OpenBLAS 0.3.21; up to 8 gesdd,
 * 2026-11-22, from 16 on the bidiagonal path, 2026-11-23, which takes 0.4 to 0.96 of gesdd's time there (a group of fewer
 * matrices takes as long as a full one; every size: ./run bench --suites sweep):
 *
 *           with vectors                  values alone
 *    n   f32   f64   c64   c128       f32   f64   c64   c128
 *    2    92    49   102    54         74    39    87    47
 *    3    63    31    55    27         56    27    55    27
 *    4    52    26    34    15         49    23    35    18
 *    8    20    11    12   6.6         17   8.4    10   5.4
 *   16   9.9   5.7   5.1   3.0        5.2   2.5   2.4   1.2
 *   24   8.0   4.8   4.1   2.6        3.1   1.7   1.6   0.8
 *   32   4.8   3.2   2.6   1.9        2.2   1.2   1.0   0.7
 *   40   4.3   2.7   2.1   1.5        1.8   1.0   0.9
 *   48   3.6   2.3   1.7   1.3        1.5   0.8   0.7
 *   56   2.8   1.9   1.6   1.2        1.3
 *   64   2.0   1.8   1.3   1.1        0.9 */
static int64_t lanes_limit(svdgrad_op_t op, svdgrad_dtype_t dtype) {
  static const int64_t with_vectors[] = {64, 64, 64, 64}, values[] = {60, 40, 32, 20}; /* by svdgrad_dtype_t */
  return op == SVDGRAD_OP_SVDVALS ? values[dtype] : with_vectors[dtype];
}

/* What does not go into lanes.  The bidiagonal path takes 0.4 to 0.96 of gesdd's time from 65 columns to 1024, tall and wide
 * included, 0.36 to 0.81 of it at 4096 by 32, and 0.2 to 0.9 at 20,000 by 1 to 16 (same machine, 2026-11-23). */
static cpu_algorithm_t choose_large(const problem_t *p) { return fits_lapack(p) ? CPU_BIDIAGONAL : CPU_NONE; }

/* Beyond, the scale factors of rotations in single precision might overflow (lanes/rotate.inc). */
enum { LANES_MOST = 64 };

/* Bytes of A, or of the larger of its two factors: beyond, a group is larger than the caches of one core.  Full groups still
 * win over LAPACK (f32, one thread, gesdd over lanes: 2.0 at 1024 x 64, 2.1 at 2048 x 32, 1.4 at 8192 x 32; f64 1.6 at
 * 1024 x 64), but by less than a batch of a few such matrices, which does not fill a group, would lose. */
enum { LANES_MOST_BYTES = 1 << 17 };

static int fits_lanes(const problem_t *p) {
  const double rows = (double)(p->m < p->n ? p->n : p->m), columns = p->full_matrices ? rows : (double)p->mn;
  return p->mn <= LANES_MOST && rows * columns * (double)element_size(p->dtype) <= LANES_MOST_BYTES;
}

static cpu_algorithm_t choose_svd(svdgrad_op_t op, const problem_t *p) {
  switch (p->algo) {
  case SVDGRAD_ALGO_JACOBI: return fits_lanes(p) ? CPU_LANES : CPU_NONE;
  case SVDGRAD_ALGO_VENDOR: return fits_lapack(p) ? CPU_GESDD : CPU_NONE;
  default: return p->mn <= lanes_limit(op, p->dtype) && fits_lanes(p) ? CPU_LANES : choose_large(p);
  }
}

/* Largest min(m, n) of gradients in lanes.  Measured in full groups, m = n and m = 8 n, AVX-512, and AVX2 beside a BLAS
 * for AVX2: 0.1 to 0.7 of the BLAS's time up to 16, 0.5 to 0.95 of it at 64; of gS alone up to 1.25. */
enum { LANES_BACKWARD_MOST = 64 };

/* In lanes only thin factors of full rank; the BLAS takes what is left, whatever algorithm is asked for, but for the
 * discarded spectrum of truncated rank (cpu_blas_backward.c). */
static cpu_algorithm_t choose_backward(const problem_t *p) {
  const int is_thin = p->k == p->mn && p->u_cols == p->mn && p->vh_rows == p->mn;
  if (is_thin && p->mn <= LANES_BACKWARD_MOST && p->algo != SVDGRAD_ALGO_VENDOR)
    return CPU_LANES_BACKWARD;
  return fits_lapack(p) ? CPU_BACKWARD : CPU_NONE;
}

/* Largest max(m, n) of programs in lanes. */
enum { LANES_PROGRAM_MOST = 16 };

static cpu_algorithm_t choose_program(const problem_t *p) {
  if (p->m <= LANES_PROGRAM_MOST && p->n <= LANES_PROGRAM_MOST)
    return CPU_PROGRAM_LANES;
  return fits_lapack(p) ? CPU_PROGRAM : CPU_NONE;
}

cpu_algorithm_t cpu_choose(svdgrad_op_t op, const problem_t *p) {
  switch (op) {
  case SVDGRAD_OP_SVD:
  case SVDGRAD_OP_SVDVALS: return choose_svd(op, p);
  case SVDGRAD_OP_SVD_BACKWARD: return choose_backward(p);
  case SVDGRAD_OP_POWER_ITERATION:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD: return CPU_POWER_ITERATION;
  default: return choose_program(p);
  }
}

const char *cpu_algorithm_string(cpu_algorithm_t algorithm) {
  switch (algorithm) {
  case CPU_GESDD: return "lapack-gesdd";
  case CPU_BIDIAGONAL: return "bidiagonal";
  case CPU_LANES: return "jacobi-lanes";
  case CPU_BACKWARD: return "blas-backward";
  case CPU_LANES_BACKWARD: return "lanes-backward";
  case CPU_PROGRAM: return "blas-program";
  case CPU_PROGRAM_LANES: return "lanes-program";
  case CPU_POWER_ITERATION: return "power-iteration";
  case CPU_NONE: break;
  }
  return NULL;
}
