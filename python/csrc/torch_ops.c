/* SPDX-License-Identifier: BSD-3-Clause */
/* The border to PyTorch: one operator svdgrad::<operation> for each row of common.c, and svdgrad::matrix_function, which is
 * svd and function in one call.  Each is there twice: svdgrad::_<operation> is the same kernel, to which svdgrad/torch.py
 * gives no derivative: it costs less to call.
 *
 *   svdgrad::svd(Tensor A, int wanted, int rank, ..., float null_value) -> (Tensor, Tensor, Tensor, Tensor)
 *
 * `wanted` has bit j set where the optional output j is to be computed; the others come back with no elements.  An input
 * with no elements is one that is absent, where it may be absent.  Inputs have one batch and any strides; outputs are
 * packed.  The kernel of CUDA runs on torch's current stream and does not synchronize. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NOLOAD */
#endif
#include "common.h"
#include "torch_abi.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { MOST_DIMENSIONS = 64 };

/* ---- torch's functions, found in the process ---- */

#define DECLARE(result, name, parameters) result(*name) parameters;
static struct torch_functions { TORCH_FUNCTIONS(DECLARE) } torch;
static torch_current_stream_t current_stream; /* of CUDA; NULL: not looked up */
static int32_t types[SVDGRAD_C128 + 1], type_int32, type_uint8, device_cpu;

/* The name of a function that this torch does not have; NULL: none is missing. */
static const char *look_up(void *libtorch) {
#define LOOK_UP(result, name, parameters)                                                                              \
  *(void **)(&torch.name) = dlsym(libtorch, #name);                                                                    \
  if (!torch.name)                                                                                                     \
    return #name;
  TORCH_FUNCTIONS(LOOK_UP)
  return NULL;
}

static torch_error_t stream_of(int32_t device_index, void **stream) {
  torch_current_stream_t function = __atomic_load_n(&current_stream, __ATOMIC_ACQUIRE);
  if (!function) {
    void *library = dlopen("libtorch_cuda.so", RTLD_NOLOAD | RTLD_LAZY);
    if (library)
      *(void **)&function = dlsym(library, "aoti_torch_get_current_cuda_stream");
    if (!function)
      return 1;
    __atomic_store_n(&current_stream, function, __ATOMIC_RELEASE);
  }
  return function(device_index, stream);
}

/* ---- threads: torch's own, as many as torch.set_num_threads() says ---- */

typedef struct pieces {
  int64_t count, pieces;
  void (*body)(int64_t first, int64_t last, void *arg);
  void *arg;
} pieces_t;

static void run_pieces(int64_t first, int64_t last, void *context) {
  const pieces_t *p = context;
  for (int64_t i = first; i < last; i++)
    p->body(p->count / p->pieces * i + (p->count % p->pieces * i) / p->pieces,
            p->count / p->pieces * (i + 1) + (p->count % p->pieces * (i + 1)) / p->pieces, p->arg);
}

/* `pool` points to the number of threads.  Every piece has at least `grain` items. */
static void parallel_for(void *pool, int64_t count, int64_t grain, void (*body)(int64_t first, int64_t last, void *arg),
                         void *arg) {
  const int64_t threads = *(const uint32_t *)pool, most = count / (grain < 1 ? 1 : grain);
  pieces_t p = {count, most < 8 * threads ? most : 8 * threads, body, arg};
  if (threads <= 1 || p.pieces <= 1) {
    if (count > 0)
      body(0, count, arg);
    return;
  }
  (void)torch.torch_parallel_for(0, p.pieces, 1, run_pieces, &p);
}

/* The threads of OpenMP do not live on in a forked process: there the library's own threads do the work. */
static int is_forked;
static void note_fork(void) { is_forked = 1; }

static pool_t pool_of_call(uint32_t *threads) {
  if (torch.torch_get_num_threads(threads))
    return (pool_t){NULL, NULL};
  if (is_forked && *threads > 1)
    return (pool_t){NULL, NULL};
  return (pool_t){parallel_for, threads};
}

/* ---- a call ---- */

typedef struct call {
  const operation_t *operation;
  uint64_t wanted;
  attributes_t attributes;
  dimensions_t d;
  int32_t device_type, device_index;
  int batch_rank; /* -1: not known yet */
  int64_t batch[MOST_DIMENSIONS];
  tensor_t tensors[MOST_INPUTS + MOST_OUTPUTS]; /* inputs, then outputs; each is ours; NULL: absent */
  operand_t operands[MOST_INPUTS + MOST_OUTPUTS];
  char error[400];
} call_t;

__attribute__((format(printf, 2, 3))) static int fail(call_t *call, const char *format, ...) {
  va_list list;
  const int length = snprintf(call->error, sizeof call->error, "svdgrad: %s: ", call->operation->name);
  va_start(list, format);
  (void)vsnprintf(call->error + length, sizeof call->error - (size_t)length, format, list);
  va_end(list);
  return 0;
}

static operand_kind_t kind_of(const call_t *call, int i) {
  const operation_t *operation = call->operation;
  return i < operation->input_count ? operation->inputs[i] : operation->outputs[i - operation->input_count];
}

static int32_t type_of(const call_t *call, int i) {
  const operand_kind_t kind = kind_of(call, i);
  if (kind == OPERAND_INFO)
    return type_int32;
  if (kind == OPERAND_REPORT)
    return type_uint8;
  if (operand_is_real(kind))
    return types[call->d.dtype == SVDGRAD_F32 || call->d.dtype == SVDGRAD_C64 ? SVDGRAD_F32 : SVDGRAD_F64];
  return types[call->d.dtype];
}

static void release(tensor_t *tensor) {
  if (*tensor)
    (void)torch.aoti_torch_delete_tensor_object(*tensor);
  *tensor = NULL;
}

static int new_tensor(call_t *call, int rank, const int64_t *sizes, int32_t type, tensor_t *tensor) {
  int64_t strides[MOST_DIMENSIONS], stride = 1;
  for (int i = rank - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= sizes[i] > 1 ? sizes[i] : 1;
  }
  if (torch.aoti_torch_empty_strided(rank, sizes, strides, type, call->device_type, call->device_index, tensor)) {
    *tensor = NULL;
    return fail(call, "no memory for a tensor");
  }
  return 1;
}

/* ---- inputs ---- */

typedef struct shape {
  int64_t rank, *sizes, *strides;
} shape_t;

static int shape_of(call_t *call, int i, shape_t *shape) {
  const tensor_t tensor = call->tensors[i];
  if (torch.aoti_torch_get_dim(tensor, &shape->rank) || torch.aoti_torch_get_sizes(tensor, &shape->sizes) ||
      torch.aoti_torch_get_strides(tensor, &shape->strides))
    return fail(call, "input %d has no strides: it must be a dense tensor", i);
  if (shape->rank > MOST_DIMENSIONS)
    return fail(call, "input %d has %lld dimensions, must have at most %d", i, (long long)shape->rank, MOST_DIMENSIONS);
  return 1;
}

/* An optional input without elements is absent.  (Where all are empty, it does not matter.) */
static int drop_absent_inputs(call_t *call) {
  for (int i = 0; i < call->operation->input_count; i++)
    if (call->operation->optional_inputs >> i & 1U) {
      int64_t count = 0;
      if (torch.aoti_torch_get_numel(call->tensors[i], &count))
        return fail(call, "input %d must be a dense tensor", i);
      if (count == 0)
        release(&call->tensors[i]);
    }
  return 1;
}

/* Type, device, m, n and batch: from the first inputs that have them. */
static int learn(call_t *call) {
  int has_type = 0;
  call->d.m = call->d.n = 0;
  call->batch_rank = -1;
  for (int i = 0; i < call->operation->input_count; i++) {
    const operand_kind_t kind = kind_of(call, i);
    const int rank = operand_rank(kind);
    shape_t shape;
    if (!call->tensors[i])
      continue;
    if (!shape_of(call, i, &shape))
      return 0;
    if (shape.rank < rank)
      return fail(call, "input %d has %lld dimensions, must have at least %d", i, (long long)shape.rank, rank);
    if (!has_type && !operand_is_real(kind)) {
      int32_t type = -1;
      (void)torch.aoti_torch_get_dtype(call->tensors[i], &type);
      (void)torch.aoti_torch_get_device_type(call->tensors[i], &call->device_type);
      (void)torch.aoti_torch_get_device_index(call->tensors[i], &call->device_index);
      for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
        if (types[dtype] == type)
          call->d.dtype = (svdgrad_dtype_t)dtype, has_type = 1;
      if (!has_type)
        return fail(call, "the type of input %d must be float32, float64, complex64 or complex128", i);
    }
    if (rank == 2)
      dimensions_learn(&call->d, kind, shape.sizes + shape.rank - 2);
    if (call->batch_rank < 0) {
      call->batch_rank = (int)shape.rank - rank;
      memcpy(call->batch, shape.sizes, (size_t)call->batch_rank * sizeof *call->batch);
    }
  }
  call->d.batch_count = 1;
  for (int j = 0; j < call->batch_rank; j++)
    call->d.batch_count *= call->batch[j];
  return 1;
}

static int check_input(call_t *call, int i, const shape_t *shape) {
  int64_t extents[2];
  const int rank = operand_rank(kind_of(call, i));
  int32_t type = -1, device_type = -1, device_index = -1;
  operand_extents(kind_of(call, i), &call->d, &call->attributes, extents);
  (void)torch.aoti_torch_get_dtype(call->tensors[i], &type);
  (void)torch.aoti_torch_get_device_type(call->tensors[i], &device_type);
  (void)torch.aoti_torch_get_device_index(call->tensors[i], &device_index);
  if (type != type_of(call, i))
    return fail(call, "input %d has another type than the first", i);
  if (device_type != call->device_type || device_index != call->device_index)
    return fail(call, "input %d lies on another device than the first", i);
  if (shape->rank != call->batch_rank + rank ||
      memcmp(shape->sizes, call->batch, (size_t)call->batch_rank * sizeof *call->batch) != 0)
    return fail(call, "the batch of input %d is not that of the first", i);
  for (int j = 0; j < rank; j++)
    if (shape->sizes[call->batch_rank + j] != extents[j])
      return fail(call, "input %d has %lld entries in dimension %d, must have %lld", i,
                  (long long)shape->sizes[call->batch_rank + j], j - rank, (long long)extents[j]);
  return 1;
}

/* The stride of the whole batch; 0: there is none, the tensor must be copied. */
static int one_batch_stride(const call_t *call, const shape_t *shape, int64_t *stride) {
  int64_t expected = 0;
  int is_first = 1;
  *stride = 0;
  for (int j = call->batch_rank - 1; j >= 0; j--) {
    if (shape->sizes[j] == 1)
      continue;
    if (is_first)
      *stride = expected = shape->strides[j];
    if (shape->strides[j] != expected)
      return 0;
    is_first = 0;
    expected *= shape->sizes[j];
  }
  return 1;
}

static int pack(call_t *call, int i, shape_t *shape) {
  tensor_t packed = NULL;
  if (!new_tensor(call, (int)shape->rank, shape->sizes, type_of(call, i), &packed))
    return 0;
  const torch_error_t error = torch.aoti_torch_copy_(packed, call->tensors[i], 1);
  release(&call->tensors[i]);
  call->tensors[i] = packed;
  return error ? fail(call, "input %d cannot be copied", i) : shape_of(call, i, shape);
}

static int take_data(call_t *call, int i) {
  operand_t *operand = &call->operands[i];
  if (torch.aoti_torch_get_data_ptr(call->tensors[i], &operand->data))
    return fail(call, "operand %d has no memory", i);
  if (!operand->data)
    operand->data = no_elements;
  return 1;
}

static int take_input(call_t *call, int i) {
  shape_t shape;
  operand_t *operand = &call->operands[i];
  *operand = (operand_t){NULL, 0, {0, 0}};
  if (!call->tensors[i])
    return 1;
  if (!shape_of(call, i, &shape) || !check_input(call, i, &shape))
    return 0;
  if (!one_batch_stride(call, &shape, &operand->batch_stride)) {
    if (!pack(call, i, &shape))
      return 0;
    (void)one_batch_stride(call, &shape, &operand->batch_stride);
  }
  for (int j = call->batch_rank; j < shape.rank; j++)
    operand->strides[j - call->batch_rank] = shape.strides[j];
  return take_data(call, i);
}

/* ---- outputs ---- */

static int make_output(call_t *call, int j) {
  const int i = call->operation->input_count + j, rank = operand_rank(kind_of(call, i));
  int64_t sizes[MOST_DIMENSIONS + 2] = {0}, extents[2];
  call->operands[i] = (operand_t){NULL, 0, {0, 0}};
  if ((call->operation->optional_outputs >> j & 1U) && !(call->wanted >> j & 1U))
    return new_tensor(call, 1, sizes, type_of(call, i), &call->tensors[i]);
  operand_extents(kind_of(call, i), &call->d, &call->attributes, extents);
  memcpy(sizes, call->batch, (size_t)call->batch_rank * sizeof *sizes);
  memcpy(sizes + call->batch_rank, extents, sizeof extents);
  if (!new_tensor(call, call->batch_rank + rank, sizes, type_of(call, i), &call->tensors[i]))
    return 0;
  call->operands[i] = operand_packed(NULL, kind_of(call, i), &call->d, &call->attributes);
  return take_data(call, i);
}

/* An iteration starts from its input, in the memory of its output. */
static int copy_starts(call_t *call) {
  for (int j = 0; j < call->operation->output_count; j++)
    if (call->operation->updated >> j & 1U) {
      const int from = j + 1, to = call->operation->input_count + j;
      if (torch.aoti_torch_copy_(call->tensors[to], call->tensors[from], 1))
        return fail(call, "input %d cannot be copied", from);
      call->operands[from] = call->operands[to];
    }
  return 1;
}

/* ---- the computation ---- */

static int run(call_t *call) {
  const svdgrad_backend_t backend = call->device_type == device_cpu ? SVDGRAD_BACKEND_CPU : SVDGRAD_BACKEND_CUDA;
  const int device = backend == SVDGRAD_BACKEND_CPU ? 0 : call->device_index;
  const operand_t *inputs = call->operands, *outputs = call->operands + call->operation->input_count;
  size_t bytes = 0;
  void *work = NULL, *stream = NULL;
  tensor_t work_tensor = NULL;
  uint32_t threads = 1;
  if (operation_workspace(backend, device, call->operation, &call->d, &call->attributes, outputs, &bytes))
    return fail(call, "%s", svdgrad_last_error_message());
  if (backend == SVDGRAD_BACKEND_CUDA) {
    const int64_t size = (int64_t)bytes;
    if (stream_of(call->device_index, &stream))
      return fail(call, "torch has no current CUDA stream");
    if (!new_tensor(call, 1, &size, type_uint8, &work_tensor) || torch.aoti_torch_get_data_ptr(work_tensor, &work))
      return fail(call, "no memory for the workspace of %zu bytes", bytes);
  } else if (bytes && !(work = malloc(bytes))) {
    return fail(call, "no memory for the workspace of %zu bytes", bytes);
  }
  const svdgrad_status_t status = operation_run(
      backend, device, stream, backend == SVDGRAD_BACKEND_CPU ? pool_of_call(&threads) : (pool_t){NULL, NULL},
      call->operation, &call->d, &call->attributes, inputs, outputs, work, bytes);
  if (status)
    (void)fail(call, "%s", svdgrad_last_error_message());
  if (backend == SVDGRAD_BACKEND_CUDA)
    release(&work_tensor);
  else
    free(work);
  return status == SVDGRAD_STATUS_SUCCESS;
}

static int make_outputs_and_run(call_t *call) {
  for (int j = 0; j < call->operation->output_count; j++)
    if (!make_output(call, j))
      return 0;
  return copy_starts(call) && run(call);
}

static int compute(call_t *call) {
  if (!drop_absent_inputs(call) || !learn(call))
    return 0;
  for (int i = 0; i < call->operation->input_count; i++)
    if (!take_input(call, i))
      return 0;
  return make_outputs_and_run(call);
}

/* ---- kernels ---- */

enum { ATTRIBUTES = 1 + INTEGER_ATTRIBUTES + REAL_ATTRIBUTES };

static void take_attributes(call_t *call, const torch_value_t *stack) {
  _Static_assert(sizeof(attributes_t) == (INTEGER_ATTRIBUTES + REAL_ATTRIBUTES) * sizeof(torch_value_t), "one by one");
  memcpy(&call->wanted, stack, sizeof call->wanted);
  memcpy(&call->attributes, stack + 1, sizeof call->attributes);
}

static torch_value_t value_of(tensor_t tensor) { return (torch_value_t)(uintptr_t)tensor; }

/* Torch's own exception, through this C code: nothing of ours is left to be freed. */
static void raise_error(const char *text) {
  static _Thread_local char copy[sizeof((call_t *)0)->error];
  (void)snprintf(copy, sizeof copy, "%s", text);
  torch.aoti_torch_check(false, "svdgrad", "torch_ops.c", 0, copy);
}

static void run_kernel(const operation_t *operation, torch_value_t *stack) {
  call_t call;
  call.operation = operation;
  memset(call.tensors, 0, sizeof call.tensors);
  for (int i = 0; i < operation->input_count; i++)
    call.tensors[i] = (tensor_t)(uintptr_t)stack[i];
  take_attributes(&call, stack + operation->input_count);
  const int is_computed = compute(&call);
  for (int i = 0; i < operation->input_count; i++)
    release(&call.tensors[i]);
  for (int j = 0; j < operation->output_count; j++) {
    tensor_t *output = &call.tensors[operation->input_count + j];
    if (is_computed)
      stack[j] = value_of(*output);
    else
      release(output);
  }
  if (!is_computed)
    raise_error(call.error);
}

/* A -> Y, S, U, Vh, info: svd, then function of its factors. */
static int compute_matrix_function(call_t *svd, call_t *function) {
  function->operation = operation_find("function");
  memset(function->tensors, 0, sizeof function->tensors);
  memset(function->operands, 0, sizeof function->operands);
  if (!compute(svd))
    return 0;
  function->wanted = 0;
  function->d = svd->d, function->device_type = svd->device_type, function->device_index = svd->device_index;
  function->batch_rank = svd->batch_rank;
  memcpy(function->batch, svd->batch, (size_t)svd->batch_rank * sizeof *svd->batch);
  memcpy(function->operands, svd->operands + 1, 3 * sizeof *function->operands);
  if (make_outputs_and_run(function))
    return 1;
  memcpy(svd->error, function->error, sizeof svd->error);
  return 0;
}

static void matrix_function_kernel(torch_value_t *stack, uint64_t input_count, uint64_t output_count) {
  (void)input_count, (void)output_count;
  call_t svd, function;
  svd.operation = operation_find("svd");
  memset(svd.tensors, 0, sizeof svd.tensors);
  svd.tensors[0] = (tensor_t)(uintptr_t)stack[0];
  take_attributes(&function, stack + 1);
  svd.attributes =
      (attributes_t){.algo = function.attributes.algo, .batch_invariant = function.attributes.batch_invariant};
  svd.wanted = ~UINT64_C(0);
  const int is_computed = compute_matrix_function(&svd, &function);
  tensor_t *Y = &function.tensors[function.operation->input_count];
  release(&svd.tensors[0]);
  if (is_computed) {
    stack[0] = value_of(*Y);
    for (int j = 0; j < 4; j++)
      stack[1 + j] = value_of(svd.tensors[1 + j]);
    return;
  }
  release(Y);
  for (int j = 0; j < 4; j++)
    release(&svd.tensors[1 + j]);
  raise_error(svd.error);
}

/* Torch calls a kernel without saying which: one function for each row. */
#define KERNELS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define KERNEL(i)                                                                                                      \
  static void kernel_##i(torch_value_t *stack, uint64_t input_count, uint64_t output_count) {                          \
    (void)input_count, (void)output_count;                                                                             \
    run_kernel(&operations[i], stack);                                                                                 \
  }
#define KERNEL_NAME(i) kernel_##i,
KERNELS(KERNEL)
static const torch_kernel_t kernels[] = {KERNELS(KERNEL_NAME)};
enum { MOST_KERNELS = sizeof kernels / sizeof *kernels };

/* ---- registration ---- */

static void append(char *text, size_t size, const char *format, ...) {
  const size_t length = strlen(text);
  va_list list;
  va_start(list, format);
  (void)vsnprintf(text + length, size - length, format, list);
  va_end(list);
}

static void append_signature(char *text, size_t size, int inputs, int outputs) {
  append(text, size, "(");
  for (int i = 0; i < inputs; i++)
    append(text, size, "Tensor input%d, ", i);
  append(text, size, "int wanted=-1");
  for (int i = 0; i < INTEGER_ATTRIBUTES; i++)
    append(text, size, ", int %s=0", integer_attribute_names[i]);
  for (int i = 0; i < REAL_ATTRIBUTES; i++)
    append(text, size, ", float %s=0.", real_attribute_names[i]);
  append(text, size, ") -> %s", outputs == 1 ? "Tensor" : "(Tensor");
  for (int j = 1; j < outputs; j++)
    append(text, size, ", Tensor%s", j + 1 == outputs ? ")" : "");
}

static torch_error_t define(torch_library_t library, const char *name, int inputs, int outputs) {
  torch_error_t error = 0;
  for (int i = 0; i < 2 && !error; i++) {
    char schema[800] = "";
    append(schema, sizeof schema, "%s%s", i ? "_" : "", name);
    append_signature(schema, sizeof schema, inputs, outputs);
    error = torch.aoti_torch_library_def(library, schema);
  }
  return error;
}

static torch_error_t implement(torch_library_t library, const char *name, torch_kernel_t kernel) {
  char other[80];
  (void)snprintf(other, sizeof other, "_%s", name);
  const torch_error_t error = torch.aoti_torch_library_impl(library, name, kernel);
  return error ? error : torch.aoti_torch_library_impl(library, other, kernel);
}

static torch_error_t register_operators(void) {
  static const char *const keys[] = {"CPU", "CUDA"};
  torch_library_t library = NULL;
  if (torch.aoti_torch_library_init_def("svdgrad", "torch_ops.c", 0, &library))
    return 1;
  for (int i = 0; i < operation_count; i++)
    if (define(library, operations[i].name, operations[i].input_count, operations[i].output_count))
      return 1;
  if (define(library, "matrix_function", 1, 5))
    return 1;
  for (int k = 0; k < 2; k++) {
    if (torch.aoti_torch_library_init_impl("svdgrad", keys[k], "torch_ops.c", 0, &library))
      return 1;
    for (int i = 0; i < operation_count; i++)
      if (implement(library, operations[i].name, kernels[i]))
        return 1;
    if (implement(library, "matrix_function", matrix_function_kernel))
      return 1;
  }
  return 0;
}

/* ---- what svdgrad/torch.py calls by ctypes ---- */

/* Registers the operators in the torch that is loaded.  NULL: done; otherwise what is wrong. */
EXPORT const char *svdgrad_torch_load(void) {
  static char text[200];
  void *libtorch = dlopen("libtorch_cpu.so", RTLD_NOLOAD | RTLD_LAZY);
  if (!libtorch)
    return "libtorch_cpu.so is not loaded";
  const char *missing = look_up(libtorch);
  if (missing) {
    (void)snprintf(text, sizeof text, "this torch has no %s; 2.10 or newer is needed", missing);
    return text;
  }
  if (operation_count > MOST_KERNELS)
    return "there are more operations than kernels";
  types[SVDGRAD_F32] = torch.aoti_torch_dtype_float32(), types[SVDGRAD_F64] = torch.aoti_torch_dtype_float64();
  types[SVDGRAD_C64] = torch.aoti_torch_dtype_complex64(), types[SVDGRAD_C128] = torch.aoti_torch_dtype_complex128();
  type_int32 = torch.aoti_torch_dtype_int32(), type_uint8 = torch.aoti_torch_dtype_uint8();
  device_cpu = torch.aoti_torch_device_type_cpu();
  (void)pthread_atfork(NULL, NULL, note_fork);
  return register_operators() ? "torch refused an operator" : NULL;
}

/* The table for the shapes of tensors that are not computed:
 * one line "name optional_outputs input kinds... > output kinds..." for each operation. */
EXPORT const char *svdgrad_torch_table(void) {
  static char text[4000];
  text[0] = 0;
  for (int i = 0; i < operation_count; i++) {
    append(text, sizeof text, "%s %u", operations[i].name, operations[i].optional_outputs);
    for (int j = 0; j < operations[i].input_count; j++)
      append(text, sizeof text, " %d", (int)operations[i].inputs[j]);
    append(text, sizeof text, " >");
    for (int j = 0; j < operations[i].output_count; j++)
      append(text, sizeof text, " %d", (int)operations[i].outputs[j]);
    append(text, sizeof text, "\n");
  }
  return text;
}
