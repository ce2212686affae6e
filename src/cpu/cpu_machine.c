/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the cpu backend's program operations by element type. */
#include "cpu_machine.h"

extern const machine_ops_t cpu_machine_f32, cpu_machine_f64, cpu_machine_c64, cpu_machine_c128; /* dense/machine.c */

const machine_ops_t *const cpu_machine_ops[4] = {
    [SVDGRAD_F32] = &cpu_machine_f32,
    [SVDGRAD_F64] = &cpu_machine_f64,
    [SVDGRAD_C64] = &cpu_machine_c64,
    [SVDGRAD_C128] = &cpu_machine_c128,
};
