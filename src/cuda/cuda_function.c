/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuda_function.h"

#include "functions/functions.h"

static function_args_t args_of(const function_call_t *call, int backward) {
  const problem_t *p = &call->p;
  function_args_t args = {.m = p->m,
                          .n = p->n,
                          .k = p->k,
                          .U = call->U,
                          .Vh = call->Vh,
                          .Y = call->Y,
                          .gA = call->gA,
                          .S = call->S,
                          .f = call->function.f,
                          .df = call->function.df,
                          .alpha = call->alpha,
                          .beta = call->beta,
                          .report = backward ? call->report : NULL};
  args.form =
      (form_args_t){.batch_count = p->batch_count, .parts = 1, .gap_policy = p->gap_policy, .gap_param = p->gap_param};
  args.form.form.function = function_form_of(call, backward);
  return args;
}

/* ROTATION needs a determinant first. */
int cuda_has_function(const context_t *context, const function_call_t *call) {
  const problem_t *p = &call->p;
  const cuda_kernels_t *kernels = cuda_kernels_of(p->dtype);
  const function_args_t args = args_of(call, 0);
  return p->k > 0 && p->m <= kernels->function_rows && p->n <= kernels->function_rows &&
         call->function.kind != SVDGRAD_FUNCTION_ROTATION &&
         kernels->function_shared_bytes(&args) <= cuda_state(context)->shared_bytes;
}

svdgrad_status_t cuda_function(const context_t *context, const function_call_t *call, int backward) {
  const char *name = backward ? "svdgrad_matrix_function_backward" : "svdgrad_matrix_function";
  const cuda_kernels_t *kernels = cuda_kernels_of(call->p.dtype);
  const function_args_t args = args_of(call, backward);
  device_guard_t guard;
  cudaError_t error = device_enter(&guard, cuda_state(context)->device);
  if (error)
    return cuda_status(name, error);
  error = (backward ? kernels->function_backward : kernels->function)(&args, call->stream);
  device_leave(&guard);
  return cuda_status(name, error);
}
