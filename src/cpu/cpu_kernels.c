/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_kernels.h"

#include "base/arena.h"
#include "rules/gap_policy.h"
#include "blas_threads.h"

#include <string.h>

#define BODY "cpu/cpu_kernels.inc"
#include "each_type.h"

const cpu_kernels_t cpu_kernels[4] = {
    [SVDGRAD_F32] = {svd_lwork_f32, cpu_svd_scratch_f32, cpu_backward_scratch_f32, cpu_svd_matrix_f32,
                     cpu_backward_matrix_f32, cpu_lost_values_f32},
    [SVDGRAD_F64] = {svd_lwork_f64, cpu_svd_scratch_f64, cpu_backward_scratch_f64, cpu_svd_matrix_f64,
                     cpu_backward_matrix_f64, cpu_lost_values_f64},
    [SVDGRAD_C64] = {svd_lwork_c64, cpu_svd_scratch_c64, cpu_backward_scratch_c64, cpu_svd_matrix_c64,
                     cpu_backward_matrix_c64, cpu_lost_values_c64},
    [SVDGRAD_C128] = {svd_lwork_c128, cpu_svd_scratch_c128, cpu_backward_scratch_c128, cpu_svd_matrix_c128,
                      cpu_backward_matrix_c128, cpu_lost_values_c128},
};

void cpu_run_blas(const parallel_t *parallel, batch_t batch, void *work) {
  batch.work = work;
  blas_threads_hold();
  batch_run(parallel, batch);
  blas_threads_release();
}
