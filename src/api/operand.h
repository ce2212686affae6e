/* SPDX-License-Identifier: BSD-3-Clause */
/* One strided operand of a call, and the checks that every operand passes. */
#ifndef SVDGRAD_OPERAND_H
#define SVDGRAD_OPERAND_H
#include <svdgrad/svdgrad.h>

typedef enum operand_role { OPERAND_INPUT, OPERAND_OUTPUT } operand_role_t;

typedef struct dimension {
  const char *stride_name; /* of the struct field */
  const char *extent_name; /* "m", "n", ..., for messages */
  int64_t extent, stride;
} dimension_t;

typedef struct operand {
  const char *name;
  operand_role_t role;
  int given; /* the caller passed a struct */
  int required;
  void *data;
  size_t element_size;
  int rank;                 /* 0 where it is not given */
  dimension_t dimension[3]; /* rows, columns, batch; or entries, batch; valid are `rank` of them */
} operand_t;

/* How many, and what the message calls it. */
typedef struct extent {
  const char *name;
  int64_t value;
} extent_t;

operand_t operand_matrix(const char *name, operand_role_t role, int required, const svdgrad_matrix_t *matrix,
                         extent_t rows, extent_t columns, int64_t batch_count, size_t element_size);
operand_t operand_vector(const char *name, operand_role_t role, int required, const svdgrad_vector_t *vector,
                         extent_t length, int64_t batch_count, size_t element_size);

/* Bytes from the lowest to the end of the highest element; none if there are no elements, or no memory. */
typedef struct span {
  uintptr_t lowest, bytes;
} span_t;

/* Given, but without elements: no stride or pointer of it means anything. */
int operand_is_empty(const operand_t *operand);

/* No offset overflows; an output's strides are positive, and no two of its elements share a place.  Of an operand that is given; then `span` is filled in. */
svdgrad_status_t operand_check_strides(const char *function, const operand_t *operand, span_t *span);

/* Required operands are given and have data; optional ones have data if given; an empty one needs none. */
svdgrad_status_t operand_check_pointer(const char *function, const operand_t *operand);

#endif
