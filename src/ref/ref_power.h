/* SPDX-License-Identifier: BSD-3-Clause */
/* The power iteration of the reference backend, for each element type. */
#ifndef SVDGRAD_REF_POWER_H
#define SVDGRAD_REF_POWER_H
#include "base/parallel.h"

#include "calls.h"

typedef struct ref_power {
  size_t (*scratch)(const problem_t *problem); /* bytes per matrix of `iterate` */
  batch_task_t iterate;                        /* its call is a power_call_t */
  batch_task_t backward;                       /* its call is a normalize_backward_call_t */
} ref_power_t;

extern const ref_power_t ref_power[4]; /* by svdgrad_dtype_t */

#endif
