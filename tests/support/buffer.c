/* SPDX-License-Identifier: BSD-3-Clause */
#include "buffer.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 0xA5, MARGIN = 256 };

const char *layout_name(layout_t layout) {
  static const char *const names[] = {"column-major",  "row-major",       "column-padded",   "row-padded",
                                      "general",       "batch-innermost", "same rows",       "same columns",
                                      "same elements", "flipped rows",    "flipped columns", "flipped all",
                                      "sliding",       "sliding rows",    "sliding frames"};
  return names[layout];
}

int dtype_is_complex(svdgrad_dtype_t dtype) { return dtype == SVDGRAD_C64 || dtype == SVDGRAD_C128; }

svdgrad_dtype_t dtype_real(svdgrad_dtype_t dtype) {
  return dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? SVDGRAD_F32 : SVDGRAD_F64;
}

double dtype_epsilon(svdgrad_dtype_t dtype) { return dtype_real(dtype) == SVDGRAD_F32 ? FLT_EPSILON : DBL_EPSILON; }

const char *dtype_name(svdgrad_dtype_t dtype) {
  static const char *const names[] = {"f32", "f64", "c64", "c128"};
  return names[dtype];
}

static svdgrad_matrix_t strides_of(layout_t layout, int64_t rows, int64_t cols, int64_t batch) {
  switch (layout) {
  case LAYOUT_COLUMN_MAJOR: return (svdgrad_matrix_t){NULL, 1, rows, rows * cols};
  case LAYOUT_ROW_MAJOR: return (svdgrad_matrix_t){NULL, cols, 1, rows * cols};
  case LAYOUT_COLUMN_PADDED: return (svdgrad_matrix_t){NULL, 1, rows + 3, (rows + 3) * cols + 5};
  case LAYOUT_ROW_PADDED: return (svdgrad_matrix_t){NULL, cols + 3, 1, rows * (cols + 3) + 5};
  case LAYOUT_GENERAL: return (svdgrad_matrix_t){NULL, 2, 2 * rows + 1, (2 * rows + 1) * cols + 7};
  case LAYOUT_BATCH_INNERMOST: return (svdgrad_matrix_t){NULL, batch, batch * rows, 1};
  case LAYOUT_SAME_ROWS: return (svdgrad_matrix_t){NULL, 0, 1, cols};
  case LAYOUT_SAME_COLUMNS: return (svdgrad_matrix_t){NULL, 1, 0, rows};
  case LAYOUT_SAME_ELEMENTS: return (svdgrad_matrix_t){NULL, 0, 0, 1};
  case LAYOUT_FLIPPED_ROWS: return (svdgrad_matrix_t){NULL, -cols, 1, rows * cols};
  case LAYOUT_FLIPPED_COLUMNS: return (svdgrad_matrix_t){NULL, 1, -rows, rows * cols};
  case LAYOUT_FLIPPED_ALL: return (svdgrad_matrix_t){NULL, -1, -rows, -rows * cols};
  case LAYOUT_SLIDING: return (svdgrad_matrix_t){NULL, 1, 1, rows + cols};
  case LAYOUT_SLIDING_ROWS: return (svdgrad_matrix_t){NULL, 2, 1, 2 * rows + cols};
  case LAYOUT_SLIDING_FRAMES: return (svdgrad_matrix_t){NULL, 1, rows, rows};
  case LAYOUT_VIEW_END: break;
  }
  abort();
}

buffer_t buffer_make(svdgrad_dtype_t dtype, int64_t rows, int64_t cols, int64_t batch_count, layout_t layout,
                     int broadcast) {
  const int is_double = dtype_real(dtype) == SVDGRAD_F64;
  buffer_t buffer = {.dtype = dtype, .rows = rows, .cols = cols, .batch_count = batch_count};
  buffer.element_size = (is_double ? sizeof(double) : sizeof(float)) * (dtype_is_complex(dtype) ? 2 : 1);
  buffer.matrix = strides_of(layout, rows, cols, batch_count > 0 ? batch_count : 1);
  if (broadcast)
    buffer.matrix.batch_stride = 0;
  const svdgrad_matrix_t *x = &buffer.matrix;
  const int64_t strides[] = {x->row_stride, x->col_stride, x->batch_stride}, extents[] = {rows, cols, batch_count};
  int64_t below = 0, above = 1; /* elements before the first, and from it on */
  for (int d = 0; d < 3; d++)
    *(strides[d] < 0 ? &below : &above) += (extents[d] - 1) * (strides[d] < 0 ? -strides[d] : strides[d]);
  if (!rows || !cols || !batch_count)
    below = above = 0;
  buffer.bytes = (size_t)(below + above) * buffer.element_size + 2 * MARGIN;
  buffer.origin = (size_t)below * buffer.element_size + MARGIN;
  buffer.memory = malloc(buffer.bytes);
  if (!buffer.memory) {
    fputs("test: out of memory\n", stderr);
    abort();
  }
  memset(buffer.memory, CANARY, buffer.bytes);
  buffer.matrix.data = buffer.memory + buffer.origin;
  buffer.vector = (svdgrad_vector_t){buffer.matrix.data, x->row_stride, x->batch_stride};
  return buffer;
}

void buffer_free(buffer_t *buffer) {
  free(buffer->memory);
  buffer->memory = NULL;
}

static size_t offset_of(const buffer_t *buffer, int64_t b, int64_t i, int64_t j) {
  const svdgrad_matrix_t *x = &buffer->matrix;
  const int64_t elements = b * x->batch_stride + i * x->row_stride + j * x->col_stride;
  return (size_t)((int64_t)buffer->origin + elements * (int64_t)buffer->element_size);
}

/* Of a known size: a call of memcpy for every element took a quarter of the time of some tests. */
static void copy_element(void *to, const void *from, size_t size) {
  switch (size) {
  case 4: memcpy(to, from, 4); break;
  case 8: memcpy(to, from, 8); break;
  case 16: memcpy(to, from, 16); break;
  default: abort();
  }
}

typedef union element {
  float f[2];
  double d[2];
} element_t;

void buffer_set(const buffer_t *buffer, int64_t b, int64_t i, int64_t j, z_t value) {
  element_t x;
  if (dtype_real(buffer->dtype) == SVDGRAD_F32)
    x.f[0] = (float)creall(value), x.f[1] = (float)cimagl(value);
  else
    x.d[0] = (double)creall(value), x.d[1] = (double)cimagl(value);
  copy_element(buffer->memory + offset_of(buffer, b, i, j), &x, buffer->element_size);
}

z_t buffer_get(const buffer_t *buffer, int64_t b, int64_t i, int64_t j) {
  element_t x = {.d = {0, 0}};
  copy_element(&x, buffer->memory + offset_of(buffer, b, i, j), buffer->element_size);
  return dtype_real(buffer->dtype) == SVDGRAD_F32 ? CMPLXL(x.f[0], x.f[1]) : CMPLXL(x.d[0], x.d[1]);
}

void buffer_store(const buffer_t *buffer, int64_t b, const dense_t *A) {
  for (int64_t j = 0; j < buffer->cols; j++)
    for (int64_t i = 0; i < buffer->rows; i++)
      buffer_set(buffer, b, i, j, A->at[j * A->m + i]);
}

dense_t buffer_load(const buffer_t *buffer, int64_t b) {
  dense_t A = dense_zero(buffer->rows, buffer->cols);
  for (int64_t j = 0; j < buffer->cols; j++)
    for (int64_t i = 0; i < buffer->rows; i++)
      A.at[j * A.m + i] = buffer_get(buffer, b, i, j);
  return A;
}

static int same_places(const buffer_t *x, const buffer_t *y) {
  return x->bytes == y->bytes && x->origin == y->origin && x->element_size == y->element_size &&
         x->matrix.row_stride == y->matrix.row_stride && x->matrix.col_stride == y->matrix.col_stride &&
         x->matrix.batch_stride == y->matrix.batch_stride;
}

void buffer_copy_matrix(const buffer_t *to, int64_t b_to, const buffer_t *from, int64_t b_from) {
  for (int64_t j = 0; j < to->cols; j++)
    for (int64_t i = 0; i < to->rows; i++)
      copy_element(to->memory + offset_of(to, b_to, i, j), from->memory + offset_of(from, b_from, i, j),
                   to->element_size);
}

void buffer_copy(const buffer_t *to, const buffer_t *from) {
  if (same_places(to, from))
    memcpy(to->memory, from->memory, from->bytes);
  else
    for (int64_t b = 0; b < to->batch_count; b++)
      buffer_copy_matrix(to, b, from, b);
}

unsigned char *buffer_bits(const buffer_t *buffer, int64_t b, size_t *size) {
  *size = (size_t)(buffer->rows * buffer->cols) * buffer->element_size;
  unsigned char *bits = malloc(*size + 1), *to = bits;
  if (!bits)
    abort();
  for (int64_t j = 0; j < buffer->cols; j++)
    for (int64_t i = 0; i < buffer->rows; i++, to += buffer->element_size)
      copy_element(to, buffer->memory + offset_of(buffer, b, i, j), buffer->element_size);
  return bits;
}

int buffer_same_bits(const buffer_t *x, int64_t bx, const buffer_t *y, int64_t by) {
  size_t nx, ny;
  unsigned char *bits_x = buffer_bits(x, bx, &nx), *bits_y = buffer_bits(y, by, &ny);
  const int same = nx == ny && memcmp(bits_x, bits_y, nx) == 0;
  free(bits_x);
  free(bits_y);
  return same;
}

int buffer_padding_intact(const buffer_t *buffer) {
  unsigned char *rest = malloc(buffer->bytes);
  if (!rest)
    abort();
  memcpy(rest, buffer->memory, buffer->bytes);
  unsigned char canaries[16];
  memset(canaries, CANARY, sizeof canaries);
  for (int64_t b = 0; b < buffer->batch_count; b++)
    for (int64_t j = 0; j < buffer->cols; j++)
      for (int64_t i = 0; i < buffer->rows; i++)
        copy_element(rest + offset_of(buffer, b, i, j), canaries, buffer->element_size);
  int intact = 1;
  for (size_t i = 0; i < buffer->bytes; i++)
    intact &= rest[i] == CANARY;
  free(rest);
  return intact;
}
