/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of an element and of its real type. */
#ifndef SVDGRAD_ELEMENT_SIZE_H
#define SVDGRAD_ELEMENT_SIZE_H
#include <svdgrad/svdgrad.h>

static inline size_t real_size(svdgrad_dtype_t dtype) {
  return dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? sizeof(float) : sizeof(double);
}

static inline size_t element_size(svdgrad_dtype_t dtype) {
  return dtype == SVDGRAD_F32 || dtype == SVDGRAD_F64 ? real_size(dtype) : 2 * real_size(dtype);
}

#endif
