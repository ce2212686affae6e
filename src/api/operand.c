/* SPDX-License-Identifier: BSD-3-Clause */
#include "operand.h"

#include "base/error.h"

#include <stdio.h>

/* Not given.  Dimensions beyond `rank` are nobody's: to clear them takes longer than all checks of them. */
static operand_t nothing(const char *name, operand_role_t role, int required, size_t element_size) {
  operand_t operand;
  operand.name = name, operand.role = role, operand.required = required, operand.element_size = element_size;
  operand.given = 0, operand.data = NULL, operand.rank = 0;
  return operand;
}

operand_t operand_matrix(const char *name, operand_role_t role, int required, const svdgrad_matrix_t *matrix,
                         extent_t rows, extent_t columns, int64_t batch_count, size_t element_size) {
  operand_t operand = nothing(name, role, required, element_size);
  if (!matrix)
    return operand;
  operand.given = 1, operand.rank = 3;
  operand.data = matrix->data;
  operand.dimension[0] = (dimension_t){"row_stride", rows.name, rows.value, matrix->row_stride};
  operand.dimension[1] = (dimension_t){"col_stride", columns.name, columns.value, matrix->col_stride};
  operand.dimension[2] = (dimension_t){"batch_stride", "batch_count", batch_count, matrix->batch_stride};
  return operand;
}

operand_t operand_vector(const char *name, operand_role_t role, int required, const svdgrad_vector_t *vector,
                         extent_t length, int64_t batch_count, size_t element_size) {
  operand_t operand = nothing(name, role, required, element_size);
  if (!vector)
    return operand;
  operand.given = 1, operand.rank = 2;
  operand.data = vector->data;
  operand.dimension[0] = (dimension_t){"stride", length.name, length.value, vector->stride};
  operand.dimension[1] = (dimension_t){"batch_stride", "batch_count", batch_count, vector->batch_stride};
  return operand;
}

int operand_is_empty(const operand_t *operand) {
  for (int d = 0; d < operand->rank; d++)
    if (operand->dimension[d].extent == 0)
      return 1;
  return 0;
}

static uint64_t size_of(int64_t stride) { return stride < 0 ? 0 - (uint64_t)stride : (uint64_t)stride; }

/* An output is written at each of its places once, so its strides are told apart by their sign too. */
static int comes_before(operand_role_t role, int64_t stride, int64_t other) {
  return role == OPERAND_INPUT ? size_of(stride) < size_of(other) : stride < other;
}

/* The dimensions that are walked, smallest stride first; returns how many. */
static int sort_by_stride(const operand_t *operand, const dimension_t *sorted[3]) {
  int count = 0;
  for (int d = 0; d < operand->rank; d++) {
    const dimension_t *dimension = &operand->dimension[d];
    if (dimension->extent <= 1)
      continue;
    int place = count++;
    for (; place > 0 && comes_before(operand->role, dimension->stride, sorted[place - 1]->stride); place--)
      sorted[place] = sorted[place - 1];
    sorted[place] = dimension;
  }
  return count;
}

/* `span`: elements from the first to the last place of the dimensions before this one. */
static svdgrad_status_t too_small(const char *function, const operand_t *operand, const dimension_t *sorted[3], int d,
                                  int64_t span) {
  char bound[64];
  if (d == 1 && sorted[0]->stride == 1)
    (void)snprintf(bound, sizeof bound, "%s = %lld", sorted[0]->extent_name, (long long)span);
  else
    (void)snprintf(bound, sizeof bound, "%lld", (long long)span);
  return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s.%s is %lld, must be >= %s", function, operand->name,
                      sorted[d]->stride_name, (long long)sorted[d]->stride, bound);
}

static svdgrad_status_t too_large(const char *function, const operand_t *operand, const dimension_t *dimension,
                                  int64_t most) {
  const int negative = dimension->stride < 0;
  return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s.%s is %lld, must be %s %lld (64-bit offsets, %s = %lld)",
                      function, operand->name, dimension->stride_name, (long long)dimension->stride,
                      negative ? ">=" : "<=", (long long)(negative ? -most : most), dimension->extent_name,
                      (long long)dimension->extent);
}

/* An output's sorted strides s_0 <= s_1 <= ... address distinct places if each is at least the span of those before it;
 * that is also what every layout that somebody lays out on purpose does.  An input is read wherever its strides lead. */
svdgrad_status_t operand_check_strides(const char *function, const operand_t *operand, span_t *span) {
  const dimension_t *sorted[3];
  *span = (span_t){0, 0};
  if (operand_is_empty(operand))
    return SVDGRAD_STATUS_SUCCESS;
  const int count = sort_by_stride(operand, sorted);
  const uint64_t addressable = (uint64_t)PTRDIFF_MAX / operand->element_size;
  uint64_t elements = 1, below = 0; /* `below` of them are before the first */
  for (int d = 0; d < count; d++) {
    const int64_t stride = sorted[d]->stride;
    const uint64_t steps = (uint64_t)sorted[d]->extent - 1, room = addressable - elements;
    uint64_t reach;
    if (operand->role == OPERAND_OUTPUT && stride < (int64_t)elements)
      return too_small(function, operand, sorted, d, (int64_t)elements);
    if (__builtin_mul_overflow(size_of(stride), steps, &reach) || reach > room)
      return too_large(function, operand, sorted[d], (int64_t)(room / steps));
    elements += reach;
    below += stride < 0 ? reach : 0;
  }
  if (operand->data)
    *span = (span_t){(uintptr_t)operand->data - below * operand->element_size, elements * operand->element_size};
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t operand_check_pointer(const char *function, const operand_t *operand) {
  if (operand->data || operand_is_empty(operand))
    return SVDGRAD_STATUS_SUCCESS;
  if (!operand->given && operand->required)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s is NULL, must not be", function, operand->name);
  if (operand->given)
    return error_status(SVDGRAD_STATUS_INVALID_ARGUMENT, "%s: %s.data is NULL, must not be%s", function, operand->name,
                        operand->required ? "" : " (pass NULL for an absent operand)");
  return SVDGRAD_STATUS_SUCCESS;
}
