/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the kernels of one element type and one instruction set. */
#include "exported.h"

const lane_kernels_t EXPORTED(svdgrad_lanes) = {
    .lanes = LANES,
    .svd = &EXPORTED(svdgrad_svd_ops),
    .values = &EXPORTED(svdgrad_value_ops),
    .vectors = &EXPORTED(svdgrad_vector_ops),
    .backward = &EXPORTED(svdgrad_backward_ops),
    .norm = &EXPORTED(svdgrad_norm_ops),
    .group = &EXPORTED(svdgrad_program_ops),
    .power = &EXPORTED(svdgrad_power_ops),
    .rows = &EXPORTED(svdgrad_row_ops),
    .reflectors = &EXPORTED(svdgrad_reflector_ops),
    .conquer = &EXPORTED(svdgrad_conquer_ops),
    .product = &EXPORTED(svdgrad_product_ops),
};
