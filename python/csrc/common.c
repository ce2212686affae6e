/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

#include <pthread.h>
#include <string.h>

char no_elements[1];

const char *const integer_attribute_names[INTEGER_ATTRIBUTES] = {
    "rank", "full_matrices", "algo", "gap_policy", "kind", "form", "relative", "iterations", "batch_invariant"};
const char *const real_attribute_names[REAL_ATTRIBUTES] = {"gap_param", "param", "null_value"};

/* ---- operands as the library takes them ---- */

/* Pointers to operand i, NULL where it is absent. */
#define MATRIX(list, i)                                                                                                \
  ((list)[i].data                                                                                                      \
       ? &(svdgrad_matrix_t){(list)[i].data, (list)[i].strides[0], (list)[i].strides[1], (list)[i].batch_stride}       \
       : NULL)
#define VECTOR(list, i)                                                                                                \
  ((list)[i].data ? &(svdgrad_vector_t){(list)[i].data, (list)[i].strides[0], (list)[i].batch_stride} : NULL)

/* ---- the operations ---- */

#define RUN(name)                                                                                                      \
  static svdgrad_status_t run_##name(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,                \
                                     const attributes_t *attributes, const operand_t *in, const operand_t *out,        \
                                     void *work, size_t bytes)

RUN(svd) {
  (void)attributes;
  return svdgrad_svd(handle, stream, desc, MATRIX(in, 0), VECTOR(out, 0), MATRIX(out, 1), MATRIX(out, 2), out[3].data,
                     work, bytes);
}
RUN(svd_backward) {
  (void)attributes;
  return svdgrad_svd_backward(handle, stream, desc, MATRIX(in, 0), VECTOR(in, 1), MATRIX(in, 2), MATRIX(in, 3),
                              VECTOR(in, 4), MATRIX(in, 5), MATRIX(in, 6), 1, 0, MATRIX(out, 0), out[1].data, work,
                              bytes);
}
RUN(svd_jvp) {
  (void)attributes;
  return svdgrad_svd_jvp(handle, stream, desc, MATRIX(in, 0), VECTOR(in, 1), MATRIX(in, 2), MATRIX(in, 3),
                         MATRIX(in, 4), VECTOR(out, 0), MATRIX(out, 1), MATRIX(out, 2), out[3].data, work, bytes);
}
RUN(svd_backward_backward) {
  (void)attributes;
  return svdgrad_svd_backward_backward(handle, stream, desc, VECTOR(in, 0), MATRIX(in, 1), MATRIX(in, 2), VECTOR(in, 3),
                                       MATRIX(in, 4), MATRIX(in, 5), MATRIX(in, 6), VECTOR(out, 0), MATRIX(out, 1),
                                       MATRIX(out, 2), 1, 0, MATRIX(out, 3), out[4].data, work, bytes);
}

static svdgrad_function_t function_of(const attributes_t *attributes, operand_t f, operand_t df) {
  svdgrad_function_t function = SVDGRAD_FUNCTION_INIT;
  function.kind = (svdgrad_function_kind_t)attributes->kind;
  function.form = (svdgrad_form_t)attributes->form;
  function.param = attributes->param;
  function.relative = (int32_t)attributes->relative;
  function.null_value = attributes->null_value;
  function.f = (svdgrad_vector_t){f.data, f.strides[0], f.batch_stride};
  function.df = (svdgrad_vector_t){df.data, df.strides[0], df.batch_stride};
  return function;
}
RUN(function) {
  const svdgrad_function_t function = function_of(attributes, in[3], in[4]);
  return svdgrad_matrix_function(handle, stream, desc, &function, VECTOR(in, 0), MATRIX(in, 1), MATRIX(in, 2),
                                 MATRIX(out, 0), work, bytes);
}
RUN(function_backward) {
  const svdgrad_function_t function = function_of(attributes, in[4], in[5]);
  return svdgrad_matrix_function_backward(handle, stream, desc, &function, VECTOR(in, 0), MATRIX(in, 1), MATRIX(in, 2),
                                          MATRIX(in, 3), 1, 0, MATRIX(out, 0), out[1].data, work, bytes);
}
RUN(norm) {
  return svdgrad_norm(handle, stream, desc, (svdgrad_norm_kind_t)attributes->kind, attributes->param, MATRIX(in, 0),
                      VECTOR(out, 0), VECTOR(in, 1), 1, 0, MATRIX(out, 1), out[2].data, work, bytes);
}
RUN(determinant) {
  (void)attributes;
  return svdgrad_determinant(handle, stream, desc, MATRIX(in, 0), VECTOR(out, 0), VECTOR(out, 1), VECTOR(out, 2),
                             VECTOR(in, 1), VECTOR(in, 2), VECTOR(in, 3), 1, 0, MATRIX(out, 3), out[4].data, work,
                             bytes);
}
RUN(power_iteration) {
  return svdgrad_power_iteration(handle, stream, desc, MATRIX(in, 0), (int32_t)attributes->iterations, VECTOR(out, 0),
                                 VECTOR(out, 1), VECTOR(out, 2), VECTOR(out, 3), out[4].data, work, bytes);
}
RUN(spectral_normalize) {
  return svdgrad_spectral_normalize(handle, stream, desc, MATRIX(in, 0), (int32_t)attributes->iterations,
                                    VECTOR(out, 0), VECTOR(out, 1), VECTOR(out, 2), VECTOR(out, 3), MATRIX(out, 4),
                                    out[5].data, work, bytes);
}
RUN(spectral_normalize_backward) {
  (void)attributes;
  return svdgrad_spectral_normalize_backward(handle, stream, desc, MATRIX(in, 0), VECTOR(in, 1), VECTOR(in, 2),
                                             VECTOR(in, 3), MATRIX(in, 4), 1, 0, MATRIX(out, 0), work, bytes);
}

/* What the size of the workspace is asked for. */
#define OP(name, value)                                                                                                \
  static svdgrad_op_t op_##name(const operand_t *out) {                                                                \
    (void)out;                                                                                                         \
    return value;                                                                                                      \
  }
OP(svd, out[1].data || out[2].data ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS)
OP(svd_backward, SVDGRAD_OP_SVD_BACKWARD)
OP(svd_jvp, SVDGRAD_OP_SVD_JVP)
OP(svd_backward_backward, SVDGRAD_OP_SVD_BACKWARD_BACKWARD)
OP(function, SVDGRAD_OP_MATRIX_FUNCTION)
OP(function_backward, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD)
OP(norm, out[1].data ? SVDGRAD_OP_NORM_GRADIENT : SVDGRAD_OP_NORM)
OP(determinant, out[3].data ? SVDGRAD_OP_DETERMINANT_GRADIENT : SVDGRAD_OP_DETERMINANT)
OP(power_iteration, SVDGRAD_OP_POWER_ITERATION)
OP(spectral_normalize, SVDGRAD_OP_SPECTRAL_NORMALIZE)
OP(spectral_normalize_backward, SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD)

#define A           OPERAND_A
#define S           OPERAND_S
#define U           OPERAND_U
#define VH          OPERAND_VH
#define Y           OPERAND_Y
#define LEFT        OPERAND_LEFT
#define RIGHT       OPERAND_RIGHT
#define REAL        OPERAND_REAL
#define NUMBER      OPERAND_NUMBER
#define INFO        OPERAND_INFO
#define REPORT      OPERAND_REPORT
#define CALLS(name) op_##name, run_##name

/* Inputs; outputs; which inputs and outputs may be absent; outputs that start as copies. */
/* clang-format off */
const operation_t operations[] = {
  /* A -> S, U, Vh, info */
  {"svd", 1, 4, {A}, {S, U, VH, INFO}, 0, 6, 0, CALLS(svd)},
  /* A (only for rank < k), S, U, Vh, gS, gU, gVh -> gA, report */
  {"svd_backward", 7, 2, {A, S, U, VH, S, U, VH}, {A, REPORT}, 1 | 0x70, 2, 0, CALLS(svd_backward)},
  /* A (only for rank < k), S, U, Vh, dA -> dS, dU, dVh, report */
  {"svd_jvp", 5, 4, {A, S, U, VH, A}, {S, U, VH, REPORT}, 1, 0xF, 0, CALLS(svd_jvp)},
  /* S, U, Vh, gS, gU, gVh, ggA -> ggS, ggU, ggVh, gA, report */
  {"svd_backward_backward", 7, 5, {S, U, VH, S, U, VH, A}, {S, U, VH, A, REPORT}, 0x38, 0x1F, 0,
   CALLS(svd_backward_backward)},
  /* S, U, Vh, f, df (only for the kind CUSTOM) -> Y */
  {"function", 5, 1, {S, U, VH, S, S}, {Y}, 0x18, 0, 0, CALLS(function)},
  /* S, U, Vh, gY, f, df -> gA, report */
  {"function_backward", 6, 2, {S, U, VH, Y, S, S}, {A, REPORT}, 0x30, 2, 0, CALLS(function_backward)},
  /* A, g -> value, gA, info */
  {"norm", 2, 3, {A, REAL}, {REAL, A, INFO}, 2, 2, 0, CALLS(norm)},
  /* A, g_det, g_sign, g_log_abs -> det, sign, log_abs, gA, info */
  {"determinant", 4, 5, {A, NUMBER, NUMBER, REAL}, {NUMBER, NUMBER, REAL, A, INFO}, 0xE, 0xF, 0, CALLS(determinant)},
  /* A, u, v -> u, v, sigma, residual, info */
  {"power_iteration", 3, 5, {A, LEFT, RIGHT}, {LEFT, RIGHT, REAL, REAL, INFO}, 0, 8, 3, CALLS(power_iteration)},
  /* A, u, v -> u, v, sigma, residual, Y, info */
  {"spectral_normalize", 3, 6, {A, LEFT, RIGHT}, {LEFT, RIGHT, REAL, REAL, A, INFO}, 0, 8, 3, CALLS(spectral_normalize)},
  /* A, u, v, sigma, gY -> gA */
  {"spectral_normalize_backward", 5, 1, {A, LEFT, RIGHT, REAL, A}, {A}, 0, 0, 0, CALLS(spectral_normalize_backward)},
};
/* clang-format on */
const int operation_count = sizeof operations / sizeof *operations;

#undef A
#undef S
#undef U
#undef VH
#undef Y
#undef LEFT
#undef RIGHT
#undef REAL
#undef NUMBER
#undef INFO
#undef REPORT

const operation_t *operation_find(const char *name) {
  for (int i = 0; i < operation_count; i++)
    if (strcmp(operations[i].name, name) == 0)
      return &operations[i];
  return NULL;
}

/* ---- shapes ---- */

int operand_rank(operand_kind_t kind) {
  switch (kind) {
  case OPERAND_A:
  case OPERAND_U:
  case OPERAND_VH:
  case OPERAND_Y: return 2;
  case OPERAND_REAL:
  case OPERAND_NUMBER:
  case OPERAND_INFO: return 0;
  default: return 1;
  }
}

int operand_is_real(operand_kind_t kind) { return kind == OPERAND_S || kind == OPERAND_REAL; }

void operand_extents(operand_kind_t kind, const dimensions_t *d, const attributes_t *attributes, int64_t extents[2]) {
  const int64_t m = d->m, n = d->n, k = m < n ? m : n, r = attributes->rank > 0 ? attributes->rank : k;
  const int64_t of_U = attributes->full_matrices ? m : r, of_Vh = attributes->full_matrices ? n : r;
  const int64_t all[OPERAND_KINDS][2] = {
      [OPERAND_A] = {m, n},
      [OPERAND_S] = {r, 1},
      [OPERAND_U] = {m, of_U},
      [OPERAND_VH] = {of_Vh, n},
      [OPERAND_Y] = {attributes->form == SVDGRAD_FORM_VVH ? n : m, n},
      [OPERAND_LEFT] = {m, 1},
      [OPERAND_RIGHT] = {n, 1},
      [OPERAND_REAL] = {1, 1},
      [OPERAND_NUMBER] = {1, 1},
      [OPERAND_INFO] = {1, 1},
      [OPERAND_REPORT] = {REPORT_BYTES, 1},
  };
  extents[0] = all[kind][0], extents[1] = all[kind][1];
}

void dimensions_learn(dimensions_t *d, operand_kind_t kind, const int64_t *extents) {
  if (kind == OPERAND_A || kind == OPERAND_U)
    d->m = extents[0];
  if (kind == OPERAND_A || kind == OPERAND_VH)
    d->n = extents[1];
}

operand_t operand_packed(void *data, operand_kind_t kind, const dimensions_t *d, const attributes_t *attributes) {
  int64_t extents[2];
  operand_extents(kind, d, attributes, extents);
  const int64_t columns = operand_rank(kind) == 2 ? extents[1] : 1;
  return (operand_t){data, extents[0] * columns, {columns, 1}};
}

/* ---- calls ---- */

enum { MOST_DEVICES = 64 };

/* A handle lasts as long as the process: frameworks call until the end.  Any number of threads may use it. */
svdgrad_handle_t handle_of(svdgrad_backend_t backend, int device) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static svdgrad_handle_t handles[SVDGRAD_BACKEND_CUDA + 1][MOST_DEVICES];
  if (device < 0 || device >= MOST_DEVICES)
    return NULL;
  svdgrad_handle_t *handle = &handles[backend][device];
  svdgrad_handle_t found = __atomic_load_n(handle, __ATOMIC_ACQUIRE);
  if (found)
    return found;
  (void)pthread_mutex_lock(&mutex);
  if (!*handle && svdgrad_create(backend, device, &found) == SVDGRAD_STATUS_SUCCESS)
    __atomic_store_n(handle, found, __ATOMIC_RELEASE);
  found = *handle;
  (void)pthread_mutex_unlock(&mutex);
  return found;
}

static svdgrad_desc_t desc_of(const dimensions_t *d, const attributes_t *attributes, pool_t pool) {
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.dtype = d->dtype, desc.algo = (svdgrad_algo_t)attributes->algo;
  desc.m = d->m, desc.n = d->n, desc.batch_count = d->batch_count;
  desc.rank = attributes->rank, desc.full_matrices = (int32_t)attributes->full_matrices;
  desc.gap_policy = (svdgrad_gap_policy_t)attributes->gap_policy, desc.gap_param = attributes->gap_param;
  desc.parallel_for = pool.run, desc.pool = pool.pool;
  desc.batch_invariant = (int32_t)attributes->batch_invariant;
  return desc;
}

svdgrad_status_t operation_workspace(svdgrad_backend_t backend, int device, const operation_t *operation,
                                     const dimensions_t *d, const attributes_t *attributes, const operand_t *outputs,
                                     size_t *bytes) {
  const svdgrad_desc_t desc = desc_of(d, attributes, (pool_t){NULL, NULL});
  const svdgrad_handle_t handle = handle_of(backend, device);
  return handle ? svdgrad_workspace_size(handle, operation->op(outputs), &desc, bytes)
                : SVDGRAD_STATUS_BACKEND_UNAVAILABLE;
}

static size_t size_of(svdgrad_dtype_t dtype) { return dtype == SVDGRAD_F32 ? 4 : dtype == SVDGRAD_C128 ? 16 : 8; }

/* The start of an iteration, into the output that it updates.  A border of a device makes the output the input. */
static svdgrad_status_t copy_start(svdgrad_backend_t backend, const dimensions_t *d, int64_t length, operand_t from,
                                   operand_t to) {
  const int64_t size = (int64_t)size_of(d->dtype);
  if (to.data == from.data || d->batch_count == 0)
    return SVDGRAD_STATUS_SUCCESS;
  if (backend == SVDGRAD_BACKEND_CUDA)
    return SVDGRAD_STATUS_NOT_SUPPORTED;
  for (int64_t b = 0; b < d->batch_count; b++)
    for (int64_t i = 0; i < length; i++)
      memcpy((char *)to.data + size * (b * to.batch_stride + i * to.strides[0]),
             (const char *)from.data + size * (b * from.batch_stride + i * from.strides[0]), (size_t)size);
  return SVDGRAD_STATUS_SUCCESS;
}

svdgrad_status_t operation_run(svdgrad_backend_t backend, int device, void *stream, pool_t pool,
                               const operation_t *operation, const dimensions_t *d, const attributes_t *attributes,
                               const operand_t *inputs, const operand_t *outputs, void *work, size_t work_bytes) {
  const svdgrad_desc_t desc = desc_of(d, attributes, pool);
  const svdgrad_handle_t handle = handle_of(backend, device);
  if (!handle)
    return SVDGRAD_STATUS_BACKEND_UNAVAILABLE;
  for (int i = 0; i < operation->output_count; i++)
    if (operation->updated >> i & 1U) {
      const int64_t length = operation->outputs[i] == OPERAND_LEFT ? d->m : d->n;
      const svdgrad_status_t status = copy_start(backend, d, length, inputs[i + 1], outputs[i]);
      if (status)
        return status;
    }
  return operation->run(handle, stream, &desc, attributes, inputs, outputs, work, work_bytes);
}
