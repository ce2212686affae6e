/* SPDX-License-Identifier: BSD-3-Clause */
/* Times each path of the CPU backend on the same matrices, whatever AUTO would take, for the crossovers in
 * src/cpu/cpu_few.c and cpu_choice.c.  bench/crossovers.py fits the rule to what it prints; ./run crossovers does both, for
 * the instruction set that the library chooses, or SVDGRAD_ISA.
 *
 * It is linked with the objects of the library, and the linker puts __wrap_cpu_choose() in the place of cpu_choose(). */
#define _GNU_SOURCE /* clock_gettime */
#include "cpu/cpu_choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

cpu_algorithm_t __wrap_cpu_choose(svdgrad_op_t op, const problem_t *problem, int lanes);

/* What the next calls take, for the SVD, its gradient, and programs. */
static struct { cpu_algorithm_t svd, gradient, program; } forced;

cpu_algorithm_t __wrap_cpu_choose(svdgrad_op_t op, const problem_t *problem, int lanes) {
  (void)problem, (void)lanes;
  if (op == SVDGRAD_OP_SVD || op == SVDGRAD_OP_SVDVALS)
    return forced.svd;
  return op == SVDGRAD_OP_SVD_BACKWARD ? forced.gradient : forced.program;
}

enum { PATHS = 5, ROUNDS = 15 };
static const double SHORTEST = 1e-4; /* seconds of a sample */

typedef enum kind { SVD, VALUES, GRADIENTS, PROGRAMS, KINDS } kind_t;
static const char *const kind_names[KINDS] = {"svd", "values", "gradients", "programs"};
static const char *const dtype_names[4] = {"f32", "f64", "c64", "c128"};

/* A path, and the number of matrices that it is timed with: one, or a full group, or half of it (simd/kernels.h). */
typedef enum amount { ONE, GROUP, HALF } amount_t;
typedef struct path {
  cpu_algorithm_t algorithm;
  amount_t amount;
} path_t;

static const path_t paths[KINDS][PATHS] = {
    [SVD] = {{CPU_BIDIAGONAL, ONE},
             {CPU_LANES, GROUP},
             {CPU_VECTOR_LANES, GROUP},
             {CPU_LANES, HALF},
             {CPU_VECTOR_LANES, HALF}},
    [VALUES] = {{CPU_BIDIAGONAL, ONE},
                {CPU_LANES, GROUP},
                {CPU_VALUE_LANES, GROUP},
                {CPU_LANES, HALF},
                {CPU_VALUE_LANES, HALF}},
    [GRADIENTS] = {{CPU_PROGRAM, ONE}, {CPU_LANES_BACKWARD, GROUP}, {CPU_LANES_BACKWARD, HALF}},
    [PROGRAMS] = {{CPU_PROGRAM, ONE}, {CPU_PROGRAM_LANES, GROUP}, {CPU_PROGRAM_LANES, HALF}},
};

/* Largest of the larger side, for programs; most bytes of A in lanes; elements as cpu_few.c has them. */
enum { PROGRAM_MOST = 16, MOST_BYTES = 1 << 17, LEAST_ELEMENTS = 32 };

/* Row-major operands of a batch. */
typedef struct operands {
  svdgrad_desc_t desc;
  svdgrad_matrix_t A, U, Vh, gU, gVh, gA;
  svdgrad_vector_t S, gS;
  int32_t *info;
  void *work;
  size_t work_bytes;
} operands_t;

/* Matrices in a full group. */
static int lane_count(svdgrad_handle_t handle, svdgrad_dtype_t dtype) {
  const char *isa = svdgrad_instruction_set(handle);
  const int bytes = !strcmp(isa, "avx512") ? 64 : !strcmp(isa, "avx2") ? 32 : 16;
  return bytes / (dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64 ? 4 : 8);
}

static const size_t element_bytes[4] = {4, 8, 8, 16};

static void check(svdgrad_status_t status) {
  if (status == SVDGRAD_STATUS_SUCCESS)
    return;
  fprintf(stderr, "bench_crossovers: %s\n", svdgrad_last_error_message());
  exit(EXIT_FAILURE);
}

static void *take(size_t bytes) {
  void *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
  if (!memory)
    exit(EXIT_FAILURE);
  memset(memory, 0, bytes);
  return memory;
}

/* The sum of four uniform numbers, nearly normal. */
static double random_number(void) {
  double sum = -2;
  for (int i = 0; i < 4; i++)
    sum += rand() / (double)RAND_MAX;
  return sum;
}

static svdgrad_matrix_t matrix(const svdgrad_desc_t *d, int64_t rows, int64_t columns) {
  const int64_t reals = d->batch_count * rows * columns * (d->dtype >= SVDGRAD_C64 ? 2 : 1);
  void *data = take((size_t)(d->batch_count * rows * columns) * element_bytes[d->dtype]);
  for (int64_t i = 0; i < reals; i++)
    if (d->dtype == SVDGRAD_F32 || d->dtype == SVDGRAD_C64)
      ((float *)data)[i] = (float)random_number();
    else
      ((double *)data)[i] = random_number();
  return (svdgrad_matrix_t){data, columns, 1, rows * columns};
}

static svdgrad_vector_t vector(const svdgrad_desc_t *d, int64_t count) {
  return (svdgrad_vector_t){take((size_t)(d->batch_count * count) * sizeof(double)), 1, count};
}

static operands_t operands(svdgrad_dtype_t dtype, int64_t m, int64_t n, int64_t batch_count) {
  const int64_t k = m < n ? m : n;
  operands_t o = {.desc = SVDGRAD_DESC_INIT};
  o.desc.dtype = dtype, o.desc.m = m, o.desc.n = n, o.desc.batch_count = batch_count;
  svdgrad_desc_t *d = &o.desc;
  o.A = matrix(d, m, n), o.gA = matrix(d, m, n), o.U = matrix(d, m, k), o.gU = matrix(d, m, k);
  o.Vh = matrix(d, k, n), o.gVh = matrix(d, k, n), o.S = vector(d, k), o.gS = vector(d, k);
  o.info = take((size_t)batch_count * sizeof(int32_t));
  return o;
}

static void release(operands_t *o) {
  void *const all[] = {o->A.data,   o->gA.data, o->U.data,  o->gU.data, o->Vh.data,
                       o->gVh.data, o->S.data,  o->gS.data, o->info,    o->work};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    free(all[i]);
}

/* The gradient of the polar factor stands for all programs. */
static void call(svdgrad_handle_t handle, kind_t kind, const operands_t *o) {
  static const svdgrad_function_t polar = SVDGRAD_FUNCTION_INIT;

  const int with_vectors = kind != VALUES;
  switch (kind) {
  case GRADIENTS:
    check(svdgrad_svd_backward(handle, NULL, &o->desc, &o->A, &o->S, &o->U, &o->Vh, &o->gS, &o->gU, &o->gVh, 1, 0,
                               &o->gA, NULL, o->work, o->work_bytes));
    return;
  case PROGRAMS:
    check(svdgrad_matrix_function_backward(handle, NULL, &o->desc, &polar, &o->S, &o->U, &o->Vh, &o->A, 1, 0, &o->gA,
                                           NULL, o->work, o->work_bytes));
    return;
  default:
    check(svdgrad_svd(handle, NULL, &o->desc, &o->A, &o->S, with_vectors ? &o->U : NULL, with_vectors ? &o->Vh : NULL,
                      o->info, o->work, o->work_bytes));
  }
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double time_of(svdgrad_handle_t handle, kind_t kind, const operands_t *o, int calls) {
  call(handle, kind, o); /* warm */
  const double start = seconds();
  for (int i = 0; i < calls; i++)
    call(handle, kind, o);
  return (seconds() - start) / calls;
}

static void force(cpu_algorithm_t algorithm) {
  forced.svd = forced.gradient = forced.program = algorithm;
  if (algorithm == CPU_PROGRAM || algorithm == CPU_PROGRAM_LANES || algorithm == CPU_LANES_BACKWARD)
    forced.svd = CPU_BIDIAGONAL; /* of the factors */
}

static const svdgrad_op_t op_of[KINDS] = {SVDGRAD_OP_SVD, SVDGRAD_OP_SVDVALS, SVDGRAD_OP_SVD_BACKWARD,
                                          SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD};

static operands_t prepared(svdgrad_handle_t handle, kind_t kind, svdgrad_dtype_t dtype, int64_t m, int64_t n,
                           int64_t batch_count, path_t path) {
  operands_t o = operands(dtype, m, n, batch_count);
  force(path.algorithm);
  check(svdgrad_workspace_size(handle, op_of[kind], &o.desc, &o.work_bytes));
  size_t more = 0;
  check(svdgrad_workspace_size(handle, SVDGRAD_OP_SVD, &o.desc, &more));
  o.work_bytes = o.work_bytes > more ? o.work_bytes : more;
  o.work = take(o.work_bytes);
  if (kind >= GRADIENTS)
    call(handle, SVD, &o);
  return o;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, compare);
  return values[count / 2];
}

/* For each path the median of its time over that of the first in the same round, which load disturbs less than either, and
 * its least time in microseconds. */
static void measure(svdgrad_handle_t handle, kind_t kind, svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  const int lanes = lane_count(handle, dtype), matrices[] = {[ONE] = 1, [GROUP] = lanes, [HALF] = lanes / 2};
  operands_t all[PATHS];
  double times[PATHS][ROUNDS], ratios[PATHS][ROUNDS];
  int calls[PATHS], count = 0;
  for (; count < PATHS && paths[kind][count].algorithm; count++) {
    const path_t path = paths[kind][count];
    all[count] = prepared(handle, kind, dtype, m, n, matrices[path.amount], path);
    calls[count] = 1 + (int)(SHORTEST / time_of(handle, kind, &all[count], 1));
  }
  for (int round = 0; round < ROUNDS; round++)
    for (int i = 0; i < count; i++) {
      force(paths[kind][i].algorithm);
      times[i][round] = time_of(handle, kind, &all[i], calls[i]);
      ratios[i][round] = times[i][round] / times[0][round];
    }
  printf("%s,%s,%d,%lld,%lld", kind_names[kind], dtype_names[dtype], lanes, (long long)m, (long long)n);
  for (int i = 0; i < count; i++) {
    (void)median(times[i], ROUNDS);
    const path_t path = paths[kind][i];
    printf(",%s%s,%.4g,%.3g", path.amount == HALF ? "half of " : "", cpu_algorithm_string(path.algorithm),
           1e6 * times[i][0], median(ratios[i], ROUNDS));
    release(&all[i]);
  }
  printf("\n");
  fflush(stdout);
}

/* m over n, and n; wide matrices cost what tall ones do. */
static const struct {
  int ratio, columns[16];
} shapes[] = {{1, {4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 112, 128}},
              {2, {4, 8, 12, 16, 24, 32, 48, 64, 96}},
              {4, {4, 8, 16, 24, 32, 48, 64, 80}},
              {8, {2, 4, 8, 16, 24, 32, 48, 64}},
              {10, {2, 4, 8, 16, 24, 32, 48}},
              {30, {1, 2, 4, 8, 12, 16, 24, 32}},
              {100, {1, 2, 4, 8, 12, 16}},
              {300, {1, 2, 4, 8}},
              {1000, {1, 2, 4}},
              {4000, {1, 2}}};

static int is_measured(kind_t kind, svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  if (kind == PROGRAMS)
    return m <= PROGRAM_MOST;
  if (m * n < LEAST_ELEMENTS) /* AUTO takes Jacobi in lanes, and the scratch of the others is not provided for */
    return 0;
  return (size_t)(m * n) * element_bytes[dtype] <= 2 * MOST_BYTES && (kind != GRADIENTS || n <= 96);
}

int main(int count, char **names) {
  svdgrad_handle_t handle;
  check(svdgrad_create(SVDGRAD_BACKEND_CPU, 0, &handle));
  check(svdgrad_set_num_threads(handle, 1));
  for (kind_t kind = SVD; kind < KINDS; kind++) {
    int wanted = count < 2;
    for (int i = 1; i < count; i++)
      wanted = wanted || !strcmp(names[i], kind_names[kind]);
    for (int dtype = 0; wanted && dtype < 4; dtype++)
      for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int j = 0; j < 16 && shapes[i].columns[j]; j++) {
          const int64_t n = shapes[i].columns[j], m = shapes[i].ratio * n;
          if (is_measured(kind, (svdgrad_dtype_t)dtype, m, n))
            measure(handle, kind, (svdgrad_dtype_t)dtype, m, n);
        }
  }
  return svdgrad_destroy(handle);
}
