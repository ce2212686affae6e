/* SPDX-License-Identifier: BSD-3-Clause */
#include "operand.h"

#include "error.h"

#include <stdio.h>

operand_t operand_matrix(const char *name, operand_role_t role, int required, const svdgrad_matrix_t *matrix,
                         extent_t rows, extent_t columns, int64_t batch_count, size_t element_size) {
  operand_t operand = {.name = name, .role = role, .required = required, .element_size = element_size, .rank = 3};
  if (!matrix)
    return operand;
  operand.given = 1;
  operand.data = matrix->data;
  operand.dimension[0] = (dimension_t){"row_stride", rows.name, rows.value, matrix->row_stride};
  operand.dimension[1] = (dimension_t){"col_stride", columns.name, columns.value, matrix->col_stride};
  operand.dimension[2] = (dimension_t){"batch_stride", "batch_count", batch_count, matrix->batch_stride};
  return operand;
}

operand_t operand_vector(const char *name, operand_role_t role, int required, const svdgrad_vector_t *vector,
                         extent_t length, int64_t batch_count, size_t element_size) {
  operand_t operand = {.name = name, .role = role, .required = required, .element_size = element_size, .rank = 2};
  if (!vector)
    return operand;
  operand.given = 1;
  operand.data = vector->data;
  operand.dimension[0] = (dimension_t){"stride", length.name, length.value, vector->stride};
  operand.dimension[1] = (dimension_t){"batch_stride", "batch_count", batch_count, vector->batch_stride};
  return operand;
}

/* The dimensions that are walked, smallest stride first; returns how many. */
static int sort_by_stride(const operand_t *operand, const dimension_t *sorted[3]) {
  int count = 0;
  for (int d = 0; d < operand->rank; d++) {
    const dimension_t *dimension = &operand->dimension[d];
    const int broadcast = operand->role == OPERAND_INPUT && d == operand->rank - 1 && dimension->stride == 0;
    if (dimension->extent <= 1 || broadcast)
      continue;
    int place = count++;
    for (; place > 0 && sorted[place - 1]->stride > dimension->stride; place--)
      sorted[place] = sorted[place - 1];
    sorted[place] = dimension;
  }
  return count;
}

/* Sorted strides s_0 <= s_1 <= ... address distinct places if each is at least the span of those before it; that is
 * also what every layout that somebody lays out on purpose does. */
svdgrad_status_t operand_check_strides(const char *function, const operand_t *operand) {
  const dimension_t *sorted[3];
  const int count = operand->given ? sort_by_stride(operand, sorted) : 0;
  const int64_t most = PTRDIFF_MAX / (int64_t)operand->element_size;
  int64_t span = 1;
  for (int d = 0; d < count; d++) {
    const int64_t stride = sorted[d]->stride, extent = sorted[d]->extent;
    if (stride < span) {
      char bound[64];
      if (d == 1 && sorted[0]->stride == 1)
        (void)snprintf(bound, sizeof bound, "%s = %lld", sorted[0]->extent_name, (long long)span);
      else
        (void)snprintf(bound, sizeof bound, "%lld", (long long)span);
      return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s.%s is %lld, must be >= %s", function, operand->name,
                          sorted[d]->stride_name, (long long)stride, bound);
    }
    if (stride > (most - span) / (extent - 1))
      return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT,
                          "%s: %s.%s is %lld, must be <= %lld (64-bit offsets, %s = %lld)", function, operand->name,
                          sorted[d]->stride_name, (long long)stride, (long long)((most - span) / (extent - 1)),
                          sorted[d]->extent_name, (long long)extent);
    span += stride * (extent - 1);
  }
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t operand_check_pointer(const char *function, const operand_t *operand) {
  if (!operand->given && operand->required)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s is NULL, must not be", function, operand->name);
  if (operand->given && !operand->data)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s.data is NULL, must not be%s", function, operand->name,
                        operand->required ? "" : " (pass NULL for an absent operand)");
  return SVDGRAD_STATUS_SUCCESS;
}
