/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_few.h"

#include <math.h>

/* The time of a group in lanes over that of one matrix on the other path, as larger^a smaller^b / c of the two sizes.
 * The other path is the bidiagonal one, and for gradients and programs products in tiles (simd/one/product.h).
 *
 * ./run crossovers measures it on the instruction set of the machine (bench/crossovers.c), fits a row of the tables below
 * and prints these numbers: one thread, its own time, interleaved, medians of 15.  One row is not the fit, which had one
 * matrix of 8 x 8 in lanes: values by qd in f32 with AVX-512.  AVX-512: Zen 4, 2026-11-30.
 *
 *                 with vectors           values by qd            gradients
 *     m     n  f32  f64  c64 c128    f32  f64  c64 c128    f32  f64  c64 c128
 *     8     8   1.1  1.2  2.1  2.1    1.3  1.3  1.4  1.5    1.1  1.1  1.8  1.7
 *    16    16   3.0  2.4  3.7  2.9    1.7  1.6  1.9  1.9    2.8  2.5  4.5  3.7
 *    24    24   3.3  3.0  4.3  3.3    1.8  1.8  2.3  2.3    4.0  3.4  6.2  4.6
 *    32    32   5.0  3.8  5.7  3.9    2.5  2.1  3.1  2.8    6.3  4.1  8.5  5.5
 *    48    48   7.6  5.3  8.1  5.4    2.7  2.4  3.9  3.3    7.2  4.8  9.2  6.2
 *    64    64    11  6.9   10  6.4    4.9  3.9  5.3  4.3    9.6  5.9   12  6.5
 *    96    96    15  8.6   14  8.2    4.9  3.8  7.1  5.1     11  7.2   13  7.1
 *   128   128    21   11   17  9.3    7.7  5.6  8.9  6.1
 *    32    16   3.5  2.9  4.5  3.6    2.2  2.1  3.2  2.6    3.1  2.6  5.1  3.6
 *   128    64    16  9.3   13  7.4    7.5  5.5  7.5  5.3    7.9  5.1   10  5.5
 *    80     8   2.8  2.6  4.7  3.7    2.7  2.4  3.6  3.0    2.3  2.1  3.9  3.3
 *   320    32    16  9.4   15  8.3     10  6.7   11  7.1    6.2  4.0  9.0  5.1
 *   400     4   6.2  5.1  8.8  6.5    6.4  5.0  7.3  5.8    2.2  1.9  3.7  3.2
 *
 * Half a group of AVX-512, in registers half as wide (simd/kernels.h):
 *
 *                 with vectors           values by qd            gradients
 *     m     n  f32  f64  c64 c128    f32  f64  c64 c128    f32  f64  c64 c128
 *     8     8   0.8  0.8  1.3  1.4    1.1  1.1  1.1  1.2    0.8  1.0  1.2  1.3
 *    16    16   1.9  1.6  2.1  1.7    1.1  1.3  1.3  1.3    1.9  1.9  2.7  2.4
 *    24    24   2.2  2.0  2.5  2.0    1.2  1.3  1.5  1.5    2.6  2.5  3.5  2.9
 *    32    32   3.0  2.3  3.0  2.1    1.4  1.4  1.8  1.7    3.5  2.8  4.5  3.3
 *    48    48   4.3  3.2  4.2  3.0    1.6  1.6  2.3  2.0    4.4  3.3  4.6  3.5
 *    64    64   5.8  3.8  5.3  3.4    2.1  1.8  2.8  2.3    5.1  3.5  6.3  4.0
 *    96    96   7.7  4.9  6.9  4.1    2.5  2.0  3.5  2.6    5.5  3.7  6.5  3.6
 *   128   128    10  5.8  8.3  4.8    3.7  2.7  4.3  2.9
 *    32    16   2.3  2.0  2.7  2.1    1.6  1.6  1.8  1.8    1.9  1.8  2.7  2.3
 *   128    64   8.3  4.9  6.3  3.7    3.3  2.6  4.0  2.8    4.3  3.2  5.6  3.3
 *    80     8   1.9  2.0  2.8  2.4    2.1  2.3  2.6  2.5    1.7  2.0  2.5  2.6
 *   320    32   8.2  4.8  6.9  3.9    5.2  3.6  5.8  3.9    3.5  2.7  4.5  3.0
 *   400     4   4.4  3.9  5.3  4.3    4.8  4.4  5.5  4.9    1.6  2.0  2.6  2.8
 *
 * AVX2, on the same machine:
 *
 *                 with vectors           values by qd            gradients
 *     m     n  f32  f64  c64 c128    f32  f64  c64 c128    f32  f64  c64 c128
 *     8     8   1.0  1.0  1.6  1.6    1.2  1.1  1.1  1.2    0.9  0.9  1.2  1.1
 *    16    16   2.0  1.7  2.3  1.7    1.2  1.3  1.4  1.4    2.1  2.1  2.7  2.1
 *    24    24   2.5  2.1  2.6  2.1    1.4  1.4  1.7  1.6    2.7  2.2  3.6  2.7
 *    32    32   3.3  2.3  3.2  2.3    1.6  1.5  2.0  1.8    5.0  3.6  4.6  3.1
 *    48    48   4.4  3.3  4.6  3.1    1.9  1.6  2.5  2.0    4.6  3.3  5.4  3.4
 *    64    64   5.7  3.9  5.7  3.4    2.2  1.9  3.0  2.3    9.1  5.9  6.7  3.8
 *    96    96   8.4  4.9  7.4  4.1    2.7  2.1  3.7  2.6    7.3  4.4  7.2  4.0
 *   128   128    11  5.6  8.8  4.8    3.8  2.8  4.5  3.0
 *    32    16   2.1  1.9  2.8  2.2    1.7  1.6  2.0  1.7    2.3  2.0  2.8  2.0
 *   128    64   7.2  4.3  6.7  3.7    3.5  2.5  4.0  2.7    7.8  5.3  5.7  3.3
 *    80     8   2.0  1.8  3.1  2.4    2.2  1.9  2.6  2.1    2.0  1.9  2.6  2.0
 *   320    32   6.6  3.8  6.2  3.4    4.7  3.0  5.1  3.1    4.8  3.5  4.7  2.7
 *   400     4   3.8  3.1  5.1  3.4    3.9  2.8  4.9  3.2    1.8  1.9  2.6  2.0
 *
 * Programs (AVX-512, half a group of it, AVX2), which have no kernels of half the width:
 *
 *     m     n  f32  f64  c64 c128    f32  f64  c64 c128    f32  f64  c64 c128
 *     6     6   1.1  1.2  1.6  1.6    1.3  1.3  1.8  1.9    0.9  1.1  1.2  1.2
 *     8     4   1.0  1.1  1.7  1.5    1.1  1.2  1.7  1.7    1.0  1.0  1.2  1.1
 *     8     8   1.3  1.5  2.3  2.1    1.5  1.7  2.6  2.4    1.2  1.2  1.6  1.5
 *    12    12   1.9  2.0  3.4  3.1    2.1  2.3  3.7  3.4    1.6  1.7  2.3  2.0
 *    16     4   1.5  1.5  2.2  2.0    1.5  1.6  2.5  2.2    1.2  1.3  1.5  1.3
 *    16     8   2.2  2.1  3.6  3.1    2.4  2.3  4.0  3.3    1.8  1.7  2.2  1.9
 *    16    16   3.0  2.7  5.4  4.3    3.2  2.9  5.6  4.5    2.3  2.1  3.0  2.3 */
typedef struct crossover {
  double larger, smaller, divisor; /* a, b, c */
} crossover_t;

/* By the width of a register.  Up to half a group of 512 bits goes into registers of half the width (simd/kernels.h).
 * Narrower ones than 256 bits take the numbers of 256 bits. */
typedef enum width { BITS_512, HALF_OF_512, BITS_256, WIDTHS } width_t;

static const crossover_t crossovers[WIDTHS][5][4] = {
    /* by svdgrad_dtype_t */
    [BITS_512] = {[CPU_FEW_SVD] = {{0.5, 0.65, 11.1}, {0.35, 0.55, 5.71}, {0.35, 0.55, 3.9}, {0.4, 0.4, 4.02}},
                  [CPU_FEW_VALUES] = {{0.1, 0.25, 1.87}, {0.1, 0.3, 2.01}, {0.1, 0.15, 1.48}, {0.1, 0.15, 1.47}},
                  [CPU_FEW_QD_VALUES] = {{0.55, 0.15, 4.25}, {0.4, 0.15, 2.82}, {0.5, 0.15, 2.81}, {0.35, 0.2, 2.3}},
                  [CPU_FEW_GRADIENTS] = {{0.15, 0.5, 2.33}, {0.1, 0.4, 1.73}, {0.15, 0.45, 1.29}, {0.1, 0.3, 0.94}},
                  [CPU_FEW_PROGRAMS] = {{0.2, 0.1, 1.06}, {0.1, 0.1, 0.798}, {0.45, 0.65, 4.2}, {0.3, 0.6, 2.66}}},
    [HALF_OF_512] = {[CPU_FEW_SVD] = {{0.4, 0.6, 10.5}, {0.3, 0.45, 5.69}, {0.35, 0.45, 5.24}, {0.25, 0.3, 3.05}},
                     [CPU_FEW_VALUES] = {{0.1, 0.45, 2.66}, {0.1, 0.3, 2}, {0.1, 0.3, 2}, {0.1, 0.1, 1.42}},
                     [CPU_FEW_QD_VALUES] = {{0.45, 0.1, 4.26}, {0.3, 0.1, 2.49}, {0.45, 0.1, 3.37}, {0.25, 0.1, 1.7}},
                     [CPU_FEW_GRADIENTS] = {{0.1, 0.35, 1.71}, {0.1, 0.2, 1.23}, {0.15, 0.3, 1.55}, {0.1, 0.15, 0.937}},
                     [CPU_FEW_PROGRAMS] = {{0.4, 0.5, 3.98}, {0.1, 0.1, 0.76}, {0.3, 0.65, 2.75}, {0.3, 0.45, 1.92}}},
    [BITS_256] = {[CPU_FEW_SVD] = {{0.35, 0.55, 7.35}, {0.15, 0.45, 3.17}, {0.35, 0.35, 3.45}, {0.15, 0.4, 2.8}},
                  [CPU_FEW_VALUES] = {{0.1, 0.25, 1.87}, {0.1, 0.45, 2.64}, {0.1, 0.15, 1.48}, {0.1, 0.15, 1.49}},
                  [CPU_FEW_QD_VALUES] = {{0.4, 0.1, 3.17}, {0.25, 0.1, 2.01}, {0.4, 0.1, 2.65}, {0.25, 0.1, 1.83}},
                  [CPU_FEW_GRADIENTS] = {{0.15, 0.5, 2.82}, {0.1, 0.3, 1.51}, {0.1, 0.4, 1.53}, {0.1, 0.25, 1.39}},
                  [CPU_FEW_PROGRAMS] = {{0.25, 0.5, 3.83}, {0.1, 0.35, 1.69}, {0.1, 0.1, 0.807}, {0.1, 0.1, 0.821}}},
};

/* The same for thin factors of m >= 10 n, which the bidiagonal path computes by blocks of rows (dense/tall.h).
 *
 *                             AVX-512                                      AVX2
 *                 with vectors          values alone          with vectors          values alone
 *     m     n  f32  f64  c64 c128    f32  f64  c64 c128    f32  f64  c64 c128    f32  f64  c64 c128
 *    30     1   0.5  0.6  0.7  0.7    0.7  0.7  0.8  0.8      0.5  0.5  0.6  0.6    0.7  0.7  0.7  0.7
 *    60     2   0.9  0.9  1.4  1.3    1.1  1.0  1.4  1.5      0.8  0.8  1.1  1.0    1.0  0.9  1.3  1.1
 *  2000     2   9.9  7.3   13  8.7    9.3  6.3   13  7.7      4.6  2.9  6.3  3.8    4.4  2.4  6.2  3.1
 *   120     4   2.5  2.3  4.0  3.4    2.6  2.3  3.4  3.2      1.7  1.7  2.7  2.2    2.1  1.7  2.7  2.2
 *   400     4   6.2  5.1  8.8  6.5    6.4  5.0  7.3  5.8      3.8  3.1  5.1  3.4    3.9  2.8  4.9  3.2
 *  4000     4    18  9.9   21   12     18   10   18   10      8.0  4.9  9.1  4.8    8.2  4.4  8.5  4.5
 *    80     8   2.8  2.6  4.7  3.7    2.7  2.4  3.6  3.0      2.0  1.8  3.1  2.4    2.2  1.9  2.6  2.1
 *   800     8    13  9.2   17  9.2     12  7.9   13  7.3      6.9  4.4  7.3  3.8    6.4  4.3  7.0  3.7
 *   160    16   6.6  5.0  9.7  5.9    5.2  4.0  7.2  5.0      3.5  2.9  4.8  3.0    3.3  2.5  3.8  2.7
 *   480    16    14  8.9   16  7.6     10  6.6   12  6.1      6.0  4.0  7.1  3.2    5.7  3.6  5.9  3.1
 *   320    32    16  9.4   15  8.3     10  6.7   11  7.1      6.6  3.8  6.2  3.4    4.7  3.0  5.1  3.1
 *   960    32    21   11   19          17  8.8   16           7.9  4.1  7.1         6.0  3.4  6.2
 *
 * Half a group of AVX-512:
 *
 *                 with vectors          values alone
 *     m     n  f32  f64  c64 c128    f32  f64  c64 c128
 *    30     1   0.5  0.5  0.6  0.6    0.7  0.7  0.8  0.8
 *    60     2   0.8  0.8  0.9  1.0    1.0  1.1  1.3  1.4
 *  2000     2   6.7  5.6  8.5  5.7    7.5  6.6  9.6  6.5
 *   120     4   1.8  1.8  2.4  2.4    2.0  2.3  2.7  2.7
 *   400     4   4.4  3.9  5.3  4.3    4.8  4.4  5.5  4.9
 *  4000     4    12  7.7   11  6.6     13  8.3   13  7.8
 *    80     8   1.9  2.0  2.8  2.4    2.1  2.3  2.6  2.5
 *   800     8   8.8  6.4  9.0  5.0    8.0  6.1  8.3  5.1
 *   160    16   4.5  3.4  4.9  3.3    3.4  2.9  4.0  3.2
 *   480    16   8.8  5.5  8.0  4.0    6.5  4.7  6.9  4.0
 *   320    32   8.2  4.8  6.9  3.9    5.2  3.6  5.8  3.9
 *   960    32   9.8  5.7  8.1         7.4  4.5  7.0 */
enum { LONG_RATIO = 10 };

static const crossover_t long_crossovers[WIDTHS][2][4] = {
    [BITS_512] = {[CPU_FEW_SVD] = {{0.7, 0.6, 28.8}, {0.65, 0.5, 21.8}, {0.6, 0.5, 10.4}, {0.5, 0.35, 5.96}},
                  [CPU_FEW_VALUES] = {{0.6, 0.3, 11}, {0.45, 0.2, 4.57}, {0.55, 0.3, 6.56}, {0.45, 0.25, 4.61}}},
    [HALF_OF_512] = {[CPU_FEW_SVD] = {{0.65, 0.5, 24.8}, {0.55, 0.35, 12.8}, {0.5, 0.3, 6.34}, {0.45, 0.15, 4.79}},
                     [CPU_FEW_VALUES] = {{0.6, 0.15, 10.6}, {0.45, 0.1, 4.42}, {0.5, 0.2, 6.37}, {0.45, 0.25, 4.93}}},
    [BITS_256] = {[CPU_FEW_SVD] = {{0.55, 0.4, 14.7}, {0.5, 0.4, 14.9}, {0.4, 0.3, 4.11}, {0.25, 0.3, 2.69}},
                  [CPU_FEW_VALUES] = {{0.4, 0.15, 3.76}, {0.35, 0.15, 4.22}, {0.35, 0.3, 3.84}, {0.3, 0.3, 4.04}}},
};

/* Below this, one matrix in lanes is never slower: asked first, since a power takes as long as a small matrix. */
enum { LEAST_ELEMENTS = 32, LEAST_ELEMENTS_OF_GRADIENTS = 65 };

/* Programs have lanes up to 16 rows and columns. */
enum { PROGRAM_MOST = 16 };

static width_t width_of(const problem_t *p, int lanes) {
  const int is_double = p->dtype == SVDGRAD_F64 || p->dtype == SVDGRAD_C128;
  return lanes * (is_double ? 64 : 32) >= 512 ? BITS_512 : BITS_256;
}

/* For up to half of the lanes. */
static width_t half_width_of(const problem_t *p, int lanes) {
  const width_t width = width_of(p, lanes);
  return width == BITS_512 ? HALF_OF_512 : width;
}

/* Of values alone a long matrix spends its time in the QR factorization that comes first, by qd as by Jacobi. */
static const crossover_t *crossover_of(cpu_few_t what, const problem_t *p, int64_t larger, width_t width) {
  const int is_svd = what <= CPU_FEW_QD_VALUES, completes = what == CPU_FEW_SVD && p->full_matrices;
  if (!is_svd || completes || larger < LONG_RATIO * p->mn)
    return &crossovers[width][what][p->dtype];
  return &long_crossovers[width][what == CPU_FEW_SVD ? CPU_FEW_SVD : CPU_FEW_VALUES][p->dtype];
}

static double ratio_by_crossover(cpu_few_t what, const problem_t *p, int64_t larger, width_t width) {
  const crossover_t *c = crossover_of(what, p, larger, width);
  return pow((double)larger, c->larger) * pow((double)p->mn, c->smaller) / c->divisor;
}

/* The time of a group over that of one matrix on the other path.  A small gradient that is not in its own lanes is a
 * program of one matrix, and must not come into a program's lanes. */
static double ratio_of(cpu_few_t what, const problem_t *p, width_t width) {
  const int64_t larger = p->m < p->n ? p->n : p->m;
  const int least = what == CPU_FEW_GRADIENTS ? LEAST_ELEMENTS_OF_GRADIENTS : LEAST_ELEMENTS;
  if ((double)p->m * (double)p->n < least)
    return 0;
  const double ratio = ratio_by_crossover(what, p, larger, width);
  if (what != CPU_FEW_GRADIENTS || larger > PROGRAM_MOST)
    return ratio;
  const double as_program = ratio_by_crossover(CPU_FEW_PROGRAMS, p, larger, width);
  return ratio < as_program ? ratio : as_program;
}

/* Largest number of matrices that take less time alone than a group that takes `ratio` times as long as one of them. */
static int64_t most_alone(double ratio) { return ratio > 0 ? (int64_t)ceil(ratio) - 1 : 0; }

/* Where even a full group is slower, no batch goes into lanes: the limit is above every batch_count.  The time of one matrix
 * is that of a matrix in the cache, and the next one of a batch is not there.  At ratios of 1.05 to 1.32 times the lanes,
 * full groups of 512 x 16, 480 x 16 and 320 x 32 in f64, c64 and c128 took 0.7 to 0.8 of the time alone, of 800 x 8 in f64
 * 1.15 times it (Zen 4, 2026-11-30). */
static const double IN_THE_CACHE = 1.35;

static int64_t full_limit(cpu_few_t what, const problem_t *p, int lanes) {
  const double ratio = ratio_of(what, p, width_of(p, lanes));
  return ratio > IN_THE_CACHE * lanes ? INT64_MAX - 1 : most_alone(ratio);
}

static int64_t half_limit(cpu_few_t what, const problem_t *p, int lanes) {
  return most_alone(ratio_of(what, p, half_width_of(p, lanes)));
}

/* Where the choice must not depend on the batch, one matrix in lanes takes `half` times as long as alone; alone, a full group
 * takes lanes / full times as long as in lanes, and half a group lanes / (2 half) times.  Lanes, unless they lose clearly
 * more than that, since larger batches would lose alone, too.  The other algorithms are asked for by name, and keep to
 * lanes. */
static const double CLEARLY = 1.15;

static int is_few_in_any_batch(cpu_few_t what, const problem_t *p, int lanes) {
  const double full = ratio_of(what, p, width_of(p, lanes)), half = ratio_of(what, p, half_width_of(p, lanes));
  return p->algo == SVDGRAD_ALGO_AUTO && half * fmin(full, 2 * half) > CLEARLY * lanes;
}

int cpu_is_few(cpu_few_t what, const problem_t *p, int lanes) {
  if (p->chosen_for == INT64_MAX)
    return is_few_in_any_batch(what, p, lanes);
  return p->chosen_for <= (p->chosen_for <= lanes / 2 ? half_limit : full_limit)(what, p, lanes);
}

int64_t cpu_few_below(cpu_few_t what, const problem_t *p, int lanes) {
  const int64_t limits[] = {half_limit(what, p, lanes), lanes / 2, full_limit(what, p, lanes)};
  int64_t below = 0;
  for (int i = 0; i < 3; i++)
    below = limits[i] < p->chosen_for && limits[i] > below ? limits[i] : below;
  return below;
}
