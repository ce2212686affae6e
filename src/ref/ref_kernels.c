/* SPDX-License-Identifier: BSD-3-Clause */
#include "ref_kernels.h"

#include "base/arena.h"
#include "rules/gap_policy.h"

#define BODY "ref/ref_kernels.inc"
#include "each_type.h"

const ref_kernels_t ref_kernels[4] = {
    [SVDGRAD_F32] = {ref_svd_scratch_f32, ref_backward_scratch_f32, ref_svd_matrix_f32, ref_backward_matrix_f32},
    [SVDGRAD_F64] = {ref_svd_scratch_f64, ref_backward_scratch_f64, ref_svd_matrix_f64, ref_backward_matrix_f64},
    [SVDGRAD_C64] = {ref_svd_scratch_c64, ref_backward_scratch_c64, ref_svd_matrix_c64, ref_backward_matrix_c64},
    [SVDGRAD_C128] = {ref_svd_scratch_c128, ref_backward_scratch_c128, ref_svd_matrix_c128, ref_backward_matrix_c128},
};
