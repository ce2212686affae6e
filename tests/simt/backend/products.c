/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of the CUDA backend (src/cuda/kernels/gemm.cuh): an element has the same bits whether a thread makes it alone,
 * or in a small or large tile, which are taken by size and batch. */
#include "cuda/cuda_device.h"

#include <criterion/criterion.h>
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

enum { EDGE = 72, MATRIX = EDGE * EDGE, MANY = 64 }; /* leading dimension; elements of a matrix; matrices */

typedef struct operands {
  const cuda_kernels_t *kernels;
  void *A, *B, *C;
} operands_t;

static size_t bytes_of(const operands_t *x, int64_t matrices) {
  return (size_t)(matrices * MATRIX) * x->kernels->element_size;
}

/* Every matrix has the same numbers in [-1, 1). */
static void *device_random(const operands_t *x, uint64_t seed) {
  const size_t reals = bytes_of(x, 1) / x->kernels->real_size;
  unsigned char *numbers = malloc(bytes_of(x, MANY));
  void *device;
  cr_assert(numbers && cudaMalloc(&device, bytes_of(x, MANY)) == cudaSuccess);
  for (size_t i = 0; i < reals; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const double number = (double)(int64_t)seed / 9223372036854775808.0;
    const float rounded = (float)number;
    memcpy(numbers + i * x->kernels->real_size,
           x->kernels->real_size == sizeof rounded ? (const void *)&rounded : (const void *)&number,
           x->kernels->real_size);
  }
  for (int64_t b = 1; b < MANY; b++)
    memcpy(numbers + bytes_of(x, b), numbers, bytes_of(x, 1));
  cr_assert_eq(cudaMemcpy(device, numbers, bytes_of(x, MANY), cudaMemcpyHostToDevice), cudaSuccess);
  free(numbers);
  return device;
}

static operands_t make_operands(svdgrad_dtype_t dtype) {
  operands_t x = {.kernels = cuda_kernels_of(dtype)};
  x.A = device_random(&x, 1), x.B = device_random(&x, 2), x.C = device_random(&x, 3);
  return x;
}

static void free_operands(operands_t *x) { cudaFree(x->A), cudaFree(x->B), cudaFree(x->C); }

/* C <- 1.5 op(A) op(B) + 0.5 C, on fresh C; the caller frees what is returned, all matrices. */
static unsigned char *product(operands_t *x, int64_t batch_count, int64_t m, int64_t n, int64_t k,
                              cuda_operation_t op_a, cuda_operation_t op_b) {
  const gemm_args_t args = {batch_count, m,    n,    k,    op_a, op_b,   1.5,    0.5,   x->A,
                            x->B,        x->C, EDGE, EDGE, EDGE, MATRIX, MATRIX, MATRIX};
  unsigned char *result = malloc(bytes_of(x, MANY));
  cudaFree(x->C);
  x->C = device_random(x, 3);
  gemm_args_t fresh = args;
  fresh.C = x->C;
  cr_assert(result != NULL);
  cr_assert_eq(x->kernels->gemm(&fresh, NULL), cudaSuccess);
  cr_assert_eq(cudaMemcpy(result, x->C, bytes_of(x, MANY), cudaMemcpyDeviceToHost), cudaSuccess);
  return result;
}

/* Rows and columns that two results have in common. */
static int same(const operands_t *x, const unsigned char *a, const unsigned char *b, int64_t rows, int64_t columns) {
  const size_t size = x->kernels->element_size;
  int all = 1;
  for (int64_t j = 0; j < columns; j++)
    all &= memcmp(a + (size_t)(j * EDGE) * size, b + (size_t)(j * EDGE) * size, (size_t)rows * size) == 0;
  return all;
}

static const cuda_operation_t ops[][2] = {
    {CUDA_PLAIN, CUDA_PLAIN}, {CUDA_HERMITIAN, CUDA_PLAIN}, {CUDA_PLAIN, CUDA_HERMITIAN}};

Test(products, same_bits_in_small_and_large_tiles) {
  enum { M = 65, N = 40, K = 17 };
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    for (int i = 0; i < 3; i++) {
      operands_t x = make_operands(dtype);
      unsigned char *one = product(&x, 1, M, N, K, ops[i][0], ops[i][1]),
                    *many = product(&x, MANY, M, N, K, ops[i][0], ops[i][1]);
      cr_expect(!same(&x, one, one + bytes_of(&x, 1), M, N), "the product changes nothing");
      for (int64_t b = 0; b < MANY; b++)
        cr_expect(same(&x, one, many + bytes_of(&x, b), M, N), "type %d, operation %d, matrix %d", (int)dtype, i,
                  (int)b);
      free(one), free(many);
      free_operands(&x);
    }
}

Test(products, same_bits_of_a_thread_for_each_element) {
  for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    for (int64_t k = 1; k < 20; k += 6)
      for (int i = 0; i < 3; i++) {
        operands_t x = make_operands(dtype);
        unsigned char *tile = product(&x, 3, 17, 17, k, ops[i][0], ops[i][1]),
                      *each = product(&x, 3, 16, 13, k, ops[i][0], ops[i][1]);
        for (int64_t b = 0; b < 3; b++)
          cr_expect(same(&x, tile + bytes_of(&x, b), each + bytes_of(&x, b), 16, 13), "type %d, k %d, operation %d",
                    (int)dtype, (int)k, i);
        free(tile), free(each);
        free_operands(&x);
      }
}
