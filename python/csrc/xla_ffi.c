/* SPDX-License-Identifier: BSD-3-Clause */
/* The border to JAX: handlers of XLA's foreign function interface, one for each operation and platform, all of them one
 * function over the table of common.h.  svdgrad/_xla.py finds them by svdgrad_xla_handler() and registers them.
 *
 * A call brings the operands that are present, in order; the attribute `inputs` has bit i set if input i is there,
 * `outputs` likewise.  Further attributes are those of common.h by name (i64, f64), absent ones are 0, and
 *   raise     i64: not 0: the call fails where a matrix fails
 *   function  string: the name that the error message speaks of
 * On CUDA one more result, uint8, is the workspace: so nothing is allocated during a call, and a call can be recorded
 * in a command buffer.  It has the dimensions of the batch and one more, so it is partitioned as the operands are.  On
 * the CPU memory is cheap to get, and the constant part of the workspace would be paid once for each matrix: the call
 * allocates it. */
#include "common.h"
#include "xla_ffi_abi.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VISIBLE __attribute__((visibility("default")))

/* ---- errors ---- */

__attribute__((format(printf, 3, 4))) static xla_error_t *fail(const xla_call_t *call, int code, const char *format,
                                                               ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  xla_error_create_t create = {sizeof create, NULL, message, code};
  return call->api->error_create(&create);
}

/* 1 where there was one.  The reason is of no interest to the caller. */
static int discard(const xla_api_t *api, xla_error_t *error) {
  xla_error_destroy_t destroy = {sizeof destroy, NULL, error};
  if (!error)
    return 0;
  api->error_destroy(&destroy);
  return 1;
}

static xla_error_t *fail_with_status(const xla_call_t *call, const operation_t *operation, svdgrad_status_t status) {
  const int code = status == SVDGRAD_STATUS_INVALID_ARGUMENT ? XLA_INVALID_ARGUMENT
                   : status == SVDGRAD_STATUS_NOT_SUPPORTED  ? XLA_UNIMPLEMENTED
                   : status == SVDGRAD_STATUS_OUT_OF_MEMORY  ? XLA_RESOURCE_EXHAUSTED
                                                             : XLA_INTERNAL;
  return fail(call, code, "svdgrad: %s: %s", operation->name, svdgrad_last_error_message());
}

/* ---- XLA's threads ---- */

typedef struct xla_pool {
  const xla_api_t *api;
  xla_context_t *context;
} xla_pool_t;

/* Work in pieces.  Everybody who runs takes pieces until there are none, the caller too; so the call ends however few
 * of the scheduled tasks get a thread in time.  A task may start when the call has returned: the job lives until the
 * last one has ended. */
typedef struct job {
  void (*body)(int64_t first, int64_t last, void *arg);
  void *arg;
  int64_t count, piece;
  int64_t next;    /* first item that nobody has taken; atomic */
  int references;  /* tasks that have not ended, and the caller; atomic */
  int64_t waiting; /* items that are not done */
  pthread_mutex_t mutex;
  pthread_cond_t all_done;
} job_t;

static void job_release(job_t *job) {
  if (__atomic_sub_fetch(&job->references, 1, __ATOMIC_ACQ_REL) > 0)
    return;
  (void)pthread_cond_destroy(&job->all_done);
  (void)pthread_mutex_destroy(&job->mutex);
  free(job);
}

static void job_take_part(job_t *job) {
  int64_t done = 0;
  for (;;) {
    const int64_t first = __atomic_fetch_add(&job->next, job->piece, __ATOMIC_RELAXED);
    if (first >= job->count)
      break;
    const int64_t last = first + job->piece < job->count ? first + job->piece : job->count;
    job->body(first, last, job->arg);
    done += last - first;
  }
  if (done == 0)
    return;
  (void)pthread_mutex_lock(&job->mutex);
  job->waiting -= done;
  if (job->waiting == 0)
    (void)pthread_cond_signal(&job->all_done);
  (void)pthread_mutex_unlock(&job->mutex);
}

static void job_task(void *data) {
  job_take_part(data);
  job_release(data);
}

static job_t *job_create(int64_t count, int64_t piece, void (*body)(int64_t, int64_t, void *), void *arg) {
  job_t *job = malloc(sizeof *job);
  if (!job)
    return NULL;
  *job = (job_t){.body = body, .arg = arg, .count = count, .piece = piece, .references = 1, .waiting = count};
  (void)pthread_mutex_init(&job->mutex, NULL);
  (void)pthread_cond_init(&job->all_done, NULL);
  return job;
}

static int64_t thread_count(const xla_pool_t *pool) {
  int64_t count = 1;
  xla_thread_count_t get = {sizeof get, NULL, pool->context, &count};
  return discard(pool->api, pool->api->thread_count(&get)) ? 1 : count;
}

/* Pieces for each thread: a few, so that a thread that comes late takes less. */
enum { PIECES_PER_THREAD = 4 };

static void parallel_for(void *data, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  const xla_pool_t *pool = data;
  const int64_t threads = count > grain ? thread_count(pool) : 1;
  int64_t piece = (count + threads * PIECES_PER_THREAD - 1) / (threads * PIECES_PER_THREAD);
  piece = piece > grain ? piece : grain;
  job_t *job = threads > 1 && piece < count ? job_create(count, piece, body, arg) : NULL;
  if (!job) {
    if (count > 0)
      body(0, count, arg);
    return;
  }
  const int64_t pieces = (count + piece - 1) / piece, helpers = (pieces < threads ? pieces : threads) - 1;
  for (int64_t i = 0; i < helpers; i++) {
    xla_schedule_t schedule = {sizeof schedule, NULL, pool->context, job_task, job};
    (void)__atomic_add_fetch(&job->references, 1, __ATOMIC_RELAXED);
    if (discard(pool->api, pool->api->schedule(&schedule))) {
      job_release(job);
      break;
    }
  }
  job_take_part(job);
  (void)pthread_mutex_lock(&job->mutex);
  while (job->waiting > 0)
    (void)pthread_cond_wait(&job->all_done, &job->mutex);
  (void)pthread_mutex_unlock(&job->mutex);
  job_release(job);
}

/* ---- attributes ---- */

typedef struct options {
  attributes_t attributes;
  int64_t inputs, outputs, raise;
  xla_span_t function;
} options_t;

static int is_named(const xla_span_t *name, const char *text) {
  return strlen(text) == name->length && memcmp(name->text, text, name->length) == 0;
}

static int64_t *integer_of(options_t *options, const xla_span_t *name) {
  int64_t *integers = &options->attributes.rank;
  for (int i = 0; i < INTEGER_ATTRIBUTES; i++)
    if (is_named(name, integer_attribute_names[i]))
      return &integers[i];
  return is_named(name, "inputs")    ? &options->inputs
         : is_named(name, "outputs") ? &options->outputs
         : is_named(name, "raise")   ? &options->raise
                                     : NULL;
}

static double *real_of(options_t *options, const xla_span_t *name) {
  double *reals = &options->attributes.gap_param;
  for (int i = 0; i < REAL_ATTRIBUTES; i++)
    if (is_named(name, real_attribute_names[i]))
      return &reals[i];
  return NULL;
}

static xla_error_t *read_options(const xla_call_t *call, const operation_t *operation, options_t *options) {
  *options = (options_t){.function = {operation->name, strlen(operation->name)}};
  for (int64_t i = 0; i < call->attributes.count; i++) {
    const xla_span_t *name = call->attributes.names[i];
    const int type = call->attributes.types[i];
    const void *value = call->attributes.values[i];
    const xla_scalar_t *scalar = type == XLA_ATTRIBUTE_SCALAR ? value : NULL;
    int64_t *integer = scalar && scalar->type == XLA_S64 ? integer_of(options, name) : NULL;
    double *real = scalar && scalar->type == XLA_F64 ? real_of(options, name) : NULL;
    if (integer)
      memcpy(integer, scalar->value, sizeof *integer);
    else if (real)
      memcpy(real, scalar->value, sizeof *real);
    else if (type == XLA_ATTRIBUTE_STRING && is_named(name, "function"))
      options->function = *(const xla_span_t *)value;
    else
      return fail(call, XLA_INVALID_ARGUMENT,
                  "svdgrad: %s: attribute %.*s is unknown, or of another type than i64 or f64", operation->name,
                  (int)name->length, name->text);
  }
  return NULL;
}

/* ---- operands ---- */

static int dtype_of(xla_type_t type) {
  switch (type) {
  case XLA_F32: return SVDGRAD_F32;
  case XLA_F64: return SVDGRAD_F64;
  case XLA_C64: return SVDGRAD_C64;
  case XLA_C128: return SVDGRAD_C128;
  default: return -1;
  }
}

static xla_type_t type_of(operand_kind_t kind, svdgrad_dtype_t dtype) {
  static const xla_type_t types[] = {XLA_F32, XLA_F64, XLA_C64, XLA_C128};
  if (kind == OPERAND_INFO)
    return XLA_S32;
  if (kind == OPERAND_REPORT)
    return XLA_U8;
  if (operand_is_real(kind))
    return dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? XLA_F32 : XLA_F64;
  return types[dtype];
}

/* Buffers of all operands of the operation; absent ones are NULL. */
typedef struct buffers {
  const xla_buffer_t *inputs[MOST_INPUTS], *outputs[MOST_OUTPUTS], *work;
} buffers_t;

static xla_error_t *take_buffers(const xla_call_t *call, const operation_t *operation, const options_t *options,
                                 buffers_t *buffers) {
  int64_t inputs = 0, outputs = 0;
  memset(buffers, 0, sizeof *buffers);
  for (int i = 0; i < operation->input_count; i++)
    if (options->inputs >> i & 1) {
      if (inputs < call->arguments.count)
        buffers->inputs[i] = call->arguments.buffers[inputs];
      inputs++;
    } else if (!(operation->optional_inputs >> i & 1U)) {
      return fail(call, XLA_INVALID_ARGUMENT, "svdgrad: %s: input %d is absent", operation->name, i);
    }
  for (int j = 0; j < operation->output_count; j++)
    if (options->outputs >> j & 1) {
      if (outputs < call->results.count)
        buffers->outputs[j] = call->results.buffers[outputs];
      outputs++;
    } else if (!(operation->optional_outputs >> j & 1U)) {
      return fail(call, XLA_INVALID_ARGUMENT, "svdgrad: %s: output %d is absent", operation->name, j);
    }
  if (call->results.count == outputs + 1)
    buffers->work = call->results.buffers[outputs++];
  if (inputs != call->arguments.count || outputs != call->results.count)
    return fail(call, XLA_INVALID_ARGUMENT, "svdgrad: %s: %lld arguments and %lld results, must be %lld and %lld",
                operation->name, (long long)call->arguments.count, (long long)call->results.count, (long long)inputs,
                (long long)outputs);
  return NULL;
}

/* Type, m, n and batch from the inputs; the first input that is present has the batch of all. */
static xla_error_t *learn_dimensions(const xla_call_t *call, const operation_t *operation, const buffers_t *buffers,
                                     dimensions_t *d) {
  int dtype = -1, is_first = 1;
  *d = (dimensions_t){SVDGRAD_F32, 0, 0, 1};
  for (int i = 0; i < operation->input_count; i++) {
    const xla_buffer_t *buffer = buffers->inputs[i];
    const operand_kind_t kind = operation->inputs[i];
    const int rank = operand_rank(kind);
    if (!buffer)
      continue;
    if (buffer->rank < rank)
      return fail(call, XLA_INVALID_ARGUMENT, "svdgrad: %s: input %d has %lld dimensions, must have at least %d",
                  operation->name, i, (long long)buffer->rank, rank);
    if (dtype < 0 && !operand_is_real(kind))
      dtype = dtype_of(buffer->type);
    if (rank == 2)
      dimensions_learn(d, kind, buffer->shape + buffer->rank - 2);
    for (int64_t j = 0; is_first && j < buffer->rank - rank; j++)
      d->batch_count *= buffer->shape[j];
    is_first = 0;
  }
  if (dtype < 0)
    return fail(call, XLA_INVALID_ARGUMENT, "svdgrad: %s: the arrays must be f32, f64, c64 or c128", operation->name);
  d->dtype = (svdgrad_dtype_t)dtype;
  return NULL;
}

static xla_error_t *check_buffer(const xla_call_t *call, const operation_t *operation, const xla_buffer_t *buffer,
                                 operand_kind_t kind, const dimensions_t *d, const attributes_t *attributes,
                                 const char *what, int index) {
  int64_t extents[2], batch_count = 1;
  const int rank = operand_rank(kind);
  const int64_t batch_rank = buffer->rank - rank;
  operand_extents(kind, d, attributes, extents);
  int fits = buffer->type == type_of(kind, d->dtype) && batch_rank >= 0;
  for (int64_t j = 0; j < batch_rank; j++)
    batch_count *= buffer->shape[j];
  for (int j = 0; fits && j < rank; j++)
    fits = buffer->shape[batch_rank + j] == extents[j];
  if (fits && batch_count == d->batch_count)
    return NULL;
  return fail(call, XLA_INVALID_ARGUMENT,
              "svdgrad: %s: %s %d does not fit the type, the batch (%lld) or the matrices (%lld-by-%lld)",
              operation->name, what, index, (long long)d->batch_count, (long long)d->m, (long long)d->n);
}

static operand_t operand_of(const xla_buffer_t *buffer, operand_kind_t kind, const dimensions_t *d,
                            const attributes_t *attributes) {
  if (!buffer)
    return (operand_t){NULL, 0, {0, 0}};
  return operand_packed(buffer->data ? buffer->data : no_elements, kind, d, attributes);
}

/* ---- matrices that failed ---- */

static const char *info_text(int32_t info) {
  return info == SVDGRAD_INFO_NOT_CONVERGED ? "the SVD did not converge"
         : info == SVDGRAD_INFO_NONFINITE   ? "it has a NaN or an infinity"
                                            : "a result is too large for its type";
}

/* Place `b` of the batch, as "matrix 3" or "matrix [0, 3]". */
static void name_matrix(char *text, size_t size, const xla_buffer_t *info, int64_t b) {
  int64_t places[32];
  const int64_t rank = info->rank < 32 ? info->rank : 32;
  for (int64_t j = rank - 1; j >= 0; j--) {
    places[j] = b % info->shape[j];
    b /= info->shape[j];
  }
  if (rank <= 1) {
    (void)(rank ? snprintf(text, size, "matrix %lld", (long long)places[0]) : snprintf(text, size, "the matrix"));
    return;
  }
  int used = snprintf(text, size, "matrix [");
  for (int64_t j = 0; j < rank && (size_t)used < size; j++)
    used += snprintf(text + used, size - (size_t)used, j ? ", %lld" : "%lld", (long long)places[j]);
  if ((size_t)used < size)
    (void)snprintf(text + used, size - (size_t)used, "]");
}

static xla_error_t *report_failures(const xla_call_t *call, const options_t *options, const xla_buffer_t *info,
                                    int64_t batch_count) {
  const int32_t *infos = info ? info->data : NULL;
  int64_t first = -1, count = 0;
  char matrix[128], others[64] = "";
  for (int64_t b = 0; infos && b < batch_count; b++)
    if (infos[b] != SVDGRAD_INFO_OK) {
      first = count ? first : b;
      count++;
    }
  if (count == 0)
    return NULL;
  name_matrix(matrix, sizeof matrix, info, first);
  if (count > 1)
    (void)snprintf(others, sizeof others, ", and %lld other matrices failed", (long long)(count - 1));
  return fail(call, XLA_INVALID_ARGUMENT, "svdgrad: %.*s: %s failed: %s%s", (int)options->function.length,
              options->function.text, matrix, info_text(infos[first]), others);
}

/* ---- a call ---- */

typedef struct place {
  svdgrad_backend_t backend;
  int device;
  void *stream;
} place_t;

static xla_error_t *place_of(const xla_call_t *call, svdgrad_backend_t backend, place_t *place) {
  *place = (place_t){backend, 0, NULL};
  if (backend != SVDGRAD_BACKEND_CUDA)
    return NULL;
  xla_stream_get_t stream = {sizeof stream, NULL, call->context, NULL};
  xla_device_get_t device = {sizeof device, NULL, call->context, 0};
  xla_error_t *error = call->api->stream_get(&stream);
  const int has_device = call->api->struct_size >= offsetof(xla_api_t, device_get) + sizeof call->api->device_get;
  if (!error && has_device)
    error = call->api->device_get(&device);
  place->stream = stream.stream, place->device = device.device;
  return error;
}

static size_t size_of(const xla_buffer_t *bytes) {
  size_t size = 1;
  for (int64_t j = 0; j < bytes->rank; j++)
    size *= (size_t)bytes->shape[j];
  return size;
}

static xla_error_t *run(const xla_call_t *call, const operation_t *operation, const place_t *place,
                        const options_t *options, const buffers_t *buffers, const dimensions_t *d) {
  operand_t inputs[MOST_INPUTS], outputs[MOST_OUTPUTS];
  for (int i = 0; i < operation->input_count; i++)
    inputs[i] = operand_of(buffers->inputs[i], operation->inputs[i], d, &options->attributes);
  for (int j = 0; j < operation->output_count; j++)
    outputs[j] = operand_of(buffers->outputs[j], operation->outputs[j], d, &options->attributes);
  svdgrad_status_t status = SVDGRAD_STATUS_SUCCESS;
  size_t work_bytes = 0;
  void *work = NULL, *own_work = NULL;
  if (buffers->work) {
    work = buffers->work->data, work_bytes = size_of(buffers->work); /* the library checks that it is enough */
  } else {
    status =
        operation_workspace(place->backend, place->device, operation, d, &options->attributes, outputs, &work_bytes);
    if (status)
      return fail_with_status(call, operation, status);
    work = own_work = work_bytes ? malloc(work_bytes) : NULL;
    if (work_bytes && !work)
      return fail(call, XLA_RESOURCE_EXHAUSTED, "svdgrad: %s: no %zu bytes for the workspace", operation->name,
                  work_bytes);
  }
  xla_pool_t threads = {call->api, call->context};
  const pool_t pool = place->backend == SVDGRAD_BACKEND_CUDA ? (pool_t){NULL, NULL} : (pool_t){parallel_for, &threads};
  status = operation_run(place->backend, place->device, place->stream, pool, operation, d, &options->attributes, inputs,
                         outputs, work, work_bytes);
  free(own_work);
  return status ? fail_with_status(call, operation, status) : NULL;
}

static int fill_metadata(xla_call_t *call) {
  for (xla_extension_t *extension = call->extensions; extension; extension = extension->next)
    if (extension->type == XLA_EXTENSION_METADATA) {
      xla_metadata_t *metadata = ((xla_metadata_extension_t *)extension)->metadata;
      metadata->version.major = XLA_MAJOR, metadata->version.minor = XLA_MINOR;
      metadata->traits = XLA_TRAIT_COMMAND_BUFFER;
      return 1;
    }
  return 0;
}

static xla_error_t *handle(xla_call_t *call, svdgrad_backend_t backend, const operation_t *operation) {
  options_t options;
  buffers_t buffers;
  dimensions_t d;
  place_t place;
  if (fill_metadata(call))
    return NULL;
  if (call->stage != XLA_STAGE_EXECUTE)
    return fail(call, XLA_UNIMPLEMENTED, "svdgrad: %s: there is nothing to do in stage %d", operation->name,
                call->stage);
  xla_error_t *error = read_options(call, operation, &options);
  if (!error)
    error = take_buffers(call, operation, &options, &buffers);
  if (!error)
    error = learn_dimensions(call, operation, &buffers, &d);
  for (int i = 0; !error && i < operation->input_count; i++)
    if (buffers.inputs[i])
      error =
          check_buffer(call, operation, buffers.inputs[i], operation->inputs[i], &d, &options.attributes, "input", i);
  for (int j = 0; !error && j < operation->output_count; j++)
    if (buffers.outputs[j])
      error = check_buffer(call, operation, buffers.outputs[j], operation->outputs[j], &d, &options.attributes,
                           "output", j);
  if (!error)
    error = place_of(call, backend, &place);
  if (!error)
    error = run(call, operation, &place, &options, &buffers, &d);
  if (!error && options.raise && backend != SVDGRAD_BACKEND_CUDA)
    for (int j = 0; !error && j < operation->output_count; j++)
      if (operation->outputs[j] == OPERAND_INFO)
        error = report_failures(call, &options, buffers.outputs[j], d.batch_count);
  return error;
}

/* ---- what svdgrad/jax.py calls ---- */

/* XLA does not tell a handler its name: a function for each operation. */
#define HANDLERS(i)                                                                                                    \
  static xla_error_t *on_cpu_##i(xla_call_t *call) { return handle(call, SVDGRAD_BACKEND_CPU, &operations[i]); }       \
  static xla_error_t *on_cuda_##i(xla_call_t *call) { return handle(call, SVDGRAD_BACKEND_CUDA, &operations[i]); }
#define PAIR(i)                                                                                                        \
  { on_cpu_##i, on_cuda_##i }
HANDLERS(0)
HANDLERS(1)
HANDLERS(2)
HANDLERS(3)
HANDLERS(4)
HANDLERS(5)
HANDLERS(6)
HANDLERS(7)
HANDLERS(8)
HANDLERS(9)
HANDLERS(10)
HANDLERS(11)
HANDLERS(12)
HANDLERS(13)
HANDLERS(14)
HANDLERS(15)
static const xla_handler_t handlers[][2] = {PAIR(0),  PAIR(1),  PAIR(2),  PAIR(3), PAIR(4),  PAIR(5),
                                            PAIR(6),  PAIR(7),  PAIR(8),  PAIR(9), PAIR(10), PAIR(11),
                                            PAIR(12), PAIR(13), PAIR(14), PAIR(15)};
enum { HANDLER_COUNT = sizeof handlers / sizeof *handlers };

VISIBLE int svdgrad_xla_operation_count(void);
VISIBLE const char *svdgrad_xla_operation(int index, int32_t kinds[MOST_INPUTS + MOST_OUTPUTS], int32_t counts[2]);
VISIBLE xla_handler_t svdgrad_xla_handler(int index, int is_cuda);
VISIBLE int64_t svdgrad_xla_workspace(int index, int is_cuda, int dtype, int64_t m, int64_t n, int64_t batch_count,
                                      const attributes_t *attributes, uint32_t outputs);
VISIBLE const char *svdgrad_xla_message(void);

int svdgrad_xla_operation_count(void) { return operation_count < HANDLER_COUNT ? operation_count : HANDLER_COUNT; }

/* Name of an operation, the kinds of its inputs and then of its outputs, and the numbers of both. */
const char *svdgrad_xla_operation(int index, int32_t kinds[MOST_INPUTS + MOST_OUTPUTS], int32_t counts[2]) {
  const operation_t *operation = &operations[index];
  counts[0] = operation->input_count, counts[1] = operation->output_count;
  for (int i = 0; i < operation->input_count; i++)
    kinds[i] = (int32_t)operation->inputs[i];
  for (int j = 0; j < operation->output_count; j++)
    kinds[operation->input_count + j] = (int32_t)operation->outputs[j];
  return operation->name;
}

xla_handler_t svdgrad_xla_handler(int index, int is_cuda) { return handlers[index][is_cuda != 0]; }

/* Bytes of workspace; -1 where the library has a reason against it, see svdgrad_xla_message(). */
int64_t svdgrad_xla_workspace(int index, int is_cuda, int dtype, int64_t m, int64_t n, int64_t batch_count,
                              const attributes_t *attributes, uint32_t outputs) {
  const dimensions_t d = {(svdgrad_dtype_t)dtype, m, n, batch_count};
  operand_t operands[MOST_OUTPUTS] = {{NULL, 0, {0, 0}}};
  size_t bytes = 0;
  for (int j = 0; j < operations[index].output_count; j++)
    operands[j].data = outputs >> j & 1U ? no_elements : NULL;
  const svdgrad_status_t status = operation_workspace(is_cuda ? SVDGRAD_BACKEND_CUDA : SVDGRAD_BACKEND_CPU, 0,
                                                      &operations[index], &d, attributes, operands, &bytes);
  return status ? -1 : (int64_t)bytes;
}

const char *svdgrad_xla_message(void) { return svdgrad_last_error_message(); }
