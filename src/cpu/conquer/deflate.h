/* SPDX-License-Identifier: BSD-3-Clause */
/* Deflation (J. J. Dongarra, D. C. Sorensen, SIAM J. Sci. Stat. Comput. 8, 1987; tolerances as in LAPACK's lasd2):
 * singular values of the two blocks that are values of the merged one too, up to rounding errors.  These are d_j whose
 * z_j is negligible, and one of two d_j that are as good as equal, after a rotation that makes its z_j zero. */
#ifndef SVDGRAD_CONQUER_DEFLATE_H
#define SVDGRAD_CONQUER_DEFLATE_H
#include "problem.h"

/* Where a column of U and V is not zero. */
enum { IN_UPPER_ROWS, IN_ALL_ROWS, IN_LOWER_ROWS };

/* What is left of a merge after deflation.  Columns are counted as in d: those of the upper block, the middle row
 * (column 0 of the secular equation), those of the lower block. */
typedef struct merge {
  const block_t *block;
  int64_t above; /* rows of the upper block */
  R tolerance;
  int64_t kept;     /* size of the secular equation; c->columns names its columns */
  int64_t deflated; /* c->deflated names them */
  R cosine, sine;   /* that rotate the two columns without value into one */
} merge_t;

/* Columns p and q of X, from row first to last. */
static void rotate_columns(R *p, R *q, int64_t first, int64_t last, R cosine, R sine) {
  for (int64_t i = first; i < last; i++) {
    const R x = p[i], y = q[i];
    p[i] = cosine * x + sine * y;
    q[i] = cosine * y - sine * x;
  }
}

/* Writes the zeros of a column, `upper` rows above and all others below. */
static void fill_column(R *x, int kind, int64_t upper, int64_t rows) {
  if (kind == IN_UPPER_ROWS)
    memset(x + upper, 0, (size_t)(rows - upper) * sizeof(R));
  if (kind == IN_LOWER_ROWS)
    memset(x, 0, (size_t)upper * sizeof(R));
}

static void rotate_pair(const conquer_t *c, const merge_t *m, int64_t p, int64_t q, R cosine, R sine) {
  const block_t *b = m->block;
  const int64_t upper = m->above + 1, columns = b->n + b->extra;
  R *u_p = u_column(c, b, p), *u_q = u_column(c, b, q), *v_p = v_column(c, b, p), *v_q = v_column(c, b, q);
  signed char *kind = c->kind;
  if (kind[p] != kind[q]) {
    fill_column(u_p, kind[p], upper, b->n), fill_column(u_q, kind[q], upper, b->n);
    fill_column(v_p, kind[p], upper, columns), fill_column(v_q, kind[q], upper, columns);
    kind[p] = kind[q] = IN_ALL_ROWS;
  }
  const int64_t first = kind[p] == IN_LOWER_ROWS ? upper : 0, is_upper = kind[p] == IN_UPPER_ROWS;
  rotate_columns(u_p, u_q, first, is_upper ? upper : b->n, cosine, sine);
  rotate_columns(v_p, v_q, first, is_upper ? upper : columns, cosine, sine);
}

static void keep_column(const conquer_t *c, merge_t *m, int64_t column, R d, R z) {
  ((R *)c->secular.d)[m->kept] = d;
  ((R *)c->secular.z)[m->kept] = z;
  c->columns[m->kept++] = column;
}

/* Entries 1 .. n - 1 of c->merged, d_sorted and z_sorted, by increasing d. */
static void deflate(const conquer_t *c, merge_t *m) {
  const R *d = c->d_sorted;
  R *z = c->z_sorted;
  int64_t last = 0; /* the one that may still be rotated; 0: none */
  for (int64_t j = 1; j < m->block->n; j++) {
    const int64_t column = c->merged[j];
    if ((R)fabs(z[j]) <= m->tolerance) {
      c->deflated[m->deflated++] = column;
      continue;
    }
    if (last && d[j] - d[last] <= m->tolerance) {
      const R length = (R)hypot(z[j], z[last]);
      rotate_pair(c, m, column, c->merged[last], z[j] / length, z[last] / length);
      z[j] = length;
      c->deflated[m->deflated++] = c->merged[last];
    } else if (last) {
      keep_column(c, m, c->merged[last], d[last], z[last]);
    }
    last = j;
  }
  if (last)
    keep_column(c, m, c->merged[last], d[last], z[last]);
}

#endif
