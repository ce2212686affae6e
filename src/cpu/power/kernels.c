/* SPDX-License-Identifier: BSD-3-Clause */
/* The power iteration and spectral normalization of one element type, one matrix at a time. */
#include "gradient.h"
#include "iteration.h"

const power_kernels_t TYPED(power_kernels) = {
    .scratch = power_scratch, .iterate = power_matrix, .backward = gradient_matrix};
