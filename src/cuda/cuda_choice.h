/* SPDX-License-Identifier: BSD-3-Clause */
/* Which algorithm the cuda backend takes: a pure function of (op, dtype, m, n) and of the shared memory of the
 * device. */
#ifndef SVDGRAD_CUDA_CHOICE_H
#define SVDGRAD_CUDA_CHOICE_H
#include "cuda_device.h"

typedef enum cuda_algorithm {
  CUDA_NONE,
  CUDA_GESVDJ_BATCHED, /* cuSOLVER, min(m, n) <= 32; tall ones by our QR first */
  CUDA_GESVDJ,         /* cuSOLVER, one matrix after the other */
  CUDA_GESVD,
  CUDA_JACOBI_THREAD, /* ours: a thread, a block, lanes of a warp, a block, many blocks per matrix */
  CUDA_JACOBI_SKINNY,
  CUDA_JACOBI_WARP,
  CUDA_JACOBI_PANELS,
  CUDA_JACOBI_BLOCKED,
  CUDA_BACKWARD_THREAD, /* a thread, lanes of a warp, a block, many blocks per matrix */
  CUDA_BACKWARD_WARP,
  CUDA_BACKWARD_FUSED,
  CUDA_BACKWARD_STEPS,
  CUDA_FUNCTION, /* a function of the SVD, one matrix by lanes of a warp or by a block */
  CUDA_PROGRAM,  /* functions of the SVD (src/functions/machine.h) */
  CUDA_POWER_ITERATION
} cuda_algorithm_t;

cuda_algorithm_t cuda_choose(const cuda_state_t *state, svdgrad_op_t op, const problem_t *problem);
/* The one of CUDA_JACOBI_WARP, _PANELS, _BLOCKED that solves triangular factors of so many columns. */
cuda_algorithm_t cuda_choose_solver(const cuda_state_t *state, svdgrad_dtype_t dtype, int64_t columns);
const char *cuda_algorithm_string(cuda_algorithm_t algorithm); /* NULL for CUDA_NONE */
int cuda_algorithm_is_vendor(cuda_algorithm_t algorithm);      /* needs cuSOLVER */

/* Whether every launch of the algorithm can be captured in a graph. */
int cuda_algorithm_is_capturable(cuda_algorithm_t algorithm);

#endif
