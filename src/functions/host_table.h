/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the operations of machine.h on the CPU, for one element type and one compute type.  The including file
 * defines its name, HOST_TABLE. */
#ifndef SVDGRAD_HOST_TABLE_H
#define SVDGRAD_HOST_TABLE_H
#include "host_forms.h"
#include "host_operations.h"

#ifndef HOST_TABLE
#define HOST_TABLE TYPED(host_machine)
#endif

extern const machine_ops_t HOST_TABLE;
const machine_ops_t HOST_TABLE = {
    .take = take,
    .take_reals = take_reals,
    .take_values = take_values,
    .load = load_tensor,
    .load_reals = load_reals,
    .load_values = load_values,
    .load_scaled_values = load_scaled_values,
    .store = store_tensor,
    .store_reals = store_reals,
    .multiply = multiply_tensors,
    .scale_columns = scale_columns,
    .scale_columns_in_steps = scale_columns_in_steps,
    .scale_columns_by = scale_columns_by,
    .normalize = normalize,
    .add_identity = add_identity,
    .determinant_phase = determinant_phase,
    .form_backward = form_backward,
    .form_jvp = form_jvp,
    .form_second = form_second,
    .form_outside = form_outside,
    .form_values = form_values,
    .form_pairs = form_pairs,
    .form_norm = form_norm,
    .form_determinant = form_determinant,
};

#endif
