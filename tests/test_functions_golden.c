/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations beyond the SVD against golden vectors (vectors/generate_functions.py): tangents, second derivatives,
 * functions of the singular values, norms and spectral normalization, on every backend and type that can hold a
 * case. */
#include "device.h"
#include "function_golden.h"
#include "ratios.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 256, CANARY = 0x5A, OPERANDS = 12 };

/* An operand in host memory, and as the library gets it. */
typedef struct operand {
  buffer_t buffer;
  svdgrad_matrix_t matrix;
  svdgrad_vector_t vector;
} operand_t;

/* One case on one backend in one type: its operands, and the call that is being made with them. */
typedef struct trial {
  const char *name;
  svdgrad_backend_t backend;
  svdgrad_handle_t handle;
  svdgrad_desc_t desc;
  int is_complex; /* the case has complex arrays */
  int count;
  operand_t operand[OPERANDS];
  int32_t info[2]; /* and a canary after it */
  device_call_t call;
  unsigned char *memory, *guarded; /* the workspace between two guards */
  size_t bytes;
  void *work; /* of the call, like device_info */
  int32_t *device_info;
} trial_t;

static trial_t trial_make(svdgrad_backend_t backend, svdgrad_dtype_t dtype, const char *name, int is_complex) {
  trial_t t = {.name = name, .backend = backend, .is_complex = is_complex, .desc = make_desc(dtype, 0, 0, 1)};
  if (backend == SVDGRAD_BACKEND_REF) /* the reference has one algorithm */
    t.desc.algo = SVDGRAD_ALGO_AUTO;
  cr_assert_eq(svdgrad_create(backend, 0, &t.handle), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  return t;
}

static void trial_free(trial_t *t) {
  for (int i = 0; i < t->count; i++)
    buffer_free(&t->operand[i].buffer);
  (void)svdgrad_destroy(t->handle);
}

static void set(const buffer_t *buffer, const double *array, int is_complex) {
  for (int64_t i = 0; i < buffer->rows; i++)
    for (int64_t j = 0; j < buffer->cols; j++) {
      const int64_t at = i * buffer->cols + j;
      buffer_set(buffer, 0, i, j, is_complex ? CMPLXL(array[2 * at], array[2 * at + 1]) : (z_t)array[at]);
    }
}

static operand_t *append(trial_t *t, svdgrad_dtype_t dtype, int64_t rows, int64_t cols) {
  operand_t *x = &t->operand[t->count++];
  x->buffer = buffer_make(dtype, rows, cols, 1, LAYOUT_ROW_MAJOR, 0);
  return x;
}

/* An operand of the element type, or of the real one; array NULL: an output. */
static operand_t *element_operand(trial_t *t, int64_t rows, int64_t cols, const double *array) {
  operand_t *x = append(t, t->desc.dtype, rows, cols);
  if (array)
    set(&x->buffer, array, t->is_complex);
  return x;
}

static operand_t *real_operand(trial_t *t, int64_t rows, const double *array) {
  operand_t *x = append(t, dtype_real(t->desc.dtype), rows, 1);
  if (array)
    set(&x->buffer, array, 0);
  return x;
}

static void workspace_begin(trial_t *t, svdgrad_op_t op) {
  cr_assert_eq(svdgrad_workspace_size(t->handle, op, &t->desc, &t->bytes), SVDGRAD_STATUS_SUCCESS, "%s: %s", t->name,
               svdgrad_last_error_message());
  t->memory = malloc(t->bytes + 3 * GUARD);
  cr_assert_not_null(t->memory);
  memset(t->memory, CANARY, t->bytes + 3 * GUARD);
  t->guarded = t->memory + 2 * GUARD - (uintptr_t)t->memory % GUARD;
  memset(t->guarded, 0xFF, t->bytes);
  t->work = t->bytes ? device_call_memory(&t->call, t->guarded, t->bytes) : NULL;
}

/* All operands to where the backend wants them, and exactly the workspace that `op` asks for. */
static void begin(trial_t *t, svdgrad_op_t op) {
  t->call = device_call_begin(t->backend);
  for (int i = 0; i < t->count; i++) {
    operand_t *x = &t->operand[i];
    unsigned char *memory = device_call_memory(&t->call, x->buffer.memory, x->buffer.bytes);
    x->matrix = x->buffer.matrix;
    x->vector = x->buffer.vector;
    x->matrix.data = x->vector.data = memory + ((unsigned char *)x->buffer.matrix.data - x->buffer.memory);
  }
  workspace_begin(t, op);
}

/* Of a function that reports in info. */
static void begin_with_info(trial_t *t, svdgrad_op_t op) {
  begin(t, op);
  memset(t->info, CANARY, sizeof t->info);
  t->device_info = device_call_memory(&t->call, t->info, sizeof t->info);
}

static int guards_intact(const trial_t *t) {
  int intact = 1;
  for (const unsigned char *p = t->memory; p < t->memory + t->bytes + 3 * GUARD; p++)
    intact &= (p >= t->guarded && p < t->guarded + t->bytes) || *p == CANARY;
  for (int i = 0; i < t->count; i++)
    intact &= buffer_padding_intact(&t->operand[i].buffer);
  return intact;
}

static void end(trial_t *t, svdgrad_status_t status) {
  cr_assert_eq(status, SVDGRAD_STATUS_SUCCESS, "%s: %s", t->name, svdgrad_last_error_message());
  device_call_end(&t->call);
  cr_assert(guards_intact(t), "%s", t->name);
  free(t->memory);
}

/* On finite input. */
static void end_with_info(trial_t *t, svdgrad_status_t status) {
  int32_t canary;
  memset(&canary, CANARY, sizeof canary);
  end(t, status);
  cr_assert_eq(t->info[0], SVDGRAD_INFO_OK, "%s", t->name);
  cr_assert_eq(t->info[1], canary, "%s", t->name);
}

static const svdgrad_matrix_t *matrix_of(const operand_t *x) { return x ? &x->matrix : NULL; }
static const svdgrad_vector_t *vector_of(const operand_t *x) { return x ? &x->vector : NULL; }

/* |X - exact|_F / (eps bound). */
static void compare(worst_t *worst, const trial_t *t, const operand_t *X, const double *array, double bound) {
  const int is_real = X->buffer.dtype == dtype_real(t->desc.dtype);
  long double sum = 0;
  for (int64_t i = 0; i < X->buffer.rows; i++)
    for (int64_t j = 0; j < X->buffer.cols; j++) {
      const int64_t at = i * X->buffer.cols + j;
      const z_t exact = t->is_complex && !is_real ? CMPLXL(array[2 * at], array[2 * at + 1]) : (z_t)array[at];
      const long double error = cabsl(buffer_get(&X->buffer, 0, i, j) - exact);
      sum += error * error;
    }
  worst_note(worst, ratio_of(sqrtl(sum), bound * (long double)dtype_epsilon(t->desc.dtype)), "%s %s %s",
             backend_name(t->backend), dtype_name(t->desc.dtype), t->name);
}

static int within(const worst_t *worst, int count) {
  int all = 1;
  for (int i = 0; i < count; i++)
    all &= worst_within(&worst[i], RATIO_LIMIT);
  return all;
}

/* A case on every backend, in every type that can hold it. */
static void everywhere(const void *golden, const char *name, int is_complex, int double_only,
                       void (*check)(trial_t *trial, const void *golden, worst_t *worst), worst_t *worst) {
  for (int b = 0; b < test_backend_count; b++)
    for (int d = is_complex ? SVDGRAD_C64 : SVDGRAD_F32; d <= SVDGRAD_C128; d++) {
      if (double_only && dtype_real((svdgrad_dtype_t)d) == SVDGRAD_F32)
        continue;
      trial_t t = trial_make(test_backends[b], (svdgrad_dtype_t)d, name, is_complex);
      check(&t, golden, worst);
      trial_free(&t);
    }
}

/* ---- functions of the singular values ---- */

enum { FROM_FACTORS, FROM_A = 2 };

typedef struct factors {
  operand_t *A, *S, *U, *Vh;
} factors_t;

/* The factors of the case or, from_A, outputs for those that svdgrad_svd() computes. */
static factors_t function_factors(trial_t *t, const function_golden_t *g, int from_A) {
  const int64_t k = g->rank ? g->rank : g->m < g->n ? g->m : g->n;
  t->desc.m = g->m;
  t->desc.n = g->n;
  t->desc.rank = g->rank;
  t->desc.full_matrices = g->full_matrices;
  factors_t x;
  x.A = element_operand(t, g->m, g->n, g->A);
  x.S = real_operand(t, k, from_A ? NULL : g->S);
  x.U = element_operand(t, g->m, g->full_matrices ? g->m : k, from_A ? NULL : g->U);
  x.Vh = element_operand(t, g->full_matrices ? g->n : k, g->n, from_A ? NULL : g->Vh);
  if (from_A) {
    begin_with_info(t, SVDGRAD_OP_SVD);
    end_with_info(t, svdgrad_svd(t->handle, t->call.stream, &t->desc, &x.A->matrix, &x.S->vector, &x.U->matrix,
                                 &x.Vh->matrix, t->device_info, t->work, t->bytes));
  }
  return x;
}

/* worst[from] is of Y, worst[from + 1] of gA. */
static void check_function(trial_t *t, const function_golden_t *g, int from, worst_t *worst) {
  const factors_t x = function_factors(t, g, from == FROM_A);
  const int64_t rows = g->form == SVDGRAD_FORM_VVH ? g->n : g->m;
  operand_t *f = g->f ? real_operand(t, x.S->buffer.rows, g->f) : NULL;
  operand_t *df = g->df ? real_operand(t, x.S->buffer.rows, g->df) : NULL;
  operand_t *Y = element_operand(t, rows, g->n, NULL), *gY = element_operand(t, rows, g->n, g->gY);
  operand_t *gA = element_operand(t, g->m, g->n, NULL);
  svdgrad_function_t function = SVDGRAD_FUNCTION_INIT;
  function.kind = g->kind;
  function.form = g->form;
  function.param = g->param;

  begin(t, SVDGRAD_OP_MATRIX_FUNCTION);
  function.f = f ? f->vector : function.f;
  end(t, svdgrad_matrix_function(t->handle, t->call.stream, &t->desc, &function, &x.S->vector,
                                 g->form == SVDGRAD_FORM_VVH ? NULL : &x.U->matrix, &x.Vh->matrix, &Y->matrix, t->work,
                                 t->bytes));
  compare(&worst[from], t, Y, g->Y, from == FROM_A ? g->Y_error_A : g->Y_error);
  if (!g->gA)
    return;
  begin(t, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD);
  function.f = f ? f->vector : function.f;
  function.df = df ? df->vector : function.df;
  end(t, svdgrad_matrix_function_backward(t->handle, t->call.stream, &t->desc, &function, &x.S->vector, &x.U->matrix,
                                          &x.Vh->matrix, &gY->matrix, 1, 0, &gA->matrix, NULL, t->work, t->bytes));
  compare(&worst[from + 1], t, gA, g->gA, from == FROM_A ? g->gA_error_A : g->gA_error);
}

static int takes(const trial_t *t, const function_golden_t *g) {
  return g->kind != SVDGRAD_FUNCTION_ROTATION || !dtype_is_complex(t->desc.dtype);
}

static void check_function_of_factors(trial_t *t, const void *golden, worst_t *worst) {
  if (takes(t, golden))
    check_function(t, golden, FROM_FACTORS, worst);
}

/* The same from the library's factors, which may differ from the golden ones; the function of A may not. */
static void check_function_of_A(trial_t *t, const void *golden, worst_t *worst) {
  const function_golden_t *g = golden;
  if (takes(t, g) && g->Y_error_A > 0)
    check_function(t, g, FROM_A, worst);
}

Test(functions_golden, matrix_function) {
  worst_t worst[] = {worst_make("function Y"), worst_make("function gA"), worst_make("function Y from A"),
                     worst_make("function gA from A")};
  for (int c = 0; c < function_golden_count; c++) {
    const function_golden_t *g = &function_golden[c];
    everywhere(g, g->name, g->is_complex, g->double_only, check_function_of_factors, worst);
    everywhere(g, g->name, g->is_complex, g->double_only, check_function_of_A, worst);
  }
  cr_expect(within(worst, 4));
}

/* ---- tangents ---- */

static void check_jvp(trial_t *t, const void *golden, worst_t *worst) {
  const jvp_golden_t *g = golden;
  const int64_t k = g->rank ? g->rank : g->m < g->n ? g->m : g->n;
  const int64_t U_cols = g->full_matrices ? g->m : k, Vh_rows = g->full_matrices ? g->n : k;
  t->desc.m = g->m;
  t->desc.n = g->n;
  t->desc.rank = g->rank;
  t->desc.full_matrices = g->full_matrices;
  t->desc.gap_policy = g->gap_policy;
  t->desc.gap_param = g->gap_param;
  operand_t *A = g->rank ? element_operand(t, g->m, g->n, g->A) : NULL, *S = real_operand(t, k, g->S);
  operand_t *U = element_operand(t, g->m, U_cols, g->U), *Vh = element_operand(t, Vh_rows, g->n, g->Vh);
  operand_t *dA = element_operand(t, g->m, g->n, g->dA), *dS = real_operand(t, k, NULL);
  operand_t *dU = element_operand(t, g->m, U_cols, NULL), *dVh = element_operand(t, Vh_rows, g->n, NULL);
  begin(t, SVDGRAD_OP_SVD_JVP);
  end(t, svdgrad_svd_jvp(t->handle, t->call.stream, &t->desc, matrix_of(A), &S->vector, &U->matrix, &Vh->matrix,
                         &dA->matrix, &dS->vector, &dU->matrix, &dVh->matrix, NULL, t->work, t->bytes));
  compare(&worst[0], t, dS, g->dS, g->dS_error);
  compare(&worst[1], t, dU, g->dU, g->dU_error);
  compare(&worst[2], t, dVh, g->dVh, g->dVh_error);
}

Test(functions_golden, jvp) {
  worst_t worst[] = {worst_make("jvp dS"), worst_make("jvp dU"), worst_make("jvp dVh")};
  for (int c = 0; c < jvp_golden_count; c++) {
    const jvp_golden_t *g = &jvp_golden[c];
    everywhere(g, g->name, g->is_complex, g->double_only, check_jvp, worst);
  }
  cr_expect(within(worst, 3));
}

/* ---- second order ---- */

static void check_second(trial_t *t, const void *golden, worst_t *worst) {
  const second_golden_t *g = golden;
  const int64_t m = t->desc.m = g->m, n = t->desc.n = g->n, k = m < n ? m : n;
  operand_t *S = real_operand(t, k, g->S), *U = element_operand(t, m, k, g->U), *Vh = element_operand(t, k, n, g->Vh);
  operand_t *gS = g->gS ? real_operand(t, k, g->gS) : NULL, *gU = g->gU ? element_operand(t, m, k, g->gU) : NULL;
  operand_t *gVh = g->gVh ? element_operand(t, k, n, g->gVh) : NULL, *ggA = element_operand(t, m, n, g->ggA);
  operand_t *ggS = real_operand(t, k, NULL), *ggU = element_operand(t, m, k, NULL);
  operand_t *ggVh = element_operand(t, k, n, NULL), *gA = element_operand(t, m, n, NULL);
  begin(t, SVDGRAD_OP_SVD_BACKWARD_BACKWARD);
  end(t, svdgrad_svd_backward_backward(t->handle, t->call.stream, &t->desc, &S->vector, &U->matrix, &Vh->matrix,
                                       vector_of(gS), matrix_of(gU), matrix_of(gVh), &ggA->matrix, &ggS->vector,
                                       &ggU->matrix, &ggVh->matrix, 1, 0, &gA->matrix, NULL, t->work, t->bytes));
  compare(&worst[0], t, ggS, g->ggS, g->ggS_error);
  compare(&worst[1], t, ggU, g->ggU, g->ggU_error);
  compare(&worst[2], t, ggVh, g->ggVh, g->ggVh_error);
  compare(&worst[3], t, gA, g->gA, g->gA_error);
}

Test(functions_golden, backward_backward) {
  worst_t worst[] = {worst_make("second ggS"), worst_make("second ggU"), worst_make("second ggVh"),
                     worst_make("second gA")};
  for (int c = 0; c < second_golden_count; c++) {
    const second_golden_t *g = &second_golden[c];
    everywhere(g, g->name, g->is_complex, 0, check_second, worst);
  }
  cr_expect(within(worst, 4));
}

/* ---- norms ---- */

static void check_norm(trial_t *t, const void *golden, worst_t *worst) {
  const norm_golden_t *g = golden;
  t->desc.m = g->m;
  t->desc.n = g->n;
  operand_t *A = element_operand(t, g->m, g->n, g->A), *gA = element_operand(t, g->m, g->n, NULL);
  operand_t *scale = real_operand(t, 1, &g->g), *value = real_operand(t, 1, NULL), *alone = real_operand(t, 1, NULL);
  begin_with_info(t, SVDGRAD_OP_NORM_GRADIENT);
  end_with_info(t, svdgrad_norm(t->handle, t->call.stream, &t->desc, g->kind, g->p, &A->matrix, &value->vector,
                                &scale->vector, 1, 0, &gA->matrix, t->device_info, t->work, t->bytes));
  begin_with_info(t, SVDGRAD_OP_NORM);
  end_with_info(t, svdgrad_norm(t->handle, t->call.stream, &t->desc, g->kind, g->p, &A->matrix, &alone->vector, NULL, 1,
                                0, NULL, t->device_info, t->work, t->bytes));
  compare(&worst[0], t, gA, g->gA, g->gA_error_A);
  if (isnan(g->value))
    return;
  compare(&worst[1], t, value, &g->value, g->value_error_A);
  compare(&worst[1], t, alone, &g->value, g->value_error_A);
}

Test(functions_golden, norm) {
  worst_t worst[] = {worst_make("norm gA"), worst_make("norm value")};
  for (int c = 0; c < norm_golden_count; c++) {
    const norm_golden_t *g = &norm_golden[c];
    everywhere(g, g->name, g->is_complex, g->double_only, check_norm, worst);
  }
  cr_expect(within(worst, 2));
}

/* ---- spectral normalization ---- */

enum { OF_U, OF_V, OF_SIGMA, OF_RESIDUAL, OF_Y, OF_GA, NORMALIZE_RESULTS };

/* Vectors and scalars of the iteration, of which u and v hold the start. */
typedef struct iteration {
  operand_t *u, *v, *sigma, *residual;
} iteration_t;

/* v is an input only without iterations. */
static iteration_t iteration_of(trial_t *t, const normalize_golden_t *g) {
  const int reads_v = g->iterations == 0 || g->sigma == 0;
  iteration_t x;
  x.u = element_operand(t, g->m, 1, g->u0);
  x.v = element_operand(t, g->n, 1, reads_v ? g->v0 : NULL);
  x.sigma = real_operand(t, 1, NULL);
  x.residual = real_operand(t, 1, NULL);
  return x;
}

static void compare_iteration(worst_t *worst, const trial_t *t, const normalize_golden_t *g, const iteration_t *x) {
  compare(&worst[OF_U], t, x->u, g->u, g->u_error);
  compare(&worst[OF_V], t, x->v, g->v, g->v_error);
  compare(&worst[OF_SIGMA], t, x->sigma, &g->sigma, g->sigma_error);
  compare(&worst[OF_RESIDUAL], t, x->residual, &g->residual, g->residual_error);
}

static void check_normalize(trial_t *t, const void *golden, worst_t *worst) {
  const normalize_golden_t *g = golden;
  t->desc.m = g->m;
  t->desc.n = g->n;
  const iteration_t x = iteration_of(t, g);
  operand_t *A = element_operand(t, g->m, g->n, g->A), *Y = element_operand(t, g->m, g->n, NULL);
  operand_t *gY = element_operand(t, g->m, g->n, g->gY), *gA = element_operand(t, g->m, g->n, NULL);
  begin_with_info(t, SVDGRAD_OP_SPECTRAL_NORMALIZE);
  end_with_info(t, svdgrad_spectral_normalize(t->handle, t->call.stream, &t->desc, &A->matrix, g->iterations,
                                              &x.u->vector, &x.v->vector, &x.sigma->vector, &x.residual->vector,
                                              &Y->matrix, t->device_info, t->work, t->bytes));
  compare_iteration(worst, t, g, &x);
  compare(&worst[OF_Y], t, Y, g->Y, g->Y_error);
  begin(t, SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD);
  end(t,
      svdgrad_spectral_normalize_backward(t->handle, t->call.stream, &t->desc, &A->matrix, &x.u->vector, &x.v->vector,
                                          &x.sigma->vector, &gY->matrix, 1, 0, &gA->matrix, t->work, t->bytes));
  compare(&worst[OF_GA], t, gA, g->gA, g->gA_error);
}

static void check_power_iteration(trial_t *t, const void *golden, worst_t *worst) {
  const normalize_golden_t *g = golden;
  t->desc.m = g->m;
  t->desc.n = g->n;
  const iteration_t x = iteration_of(t, g);
  operand_t *A = element_operand(t, g->m, g->n, g->A);
  begin_with_info(t, SVDGRAD_OP_POWER_ITERATION);
  end_with_info(t, svdgrad_power_iteration(t->handle, t->call.stream, &t->desc, &A->matrix, g->iterations, &x.u->vector,
                                           &x.v->vector, &x.sigma->vector, &x.residual->vector, t->device_info, t->work,
                                           t->bytes));
  compare_iteration(worst, t, g, &x);
}

Test(functions_golden, spectral_normalize) {
  worst_t worst[NORMALIZE_RESULTS] = {worst_make("normalize u"),     worst_make("normalize v"),
                                      worst_make("normalize sigma"), worst_make("normalize residual"),
                                      worst_make("normalize Y"),     worst_make("normalize gA")};
  for (int c = 0; c < normalize_golden_count; c++) {
    const normalize_golden_t *g = &normalize_golden[c];
    everywhere(g, g->name, g->is_complex, 0, check_normalize, worst);
    everywhere(g, g->name, g->is_complex, 0, check_power_iteration, worst);
  }
  cr_expect(within(worst, NORMALIZE_RESULTS));
}
