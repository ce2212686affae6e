/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_choice.h"

#include <limits.h>

enum { TINY = 4, GESVDJ_BATCHED_LIMIT = 32, GESVDJ_LIMIT = 256 };

/* Published times of one matrix (none of them ours), milliseconds:
 *   A100, 256 x 256, f64            gesvdj 12.2, gesvd 23.3
 *   A100, 1024 x 1024 (gesvd: 1200) gesvdj 863,  gesvd 270
 *   A100, 400 x 400, c128           gesvdj 207,  gesvd 47.6
 * gesvdp is faster still (20.3 in the last case), but needs host memory, which a call may not allocate. */
static cuda_algorithm_t choose_vendor(const problem_t *p) {
  const int64_t larger = p->m > p->n ? p->m : p->n;
  if (larger > INT_MAX / 2 || p->mn > 20000) /* 32-bit sizes and workspace */
    return CUDA_NONE;
  if (p->mn <= GESVDJ_BATCHED_LIMIT)
    return CUDA_GESVDJ_BATCHED;
  return p->mn <= GESVDJ_LIMIT ? CUDA_GESVDJ : CUDA_GESVD;
}

cuda_algorithm_t cuda_choose_solver(const cuda_state_t *state, svdgrad_dtype_t dtype, int64_t columns) {
  const cuda_kernels_t *kernels = cuda_kernels_of(dtype);
  if (columns <= kernels->warp_limit)
    return CUDA_JACOBI_WARP;
  const int fits = columns <= kernels->panels_limit && kernels->panels_shared_bytes(columns) <= state->shared_bytes;
  return fits ? CUDA_JACOBI_PANELS : CUDA_JACOBI_BLOCKED;
}

/* JACOBI, and AUTO: nothing of it waits, allocates or falls off a cliff, and no measurement speaks against it yet.  With
 * rows = max(m, n) and columns = min(m, n), the first line that fits:
 *
 *   rows    <= 4                                        thread    one matrix per thread
 *   columns <= 4                                        skinny    one block per matrix, QR of a streamed A
 *   columns <= 32; c128: 16                             warp      lanes of a warp; rows beyond that by QR first
 *   columns <= 128; f64 and c64: 96; c128: 64           panels    one block per matrix, on the triangular factor; if
 *                                                                 the device has its shared memory (64 KiB on sm_75:
 *                                                                 columns <= 120; 80; 56)
 *   any                                                 blocked   many blocks per matrix, on the triangular factor */
static cuda_algorithm_t choose_jacobi(const cuda_state_t *state, const problem_t *p) {
  const int64_t rows = p->m < p->n ? p->n : p->m;
  if (p->mn <= TINY)
    return rows <= TINY ? CUDA_JACOBI_THREAD : CUDA_JACOBI_SKINNY;
  return cuda_choose_solver(state, p->dtype, p->mn);
}

static cuda_algorithm_t choose_backward(const cuda_state_t *state, const problem_t *p) {
  const int64_t widest = 128; /* beyond, a product of its own per step keeps the device busier */
  const int thin = p->k == p->mn && !p->full_matrices;
  const int64_t rows = p->m < p->n ? p->n : p->m;
  if (thin && rows <= cuda_kernels_of(p->dtype)->backward_thread_limit)
    return CUDA_BACKWARD_THREAD;
  if (thin && p->k <= cuda_kernels_of(p->dtype)->backward_warp_columns &&
      rows <= cuda_kernels_of(p->dtype)->backward_warp_rows)
    return CUDA_BACKWARD_WARP;
  if (thin && p->k <= widest && cuda_kernels_of(p->dtype)->fused_shared_bytes(p->k) <= state->shared_bytes)
    return CUDA_BACKWARD_FUSED;
  return CUDA_BACKWARD_STEPS;
}

/* The function itself is not known here: ROTATION runs in steps at any size. */
static cuda_algorithm_t choose_function(const problem_t *p) {
  const int most = cuda_kernels_of(p->dtype)->function_rows;
  return p->m <= most && p->n <= most ? CUDA_FUNCTION : CUDA_PROGRAM;
}

cuda_algorithm_t cuda_choose(const cuda_state_t *state, svdgrad_op_t op, const problem_t *p) {
  switch (op) {
  case SVDGRAD_OP_SVD:
  case SVDGRAD_OP_SVDVALS: return p->algo == SVDGRAD_ALGO_VENDOR ? choose_vendor(p) : choose_jacobi(state, p);
  case SVDGRAD_OP_SVD_BACKWARD: return choose_backward(state, p);
  case SVDGRAD_OP_MATRIX_FUNCTION:
  case SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD: return choose_function(p);
  case SVDGRAD_OP_SVD_JVP:
  case SVDGRAD_OP_SVD_BACKWARD_BACKWARD: return CUDA_PROGRAM;
  case SVDGRAD_OP_POWER_ITERATION:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE:
  case SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD: return CUDA_POWER_ITERATION;
  default: break;
  }
  return CUDA_NONE;
}

const char *cuda_algorithm_string(cuda_algorithm_t algorithm) {
  switch (algorithm) {
  case CUDA_GESVDJ_BATCHED: return "cusolver-gesvdjBatched";
  case CUDA_GESVDJ: return "cusolver-gesvdj";
  case CUDA_GESVD: return "cusolver-gesvd";
  case CUDA_JACOBI_THREAD: return "jacobi-thread";
  case CUDA_JACOBI_SKINNY: return "jacobi-skinny";
  case CUDA_JACOBI_WARP: return "jacobi-warp";
  case CUDA_JACOBI_PANELS: return "jacobi-panels";
  case CUDA_JACOBI_BLOCKED: return "jacobi-blocked";
  case CUDA_BACKWARD_THREAD: return "backward-thread";
  case CUDA_BACKWARD_WARP: return "backward-warp";
  case CUDA_BACKWARD_FUSED: return "backward-fused";
  case CUDA_BACKWARD_STEPS: return "backward-steps";
  case CUDA_FUNCTION: return "function-fused";
  case CUDA_PROGRAM: return "program-steps";
  case CUDA_POWER_ITERATION: return "power-iteration";
  case CUDA_NONE: break;
  }
  return NULL;
}

int cuda_algorithm_is_vendor(cuda_algorithm_t algorithm) {
  return algorithm == CUDA_GESVDJ_BATCHED || algorithm == CUDA_GESVDJ || algorithm == CUDA_GESVD;
}

/* gesvdj and gesvd wait for the device between kernels.  Of gesvdjBatched that is not known, and not tried on a device
 * yet: tests/gpu/test_device.c tells. */
int cuda_algorithm_is_capturable(cuda_algorithm_t algorithm) {
  return algorithm != CUDA_NONE && algorithm != CUDA_GESVDJ && algorithm != CUDA_GESVD;
}
