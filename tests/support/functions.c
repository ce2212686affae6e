/* SPDX-License-Identifier: BSD-3-Clause */
#include "functions.h"

#include "device.h"
#include "random.h"
#include "workspace.h"

#include <string.h>

const svdgrad_op_t functions_ops[FUNCTIONS_OP_COUNT] = {
    SVDGRAD_OP_SVD_JVP,
    SVDGRAD_OP_SVD_BACKWARD_BACKWARD,
    SVDGRAD_OP_MATRIX_FUNCTION,
    SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD,
    SVDGRAD_OP_NORM,
    SVDGRAD_OP_NORM_GRADIENT,
    SVDGRAD_OP_DETERMINANT,
    SVDGRAD_OP_DETERMINANT_GRADIENT,
};

const char *functions_op_name(svdgrad_op_t op) {
  switch (op) {
  case SVDGRAD_OP_SVD_JVP: return "svdgrad_svd_jvp";
  case SVDGRAD_OP_SVD_BACKWARD_BACKWARD: return "svdgrad_svd_backward_backward";
  case SVDGRAD_OP_MATRIX_FUNCTION: return "svdgrad_matrix_function";
  case SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD: return "svdgrad_matrix_function_backward";
  case SVDGRAD_OP_DETERMINANT:
  case SVDGRAD_OP_DETERMINANT_GRADIENT: return "svdgrad_determinant";
  default: return "svdgrad_norm";
  }
}

const char *functions_operand_name(int operand) {
  static const char *const names[] = {"dA",    "dS", "dU",  "dVh",  "Y",       "gY",    "f",      "df",
                                      "value", "g",  "det", "sign", "log_abs", "g_det", "g_sign", "g_log_abs"};
  return operand < OPERAND_COUNT ? operand_name((fixture_operand_t)operand) : names[operand - OPERAND_COUNT];
}

buffer_t *functions_operand(functions_t *x, int operand) {
  buffer_t *const operands[] = {&x->dA,      &x->dS,          &x->dU,     &x->dVh,      &x->Y,   &x->gY,
                                &x->values,  &x->derivatives, &x->value,  &x->g,        &x->det, &x->sign,
                                &x->log_abs, &x->g_det,       &x->g_sign, &x->g_log_abs};
  return operand < OPERAND_COUNT ? fixture_operand(&x->f, (fixture_operand_t)operand)
                                 : operands[operand - OPERAND_COUNT];
}

/* Sets of operands. */
enum {
  FACTORS = ABSENT(OPERAND_S) | ABSENT(OPERAND_U) | ABSENT(OPERAND_VH),
  COTANGENTS = ABSENT(OPERAND_GS) | ABSENT(OPERAND_GU) | ABSENT(OPERAND_GVH),
  TANGENTS = ABSENT(OPERAND_DS) | ABSENT(OPERAND_DU) | ABSENT(OPERAND_DVH),
  DETERMINANTS = ABSENT(OPERAND_DET) | ABSENT(OPERAND_SIGN) | ABSENT(OPERAND_LOG_ABS)
};

static unsigned inputs_of(svdgrad_op_t op) {
  switch (op) {
  case SVDGRAD_OP_SVD_JVP: return ABSENT(OPERAND_A) | FACTORS | ABSENT(OPERAND_DA);
  case SVDGRAD_OP_SVD_BACKWARD_BACKWARD: return FACTORS | COTANGENTS | ABSENT(OPERAND_DA);
  case SVDGRAD_OP_MATRIX_FUNCTION: return FACTORS | ABSENT(OPERAND_F);
  case SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD:
    return FACTORS | ABSENT(OPERAND_GY) | ABSENT(OPERAND_F) | ABSENT(OPERAND_DF);
  case SVDGRAD_OP_DETERMINANT:
  case SVDGRAD_OP_DETERMINANT_GRADIENT:
    return ABSENT(OPERAND_A) | ABSENT(OPERAND_G_DET) | ABSENT(OPERAND_G_SIGN) | ABSENT(OPERAND_G_LOG_ABS);
  default: return ABSENT(OPERAND_A) | ABSENT(OPERAND_G);
  }
}

static unsigned outputs_of(svdgrad_op_t op) {
  switch (op) {
  case SVDGRAD_OP_SVD_JVP: return TANGENTS;
  case SVDGRAD_OP_SVD_BACKWARD_BACKWARD: return TANGENTS | ABSENT(OPERAND_GA);
  case SVDGRAD_OP_MATRIX_FUNCTION: return ABSENT(OPERAND_Y);
  case SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD: return ABSENT(OPERAND_GA);
  case SVDGRAD_OP_NORM: return ABSENT(OPERAND_VALUE);
  case SVDGRAD_OP_DETERMINANT: return DETERMINANTS;
  case SVDGRAD_OP_DETERMINANT_GRADIENT: return DETERMINANTS | ABSENT(OPERAND_GA);
  default: return ABSENT(OPERAND_VALUE) | ABSENT(OPERAND_GA);
  }
}

functions_role_t functions_role(const functions_t *x, svdgrad_op_t op, int operand) {
  const int custom = x->function.kind == SVDGRAD_FUNCTION_CUSTOM;
  if ((operand == OPERAND_F || operand == OPERAND_DF) && !custom)
    return ROLE_NONE;
  return inputs_of(op) & ABSENT(operand) ? ROLE_INPUT : outputs_of(op) & ABSENT(operand) ? ROLE_OUTPUT : ROLE_NONE;
}

functions_t functions_make(svdgrad_backend_t backend, const svdgrad_desc_t *desc, svdgrad_form_t form,
                           layout_t layout) {
  placement_t placement[FUNCTIONS_OPERAND_COUNT];
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++)
    placement[i] = (placement_t){layout, 0};
  return functions_make_placed(backend, desc, form, placement);
}

functions_t functions_make_placed(svdgrad_backend_t backend, const svdgrad_desc_t *desc, svdgrad_form_t form,
                                  const placement_t placement[FUNCTIONS_OPERAND_COUNT]) {
  const svdgrad_function_t function = SVDGRAD_FUNCTION_INIT;
  functions_t x = {.f = fixture_make_placed(backend, desc, placement), .function = function, .p = 2};
  const fixture_t *f = &x.f;
  const int64_t rows = form == SVDGRAD_FORM_UVH ? desc->m : desc->n;
  const svdgrad_dtype_t dtype = desc->dtype, real = dtype_real(dtype);
  x.function.form = form;
  const struct {
    svdgrad_dtype_t dtype;
    int64_t rows, cols;
  } shape[] = {{dtype, desc->m, desc->n},
               {real, f->S.rows, 1},
               {dtype, desc->m, f->U.cols},
               {dtype, f->Vh.rows, desc->n},
               {dtype, rows, desc->n},
               {dtype, rows, desc->n},
               {real, f->S.rows, 1},
               {real, f->S.rows, 1},
               {real, 1, 1},
               {real, 1, 1},
               {dtype, 1, 1},
               {dtype, 1, 1},
               {real, 1, 1},
               {dtype, 1, 1},
               {dtype, 1, 1},
               {real, 1, 1}};
  for (int i = OPERAND_COUNT; i < FUNCTIONS_OPERAND_COUNT; i++) {
    const int at = i - OPERAND_COUNT;
    *functions_operand(&x, i) = buffer_make(shape[at].dtype, shape[at].rows, shape[at].cols, desc->batch_count,
                                            placement[i].layout, placement[i].broadcast);
  }
  return x;
}

void functions_free(functions_t *x) {
  for (int i = OPERAND_COUNT; i < FUNCTIONS_OPERAND_COUNT; i++)
    buffer_free(functions_operand(x, i));
  fixture_free(&x->f);
}

/* The operands of one call, where the backend wants them; NULL where absent. */
typedef struct placed {
  svdgrad_matrix_t matrices[FUNCTIONS_OPERAND_COUNT];
  svdgrad_vector_t vectors[FUNCTIONS_OPERAND_COUNT];
  const svdgrad_matrix_t *matrix[FUNCTIONS_OPERAND_COUNT];
  const svdgrad_vector_t *vector[FUNCTIONS_OPERAND_COUNT];
} placed_t;

static void place(device_call_t *call, functions_t *x, svdgrad_op_t op, unsigned absent, placed_t *placed) {
  memset(placed, 0, sizeof *placed);
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++) {
    if (functions_role(x, op, i) == ROLE_NONE || absent & ABSENT(i))
      continue;
    const buffer_t *buffer = functions_operand(x, i);
    placed->matrices[i] = device_call_matrix(call, buffer);
    placed->vectors[i] =
        (svdgrad_vector_t){placed->matrices[i].data, buffer->vector.stride, buffer->vector.batch_stride};
    placed->matrix[i] = &placed->matrices[i];
    placed->vector[i] = &placed->vectors[i];
  }
}

static svdgrad_status_t call_derivative(const functions_t *x, svdgrad_op_t op, const placed_t *o, double alpha,
                                        double beta, svdgrad_report_t *report, void *stream, void *work, size_t bytes) {
  const svdgrad_matrix_t *const *X = o->matrix;
  const svdgrad_vector_t *const *v = o->vector;
  const fixture_t *f = &x->f;
  if (op == SVDGRAD_OP_SVD_JVP)
    return svdgrad_svd_jvp(f->handle, stream, &f->desc, X[OPERAND_A], v[OPERAND_S], X[OPERAND_U], X[OPERAND_VH],
                           X[OPERAND_DA], v[OPERAND_DS], X[OPERAND_DU], X[OPERAND_DVH], report, work, bytes);
  return svdgrad_svd_backward_backward(f->handle, stream, &f->desc, v[OPERAND_S], X[OPERAND_U], X[OPERAND_VH],
                                       v[OPERAND_GS], X[OPERAND_GU], X[OPERAND_GVH], X[OPERAND_DA], v[OPERAND_DS],
                                       X[OPERAND_DU], X[OPERAND_DVH], alpha, beta, X[OPERAND_GA], report, work, bytes);
}

static svdgrad_status_t call_function(const functions_t *x, svdgrad_op_t op, const placed_t *o, unsigned absent,
                                      double alpha, double beta, svdgrad_report_t *report, void *stream, void *work,
                                      size_t bytes) {
  const svdgrad_matrix_t *const *X = o->matrix;
  const fixture_t *f = &x->f;
  svdgrad_function_t function = x->function;
  function.f = o->vectors[OPERAND_F];
  if (op == SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD)
    function.df = o->vectors[OPERAND_DF];
  const svdgrad_function_t *given = absent & ABSENT(OPERAND_FUNCTION) ? NULL : &function;
  if (op == SVDGRAD_OP_MATRIX_FUNCTION)
    return svdgrad_matrix_function(f->handle, stream, &f->desc, given, o->vector[OPERAND_S], X[OPERAND_U],
                                   X[OPERAND_VH], X[OPERAND_Y], work, bytes);
  return svdgrad_matrix_function_backward(f->handle, stream, &f->desc, given, o->vector[OPERAND_S], X[OPERAND_U],
                                          X[OPERAND_VH], X[OPERAND_GY], alpha, beta, X[OPERAND_GA], report, work,
                                          bytes);
}

static svdgrad_status_t call_determinant(const functions_t *x, const placed_t *o, double alpha, double beta,
                                         int32_t *info, void *stream, void *work, size_t bytes) {
  const svdgrad_vector_t *const *v = o->vector;
  return svdgrad_determinant(x->f.handle, stream, &x->f.desc, o->matrix[OPERAND_A], v[OPERAND_DET], v[OPERAND_SIGN],
                             v[OPERAND_LOG_ABS], v[OPERAND_G_DET], v[OPERAND_G_SIGN], v[OPERAND_G_LOG_ABS], alpha, beta,
                             o->matrix[OPERAND_GA], info, work, bytes);
}

static int is_determinant(svdgrad_op_t op) {
  return op == SVDGRAD_OP_DETERMINANT || op == SVDGRAD_OP_DETERMINANT_GRADIENT;
}

svdgrad_status_t functions_call(const functions_t *given, svdgrad_op_t op, unsigned absent, double alpha, double beta,
                                void *work, size_t bytes) {
  functions_t x = *given; /* functions_operand wants it mutable */
  placed_t o;
  device_call_t call = device_call_begin(x.f.backend);
  place(&call, &x, op, absent, &o);
  const size_t words = (size_t)x.f.desc.batch_count + 1;
  const int is_norm = op == SVDGRAD_OP_NORM || op == SVDGRAD_OP_NORM_GRADIENT;
  const int has_info = is_norm || is_determinant(op);
  int32_t *info = has_info ? device_call_memory(&call, x.f.info, words * sizeof *info) : NULL;
  svdgrad_report_t *report = has_info ? NULL : device_call_memory(&call, x.f.report, words * sizeof *report);
  if (absent & ABSENT(OPERAND_REPORT))
    report = NULL;
  if (absent & ABSENT(OPERAND_INFO))
    info = NULL;
  void *placed_work = device_call_memory(&call, work, bytes);
  svdgrad_status_t status;
  if (is_norm)
    status = svdgrad_norm(x.f.handle, call.stream, &x.f.desc, x.norm, x.p, o.matrix[OPERAND_A], o.vector[OPERAND_VALUE],
                          o.vector[OPERAND_G], alpha, beta, o.matrix[OPERAND_GA], info, placed_work, bytes);
  else if (is_determinant(op))
    status = call_determinant(&x, &o, alpha, beta, info, call.stream, placed_work, bytes);
  else if (op == SVDGRAD_OP_MATRIX_FUNCTION || op == SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD)
    status = call_function(&x, op, &o, absent, alpha, beta, report, call.stream, placed_work, bytes);
  else
    status = call_derivative(&x, op, &o, alpha, beta, report, call.stream, placed_work, bytes);
  device_call_end(&call);
  return status;
}

svdgrad_status_t functions_run(functions_t *x, svdgrad_op_t op, unsigned absent, double alpha, double beta) {
  workspace_t w = workspace_make(x->f.handle, op, &x->f.desc, x->f.fill);
  const svdgrad_status_t status = functions_call(x, op, absent, alpha, beta, w.bytes ? w.work : NULL, w.bytes);
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++)
    if (functions_role(x, op, i) == ROLE_OUTPUT)
      x->f.intact &= buffer_padding_intact(functions_operand(x, i));
  x->f.intact &= workspace_free(&w);
  return status;
}

void functions_fill(functions_t *x, int64_t b, uint64_t seed) {
  fixture_fill(&x->f, b, seed);
  random_t random = random_seed(seed + 1000);
  static const int inputs[] = {OPERAND_DA, OPERAND_GY,    OPERAND_F,      OPERAND_DF,
                               OPERAND_G,  OPERAND_G_DET, OPERAND_G_SIGN, OPERAND_G_LOG_ABS};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
    const buffer_t *buffer = functions_operand(x, inputs[i]);
    dense_t X = random_matrix(&random, buffer->rows, buffer->cols, dtype_is_complex(buffer->dtype));
    buffer_store(buffer, b, &X);
    dense_free(&X);
  }
}

int functions_same(functions_t *x, int64_t bx, functions_t *y, int64_t by, svdgrad_op_t op) {
  int same = 1;
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++)
    if (functions_role(x, op, i) == ROLE_OUTPUT)
      same &= buffer_same_bits(functions_operand(x, i), bx, functions_operand(y, i), by);
  switch (op) {
  case SVDGRAD_OP_NORM:
  case SVDGRAD_OP_NORM_GRADIENT:
  case SVDGRAD_OP_DETERMINANT:
  case SVDGRAD_OP_DETERMINANT_GRADIENT: return same && x->f.info[bx] == y->f.info[by];
  case SVDGRAD_OP_MATRIX_FUNCTION: return same;
  default: return same && memcmp(&x->f.report[bx], &y->f.report[by], sizeof *x->f.report) == 0;
  }
}
