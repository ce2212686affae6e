/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of matrices (cpu/simd/one/product.h), of every type, on every instruction set of this build and machine:
 * errors, bits, what is read and written. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "base/arena.h"
#include "buffer.h"
#include "cpu/simd/kernels.h"
#include "random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* c = alpha op(A) op(B) + beta c; the buffers have canaries around the elements. */
typedef struct operands {
  svdgrad_dtype_t dtype;
  int64_t m, n, k;
  int hermitian_a, hermitian_b;
  double alpha, beta;
  buffer_t A, B, c;
} operands_t;

typedef void (*check_t)(const product_ops_t *ops, svdgrad_dtype_t dtype, const char *isa);

static void for_each_kernel(check_t check) {
  static const char *const isas[] = {"portable", "avx2", "avx512", "neon"};
  for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
    setenv("SVDGRAD_ISA", isas[i], 1);
    const lane_isa_t *isa = lanes_choose();
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128 && strcmp(isa->name, isas[i]) == 0; dtype++)
      check(isa->kernels[dtype]->product, dtype, isa->name);
  }
}

static buffer_t random_buffer(random_t *random, svdgrad_dtype_t dtype, int64_t rows, int64_t cols) {
  const layout_t layout = random_bits(random) % 2 ? LAYOUT_COLUMN_MAJOR : LAYOUT_COLUMN_PADDED;
  const buffer_t buffer = buffer_make(dtype, rows, cols, 1, layout, 0);
  dense_t X = random_matrix(random, rows, cols, dtype_is_complex(dtype));
  buffer_store(&buffer, 0, &X);
  dense_free(&X);
  return buffer;
}

static operands_t operands_of(random_t *random, svdgrad_dtype_t dtype, int64_t m, int64_t n, int64_t k, int ops) {
  operands_t p = {dtype, m, n, k, ops & 1, ops >> 1 & 1, 1, 0, {0}, {0}, {0}};
  p.A = random_buffer(random, dtype, p.hermitian_a ? k : m, p.hermitian_a ? m : k);
  p.B = random_buffer(random, dtype, p.hermitian_b ? n : k, p.hermitian_b ? k : n);
  p.c = random_buffer(random, dtype, m, n);
  return p;
}

static void operands_free(operands_t *p) { buffer_free(&p->A), buffer_free(&p->B), buffer_free(&p->c); }

static const void *entry_of(const buffer_t *x, int64_t i, int64_t j) {
  return (const char *)x->matrix.data + (size_t)(i + j * x->matrix.col_stride) * x->element_size;
}

/* Rows i .. i + m - 1 and columns j .. j + n - 1 of the product. */
static group_product_t part_of(const operands_t *p, int64_t i, int64_t m, int64_t j, int64_t n) {
  return (group_product_t){.m = m,
                           .n = n,
                           .k = p->k,
                           .hermitian_a = p->hermitian_a,
                           .hermitian_b = p->hermitian_b,
                           .alpha = p->alpha,
                           .beta = p->beta,
                           .A = p->hermitian_a ? entry_of(&p->A, 0, i) : entry_of(&p->A, i, 0),
                           .B = p->hermitian_b ? entry_of(&p->B, j, 0) : entry_of(&p->B, 0, j),
                           .c = (void *)entry_of(&p->c, i, j),
                           .lda = p->A.matrix.col_stride,
                           .ldb = p->B.matrix.col_stride,
                           .ldc = p->c.matrix.col_stride};
}

static int64_t largest_of(const group_product_t *p) {
  const int64_t larger = p->m > p->n ? p->m : p->n;
  return larger > p->k ? larger : p->k;
}

/* Work memory starts as NaN; what lies behind it stays. */
static void multiply(const product_ops_t *ops, const group_product_t *p) {
  enum { BEHIND = ARENA_ALIGNMENT };
  const size_t bytes = ops->work(largest_of(p));
  const size_t all = (bytes + BEHIND + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
  unsigned char *work = aligned_alloc(ARENA_ALIGNMENT, all);
  cr_assert_not_null(work);
  memset(work, 0xFF, all);
  ops->multiply(p, work);
  for (size_t i = bytes; i < all; i++)
    cr_assert_eq(work[i], 0xFF, "written behind the work memory");
  free(work);
}

static void multiply_whole(const product_ops_t *ops, const operands_t *p) {
  const group_product_t product = part_of(p, 0, p->m, 0, p->n);
  multiply(ops, &product);
  cr_expect(buffer_padding_intact(&p->A) && buffer_padding_intact(&p->B) && buffer_padding_intact(&p->c));
}

/* The terms of a row of op(A) and of a column of op(B) one after the other. */
typedef struct factors {
  dense_t A, B; /* op(A)^T, op(B) */
} factors_t;

static dense_t conjugated(dense_t X, int conjugates) {
  for (int64_t i = 0; i < X.m * X.n && conjugates; i++)
    X.at[i] = conjl(X.at[i]);
  return X;
}

static factors_t factors_of(const operands_t *p) {
  dense_t A = buffer_load(&p->A, 0), B = buffer_load(&p->B, 0);
  const factors_t f = {conjugated(p->hermitian_a ? dense_copy(&A) : dense_conjugate_transpose(&A), 1),
                       p->hermitian_b ? dense_conjugate_transpose(&B) : dense_copy(&B)};
  dense_free(&A), dense_free(&B);
  return f;
}

static void factors_free(factors_t *f) { dense_free(&f->A), dense_free(&f->B); }

/* |c_ij - alpha sum_l a_il b_lj - beta old_ij| in units of u (|alpha| sum_l |a_il| |b_lj| + |beta old_ij|). */
static double error_of(const operands_t *p, const factors_t *f, const buffer_t *old, int64_t i, int64_t j) {
  z_t sum = 0;
  double size = 0;
  for (int64_t l = 0; l < p->k; l++) {
    const z_t a = f->A.at[i * p->k + l], b = f->B.at[j * p->k + l];
    sum += a * b, size += cabs((double _Complex)a) * cabs((double _Complex)b);
  }
  const z_t before = p->beta == 0 ? 0 : p->beta * buffer_get(old, 0, i, j);
  const long double error = cabsl(buffer_get(&p->c, 0, i, j) - p->alpha * sum - before);
  const long double unit = dtype_epsilon(p->dtype) / 2 * (fabsl(p->alpha) * size + cabsl(before));
  return (double)(error == 0 ? 0 : error / unit);
}

/* Sums of k terms have an error of k u; a complex number has two of them, and a few operations follow. */
static void check_errors(const product_ops_t *ops, const char *isa, operands_t *p) {
  buffer_t old = buffer_make(p->dtype, p->m, p->n, 1, LAYOUT_COLUMN_MAJOR, 0);
  buffer_copy(&old, &p->c);
  factors_t f = factors_of(p);
  multiply_whole(ops, p);
  double worst = 0;
  for (int64_t j = 0; j < p->n; j++)
    for (int64_t i = 0; i < p->m; i++) {
      const double error = error_of(p, &f, &old, i, j);
      worst = error <= worst ? worst : error;
    }
  const double bound = 1.5 * ((double)p->k + 6);
  cr_expect(worst <= bound, "%s %s %dx%dx%d, %d%d, alpha %g, beta %g: %g u", isa, dtype_name(p->dtype), (int)p->m,
            (int)p->n, (int)p->k, p->hermitian_a, p->hermitian_b, p->alpha, p->beta, worst);
  buffer_free(&old), factors_free(&f);
}

static const double scales[][2] = {{1, 0}, {-1, 1}, {0.75, -1.25}, {1, 1}};

static void check_shape(const product_ops_t *ops, svdgrad_dtype_t dtype, const char *isa, int64_t m, int64_t n,
                        int64_t k, random_t *random) {
  for (int which = 0; which < 4; which++) {
    operands_t p = operands_of(random, dtype, m, n, k, which);
    const size_t which_scale = random_bits(random) % 4;
    p.alpha = scales[which_scale][0], p.beta = scales[which_scale][1];
    check_errors(ops, isa, &p);
    operands_free(&p);
  }
}

static void check_small(const product_ops_t *ops, svdgrad_dtype_t dtype, const char *isa) {
  random_t random = random_seed(dtype);
  for (int64_t m = 1; m <= 33; m++)
    check_shape(ops, dtype, isa, m, 1 + m % 13, 3, &random);
  for (int64_t n = 1; n <= 26; n++)
    check_shape(ops, dtype, isa, 1 + n % 17, n, 5, &random);
  for (int i = 0; i < 60; i++) {
    const int64_t m = 1 + (int64_t)(random_bits(&random) % 70), n = 1 + (int64_t)(random_bits(&random) % 70);
    check_shape(ops, dtype, isa, m, n, 1 + (int64_t)(random_bits(&random) % 70), &random);
  }
}

/* More terms than a slab has, more rows than a block; and the shapes of blocks of reflectors. */
static void check_large(const product_ops_t *ops, svdgrad_dtype_t dtype, const char *isa) {
  static const int64_t shapes[][3] = {{20, 13, 192}, {20, 13, 193}, {20, 13, 385}, {9, 7, 1025},
                                      {300, 7, 300}, {521, 3, 260}, {5, 200, 30},  {32, 70, 300},
                                      {300, 70, 32}, {1100, 5, 32}, {2100, 2, 20}, {130, 19, 130}};
  random_t random = random_seed(dtype);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    check_shape(ops, dtype, isa, shapes[i][0], shapes[i][1], shapes[i][2], &random);
}

Test(product, errors_of_small_products) { for_each_kernel(check_small); }
Test(product, errors_of_large_products) { for_each_kernel(check_large); }

/* The part of the product with the given bits of c beforehand. */
static void check_part(const product_ops_t *ops, const char *isa, const operands_t *whole, const buffer_t *old,
                       int64_t i, int64_t m, int64_t j, int64_t n) {
  operands_t p = *whole;
  p.c = buffer_make(whole->dtype, whole->m, whole->n, 1, LAYOUT_COLUMN_PADDED, 0);
  buffer_copy(&p.c, old);
  const group_product_t product = part_of(&p, i, m, j, n);
  multiply(ops, &product);
  for (int64_t c = 0; c < whole->n; c++)
    for (int64_t r = 0; r < whole->m; r++) {
      const int inside = r >= i && r < i + m && c >= j && c < j + n;
      const void *expected = entry_of(inside ? &whole->c : old, r, c);
      cr_assert(memcmp(entry_of(&p.c, r, c), expected, p.c.element_size) == 0,
                "%s %s %dx%dx%d, %d%d: rows %d.. (%d), columns %d.. (%d): entry %d, %d", isa, dtype_name(p.dtype),
                (int)p.m, (int)p.n, (int)p.k, p.hermitian_a, p.hermitian_b, (int)i, (int)m, (int)j, (int)n, (int)r,
                (int)c);
    }
  buffer_free(&p.c);
}

static void check_parts_of(const product_ops_t *ops, const char *isa, operands_t *p, random_t *random) {
  buffer_t old = buffer_make(p->dtype, p->m, p->n, 1, LAYOUT_COLUMN_MAJOR, 0);
  buffer_copy(&old, &p->c);
  multiply_whole(ops, p);
  for (int part = 0; part < 12; part++) {
    const int64_t i = (int64_t)(random_bits(random) % (uint64_t)p->m),
                  j = (int64_t)(random_bits(random) % (uint64_t)p->n);
    const int64_t m = 1 + (int64_t)(random_bits(random) % (uint64_t)(p->m - i));
    const int64_t n = 1 + (int64_t)(random_bits(random) % (uint64_t)(p->n - j));
    check_part(ops, isa, p, &old, i, m, j, n);
  }
  for (int64_t j = 0; j < 2; j++)
    check_part(ops, isa, p, &old, j * p->m / 2, 1, 0, p->n), check_part(ops, isa, p, &old, 0, p->m, j * p->n / 2, 1);
  buffer_free(&old);
}

static void check_parts(const product_ops_t *ops, svdgrad_dtype_t dtype, const char *isa) {
  static const int64_t shapes[][3] = {{19, 17, 40}, {40, 30, 700}, {150, 31, 33}, {280, 60, 270}};
  random_t random = random_seed(dtype);
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int which = 0; which < 4; which++) {
      operands_t p = operands_of(&random, dtype, shapes[s][0], shapes[s][1], shapes[s][2], which);
      p.alpha = scales[(s + (size_t)which) % 4][0], p.beta = scales[(s + (size_t)which) % 4][1];
      check_parts_of(ops, isa, &p, &random);
      operands_free(&p);
    }
}

/* Rows and columns of a product have the bits of the whole, whatever part is computed. */
Test(product, bits_of_parts) { for_each_kernel(check_parts); }

/* NaN, +-Inf, or 0 for a number that is finite. */
static double kind_of(double x) { return isnan(x) ? 3 : isinf(x) ? (x < 0 ? -1 : 1) : 0; }

/* The parts of entry (i, j) by the four products of real numbers. */
static void plain_entry(const operands_t *p, const factors_t *f, int64_t i, int64_t j, double *re, double *im) {
  double rr = 0, ii = 0, ri = 0, ir = 0;
  const int is_complex = dtype_is_complex(p->dtype);
  for (int64_t l = 0; l < p->k; l++) {
    const z_t a = f->A.at[i * p->k + l], b = f->B.at[j * p->k + l];
    rr += (double)creall(a) * (double)creall(b);
    if (is_complex)
      ii += (double)cimagl(a) * (double)cimagl(b), ri += (double)creall(a) * (double)cimagl(b),
          ir += (double)cimagl(a) * (double)creall(b);
  }
  *re = rr - ii, *im = ir + ri;
}

static void check_nonfinite(const product_ops_t *ops, svdgrad_dtype_t dtype, const char *isa) {
  static const double values[] = {NAN, INFINITY, -INFINITY, 0};
  const int64_t m = 21, n = 15, k = 19;
  random_t random = random_seed(dtype);
  for (int round = 0; round < 8; round++) {
    operands_t p = operands_of(&random, dtype, m, n, k, round % 4);
    for (size_t v = 0; v < 4; v++) {
      const z_t value = v % 2 && dtype_is_complex(dtype) ? CMPLXL(1, values[v]) : values[v];
      buffer_set(&p.A, 0, (int64_t)(random_bits(&random) % (uint64_t)p.A.rows),
                 (int64_t)(random_bits(&random) % (uint64_t)p.A.cols), value);
      if (round >= 4)
        buffer_set(&p.B, 0, (int64_t)(random_bits(&random) % (uint64_t)p.B.rows),
                   (int64_t)(random_bits(&random) % (uint64_t)p.B.cols), value);
    }
    factors_t f = factors_of(&p);
    multiply_whole(ops, &p);
    for (int64_t j = 0; j < n; j++)
      for (int64_t i = 0; i < m; i++) {
        double re, im;
        plain_entry(&p, &f, i, j, &re, &im);
        const z_t c = buffer_get(&p.c, 0, i, j);
        cr_expect(kind_of((double)creall(c)) == kind_of(re) && kind_of((double)cimagl(c)) == kind_of(im),
                  "%s %s %d%d: entry %d, %d is %g + %gi, not %g + %gi", isa, dtype_name(dtype), p.hermitian_a,
                  p.hermitian_b, (int)i, (int)j, (double)creall(c), (double)cimagl(c), re, im);
      }
    operands_free(&p), factors_free(&f);
  }
}

/* As in plain sums: no zero that fills a tile up meets them. */
Test(product, numbers_that_are_not_finite) { for_each_kernel(check_nonfinite); }

static void fill(const buffer_t *x, z_t value) {
  for (int64_t j = 0; j < x->cols; j++)
    for (int64_t i = 0; i < x->rows; i++)
      buffer_set(x, 0, i, j, value);
}

static void expect_all(const buffer_t *x, double value, const char *what, const char *isa) {
  for (int64_t j = 0; j < x->cols; j++)
    for (int64_t i = 0; i < x->rows; i++)
      cr_expect(buffer_get(x, 0, i, j) == value, "%s %s: %s", isa, dtype_name(x->dtype), what);
}

static void check_edges(const product_ops_t *ops, svdgrad_dtype_t dtype, const char *isa) {
  random_t random = random_seed(dtype);
  for (int which = 0; which < 4; which++) {
    operands_t p = operands_of(&random, dtype, 11, 8, 9, which);
    fill(&p.A, 1), fill(&p.B, 1);
    fill(&p.c, NAN);
    multiply_whole(ops, &p);
    expect_all(&p.c, 9, "beta = 0", isa);
    fill(&p.A, NAN), fill(&p.B, INFINITY), fill(&p.c, 3);
    p.alpha = 0, p.beta = 2;
    multiply_whole(ops, &p);
    expect_all(&p.c, 6, "alpha = 0", isa);
    p.alpha = 1, p.k = 0;
    multiply_whole(ops, &p);
    expect_all(&p.c, 12, "k = 0", isa);
    fill(&p.c, NAN);
    p.beta = 0;
    multiply_whole(ops, &p);
    expect_all(&p.c, 0, "k = 0, beta = 0", isa);
    for (int empty = 0; empty < 2; empty++) {
      group_product_t none = part_of(&p, 0, empty ? 0 : 11, 0, empty ? 8 : 0);
      none.k = 9, none.c = NULL;
      multiply(ops, &none);
    }
    operands_free(&p);
  }
}

Test(product, edges) { for_each_kernel(check_edges); }

static void check_work(const product_ops_t *ops, svdgrad_dtype_t dtype, const char *isa) {
  for (int64_t largest = 1; largest < 3000; largest++)
    cr_expect(ops->work(largest) <= ops->work(largest + 1), "%s %s %d", isa, dtype_name(dtype), (int)largest);
  cr_expect(ops->work(INT64_C(1) << 40) < 1 << 20);
}

Test(product, work_is_bounded) { for_each_kernel(check_work); }
