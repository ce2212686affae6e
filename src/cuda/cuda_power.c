/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_power.h"

#include "base/batch_layout.h"
#include "cuda_device.h"

/* Rows that a block takes: enough elements to keep it busy, few enough that all blocks of a large matrix are. */
enum { CHUNK_ELEMENTS = 16384, CHUNK_LEAST = 16, CHUNK_MOST = 1024 };

static int64_t chunk_rows_of(const problem_t *p) {
  const int64_t rows = p->n > 0 ? CHUNK_ELEMENTS / p->n : CHUNK_MOST;
  return rows < CHUNK_LEAST ? CHUNK_LEAST : rows > CHUNK_MOST ? CHUNK_MOST : rows;
}

static power_args_t take_iteration(batch_layout_t *layout, const problem_t *p) {
  const size_t T = cuda_kernels_of(p->dtype)->element_size, R = cuda_kernels_of(p->dtype)->real_size;
  const int64_t rows = chunk_rows_of(p), chunks = (p->m + rows - 1) / rows;
  power_args_t a = {.batch_count = p->batch_count, .m = p->m, .n = p->n, .chunk_rows = rows, .chunks = chunks};
  a.w_parts = layout_take(layout, chunks * p->n, T);
  a.largest_parts = layout_take(layout, chunks, R);
  a.y = layout_take(layout, p->m, T);
  a.w = layout_take(layout, p->n, T);
  a.v_work = layout_take(layout, p->n, T);
  a.exponent = layout_take(layout, 1, sizeof(int32_t));
  a.state = layout_take(layout, 1, sizeof(int32_t));
  a.u_exponent = layout_take(layout, 1, sizeof(int32_t));
  a.v_exponent = layout_take(layout, 1, sizeof(int32_t));
  a.sigma_value = layout_take(layout, 1, R);
  a.sigma_exponent = layout_take(layout, 1, sizeof(int32_t));
  return a;
}

static normalize_gradient_args_t take_gradient(batch_layout_t *layout, const problem_t *p) {
  const size_t R = cuda_kernels_of(p->dtype)->real_size;
  const int64_t rows = chunk_rows_of(p), chunks = (p->m + rows - 1) / rows;
  normalize_gradient_args_t a = {
      .batch_count = p->batch_count, .m = p->m, .n = p->n, .chunk_rows = rows, .chunks = chunks};
  a.along_parts = layout_take(layout, chunks, R);
  a.sigma_parts = layout_take(layout, chunks, R);
  return a;
}

size_t cuda_power_workspace(svdgrad_op_t op, const problem_t *p) {
  batch_layout_t layout = {NULL, p->batch_count, 0, 0, 0};
  if (op == SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD)
    (void)take_gradient(&layout, p);
  else
    (void)take_iteration(&layout, p);
  return layout_bytes(&layout);
}

static cudaError_t pass(const cuda_kernels_t *kernels, const power_args_t *a, cudaStream_t stream) {
  const cudaError_t error = kernels->power_pass(a, stream);
  return error || a->chunks <= CUDA_POWER_RUNS ? error : kernels->power_collect(a, stream);
}

/* The first pass, then one for each iteration. */
static cudaError_t iterate(const cuda_kernels_t *kernels, power_args_t *a, cudaStream_t stream) {
  cudaError_t error = kernels->power_begin(a, stream);
  a->first_pass = 1;
  if (!error)
    error = pass(kernels, a, stream);
  if (!error)
    error = kernels->power_start(a, stream);
  a->first_pass = 0;
  for (int32_t i = 0; i < a->iterations && !error; i++) {
    a->last_pass = i == a->iterations - 1;
    error = pass(kernels, a, stream);
    if (!error)
      error = kernels->power_finish(a, stream);
  }
  return error || !a->Y.data ? error : kernels->power_quotient(a, stream);
}

static const char *function_of(const power_call_t *call) {
  return call->Y.data ? "svdgrad_spectral_normalize" : "svdgrad_power_iteration";
}

/* Of an empty matrix: numbers that are zero, and info. */
static cudaError_t clear(const cuda_kernels_t *kernels, const power_call_t *call) {
  const power_args_t args = {
      .batch_count = call->p.batch_count, .sigma = call->sigma, .residual = call->residual, .info = call->info};
  return kernels->power_clear(&args, call->stream);
}

svdgrad_status_t cuda_power_iteration(const context_t *context, const power_call_t *call) {
  const cuda_kernels_t *kernels = cuda_kernels_of(call->p.dtype);
  batch_layout_t layout = {call->work, call->p.batch_count, 0, 0, 0};
  device_guard_t guard;
  cudaError_t error = device_enter(&guard, cuda_state(context)->device);
  if (error)
    return cuda_status(function_of(call), error);
  if (call->p.mn == 0) {
    error = clear(kernels, call);
  } else {
    power_args_t a = take_iteration(&layout, &call->p);
    a.A = call->A, a.Y = call->Y, a.u = call->u, a.v = call->v, a.sigma = call->sigma, a.residual = call->residual;
    a.info = call->info, a.iterations = call->iterations;
    error = iterate(kernels, &a, call->stream);
  }
  const svdgrad_status_t status = cuda_status(function_of(call), error);
  device_leave(&guard);
  return status;
}

svdgrad_status_t cuda_normalize_backward(const context_t *context, const normalize_backward_call_t *call) {
  static const char function[] = "svdgrad_spectral_normalize_backward";
  const cuda_kernels_t *kernels = cuda_kernels_of(call->p.dtype);
  batch_layout_t layout = {call->work, call->p.batch_count, 0, 0, 0};
  device_guard_t guard;
  if (call->p.mn == 0)
    return SVDGRAD_STATUS_SUCCESS;
  cudaError_t error = device_enter(&guard, cuda_state(context)->device);
  if (error)
    return cuda_status(function, error);
  normalize_gradient_args_t a = take_gradient(&layout, &call->p);
  a.A = call->A, a.gY = call->gY, a.gA = call->gA, a.u = call->u, a.v = call->v, a.sigma = call->sigma;
  a.alpha = call->alpha, a.beta = call->beta;
  error = kernels->normalize_along(&a, call->stream);
  if (!error)
    error = kernels->normalize_gradient(&a, call->stream);
  const svdgrad_status_t status = cuda_status(function, error);
  device_leave(&guard);
  return status;
}
