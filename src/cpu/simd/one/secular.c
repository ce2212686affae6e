/* SPDX-License-Identifier: BSD-3-Clause */
/* The secular equation (secular.h) and rotations of columns.  Their numbers are real, whatever T is. */
#include "../exported.h"
#include "rotations.h"
#include "secular_roots.h"
#include "secular_vectors.h"

const conquer_ops_t EXPORTED(svdgrad_conquer_ops) = {
    LANES, solve_secular, weigh_secular, secular_vectors, rotate_columns, &REAL_EXPORTED(svdgrad_product_ops)};
