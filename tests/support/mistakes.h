/* SPDX-License-Identifier: BSD-3-Clause */
/* A call with arguments that are right, a table of changes to it, and what must be true where a change is a mistake: the
 * documented status, a message that names the function, the argument, its value and the bound, and nothing written. */
#ifndef TEST_MISTAKES_H
#define TEST_MISTAKES_H
#include "fixture.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { CANARY = 0xA5, ALIGNMENT = 256, MORE = 1 << 17 };

/* ---- one call: the arguments of every function, right at first ---- */

typedef struct call {
  fixture_t f;
  svdgrad_handle_t handle;
  void *stream;
  svdgrad_op_t op;
  const svdgrad_desc_t *desc;
  const svdgrad_matrix_t *A, *U, *Vh, *gU, *gVh, *gA;
  const svdgrad_vector_t *S, *gS;
  int32_t *info;
  svdgrad_report_t *report;
  double alpha, beta;
  void *work;
  size_t work_bytes;
  unsigned char *workspace; /* owned; `work` points here */
  size_t workspace_bytes;
  size_t bytes_result, *bytes;
  int32_t num_threads;
} call_t;

typedef struct shape {
  int64_t m, n, batch_count;
} shape_t;
static const shape_t tall = {4, 3, 2};    /* allows every mistake, and needs no workspace */
static const shape_t large = {96, 90, 2}; /* needs workspace */

static inline size_t workspace_need(const call_t *call, svdgrad_op_t op) {
  size_t bytes = 0;
  cr_assert_eq(svdgrad_workspace_size(call->f.handle, op, &call->f.desc, &bytes), SVDGRAD_STATUS_SUCCESS);
  return bytes;
}

static inline void call_open(call_t *call, svdgrad_backend_t backend, shape_t shape) {
  const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, shape.m, shape.n, shape.batch_count);
  *call = (call_t){.f = fixture_make(backend, &desc, LAYOUT_COLUMN_MAJOR), .alpha = 1};
  fixture_t *f = &call->f;
  memset(f->info, CANARY, (size_t)shape.batch_count * sizeof *f->info);
  memset(f->report, CANARY, (size_t)shape.batch_count * sizeof *f->report);
  call->handle = f->handle;
  call->desc = &f->desc;
  call->A = &f->A.matrix, call->U = &f->U.matrix, call->Vh = &f->Vh.matrix;
  call->gU = &f->gU.matrix, call->gVh = &f->gVh.matrix, call->gA = &f->gA.matrix;
  call->S = &f->S.vector, call->gS = &f->gS.vector;
  call->info = f->info;
  call->report = f->report;
  call->bytes = &call->bytes_result;
  memset(&call->bytes_result, CANARY, sizeof call->bytes_result);
  const size_t forward = workspace_need(call, SVDGRAD_OP_SVD), back = workspace_need(call, SVDGRAD_OP_SVD_BACKWARD);
  call->work_bytes = (forward > back ? forward : back) + MORE; /* room for tests that move or enlarge the workspace */
  call->workspace_bytes = call->work_bytes / ALIGNMENT * ALIGNMENT + 2 * ALIGNMENT;
  call->workspace = aligned_alloc(ALIGNMENT, call->workspace_bytes);
  cr_assert_not_null(call->workspace);
  memset(call->workspace, CANARY, call->workspace_bytes);
  call->work = call->workspace;
}

static inline void call_close(call_t *call) {
  free(call->workspace);
  fixture_free(&call->f);
}

static inline int all_canary(const void *memory, size_t bytes) {
  const unsigned char *p = memory;
  size_t i = 0;
  while (i < bytes && p[i] == CANARY)
    i++;
  return i == bytes;
}

/* No byte was written: neither to an operand or around it, nor to info, report, workspace or *bytes. */
static inline int untouched(const call_t *call, shape_t shape) {
  const fixture_t *f = &call->f;
  const buffer_t *const buffers[] = {&f->A, &f->S, &f->U, &f->Vh, &f->gS, &f->gU, &f->gVh, &f->gA};
  int intact = all_canary(f->info, (size_t)shape.batch_count * sizeof *f->info) &&
               all_canary(f->report, (size_t)shape.batch_count * sizeof *f->report) &&
               all_canary(&call->bytes_result, sizeof call->bytes_result);
  for (size_t i = 0; i < COUNT(buffers); i++)
    intact &= all_canary(buffers[i]->memory, buffers[i]->bytes);
  return intact && all_canary(call->workspace, call->workspace_bytes);
}

/* ---- the functions that take a handle ---- */

enum {
  WORKSPACE_SIZE = 1,
  ALGORITHM_NAME = 2,
  IS_CAPTURABLE = 4,
  SVD = 8,
  BACKWARD = 16,
  SET_PARALLEL_FOR = 32,
  SET_NUM_THREADS = 64,
  QUERIES = WORKSPACE_SIZE | ALGORITHM_NAME | IS_CAPTURABLE,
  COMPUTE = SVD | BACKWARD,
  TAKES_DESC = QUERIES | COMPUTE,
  TAKES_HANDLE = TAKES_DESC | SET_PARALLEL_FOR | SET_NUM_THREADS
};

/* Of functions that return no status: it failed, or cannot tell. */
#define STATUS_UNTOLD ((svdgrad_status_t)99)

static inline svdgrad_status_t run_workspace_size(const call_t *c) {
  return svdgrad_workspace_size(c->handle, c->op, c->desc, c->bytes);
}

static inline svdgrad_status_t run_algorithm_name(const call_t *c) {
  return svdgrad_algorithm_name(c->handle, c->op, c->desc) ? SVDGRAD_STATUS_SUCCESS : STATUS_UNTOLD;
}

static inline svdgrad_status_t run_is_capturable(const call_t *c) {
  return svdgrad_is_capturable(c->handle, c->op, c->desc) ? SVDGRAD_STATUS_SUCCESS : STATUS_UNTOLD;
}

static inline svdgrad_status_t run_svd(const call_t *c) {
  return svdgrad_svd(c->handle, c->stream, c->desc, c->A, c->S, c->U, c->Vh, c->info, c->work, c->work_bytes);
}

static inline svdgrad_status_t run_backward(const call_t *c) {
  return svdgrad_svd_backward(c->handle, c->stream, c->desc, c->A, c->S, c->U, c->Vh, c->gS, c->gU, c->gVh, c->alpha,
                              c->beta, c->gA, c->report, c->work, c->work_bytes);
}

static inline svdgrad_status_t run_set_parallel_for(const call_t *c) {
  return svdgrad_set_parallel_for(c->handle, NULL, NULL);
}

static inline svdgrad_status_t run_set_num_threads(const call_t *c) {
  return svdgrad_set_num_threads(c->handle, c->num_threads);
}

typedef struct caller {
  int bit;
  const char *name;
  svdgrad_status_t (*run)(const call_t *call);
} caller_t;
static const caller_t callers[] = {
    {WORKSPACE_SIZE, "svdgrad_workspace_size", run_workspace_size},
    {ALGORITHM_NAME, "svdgrad_algorithm_name", run_algorithm_name},
    {IS_CAPTURABLE, "svdgrad_is_capturable", run_is_capturable},
    {SVD, "svdgrad_svd", run_svd},
    {BACKWARD, "svdgrad_svd_backward", run_backward},
    {SET_PARALLEL_FOR, "svdgrad_set_parallel_for", run_set_parallel_for},
    {SET_NUM_THREADS, "svdgrad_set_num_threads", run_set_num_threads},
};

/* ---- mistakes ---- */

typedef enum change_kind { CHANGE_NONE, CHANGE_I32, CHANGE_I64, CHANGE_F64, CHANGE_NULL, CHANGE_ADDRESS } change_kind_t;
typedef struct change {
  size_t offset; /* in call_t */
  change_kind_t kind;
  int64_t integer;
  double real;
} change_t;
#define I32(field, value)                                                                                              \
  { offsetof(call_t, field), CHANGE_I32, value, 0 }
#define I64(field, value)                                                                                              \
  { offsetof(call_t, field), CHANGE_I64, value, 0 }
#define F64(field, value)                                                                                              \
  { offsetof(call_t, field), CHANGE_F64, 0, value }
#define SET_NULL(field)                                                                                                \
  { offsetof(call_t, field), CHANGE_NULL, 0, 0 }
#define ADDRESS(field, value)                                                                                          \
  { offsetof(call_t, field), CHANGE_ADDRESS, value, 0 } /* adds bytes to a pointer */

static inline void apply(call_t *call, const change_t *change) {
  void *field = (unsigned char *)call + change->offset;
  const int32_t narrow = (int32_t)change->integer;
  switch (change->kind) {
  case CHANGE_NONE: break;
  case CHANGE_I32: memcpy(field, &narrow, sizeof narrow); break;
  case CHANGE_I64: memcpy(field, &change->integer, sizeof change->integer); break;
  case CHANGE_F64: memcpy(field, &change->real, sizeof change->real); break;
  case CHANGE_NULL: memcpy(field, &(void *){NULL}, sizeof(void *)); break;
  case CHANGE_ADDRESS: {
    unsigned char *pointer = *(unsigned char **)field + change->integer;
    memcpy(field, &pointer, sizeof pointer);
  }
  }
}

typedef struct mistake {
  int callers; /* the functions that must refuse the mistake */
  change_t change[4];
  svdgrad_status_t status;
  const char *text; /* follows "function: " in the message */
} mistake_t;

/* A message that no case below expects. */
static inline void poison_message(void) { (void)svdgrad_create(SVDGRAD_BACKEND_REF, 0, NULL); }

static inline int message_says(const char *function, const char *text) {
  const char *message = svdgrad_last_error_message();
  const size_t length = strlen(function);
  return strncmp(message, function, length) == 0 && strncmp(message + length, ": ", 2) == 0 &&
         strncmp(message + length + 2, text, strlen(text)) == 0;
}

static inline void expect_refused(svdgrad_backend_t backend, shape_t shape, const caller_t *caller,
                                  const mistake_t *mistake) {
  call_t call;
  call_open(&call, backend, shape);
  for (size_t i = 0; i < COUNT(mistake->change); i++)
    apply(&call, &mistake->change[i]);
  poison_message();
  const svdgrad_status_t status = caller->run(&call);
  cr_expect(status == mistake->status || status == STATUS_UNTOLD, "%s on %s, \"%s\": status %d, expected %d",
            caller->name, backend_name(backend), mistake->text, (int)status, (int)mistake->status);
  cr_expect(message_says(caller->name, mistake->text), "%s on %s: message \"%s\", expected \"%s\"", caller->name,
            backend_name(backend), svdgrad_last_error_message(), mistake->text);
  cr_expect(untouched(&call, shape), "%s on %s, \"%s\": something was written", caller->name, backend_name(backend),
            mistake->text);
  call_close(&call);
}

static inline void expect_all_refused(svdgrad_backend_t backend, shape_t shape, const mistake_t *mistakes,
                                      size_t count) {
  for (size_t i = 0; i < count; i++)
    for (size_t c = 0; c < COUNT(callers); c++)
      if (mistakes[i].callers & callers[c].bit)
        expect_refused(backend, shape, &callers[c], &mistakes[i]);
}

static inline void expect_refused_everywhere(shape_t shape, const mistake_t *mistakes, size_t count) {
  for (int i = 0; i < test_backend_count; i++)
    expect_all_refused(test_backends[i], shape, mistakes, count);
}

#define INVALID              SVDGRAD_STATUS_INVALID_ARGUMENT
#define POWER_OF_2(exponent) (INT64_C(1) << (exponent))

#endif
