/* SPDX-License-Identifier: BSD-3-Clause */
/* One shape with all its operands on the device, several sets of them, so that repetitions do not read what the cache
 * still holds; and what is timed of it. */
#ifndef BENCH_GPU_SUBJECT_H
#define BENCH_GPU_SUBJECT_H
#include "bench_subject.h"

#include <cuda_runtime_api.h>

/* The first four are those of bench_op_t. */
typedef enum gpu_op {
  GPU_SVD,
  GPU_SVDVALS,
  GPU_BACKWARD,    /* all three cotangents */
  GPU_BACKWARD_GS, /* gS alone */
  GPU_SUM,         /* svd, then backward from gS: the gradient of a function of the singular values */
  GPU_RANK,        /* svd with rank max(1, k/2), then backward from all cotangents, truncated */
  GPU_OP_COUNT
} gpu_op_t;
const char *gpu_op_name(gpu_op_t op);

typedef enum gpu_array {
  GPU_A,
  GPU_S,
  GPU_U,
  GPU_VH,
  GPU_GS,
  GPU_GU,
  GPU_GVH,
  GPU_GA,
  GPU_RANK_S,
  GPU_RANK_U,
  GPU_RANK_VH,
  GPU_INFO,
  GPU_REPORT,
  GPU_ARRAY_COUNT
} gpu_array_t;

enum { GPU_MOST_SETS = 8, GPU_SAMPLES = 8 };

typedef struct gpu_subject {
  subject_t base; /* first: its fixture holds sampled matrices on the host, which bench_accuracy.c looks at */
  svdgrad_handle_t handle;
  cudaStream_t stream;
  svdgrad_dtype_t dtype;
  int64_t m, n, k, batch_count;
  int sets;
  void *array[GPU_MOST_SETS][GPU_ARRAY_COUNT];
  void *work;
  size_t work_bytes;
  int samples;
  int64_t sample[GPU_SAMPLES]; /* matrices of set 0 */
  svdgrad_algo_t algo;         /* of what bench_accuracy.c runs */
  int64_t run_count;           /* matrices that it runs */
} gpu_subject_t;

/* Non-zero if the shape fits into `memory` bytes of the device. */
int gpu_subject_make(gpu_subject_t *subject, svdgrad_handle_t handle, cudaStream_t stream, svdgrad_dtype_t dtype,
                     bench_case_t size, size_t memory);
void gpu_subject_free(gpu_subject_t *subject);

svdgrad_desc_t gpu_subject_desc(const gpu_subject_t *subject, gpu_op_t op, svdgrad_algo_t algo, int64_t batch_count);
/* Name of the algorithm of the forward pass, or of the backward one where that is all there is; NULL: not supported. */
const char *gpu_subject_algorithm(const gpu_subject_t *subject, gpu_op_t op, svdgrad_algo_t algo);

/* Enqueues the first batch_count matrices of a set. */
svdgrad_status_t gpu_subject_run(const gpu_subject_t *subject, gpu_op_t op, svdgrad_algo_t algo, int64_t batch_count,
                                 int set);

/* Error of sampled matrices as bench_accuracy.h has it; of GPU_SUM that of its gradient; of GPU_RANK
 * |gA - U S Vh|_F / (|S| k eps max(1/min_gap, s_1/s_k)) for the loss |U S Vh|_F^2 / 2, whose gradient that is.  NaN if a
 * matrix of the batch did not converge. */
double gpu_subject_accuracy(gpu_subject_t *subject, gpu_op_t op, svdgrad_algo_t algo, int64_t batch_count);

/* Prints and exits where CUDA fails. */
void gpu_check(cudaError_t error, const char *what);

#endif
