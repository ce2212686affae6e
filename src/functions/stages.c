/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of a staged operation, and how one text measures and runs the operation for any part of a batch. */
#include "functions/stages.h"

/* ---- calls ---- */

/* Directly behind the arrays, which may take fewer bytes than the layout_bytes() they are charged. */
static void *behind_arrays(const batch_layout_t *layout) {
  const size_t used = (layout->used + LAYOUT_SLOT_ALIGNMENT - 1) / LAYOUT_SLOT_ALIGNMENT * LAYOUT_SLOT_ALIGNMENT;
  return layout->base ? layout->base + used : NULL;
}

void *stages_other(stages_t *stages, size_t bytes) {
  if (!stages->measuring)
    return behind_arrays(&stages->layout);
  stages->shared = bytes > stages->shared ? bytes : stages->shared;
  return NULL;
}

static size_t bytes_of_call(const stages_t *stages, svdgrad_op_t op, const problem_t *p) {
  return stages->measuring && p->mn > 0 ? stages->context->backend->workspace_size(stages->context, op, p) : 0;
}

static int makes_calls(const stages_t *stages) { return !stages->measuring && !stages->status; }

void stages_svd(stages_t *stages, svdgrad_op_t op, svd_call_t *call) {
  call->stream = stages->stream;
  call->work = stages_other(stages, bytes_of_call(stages, op, &call->p));
  if (makes_calls(stages))
    stages->status = stages->context->backend->svd(stages->context, call);
}

void stages_svd_backward(stages_t *stages, svd_backward_call_t *call) {
  call->stream = stages->stream;
  call->work = stages_other(stages, bytes_of_call(stages, SVDGRAD_OP_SVD_BACKWARD, &call->p));
  if (makes_calls(stages))
    stages->status = stages->context->backend->svd_backward(stages->context, call);
}

void stages_program(stages_t *stages, program_t program) {
  const context_t *context = stages->context;
  void *work = stages_other(stages, stages->measuring ? context->backend->program_workspace(context, &program) : 0);
  if (makes_calls(stages))
    stages->status = context->backend->program_run(context, &program, stages->stream, work);
}

scaled_svd_t stages_scaled_svd(stages_t *stages, svdgrad_matrix_t A, int vectors, int keep_small, int32_t *info) {
  const problem_t *p = stages->p;
  scaled_svd_t svd = {.thin = stages_thin(p), .vectors = vectors};
  svd.S = stages_reals(stages, p->mn);
  svd.exponent = stages_words(stages);
  svd.U = stages_matrix(stages, vectors ? p->m : 0, p->mn);
  svd.Vh = stages_matrix(stages, vectors ? p->mn : 0, p->n);
  stages_svd(stages, vectors ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS,
             &(svd_call_t){.p = svd.thin,
                           .A = A,
                           .U = svd.U,
                           .Vh = svd.Vh,
                           .S = svd.S,
                           .info = info,
                           .exponent = svd.exponent,
                           .keep_small = keep_small});
  return svd;
}

/* ---- the whole operation, or a part of its batch ---- */

/* The staged operation that the backend gets (backend.h). */
typedef struct job {
  staged_t base;
  const composition_t *composition;
  const void *call;
} job_t;

static stages_t run_stages(const context_t *context, const staged_t *staged, int64_t first, int64_t count, void *work,
                           int measuring) {
  const job_t *job = (const job_t *)staged;
  any_call_t call;
  call_part(&job->composition->fields, job->call, first, count, &call);
  stages_t stages = {.context = context,
                     .p = &call.head.p,
                     .stream = call.head.stream,
                     .measuring = measuring,
                     .layout = {.base = work, .batch_count = count}};
  job->composition->run(&stages, &call);
  return stages;
}

static size_t bytes_of(const context_t *context, const staged_t *staged, int64_t count) {
  const stages_t stages = run_stages(context, staged, 0, count, NULL, 1);
  const size_t arrays = layout_bytes(&stages.layout);
  return arrays > SIZE_MAX / 2 || stages.shared > SIZE_MAX / 2 ? SIZE_MAX : arrays + stages.shared;
}

static svdgrad_status_t run_part(const context_t *context, const staged_t *staged, int64_t first, int64_t count,
                                 void *work) {
  return run_stages(context, staged, first, count, work, 0).status;
}

static job_t job_of(const composition_t *composition, const void *call) {
  return (job_t){{call, bytes_of, run_part}, composition, call}; /* a call begins with its problem_t */
}

size_t stages_workspace(const context_t *context, const composition_t *composition, const void *call) {
  const job_t job = job_of(composition, call);
  return context->backend->staged_workspace(context, &job.base);
}

svdgrad_status_t stages_run(const context_t *context, const composition_t *composition, const void *call, void *work) {
  const job_t job = job_of(composition, call);
  return context->backend->staged_run(context, &job.base, work);
}
