/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass by a block and by a group of lanes (src/cuda/kernels/backward_fused.cuh, backward_warp.cuh): one text,
 * and every sum in one order, so gA has the same bits.  The operands are random, and no SVD. */
#include "cases.h"
#include "cuda/cuda_device.h"
#include "fixture.h"
#include "random.h"

#include <criterion/criterion.h>
#include <string.h>

enum { BATCH = 3, MOST = 32 * 16 };
enum { OF_U, OF_VH, OF_GU, OF_GVH, OF_GA, OF_S, OF_GS, OPERANDS };

typedef struct shape {
  svdgrad_dtype_t dtype;
  int64_t m, n;
  int with; /* WITH_GU | .. */
  double beta;
} shape_t;

static size_t real_size(svdgrad_dtype_t dtype) { return cuda_kernels_of(dtype)->real_size; }

/* Real numbers of a matrix of an operand. */
static int64_t count_of(const shape_t *p, int operand) {
  const int64_t k = p->m < p->n ? p->m : p->n, parts = dtype_is_complex(p->dtype) ? 2 : 1;
  switch (operand) {
  case OF_U:
  case OF_GU: return parts * p->m * k;
  case OF_VH:
  case OF_GVH: return parts * k * p->n;
  case OF_GA: return parts * p->m * p->n;
  default: return k;
  }
}

/* On the device. */
static void *operand_make(const shape_t *p, int operand) {
  const int64_t count = BATCH * count_of(p, operand);
  random_t random = random_seed((uint64_t)(7 * operand + p->m + 100 * p->n));
  double values[2 * BATCH * MOST];
  float narrow[2 * BATCH * MOST];
  void *on_device = NULL;
  for (int64_t i = 0; i < count; i++) {
    const double falling = 1 + (double)((count - i) % count_of(p, operand)); /* with two pairs of equals */
    values[i] = operand == OF_S ? falling - (i % 5 == 1) : random_normal(&random);
    narrow[i] = (float)values[i];
  }
  const size_t bytes = (size_t)count * real_size(p->dtype);
  cr_assert_eq(cudaMalloc(&on_device, bytes), cudaSuccess);
  cr_assert_eq(cudaMemcpy(on_device, real_size(p->dtype) == sizeof(float) ? (void *)narrow : (void *)values, bytes,
                          cudaMemcpyHostToDevice),
               cudaSuccess);
  return on_device;
}

static svdgrad_matrix_t matrix_of(void *data, int64_t rows, int64_t columns) {
  return (svdgrad_matrix_t){data, 1, rows, rows * columns};
}

/* gA and the reports of one of the kernels, in host memory. */
static void run(const shape_t *p, cudaError_t (*launch)(const fused_args_t *, cudaStream_t), unsigned char *gA,
                svdgrad_report_t *report) {
  const int64_t k = p->m < p->n ? p->m : p->n;
  void *x[OPERANDS], *reports = NULL;
  for (int i = 0; i < OPERANDS; i++)
    x[i] = operand_make(p, i);
  cr_assert_eq(cudaMalloc(&reports, BATCH * sizeof *report), cudaSuccess);
  fused_args_t args = {.batch_count = BATCH, .m = p->m, .n = p->n, .k = k, .alpha = 1.5, .beta = p->beta};
  args.U = matrix_of(x[OF_U], p->m, k), args.Vh = matrix_of(x[OF_VH], k, p->n);
  args.gA = matrix_of(x[OF_GA], p->m, p->n);
  args.S = (svdgrad_vector_t){x[OF_S], 1, k};
  if (p->with & WITH_GU)
    args.gU = matrix_of(x[OF_GU], p->m, k);
  if (p->with & WITH_GVH)
    args.gVh = matrix_of(x[OF_GVH], k, p->n);
  if (p->with & WITH_GS)
    args.gS = (svdgrad_vector_t){x[OF_GS], 1, k};
  args.report = reports;
  cr_assert_eq(launch(&args, NULL), cudaSuccess);
  cr_assert_eq(cudaDeviceSynchronize(), cudaSuccess);
  const size_t bytes = (size_t)(BATCH * count_of(p, OF_GA)) * real_size(p->dtype);
  cr_assert_eq(cudaMemcpy(gA, x[OF_GA], bytes, cudaMemcpyDeviceToHost), cudaSuccess);
  cr_assert_eq(cudaMemcpy(report, reports, BATCH * sizeof *report, cudaMemcpyDeviceToHost), cudaSuccess);
  for (int i = 0; i < OPERANDS; i++)
    cr_assert_eq(cudaFree(x[i]), cudaSuccess);
  cr_assert_eq(cudaFree(reports), cudaSuccess);
}

static void compare(const shape_t *p) {
  static unsigned char gA[2][BATCH * MOST * 2 * 2 * sizeof(double)];
  svdgrad_report_t report[2][BATCH];
  const cuda_kernels_t *kernels = cuda_kernels_of(p->dtype);
  run(p, kernels->backward_fused, gA[0], report[0]);
  run(p, kernels->backward_warp, gA[1], report[1]);
  cr_expect_eq(memcmp(gA[0], gA[1], (size_t)(BATCH * count_of(p, OF_GA)) * real_size(p->dtype)), 0,
               "gA differs: %s %d x %d, cotangents %d, beta %g", dtype_name(p->dtype), (int)p->m, (int)p->n, p->with,
               p->beta);
  for (int b = 0; b < BATCH; b++)
    cr_expect(report[0][b].min_gap == report[1][b].min_gap && report[0][b].flags == report[1][b].flags &&
                  report[0][b].dropped_pairs == report[1][b].dropped_pairs &&
                  report[0][b].amplification == report[1][b].amplification,
              "report %d differs: %s %d x %d, cotangents %d", b, dtype_name(p->dtype), (int)p->m, (int)p->n, p->with);
}

Test(backward_teams, same_bits) {
  static const int64_t shapes[][2] = {{5, 5},   {8, 8},   {9, 5},  {5, 9},  {16, 16}, {12, 12}, {32, 16},
                                      {16, 32}, {16, 17}, {17, 8}, {3, 31}, {20, 1},  {13, 10}, {1, 7}};
  static const int given[] = {WITH_COTANGENTS, WITH_GS, WITH_GU, WITH_GVH | WITH_GS};
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
      for (size_t g = 0; g < sizeof given / sizeof *given; g++)
        compare(&(shape_t){dtype, shapes[s][0], shapes[s][1], given[g], g % 2 ? 0.5 : 0});
}
