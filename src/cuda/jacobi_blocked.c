/* SPDX-License-Identifier: BSD-3-Clause */
#include "jacobi_blocked.h"

void jacobi_blocked_take(jacobi_blocked_t *w, batch_layout_t *layout, const cuda_kernels_t *kernels, int64_t n) {
  const int64_t most = kernels->element_size == 16 ? 28 : CUDA_PANEL_COLUMNS; /* a pair fits into 64 KiB (sm_75) */
  const int64_t needed = (n + most - 1) / most, panels = needed < 2 ? 2 : needed;
  const int64_t pairs = panels / 2, columns = 2 * ((n + panels - 1) / panels);
  *w = (jacobi_blocked_t){.kernels = kernels, .panels = (int)panels, .columns = (int)columns};
  w->R = layout_take(layout, pairs * columns * columns, kernels->element_size);
  w->V = layout_take(layout, pairs * columns * columns, kernels->element_size);
  w->left = layout_take(layout, panels * pairs, sizeof(int32_t));
  w->idle = layout_take(layout, pairs, sizeof(int32_t));
  w->done = layout_take(layout, 1, sizeof(int32_t));
}

/* The tolerance grows with the sweeps, to 1.6 times the first after 7: pairs that one sweep left just below it would
 * otherwise come out just above it in another, by rounding, one or two per sweep for many sweeps. */
static int64_t tolerance_rows(const jacobi_blocked_t *w, const blocked_args_t *args) {
  return args->n + args->n * (args->step / w->panels) / 4;
}

static cudaError_t run_step(const jacobi_blocked_t *w, const blocked_args_t *args, cudaStream_t stream) {
  const int64_t pairs = (w->panels - args->step % 2) / 2;
  const rotate_args_t inner = {.batch_count = args->batch_count * pairs,
                               .n = w->columns,
                               .A = w->R,
                               .W = w->V,
                               .left = args->left,
                               .skip = w->idle,
                               .max_sweeps = 1,
                               .rows = tolerance_rows(w, args)};
  if (pairs == 0) /* of two panels, every other time */
    return cudaSuccess;
  cudaError_t error = w->kernels->blocked_factor(args, stream);
  if (!error)
    error = w->kernels->jacobi_panels(&inner, stream);
  return error ? error : w->kernels->blocked_update(args, stream);
}

static cudaError_t run_sweep(const jacobi_blocked_t *w, const blocked_args_t *args, cudaStream_t stream) {
  cudaError_t error = cudaSuccess;
  for (int step = 0; step < w->panels && !error; step++) {
    blocked_args_t now = *args;
    now.step += step;
    now.left += args->batch_count * (w->panels / 2) * step;
    error = run_step(w, &now, stream);
  }
  return error ? error : w->kernels->blocked_end(args, stream);
}

cudaError_t jacobi_blocked_run(const jacobi_blocked_t *w, const rotate_args_t *args, cudaStream_t stream) {
  blocked_args_t blocked = {.batch_count = args->batch_count,
                            .n = args->n,
                            .columns = w->columns,
                            .panels = w->panels,
                            .A = args->A,
                            .W = args->W,
                            .R = w->R,
                            .V = w->V,
                            .left = w->left,
                            .idle = w->idle,
                            .done = w->done,
                            .skip = args->skip,
                            .total = args->left,
                            .sweeps = args->sweeps};
  cudaError_t error = w->kernels->blocked_begin(&blocked, stream);
  for (int sweep = 0; sweep < args->max_sweeps && !error; sweep++) {
    blocked.step = (int64_t)sweep * w->panels;
    error = run_sweep(w, &blocked, stream);
  }
  return error;
}
