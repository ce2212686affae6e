/* SPDX-License-Identifier: BSD-3-Clause */
/* The border to TensorFlow: one op for each row of the table, "SvdgradSvd", "SvdgradSvdBackward", and so on, with a
 * kernel for the CPU.  tf.load_op_library() loads this file; its constructor registers them.
 *
 * An op has the row's inputs and outputs and two or three attributes: T, the element type; R, its real type, where an
 * operand has that; and `options`, a text such as "rank=2 absent_outputs=6" of what is not zero:
 *   each attribute of common.h by its name; a real number x is written as f*2^e with integers f and e
 *   absent_inputs, absent_outputs   sums of 1 << i over the row's optional operands that are absent; an absent input
 *                                   can be any tensor of its type and is not read, an absent output has the shape [0]
 *   gives_v                         1: V, n-by-r, in the place of Vh among the outputs of the row "svd"
 *   raise_as                        a name: a matrix whose info is not 0 makes the op fail, with this name in the
 *                                   message
 * Every op has the matrices A as its first input; rows that work on the factors alone do not read it.  So gradients of
 * all ops have one variable, A; S, U and Vh are those of A.  svdgrad/_tensorflow_ops.py has the gradients. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_DEFAULT, strtok_r */
#endif
#include "tf_abi.h"

#include "common.h"

#include <ctype.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TF_INPUTS = MOST_INPUTS + 1, MOST_DIMENSIONS = 254, TEXT_BYTES = 512 };

static tf_functions_t TF;
static char load_error[TEXT_BYTES];

/* Why the ops were not registered; "" where all went well. */
__attribute__((visibility("default"))) const char *svdgrad_tensorflow_error(void);
const char *svdgrad_tensorflow_error(void) { return load_error; }

/* ---- an op as TensorFlow sees it ---- */

typedef struct op {
  const operation_t *operation;
  int first; /* TensorFlow's number of the row's first input: 1 where A is there for gradients only */
} op_t;

static op_t op_of(int index) {
  const operation_t *operation = &operations[index];
  return (op_t){operation, operation->inputs[0] == OPERAND_A ? 0 : 1};
}

static int input_count(const op_t *op) { return op->operation->input_count + op->first; }

static operand_kind_t input_kind(const op_t *op, int i) {
  return i < op->first ? OPERAND_A : op->operation->inputs[i - op->first];
}

static int has_real_operands(const operation_t *operation) {
  for (int i = 0; i < operation->input_count; i++)
    if (operand_is_real(operation->inputs[i]))
      return 1;
  for (int j = 0; j < operation->output_count; j++)
    if (operand_is_real(operation->outputs[j]))
      return 1;
  return 0;
}

/* "svd_backward" becomes "SvdgradSvdBackward". */
static void op_name(const operation_t *operation, char *name) {
  int is_start = 1;
  name += sprintf(name, "Svdgrad");
  for (const char *c = operation->name; *c; c++) {
    if (*c != '_')
      *name++ = (char)(is_start ? toupper((unsigned char)*c) : *c);
    is_start = *c == '_';
  }
  *name = '\0';
}

static const struct {
  TF_DataType type, real;
  size_t size, real_size;
} types[] = {[SVDGRAD_F32] = {TYPE_FLOAT, TYPE_FLOAT, 4, 4},
             [SVDGRAD_F64] = {TYPE_DOUBLE, TYPE_DOUBLE, 8, 8},
             [SVDGRAD_C64] = {TYPE_COMPLEX64, TYPE_FLOAT, 8, 4},
             [SVDGRAD_C128] = {TYPE_COMPLEX128, TYPE_DOUBLE, 16, 8}};

static TF_DataType operand_type(operand_kind_t kind, svdgrad_dtype_t dtype, size_t *size) {
  if (kind == OPERAND_INFO || kind == OPERAND_REPORT) {
    *size = kind == OPERAND_INFO ? 4 : 1;
    return kind == OPERAND_INFO ? TYPE_INT32 : TYPE_UINT8;
  }
  *size = operand_is_real(kind) ? types[dtype].real_size : types[dtype].size;
  return operand_is_real(kind) ? types[dtype].real : types[dtype].type;
}

/* ---- a kernel: made once for each set of attributes ---- */

typedef struct kernel {
  op_t op;
  svdgrad_dtype_t dtype;
  attributes_t attributes;
  int64_t absent_inputs, absent_outputs, gives_v;
  char raise_as[64];
} kernel_t;

/* Where an option's integer or real number goes; NULL: there is no such option. */
static int64_t *integer_option(kernel_t *kernel, const char *name) {
  int64_t *integers = &kernel->attributes.rank;
  for (int i = 0; i < INTEGER_ATTRIBUTES; i++)
    if (strcmp(name, integer_attribute_names[i]) == 0)
      return integers + i;
  if (strcmp(name, "absent_inputs") == 0)
    return &kernel->absent_inputs;
  if (strcmp(name, "gives_v") == 0 && strcmp(kernel->op.operation->name, "svd") == 0)
    return &kernel->gives_v;
  return strcmp(name, "absent_outputs") == 0 ? &kernel->absent_outputs : NULL;
}
static double *real_option(kernel_t *kernel, const char *name) {
  double *reals = &kernel->attributes.gap_param;
  for (int i = 0; i < REAL_ATTRIBUTES; i++)
    if (strcmp(name, real_attribute_names[i]) == 0)
      return reals + i;
  return NULL;
}

/* Reads name=value.  1 where that is an option. */
static int take_option(kernel_t *kernel, char *option) {
  char *value = strchr(option, '='), *end = NULL;
  if (!value)
    return 0;
  *value++ = '\0';
  if (strcmp(option, "raise_as") == 0)
    return snprintf(kernel->raise_as, sizeof kernel->raise_as, "%s", value) < (int)sizeof kernel->raise_as;
  int64_t *integer = integer_option(kernel, option);
  double *real = real_option(kernel, option);
  const long long number = strtoll(value, &end, 10);
  if (integer)
    *integer = number;
  else if (real && strncmp(end, "*2^", 3) == 0)
    *real = ldexp((double)number, (int)strtol(end + 3, &end, 10));
  return (integer || real) && *end == '\0';
}

static int take_options(kernel_t *kernel, char *text) {
  char *rest = NULL;
  for (char *option = strtok_r(text, " ", &rest); option; option = strtok_r(NULL, " ", &rest))
    if (!take_option(kernel, option))
      return 0;
  const operation_t *operation = kernel->op.operation;
  return (kernel->absent_inputs & ~(int64_t)operation->optional_inputs) == 0 &&
         (kernel->absent_outputs & ~(int64_t)operation->optional_outputs) == 0;
}

static void *create(int index, TF_OpKernelConstruction *construction) {
  char text[TEXT_BYTES] = "", message[2 * TEXT_BYTES];
  int32_t list_size = 0, total_size = 0;
  TF_DataType type = 0;
  TF_Status *status = TF.NewStatus();
  kernel_t *kernel = calloc(1, sizeof *kernel);
  if (!kernel) {
    TF.SetStatus(status, CODE_RESOURCE_EXHAUSTED, "svdgrad: no memory for a kernel");
    goto failed;
  }
  kernel->op = op_of(index);
  TF.OpKernelConstruction_GetAttrType(construction, "T", &type, status);
  if (TF.GetCode(status) == CODE_OK)
    TF.OpKernelConstruction_GetAttrSize(construction, "options", &list_size, &total_size, status);
  if (TF.GetCode(status) == CODE_OK && total_size < TEXT_BYTES)
    TF.OpKernelConstruction_GetAttrString(construction, "options", text, TEXT_BYTES - 1, status);
  if (TF.GetCode(status) != CODE_OK)
    goto failed;
  while (types[kernel->dtype].type != type)
    kernel->dtype++; /* the kernel is registered for these four */
  (void)snprintf(message, sizeof message, "svdgrad: %s: the attribute options is wrong: \"%s\"",
                 kernel->op.operation->name, text);
  if (total_size < TEXT_BYTES && take_options(kernel, text)) {
    TF.DeleteStatus(status);
    return kernel;
  }
  TF.SetStatus(status, CODE_INVALID_ARGUMENT, message);
failed:
  TF.OpKernelConstruction_Failure(construction, status);
  TF.DeleteStatus(status);
  free(kernel);
  return NULL;
}

/* ---- a call ---- */

typedef struct call {
  const kernel_t *kernel;
  TF_OpKernelContext *context;
  TF_Status *status;
  dimensions_t d;
  int batch_rank;
  TF_Tensor *in[MOST_TF_INPUTS], *out[MOST_OUTPUTS];
  operand_t inputs[MOST_INPUTS], outputs[MOST_OUTPUTS];
  int32_t *info;
} call_t;

static int is_absent(int64_t absent, int i) { return (int)(absent >> i & 1); }

static int is_absent_input(const call_t *call, int i) {
  return i >= call->kernel->op.first && is_absent(call->kernel->absent_inputs, i - call->kernel->op.first);
}

static int fail(call_t *call, TF_Code code, const char *message) {
  char text[2 * TEXT_BYTES];
  (void)snprintf(text, sizeof text, "svdgrad: %s: %s", call->kernel->op.operation->name, message);
  TF.SetStatus(call->status, code, text);
  return 0;
}

static int fail_with(call_t *call, svdgrad_status_t status) {
  return fail(call,
              status == SVDGRAD_STATUS_INVALID_ARGUMENT ? CODE_INVALID_ARGUMENT
              : status == SVDGRAD_STATUS_NOT_SUPPORTED  ? CODE_UNIMPLEMENTED
              : status == SVDGRAD_STATUS_OUT_OF_MEMORY  ? CODE_RESOURCE_EXHAUSTED
                                                        : CODE_INTERNAL,
              svdgrad_last_error_message());
}

/* m and n come from A, the first input, and the batch too. */
static int take_inputs(call_t *call) {
  const op_t *op = &call->kernel->op;
  char text[TEXT_BYTES];
  for (int i = 0; i < input_count(op); i++) {
    TF.GetInput(call->context, i, &call->in[i], call->status);
    if (TF.GetCode(call->status) != CODE_OK)
      return 0;
  }
  TF_Tensor *a = call->in[0];
  call->batch_rank = TF.NumDims(a) - 2;
  if (call->batch_rank < 0) {
    (void)snprintf(text, sizeof text, "the matrices have %d dimensions, must have at least 2", TF.NumDims(a));
    return fail(call, CODE_INVALID_ARGUMENT, text);
  }
  call->d.dtype = call->kernel->dtype;
  call->d.m = TF.Dim(a, call->batch_rank), call->d.n = TF.Dim(a, call->batch_rank + 1);
  call->d.batch_count = 1;
  for (int j = 0; j < call->batch_rank; j++)
    call->d.batch_count *= TF.Dim(a, j);
  return 1;
}

static int check_input(call_t *call, int i) {
  const operand_kind_t kind = input_kind(&call->kernel->op, i);
  const int rank = operand_rank(kind);
  const TF_Tensor *tensor = call->in[i];
  int64_t extents[2];
  char text[TEXT_BYTES];
  operand_extents(kind, &call->d, &call->kernel->attributes, extents);
  if (TF.NumDims(tensor) != call->batch_rank + rank) {
    (void)snprintf(text, sizeof text, "input %d has %d dimensions, must have %d", i, TF.NumDims(tensor),
                   call->batch_rank + rank);
    return fail(call, CODE_INVALID_ARGUMENT, text);
  }
  for (int j = 0; j < call->batch_rank + rank; j++) {
    const int64_t wanted = j < call->batch_rank ? TF.Dim(call->in[0], j) : extents[j - call->batch_rank];
    if (TF.Dim(tensor, j) != wanted) {
      (void)snprintf(text, sizeof text, "input %d has %lld entries in dimension %d, must have %lld", i,
                     (long long)TF.Dim(tensor, j), j, (long long)wanted);
      return fail(call, CODE_INVALID_ARGUMENT, text);
    }
  }
  return 1;
}

static operand_t operand_of_tensor(const call_t *call, const TF_Tensor *tensor, operand_kind_t kind) {
  void *data = TF.TensorData(tensor);
  return operand_packed(data ? data : no_elements, kind, &call->d, &call->kernel->attributes);
}

static int is_v(const call_t *call, int j) {
  return call->kernel->gives_v && call->kernel->op.operation->outputs[j] == OPERAND_VH &&
         !is_absent(call->kernel->absent_outputs, j);
}

static void swap(int64_t pair[2]) {
  const int64_t first = pair[0];
  pair[0] = pair[1], pair[1] = first;
}

static int make_output(call_t *call, int j) {
  const operand_kind_t kind = call->kernel->op.operation->outputs[j];
  int64_t shape[MOST_DIMENSIONS + 2] = {0}, count = call->d.batch_count;
  size_t size = 0;
  const TF_DataType type = operand_type(kind, call->d.dtype, &size);
  const int absent = is_absent(call->kernel->absent_outputs, j);
  int rank = 1;
  if (absent) {
    count = 0;
  } else {
    rank = call->batch_rank + operand_rank(kind);
    for (int k = 0; k < call->batch_rank; k++)
      shape[k] = TF.Dim(call->in[0], k);
    operand_extents(kind, &call->d, &call->kernel->attributes, shape + call->batch_rank);
    if (is_v(call, j))
      swap(shape + call->batch_rank);
    for (int k = call->batch_rank; k < rank; k++)
      count *= shape[k];
  }
  call->out[j] = TF.AllocateOutput(call->context, j, type, shape, rank, (size_t)count * size, call->status);
  if (TF.GetCode(call->status) != CODE_OK)
    return 0;
  if (!absent)
    call->outputs[j] = operand_of_tensor(call, call->out[j], kind);
  if (!absent && kind == OPERAND_INFO)
    call->info = call->outputs[j].data;
  if (is_v(call, j)) /* the transpose is Vh with other strides */
    call->outputs[j].strides[0] = 1, call->outputs[j].strides[1] = shape[call->batch_rank + 1];
  return 1;
}

/* The rest of the way from the transpose of Vh to V. */
static void conjugate_v(const call_t *call) {
  for (int j = 0; j < call->kernel->op.operation->output_count; j++)
    if (is_v(call, j) && (call->d.dtype == SVDGRAD_C64 || call->d.dtype == SVDGRAD_C128)) {
      const int64_t count = call->d.batch_count * call->outputs[j].batch_stride;
      for (int64_t i = 0; i < count; i++)
        if (call->d.dtype == SVDGRAD_C64)
          ((float *)call->outputs[j].data)[2 * i + 1] *= -1;
        else
          ((double *)call->outputs[j].data)[2 * i + 1] *= -1;
    }
}

static int make_operands(call_t *call) {
  const op_t *op = &call->kernel->op;
  for (int i = 0; i < input_count(op); i++) {
    if (is_absent_input(call, i))
      continue;
    if (!check_input(call, i))
      return 0;
    if (i >= op->first)
      call->inputs[i - op->first] = operand_of_tensor(call, call->in[i], input_kind(op, i));
  }
  for (int j = 0; j < op->operation->output_count; j++)
    if (!make_output(call, j))
      return 0;
  return 1;
}

static int run_operation(call_t *call) {
  const operation_t *operation = call->kernel->op.operation;
  const attributes_t *attributes = &call->kernel->attributes;
  size_t bytes = 0;
  svdgrad_status_t status =
      operation_workspace(SVDGRAD_BACKEND_CPU, 0, operation, &call->d, attributes, call->outputs, &bytes);
  if (status)
    return fail_with(call, status);
  void *work = bytes ? malloc(bytes) : NULL;
  if (bytes && !work)
    return fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for the workspace");
  status = operation_run(SVDGRAD_BACKEND_CPU, 0, NULL, (pool_t){NULL, NULL}, operation, &call->d, attributes,
                         call->inputs, call->outputs, work, bytes);
  free(work);
  if (status)
    return fail_with(call, status);
  conjugate_v(call);
  return 1;
}

/* "svd: matrix [1, 2] failed: it has a NaN or an infinity, and 3 other matrices failed". */
static int check_info(call_t *call) {
  static const char *const reasons[] = {"", "the SVD did not converge", "it has a NaN or an infinity",
                                        "a result is too large for its type"};
  int64_t first = -1, others = -1, place[MOST_DIMENSIONS];
  char text[TEXT_BYTES], *end = text, *const last = text + TEXT_BYTES - 200;
  if (!call->kernel->raise_as[0] || !call->info)
    return 1;
  for (int64_t b = call->d.batch_count - 1; b >= 0; b--)
    if (call->info[b])
      first = b, others++;
  if (first < 0)
    return 1;
  const int32_t info = call->info[first];
  for (int j = call->batch_rank - 1; j >= 0; j--)
    place[j] = first % TF.Dim(call->in[0], j), first /= TF.Dim(call->in[0], j);
  end += sprintf(end, "%s: ", call->kernel->raise_as);
  end += sprintf(end, "%s", call->batch_rank == 0 ? "the matrix" : call->batch_rank == 1 ? "matrix " : "matrix [");
  for (int j = 0; j < call->batch_rank && end < last; j++)
    end += sprintf(end, "%s%lld", j ? ", " : "", (long long)place[j]);
  end += sprintf(end, "%s failed: %s", call->batch_rank > 1 ? "]" : "", reasons[info >= 0 && info <= 3 ? info : 0]);
  if (others)
    (void)sprintf(end, ", and %lld other matrices failed", (long long)others);
  TF.SetStatus(call->status, CODE_INVALID_ARGUMENT, text);
  return 0;
}

static void compute(void *kernel, TF_OpKernelContext *context) {
  call_t call = {.kernel = kernel, .context = context, .status = TF.NewStatus()};
  if (!(take_inputs(&call) && make_operands(&call) && run_operation(&call) && check_info(&call)))
    TF.OpKernelContext_Failure(context, call.status);
  for (int i = 0; i < MOST_TF_INPUTS; i++)
    if (call.in[i])
      TF.DeleteTensor(call.in[i]);
  for (int j = 0; j < MOST_OUTPUTS; j++)
    if (call.out[j])
      TF.DeleteTensor(call.out[j]);
  TF.DeleteStatus(call.status);
}

/* ---- shapes that are known before the call ---- */

/* The parts of the shape of A, and room for what is made of them. */
typedef struct shapes {
  TF_ShapeInferenceContext *context;
  TF_Status *status;
  TF_ShapeHandle *a, *batch, *m, *n, *report, *unknown;
} shapes_t;

static void set_output(const shapes_t *shapes, int j, TF_ShapeHandle *first, TF_ShapeHandle *second) {
  TF_ShapeHandle *matrix = TF.NewShapeHandle(), *shape = TF.NewShapeHandle();
  TF.ShapeInferenceContextConcatenateShapes(shapes->context, shapes->batch, first, matrix, shapes->status);
  if (second && TF.GetCode(shapes->status) == CODE_OK)
    TF.ShapeInferenceContextConcatenateShapes(shapes->context, matrix, second, shape, shapes->status);
  if (TF.GetCode(shapes->status) == CODE_OK)
    TF.ShapeInferenceContextSetOutput(shapes->context, j, second ? shape : matrix, shapes->status);
  TF.DeleteShapeHandle(matrix);
  TF.DeleteShapeHandle(shape);
}

/* The C API tells a shape function no attribute but types.  So what depends on a rank, on full_matrices, on the form
 * and on absence is left unknown here; svdgrad/_tensorflow_ops.py fills it in. */
static void set_outputs(const op_t *op, const shapes_t *shapes) {
  for (int j = 0; j < op->operation->output_count && TF.GetCode(shapes->status) == CODE_OK; j++) {
    if (op->operation->optional_outputs >> j & 1U)
      continue;
    switch (op->operation->outputs[j]) {
    case OPERAND_A: TF.ShapeInferenceContextSetOutput(shapes->context, j, shapes->a, shapes->status); break;
    case OPERAND_S: set_output(shapes, j, shapes->unknown, NULL); break;
    case OPERAND_U: set_output(shapes, j, shapes->m, shapes->unknown); break;
    case OPERAND_VH:
    case OPERAND_Y: set_output(shapes, j, shapes->unknown, shapes->n); break;
    case OPERAND_LEFT: set_output(shapes, j, shapes->m, NULL); break;
    case OPERAND_RIGHT: set_output(shapes, j, shapes->n, NULL); break;
    case OPERAND_REPORT: set_output(shapes, j, shapes->report, NULL); break;
    default: TF.ShapeInferenceContextSetOutput(shapes->context, j, shapes->batch, shapes->status);
    }
  }
}

static void infer_shapes(int index, TF_ShapeInferenceContext *context, TF_Status *status) {
  const op_t op = op_of(index);
  TF_ShapeHandle *a = TF.NewShapeHandle(), *batch = TF.NewShapeHandle(), *m = TF.NewShapeHandle(),
                 *n = TF.NewShapeHandle();
  TF_ShapeHandle *report = TF.ShapeInferenceContextVectorFromSize(context, REPORT_BYTES);
  TF_ShapeHandle *unknown = TF.ShapeInferenceContextVectorFromSize(context, (size_t)-1); /* -1: not known */
  TF.ShapeInferenceContextSetUnknownShape(context, status);
  TF.ShapeInferenceContextGetInput(context, 0, a, status);
  if (TF.GetCode(status) == CODE_OK && TF.ShapeInferenceContextRankKnown(context, a)) {
    const int64_t rank = TF.ShapeInferenceContextRank(context, a);
    TF.ShapeInferenceContextWithRankAtLeast(context, a, 2, a, status);
    if (TF.GetCode(status) == CODE_OK)
      TF.ShapeInferenceContextSubshape(context, a, 0, rank - 2, batch, status);
    if (TF.GetCode(status) == CODE_OK)
      TF.ShapeInferenceContextSubshape(context, a, rank - 2, rank - 1, m, status);
    if (TF.GetCode(status) == CODE_OK)
      TF.ShapeInferenceContextSubshape(context, a, rank - 1, rank, n, status);
    if (TF.GetCode(status) == CODE_OK)
      set_outputs(&op, &(shapes_t){context, status, a, batch, m, n, report, unknown});
  }
  TF.DeleteShapeHandle(a);
  TF.DeleteShapeHandle(batch);
  TF.DeleteShapeHandle(m);
  TF.DeleteShapeHandle(n);
  TF.DeleteShapeHandle(report);
  TF.DeleteShapeHandle(unknown);
}

/* ---- registration ---- */

/* TensorFlow gives these functions no word about the op that they are for: one of each for each row. */
#define FOR_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define ROW_FUNCTIONS(i)                                                                                               \
  static void *create_##i(TF_OpKernelConstruction *construction) { return create(i, construction); }                   \
  static void infer_shapes_##i(TF_ShapeInferenceContext *context, TF_Status *status) {                                 \
    infer_shapes(i, context, status);                                                                                  \
  }
#define ROW(i) {create_##i, infer_shapes_##i},
FOR_ROWS(ROW_FUNCTIONS)
static const struct {
  void *(*create)(TF_OpKernelConstruction *);
  void (*infer_shapes)(TF_ShapeInferenceContext *, TF_Status *);
} rows[] = {FOR_ROWS(ROW)};
enum { MOST_ROWS = sizeof rows / sizeof *rows };

static const char *type_text(operand_kind_t kind) {
  return kind == OPERAND_INFO ? "int32" : kind == OPERAND_REPORT ? "uint8" : operand_is_real(kind) ? "R" : "T";
}

static void register_op(int index, const char *name, TF_Status *status) {
  const op_t op = op_of(index);
  const operation_t *operation = op.operation;
  char text[64];
  TF_OpDefinitionBuilder *builder = TF.NewOpDefinitionBuilder(name);
  for (int i = 0; i < input_count(&op); i++) {
    (void)snprintf(text, sizeof text, "input%d: %s", i, type_text(input_kind(&op, i)));
    TF.OpDefinitionBuilderAddInput(builder, text);
  }
  for (int j = 0; j < operation->output_count; j++) {
    (void)snprintf(text, sizeof text, "output%d: %s", j, type_text(operation->outputs[j]));
    TF.OpDefinitionBuilderAddOutput(builder, text);
  }
  TF.OpDefinitionBuilderAddAttr(builder, "T: {float, double, complex64, complex128}");
  if (has_real_operands(operation))
    TF.OpDefinitionBuilderAddAttr(builder, "R: {float, double}");
  TF.OpDefinitionBuilderAddAttr(builder, "options: string = ''");
  TF.OpDefinitionBuilderSetShapeInferenceFunction(builder, rows[index].infer_shapes);
  TF.RegisterOpDefinition(builder, status);
}

static void delete_kernel(void *kernel) { free(kernel); }

static void register_kernels(int index, const char *name, TF_Status *status) {
  for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128 && TF.GetCode(status) == CODE_OK; dtype++) {
    TF_KernelBuilder *builder = TF.NewKernelBuilder(name, "CPU", rows[index].create, compute, delete_kernel);
    TF.KernelBuilder_TypeConstraint(builder, "T", types[dtype].type, status);
    if (TF.GetCode(status) == CODE_OK && has_real_operands(&operations[index]))
      TF.KernelBuilder_TypeConstraint(builder, "R", types[dtype].real, status);
    if (TF.GetCode(status) == CODE_OK)
      TF.RegisterKernelBuilder(name, builder, status);
  }
}

/* A symbol of TensorFlow; NULL, with the reason in load_error, if it has none of this name. */
static void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (!found)
    (void)snprintf(load_error, sizeof load_error, "this TensorFlow has no %s", name);
  return found;
}

static int find_functions(void) {
  void *library = dlopen("libtensorflow_framework.so.2", RTLD_LAZY | RTLD_NOLOAD);
  if (!library)
    library = RTLD_DEFAULT; /* linked into the program */
#define FIND(result, name, parameters)                                                                                 \
  if (!(*(void **)&TF.name = symbol(library, "TF_" #name)))                                                            \
    return 0;
  TF_FUNCTIONS(FIND)
#undef FIND
  return 1;
}

__attribute__((constructor)) static void register_all(void) {
  char name[64];
  if (!find_functions())
    return;
  TF_Status *status = TF.NewStatus();
  for (int i = 0; i < operation_count && i < MOST_ROWS && TF.GetCode(status) == CODE_OK; i++) {
    op_name(&operations[i], name);
    register_op(i, name, status);
    if (TF.GetCode(status) == CODE_OK)
      register_kernels(i, name, status);
  }
  if (TF.GetCode(status) != CODE_OK)
    (void)snprintf(load_error, sizeof load_error, "%s", TF.Message(status));
  else if (operation_count > MOST_ROWS)
    (void)snprintf(load_error, sizeof load_error, "%d operations, FOR_ROWS has %d", operation_count, MOST_ROWS);
  TF.DeleteStatus(status);
}
