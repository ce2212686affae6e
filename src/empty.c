/* SPDX-License-Identifier: BSD-3-Clause */
#include "empty.h"

#include "base/element_size.h"
#include "rules/gap_policy.h"

#include <string.h>

#define BODY "empty.inc"
#include "each_type.h"

static void store_identity(svdgrad_dtype_t dtype, const svdgrad_matrix_t *matrix, int64_t b, int64_t n) {
  switch (dtype) {
  case SVDGRAD_F32: store_identity_f32(matrix, b, n); break;
  case SVDGRAD_F64: store_identity_f64(matrix, b, n); break;
  case SVDGRAD_C64: store_identity_c64(matrix, b, n); break;
  case SVDGRAD_C128: store_identity_c128(matrix, b, n); break;
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
