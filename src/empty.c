/* SPDX-License-Identifier: BSD-3-Clause */
#include "empty.h"

#include "base/element_size.h"

#include <math.h>
#include <string.h>

/* The real part comes first in memory, so that a real and a complex 1 begin alike. */
static void store_identity(svdgrad_dtype_t dtype, const svdgrad_matrix_t *matrix, int64_t b, int64_t n) {
  const float one_single = 1;
  const double one_double = 1;
  const void *one = real_size(dtype) == sizeof one_single ? (const void *)&one_single : &one_double;
  const int64_t size = (int64_t)element_size(dtype);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      const int64_t offset = b * matrix->batch_stride + i * matrix->row_stride + j * matrix->col_stride;
      unsigned char *element = (unsigned char *)matrix->data + offset * size;
      memset(element, 0, (size_t)size);
      if (i == j)
        memcpy(element, one, real_size(dtype));
    }
}

void empty_svd(const svd_call_t *call) {
  for (int64_t b = 0; b < call->p.batch_count; b++) {
    if (call->info)
      call->info[b] = SVDGRAD_INFO_OK;
    if (call->U.data)
      store_identity(call->p.dtype, &call->U, b, call->p.u_cols);
    if (call->Vh.data)
      store_identity(call->p.dtype, &call->Vh, b, call->p.vh_rows);
  }
}

void empty_svd_backward(const svd_backward_call_t *call) {
  for (int64_t b = 0; b < call->p.batch_count && call->report; b++)
    call->report[b] = (svdgrad_report_t){.min_gap = INFINITY};
}

static void store_zero(svdgrad_dtype_t dtype, const svdgrad_vector_t *number, int64_t b) {
  if (number->data)
    memset((unsigned char *)number->data + (size_t)(b * number->batch_stride) * real_size(dtype), 0, real_size(dtype));
}

void empty_power_iteration(const power_call_t *call) {
  for (int64_t b = 0; b < call->p.batch_count; b++) {
    store_zero(call->p.dtype, &call->sigma, b);
    store_zero(call->p.dtype, &call->residual, b);
    if (call->info)
      call->info[b] = SVDGRAD_INFO_OK;
  }
}
