/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.h"

#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 0x5A, GUARD = 256 };

const svdgrad_backend_t test_backends[] = {SVDGRAD_BACKEND_REF, SVDGRAD_BACKEND_CPU};
const int test_backend_count = sizeof test_backends / sizeof *test_backends;

const char *backend_name(svdgrad_backend_t backend) {
  static const char *const names[] = {"ref", "cpu", "cuda"};
  return names[backend];
}

svdgrad_desc_t make_desc(svdgrad_dtype_t dtype, int64_t m, int64_t n, int64_t batch_count) {
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
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

fixture_t fixture_make(svdgrad_backend_t backend, const svdgrad_desc_t *desc, layout_t layout) {
  const int64_t m = desc->m, n = desc->n, batch = desc->batch_count;
  const int64_t k = desc->rank ? desc->rank : m < n ? m : n;
  const int64_t u_cols = desc->full_matrices ? m : k, vh_rows = desc->full_matrices ? n : k;
  const svdgrad_dtype_t dtype = desc->dtype, real = dtype_real(dtype);
  fixture_t f = {.desc = *desc, .intact = 1};
  if (svdgrad_create(backend, 0, &f.handle)) {
    fprintf(stderr, "test: %s\n", svdgrad_last_error_message());
    abort();
  }
  f.A = buffer_make(dtype, m, n, batch, layout, 0);
  f.S = buffer_make(real, k, 1, batch, layout, 0);
  f.U = buffer_make(dtype, m, u_cols, batch, layout, 0);
  f.Vh = buffer_make(dtype, vh_rows, n, batch, layout, 0);
  f.gS = buffer_make(real, k, 1, batch, layout, 0);
  f.gU = buffer_make(dtype, m, u_cols, batch, layout, 0);
  f.gVh = buffer_make(dtype, vh_rows, n, batch, layout, 0);
  f.gA = buffer_make(dtype, m, n, batch, layout, 0);
  f.info = checked(malloc(((size_t)batch + 1) * sizeof *f.info));
  memset(f.info, CANARY, ((size_t)batch + 1) * sizeof *f.info);
  f.report = checked(calloc((size_t)batch + 1, sizeof *f.report));
  return f;
}

void fixture_free(fixture_t *f) {
  buffer_t *const buffers[] = {&f->A, &f->S, &f->U, &f->Vh, &f->gS, &f->gU, &f->gVh, &f->gA};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
    buffer_free(buffers[i]);
  free(f->info);
  free(f->report);
  (void)svdgrad_destroy(f->handle);
}

/* Exactly `bytes` bytes of workspace between two guards. */
typedef struct workspace {
  unsigned char *memory, *work;
  size_t bytes;
} workspace_t;

static workspace_t workspace_make(const fixture_t *f, svdgrad_op_t op) {
  workspace_t w = {0};
  if (svdgrad_workspace_size(f->handle, op, &f->desc, &w.bytes)) {
    fprintf(stderr, "test: %s\n", svdgrad_last_error_message());
    abort();
  }
  w.memory = checked(malloc(w.bytes + 3 * GUARD));
  memset(w.memory, CANARY, w.bytes + 3 * GUARD);
  w.work = w.memory + 2 * GUARD - (uintptr_t)w.memory % GUARD;
  memset(w.work, 0xFF, w.bytes);
  return w;
}

static int workspace_free(workspace_t *w) {
  int intact = 1;
  const unsigned char *end = w->work + w->bytes;
  for (const unsigned char *p = w->memory; p < w->memory + w->bytes + 3 * GUARD; p++)
    intact &= (p >= w->work && p < end) || *p == CANARY;
  free(w->memory);
  return intact;
}

svdgrad_status_t fixture_forward(fixture_t *f, int with) {
  workspace_t w = workspace_make(f, with & WITH_VECTORS ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS);
  const svdgrad_status_t status =
      svdgrad_svd(f->handle, NULL, &f->desc, &f->A.matrix, &f->S.vector, with & WITH_U ? &f->U.matrix : NULL,
                  with & WITH_VH ? &f->Vh.matrix : NULL, f->info, w.bytes ? w.work : NULL, w.bytes);
  unsigned char canary[sizeof *f->info];
  memset(canary, CANARY, sizeof canary);
  f->intact &= memcmp(&f->info[f->desc.batch_count], canary, sizeof canary) == 0;
  f->intact &= buffer_padding_intact(&f->S) && buffer_padding_intact(&f->U) && buffer_padding_intact(&f->Vh);
  f->intact &= workspace_free(&w);
  return status;
}

svdgrad_status_t fixture_backward(fixture_t *f, int with, double alpha, double beta) {
  const int64_t mn = f->desc.m < f->desc.n ? f->desc.m : f->desc.n;
  const int truncated = f->desc.rank && f->desc.rank < mn;
  workspace_t w = workspace_make(f, SVDGRAD_OP_SVD_BACKWARD);
  const svdgrad_status_t status = svdgrad_svd_backward(
      f->handle, NULL, &f->desc, truncated ? &f->A.matrix : NULL, &f->S.vector, &f->U.matrix, &f->Vh.matrix,
      with & WITH_GS ? &f->gS.vector : NULL, with & WITH_GU ? &f->gU.matrix : NULL,
      with & WITH_GVH ? &f->gVh.matrix : NULL, alpha, beta, &f->gA.matrix, f->report, w.bytes ? w.work : NULL, w.bytes);
  f->intact &= buffer_padding_intact(&f->gA);
  f->intact &= workspace_free(&w);
  return status;
}

void fixture_random_cotangents(fixture_t *f, uint64_t seed) {
  const int is_complex = dtype_is_complex(f->desc.dtype);
  random_t random = random_seed(seed);
  for (int64_t b = 0; b < f->desc.batch_count; b++) {
    dense_t gS = random_matrix(&random, f->gS.rows, 1, 0);
    dense_t gU = random_matrix(&random, f->gU.rows, f->gU.cols, is_complex);
    dense_t gVh = random_matrix(&random, f->gVh.rows, f->gVh.cols, is_complex);
    buffer_store(&f->gS, b, &gS);
    buffer_store(&f->gU, b, &gU);
    buffer_store(&f->gVh, b, &gVh);
    dense_free(&gS);
    dense_free(&gU);
    dense_free(&gVh);
  }
}
