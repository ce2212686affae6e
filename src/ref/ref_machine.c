/* SPDX-License-Identifier: BSD-3-Clause */
#include "ref_machine.h"

#include "rules/function_rules.h"

#include <string.h>

#define BODY "ref/ref_machine.inc"
#include "each_type.h"

const machine_ops_t *const ref_machine_ops[4] = {
    [SVDGRAD_F32] = &machine_ops_f32,
    [SVDGRAD_F64] = &machine_ops_f64,
    [SVDGRAD_C64] = &machine_ops_c64,
    [SVDGRAD_C128] = &machine_ops_c128,
};
