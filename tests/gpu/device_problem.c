/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_problem.h"

#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 256, POISON = 0xFF };

void cuda_check(cudaError_t error, const char *file, int line) {
  if (error == cudaSuccess)
    return;
  fprintf(stderr, "%s:%d: CUDA error %d: %s\n", file, line, (int)error, cudaGetErrorString(error));
  abort();
}

static void *allocated(void *memory) {
  if (!memory) {
    fputs("test: out of memory\n", stderr);
    abort();
  }
  return memory;
}

static int is_complex(const svdgrad_desc_t *desc) { return desc->dtype == SVDGRAD_C64 || desc->dtype == SVDGRAD_C128; }

static size_t real_size(const svdgrad_desc_t *desc) {
  return desc->dtype == SVDGRAD_F32 || desc->dtype == SVDGRAD_C64 ? sizeof(float) : sizeof(double);
}

svdgrad_op_t device_run_op(device_run_t run) {
  static const svdgrad_op_t ops[RUN_COUNT] = {SVDGRAD_OP_SVD, SVDGRAD_OP_SVDVALS, SVDGRAD_OP_SVD_BACKWARD};
  return ops[run];
}

static void measure_parts(device_problem_t *p) {
  const svdgrad_desc_t *d = &p->desc;
  const int64_t k = d->rank ? d->rank : d->m < d->n ? d->m : d->n;
  const int64_t u_cols = d->full_matrices ? d->m : k, vh_rows = d->full_matrices ? d->n : k;
  const size_t R = real_size(d), T = R * (is_complex(d) ? 2 : 1);
  const struct {
    int64_t rows, columns;
    size_t size;
  } shape[PART_COUNT] = {{d->m, d->n, T},    {k, 1, R},
                         {d->m, u_cols, T},  {vh_rows, d->n, T},
                         {k, 1, R},          {d->m, u_cols, T},
                         {vh_rows, d->n, T}, {1, 1, sizeof(int32_t)},
                         {d->m, d->n, T},    {1, 1, sizeof(svdgrad_report_t)}};
  for (int i = 0; i < PART_COUNT; i++) {
    size_t *used = i < PART_S ? &p->input_bytes : &p->output_bytes;
    p->rows[i] = shape[i].rows;
    p->per_matrix[i] = (size_t)(shape[i].rows * shape[i].columns) * shape[i].size;
    p->offset[i] = *used;
    *used += (p->per_matrix[i] * (size_t)d->batch_count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }
}

device_problem_t device_problem_make(svdgrad_handle_t handle, const svdgrad_desc_t *desc) {
  device_problem_t p = {.handle = handle, .desc = *desc};
  measure_parts(&p);
  CUDA_CHECK(cudaMalloc((void **)&p.inputs, p.input_bytes));
  CUDA_CHECK(cudaMalloc((void **)&p.outputs, p.output_bytes));
  for (int run = 0; run < RUN_COUNT; run++) {
    const svdgrad_op_t op = device_run_op((device_run_t)run);
    if (svdgrad_workspace_size(handle, op, desc, &p.work_bytes[op])) {
      fprintf(stderr, "test: %s\n", svdgrad_last_error_message());
      abort();
    }
    if (p.work_bytes[op])
      CUDA_CHECK(cudaMalloc(&p.work[op], p.work_bytes[op]));
  }
  device_problem_poison(&p);
  return p;
}

void device_problem_free(device_problem_t *p) {
  CUDA_CHECK(cudaFree(p->inputs));
  CUDA_CHECK(cudaFree(p->outputs));
  for (int op = 0; op < 4; op++)
    CUDA_CHECK(cudaFree(p->work[op]));
}

static void fill_normal(unsigned char *to, size_t bytes, size_t real, random_t *random) {
  for (size_t i = 0; i < bytes; i += real) {
    const double d = random_normal(random);
    const float f = (float)d;
    memcpy(to + i, real == sizeof f ? (const void *)&f : (const void *)&d, real);
  }
}

unsigned char *device_problem_inputs(const device_problem_t *p, uint64_t seed) {
  unsigned char *inputs = allocated(calloc(1, p->input_bytes + 1));
  for (int64_t b = 0; b < p->desc.batch_count; b++) {
    random_t random = random_seed(seed + (uint64_t)b);
    for (int i = PART_A; i < PART_S; i++)
      fill_normal(inputs + p->offset[i] + (size_t)b * p->per_matrix[i], p->per_matrix[i], real_size(&p->desc), &random);
  }
  return inputs;
}

void device_problem_upload(const device_problem_t *p, const unsigned char *inputs) {
  CUDA_CHECK(cudaMemcpy(p->inputs, inputs, p->input_bytes, cudaMemcpyHostToDevice));
  CUDA_CHECK(cudaDeviceSynchronize()); /* a copy from pageable memory may return before it has arrived */
}

void device_problem_poison(const device_problem_t *p) {
  CUDA_CHECK(cudaMemset(p->outputs, POISON, p->output_bytes));
  for (int op = 0; op < 4; op++)
    if (p->work_bytes[op])
      CUDA_CHECK(cudaMemset(p->work[op], POISON, p->work_bytes[op]));
  CUDA_CHECK(cudaDeviceSynchronize());
}

unsigned char *device_problem_outputs(const device_problem_t *p) {
  unsigned char *outputs = allocated(malloc(p->output_bytes + 1));
  CUDA_CHECK(cudaDeviceSynchronize());
  CUDA_CHECK(cudaMemcpy(outputs, p->outputs, p->output_bytes, cudaMemcpyDeviceToHost));
  return outputs;
}

void *device_problem_part(const device_problem_t *p, device_part_t part) {
  return (part < PART_S ? p->inputs : p->outputs) + p->offset[part];
}

static svdgrad_matrix_t matrix_of(const device_problem_t *p, device_part_t part) {
  const size_t T = real_size(&p->desc) * (is_complex(&p->desc) ? 2 : 1);
  return (svdgrad_matrix_t){device_problem_part(p, part), 1, p->rows[part], (int64_t)(p->per_matrix[part] / T)};
}

static svdgrad_vector_t vector_of(const device_problem_t *p, device_part_t part) {
  return (svdgrad_vector_t){device_problem_part(p, part), 1, p->rows[part]};
}

svdgrad_status_t device_problem_run(const device_problem_t *p, device_run_t run, cudaStream_t stream) {
  const svdgrad_op_t op = device_run_op(run);
  const svdgrad_matrix_t A = matrix_of(p, PART_A), U = matrix_of(p, PART_U), Vh = matrix_of(p, PART_VH);
  const svdgrad_matrix_t gU = matrix_of(p, PART_GU), gVh = matrix_of(p, PART_GVH), gA = matrix_of(p, PART_GA);
  const svdgrad_vector_t S = vector_of(p, PART_S), gS = vector_of(p, PART_GS);
  if (run != RUN_BACKWARD)
    return svdgrad_svd(p->handle, stream, &p->desc, &A, &S, run == RUN_FORWARD ? &U : NULL,
                       run == RUN_FORWARD ? &Vh : NULL, device_problem_part(p, PART_INFO), p->work[op],
                       p->work_bytes[op]);
  return svdgrad_svd_backward(p->handle, stream, &p->desc, &A, &S, &U, &Vh, &gS, &gU, &gVh, 1, 0, &gA,
                              device_problem_part(p, PART_REPORT), p->work[op], p->work_bytes[op]);
}

int device_problem_same(const device_problem_t *p, const unsigned char *x, int64_t bx, const device_problem_t *q,
                        const unsigned char *y, int64_t by) {
  int same = 1;
  for (int i = PART_S; i < PART_COUNT; i++)
    same &= p->per_matrix[i] == q->per_matrix[i] &&
            memcmp(x + p->offset[i] + (size_t)bx * p->per_matrix[i], y + q->offset[i] + (size_t)by * q->per_matrix[i],
                   p->per_matrix[i]) == 0;
  return same;
}
