/* SPDX-License-Identifier: BSD-3-Clause */
/* Every wrong argument is refused: with the documented status, in the documented order, with a message that names the
 * function, the argument, its value and the bound, and with nothing written.  Unusual but valid arguments (quick
 * returns, absent operands, ignored strides) are accepted. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
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

static size_t workspace_need(const call_t *call, svdgrad_op_t op) {
  size_t bytes = 0;
  cr_assert_eq(svdgrad_workspace_size(call->f.handle, op, &call->f.desc, &bytes), SVDGRAD_STATUS_SUCCESS);
  return bytes;
}

static void call_open(call_t *call, svdgrad_backend_t backend, shape_t shape) {
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

static void call_close(call_t *call) {
  free(call->workspace);
  fixture_free(&call->f);
}

static int all_canary(const void *memory, size_t bytes) {
  const unsigned char *p = memory;
  size_t i = 0;
  while (i < bytes && p[i] == CANARY)
    i++;
  return i == bytes;
}

/* No byte was written: neither to an operand or around it, nor to info, report, workspace or *bytes. */
static int untouched(const call_t *call, shape_t shape) {
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

static svdgrad_status_t run_workspace_size(const call_t *c) {
  return svdgrad_workspace_size(c->handle, c->op, c->desc, c->bytes);
}

static svdgrad_status_t run_algorithm_name(const call_t *c) {
  return svdgrad_algorithm_name(c->handle, c->op, c->desc) ? SVDGRAD_STATUS_SUCCESS : STATUS_UNTOLD;
}

static svdgrad_status_t run_is_capturable(const call_t *c) {
  return svdgrad_is_capturable(c->handle, c->op, c->desc) ? SVDGRAD_STATUS_SUCCESS : STATUS_UNTOLD;
}

static svdgrad_status_t run_svd(const call_t *c) {
  return svdgrad_svd(c->handle, c->stream, c->desc, c->A, c->S, c->U, c->Vh, c->info, c->work, c->work_bytes);
}

static svdgrad_status_t run_backward(const call_t *c) {
  return svdgrad_svd_backward(c->handle, c->stream, c->desc, c->A, c->S, c->U, c->Vh, c->gS, c->gU, c->gVh, c->alpha,
                              c->beta, c->gA, c->report, c->work, c->work_bytes);
}

static svdgrad_status_t run_set_parallel_for(const call_t *c) {
  return svdgrad_set_parallel_for(c->handle, NULL, NULL);
}

static svdgrad_status_t run_set_num_threads(const call_t *c) {
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

static void apply(call_t *call, const change_t *change) {
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
static void poison_message(void) { (void)svdgrad_create(SVDGRAD_BACKEND_REF, 0, NULL); }

static int message_says(const char *function, const char *text) {
  const char *message = svdgrad_last_error_message();
  const size_t length = strlen(function);
  return strncmp(message, function, length) == 0 && strncmp(message + length, ": ", 2) == 0 &&
         strncmp(message + length + 2, text, strlen(text)) == 0;
}

static void expect_refused(svdgrad_backend_t backend, shape_t shape, const caller_t *caller, const mistake_t *mistake) {
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

static void expect_all_refused(svdgrad_backend_t backend, shape_t shape, const mistake_t *mistakes, size_t count) {
  for (size_t i = 0; i < count; i++)
    for (size_t c = 0; c < COUNT(callers); c++)
      if (mistakes[i].callers & callers[c].bit)
        expect_refused(backend, shape, &callers[c], &mistakes[i]);
}

static void expect_refused_everywhere(shape_t shape, const mistake_t *mistakes, size_t count) {
  for (int i = 0; i < test_backend_count; i++)
    expect_all_refused(test_backends[i], shape, mistakes, count);
}

#define INVALID SVDGRAD_STATUS_INVALID_ARGUMENT

Test(arguments, handle_and_desc) {
  static const mistake_t mistakes[] = {
      {TAKES_HANDLE, {SET_NULL(handle)}, INVALID, "handle is NULL, must not be"},
      {TAKES_DESC, {SET_NULL(desc)}, INVALID, "desc is NULL, must not be"},
      {TAKES_DESC, {I64(f.desc.struct_size, 0)}, INVALID, "desc.struct_size is 0, must be 96"},
      {TAKES_DESC, {I64(f.desc.struct_size, 71)}, INVALID, "desc.struct_size is 71, must be 96"},
      {TAKES_DESC, {I64(f.desc.struct_size, 80)}, INVALID, "desc.struct_size is 80, must be 96"},
      {TAKES_DESC, {I64(f.desc.struct_size, 104)}, INVALID, "desc.struct_size is 104, must be 96"},
      {WORKSPACE_SIZE, {SET_NULL(bytes)}, INVALID, "bytes is NULL, must not be"},
      {SET_NUM_THREADS, {I32(num_threads, -1)}, INVALID, "num_threads is -1, must be >= 0"},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

Test(arguments, enums) {
  static const mistake_t mistakes[] = {
      {QUERIES, {I32(op, -1)}, INVALID, "op is -1, must be in 0..13"},
      {QUERIES, {I32(op, 14)}, INVALID, "op is 14, must be in 0..13"},
      {TAKES_DESC, {I32(f.desc.dtype, -1)}, INVALID, "desc.dtype is -1, must be in 0..3"},
      {TAKES_DESC, {I32(f.desc.dtype, 4)}, INVALID, "desc.dtype is 4, must be in 0..3"},
      {TAKES_DESC, {I32(f.desc.dtype, INT32_MIN)}, INVALID, "desc.dtype is -2147483648, must be in 0..3"},
      {TAKES_DESC, {I32(f.desc.algo, -1)}, INVALID, "desc.algo is -1, must be in 0..2"},
      {TAKES_DESC, {I32(f.desc.algo, 3)}, INVALID, "desc.algo is 3, must be in 0..2"},
      {TAKES_DESC, {I32(f.desc.gap_policy, -1)}, INVALID, "desc.gap_policy is -1, must be in 0..4"},
      {TAKES_DESC, {I32(f.desc.gap_policy, 5)}, INVALID, "desc.gap_policy is 5, must be in 0..4"},
      {TAKES_DESC, {I32(f.desc.gap_policy, INT32_MAX)}, INVALID, "desc.gap_policy is 2147483647, must be in 0..4"},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

Test(arguments, sizes) {
  static const mistake_t mistakes[] = {
      {TAKES_DESC, {I64(f.desc.m, -1)}, INVALID, "desc.m is -1, must be >= 0"},
      {TAKES_DESC, {I64(f.desc.m, INT64_MIN)}, INVALID, "desc.m is -9223372036854775808, must be >= 0"},
      {TAKES_DESC, {I64(f.desc.n, -1)}, INVALID, "desc.n is -1, must be >= 0"},
      {TAKES_DESC, {I64(f.desc.batch_count, -1)}, INVALID, "desc.batch_count is -1, must be >= 0"},
      {TAKES_DESC, {I64(f.desc.rank, -1)}, INVALID, "desc.rank is -1, must be in 0..min(m, n) = 0..3"},
      {TAKES_DESC, {I64(f.desc.rank, 4)}, INVALID, "desc.rank is 4, must be in 0..min(m, n) = 0..3"},
      {TAKES_DESC,
       {I64(f.desc.rank, 2), I32(f.desc.full_matrices, 1)},
       INVALID,
       "desc.rank is 2, must be 0 with full_matrices"},
      {TAKES_DESC, {I64(f.desc.rank, 1), I64(f.desc.m, 0)}, INVALID, "desc.rank is 1, must be in 0..min(m, n) = 0..0"},
      {TAKES_DESC, {I32(f.desc.max_sweeps, -1)}, INVALID, "desc.max_sweeps is -1, must be >= 0"},
      {TAKES_DESC, {F64(f.desc.gap_param, NAN)}, INVALID, "desc.gap_param is nan, must be finite and >= 0"},
      {TAKES_DESC, {F64(f.desc.gap_param, INFINITY)}, INVALID, "desc.gap_param is inf, must be finite and >= 0"},
      {TAKES_DESC, {F64(f.desc.gap_param, -0.5)}, INVALID, "desc.gap_param is -0.5, must be finite and >= 0"},
      {BACKWARD, {F64(alpha, NAN)}, INVALID, "alpha is nan, must be finite"},
      {BACKWARD, {F64(alpha, INFINITY)}, INVALID, "alpha is inf, must be finite"},
      {BACKWARD, {F64(beta, NAN)}, INVALID, "beta is nan, must be finite"},
      {BACKWARD, {F64(beta, -INFINITY)}, INVALID, "beta is -inf, must be finite"},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

#define POWER_OF_2(exponent) (INT64_C(1) << (exponent))

/* An operand of 2^63 bytes or more: the elements here have 8. */
Test(arguments, overflow) {
  static const mistake_t mistakes[] = {
      {TAKES_DESC,
       {I64(f.desc.m, POWER_OF_2(40)), I64(f.desc.n, POWER_OF_2(40)), I64(f.desc.batch_count, POWER_OF_2(20))},
       INVALID,
       "desc.m = 1099511627776, desc.n = 1099511627776, desc.batch_count = 1048576: an operand must have "
       "<= 9223372036854775807 bytes"},
      {TAKES_DESC,
       {I64(f.desc.m, INT64_MAX), I64(f.desc.n, INT64_MAX), I64(f.desc.batch_count, INT64_MAX)},
       INVALID,
       "desc.m = 9223372036854775807, desc.n = "},
      {TAKES_DESC,
       {I64(f.desc.m, POWER_OF_2(30)), I64(f.desc.n, POWER_OF_2(30)), I64(f.desc.batch_count, 1)},
       INVALID,
       "desc.m = 1073741824, desc.n = 1073741824, desc.batch_count = 1: an operand must have <= "},
      {TAKES_DESC,
       {I64(f.desc.m, 1), I64(f.desc.n, 1), I64(f.desc.batch_count, POWER_OF_2(60))},
       INVALID,
       "desc.m = 1, desc.n = 1, desc.batch_count = 1152921504606846976: an operand must have <= "},
      {TAKES_DESC,
       {I64(f.desc.m, POWER_OF_2(30)), I64(f.desc.batch_count, 1), I32(f.desc.full_matrices, 1)},
       INVALID,
       "desc.m = 1073741824, desc.n = 3, desc.batch_count = 1: an operand must have <= "},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

/* The operands may be addressed, but not the workspace beside them; functions of A^H A are n-by-n. */
Test(arguments, workspace_overflow) {
  static const mistake_t mistakes[] = {
      {WORKSPACE_SIZE,
       {I64(f.desc.m, POWER_OF_2(60) - 1), I64(f.desc.n, 1), I64(f.desc.batch_count, 1)},
       INVALID,
       "desc.m = 1152921504606846975, desc.n = 1, desc.batch_count = 1: the workspace must have <= "
       "18446744073709551614 bytes"},
      {WORKSPACE_SIZE,
       {I32(op, SVDGRAD_OP_MATRIX_FUNCTION), I64(f.desc.m, 1), I64(f.desc.n, POWER_OF_2(33))},
       INVALID,
       "desc.m = 1, desc.n = 8589934592, desc.batch_count = 2: the workspace must have <= "},
  };
  expect_all_refused(SVDGRAD_BACKEND_REF, tall, mistakes, COUNT(mistakes));
}

Test(arguments, not_supported) {
  static const mistake_t on_ref[] = {
      {QUERIES | SVD,
       {I32(f.desc.algo, SVDGRAD_ALGO_VENDOR)},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo VENDOR is not supported by the ref backend at m = 4, n = 3"}};
  static const mistake_t on_cpu[] = {
      {QUERIES,
       {I32(f.desc.algo, SVDGRAD_ALGO_JACOBI), I64(f.desc.m, 130), I64(f.desc.n, 129)},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo JACOBI is not supported by the cpu backend at m = 130, n = 129: min(m, n) must be <= 128 "
       "and "
       "a matrix have <= 131072 bytes"},
      {QUERIES,
       {I32(f.desc.algo, SVDGRAD_ALGO_JACOBI), I64(f.desc.m, 129), I64(f.desc.n, 64), I32(f.desc.full_matrices, 1)},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo JACOBI is not supported by the cpu backend at m = 129, n = 64: with full_matrices, min(m, "
       "n) "
       "must be <= 128 and max(m, n)^2 elements have <= 131072 bytes"}};
  static const mistake_t with_lapack[] = {
      {QUERIES, /* LAPACK counts in 32-bit integers */
       {I32(f.desc.algo, SVDGRAD_ALGO_VENDOR), I64(f.desc.m, POWER_OF_2(15)), I64(f.desc.n, POWER_OF_2(15))},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo VENDOR is not supported by the cpu backend at m = 32768, n = 32768: min(m, n) must be <= "
       "23000"}};
  static const mistake_t without_lapack[] = {
      {QUERIES | SVD,
       {I32(f.desc.algo, SVDGRAD_ALGO_VENDOR)},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo VENDOR is not supported by the cpu backend at m = 4, n = 3: this library was built without "
       "LAPACK (SVDGRAD_LAPACK=OFF)"}};
  expect_all_refused(SVDGRAD_BACKEND_CPU, tall, SVDGRAD_HAVE_LAPACK ? with_lapack : without_lapack, 1);
  expect_all_refused(SVDGRAD_BACKEND_REF, tall, on_ref, COUNT(on_ref));
  expect_all_refused(SVDGRAD_BACKEND_CPU, tall, on_cpu, COUNT(on_cpu));
}

/* ---- strides: every one of every operand ---- */

typedef struct operand_case {
  int caller;
  const char *name;
  size_t offset; /* of the matrix or vector in call_t */
  int is_vector, is_output;
  int64_t rows, cols;
  const char *rows_name;
} operand_case_t;
#define MATRIX(caller, x, is_output, cols, rows_name, rows)                                                            \
  { caller, #x, offsetof(call_t, f.x.matrix), 0, is_output, rows, cols, rows_name }
#define VECTOR(caller, x, is_output)                                                                                   \
  { caller, #x, offsetof(call_t, f.x.vector), 1, is_output, 3, 1, "k" }
static const operand_case_t operands[] = {
    MATRIX(SVD, A, 0, 3, "m", 4),
    VECTOR(SVD, S, 1),
    MATRIX(SVD, U, 1, 3, "m", 4),
    MATRIX(SVD, Vh, 1, 3, "k", 3),
    VECTOR(BACKWARD, S, 0),
    MATRIX(BACKWARD, U, 0, 3, "m", 4),
    MATRIX(BACKWARD, Vh, 0, 3, "k", 3),
    VECTOR(BACKWARD, gS, 0),
    MATRIX(BACKWARD, gU, 0, 3, "m", 4),
    MATRIX(BACKWARD, gVh, 0, 3, "k", 3),
    MATRIX(BACKWARD, gA, 1, 3, "m", 4),
};

typedef struct stride_field {
  const char *name;
  size_t offset;
} stride_field_t;
static const stride_field_t matrix_strides[] = {{"row_stride", offsetof(svdgrad_matrix_t, row_stride)},
                                                {"col_stride", offsetof(svdgrad_matrix_t, col_stride)},
                                                {"batch_stride", offsetof(svdgrad_matrix_t, batch_stride)}};
static const stride_field_t vector_strides[] = {{"stride", offsetof(svdgrad_vector_t, stride)},
                                                {"batch_stride", offsetof(svdgrad_vector_t, batch_stride)}};

static int stride_count(const operand_case_t *o) {
  return o->is_vector ? COUNT(vector_strides) : COUNT(matrix_strides);
}
static const stride_field_t *stride_field(const operand_case_t *o, int s) {
  return o->is_vector ? &vector_strides[s] : &matrix_strides[s];
}

/* `bound` is what the message says after "must be ". */
static void expect_stride_refused(const operand_case_t *o, int s, int64_t value, const char *bound) {
  char text[160];
  const stride_field_t *field = stride_field(o, s);
  (void)snprintf(text, sizeof text, "%s.%s is %lld, must be %s", o->name, field->name, (long long)value, bound);
  const mistake_t mistake = {o->caller, {{o->offset + field->offset, CHANGE_I64, value, 0}}, INVALID, text};
  expect_refused_everywhere(tall, &mistake, 1);
}

Test(arguments, strides_not_positive) {
  static const int64_t values[] = {0, -1, INT64_MIN};
  for (size_t i = 0; i < COUNT(operands); i++)
    for (int s = 0; s < stride_count(&operands[i]); s++)
      for (size_t v = 0; v < COUNT(values); v++) {
        if (operands[i].is_output)
          expect_stride_refused(&operands[i], s, values[v], ">= 1");
      }
}

Test(arguments, strides_too_small) {
  char bound[64];
  for (size_t i = 0; i < COUNT(operands); i++) {
    const operand_case_t *o = &operands[i];
    const int last = stride_count(o) - 1;
    if (!o->is_output)
      continue;
    (void)snprintf(bound, sizeof bound, o->is_vector ? ">= %s = %lld" : ">= %.0s%lld", o->rows_name,
                   (long long)(o->rows * o->cols));
    expect_stride_refused(o, last, o->rows * o->cols - 1, bound);
    if (o->is_vector)
      continue;
    (void)snprintf(bound, sizeof bound, ">= %s = %lld", o->rows_name, (long long)o->rows);
    expect_stride_refused(o, 1, o->rows - 1, bound);
  }
}

Test(arguments, strides_that_overflow) {
  for (size_t i = 0; i < COUNT(operands); i++)
    for (int s = 0; s < stride_count(&operands[i]); s++) {
      expect_stride_refused(&operands[i], s, INT64_MAX, "<= ");
      expect_stride_refused(&operands[i], s, INT64_MAX / (int64_t)sizeof(double), "<= ");
      expect_stride_refused(&operands[i], s, INT64_MIN, operands[i].is_output ? ">= 1" : ">= -");
      expect_stride_refused(&operands[i], s, -INT64_MAX / (int64_t)sizeof(double),
                            operands[i].is_output ? ">= 1" : ">= -");
    }
}

/* Offsets up to 2^63-1 bytes are accepted, larger ones refused.  A is 4-by-3; its other strides reach 21 elements. */
Test(arguments, largest_stride) {
  static const int64_t largest = (PTRDIFF_MAX / (int64_t)sizeof(double) - 21) / 3;
  const mistake_t mistakes[] = {
      {SVD, {I64(f.A.matrix.row_stride, largest), SET_NULL(f.A.matrix.data)}, INVALID, "A.data is NULL"},
      {SVD, {I64(f.A.matrix.row_stride, largest + 1), SET_NULL(f.A.matrix.data)}, INVALID, "A.row_stride is "},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

Test(arguments, strides_that_overlap) {
  static const mistake_t mistakes[] = {
      {SVD, {I64(f.U.matrix.row_stride, 2)}, INVALID, "U.col_stride is 4, must be >= 7"},
      {SVD, {I64(f.U.matrix.row_stride, 4)}, INVALID, "U.col_stride is 4, must be >= 13"},
      {SVD,
       {I64(f.U.matrix.row_stride, 3), I64(f.U.matrix.col_stride, 1), I64(f.U.matrix.batch_stride, 3)},
       INVALID,
       "U.batch_stride is 3, must be >= 12"},
      {SVD,
       {I64(f.U.matrix.row_stride, 2), I64(f.U.matrix.col_stride, 1)},
       INVALID,
       "U.row_stride is 2, must be >= k = 3"},
      {BACKWARD, {I64(f.gA.matrix.batch_stride, 6)}, INVALID, "gA.batch_stride is 6, must be >= 12"},
      {BACKWARD, {I64(f.gA.matrix.batch_stride, 1)}, INVALID, "gA."},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

/* ---- overlap ---- */

/* Moves `field` by `bytes` from where another begins: *to = *from + bytes. */
static void place_over(void *to, void *from, int64_t bytes) {
  unsigned char *pointer = *(unsigned char **)from + bytes;
  memcpy(to, &pointer, sizeof pointer);
}

/* A pointer of call_t set to overlap another operand, and the text of the message (NULL: accepted). */
typedef struct overlap_case {
  int caller;
  size_t to, from;
  int64_t bytes; /* from the beginning of the other operand */
  const char *text;
} overlap_case_t;
#define OVER(caller, to, from, bytes, text)                                                                            \
  { caller, offsetof(call_t, to), offsetof(call_t, from), bytes, text }

Test(arguments, overlap) {
  static const overlap_case_t cases[] = {
      OVER(SVD, f.U.matrix.data, f.A.matrix.data, 0, "U overlaps A, must not"),
      OVER(SVD, f.U.matrix.data, f.A.matrix.data, 23 * 8, "U overlaps A, must not"), /* the last element of A */
      OVER(SVD, f.U.matrix.data, f.A.matrix.data, 23 * 8 + 7, "U overlaps A, must not"),
      OVER(SVD, f.Vh.matrix.data, f.U.matrix.data, 8, "Vh overlaps U, must not"),
      OVER(SVD, f.S.vector.data, f.A.matrix.data, 32, "S overlaps A, must not"),
      OVER(SVD, info, f.S.vector.data, 0, "info overlaps S, must not"),
      OVER(SVD, info, f.A.matrix.data, 24 * 8 - 1, "info overlaps A, must not"),
      OVER(BACKWARD, f.gA.matrix.data, f.gU.matrix.data, 0, "gA overlaps gU, must not"),
      OVER(BACKWARD, f.gA.matrix.data, f.S.vector.data, -16, "gA overlaps S, must not"),
      OVER(BACKWARD, report, f.Vh.matrix.data, 8, "report overlaps Vh, must not"),
  };
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(cases); i++) {
      call_t call;
      call_open(&call, test_backends[b], tall);
      place_over((unsigned char *)&call + cases[i].to, (unsigned char *)&call + cases[i].from, cases[i].bytes);
      const int forward = cases[i].caller == SVD;
      cr_expect_eq(forward ? run_svd(&call) : run_backward(&call), INVALID, "%s", cases[i].text);
      cr_expect(message_says(forward ? "svdgrad_svd" : "svdgrad_svd_backward", cases[i].text),
                "\"%s\", expected \"%s\"", svdgrad_last_error_message(), cases[i].text);
      cr_expect(untouched(&call, tall));
      call_close(&call);
    }
}

Test(arguments, overlap_of_the_workspace) {
  for (int b = 0; b < test_backend_count; b++) {
    call_t call;
    call_open(&call, test_backends[b], large);
    call.work_bytes = workspace_need(&call, SVDGRAD_OP_SVD);
    call.f.S.vector.data = call.workspace + call.work_bytes - 8;
    cr_expect_eq(run_svd(&call), INVALID);
    cr_expect(message_says("svdgrad_svd", "work overlaps S, must not"), "%s", svdgrad_last_error_message());
    cr_expect(untouched(&call, large));
    call_close(&call);
  }
}

/* Interleaved operands: records of a matrix and its factors, alternate columns, rows side by side, and the batch index
 * innermost.  Shifted by one element, they overlap. */
static void check_between(svdgrad_backend_t backend, svdgrad_matrix_t A, svdgrad_matrix_t U, svdgrad_vector_t S,
                          int64_t offset_U, int64_t offset_S, int64_t wrong_U) {
  static double memory[4096];
  call_t call;
  call_open(&call, backend, tall);
  for (int i = 0; i < 4096; i++)
    memory[i] = 1.0 / (i + 1) + i % 7;
  A.data = memory + 1000, U.data = memory + 1000 + offset_U, S.data = memory + 1000 + offset_S;
  call.A = &A, call.U = &U, call.S = &S, call.Vh = NULL;
  cr_expect_eq(run_svd(&call), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  U.data = memory + 1000 + wrong_U;
  cr_expect_eq(run_svd(&call), INVALID);
  cr_expect(message_says("svdgrad_svd", "U overlaps "), "%s", svdgrad_last_error_message());
  call_close(&call);
}

Test(arguments, elements_between_others) {
  for (int b = 0; b < test_backend_count; b++) {
    const svdgrad_backend_t backend = test_backends[b];
    check_between(backend, (svdgrad_matrix_t){NULL, 1, 4, 27}, (svdgrad_matrix_t){NULL, 1, 4, 27},
                  (svdgrad_vector_t){NULL, 1, 27}, 12, 24, 13); /* which meets S */
    check_between(backend, (svdgrad_matrix_t){NULL, 1, 8, 24}, (svdgrad_matrix_t){NULL, 1, 8, 24},
                  (svdgrad_vector_t){NULL, 1, 3}, 4, 100, 3);
    check_between(backend, (svdgrad_matrix_t){NULL, 10, 1, 40}, (svdgrad_matrix_t){NULL, 10, 1, 40},
                  (svdgrad_vector_t){NULL, 1, 10}, 3, 6, 2);
    check_between(backend, (svdgrad_matrix_t){NULL, 4, 16, 1}, (svdgrad_matrix_t){NULL, 4, 16, 1},
                  (svdgrad_vector_t){NULL, 1, 3}, 2, 100, 1);
    /* A is flipped or broadcast: what counts is the memory that A covers */
    check_between(backend, (svdgrad_matrix_t){NULL, -1, -4, -12}, (svdgrad_matrix_t){NULL, 1, 4, 12},
                  (svdgrad_vector_t){NULL, 1, 3}, 1, 100, -23);
    check_between(backend, (svdgrad_matrix_t){NULL, 0, 1, 3}, (svdgrad_matrix_t){NULL, 1, 4, 12},
                  (svdgrad_vector_t){NULL, 1, 3}, 6, 100, 5);
  }
}

/* With full_matrices the bounds are those of the square factors. */
Test(arguments, strides_of_full_matrices) {
  static const mistake_t mistakes[] = {
      {SVD, {I32(f.desc.full_matrices, 1)}, INVALID, "U.batch_stride is 12, must be >= 16"},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

Test(arguments, documented_message) {
  call_t call;
  call_open(&call, SVDGRAD_BACKEND_REF, tall);
  call.f.U.matrix.col_stride = 3;
  cr_expect_eq(run_svd(&call), INVALID);
  cr_expect_str_eq(svdgrad_last_error_message(), "svdgrad_svd: U.col_stride is 3, must be >= m = 4");
  call_close(&call);
}

/* ---- pointers and workspace ---- */

Test(arguments, pointers) {
#define ABSENT " (pass NULL for an absent operand)"
  static const mistake_t mistakes[] = {
      {SVD, {SET_NULL(A)}, INVALID, "A is NULL, must not be"},
      {SVD, {SET_NULL(f.A.matrix.data)}, INVALID, "A.data is NULL, must not be"},
      {COMPUTE, {SET_NULL(S)}, INVALID, "S is NULL, must not be"},
      {COMPUTE, {SET_NULL(f.S.vector.data)}, INVALID, "S.data is NULL, must not be"},
      {SVD, {SET_NULL(f.U.matrix.data)}, INVALID, "U.data is NULL, must not be" ABSENT},
      {SVD, {SET_NULL(f.Vh.matrix.data)}, INVALID, "Vh.data is NULL, must not be" ABSENT},
      {SVD, {SET_NULL(info)}, INVALID, "info is NULL, must have batch_count = 2 words"},
      {BACKWARD, {SET_NULL(U)}, INVALID, "U is NULL, must not be"},
      {BACKWARD, {SET_NULL(f.U.matrix.data)}, INVALID, "U.data is NULL, must not be"},
      {BACKWARD, {SET_NULL(Vh)}, INVALID, "Vh is NULL, must not be"},
      {BACKWARD, {SET_NULL(f.Vh.matrix.data)}, INVALID, "Vh.data is NULL, must not be"},
      {BACKWARD, {SET_NULL(f.gS.vector.data)}, INVALID, "gS.data is NULL, must not be" ABSENT},
      {BACKWARD, {SET_NULL(f.gU.matrix.data)}, INVALID, "gU.data is NULL, must not be" ABSENT},
      {BACKWARD, {SET_NULL(f.gVh.matrix.data)}, INVALID, "gVh.data is NULL, must not be" ABSENT},
      {BACKWARD, {SET_NULL(gA)}, INVALID, "gA is NULL, must not be"},
      {BACKWARD, {SET_NULL(f.gA.matrix.data)}, INVALID, "gA.data is NULL, must not be"},
      {BACKWARD, {I64(f.desc.rank, 2), SET_NULL(A)}, INVALID, "A is NULL, must not be"},
      {BACKWARD, {I64(f.desc.rank, 2), SET_NULL(f.A.matrix.data)}, INVALID, "A.data is NULL, must not be"},
      {BACKWARD, {I64(f.desc.rank, 2), I64(f.A.matrix.col_stride, INT64_MAX)}, INVALID, "A.col_stride is "},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

Test(arguments, stream) {
  for (int i = 0; i < test_backend_count; i++) {
    call_t call;
    call_open(&call, test_backends[i], tall);
    call.stream = &call;
    cr_expect_eq(run_svd(&call), INVALID);
    cr_expect(message_says("svdgrad_svd", "stream is 0x"), "%s", svdgrad_last_error_message());
    cr_expect_not_null(strstr(svdgrad_last_error_message(), "must be NULL for the "));
    cr_expect_eq(run_backward(&call), INVALID);
    cr_expect(message_says("svdgrad_svd_backward", "stream is 0x"), "%s", svdgrad_last_error_message());
    cr_expect(untouched(&call, tall));
    call_close(&call);
  }
}

static void expect_exact_workspace(svdgrad_backend_t backend, const caller_t *caller, svdgrad_op_t op) {
  char text[80];
  call_t call;
  call_open(&call, backend, large);
  call.f.desc.batch_invariant = 1; /* the size is then what this batch needs; without, a smaller one may need more */
  const size_t need = workspace_need(&call, op);
  cr_assert_gt(need, 0);
  (void)snprintf(text, sizeof text, "work_bytes is %zu, must be >= %zu", need - 1, need);
  const mistake_t mistakes[] = {
      {caller->bit,
       {I64(work_bytes, (int64_t)need - 1), I32(f.desc.batch_invariant, 1)},
       SVDGRAD_STATUS_WORKSPACE_TOO_SMALL,
       text},
      {caller->bit, {I64(work_bytes, 0), SET_NULL(work)}, SVDGRAD_STATUS_WORKSPACE_TOO_SMALL, "work_bytes is 0, "},
      {caller->bit, {SET_NULL(work)}, INVALID, "work is NULL, must have "},
  };
  expect_all_refused(backend, large, mistakes, COUNT(mistakes));
  call_close(&call);
}

Test(arguments, workspace) {
  for (int i = 0; i < test_backend_count; i++) {
    expect_exact_workspace(test_backends[i], &callers[3], SVDGRAD_OP_SVD);
    expect_exact_workspace(test_backends[i], &callers[4], SVDGRAD_OP_SVD_BACKWARD);
  }
}

static void run_at_once(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  (void)grain;
  ++*(int *)pool;
  body(0, count, arg);
}

/* Only CPU backends take a thread pool with the call. */
Test(arguments, pool_of_a_call) {
  for (int i = 0; i < test_backend_count; i++) {
    call_t call;
    int pool = 0;
    call_open(&call, test_backends[i], tall);
    call.f.desc.parallel_for = run_at_once, call.f.desc.pool = &pool;
    if (test_backends[i] == SVDGRAD_BACKEND_CUDA) {
      cr_expect_eq(run_svd(&call), INVALID);
      cr_expect_not_null(strstr(svdgrad_last_error_message(), "desc.parallel_for is set, must be NULL"));
      cr_expect(untouched(&call, tall));
    } else {
      cr_expect_eq(run_svd(&call), SVDGRAD_STATUS_SUCCESS);
      cr_expect_eq(pool, 1);
    }
    call_close(&call);
  }
}

/* Of two mistakes, the message names the one that is checked first. */
Test(arguments, order_of_checks) {
  static const mistake_t mistakes[] = {
      {TAKES_DESC, {SET_NULL(handle), SET_NULL(desc)}, INVALID, "handle is NULL"},
      {SET_NUM_THREADS, {SET_NULL(handle), I32(num_threads, -1)}, INVALID, "handle is NULL"},
      {WORKSPACE_SIZE, {SET_NULL(desc), SET_NULL(bytes)}, INVALID, "desc is NULL"},
      {TAKES_DESC, {I64(f.desc.struct_size, 8), I32(f.desc.dtype, -1)}, INVALID, "desc.struct_size is 8"},
      {TAKES_DESC, {I32(f.desc.gap_policy, 9), I64(f.desc.m, -1)}, INVALID, "desc.gap_policy is 9"},
      {WORKSPACE_SIZE, {I64(f.desc.n, -2), SET_NULL(bytes)}, INVALID, "desc.n is -2"},
      {COMPUTE, {I64(f.desc.batch_count, -1), I64(f.S.vector.stride, 0)}, INVALID, "desc.batch_count is -1"},
      {COMPUTE, {F64(f.desc.gap_param, NAN), SET_NULL(S)}, INVALID, "desc.gap_param is nan"},
      {SVD, {SET_NULL(S), I64(f.Vh.matrix.row_stride, 0)}, INVALID, "Vh.row_stride is 0"},
      {BACKWARD, {SET_NULL(S), I64(f.gA.matrix.row_stride, 0)}, INVALID, "gA.row_stride is 0"},
      {SVD, {SET_NULL(info), I64(work_bytes, 0)}, INVALID, "info is NULL"},
      {COMPUTE, {SET_NULL(f.S.vector.data), SET_NULL(work)}, INVALID, "S.data is NULL"},
      {BACKWARD, {SET_NULL(gA), I64(work_bytes, 0)}, INVALID, "gA is NULL"},
      {SVD, {I64(f.U.matrix.row_stride, -7), ADDRESS(work, 8)}, INVALID, "U.row_stride is -7"},
  };
  expect_refused_everywhere(large, mistakes, COUNT(mistakes));
}

/* ---- what is right ---- */

/* `text` says what is unusual about it. */
static void expect_accepted(svdgrad_backend_t backend, const caller_t *caller, const mistake_t *right) {
  call_t call;
  call_open(&call, backend, tall);
  for (size_t i = 0; i < COUNT(right->change); i++)
    apply(&call, &right->change[i]);
  poison_message();
  const svdgrad_status_t status = caller->run(&call);
  cr_expect(status == SVDGRAD_STATUS_SUCCESS || caller->bit == IS_CAPTURABLE, "%s on %s, %s: %s", caller->name,
            backend_name(backend), right->text, svdgrad_last_error_message());
  cr_expect(message_says("svdgrad_create", "handle is NULL"), "%s on %s, %s: success left the message \"%s\"",
            caller->name, backend_name(backend), right->text, svdgrad_last_error_message());
  call_close(&call);
}

Test(arguments, accepted) {
  static const mistake_t right[] = {
      {TAKES_HANDLE, {{0}}, SVDGRAD_STATUS_SUCCESS, "nothing changed"},
      {COMPUTE, {I64(f.desc.rank, 2)}, SVDGRAD_STATUS_SUCCESS, "rank"},
      {COMPUTE, {I64(f.desc.rank, 3)}, SVDGRAD_STATUS_SUCCESS, "rank min(m, n)"},
      {COMPUTE, {SET_NULL(work), I64(work_bytes, 0)}, SVDGRAD_STATUS_SUCCESS, "no workspace where none is needed"},
      {SVD, {SET_NULL(U)}, SVDGRAD_STATUS_SUCCESS, "U absent"},
      {SVD, {SET_NULL(Vh)}, SVDGRAD_STATUS_SUCCESS, "Vh absent"},
      {SVD, {SET_NULL(U), SET_NULL(Vh)}, SVDGRAD_STATUS_SUCCESS, "U and Vh absent"},
      {SVD, {I64(f.A.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "A.batch_stride 0"},
      {BACKWARD, {I64(f.S.vector.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "S.batch_stride 0"},
      {BACKWARD, {I64(f.U.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "U.batch_stride 0"},
      {BACKWARD, {I64(f.Vh.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "Vh.batch_stride 0"},
      {BACKWARD, {I64(f.gS.vector.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "gS.batch_stride 0"},
      {BACKWARD, {I64(f.gU.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "gU.batch_stride 0"},
      {BACKWARD, {I64(f.gVh.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "gVh.batch_stride 0"},
      {BACKWARD, {SET_NULL(gS), SET_NULL(gU), SET_NULL(gVh)}, SVDGRAD_STATUS_SUCCESS, "no cotangent"},
      {BACKWARD, {SET_NULL(report)}, SVDGRAD_STATUS_SUCCESS, "report absent"},
      {BACKWARD, {SET_NULL(A)}, SVDGRAD_STATUS_SUCCESS, "A absent at full rank"},
      {BACKWARD, {SET_NULL(f.A.matrix.data), I64(f.A.matrix.row_stride, -1)}, SVDGRAD_STATUS_SUCCESS, "A ignored"},
      {COMPUTE,
       {I64(f.desc.batch_count, 1), I64(f.S.vector.batch_stride, 0), I64(f.gA.matrix.batch_stride, -9)},
       SVDGRAD_STATUS_SUCCESS,
       "batch strides of a batch of one"},
      {SVD,
       {I64(f.desc.n, 1), I64(f.A.matrix.col_stride, 0), I64(f.U.matrix.col_stride, INT64_MAX)},
       SVDGRAD_STATUS_SUCCESS,
       "column strides of a single column"},
      {TAKES_DESC, {I32(f.desc.max_sweeps, INT32_MAX)}, SVDGRAD_STATUS_SUCCESS, "max_sweeps"},
      {SET_NUM_THREADS, {I32(num_threads, 3)}, SVDGRAD_STATUS_SUCCESS, "num_threads"},
  };
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(right); i++)
      for (size_t c = 0; c < COUNT(callers); c++)
        if (right[i].callers & callers[c].bit)
          expect_accepted(test_backends[b], &callers[c], &right[i]);
}

/* ---- quick returns ---- */

static const shape_t empty_shapes[] = {{0, 3, 2},   {3, 0, 2}, {0, 0, 2}, {4, 3, 0},
                                       {48, 40, 0}, {0, 0, 0}, {0, 7, 0}, {0, POWER_OF_2(40), 2}};

static void expect_quick_return(svdgrad_handle_t handle, const svdgrad_desc_t *desc, const svdgrad_matrix_t *matrix,
                                const svdgrad_vector_t *vector) {
  size_t bytes = 99;
  for (int op = SVDGRAD_OP_SVD; op <= SVDGRAD_OP_SVD_BACKWARD; op++) {
    cr_expect_eq(svdgrad_workspace_size(handle, (svdgrad_op_t)op, desc, &bytes), SVDGRAD_STATUS_SUCCESS);
    cr_expect_eq(bytes, 0);
  }
  const svdgrad_status_t forward = svdgrad_svd(handle, NULL, desc, matrix, vector, matrix, matrix, NULL, NULL, 0);
  cr_expect_eq(forward, SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  const svdgrad_status_t backward = svdgrad_svd_backward(handle, NULL, desc, matrix, vector, matrix, matrix, vector,
                                                         matrix, matrix, 1, 0, matrix, NULL, NULL, 0);
  cr_expect_eq(backward, SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
}

Test(arguments, quick_returns) {
  const svdgrad_matrix_t no_matrix = {0};
  const svdgrad_vector_t no_vector = {0};
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(empty_shapes); i++)
      for (int full = 0; full < 2; full++) {
        svdgrad_handle_t handle;
        cr_assert_eq(svdgrad_create(test_backends[b], 0, &handle), SVDGRAD_STATUS_SUCCESS);
        svdgrad_desc_t desc = make_desc(SVDGRAD_F64, empty_shapes[i].m, empty_shapes[i].n, empty_shapes[i].batch_count);
        desc.full_matrices = full;
        expect_quick_return(handle, &desc, &no_matrix, &no_vector);
        expect_quick_return(handle, &desc, NULL, NULL);
        cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
      }
}

/* Array libraries give an array without elements strides of 0, and a pointer to somewhere. */
Test(arguments, empty_operands_may_lie_anywhere) {
  double somewhere = 0;
  const svdgrad_matrix_t matrix = {&somewhere, 0, 0, 0};
  const svdgrad_vector_t vector = {&somewhere, 0, 0};
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(empty_shapes); i++) {
      svdgrad_handle_t handle;
      cr_assert_eq(svdgrad_create(test_backends[b], 0, &handle), SVDGRAD_STATUS_SUCCESS);
      const svdgrad_desc_t desc =
          make_desc(SVDGRAD_F64, empty_shapes[i].m, empty_shapes[i].n, empty_shapes[i].batch_count);
      expect_quick_return(handle, &desc, &matrix, &vector);
      cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
    }
}

/* An empty batch is accepted however large its matrices are; a sanitizer would report an overflow. */
Test(arguments, empty_batch_of_huge_matrices) {
  svdgrad_handle_t handle;
  const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, POWER_OF_2(40), POWER_OF_2(40), 0);
  cr_assert_eq(svdgrad_create(SVDGRAD_BACKEND_REF, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  expect_quick_return(handle, &desc, NULL, NULL);
  cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
}

static void expect_identity(const buffer_t *buffer) {
  for (int64_t b = 0; b < buffer->batch_count; b++)
    for (int64_t i = 0; i < buffer->rows; i++)
      for (int64_t j = 0; j < buffer->cols; j++)
        cr_expect(buffer_get(buffer, b, i, j) == (i == j), "element (%d,%d,%d)", (int)b, (int)i, (int)j);
  cr_expect(buffer_padding_intact(buffer));
}

static void expect_empty_report(const svdgrad_report_t *report) {
  cr_expect(isinf(report->min_gap) && report->min_gap > 0);
  cr_expect(report->gauge_residual == 0 && report->amplification == 0);
  cr_expect(report->dropped_pairs == 0 && report->flags == 0);
}

/* Every output is written, though the matrices have no elements. */
static void check_empty_matrices(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  svdgrad_desc_t desc = make_desc(dtype, m, n, 2);
  desc.full_matrices = 1;
  fixture_t f = fixture_make(backend, &desc, LAYOUT_GENERAL);
  memset(f.report, CANARY, 2 * sizeof *f.report);
  cr_expect_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_expect_eq(fixture_backward(&f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_expect(f.intact);
  expect_identity(&f.U);
  expect_identity(&f.Vh);
  for (int b = 0; b < 2; b++) {
    cr_expect_eq(f.info[b], SVDGRAD_INFO_OK);
    expect_empty_report(&f.report[b]);
  }
  fixture_free(&f);
}

Test(arguments, empty_matrices) {
  for (int b = 0; b < test_backend_count; b++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      check_empty_matrices(test_backends[b], (svdgrad_dtype_t)dtype, 3, 0);
      check_empty_matrices(test_backends[b], (svdgrad_dtype_t)dtype, 0, 3);
      check_empty_matrices(test_backends[b], (svdgrad_dtype_t)dtype, 0, 0);
    }
}

/* ---- functions without a handle ---- */

Test(arguments, create) {
  svdgrad_handle_t handle = (svdgrad_handle_t)&handle; /* not NULL */
  cr_expect_eq(svdgrad_create(SVDGRAD_BACKEND_REF, 0, NULL), INVALID);
  cr_expect_str_eq(svdgrad_last_error_message(), "svdgrad_create: handle is NULL, must not be");
  cr_expect_eq(svdgrad_create((svdgrad_backend_t)-1, 0, NULL), INVALID);
  cr_expect(message_says("svdgrad_create", "handle is NULL"), "the handle comes first");
  cr_expect_eq(svdgrad_create((svdgrad_backend_t)-1, 0, &handle), INVALID);
  cr_expect_str_eq(svdgrad_last_error_message(), "svdgrad_create: backend is -1, must be in 0..2");
  cr_expect_null(handle, "no handle after a failure");
  cr_expect_eq(svdgrad_create((svdgrad_backend_t)3, 0, &handle), INVALID);
  cr_expect_str_eq(svdgrad_last_error_message(), "svdgrad_create: backend is 3, must be in 0..2");
  cr_expect_null(handle);
  for (int i = 0; i < test_backend_count; i++) {
    cr_expect_eq(svdgrad_create(test_backends[i], -5, &handle), SVDGRAD_STATUS_SUCCESS, "the device is ignored");
    cr_expect_not_null(handle);
    cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
  }
  cr_expect_eq(svdgrad_destroy(NULL), SVDGRAD_STATUS_SUCCESS);
}

/* The message says why CUDA is unavailable; test_backends checks more. */
Test(arguments, create_cuda) {
  svdgrad_handle_t handle = (svdgrad_handle_t)&handle;
  poison_message();
  const svdgrad_status_t status = svdgrad_create(SVDGRAD_BACKEND_CUDA, 0, &handle);
  if (status == SVDGRAD_STATUS_SUCCESS) {
    cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
    return;
  }
  cr_expect_eq(status, SVDGRAD_STATUS_BACKEND_UNAVAILABLE);
  cr_expect(message_says("svdgrad_create", "the cuda backend "), "%s", svdgrad_last_error_message());
  cr_expect_null(handle);
}

Test(arguments, status_strings) {
  static const char *const texts[] = {"success",       "invalid argument",    "not supported", "workspace too small",
                                      "out of memory", "backend unavailable", "backend error"};
  for (int status = 0; status < (int)COUNT(texts); status++)
    cr_expect_str_eq(svdgrad_status_string((svdgrad_status_t)status), texts[status]);
  cr_expect_str_eq(svdgrad_status_string((svdgrad_status_t)7), "unknown status");
  cr_expect_str_eq(svdgrad_status_string((svdgrad_status_t)-1), "unknown status");
}

Test(arguments, version) {
  cr_expect_eq(svdgrad_version(), 10000 * SVDGRAD_VERSION_MAJOR + 100 * SVDGRAD_VERSION_MINOR + SVDGRAD_VERSION_PATCH);
}

/* A thread without a failure has a message too, and threads do not share messages. */
static void *fail_in_thread(void *before) {
  *(int *)before = svdgrad_last_error_message() != NULL && strlen(svdgrad_last_error_message()) == 0;
  (void)svdgrad_create((svdgrad_backend_t)77, 0, &(svdgrad_handle_t){NULL});
  return (void *)(uintptr_t)message_says("svdgrad_create", "backend is 77");
}

Test(arguments, message_belongs_to_the_thread) {
  cr_assert_not_null(svdgrad_last_error_message(), "before any failure");
  poison_message();
  const char *message = svdgrad_last_error_message();
  pthread_t thread;
  int empty_before = 0;
  void *told = NULL;
  cr_assert_eq(pthread_create(&thread, NULL, fail_in_thread, &empty_before), 0);
  cr_assert_eq(pthread_join(thread, &told), 0);
  cr_expect(empty_before);
  cr_expect_not_null(told, "the other thread has its own message");
  cr_expect_eq(svdgrad_last_error_message(), message);
  cr_expect_str_eq(message, "svdgrad_create: handle is NULL, must not be");
}
