/* SPDX-License-Identifier: BSD-3-Clause */
/* An operand in memory: a strided batch of any element type and layout, with canaries in all bytes between and around
 * the elements. */
#ifndef TEST_BUFFER_H
#define TEST_BUFFER_H
#include "dense.h"

#include <svdgrad/svdgrad.h>

typedef enum layout {
  LAYOUT_COLUMN_MAJOR,
  LAYOUT_ROW_MAJOR,
  LAYOUT_COLUMN_PADDED, /* leading dimension and batch stride larger than need be */
  LAYOUT_ROW_PADDED,
  LAYOUT_GENERAL,         /* neither stride is 1 */
  LAYOUT_BATCH_INNERMOST, /* batch stride 1 */
  LAYOUT_COUNT,
  /* Views, of inputs only: elements share places, or come in falling order. */
  LAYOUT_SAME_ROWS = LAYOUT_COUNT, /* row stride 0 */
  LAYOUT_SAME_COLUMNS,
  LAYOUT_SAME_ELEMENTS,
  LAYOUT_FLIPPED_ROWS, /* row stride negative */
  LAYOUT_FLIPPED_COLUMNS,
  LAYOUT_FLIPPED_ALL,    /* the batch too */
  LAYOUT_SLIDING,        /* element (i, j) is number i + j */
  LAYOUT_SLIDING_ROWS,   /* rows begin two elements apart */
  LAYOUT_SLIDING_FRAMES, /* a matrix begins with the second column of the one before */
  LAYOUT_VIEW_END
} layout_t;
const char *layout_name(layout_t layout);

typedef struct buffer {
  unsigned char *memory; /* owned; `bytes` of it, beginning and ending with a margin */
  size_t bytes;
  size_t origin; /* where element (0, 0, 0) begins */
  size_t element_size;
  svdgrad_dtype_t dtype; /* of the elements: F32 or F64 for S and gS */
  int64_t rows, cols, batch_count;
  svdgrad_matrix_t matrix; /* hand this to the library, */
  svdgrad_vector_t vector; /* or this, where cols == 1 */
} buffer_t;

int dtype_is_complex(svdgrad_dtype_t dtype);
svdgrad_dtype_t dtype_real(svdgrad_dtype_t dtype);
double dtype_epsilon(svdgrad_dtype_t dtype);
const char *dtype_name(svdgrad_dtype_t dtype);

/* Every byte is the canary 0xA5.  With `broadcast` one matrix serves the whole batch (batch stride 0). */
buffer_t buffer_make(svdgrad_dtype_t dtype, int64_t rows, int64_t cols, int64_t batch_count, layout_t layout,
                     int broadcast);
void buffer_free(buffer_t *buffer);

void buffer_set(const buffer_t *buffer, int64_t b, int64_t i, int64_t j, z_t value); /* rounds to the element type */
z_t buffer_get(const buffer_t *buffer, int64_t b, int64_t i, int64_t j);
void buffer_store(const buffer_t *buffer, int64_t b, const dense_t *A);
dense_t buffer_load(const buffer_t *buffer, int64_t b);
/* Bits of one matrix, or of all, between buffers of the same shape and element type in whatever layouts. */
void buffer_copy_matrix(const buffer_t *to, int64_t b_to, const buffer_t *from, int64_t b_from);
void buffer_copy(const buffer_t *to, const buffer_t *from);

/* The bytes of the elements of matrix b in column-major order, for bitwise comparison; owned by the caller. */
unsigned char *buffer_bits(const buffer_t *buffer, int64_t b, size_t *size);
int buffer_same_bits(const buffer_t *x, int64_t bx, const buffer_t *y, int64_t by);

/* Non-zero if every byte that belongs to no element is still the canary. */
int buffer_padding_intact(const buffer_t *buffer);

#endif
