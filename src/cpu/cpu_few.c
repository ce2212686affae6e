/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_few.h"

#include <math.h>

/* The time of a group in lanes over that of one matrix on the other path, as larger^a smaller^b / c of the two sizes.
 * The other path is the bidiagonal one (it takes 0.3 to 0.9 of gesdd's time here), for gradients products by the BLAS.
 *
 * Measured at m = n, 2 n, 10 n, 100 n and 1000 n, n = 2 to 96, and at m = n / 10: one thread, its own time, interleaved,
 * medians of 7; AVX-512 of Sapphire Rapids, OpenBLAS 0.3.21 with its kernels for AVX-512, 2026-11-30.  With these
 * numbers a batch of 1 to 16 takes up to 1.2 times the time of the faster path near the crossover, in a few cases 1.5.
 *
 *                 with vectors            values alone            gradients
 *     m     n  f32  f64  c64  c128    f32  f64  c64  c128    f32  f64  c64  c128
 *     8     8  0.7  0.7  1.0  0.9     1.2  0.8  1.6  1.3     0.8  0.7  1.1  0.8
 *    16    16  0.9  1.0  1.5  1.5     2.4  2.0  3.6  3.6     2.6  2.3  3.1  2.1
 *    24    24  1.3  1.3  2.6  2.4     3.4  3.4  6.3  6.3
 *    32    32  2.9  2.2  3.9  3.6     5.3  4.7  9.9  9.7                    4.0
 *    64    64  4.9  4.3  9.7  8.2      12   11   23   20                    5.1
 *    96    96  8.7  6.4   15           20   17   35
 *    32    16  1.2  1.1  2.0  2.0     2.6  1.9  4.2  4.0     4.2  3.1  4.2  2.9
 *   128    64  6.3  4.0  9.6  6.4      10  9.5   18   14      11  5.8  5.8  5.8
 *    80     8  1.4  1.2  1.6  1.5     1.6  1.8  2.1  1.7     4.8  3.0  6.9  3.6
 *   320    32  5.9  4.0  6.8          6.5  4.7  8.2           11  6.1   12
 *   400     4  3.4  2.6  2.5  3.0     4.8  2.3  3.7  2.6     6.5  3.2  6.0  3.5
 *  2000     2  6.5  4.0  2.5  2.8     6.6  2.5  2.6  2.3     8.3  3.9  7.1
 *  4000     4   11  6.4  8.9          9.1  4.7  6.1          9.3  4.7  8.8
 *
 * Values alone from 8 columns on are by qd since; the same machine, best of some dozens:
 *
 *     m     n  f32  f64  c64  c128
 *     8     8  1.0  0.9  1.0  1.0
 *    16    16  1.3  1.3  1.3  1.4
 *    32    32  1.6  1.6  2.1  1.9
 *    64    64  2.9  2.5  3.4  3.0
 *   128   128  5.2  3.7  7.2
 *    32    16  1.6  1.4  2.0  1.8
 *   128    64  3.9  2.9  5.3  3.9
 *    80     8  1.7  1.4  1.8  1.7
 *   320    32  4.6  3.3  4.8
 *   800     8  5.0  3.6  4.1  3.2 */
typedef struct crossover {
  double larger, smaller, divisor; /* a, b, c */
} crossover_t;

static const crossover_t crossovers[][4] = {
    /* by svdgrad_dtype_t */
    [CPU_FEW_SVD] = {{0.5, 0.5, 14.5}, {0.5, 0.5, 19}, {0.4, 0.6, 10.5}, {0.33, 0.5, 6}},
    [CPU_FEW_VALUES] = {{0.4, 0.6, 7.8}, {0.25, 0.5, 3.9}, {0.33, 0.7, 6.4}, {0.25, 0.6, 4.1}},
    [CPU_FEW_QD_VALUES] = {{0.33, 0.27, 3.84}, {0.3, 0.21, 3.48}, {0.32, 0.38, 4.72}, {0.26, 0.3, 3.3}},
    [CPU_FEW_GRADIENTS] = {{0.3, 0.35, 1.75}, {0.33, 0.5, 5.2}, {0.33, 0.4, 2.2}, {0.25, 0.5, 3.3}},
};

/* The same for thin factors of m >= 10 n, which the bidiagonal path computes by blocks of rows (dense/tall.h).  Measured
 * likewise, with 1000 x 1, 1500 x 2, 200 x 4, 1000 x 4, 600 x 8, 100 x 10, 400 x 16, 200 x 20 and 300 x 30 in addition;
 * groups take up to 1.5 times, mostly less than 1.25 times, as many matrices' time as these numbers say.
 *
 *                 with vectors            values alone
 *     m     n  f32  f64  c64  c128    f32  f64  c64  c128
 *    60     5  1.3  1.1  2.0  1.9     1.2  1.2  1.8  1.8
 *   400     4  6.6  4.9  8.7  6.9     4.2  3.8  6.1  4.7
 *  2000     2   11  8.1   14  8.6     8.1  6.1   11  7.1
 *  4000     4   20   12   26           17   10   23
 *   600     8  9.8  7.0   11  7.5     8.3  5.7  9.4  6.2
 *   320    32   14  8.7   14          8.4  6.7   12 */
enum { LONG_RATIO = 10 };

static const crossover_t long_crossovers[][4] = {
    [CPU_FEW_SVD] = {{0.72, 0.45, 31}, {0.63, 0.4, 21}, {0.68, 0.4, 16}, {0.45, 0.3, 5}},
    [CPU_FEW_VALUES] = {{0.63, 0.5, 21.5}, {0.53, 0.45, 13.2}, {0.59, 0.48, 12}, {0.45, 0.37, 5.5}},
};

/* Below this, one matrix in lanes is never slower: asked first, since a power takes as long as a small matrix. */
enum { LEAST_ELEMENTS = 32, LEAST_ELEMENTS_OF_GRADIENTS = 128 };

/* Programs have lanes up to 16 rows and columns.  The BLAS takes 0.7 of their time for one matrix from 8 on, 0.3 at 16.
 * A gradient this small that is not in its own lanes is such a program, and must not come into a program's lanes. */
enum { SMALL = 16, MEDIUM = 12, TINY = 7 };

static int64_t limit_of_programs(int64_t larger) { return larger > MEDIUM ? 2 : larger > TINY ? 1 : 0; }

static int64_t limit_of_small_gradients(int64_t larger) { return larger > MEDIUM ? limit_of_programs(larger) : 0; }

/* Products of a gradient that are so small are no calls of the BLAS but plain loops (dense/machine.c): 40 x 4 takes 0.6
 * to 0.8 of the time in lanes, 20 x 10 as long, 80 x 8, which the BLAS multiplies, 0.2. */
enum { PLAIN_PRODUCT = 2000, LONG = 32 };

static int has_plain_products(const problem_t *p) {
  return (double)p->m * (double)p->n * (double)p->mn <= PLAIN_PRODUCT;
}

/* Of values alone a long matrix spends its time in the QR factorization that comes first, by qd as by Jacobi. */
static const crossover_t *crossover_of(cpu_few_t what, const problem_t *p, int64_t larger) {
  const int completes = what == CPU_FEW_SVD && p->full_matrices;
  if (what == CPU_FEW_GRADIENTS || completes || larger < LONG_RATIO * p->mn)
    return &crossovers[what][p->dtype];
  return &long_crossovers[what == CPU_FEW_SVD ? CPU_FEW_SVD : CPU_FEW_VALUES][p->dtype];
}

static int64_t limit_by_crossover(cpu_few_t what, const problem_t *p, int64_t larger, int64_t most) {
  const crossover_t *c = crossover_of(what, p, larger);
  const double few = pow((double)larger, c->larger) * pow((double)p->mn, c->smaller) / c->divisor;
  return few < (double)most ? (int64_t)ceil(few) - 1 : most;
}

static int64_t limit_of_gradients(const problem_t *p, int64_t larger, int64_t most) {
  if (larger <= SMALL)
    return limit_of_small_gradients(larger);
  if ((double)p->m * (double)p->n < LEAST_ELEMENTS_OF_GRADIENTS)
    return 0;
  if (has_plain_products(p))
    return larger >= LONG ? 1 : 0;
  return limit_by_crossover(CPU_FEW_GRADIENTS, p, larger, most);
}

static int64_t limit_of_svd(cpu_few_t what, const problem_t *p, int64_t larger, int64_t most) {
  return (double)p->m * (double)p->n < LEAST_ELEMENTS ? 0 : limit_by_crossover(what, p, larger, most);
}

int64_t cpu_few_limit(cpu_few_t what, const problem_t *p, int lanes) {
  const int64_t larger = p->m < p->n ? p->n : p->m, most = lanes - 1;
  const int64_t limit = what == CPU_FEW_PROGRAMS    ? limit_of_programs(larger)
                        : what == CPU_FEW_GRADIENTS ? limit_of_gradients(p, larger, most)
                                                    : limit_of_svd(what, p, larger, most);
  return limit < most ? limit : most;
}
