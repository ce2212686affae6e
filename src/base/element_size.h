/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of an element and of its real type, whether it is complex, and numbers of elements. */
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

/* Of a matrix; INT64_MAX, for which nobody has memory, if they cannot be counted: a function of A^H A is n-by-n where
 * only m * n was checked. */
static inline int64_t element_count(int64_t rows, int64_t columns) {
  if (rows <= 0 || columns <= 0)
    return 0;
  return rows > INT64_MAX / columns ? INT64_MAX : rows * columns;
}

#endif
