/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_few.h"

#include <math.h>

/* The time of a group in lanes over that of one matrix on the other path, as larger^a smaller^b / c of the two sizes.
 * The other path is the bidiagonal one (it takes 0.3 to 0.9 of gesdd's time here), for gradients products by
 * the BLAS, as they were until 2026-11-30 and in tiles since (simd/one/product.h).
 *
 * bench/crossovers.c measures it for the instruction set of the machine, and crossovers.py makes a row of the tables of that:
 * one command, at its top.
 *
 * AVX-512: Sapphire Rapids, 2026-11-30; one thread, its own time, interleaved, medians of 7, OpenBLAS 0.3.21 with its
 * kernels for AVX-512; m = n, 2 n, 10 n, 100 n and 1000 n, n = 2 to 96, and m = n / 10.  With vectors, square and n >= 48:
 * QR iteration in lanes against our divide and conquer (cpu_choice.c); fewer columns and other shapes by Jacobi, before
 * divide and conquer came to matrices of 12 to 25 columns, which takes 0.55 to 0.65 of the time there.
 *
 *                 with vectors            values by qd            gradients
 *     m     n  f32  f64  c64  c128    f32  f64  c64  c128    f32  f64  c64  c128
 *     8     8  0.7  0.7  1.0  0.9     1.0  0.9  1.0  1.0     0.8  0.7  1.1  0.8
 *    16    16  0.9  1.0  1.5  1.5     1.3  1.3  1.3  1.4     2.6  2.3  3.1  2.1
 *    24    24  1.3  1.3  2.6  2.4
 *    32    32  2.9  2.2  3.9  3.6     1.6  1.6  2.1  1.9                    4.0
 *    48    48  5.9  4.7  6.2  4.7
 *    64    64  9.4  6.7       5.7     2.9  2.5  3.4  3.0                    5.1
 *    96    96   13  8.9   11  8.0
 *   128   128                         5.2  3.7  7.2
 *    32    16  1.2  1.1  2.0  2.0     1.6  1.4  2.0  1.8     4.2  3.1  4.2  2.9
 *   128    64  6.3  4.0  9.6  6.4     3.9  2.9  5.3  3.9      11  5.8  5.8  5.8
 *    80     8  1.4  1.2  1.6  1.5     1.7  1.4  1.8  1.7     4.8  3.0  6.9  3.6
 *   320    32  5.9  4.0  6.8          4.6  3.3  4.8           11  6.1   12
 *   400     4                                                6.5  3.2  6.0  3.5
 *  4000     4                                                9.3  4.7  8.8
 *
 * AVX2: Zen 3, 2026-11-30; one thread, its own time, interleaved, medians of 15, OpenBLAS 0.3.21.
 *
 *                 with vectors            values by qd            gradients
 *     m     n  f32  f64  c64  c128    f32  f64  c64  c128    f32  f64  c64  c128
 *     8     8  0.6  0.6  1.1   1.1    0.6  0.7  0.8   0.8    0.9  0.9  0.9   0.7
 *    16    16  1.6  1.5  1.5   1.4    0.9  0.7  1.1   1.1    2.6  2.0  2.6   1.8
 *    24    24  1.8  1.7  2.5   1.6    1.2  0.9  1.4   1.3    2.9  2.5  3.6   2.2
 *    32    32  2.8  1.9  2.5   1.9    1.2  1.2  2.1   1.8    4.8  3.6  4.1   2.7
 *    48    48  3.9  2.9  3.5   2.7    1.4  1.3  2.4   1.9    4.5  3.4  4.4   3.0
 *    64    64  4.4  3.4  5.4   3.0    1.9  1.9  2.9   2.4    6.8  4.5  5.6   3.0
 *    96    96  6.3  4.1  5.4   3.6    2.8  2.0  4.6   2.9    6.6  4.8  5.0   3.2
 *   128   128  9.1  4.3  8.3   4.8    3.3  2.8  4.2   2.8
 *    32    16  1.6  1.5  2.0   1.8    1.2  1.1  1.6   1.3    2.9  2.2  2.4   1.9
 *   128    64  7.9  4.7  6.6   2.8    2.8  2.1  3.7   2.8    8.1  4.1  4.8   3.2
 *    80     8  1.4  1.3  2.2   1.8    1.6  1.4  2.3   1.6    2.7  2.3  3.2   2.1
 *   320    32  6.1  3.0  7.5   3.6    4.0  3.4  5.7   3.6    6.4  3.5  5.2   3.6
 *   400     4  2.8  3.1  4.8   2.9    3.2  2.1  4.0   2.8    2.7  2.4  3.1   2.3 */
typedef struct crossover {
  double larger, smaller, divisor; /* a, b, c */
} crossover_t;

/* By the width of a register.  Narrower ones take the numbers of 256 bits. */
typedef enum width { BITS_512, BITS_256, WIDTHS } width_t;

static const crossover_t crossovers[WIDTHS][4][4] = {
    /* by svdgrad_dtype_t */
    [BITS_512] = {[CPU_FEW_SVD] = {{0.45, 0.75, 17.6}, {0.4, 0.6, 9.6}, {0.35, 0.6, 6.4}, {0.3, 0.47, 4.2}},
                  [CPU_FEW_VALUES] = {{0.4, 0.6, 7.8}, {0.25, 0.5, 3.9}, {0.33, 0.7, 6.4}, {0.25, 0.6, 4.1}},
                  [CPU_FEW_QD_VALUES] = {{0.33, 0.27, 3.84}, {0.3, 0.21, 3.48}, {0.32, 0.38, 4.72}, {0.26, 0.3, 3.3}},
                  [CPU_FEW_GRADIENTS] = {{0.3, 0.35, 1.75}, {0.33, 0.5, 5.2}, {0.33, 0.4, 2.2}, {0.25, 0.5, 3.3}}},
    [BITS_256] = {[CPU_FEW_SVD] = {{0.5, 0.65, 24}, {0.25, 0.5, 7.29}, {0.3, 0.5, 5.66}, {0.25, 0.35, 3.91}},
                  [CPU_FEW_VALUES] = {{0.1, 0.1, 2.62}, {0.1, 0.1, 2.03}, {0.1, 0.1, 1.63}, {0.1, 0.1, 1.66}},
                  [CPU_FEW_QD_VALUES] = {{0.45, 0.2, 7.53}, {0.35, 0.15, 4.91}, {0.5, 0.15, 5.51}, {0.3, 0.15, 3.2}},
                  [CPU_FEW_GRADIENTS] = {{0.15, 0.35, 1.48}, {0.1, 0.2, 1.14}, {0.1, 0.15, 0.671}, {0.15, 0.2, 1.49}}},
};

/* The same for thin factors of m >= 10 n, which the bidiagonal path computes by blocks of rows (dense/tall.h).  Measured
 * likewise; AVX-512 with 1000 x 1, 1500 x 2, 200 x 4, 1000 x 4, 600 x 8, 100 x 10, 400 x 16, 200 x 20 and 300 x 30 in
 * addition; groups take up to 1.5 times, mostly less than 1.25 times, as many matrices' time as these numbers say.
 *
 *                        AVX-512                                          AVX2
 *                 with vectors            values alone        with vectors            values alone
 *     m     n  f32  f64  c64  c128    f32  f64  c64  c128   f32  f64  c64  c128    f32  f64  c64  c128
 *    30     1                                                0.4  0.3  0.4   0.5    0.4  0.4  0.4   0.5
 *    60     2                                                0.7  0.5  0.6   0.7    0.6  0.4  0.8   0.8
 *  2000     2   11  8.1   14  8.6     8.1  6.1   11  7.1     4.6  3.7  7.0   4.6    3.5  3.3  5.3   3.8
 *   120     4                                                1.6  1.1  1.9   2.1    1.3  0.7  1.7   1.4
 *   400     4  6.6  4.9  8.7  6.9     4.2  3.8  6.1  4.7     2.8  3.1  4.8   2.9    3.2  2.1  4.0   2.8
 *  4000     4   20   12   26           17   10   23           10  6.6  9.2   4.1    9.6  4.8  8.7   5.3
 *    60     5  1.3  1.1  2.0  1.9     1.2  1.2  1.8  1.8
 *    80     8                                                1.4  1.3  2.2   1.8    1.6  1.4  2.3   1.6
 *   600     8  9.8  7.0   11  7.5     8.3  5.7  9.4  6.2
 *   800     8                                                4.9  3.5  7.5   4.6    6.4  3.9  7.4   4.1
 *   160    16                                                3.5  2.4  4.1   3.3    2.9  2.1  3.9   2.4
 *   480    16                                                6.2  4.1  6.7   2.4    4.5  3.4  6.3   2.8
 *   320    32   14  8.7   14          8.4  6.7   12          6.1  3.0  7.5   3.6    4.0  3.4  5.7   3.6
 *   960    32                                                7.8  4.1  7.3          7.2  2.9  7.8 */
enum { LONG_RATIO = 10 };

static const crossover_t long_crossovers[WIDTHS][2][4] = {
    [BITS_512] = {[CPU_FEW_SVD] = {{0.72, 0.45, 31}, {0.63, 0.4, 21}, {0.68, 0.4, 16}, {0.45, 0.3, 5}},
                  [CPU_FEW_VALUES] = {{0.63, 0.5, 21.5}, {0.53, 0.45, 13.2}, {0.59, 0.48, 12}, {0.45, 0.37, 5.5}}},
    [BITS_256] = {[CPU_FEW_SVD] = {{0.55, 0.3, 13.5}, {0.45, 0.3, 10}, {0.5, 0.45, 11.1}, {0.5, 0.25, 11.5}},
                  [CPU_FEW_VALUES] = {{0.45, 0.35, 9.41}, {0.55, 0.2, 19}, {0.5, 0.4, 10.7}, {0.4, 0.3, 7.94}}},
};

/* Below this, one matrix in lanes is never slower: asked first, since a power takes as long as a small matrix. */
enum { LEAST_ELEMENTS = 32, LEAST_ELEMENTS_OF_GRADIENTS = 128 };

/* Products that were so small were no calls of the BLAS but plain loops when this was measured: a gradient of 40 x 4 took
 * 0.6 to 0.8 of the time in lanes, of 20 x 10 as long, of 80 x 8, which the BLAS multiplied, 0.2. */
enum { PLAIN_PRODUCT = 2000, LONG = 32 };

static int has_plain_products(const problem_t *p) {
  return (double)p->m * (double)p->n * (double)p->mn <= PLAIN_PRODUCT;
}

/* Programs have lanes up to 16 rows and columns.  Time of a group over that of one matrix: in tiles 3.3 (AVX2 of Zen 3:
 * 2 to 3.4); by plain loops, from 8 rows or columns on, 1.4 (0.9 to 1.2).  A gradient this small that is not in its own
 * lanes is such a program, and must not come into a program's lanes: 2.3 to 3.1 (2 to 2.6), by plain loops 0.6 to 1. */
enum { SMALL = 16, TINY = 7 };
static const double SMALL_BY_TILES = 2.8, SMALL_BY_LOOPS = 1.4;

static double ratio_of_programs(const problem_t *p, int64_t larger) {
  return !has_plain_products(p) ? SMALL_BY_TILES : larger > TINY ? SMALL_BY_LOOPS : 0;
}

static double ratio_of_small_gradients(const problem_t *p) { return has_plain_products(p) ? 0 : SMALL_BY_TILES; }

static width_t width_of(const problem_t *p, int lanes) {
  const int is_double = p->dtype == SVDGRAD_F64 || p->dtype == SVDGRAD_C128;
  return lanes * (is_double ? 64 : 32) >= 512 ? BITS_512 : BITS_256;
}

/* Of values alone a long matrix spends its time in the QR factorization that comes first, by qd as by Jacobi. */
static const crossover_t *crossover_of(cpu_few_t what, const problem_t *p, int64_t larger, width_t width) {
  const int completes = what == CPU_FEW_SVD && p->full_matrices;
  if (what == CPU_FEW_GRADIENTS || completes || larger < LONG_RATIO * p->mn)
    return &crossovers[width][what][p->dtype];
  return &long_crossovers[width][what == CPU_FEW_SVD ? CPU_FEW_SVD : CPU_FEW_VALUES][p->dtype];
}

static double ratio_by_crossover(cpu_few_t what, const problem_t *p, int64_t larger, int lanes) {
  const crossover_t *c = crossover_of(what, p, larger, width_of(p, lanes));
  return pow((double)larger, c->larger) * pow((double)p->mn, c->smaller) / c->divisor;
}

static double ratio_of_gradients(const problem_t *p, int64_t larger, int lanes) {
  if (larger <= SMALL)
    return ratio_of_small_gradients(p);
  if ((double)p->m * (double)p->n < LEAST_ELEMENTS_OF_GRADIENTS)
    return 0;
  if (has_plain_products(p))
    return larger >= LONG ? 2 : 0;
  return ratio_by_crossover(CPU_FEW_GRADIENTS, p, larger, lanes);
}

/* The time of a group over that of one matrix on the other path. */
static double ratio_of(cpu_few_t what, const problem_t *p, int lanes) {
  const int64_t larger = p->m < p->n ? p->n : p->m;
  if (what == CPU_FEW_PROGRAMS)
    return ratio_of_programs(p, larger);
  if (what == CPU_FEW_GRADIENTS)
    return ratio_of_gradients(p, larger, lanes);
  return (double)p->m * (double)p->n < LEAST_ELEMENTS ? 0 : ratio_by_crossover(what, p, larger, lanes);
}

int64_t cpu_few_limit(cpu_few_t what, const problem_t *p, int lanes) {
  const double ratio = ratio_of(what, p, lanes);
  return ratio > lanes ? INT64_MAX - 1 : ratio > 0 ? (int64_t)ceil(ratio) - 1 : 0;
}

/* Where the choice must not depend on the batch, one matrix in lanes takes `ratio` times as long as alone, and a full group
 * alone lanes / ratio times as long as in lanes: the smaller of the two is what batch_invariant takes at most, and at most
 * the root of `lanes`.  The other algorithms are asked for by name, and keep to lanes. */
int cpu_is_few(cpu_few_t what, const problem_t *p, int lanes) {
  if (p->chosen_for < INT64_MAX)
    return p->chosen_for <= cpu_few_limit(what, p, lanes);
  const double ratio = ratio_of(what, p, lanes);
  return p->algo == SVDGRAD_ALGO_AUTO && ratio * ratio > lanes;
}
