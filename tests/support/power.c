/* SPDX-License-Identifier: BSD-3-Clause */
#include "power.h"

#include "device.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 0xA5, GUARD = 256 };

static void *checked(void *pointer) {
  if (!pointer) {
    fputs("test: out of memory\n", stderr);
    abort();
  }
  return pointer;
}

power_problem_t power_make(svdgrad_backend_t backend, const svdgrad_desc_t *desc, layout_t layout, int broadcast) {
  const int64_t m = desc->m, n = desc->n, batch = desc->batch_count;
  const svdgrad_dtype_t dtype = desc->dtype, real = dtype_real(dtype);
  power_problem_t p = {.backend = backend, .desc = *desc, .intact = 1};
  if (svdgrad_create(backend, 0, &p.handle)) {
    fprintf(stderr, "test: %s\n", svdgrad_last_error_message());
    abort();
  }
  p.A = buffer_make(dtype, m, n, batch, layout, broadcast);
  p.u = buffer_make(dtype, m, 1, batch, layout, 0);
  p.v = buffer_make(dtype, n, 1, batch, layout, 0);
  p.sigma = buffer_make(real, 1, 1, batch, layout, 0);
  p.residual = buffer_make(real, 1, 1, batch, layout, 0);
  p.Y = buffer_make(dtype, m, n, batch, layout, 0);
  p.gY = buffer_make(dtype, m, n, batch, layout, 0);
  p.gA = buffer_make(dtype, m, n, batch, layout, 0);
  p.info = checked(malloc(((size_t)batch + 1) * sizeof *p.info));
  memset(p.info, CANARY, ((size_t)batch + 1) * sizeof *p.info);
  return p;
}

void power_free(power_problem_t *p) {
  buffer_t *const all[] = {&p->A, &p->u, &p->v, &p->sigma, &p->residual, &p->Y, &p->gY, &p->gA};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    buffer_free(all[i]);
  free(p->info);
  (void)svdgrad_destroy(p->handle);
}

static void store_random(const buffer_t *buffer, int64_t b, random_t *random) {
  dense_t X = random_matrix(random, buffer->rows, buffer->cols, dtype_is_complex(buffer->dtype));
  buffer_store(buffer, b, &X);
  dense_free(&X);
}

void power_fill(const power_problem_t *p, int64_t b, uint64_t seed) {
  random_t random = random_seed(seed + 77);
  store_random(&p->u, b, &random);
  store_random(&p->gY, b, &random);
  store_random(&p->gA, b, &random);
  for (int64_t j = 0; j < p->desc.n; j++)
    buffer_set(&p->v, b, j, 0, CMPLXL((long double)NAN, (long double)NAN));
}

/* Exactly the workspace that the operation asks for, full of NaN, between two guards. */
typedef struct workspace {
  unsigned char *memory, *work;
  size_t bytes;
} workspace_t;

static workspace_t workspace_make(const power_problem_t *p, svdgrad_op_t op) {
  workspace_t w = {0};
  if (svdgrad_workspace_size(p->handle, op, &p->desc, &w.bytes)) {
    fprintf(stderr, "test: %s\n", svdgrad_last_error_message());
    abort();
  }
  w.memory = checked(malloc(w.bytes + 3 * GUARD));
  memset(w.memory, CANARY, w.bytes + 3 * GUARD);
  w.work = w.memory + 2 * GUARD - (uintptr_t)w.memory % GUARD - 16; /* aligned as malloc() does */
  memset(w.work, 0xFF, w.bytes);
  return w;
}

static int workspace_free(workspace_t *w) {
  int intact = 1;
  const unsigned char *end = w->work + w->bytes;
  for (const unsigned char *x = w->memory; x < w->memory + w->bytes + 3 * GUARD; x++)
    intact &= (x >= w->work && x < end) || *x == CANARY;
  free(w->memory);
  return intact;
}

static svdgrad_matrix_t matrix_on(device_call_t *call, const buffer_t *buffer) {
  svdgrad_matrix_t matrix = buffer->matrix;
  unsigned char *memory = device_call_memory(call, buffer->memory, buffer->bytes);
  matrix.data = memory + ((unsigned char *)buffer->matrix.data - buffer->memory);
  return matrix;
}

static svdgrad_vector_t vector_on(device_call_t *call, const buffer_t *buffer) {
  return (svdgrad_vector_t){matrix_on(call, buffer).data, buffer->vector.stride, buffer->vector.batch_stride};
}

static int outputs_intact(const power_problem_t *p) {
  unsigned char canary[sizeof *p->info];
  memset(canary, CANARY, sizeof canary);
  return memcmp(&p->info[p->desc.batch_count], canary, sizeof canary) == 0 && buffer_padding_intact(&p->u) &&
         buffer_padding_intact(&p->v) && buffer_padding_intact(&p->sigma) && buffer_padding_intact(&p->residual) &&
         buffer_padding_intact(&p->Y) && buffer_padding_intact(&p->gA);
}

static svdgrad_status_t forward(power_problem_t *p, svdgrad_op_t op, int32_t iterations) {
  workspace_t w = workspace_make(p, op);
  device_call_t call = device_call_begin(p->backend);
  const svdgrad_matrix_t A = matrix_on(&call, &p->A), Y = matrix_on(&call, &p->Y);
  const svdgrad_vector_t u = vector_on(&call, &p->u), v = vector_on(&call, &p->v);
  const svdgrad_vector_t sigma = vector_on(&call, &p->sigma), residual = vector_on(&call, &p->residual);
  int32_t *info = device_call_memory(&call, p->info, ((size_t)p->desc.batch_count + 1) * sizeof *p->info);
  void *work = w.bytes ? device_call_memory(&call, w.work, w.bytes) : NULL;
  const svdgrad_status_t status = op == SVDGRAD_OP_POWER_ITERATION
                                      ? svdgrad_power_iteration(p->handle, call.stream, &p->desc, &A, iterations, &u,
                                                                &v, &sigma, &residual, info, work, w.bytes)
                                      : svdgrad_spectral_normalize(p->handle, call.stream, &p->desc, &A, iterations, &u,
                                                                   &v, &sigma, &residual, &Y, info, work, w.bytes);
  device_call_end(&call);
  p->intact &= workspace_free(&w) && outputs_intact(p);
  return status;
}

svdgrad_status_t power_iterate(power_problem_t *p, int32_t iterations) {
  return forward(p, SVDGRAD_OP_POWER_ITERATION, iterations);
}

svdgrad_status_t power_normalize(power_problem_t *p, int32_t iterations) {
  return forward(p, SVDGRAD_OP_SPECTRAL_NORMALIZE, iterations);
}

svdgrad_status_t power_backward(power_problem_t *p, double alpha, double beta) {
  workspace_t w = workspace_make(p, SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD);
  device_call_t call = device_call_begin(p->backend);
  const svdgrad_matrix_t A = matrix_on(&call, &p->A), gY = matrix_on(&call, &p->gY), gA = matrix_on(&call, &p->gA);
  const svdgrad_vector_t u = vector_on(&call, &p->u), v = vector_on(&call, &p->v), sigma = vector_on(&call, &p->sigma);
  void *work = w.bytes ? device_call_memory(&call, w.work, w.bytes) : NULL;
  const svdgrad_status_t status = svdgrad_spectral_normalize_backward(p->handle, call.stream, &p->desc, &A, &u, &v,
                                                                      &sigma, &gY, alpha, beta, &gA, work, w.bytes);
  device_call_end(&call);
  p->intact &= workspace_free(&w) && outputs_intact(p);
  return status;
}

int power_same(const power_problem_t *x, int64_t bx, const power_problem_t *y, int64_t by) {
  return buffer_same_bits(&x->sigma, bx, &y->sigma, by) && buffer_same_bits(&x->residual, bx, &y->residual, by) &&
         buffer_same_bits(&x->u, bx, &y->u, by) && buffer_same_bits(&x->v, bx, &y->v, by) && x->info[bx] == y->info[by];
}

/* x / |x|; frees x. */
static dense_t to_unit(dense_t x) {
  const long double norm = dense_norm(&x);
  for (int64_t i = 0; i < x.m; i++)
    x.at[i] /= norm;
  return x;
}

/* |x - scale y|, frees x. */
static long double distance(dense_t x, long double scale, const dense_t *y) {
  dense_t difference = dense_sum(1, &x, -scale, y);
  const long double norm = dense_norm(&difference);
  dense_free(&difference);
  dense_free(&x);
  return norm;
}

void power_evaluate(const dense_t *A, power_oracle_t *o) {
  dense_t Av = dense_product(A, &o->v);
  o->sigma = dense_inner(&o->u, &Av);
  const long double on_left = distance(Av, o->sigma, &o->u);
  o->residual = hypotl(on_left, distance(dense_h_product(A, &o->u), o->sigma, &o->v));
}

power_oracle_t power_oracle(const dense_t *A, const dense_t *u, const dense_t *v, int iterations) {
  power_oracle_t o = {.u = dense_copy(u), .v = dense_copy(v)};
  for (int i = 0; i < iterations; i++) {
    dense_free(&o.v);
    o.v = to_unit(dense_h_product(A, &o.u));
    dense_free(&o.u);
    o.u = to_unit(dense_product(A, &o.v));
  }
  power_evaluate(A, &o);
  return o;
}

power_oracle_t power_oracle_of(const power_problem_t *p, int64_t b, int iterations) {
  dense_t A = buffer_load(&p->A, b), u = buffer_load(&p->u, b), v = buffer_load(&p->v, b);
  const power_oracle_t oracle = power_oracle(&A, &u, &v, iterations);
  dense_free(&A), dense_free(&u), dense_free(&v);
  return oracle;
}

void power_oracle_free(power_oracle_t *o) {
  dense_free(&o->u);
  dense_free(&o->v);
}
