/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations of programs (functions/group.h) with a matrix in each lane. */
#include "../exported.h"
#include "backward_form.h"
#include "determinant_phase.h"
#include "function_form.h"
#include "norm_form.h"

/* A walk through a packed column-major array in the order of the caller's lines (memory/operands.h). */
typedef struct walk {
  int64_t at;                 /* index of the element */
  int64_t column, step, back; /* lines that are rows: the column, to the next element, from the last one of a row */
  int64_t columns;            /* lines that are columns: 0, their elements follow each other */
} walk_t;

/* At element e of a line. */
INLINE walk_t walk_from(const lines_t *l, int64_t line, int64_t e, int64_t rows, int64_t columns) {
  const int64_t element = line * l->length + e;
  if (l->by_columns)
    return (walk_t){.at = element};
  const int64_t row = element / columns, column = element - row * columns;
  return (walk_t){column * rows + row, column, rows, (columns - 1) * rows - 1, columns};
}

INLINE void walk_on(walk_t *w) {
  if (!w->columns)
    w->at++;
  else if (++w->column < w->columns)
    w->at += w->step;
  else
    w->at -= w->back, w->column = 0;
}

INLINE V conjugate_part(V x, int part, int hermitian) { return part && hermitian ? -x : x; }

static void load_operand(const group_copy_t *copy) {
  const strided_t X = strided_of(&copy->matrix, copy->first, copy->hermitian);
  const lines_t l = lines_of(&X, copy->rows, copy->columns, PARTS);
  const int count = copy->count;
  for (int64_t line = 0; line < l.lines; line++) {
    walk_t w = walk_from(&l, line, 0, copy->rows, copy->columns);
    const R *from = X.data + line * l.next;
    const lane_sources_t sources = lane_sources(from, X.batch, count);
    if (in_chunks(&l, PARTS)) {
      const int64_t reals = l.length * PARTS;
      for (int64_t e = 0; e < reals; e += CHUNK) {
        const int64_t start = chunk_start(e, reals);
        R z[CHUNK * LANES];
        if (count == LANES)
          chunk_in(from + start, X.batch, z);
        else if (count == 1)
          spread_one(from + start, CHUNK, z);
        else
          chunk_in_of(sources.of, start, z);
        if (start < e) /* the last chunk overlaps the one before */
          w = walk_from(&l, line, start / PARTS, copy->rows, copy->columns);
        for (int q = 0; q < CHUNK; q += PARTS, walk_on(&w))
          for (int part = 0; part < PARTS; part++) {
            const V v = conjugate_part(load_real(z + (q + part) * LANES), part, copy->hermitian);
            store_real(element_at(copy->packed, w.at) + part * LANES, v);
          }
      }
    } else {
      for (int64_t e = 0; e < l.length; e++, walk_on(&w)) {
        R *to = element_at(copy->packed, w.at);
        for (int part = 0; part < PARTS; part++)
          for (int lane = 0; lane < LANES; lane++) {
            const R x = sources.of[lane][e * l.step + part];
            to[part * LANES + lane] = part && copy->hermitian ? -x : x;
          }
      }
    }
  }
}

/* alpha x, or alpha conj(x), plus beta times the old value. */
INLINE R combined(const group_copy_t *copy, R x, int part, R there) {
  const R value = (R)copy->alpha * (part && copy->hermitian ? -x : x);
  return copy->beta == 0 ? value : value + (R)copy->beta * there;
}

/* In chunks only where beta = 0: chunks overlap, so any other beta would be applied twice. */
static void store_operand(const group_copy_t *copy) {
  const strided_t X = strided_of(&copy->matrix, copy->first, copy->hermitian);
  const lines_t l = lines_of(&X, copy->rows, copy->columns, PARTS);
  const int count = copy->count;
  for (int64_t line = 0; line < l.lines; line++) {
    walk_t w = walk_from(&l, line, 0, copy->rows, copy->columns);
    if (copy->beta == 0 && in_chunks(&l, PARTS)) {
      const int64_t reals = l.length * PARTS;
      for (int64_t e = 0; e < reals; e += CHUNK) {
        const int64_t start = chunk_start(e, reals);
        R z[CHUNK * LANES];
        if (start < e)
          w = walk_from(&l, line, start / PARTS, copy->rows, copy->columns);
        for (int q = 0; q < CHUNK; q += PARTS, walk_on(&w))
          for (int part = 0; part < PARTS; part++) {
            const R *from = element_at(copy->packed, w.at) + part * LANES;
            store_real(z + (q + part) * LANES, (R)copy->alpha * conjugate_part(load_real(from), part, copy->hermitian));
          }
        R *to = X.data + line * l.next + start;
        if (count == LANES)
          chunk_out(z, to, X.batch);
        else
          chunk_out_to_some(z, to, X.batch, count);
      }
    } else {
      for (int64_t e = 0; e < l.length; e++, walk_on(&w)) {
        const R *from = element_at(copy->packed, w.at);
        for (int part = 0; part < PARTS; part++)
          for (int lane = 0; lane < count; lane++) {
            R *to = X.data + line * l.next + lane * X.batch + e * l.step + part;
            *to = combined(copy, from[part * LANES + lane], part, copy->beta == 0 ? 0 : *to);
          }
      }
    }
  }
}

enum { PRODUCT_ROWS = IS_COMPLEX ? 2 : 4, PRODUCT_COLUMNS = 2 };

INLINE E factor_a(const group_product_t *p, int64_t i, int64_t l) {
  const E a = load(p->A, p->hermitian_a ? i * p->lda + l : l * p->lda + i);
  return p->hermitian_a ? conjugate(a) : a;
}

INLINE E factor_b(const group_product_t *p, int64_t l, int64_t j) {
  const E b = load(p->B, p->hermitian_b ? l * p->ldb + j : j * p->ldb + l);
  return p->hermitian_b ? conjugate(b) : b;
}

/* The rows-by-columns elements from (i, j) on; rows and columns are compile-time constants in every use. */
INLINE void product_block(const group_product_t *p, int64_t i, int64_t j, int rows, int columns) {
  E sum[PRODUCT_ROWS * PRODUCT_COLUMNS];
  for (int s = 0; s < rows * columns; s++)
    sum[s] = from_real((V){0});
  for (int64_t l = 0; l < p->k; l++) {
    E a[PRODUCT_ROWS];
    UNROLL
    for (int r = 0; r < rows; r++)
      a[r] = factor_a(p, i + r, l);
    UNROLL
    for (int c = 0; c < columns; c++) {
      const E b = factor_b(p, l, j + c);
      UNROLL
      for (int r = 0; r < rows; r++)
        sum[c * rows + r] = add_product(sum[c * rows + r], a[r], b);
    }
  }
  for (int c = 0; c < columns; c++)
    for (int r = 0; r < rows; r++) {
      const int64_t place = (j + c) * p->ldc + i + r;
      E x = scaled(broadcast((R)p->alpha), sum[c * rows + r]);
      if (p->beta != 0)
        x = add_scaled(x, broadcast((R)p->beta), load(p->c, place));
      store(p->c, place, x);
    }
}

INLINE void product_columns(const group_product_t *p, int64_t j, int columns) {
  int64_t i = 0;
  for (; i + PRODUCT_ROWS <= p->m; i += PRODUCT_ROWS)
    product_block(p, i, j, PRODUCT_ROWS, columns);
  for (; i < p->m; i++)
    product_block(p, i, j, 1, columns);
}

static void multiply(const group_product_t *p) {
  int64_t j = 0;
  for (; j + PRODUCT_COLUMNS <= p->n; j += PRODUCT_COLUMNS)
    product_columns(p, j, PRODUCT_COLUMNS);
  for (; j < p->n; j++)
    product_columns(p, j, 1);
}

static void scale_columns(void *packed, int64_t rows, int64_t columns, const void *factor) {
  for (int64_t j = 0; j < columns; j++) {
    const V f = load_real((const R *)factor + j * LANES);
    for (int64_t e = j * rows; e < (j + 1) * rows; e++)
      store(packed, e, scaled(f, load(packed, e)));
  }
}

const group_ops_t EXPORTED(svdgrad_program_ops) = {
    .lanes = LANES,
    .load = load_operand,
    .store = store_operand,
    .multiply = multiply,
    .scale_columns = scale_columns,
    .load_reals = load_reals,
    .store_reals = store_reals,
    .load_values = load_values,
    .normalize = normalize,
    .determinant_phase = determinant_phase,
    .form_backward = form_backward,
    .form_values = form_values,
    .form_pairs = form_pairs,
    .form_norm = form_norm,
};
