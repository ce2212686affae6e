/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the reference power iteration by element type. */
#include "ref_power.h"

#include "base/arena.h"

#define BODY "ref/ref_power.inc"
#include "each_type.h"

const ref_power_t ref_power[4] = {
    [SVDGRAD_F32] = {ref_power_scratch_f32, ref_power_matrix_f32, ref_normalize_backward_f32},
    [SVDGRAD_F64] = {ref_power_scratch_f64, ref_power_matrix_f64, ref_normalize_backward_f64},
    [SVDGRAD_C64] = {ref_power_scratch_c64, ref_power_matrix_c64, ref_normalize_backward_c64},
    [SVDGRAD_C128] = {ref_power_scratch_c128, ref_power_matrix_c128, ref_normalize_backward_c128},
};
