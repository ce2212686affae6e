/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.h"

#include "device.h"
#include "random.h"
#include "workspace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 0x5A };

#if TEST_ONLY_CUDA
static const svdgrad_backend_t backends[] = {SVDGRAD_BACKEND_CUDA};
#else
static const svdgrad_backend_t backends[] = {SVDGRAD_BACKEND_REF, SVDGRAD_BACKEND_CPU};
#endif
const svdgrad_backend_t *test_backends = backends;
int test_backend_count = sizeof backends / sizeof *backends;

const char *backend_name(svdgrad_backend_t backend) {
  static const char *const names[] = {"ref", "cpu", "cuda"};
  return names[backend];
}

/* A constructor, since Criterion has its own main(). */
__attribute__((constructor)) static void take_backend_under_test(void) {
  const char *name = getenv("TEST_BACKEND");
  for (int i = 0; name && i < test_backend_count; i++)
    if (strcmp(name, backend_name(backends[i])) == 0) {
      test_backends = &backends[i];
      test_backend_count = 1;
      return;
    }
  if (name) {
    fprintf(stderr, "test: TEST_BACKEND is %s, which is not in this build\n", name);
    abort();
  }
}

int backend_has(svdgrad_backend_t backend, svdgrad_algo_t algo) {
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  svdgrad_handle_t handle;
  desc.m = desc.n = desc.batch_count = 1;
  desc.algo = algo;
  if (svdgrad_create(backend, 0, &handle) != SVDGRAD_STATUS_SUCCESS)
    return 0;
  const int has = svdgrad_algorithm_name(handle, SVDGRAD_OP_SVD, &desc) != NULL;
  (void)svdgrad_destroy(handle);
  return has;
}

static svdgrad_algo_t algo_under_test(void) {
  const char *name = getenv("TEST_ALGO");
  if (!name)
    return SVDGRAD_ALGO_AUTO;
  if (strcmp(name, "jacobi") == 0)
    return SVDGRAD_ALGO_JACOBI;
  if (strcmp(name, "vendor") == 0)
    return SVDGRAD_ALGO_VENDOR;
  fprintf(stderr, "test: TEST_ALGO is %s, must be jacobi or vendor\n", name);
  abort();
}

static int is_batch_invariant(void) {
  const char *text = getenv("TEST_BATCH_INVARIANT");
  return !text || strcmp(text, "0") != 0;
}

svdgrad_desc_t make_desc(svdgrad_dtype_t dtype, int64_t m, int64_t n, int64_t batch_count) {
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.algo = algo_under_test();
  desc.batch_invariant = is_batch_invariant();
  desc.dtype = dtype;
  desc.m = m;
  desc.n = n;
  desc.batch_count = batch_count;
  return desc;
}

static void *checked(void *pointer) {
  if (!pointer) {
    fputs("test: out of memory\n", stderr);
    abort();
  }
  return pointer;
}

const char *operand_name(fixture_operand_t operand) {
  static const char *const names[] = {"A", "S", "U", "Vh", "gS", "gU", "gVh", "gA"};
  return names[operand];
}

buffer_t *fixture_operand(fixture_t *f, fixture_operand_t operand) {
  buffer_t *const operands[] = {&f->A, &f->S, &f->U, &f->Vh, &f->gS, &f->gU, &f->gVh, &f->gA};
  return operands[operand];
}

fixture_t fixture_make(svdgrad_backend_t backend, const svdgrad_desc_t *desc, layout_t layout) {
  placement_t placement[OPERAND_COUNT];
  for (int i = 0; i < OPERAND_COUNT; i++)
    placement[i] = (placement_t){layout, 0};
  return fixture_make_placed(backend, desc, placement);
}

fixture_t fixture_make_placed(svdgrad_backend_t backend, const svdgrad_desc_t *desc,
                              const placement_t placement[OPERAND_COUNT]) {
  const int64_t m = desc->m, n = desc->n, batch = desc->batch_count;
  const int64_t k = desc->rank ? desc->rank : m < n ? m : n;
  const int64_t u_cols = desc->full_matrices ? m : k, vh_rows = desc->full_matrices ? n : k;
  const svdgrad_dtype_t dtype = desc->dtype, real = dtype_real(dtype);
  fixture_t f = {.backend = backend, .desc = *desc, .intact = 1, .fill = 0xFF};
  if (backend == SVDGRAD_BACKEND_REF) /* the oracle has one algorithm */
    f.desc.algo = SVDGRAD_ALGO_AUTO;
  if (svdgrad_create(backend, 0, &f.handle)) {
    fprintf(stderr, "test: %s\n", svdgrad_last_error_message());
    abort();
  }
  const struct {
    svdgrad_dtype_t dtype;
    int64_t rows, cols;
  } shape[OPERAND_COUNT] = {{dtype, m, n}, {real, k, 1},       {dtype, m, u_cols},  {dtype, vh_rows, n},
                            {real, k, 1},  {dtype, m, u_cols}, {dtype, vh_rows, n}, {dtype, m, n}};
  for (fixture_operand_t i = 0; i < OPERAND_COUNT; i++)
    *fixture_operand(&f, i) =
        buffer_make(shape[i].dtype, shape[i].rows, shape[i].cols, batch, placement[i].layout, placement[i].broadcast);
  f.info = checked(malloc(((size_t)batch + 1) * sizeof *f.info));
  memset(f.info, CANARY, ((size_t)batch + 1) * sizeof *f.info);
  f.report = checked(calloc((size_t)batch + 1, sizeof *f.report));
  return f;
}

void fixture_free(fixture_t *f) {
  for (fixture_operand_t i = 0; i < OPERAND_COUNT; i++)
    buffer_free(fixture_operand(f, i));
  free(f->info);
  free(f->report);
  (void)svdgrad_destroy(f->handle);
}

svdgrad_status_t fixture_call_forward(const fixture_t *f, int with, void *work, size_t bytes) {
  device_call_t call = device_call_begin(f->backend);
  const svdgrad_matrix_t A = device_call_matrix(&call, &f->A), U = device_call_matrix(&call, &f->U),
                         Vh = device_call_matrix(&call, &f->Vh);
  const svdgrad_vector_t S = device_call_vector(&call, &f->S);
  int32_t *info = device_call_memory(&call, f->info, ((size_t)f->desc.batch_count + 1) * sizeof *f->info);
  void *device_work = device_call_memory(&call, work, bytes);
  const svdgrad_status_t status = svdgrad_svd(f->handle, call.stream, &f->desc, &A, &S, with & WITH_U ? &U : NULL,
                                              with & WITH_VH ? &Vh : NULL, info, device_work, bytes);
  device_call_end(&call);
  return status;
}

svdgrad_status_t fixture_call_backward(const fixture_t *f, int with, double alpha, double beta, void *work,
                                       size_t bytes) {
  const int64_t mn = f->desc.m < f->desc.n ? f->desc.m : f->desc.n;
  const int truncated = f->desc.rank && f->desc.rank < mn;
  device_call_t call = device_call_begin(f->backend);
  const svdgrad_matrix_t A = device_call_matrix(&call, &f->A), U = device_call_matrix(&call, &f->U),
                         Vh = device_call_matrix(&call, &f->Vh);
  const svdgrad_matrix_t gU = device_call_matrix(&call, &f->gU), gVh = device_call_matrix(&call, &f->gVh),
                         gA = device_call_matrix(&call, &f->gA);
  const svdgrad_vector_t S = device_call_vector(&call, &f->S), gS = device_call_vector(&call, &f->gS);
  svdgrad_report_t *report =
      device_call_memory(&call, f->report, ((size_t)f->desc.batch_count + 1) * sizeof *f->report);
  void *device_work = device_call_memory(&call, work, bytes);
  const svdgrad_status_t status = svdgrad_svd_backward(
      f->handle, call.stream, &f->desc, truncated ? &A : NULL, &S, &U, &Vh, with & WITH_GS ? &gS : NULL,
      with & WITH_GU ? &gU : NULL, with & WITH_GVH ? &gVh : NULL, alpha, beta, &gA, report, device_work, bytes);
  device_call_end(&call);
  return status;
}

svdgrad_status_t fixture_forward(fixture_t *f, int with) {
  workspace_t w =
      workspace_make(f->handle, with & WITH_VECTORS ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS, &f->desc, f->fill);
  const svdgrad_status_t status = fixture_call_forward(f, with, w.bytes ? w.work : NULL, w.bytes);
  unsigned char canary[sizeof *f->info];
  memset(canary, CANARY, sizeof canary);
  f->intact &= memcmp(&f->info[f->desc.batch_count], canary, sizeof canary) == 0;
  f->intact &= buffer_padding_intact(&f->S) && buffer_padding_intact(&f->U) && buffer_padding_intact(&f->Vh);
  f->intact &= workspace_free(&w);
  return status;
}

svdgrad_status_t fixture_backward(fixture_t *f, int with, double alpha, double beta) {
  workspace_t w = workspace_make(f->handle, SVDGRAD_OP_SVD_BACKWARD, &f->desc, f->fill);
  const svdgrad_status_t status = fixture_call_backward(f, with, alpha, beta, w.bytes ? w.work : NULL, w.bytes);
  f->intact &= buffer_padding_intact(&f->gA);
  f->intact &= workspace_free(&w);
  return status;
}

int fixture_same_forward(const fixture_t *x, int64_t bx, const fixture_t *y, int64_t by, int with) {
  return buffer_same_bits(&x->S, bx, &y->S, by) && (!(with & WITH_U) || buffer_same_bits(&x->U, bx, &y->U, by)) &&
         (!(with & WITH_VH) || buffer_same_bits(&x->Vh, bx, &y->Vh, by)) && x->info[bx] == y->info[by];
}

int fixture_same_backward(const fixture_t *x, int64_t bx, const fixture_t *y, int64_t by) {
  return buffer_same_bits(&x->gA, bx, &y->gA, by) && memcmp(&x->report[bx], &y->report[by], sizeof *x->report) == 0;
}

static void store_random(const buffer_t *buffer, int64_t b, random_t *random) {
  dense_t X = random_matrix(random, buffer->rows, buffer->cols, dtype_is_complex(buffer->dtype));
  buffer_store(buffer, b, &X);
  dense_free(&X);
}

static void fill_cotangents(fixture_t *f, int64_t b, random_t *random) {
  store_random(&f->gS, b, random);
  store_random(&f->gU, b, random);
  store_random(&f->gVh, b, random);
}

void fixture_fill(fixture_t *f, int64_t b, uint64_t seed) {
  random_t random = random_seed(seed);
  store_random(&f->A, b, &random);
  fill_cotangents(f, b, &random);
  store_random(&f->gA, b, &random);
}

void fixture_random_cotangents(fixture_t *f, uint64_t seed) {
  random_t random = random_seed(seed);
  for (int64_t b = 0; b < f->desc.batch_count; b++)
    fill_cotangents(f, b, &random);
}
