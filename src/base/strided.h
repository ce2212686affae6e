/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of elements in the caller's strided batches.  A typed file (type.h). */
#ifndef SVDGRAD_STRIDED_H
#define SVDGRAD_STRIDED_H
#include "type.h"

#include <svdgrad/svdgrad.h>

static inline T *element(const svdgrad_matrix_t *matrix, int64_t b, int64_t i, int64_t j) {
  return (T *)matrix->data + (b * matrix->batch_stride + i * matrix->row_stride + j * matrix->col_stride);
}

/* Of a vector of real numbers. */
static inline R *entry(const svdgrad_vector_t *vector, int64_t b, int64_t i) {
  return (R *)vector->data + (b * vector->batch_stride + i * vector->stride);
}

/* Of a vector of elements. */
static inline T *component(const svdgrad_vector_t *vector, int64_t b, int64_t i) {
  return (T *)vector->data + (b * vector->batch_stride + i * vector->stride);
}

static inline T not_a_number(void) {
#if IS_COMPLEX
  return (T)((R)NAN + (T)I * (R)NAN);
#else
  return (T)NAN;
#endif
}

#endif
