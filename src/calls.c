/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"

#include "base/element_size.h"

#include <string.h>

static void *from(void *data, int64_t elements, size_t size) {
  return data ? (unsigned char *)data + (ptrdiff_t)elements * (ptrdiff_t)size : NULL;
}

void call_part(const call_fields_t *fields, const void *call, int64_t first, int64_t count, any_call_t *part) {
  unsigned char *start = (unsigned char *)part;
  memcpy(part, call, fields->size);
  part->head.p.batch_count = count;
  svdgrad_matrix_t *matrices = (svdgrad_matrix_t *)(start + fields->matrices);
  for (size_t i = 0; i < fields->matrix_count; i++)
    matrices[i].data = from(matrices[i].data, first * matrices[i].batch_stride, element_size(part->head.p.dtype));
  svdgrad_vector_t *reals = (svdgrad_vector_t *)(start + fields->reals);
  for (size_t i = 0; i < fields->reals_count; i++)
    reals[i].data = from(reals[i].data, first * reals[i].batch_stride, real_size(part->head.p.dtype));
  int32_t **info = (int32_t **)(start + fields->info);
  if (fields->info && *info)
    *info += first;
  svdgrad_report_t **report = (svdgrad_report_t **)(start + fields->report);
  if (fields->report && *report)
    *report += first;
}
