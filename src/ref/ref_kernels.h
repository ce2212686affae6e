/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference kernels of each element type. */
#ifndef SVDGRAD_REF_KERNELS_H
#define SVDGRAD_REF_KERNELS_H
#include "backend.h"
#include "base/parallel.h"

typedef struct ref_kernels {
  /* A scratch function says how many bytes a task takes per matrix; a task's argument is the call. */
  size_t (*svd_scratch)(const problem_t *problem);
  size_t (*backward_scratch)(const problem_t *problem);
  batch_task_t svd, backward;
  size_t (*power_scratch)(const problem_t *problem);
  batch_task_t power, normalize_backward;
} ref_kernels_t;

extern const ref_kernels_t *const ref_kernels[4]; /* by svdgrad_dtype_t */

#endif
