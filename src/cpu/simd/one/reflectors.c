/* SPDX-License-Identifier: BSD-3-Clause */
/* Householder reflectors of one large matrix, with a SIMD lane for each row (reflectors.h). */
#include "../exported.h"
#include "bidiagonal.h"
#include "gram.h"
#include "panel.h"
#include "row_block.h"

const reflector_ops_t EXPORTED(svdgrad_reflector_ops) = {
    LANES, bidiagonalize, factor_panel, multiply_reflectors, load_rows, form_rows, &EXPORTED(svdgrad_product_ops)};
