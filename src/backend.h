/* SPDX-License-Identifier: BSD-3-Clause */
/* What a backend is: a const table of function pointers, which receive the calls of calls.h.  A new backend adds its
 * table to backends.c.  src/ref is the simplest implementation. */
#ifndef SVDGRAD_BACKEND_H
#define SVDGRAD_BACKEND_H
#include "calls.h"
#include "base/parallel.h"

typedef struct svdgrad_context context_t;

/* A sequence of operations on packed matrices (functions/machine.h). */
typedef struct program program_t;

/* An operation made of several backend calls (functions/stages.h); it can run on any part of its batch. */
typedef struct staged staged_t;
struct staged {
  const problem_t *p;
  /* Bytes of workspace for `count` matrices; SIZE_MAX if they do not fit a size_t. */
  size_t (*bytes)(const context_t *context, const staged_t *staged, int64_t count);
  /* Matrices first..first+count-1 of the batch. */
  svdgrad_status_t (*run)(const context_t *context, const staged_t *staged, int64_t first, int64_t count, void *work);
};

/* A norm and its gradient in one call, without workspace. */
typedef svdgrad_status_t fused_norm_t(const context_t *context, const norm_call_t *call);

/* What src/api must know about a backend. */
typedef struct backend_traits {
  int takes_stream; /* calls are enqueued on the caller's stream */
  int has_threads;  /* context->parallel is used, and may be the caller's pool */
} backend_traits_t;

typedef struct backend {
  const char *name;
  const backend_traits_t *traits;
  /* Sets context->state.  May allocate.  A failure sets the error message. */
  svdgrad_status_t (*create)(context_t *context, int device);
  void (*destroy)(context_t *context);
  const char *(*instruction_set)(const context_t *context); /* of the kernels; never NULL */
  /* Name of the algorithm for (op, problem); NULL if this backend has none. */
  const char *(*algorithm_name)(const context_t *context, svdgrad_op_t op, const problem_t *problem);
  /* Where algorithm_name() is NULL: the limit that the problem exceeds, for the error message; or NULL. */
  const char *(*limit)(svdgrad_op_t op, const problem_t *problem);
  /* The largest batch_count below the problem's for which AUTO takes other algorithms for `op`, or for an operation that
   * it is composed of; 0: there is none. */
  int64_t (*choice_below)(const context_t *context, svdgrad_op_t op, const problem_t *problem);
  int (*is_capturable)(const context_t *context, svdgrad_op_t op, const problem_t *problem);
  /* Bytes for SVD, SVDVALS, SVD_BACKWARD and the power iteration; SIZE_MAX if they do not fit a size_t.  A pure
   * function, at most a constant plus a fixed number for each matrix, and enough for every smaller batch that takes the
   * same algorithms (choice_below).  Not called where algorithm_name() is NULL. */
  size_t (*workspace_size)(const context_t *context, svdgrad_op_t op, const problem_t *problem);
  svdgrad_status_t (*svd)(const context_t *context, const svd_call_t *call);
  svdgrad_status_t (*svd_backward)(const context_t *context, const svd_backward_call_t *call);
  /* Runs a program for the whole batch.  The rules of workspace_size() hold; an empty batch needs 0 bytes. */
  size_t (*program_workspace)(const context_t *context, const program_t *program);
  svdgrad_status_t (*program_run)(const context_t *context, const program_t *program, void *stream, void *work);
  /* Runs a staged operation for the whole batch, at once or in parts. */
  size_t (*staged_workspace)(const context_t *context, const staged_t *staged);
  svdgrad_status_t (*staged_run)(const context_t *context, const staged_t *staged, void *work);
  /* NULL where the norm runs in stages (functions/norm.c). */
  fused_norm_t *(*fused_norm)(const context_t *context, const problem_t *problem, svdgrad_norm_kind_t kind);
  svdgrad_status_t (*power_iteration)(const context_t *context, const power_call_t *call);
  svdgrad_status_t (*normalize_backward)(const context_t *context, const normalize_backward_call_t *call);
} backend_t;

struct svdgrad_context {
  const backend_t *backend;
  parallel_t parallel; /* only if traits->has_threads */
  void *state;         /* the backend's own */
};

/* The backend's table (backends.c); NULL with a message if this library, or this machine, does not have it. */
const backend_t *backend_find(svdgrad_backend_t id);

extern const backend_t ref_backend, cpu_backend;

/* Linked in (static library) or from the module libsvdgrad_cuda.so (shared); NULL with a message if that cannot be
 * loaded. */
const backend_t *cuda_backend_find(void);

/* backend_t.choice_below of a backend whose choice does not depend on batch_count. */
static inline int64_t no_choice_below(const context_t *context, svdgrad_op_t op, const problem_t *problem) {
  (void)context, (void)op, (void)problem;
  return 0;
}

/* The factors of an SVD can be used: its info code is OK or OVERFLOW. */
static inline int svd_is_valid(int32_t info) { return info == SVDGRAD_INFO_OK || info == SVDGRAD_INFO_OVERFLOW; }

#endif
