/* SPDX-License-Identifier: BSD-3-Clause */
/* What no implementation can beat: the bytes that a call must move at the measured bandwidth, and its arithmetic at the
 * measured rate.  The first is a bound; the second a model of one-sided Jacobi, which a different algorithm may beat. */
#ifndef BENCH_GPU_FLOORS_H
#define BENCH_GPU_FLOORS_H
#include "gpu_subject.h"

typedef struct ceilings {
  double bytes_per_second;               /* of a copy: read plus written */
  double f32_per_second, f64_per_second; /* fused multiply-adds */
} ceilings_t;

/* Measured on the device; NaN on the CPU run of CUDA. */
ceilings_t ceilings_measure(cudaStream_t stream);

/* Bytes of every input read once and every output written once, for one matrix. */
double floor_bytes(const gpu_subject_t *subject, gpu_op_t op);

/* Multiply-adds for one matrix, a complex one counted as four.  Forward: n^3/2 (sw + 8(sw-1)) after a QR where m > n,
 * with sw sweeps as one-sided Jacobi needs on normal entries after a pivoted QR (sw + 4(sw-1) without vectors).
 * Backward: the products of the formula in svdgrad.h. */
double floor_instructions(const gpu_subject_t *subject, gpu_op_t op);

#endif
