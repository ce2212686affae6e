/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of one element type that compute one matrix at a time. */
#include "cpu/cpu_kernels.h"
#include "../conquer/whole.h"
#include "lost_values.h"
#include "svd.h"

const cpu_kernels_t TYPED(cpu_kernels) = {
    .svd_scratch = cpu_svd_scratch,
    .svd = cpu_svd_matrix,
    .solve_again = solve_again,
    .again_scratch = graded_scratch,
    .bidiagonal = solve_whole,
};
