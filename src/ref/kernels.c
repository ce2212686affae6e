/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference kernels of one element type, which compute one precision wider than the operands. */
#define COMPUTE_WIDE
#include "ref_kernels.h"
#include "backward.h"
#include "power.h"
#include "svd.h"

const ref_kernels_t TYPED(ref_kernels) = {.svd_scratch = ref_svd_scratch,
                                          .backward_scratch = ref_backward_scratch,
                                          .svd = ref_svd_matrix,
                                          .backward = ref_backward_matrix,
                                          .power_scratch = ref_power_scratch,
                                          .power = ref_power_matrix,
                                          .normalize_backward = ref_normalize_backward};
