/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes of the element types, and element counts that cannot overflow. */
#ifndef SVDGRAD_ELEMENT_SIZE_H
#define SVDGRAD_ELEMENT_SIZE_H
#include <svdgrad/svdgrad.h>

static inline size_t real_size(svdgrad_dtype_t dtype) {
  return dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? sizeof(float) : sizeof(double);
}

static inline size_t element_size(svdgrad_dtype_t dtype) {
  return dtype == SVDGRAD_F32 || dtype == SVDGRAD_F64 ? real_size(dtype) : 2 * real_size(dtype);
}

static inline int type_is_complex(svdgrad_dtype_t dtype) { return dtype == SVDGRAD_C64 || dtype == SVDGRAD_C128; }

/* Elements of a matrix; INT64_MAX, more than any memory holds, on overflow.  The checks bound only m * n, but a
 * function of A^H A is n-by-n. */
static inline int64_t element_count(int64_t rows, int64_t columns) {
  if (rows <= 0 || columns <= 0)
    return 0;
  return rows > INT64_MAX / columns ? INT64_MAX : rows * columns;
}

#endif
