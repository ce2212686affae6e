/* SPDX-License-Identifier: BSD-3-Clause */
#include "gpu_subject.h"

#include "bench_accuracy.h"
#include "device_work.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gpu_check(cudaError_t error, const char *what) {
  if (error == cudaSuccess)
    return;
  fprintf(stderr, "gpu_bench: %s: CUDA error %d: %s\n", what, (int)error, cudaGetErrorString(error));
  exit(1);
}

const char *gpu_op_name(gpu_op_t op) {
  static const char *const names[GPU_OP_COUNT] = {"svd",         "svdvals",    "backward",
                                                  "backward-gS", "fwdbwd-sum", "fwdbwd-rank"};
  return names[op];
}

static int64_t rank_of(const gpu_subject_t *s) { return s->k > 1 ? s->k / 2 : 1; }

static size_t real_size(const gpu_subject_t *s) {
  return dtype_real(s->dtype) == SVDGRAD_F32 ? sizeof(float) : sizeof(double);
}

static int numbers_per_element(const gpu_subject_t *s) { return dtype_is_complex(s->dtype) ? 2 : 1; }

/* Rows and columns of a matrix of the array, and the size of its elements. */
static void array_shape(const gpu_subject_t *s, gpu_array_t array, int64_t *rows, int64_t *columns, size_t *element) {
  const size_t R = real_size(s), T = R * (size_t)numbers_per_element(s);
  const int64_t r = rank_of(s);
  const struct {
    int64_t rows, columns;
    size_t element;
  } shape[GPU_ARRAY_COUNT] = {
      {s->m, s->n, T},
      {s->k, 1, R},
      {s->m, s->k, T},
      {s->k, s->n, T},
      {s->k, 1, R},
      {s->m, s->k, T},
      {s->k, s->n, T},
      {s->m, s->n, T},
      {r, 1, R},
      {s->m, r, T},
      {r, s->n, T},
      {1, 1, sizeof(int32_t)},
      {1, 1, sizeof(svdgrad_report_t)},
  };
  *rows = shape[array].rows, *columns = shape[array].columns, *element = shape[array].element;
}

static size_t matrix_bytes(const gpu_subject_t *s, gpu_array_t array) {
  int64_t rows, columns;
  size_t element;
  array_shape(s, array, &rows, &columns, &element);
  return (size_t)(rows * columns) * element;
}

/* An array with as many columns as it has; `columns` fewer for cotangents of a truncated decomposition. */
static svdgrad_matrix_t matrix_of(const gpu_subject_t *s, int set, gpu_array_t array, int64_t rows, int64_t columns) {
  return (svdgrad_matrix_t){s->array[set][array], 1, rows, rows * columns};
}

static svdgrad_vector_t vector_of(const gpu_subject_t *s, int set, gpu_array_t array, int64_t length) {
  return (svdgrad_vector_t){s->array[set][array], 1, length};
}

svdgrad_desc_t gpu_subject_desc(const gpu_subject_t *s, gpu_op_t op, svdgrad_algo_t algo, int64_t batch_count) {
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.dtype = s->dtype, desc.algo = algo;
  desc.m = s->m, desc.n = s->n, desc.batch_count = batch_count;
  desc.rank = op == GPU_RANK ? rank_of(s) : 0;
  return desc;
}

static int is_backward_only(gpu_op_t op) { return op == GPU_BACKWARD || op == GPU_BACKWARD_GS; }

const char *gpu_subject_algorithm(const gpu_subject_t *s, gpu_op_t op, svdgrad_algo_t algo) {
  const svdgrad_desc_t desc = gpu_subject_desc(s, op, algo, 1);
  return svdgrad_algorithm_name(s->handle,
                                is_backward_only(op) ? SVDGRAD_OP_SVD_BACKWARD
                                : op == GPU_SVDVALS  ? SVDGRAD_OP_SVDVALS
                                                     : SVDGRAD_OP_SVD,
                                &desc);
}

/* The most that any call needs for the batch; SIZE_MAX if one of them cannot be sized. */
static size_t workspace(const gpu_subject_t *s) {
  static const svdgrad_op_t ops[] = {SVDGRAD_OP_SVD, SVDGRAD_OP_SVDVALS, SVDGRAD_OP_SVD_BACKWARD};
  size_t most = 256;
  for (int algo = SVDGRAD_ALGO_AUTO; algo <= SVDGRAD_ALGO_VENDOR; algo++)
    for (int i = 0; i < 3; i++)
      for (int rank = 0; rank < 2; rank++) {
        const svdgrad_desc_t desc =
            gpu_subject_desc(s, rank ? GPU_RANK : GPU_SVD, (svdgrad_algo_t)algo, s->batch_count);
        size_t bytes = 0;
        if (!svdgrad_algorithm_name(s->handle, ops[i], &desc))
          continue;
        if (svdgrad_workspace_size(s->handle, ops[i], &desc, &bytes))
          return SIZE_MAX;
        most = bytes > most ? bytes : most;
      }
  return most;
}

static int clamp(double x, int low, int high) { return x < low ? low : x > high ? high : (int)x; }

/* As many sets as exceed the cache four times. */
static int sets_for(size_t bytes) {
  int device = 0, cache = 0;
  gpu_check(cudaGetDevice(&device), "cudaGetDevice");
  gpu_check(cudaDeviceGetAttribute(&cache, cudaDevAttrL2CacheSize, device), "cudaDeviceGetAttribute");
  return clamp(ceil(4.0 * cache / (double)bytes), 2, GPU_MOST_SETS);
}

static void fill(const gpu_subject_t *s, int set) {
  static const gpu_array_t random[] = {GPU_A, GPU_GS, GPU_GU, GPU_GVH};
  for (size_t i = 0; i < sizeof random / sizeof *random; i++) {
    const int64_t numbers = (int64_t)(matrix_bytes(s, random[i]) / real_size(s)) * s->batch_count;
    gpu_check(fill_normal(s->array[set][random[i]], numbers, real_size(s) == sizeof(double),
                          (uint64_t)(100 * set + (int)i + 1), s->stream),
              "fill_normal");
  }
}

int gpu_subject_make(gpu_subject_t *s, svdgrad_handle_t handle, cudaStream_t stream, svdgrad_dtype_t dtype,
                     bench_case_t size, size_t memory) {
  *s = (gpu_subject_t){.handle = handle, .stream = stream, .dtype = dtype, .m = size.m, .n = size.n};
  s->k = size.m < size.n ? size.m : size.n;
  s->batch_count = size.batch_count;
  size_t bytes = 0;
  for (int i = 0; i < GPU_ARRAY_COUNT; i++)
    bytes += matrix_bytes(s, (gpu_array_t)i) * (size_t)s->batch_count;
  s->sets = sets_for(matrix_bytes(s, GPU_A) * (size_t)s->batch_count);
  s->work_bytes = workspace(s);
  if (s->work_bytes > memory || bytes > (memory - s->work_bytes) / (size_t)s->sets)
    return 0;
  for (int set = 0; set < s->sets; set++) {
    for (int i = 0; i < GPU_ARRAY_COUNT; i++) {
      const size_t all = matrix_bytes(s, (gpu_array_t)i) * (size_t)s->batch_count;
      gpu_check(cudaMalloc(&s->array[set][i], all), "cudaMalloc");
      gpu_check(cudaMemsetAsync(s->array[set][i], 0xFF, all, stream), "cudaMemsetAsync"); /* NaN: unwritten shows */
    }
    fill(s, set);
  }
  gpu_check(cudaMalloc(&s->work, s->work_bytes), "cudaMalloc");
  gpu_check(cudaStreamSynchronize(stream), "fill");
  s->samples = size.batch_count < GPU_SAMPLES ? (int)size.batch_count : GPU_SAMPLES;
  s->base.backend = SVDGRAD_BACKEND_REF; /* of the fixture alone; it computes nothing */
  const svdgrad_desc_t desc = gpu_subject_desc(s, GPU_SVD, SVDGRAD_ALGO_AUTO, s->samples);
  s->base.x.f = fixture_make(SVDGRAD_BACKEND_REF, &desc, LAYOUT_COLUMN_MAJOR);
  return 1;
}

void gpu_subject_free(gpu_subject_t *s) {
  for (int set = 0; set < s->sets; set++)
    for (int i = 0; i < GPU_ARRAY_COUNT; i++)
      gpu_check(cudaFree(s->array[set][i]), "cudaFree");
  gpu_check(cudaFree(s->work), "cudaFree");
  fixture_free(&s->base.x.f);
}

/* ---- running -------------------------------------------------------------------------------------- */

static svdgrad_status_t run_forward(const gpu_subject_t *s, gpu_op_t op, const svdgrad_desc_t *desc, int set) {
  const int truncated = op == GPU_RANK;
  const int64_t k = truncated ? rank_of(s) : s->k;
  const svdgrad_matrix_t A = matrix_of(s, set, GPU_A, s->m, s->n);
  const svdgrad_matrix_t U = matrix_of(s, set, truncated ? GPU_RANK_U : GPU_U, s->m, k);
  const svdgrad_matrix_t Vh = matrix_of(s, set, truncated ? GPU_RANK_VH : GPU_VH, k, s->n);
  const svdgrad_vector_t S = vector_of(s, set, truncated ? GPU_RANK_S : GPU_S, k);
  const int vectors = op != GPU_SVDVALS;
  return svdgrad_svd(s->handle, s->stream, desc, &A, &S, vectors ? &U : NULL, vectors ? &Vh : NULL,
                     s->array[set][GPU_INFO], s->work, s->work_bytes);
}

static svdgrad_status_t run_backward(const gpu_subject_t *s, gpu_op_t op, const svdgrad_desc_t *desc, int set) {
  const int truncated = op == GPU_RANK, vectors = op == GPU_BACKWARD || truncated;
  const int64_t k = truncated ? rank_of(s) : s->k;
  const svdgrad_matrix_t A = matrix_of(s, set, GPU_A, s->m, s->n), gA = matrix_of(s, set, GPU_GA, s->m, s->n);
  const svdgrad_matrix_t U = matrix_of(s, set, truncated ? GPU_RANK_U : GPU_U, s->m, k);
  const svdgrad_matrix_t Vh = matrix_of(s, set, truncated ? GPU_RANK_VH : GPU_VH, k, s->n);
  const svdgrad_matrix_t gU = matrix_of(s, set, GPU_GU, s->m, k), gVh = matrix_of(s, set, GPU_GVH, k, s->n);
  const svdgrad_vector_t S = vector_of(s, set, truncated ? GPU_RANK_S : GPU_S, k), gS = vector_of(s, set, GPU_GS, k);
  return svdgrad_svd_backward(s->handle, s->stream, desc, &A, &S, &U, &Vh, &gS, vectors ? &gU : NULL,
                              vectors ? &gVh : NULL, 1, 0, &gA, s->array[set][GPU_REPORT], s->work, s->work_bytes);
}

svdgrad_status_t gpu_subject_run(const gpu_subject_t *s, gpu_op_t op, svdgrad_algo_t algo, int64_t batch_count,
                                 int set) {
  const svdgrad_desc_t desc = gpu_subject_desc(s, op, algo, batch_count);
  svdgrad_status_t status = SVDGRAD_STATUS_SUCCESS;
  if (!is_backward_only(op))
    status = run_forward(s, op, &desc, set);
  if (!status && op != GPU_SVD && op != GPU_SVDVALS)
    status = run_backward(s, op, &desc, set);
  return status;
}

/* ---- accuracy ------------------------------------------------------------------------------------- */

static const struct {
  gpu_array_t array;
  fixture_operand_t operand;
} mirrored[] = {{GPU_A, OPERAND_A},   {GPU_S, OPERAND_S},   {GPU_U, OPERAND_U},     {GPU_VH, OPERAND_VH},
                {GPU_GS, OPERAND_GS}, {GPU_GU, OPERAND_GU}, {GPU_GVH, OPERAND_GVH}, {GPU_GA, OPERAND_GA}};
enum { MIRRORED = sizeof mirrored / sizeof *mirrored };

/* Copies one operand of the sampled matrices, host to device or back. */
static void copy_samples(gpu_subject_t *s, gpu_array_t array, enum cudaMemcpyKind kind) {
  for (int i = 0; i < MIRRORED; i++) {
    if (mirrored[i].array != array)
      continue;
    const size_t bytes = matrix_bytes(s, array);
    for (int j = 0; j < s->samples; j++) {
      char *host = (char *)fixture_operand(&s->base.x.f, mirrored[i].operand)->matrix.data + (size_t)j * bytes;
      char *device = (char *)s->array[0][array] + (size_t)s->sample[j] * bytes;
      const int down = kind == cudaMemcpyDeviceToHost;
      gpu_check(cudaMemcpy(down ? host : device, down ? device : host, bytes, kind), "cudaMemcpy");
    }
  }
}

static void copy_reports(gpu_subject_t *s) {
  for (int j = 0; j < s->samples; j++)
    gpu_check(cudaMemcpy(&s->base.x.f.report[j], (svdgrad_report_t *)s->array[0][GPU_REPORT] + s->sample[j],
                         sizeof(svdgrad_report_t), cudaMemcpyDeviceToHost),
              "cudaMemcpy");
}

static void run_and_wait(const gpu_subject_t *s, gpu_op_t op) {
  if (gpu_subject_run(s, op, s->algo, s->run_count, 0)) {
    fprintf(stderr, "gpu_bench: %s\n", svdgrad_last_error_message());
    exit(1);
  }
  gpu_check(cudaStreamSynchronize(s->stream), gpu_op_name(op));
}

/* What bench_accuracy.c calls: the whole batch runs on the device, the samples go there and back. */
void series_run(subject_t *base, const series_t *series) {
  gpu_subject_t *s = (gpu_subject_t *)base;
  const gpu_op_t op = (gpu_op_t)series->op;
  if (is_backward_only(op)) {
    copy_samples(s, GPU_GS, cudaMemcpyHostToDevice);
    copy_samples(s, GPU_GU, cudaMemcpyHostToDevice);
    copy_samples(s, GPU_GVH, cudaMemcpyHostToDevice);
  }
  run_and_wait(s, op);
  copy_samples(s, GPU_S, cudaMemcpyDeviceToHost);
  copy_samples(s, GPU_U, cudaMemcpyDeviceToHost);
  copy_samples(s, GPU_VH, cudaMemcpyDeviceToHost);
  copy_samples(s, GPU_GA, cudaMemcpyDeviceToHost);
  copy_reports(s);
}

static int all_converged(const gpu_subject_t *s) {
  const size_t bytes = (size_t)s->run_count * sizeof(int32_t);
  int32_t *info = malloc(bytes);
  int good = info != NULL;
  if (!info)
    return 0;
  gpu_check(cudaMemcpy(info, s->array[0][GPU_INFO], bytes, cudaMemcpyDeviceToHost), "cudaMemcpy");
  for (int64_t b = 0; b < s->run_count; b++)
    good &= info[b] == SVDGRAD_INFO_OK;
  free(info);
  return good;
}

static void load_numbers(const gpu_subject_t *s, gpu_array_t array, int64_t matrix, z_t *to) {
  int64_t rows, columns;
  size_t element;
  array_shape(s, array, &rows, &columns, &element);
  const size_t bytes = matrix_bytes(s, array), R = real_size(s);
  const size_t parts = element / R;
  unsigned char *host = malloc(bytes);
  if (!host)
    exit(1);
  gpu_check(cudaMemcpy(host, (char *)s->array[0][array] + (size_t)matrix * bytes, bytes, cudaMemcpyDeviceToHost),
            "cudaMemcpy");
  for (int64_t i = 0; i < rows * columns; i++) {
    double x[2] = {0, 0};
    for (size_t part = 0; part < parts; part++) {
      const unsigned char *from = host + ((size_t)i * parts + part) * R;
      float f = 0;
      memcpy(R == sizeof f ? (void *)&f : (void *)&x[part], from, R);
      x[part] = R == sizeof f ? (double)f : x[part];
    }
    to[i] = CMPLXL(x[0], x[1]);
  }
  free(host);
}

static void store_numbers(const gpu_subject_t *s, gpu_array_t array, int64_t at, int64_t count, const z_t *from,
                          int parts) {
  const size_t R = real_size(s), bytes = (size_t)(count * parts) * R;
  unsigned char *host = malloc(bytes);
  if (!host)
    exit(1);
  for (int64_t i = 0; i < count; i++)
    for (int part = 0; part < parts; part++) {
      const double d = (double)(part ? cimagl(from[i]) : creall(from[i]));
      const float f = (float)d;
      memcpy(host + (size_t)(i * parts + part) * R, R == sizeof f ? (const void *)&f : (const void *)&d, R);
    }
  gpu_check(cudaMemcpy((char *)s->array[0][array] + (size_t)(at * parts) * R, host, bytes, cudaMemcpyHostToDevice),
            "cudaMemcpy");
  free(host);
}

/* One matrix: cotangents of |U S Vh|^2 / 2, that is gU = U S^2, gS = S, gVh = S^2 Vh. */
static void set_rank_cotangents(const gpu_subject_t *s, int64_t b, dense_t *S, dense_t *U, dense_t *Vh) {
  const int64_t r = rank_of(s);
  const int parts = numbers_per_element(s);
  *S = dense_zero(r, 1), *U = dense_zero(s->m, r), *Vh = dense_zero(r, s->n);
  load_numbers(s, GPU_RANK_S, b, S->at);
  load_numbers(s, GPU_RANK_U, b, U->at);
  load_numbers(s, GPU_RANK_VH, b, Vh->at);
  dense_t gU = dense_copy(U), gVh = dense_copy(Vh);
  for (int64_t i = 0; i < s->m * r; i++)
    gU.at[i] *= S->at[i / s->m] * S->at[i / s->m];
  for (int64_t i = 0; i < r * s->n; i++)
    gVh.at[i] *= S->at[i % r] * S->at[i % r];
  store_numbers(s, GPU_GS, b * r, r, S->at, 1);
  store_numbers(s, GPU_GU, b * s->m * r, s->m * r, gU.at, parts);
  store_numbers(s, GPU_GVH, b * r * s->n, r * s->n, gVh.at, parts);
  dense_free(&gU);
  dense_free(&gVh);
}

static double rank_error(const gpu_subject_t *s, int64_t b, const dense_t *S, const dense_t *U, const dense_t *Vh) {
  const int64_t r = rank_of(s);
  const double condition = (double)(creall(S->at[0]) / creall(S->at[r - 1]));
  svdgrad_report_t report;
  gpu_check(cudaMemcpy(&report, (svdgrad_report_t *)s->array[0][GPU_REPORT] + b, sizeof report, cudaMemcpyDeviceToHost),
            "cudaMemcpy");
  dense_t US = dense_copy(U), gA = dense_zero(s->m, s->n);
  for (int64_t i = 0; i < s->m * r; i++)
    US.at[i] *= S->at[i / s->m];
  load_numbers(s, GPU_GA, b, gA.at);
  dense_t exact = dense_product(&US, Vh), error = dense_sum(1, &gA, -1, &exact);
  const double unit =
      dtype_epsilon(s->dtype) * (double)r * (condition > 1 / report.min_gap ? condition : 1 / report.min_gap);
  const double ratio = (double)(dense_norm(&error) / dense_norm(S)) / unit;
  dense_free(&US);
  dense_free(&gA);
  dense_free(&exact);
  dense_free(&error);
  return ratio;
}

static double rank_accuracy(const gpu_subject_t *s) {
  double worst = 0;
  run_and_wait(s, GPU_RANK);
  dense_t S[GPU_SAMPLES], U[GPU_SAMPLES], Vh[GPU_SAMPLES];
  const int count = s->m * s->n * s->k > 10000000 ? 1 : s->samples;
  for (int j = 0; j < count; j++)
    set_rank_cotangents(s, s->sample[j], &S[j], &U[j], &Vh[j]);
  run_and_wait(s, GPU_RANK);
  for (int j = 0; j < count; j++) {
    const double error = rank_error(s, s->sample[j], &S[j], &U[j], &Vh[j]);
    worst = error <= worst ? worst : error; /* a NaN stays */
    dense_free(&S[j]);
    dense_free(&U[j]);
    dense_free(&Vh[j]);
  }
  return worst;
}

double gpu_subject_accuracy(gpu_subject_t *s, gpu_op_t op, svdgrad_algo_t algo, int64_t batch_count) {
  s->algo = algo;
  s->run_count = batch_count;
  for (int j = 0; j < s->samples; j++) /* spread over the batch, with both ends; twice the same where it is small */
    s->sample[j] = s->samples > 1 ? (batch_count - 1) * j / (s->samples - 1) : 0;
  copy_samples(s, GPU_A, cudaMemcpyDeviceToHost);
  copy_samples(s, GPU_GS, cudaMemcpyDeviceToHost);
  copy_samples(s, GPU_GU, cudaMemcpyDeviceToHost);
  copy_samples(s, GPU_GVH, cudaMemcpyDeviceToHost);
  const series_t series = {.op = op == GPU_SUM ? BENCH_BACKWARD_GS : (bench_op_t)op, .threads = 1};
  const double accuracy = op == GPU_RANK ? rank_accuracy(s) : series_accuracy(&s->base, &series);
  return all_converged(s) ? accuracy : (double)NAN;
}
