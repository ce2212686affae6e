/* SPDX-License-Identifier: BSD-3-Clause */
/* Jacobi rotations of square matrices of any size, panels of columns at a time (kernels/jacobi_blocked.cuh).
 *
 * The list of launches depends on n and max_sweeps only: nothing waits for the device, and the whole can be captured.
 * Its price is that all sweeps are launched, 3 launches for each of n/32 steps, though 8 to 10 sweeps are enough for
 * most matrices: the rest, 250 launches at n = 512 and 15 sweeps, finds nothing to do and takes about 2 us each.  A
 * stream holds about 1,024 launches.  Up to n = 672, of c128 up to 576, a call queues fewer; beyond, or with a larger
 * max_sweeps, the host waits in the call until the device has begun the first of them. */
#ifndef SVDGRAD_CUDA_JACOBI_BLOCKED_H
#define SVDGRAD_CUDA_JACOBI_BLOCKED_H
#include "base/batch_layout.h"
#include "launch.h"

typedef struct jacobi_blocked {
  const cuda_kernels_t *kernels;
  int panels;    /* that A is cut into */
  int columns;   /* of a pair of panels, at most */
  void *R, *V;   /* per pair of a step: columns-by-columns */
  int32_t *left; /* per step and pair: rotated pairs of columns */
  int32_t *idle; /* per pair of a step */
  int32_t *done; /* per matrix */
} jacobi_blocked_t;

void jacobi_blocked_take(jacobi_blocked_t *w, batch_layout_t *layout, const cuda_kernels_t *kernels, int64_t n);

cudaError_t jacobi_blocked_run(const jacobi_blocked_t *w, const rotate_args_t *args, cudaStream_t stream);

#endif
