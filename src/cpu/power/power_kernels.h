/* SPDX-License-Identifier: BSD-3-Clause */
/* The power iteration of one matrix, for each element type; and its plans, which a call makes once for all its matrices. */
#ifndef SVDGRAD_POWER_KERNELS_H
#define SVDGRAD_POWER_KERNELS_H
#include "calls.h"
#include "cpu/simd/kernels.h"
#include "walk.h"

typedef struct power_plan {
  const power_call_t *call;
  const lane_kernels_t *kernels;
  walk_t walk;
  const parallel_t *chunks;
} power_plan_t;

typedef struct gradient_plan {
  const normalize_backward_call_t *call;
  walk_t walk;
  const parallel_t *chunks;
} gradient_plan_t;

typedef struct power_kernels {
  size_t (*scratch)(const walk_t *walk); /* bytes per matrix of `iterate` */
  batch_task_t iterate;                  /* its call is a power_plan_t */
  batch_task_t backward;                 /* its call is a gradient_plan_t; no scratch */
} power_kernels_t;

extern const power_kernels_t power_kernels_f32, power_kernels_f64, power_kernels_c64,
    power_kernels_c128; /* kernels.c */

#endif
