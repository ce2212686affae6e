/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of reference kernels by element type. */
#include "ref_kernels.h"

extern const ref_kernels_t ref_kernels_f32, ref_kernels_f64, ref_kernels_c64, ref_kernels_c128; /* kernels.c */

const ref_kernels_t *const ref_kernels[4] = {[SVDGRAD_F32] = &ref_kernels_f32,
                                             [SVDGRAD_F64] = &ref_kernels_f64,
                                             [SVDGRAD_C64] = &ref_kernels_c64,
                                             [SVDGRAD_C128] = &ref_kernels_c128};
