/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions of the SVD refuse every wrong argument: with the documented status, with a message that names the
 * function, the argument, its value and the bound, and with nothing written.  Empty problems are quick returns that set
 * every output element there is. */
#include "functions.h"
#include "workspace.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define INVALID      SVDGRAD_STATUS_INVALID_ARGUMENT
#define UNSUPPORTED  SVDGRAD_STATUS_NOT_SUPPORTED

/* ---- one refused call ---- */

static functions_t problem(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  const svdgrad_desc_t desc = make_desc(dtype, m, n, 2);
  functions_t x = functions_make(backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  memset(x.f.info, 0xA5, 2 * sizeof *x.f.info);
  memset(x.f.report, 0xA5, 2 * sizeof *x.f.report);
  return x;
}

static int all_canary(const void *memory, size_t bytes) {
  const unsigned char *p = memory;
  size_t i = 0;
  while (i < bytes && p[i] == 0xA5)
    i++;
  return i == bytes;
}

static int untouched(functions_t *x) {
  int intact = all_canary(x->f.info, 2 * sizeof *x->f.info) && all_canary(x->f.report, 2 * sizeof *x->f.report);
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++)
    intact &= all_canary(functions_operand(x, i)->memory, functions_operand(x, i)->bytes);
  return intact;
}

/* "function: text..." */
static int message_says(const char *function, const char *text) {
  const char *message = svdgrad_last_error_message();
  const size_t length = strlen(function);
  return strncmp(message, function, length) == 0 && strncmp(message + length, ": ", 2) == 0 &&
         strncmp(message + length + 2, text, strlen(text)) == 0;
}

/* `work` is large enough whatever is wrong with the rest. */
static void expect_refused(functions_t *x, svdgrad_op_t op, unsigned absent, double alpha, double beta,
                           svdgrad_status_t status, const char *text) {
  static unsigned char work[1 << 18];
  memset(work, 0xA5, sizeof work);
  (void)svdgrad_create(SVDGRAD_BACKEND_REF, 0, NULL); /* another message */
  cr_expect_eq(functions_call(x, op, absent, alpha, beta, work, sizeof work), status, "%s: \"%s\"",
               functions_op_name(op), text);
  cr_expect(message_says(functions_op_name(op), text), "message \"%s\", expected \"%s: %s\"",
            svdgrad_last_error_message(), functions_op_name(op), text);
  cr_expect(untouched(x) && all_canary(work, sizeof work), "%s, \"%s\": something was written", functions_op_name(op),
            text);
}

/* ---- operands ---- */

/* What the public function calls the operand. */
static const char *name_of(svdgrad_op_t op, int operand) {
  const int second = op == SVDGRAD_OP_SVD_BACKWARD_BACKWARD;
  switch (operand) {
  case OPERAND_DA: return second ? "ggA" : "dA";
  case OPERAND_DS: return second ? "ggS" : "dS";
  case OPERAND_DU: return second ? "ggU" : "dU";
  case OPERAND_DVH: return second ? "ggVh" : "dVh";
  case OPERAND_F: return "function.f";
  case OPERAND_DF: return "function.df";
  default: return functions_operand_name(operand);
  }
}

static int is_required(svdgrad_op_t op, int operand) {
  switch (operand) {
  case OPERAND_GS:
  case OPERAND_GU:
  case OPERAND_GVH:
  case OPERAND_DS:
  case OPERAND_DU:
  case OPERAND_DVH:
  case OPERAND_G:
  case OPERAND_DET:
  case OPERAND_SIGN:
  case OPERAND_LOG_ABS:
  case OPERAND_G_DET:
  case OPERAND_G_SIGN:
  case OPERAND_G_LOG_ABS: return 0;
  case OPERAND_GA: return op == SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD;
  default: return 1;
  }
}

static int is_determinant(svdgrad_op_t op) { return op >= SVDGRAD_OP_DETERMINANT; }

/* 4-by-3 where the call takes that. */
static functions_t problem_of(svdgrad_backend_t backend, svdgrad_op_t op) {
  return problem(backend, SVDGRAD_F64, is_determinant(op) ? 3 : 4, 3);
}

typedef void (*operand_check_t)(functions_t *x, svdgrad_op_t op, int operand);

/* Every operand of every call; the JVP is of a truncated SVD, so that it needs A. */
static void for_each_operand(operand_check_t check) {
  for (int b = 0; b < test_backend_count; b++)
    for (int i = 0; i < FUNCTIONS_OP_COUNT; i++)
      for (int operand = 0; operand < FUNCTIONS_OPERAND_COUNT; operand++) {
        LOCAL(functions) x = problem_of(test_backends[b], functions_ops[i]);
        x.function.kind = SVDGRAD_FUNCTION_CUSTOM;
        x.f.desc.rank = functions_ops[i] == SVDGRAD_OP_SVD_JVP ? 2 : 0;
        if (functions_role(&x, functions_ops[i], operand))
          check(&x, functions_ops[i], operand);
      }
}

static void check_null(functions_t *x, svdgrad_op_t op, int operand) {
  char text[80];
  const int required = is_required(op, operand);
  (void)snprintf(text, sizeof text, "%s is NULL, must not be", name_of(op, operand));
  /* CUSTOM's vectors are handed over by value: they have no NULL of their own. */
  if (required && operand != OPERAND_F && operand != OPERAND_DF)
    expect_refused(x, op, ABSENT(operand), 1, 0, INVALID, text);
  functions_operand(x, operand)->matrix.data = NULL;
  (void)snprintf(text, sizeof text, "%s.data is NULL, must not be%s", name_of(op, operand),
                 required ? "" : " (pass NULL for an absent operand)");
  expect_refused(x, op, 0, 1, 0, INVALID, text);
}

Test(function_arguments, null_operands) { for_each_operand(check_null); }

/* Only the backward pass reads df: the forward pass accepts any pointer. */
Test(function_arguments, forward_does_not_read_df) {
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = problem(test_backends[b], SVDGRAD_F64, 4, 3);
    x.function.kind = SVDGRAD_FUNCTION_CUSTOM;
    x.function.df = (svdgrad_vector_t){&x, INT64_MAX / 64, 1};
    cr_expect_eq(functions_run(&x, SVDGRAD_OP_MATRIX_FUNCTION, 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
                 svdgrad_last_error_message());
  }
}

static int is_vector(const buffer_t *buffer) { return buffer->cols == 1; }

/* Strides too large for an offset in bytes, positive and negative. */
static void check_far_strides(functions_t *x, svdgrad_op_t op, int operand) {
  static const int64_t values[] = {INT64_MAX / 8, -INT64_MAX / 8};
  buffer_t *buffer = functions_operand(x, operand);
  char text[80];
  for (int v = 0; v < 2; v++) {
    buffer->matrix.batch_stride = buffer->vector.batch_stride = values[v];
    (void)snprintf(text, sizeof text, "%s.batch_stride is %lld, must be %s", name_of(op, operand), (long long)values[v],
                   v ? ">= -" : "<= ");
    expect_refused(x, op, 0, 1, 0, INVALID, text);
  }
}

/* Of an output: strides that are not positive, or let elements overlap. */
static void check_strides(functions_t *x, svdgrad_op_t op, int operand) {
  buffer_t *buffer = functions_operand(x, operand);
  const buffer_t right = *buffer;
  const char *name = name_of(op, operand);
  char text[80];
  if (functions_role(x, op, operand) != ROLE_OUTPUT) {
    check_far_strides(x, op, operand);
    return;
  }
  if (!is_vector(buffer)) {
    buffer->matrix.col_stride = 0;
    (void)snprintf(text, sizeof text, "%s.col_stride is 0, must be >= 1", name);
    expect_refused(x, op, 0, 1, 0, INVALID, text);
    buffer->matrix.col_stride = 1;
    (void)snprintf(text, sizeof text, "%s.col_stride is 1, must be >= ", name);
    expect_refused(x, op, 0, 1, 0, INVALID, text);
  } else if (buffer->rows > 1) {
    buffer->vector.stride = -1;
    (void)snprintf(text, sizeof text, "%s.stride is -1, must be >= 1", name);
    expect_refused(x, op, 0, 1, 0, INVALID, text);
  }
  *buffer = right;
  for (int stride = -1; stride <= 0; stride++) {
    buffer->matrix.batch_stride = buffer->vector.batch_stride = stride;
    (void)snprintf(text, sizeof text, "%s.batch_stride is %d, must be >= 1", name, stride);
    expect_refused(x, op, 0, 1, 0, INVALID, text);
  }
}

Test(function_arguments, strides) { for_each_operand(check_strides); }

/* The place among the arguments. */
static int place_of(int operand) { return operand == OPERAND_GA ? FUNCTIONS_OPERAND_COUNT : operand; }

/* Every output over every other operand; of two outputs the later one is named first. */
static void check_overlap(functions_t *x, svdgrad_op_t op, int operand) {
  buffer_t *output = functions_operand(x, operand), right = *output;
  if (functions_role(x, op, operand) != ROLE_OUTPUT || x->f.backend == SVDGRAD_BACKEND_CUDA)
    return; /* on CUDA the test copies every operand to memory of its own */
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++) {
    char text[80], other[80];
    if (i == operand || functions_role(x, op, i) == ROLE_NONE)
      continue;
    output->matrix.data = output->vector.data = functions_operand(x, i)->matrix.data;
    (void)snprintf(text, sizeof text, "%s overlaps %s, must not", name_of(op, operand), name_of(op, i));
    (void)snprintf(other, sizeof other, "%s overlaps %s, must not", name_of(op, i), name_of(op, operand));
    expect_refused(x, op, 0, 1, 0, INVALID,
                   functions_role(x, op, i) == ROLE_OUTPUT && place_of(i) > place_of(operand) ? other : text);
    *output = right;
  }
}

Test(function_arguments, overlap) { for_each_operand(check_overlap); }

/* ---- what is common to all ---- */

typedef void (*call_check_t)(functions_t *x, svdgrad_op_t op);

static void for_each_call(call_check_t check) {
  for (int b = 0; b < test_backend_count; b++)
    for (int i = 0; i < FUNCTIONS_OP_COUNT; i++) {
      LOCAL(functions) x = problem_of(test_backends[b], functions_ops[i]);
      check(&x, functions_ops[i]);
    }
}

static void check_common(functions_t *x, svdgrad_op_t op) {
  const svdgrad_desc_t desc = x->f.desc;
  const svdgrad_handle_t handle = x->f.handle;
  x->f.handle = NULL;
  expect_refused(x, op, 0, 1, 0, INVALID, "handle is NULL, must not be");
  x->f.handle = handle;
  x->f.desc.struct_size = 8;
  expect_refused(x, op, 0, 1, 0, INVALID, "desc.struct_size is 8, must be 96");
  x->f.desc = desc;
  x->f.desc.dtype = (svdgrad_dtype_t)4;
  expect_refused(x, op, 0, 1, 0, INVALID, "desc.dtype is 4, must be in 0..3");
  x->f.desc = desc;
  x->f.desc.n = -1;
  expect_refused(x, op, 0, 1, 0, INVALID, "desc.n is -1, must be >= 0");
  x->f.desc = desc;
  x->f.desc.rank = 4;
  expect_refused(x, op, 0, 1, 0, INVALID, "desc.rank is 4, must be in 0..min(m, n) = 0..3");
  x->f.desc = desc;
}

Test(function_arguments, handle_and_desc) { for_each_call(check_common); }

static void check_scalars(functions_t *x, svdgrad_op_t op) {
  if (op == SVDGRAD_OP_SVD_JVP || op == SVDGRAD_OP_MATRIX_FUNCTION)
    return; /* these have no alpha and beta */
  expect_refused(x, op, 0, NAN, 0, INVALID, "alpha is nan, must be finite");
  expect_refused(x, op, 0, INFINITY, 0, INVALID, "alpha is inf, must be finite");
  expect_refused(x, op, 0, 1, -INFINITY, INVALID, "beta is -inf, must be finite");
}

Test(function_arguments, scalars) { for_each_call(check_scalars); }

/* Truncated or square factors are refused by the functions whose documentation excludes them. */
static void check_rank(functions_t *x, svdgrad_op_t op) {
  const int takes_rank = op == SVDGRAD_OP_SVD_JVP || op == SVDGRAD_OP_MATRIX_FUNCTION;
  size_t bytes = 123;
  x->f.desc.rank = 2;
  if (!takes_rank) {
    expect_refused(x, op, 0, 1, 0, UNSUPPORTED, "desc.rank is 2, must be 0 or min(m, n) = 3");
    cr_expect_eq(svdgrad_workspace_size(x->f.handle, op, &x->f.desc, &bytes), UNSUPPORTED);
    cr_expect_eq(bytes, 123);
    cr_expect_null(svdgrad_algorithm_name(x->f.handle, op, &x->f.desc));
  }
  x->f.desc.rank = 3;
  cr_expect_eq(svdgrad_workspace_size(x->f.handle, op, &x->f.desc, &bytes), SVDGRAD_STATUS_SUCCESS);
  x->f.desc.rank = 0;
  x->f.desc.full_matrices = 1;
  if (op == SVDGRAD_OP_SVD_BACKWARD_BACKWARD)
    expect_refused(x, op, 0, 1, 0, UNSUPPORTED, "desc.full_matrices is 1, must be 0");
  else
    cr_expect_eq(svdgrad_workspace_size(x->f.handle, op, &x->f.desc, &bytes), SVDGRAD_STATUS_SUCCESS);
}

Test(function_arguments, rank_and_full_matrices) { for_each_call(check_rank); }

/* A stream is for CUDA alone. */
Test(function_arguments, stream) {
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = problem(test_backends[b], SVDGRAD_F64, 4, 3);
    const svdgrad_desc_t *d = &x.f.desc;
    void *stream = &x;
    if (x.f.backend == SVDGRAD_BACKEND_CUDA)
      continue;
    cr_expect_eq(svdgrad_svd_jvp(x.f.handle, stream, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), INVALID);
    cr_expect(message_says("svdgrad_svd_jvp", "stream is 0x"));
    cr_expect_eq(svdgrad_svd_backward_backward(x.f.handle, stream, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0),
                 INVALID);
    cr_expect(message_says("svdgrad_svd_backward_backward", "stream is 0x"));
    cr_expect_eq(svdgrad_matrix_function(x.f.handle, stream, d, 0, 0, 0, 0, 0, 0, 0), INVALID);
    cr_expect(message_says("svdgrad_matrix_function", "stream is 0x"));
    cr_expect_eq(svdgrad_matrix_function_backward(x.f.handle, stream, d, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0), INVALID);
    cr_expect(message_says("svdgrad_matrix_function_backward", "stream is 0x"));
    cr_expect_eq(svdgrad_norm(x.f.handle, stream, d, SVDGRAD_NORM_NUCLEAR, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0), INVALID);
    cr_expect(message_says("svdgrad_norm", "stream is 0x"));
    x.f.desc.m = 3;
    cr_expect_eq(svdgrad_determinant(x.f.handle, stream, d, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0), INVALID);
    cr_expect(message_says("svdgrad_determinant", "stream is 0x"));
  }
}

/* ---- functions ---- */

typedef struct function_mistake {
  svdgrad_function_kind_t kind;
  svdgrad_form_t form;
  double param;
  const char *text;
} function_mistake_t;

static void expect_function_refused(functions_t *x, const char *text) {
  expect_refused(x, SVDGRAD_OP_MATRIX_FUNCTION, 0, 1, 0, INVALID, text);
  expect_refused(x, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, 0, 1, 0, INVALID, text);
}

Test(function_arguments, functions) {
  static const function_mistake_t mistakes[] = {
      {(svdgrad_function_kind_t)-1, SVDGRAD_FORM_UVH, 0, "function.kind is -1, must be in 0..9"},
      {(svdgrad_function_kind_t)10, SVDGRAD_FORM_UVH, 0, "function.kind is 10, must be in 0..9"},
      {SVDGRAD_FUNCTION_POLAR, (svdgrad_form_t)-1, 0, "function.form is -1, must be in 0..1"},
      {SVDGRAD_FUNCTION_POLAR, (svdgrad_form_t)2, 0, "function.form is 2, must be in 0..1"},
      {SVDGRAD_FUNCTION_RANK, SVDGRAD_FORM_UVH, 4, "function.param is 4, must be an integer in 0..min(m, n)"},
      {SVDGRAD_FUNCTION_RANK, SVDGRAD_FORM_UVH, -1, "function.param is -1, must be an integer in 0..min(m, n)"},
      {SVDGRAD_FUNCTION_RANK, SVDGRAD_FORM_VVH, 1.5, "function.param is 1.5, must be an integer in 0..min(m, n)"},
      {SVDGRAD_FUNCTION_RANK, SVDGRAD_FORM_UVH, NAN, "function.param is nan, must be an integer in 0..min(m, n)"},
      {SVDGRAD_FUNCTION_SOFT_THRESHOLD, SVDGRAD_FORM_UVH, -0.5, "function.param is -0.5, must be finite and >= 0"},
      {SVDGRAD_FUNCTION_SOFT_THRESHOLD, SVDGRAD_FORM_UVH, NAN, "function.param is nan, must be finite and >= 0"},
      {SVDGRAD_FUNCTION_HARD_THRESHOLD, SVDGRAD_FORM_UVH, INFINITY, "function.param is inf, must be finite and >= 0"},
      {SVDGRAD_FUNCTION_CLIP, SVDGRAD_FORM_VVH, -2, "function.param is -2, must be finite and >= 0"},
      {SVDGRAD_FUNCTION_INVERSE, SVDGRAD_FORM_UVH, -1e-9, "function.param is -1e-09, must be finite and >= 0"},
      {SVDGRAD_FUNCTION_POWER, SVDGRAD_FORM_UVH, NAN, "function.param is nan, must be finite"},
      {SVDGRAD_FUNCTION_POWER, SVDGRAD_FORM_VVH, -INFINITY, "function.param is -inf, must be finite"},
  };
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = problem(test_backends[b], SVDGRAD_F64, 4, 3);
    const svdgrad_function_t right = x.function;
    for (size_t i = 0; i < COUNT(mistakes); i++) {
      x.function.kind = mistakes[i].kind;
      x.function.form = mistakes[i].form;
      x.function.param = mistakes[i].param;
      expect_function_refused(&x, mistakes[i].text);
    }
    x.function = right;
    x.function.struct_size = 8;
    expect_function_refused(&x, "function.struct_size is 8, must be ");
    x.function = right;
    expect_refused(&x, SVDGRAD_OP_MATRIX_FUNCTION, ABSENT(OPERAND_FUNCTION), 1, 0, INVALID,
                   "function is NULL, must not be");
    expect_refused(&x, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, ABSENT(OPERAND_FUNCTION), 1, 0, INVALID,
                   "function is NULL, must not be");
  }
}

/* U may be absent for V f(S) Vh forward, and nowhere else. */
Test(function_arguments, form_of_V_alone) {
  for (int b = 0; b < test_backend_count; b++) {
    const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, 4, 3, 2);
    LOCAL(functions) x = functions_make(test_backends[b], &desc, SVDGRAD_FORM_VVH, LAYOUT_COLUMN_MAJOR);
    for (int64_t i = 0; i < 2; i++)
      functions_fill(&x, i, (uint64_t)i);
    cr_assert_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
    cr_expect_eq(functions_run(&x, SVDGRAD_OP_MATRIX_FUNCTION, ABSENT(OPERAND_U), 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
                 svdgrad_last_error_message());
    cr_expect_eq(functions_run(&x, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, ABSENT(OPERAND_U), 1, 0), INVALID);
    cr_expect(message_says("svdgrad_matrix_function_backward", "U is NULL, must not be"), "%s",
              svdgrad_last_error_message());
  }
}

Test(function_arguments, rotation) {
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = problem(test_backends[b], SVDGRAD_F64, 3, 3);
    LOCAL(functions) tall = problem(test_backends[b], SVDGRAD_F32, 4, 3);
    x.function.kind = tall.function.kind = SVDGRAD_FUNCTION_ROTATION;
    expect_function_refused(&tall,
                            "desc.m = 4, desc.n = 3, desc.rank = 3: must be square and of full rank for ROTATION");
    x.function.form = SVDGRAD_FORM_VVH;
    expect_function_refused(&x, "function.form is 1, must be UVH for ROTATION");
    x.function.form = SVDGRAD_FORM_UVH;
    x.f.desc.rank = 2;
    expect_refused(&x, SVDGRAD_OP_MATRIX_FUNCTION, 0, 1, 0, INVALID,
                   "desc.m = 3, desc.n = 3, desc.rank = 2: must be square and of full rank for ROTATION");
  }
}

Test(function_arguments, appended_fields) {
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = problem(test_backends[b], SVDGRAD_F64, 3, 3);
    x.function.null_value = NAN;
    expect_function_refused(&x, "function.null_value is nan, must be finite");
    x.function.null_value = 2;
    expect_function_refused(&x, "function.null_value is 2, must be 0 for the form UVH");
    x.function.null_value = 0;
    x.function.relative = 1;
    expect_function_refused(&x, "function.relative is 1, must be 0 for kind 0, which has no threshold");
    x.function.relative = 0;
    x.function.kind = SVDGRAD_FUNCTION_SIGN, x.function.param = -1;
    expect_function_refused(&x, "function.param is -1, must be finite and >= 0");
    x.function.param = 0, x.function.struct_size += 8;
    expect_function_refused(&x, "function.struct_size is 96, must be 88 (use SVDGRAD_FUNCTION_INIT)");
  }
}

/* ---- norms ---- */

static void expect_norm_refused(functions_t *x, unsigned absent, const char *text) {
  expect_refused(x, SVDGRAD_OP_NORM, absent, 1, 0, INVALID, text);
  expect_refused(x, SVDGRAD_OP_NORM_GRADIENT, absent, 1, 0, INVALID, text);
}

Test(function_arguments, norms) {
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = problem(test_backends[b], SVDGRAD_F64, 4, 3);
    x.norm = (svdgrad_norm_kind_t)-1;
    expect_norm_refused(&x, 0, "kind is -1, must be in 0..3");
    x.norm = (svdgrad_norm_kind_t)4;
    expect_norm_refused(&x, 0, "kind is 4, must be in 0..3");
    x.norm = SVDGRAD_NORM_SCHATTEN;
    x.p = 0;
    expect_norm_refused(&x, 0, "p is 0, must be finite and > 0");
    x.p = -1;
    expect_norm_refused(&x, 0, "p is -1, must be finite and > 0");
    x.p = NAN;
    expect_norm_refused(&x, 0, "p is nan, must be finite and > 0");
    x.p = INFINITY;
    expect_norm_refused(&x, 0, "p is inf, must be finite and > 0");
    x.norm = SVDGRAD_NORM_NUCLEAR; /* which has no p */
    expect_norm_refused(&x, ABSENT(OPERAND_INFO), "info is NULL, must have batch_count = 2 words");
  }
}

/* ---- determinants ---- */

static void expect_determinant_refused(functions_t *x, unsigned absent, const char *text) {
  expect_refused(x, SVDGRAD_OP_DETERMINANT, absent, 1, 0, INVALID, text);
  expect_refused(x, SVDGRAD_OP_DETERMINANT_GRADIENT, absent, 1, 0, INVALID, text);
}

Test(function_arguments, determinants) {
  const unsigned outputs = ABSENT(OPERAND_DET) | ABSENT(OPERAND_SIGN) | ABSENT(OPERAND_LOG_ABS);
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) tall = problem(test_backends[b], SVDGRAD_F64, 4, 3);
    LOCAL(functions) x = problem(test_backends[b], SVDGRAD_C128, 3, 3);
    expect_determinant_refused(&tall, 0, "desc.m is 4, must be desc.n = 3 for a determinant");
    size_t bytes = 123;
    cr_expect_eq(svdgrad_workspace_size(tall.f.handle, SVDGRAD_OP_DETERMINANT, &tall.f.desc, &bytes), INVALID);
    cr_expect_eq(bytes, 123);
    cr_expect_null(svdgrad_algorithm_name(tall.f.handle, SVDGRAD_OP_DETERMINANT_GRADIENT, &tall.f.desc));
    expect_determinant_refused(&x, ABSENT(OPERAND_INFO), "info is NULL, must have batch_count = 2 words");
    expect_refused(&x, SVDGRAD_OP_DETERMINANT, outputs, 1, 0, INVALID,
                   "det, sign, log_abs and gA are NULL, one must not be");
    functions_fill(&x, 0, 1), functions_fill(&x, 1, 2);
    cr_expect_eq(functions_run(&x, SVDGRAD_OP_DETERMINANT_GRADIENT, outputs, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
                 svdgrad_last_error_message());
  }
}

/* ---- empty problems ---- */

static int is_zero(const buffer_t *x) {
  int zero = 1;
  for (int64_t b = 0; b < x->batch_count; b++)
    for (int64_t i = 0; i < x->rows; i++)
      for (int64_t j = 0; j < x->cols; j++)
        zero &= buffer_get(x, b, i, j) == 0;
  return zero && buffer_padding_intact(x);
}

/* Nothing to sum or to multiply: 0, wherever there is memory for it. */
static void check_empty(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, svdgrad_form_t form) {
  const svdgrad_desc_t desc = make_desc(dtype, m, n, 2);
  LOCAL(functions) x = functions_make(backend, &desc, form, LAYOUT_GENERAL);
  for (int i = 0; i < FUNCTIONS_OP_COUNT; i++)
    if (m == n || !is_determinant(functions_ops[i]))
      cr_expect_eq(functions_run(&x, functions_ops[i], 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
                   svdgrad_last_error_message());
  cr_expect(x.f.intact);
  cr_expect(is_zero(&x.value), "%s %s %dx%d: value", backend_name(backend), dtype_name(dtype), (int)m, (int)n);
  cr_expect(is_zero(&x.Y), "%s %s %dx%d: Y", backend_name(backend), dtype_name(dtype), (int)m, (int)n);
  for (int b = 0; b < 2; b++) {
    cr_expect_eq(x.f.info[b], SVDGRAD_INFO_OK);
    const svdgrad_report_t *r = &x.f.report[b];
    cr_expect(isinf(r->min_gap) && r->gauge_residual == 0 && r->amplification == 0 && r->dropped_pairs == 0 &&
              r->flags == 0);
  }
}

Test(function_arguments, empty_matrices) {
  for (int b = 0; b < test_backend_count; b++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (svdgrad_form_t form = SVDGRAD_FORM_UVH; form <= SVDGRAD_FORM_VVH; form++) {
        check_empty(test_backends[b], dtype, 3, 0, form);
        check_empty(test_backends[b], dtype, 0, 3, form);
        check_empty(test_backends[b], dtype, 0, 0, form);
      }
}

/* Empty thin factors: the further columns of U and V are constant. */
Test(function_arguments, tangents_of_empty_matrices_are_zero) {
  for (int b = 0; b < test_backend_count; b++)
    for (int tall = 0; tall < 2; tall++) {
      svdgrad_desc_t desc = make_desc(SVDGRAD_F64, tall ? 3 : 0, tall ? 0 : 3, 2);
      desc.full_matrices = 1;
      LOCAL(functions) x = functions_make(test_backends[b], &desc, SVDGRAD_FORM_UVH, LAYOUT_GENERAL);
      cr_assert_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
      cr_expect_eq(functions_run(&x, SVDGRAD_OP_SVD_JVP, 0, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s",
                   svdgrad_last_error_message());
      cr_expect(is_zero(&x.dU) && is_zero(&x.dVh));
    }
}

/* Array libraries give an array without elements strides of 0, and a pointer to somewhere. */
Test(function_arguments, empty_operands_may_lie_anywhere) {
  static unsigned char nowhere[1];
  static const int64_t shapes[][3] = {{0, 3, 2}, {3, 0, 2}, {0, 0, 2}, {4, 3, 0}};
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(shapes); i++) {
      const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, shapes[i][0], shapes[i][1], shapes[i][2]);
      LOCAL(functions) x = functions_make(test_backends[b], &desc, SVDGRAD_FORM_VVH, LAYOUT_COLUMN_MAJOR);
      for (int operand = 0; operand < FUNCTIONS_OPERAND_COUNT; operand++) {
        buffer_t *buffer = functions_operand(&x, operand);
        if (buffer->rows && buffer->cols && buffer->batch_count)
          continue;
        buffer->matrix = (svdgrad_matrix_t){x.f.backend == SVDGRAD_BACKEND_CUDA ? NULL : nowhere, 0, 0, 0};
        buffer->vector = (svdgrad_vector_t){buffer->matrix.data, 0, 0};
      }
      cr_expect_eq(fixture_forward(&x.f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
      cr_expect_eq(fixture_backward(&x.f, WITH_COTANGENTS, 1, 1), SVDGRAD_STATUS_SUCCESS, "%s",
                   svdgrad_last_error_message());
      for (int op = 0; op < FUNCTIONS_OP_COUNT; op++)
        if (desc.m == desc.n || !is_determinant(functions_ops[op]))
          cr_expect_eq(functions_run(&x, functions_ops[op], 0, 1, 1), SVDGRAD_STATUS_SUCCESS, "%dx%d: %s", (int)desc.m,
                       (int)desc.n, svdgrad_last_error_message());
      cr_expect(is_zero(&x.Y), "Y of %dx%d", (int)desc.m, (int)desc.n);
    }
}

/* Neither operands nor workspace are looked at. */
Test(function_arguments, quick_returns) {
  static const struct {
    int64_t m, n, batch_count;
  } shapes[] = {{0, 3, 2}, {3, 0, 2}, {0, 0, 2}, {4, 3, 0}, {100, 90, 0}};
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(shapes); i++) {
      const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, shapes[i].m, shapes[i].n, shapes[i].batch_count);
      LOCAL(functions) x = functions_make(test_backends[b], &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
      unsigned all = ABSENT(OPERAND_INFO) | ABSENT(OPERAND_REPORT);
      for (int operand = 0; operand < FUNCTIONS_OPERAND_COUNT; operand++)
        all |= ABSENT(operand);
      for (int op = 0; op < FUNCTIONS_OP_COUNT; op++)
        if (desc.m == desc.n || !is_determinant(functions_ops[op]))
          cr_expect_eq(functions_run(&x, functions_ops[op], all, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s %dx%d: %s",
                       functions_op_name(functions_ops[op]), (int)desc.m, (int)desc.n, svdgrad_last_error_message());
    }
}

/* ---- queries ---- */

/* Every operation has an algorithm name, that of an SVD only if the operation contains one; only CUDA has graphs. */
Test(function_arguments, names_and_graphs) {
  for (int b = 0; b < test_backend_count; b++)
    for (int i = 0; i < FUNCTIONS_OP_COUNT; i++) {
      LOCAL(functions) x = problem(test_backends[b], SVDGRAD_F64, is_determinant(functions_ops[i]) ? 30 : 20, 30);
      const char *name = svdgrad_algorithm_name(x.f.handle, functions_ops[i], &x.f.desc);
      const char *svd = svdgrad_algorithm_name(x.f.handle, SVDGRAD_OP_SVD, &x.f.desc);
      const char *values = svdgrad_algorithm_name(x.f.handle, SVDGRAD_OP_SVDVALS, &x.f.desc);
      const int is_norm = functions_ops[i] >= SVDGRAD_OP_NORM;
      cr_assert(name != NULL && strlen(name) > 0, "%s", functions_op_name(functions_ops[i]));
      cr_expect(is_norm || (strcmp(name, svd) != 0 && strcmp(name, values) != 0), "%s: %s",
                functions_op_name(functions_ops[i]), name);
      cr_expect(test_backends[b] == SVDGRAD_BACKEND_CUDA ||
                !svdgrad_is_capturable(x.f.handle, functions_ops[i], &x.f.desc));
    }
}

/* A norm has the algorithm of its SVD. */
Test(function_arguments, norms_are_named_after_their_svd) {
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = problem(test_backends[b], SVDGRAD_F64, 20, 30);
    const svdgrad_handle_t h = x.f.handle;
    cr_expect_str_eq(svdgrad_algorithm_name(h, SVDGRAD_OP_NORM, &x.f.desc),
                     svdgrad_algorithm_name(h, SVDGRAD_OP_SVDVALS, &x.f.desc));
    cr_expect_str_eq(svdgrad_algorithm_name(h, SVDGRAD_OP_NORM_GRADIENT, &x.f.desc),
                     svdgrad_algorithm_name(h, SVDGRAD_OP_SVD, &x.f.desc));
    cr_expect_eq(svdgrad_is_capturable(h, SVDGRAD_OP_NORM_GRADIENT, &x.f.desc),
                 svdgrad_is_capturable(h, SVDGRAD_OP_SVD, &x.f.desc));
  }
}

Test(function_arguments, unsupported_algorithm) {
  LOCAL(functions) x = problem(SVDGRAD_BACKEND_REF, SVDGRAD_F64, 4, 3);
  x.f.desc.algo = SVDGRAD_ALGO_VENDOR;
  expect_refused(&x, SVDGRAD_OP_NORM, 0, 1, 0, UNSUPPORTED,
                 "op 7 with desc.algo VENDOR is not supported by the ref backend at m = 4, n = 3");
  expect_refused(&x, SVDGRAD_OP_NORM_GRADIENT, 0, 1, 0, UNSUPPORTED,
                 "op 8 with desc.algo VENDOR is not supported by the ref backend at m = 4, n = 3");
}
