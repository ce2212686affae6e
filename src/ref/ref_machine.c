/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the reference backend's program operations by element type. */
#include "ref_machine.h"

extern const machine_ops_t ref_machine_f32, ref_machine_f64, ref_machine_c64, ref_machine_c128; /* machine.c */

const machine_ops_t *const ref_machine_ops[4] = {
    [SVDGRAD_F32] = &ref_machine_f32,
    [SVDGRAD_F64] = &ref_machine_f64,
    [SVDGRAD_C64] = &ref_machine_c64,
    [SVDGRAD_C128] = &ref_machine_c128,
};
