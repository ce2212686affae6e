/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop over gesdd (gesdd_loop.h) for each element type. */
#ifndef GESDD_KERNELS_H
#define GESDD_KERNELS_H
#include "gesdd_loop.h"

typedef struct gesdd_kernels {
  size_t element; /* bytes */
  int (*lwork)(const gesdd_loop_t *loop);
  int64_t (*batch)(const gesdd_loop_t *loop, int64_t batch_count, const void *A, void *S, void *U, void *Vh);
} gesdd_kernels_t;

extern const gesdd_kernels_t gesdd_kernels_f32, gesdd_kernels_f64, gesdd_kernels_c64, gesdd_kernels_c128;

#endif
