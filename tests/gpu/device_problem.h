/* SPDX-License-Identifier: BSD-3-Clause */
/* One problem with all its operands in device memory: the inputs in one block, the outputs in another, so that results
 * are compared byte for byte.  Operands are packed and column-major.  A failure of CUDA prints and aborts. */
#ifndef TEST_DEVICE_PROBLEM_H
#define TEST_DEVICE_PROBLEM_H
#include <cuda_runtime_api.h>
#include <svdgrad/svdgrad.h>

typedef enum device_part {
  PART_A, /* inputs */
  PART_GS,
  PART_GU,
  PART_GVH,
  PART_S, /* outputs */
  PART_U,
  PART_VH,
  PART_INFO,
  PART_GA,
  PART_REPORT,
  PART_COUNT
} device_part_t;

typedef struct device_problem {
  svdgrad_handle_t handle; /* the caller's */
  svdgrad_desc_t desc;
  unsigned char *inputs, *outputs; /* device memory */
  size_t input_bytes, output_bytes;
  size_t offset[PART_COUNT];     /* in its block */
  size_t per_matrix[PART_COUNT]; /* bytes */
  int64_t rows[PART_COUNT];
  void *work[4]; /* by svdgrad_op_t; of exactly the size asked for */
  size_t work_bytes[4];
} device_problem_t;

void cuda_check(cudaError_t error, const char *file, int line);
#define CUDA_CHECK(call) cuda_check(call, __FILE__, __LINE__)

device_problem_t device_problem_make(svdgrad_handle_t handle, const svdgrad_desc_t *desc);
void device_problem_free(device_problem_t *p);

/* Normal entries; matrix b is made from seed + b alone.  To be freed. */
unsigned char *device_problem_inputs(const device_problem_t *p, uint64_t seed);
void device_problem_upload(const device_problem_t *p, const unsigned char *inputs); /* waits */
void device_problem_poison(const device_problem_t *p);            /* outputs and workspace: bytes of NaN; waits */
unsigned char *device_problem_outputs(const device_problem_t *p); /* copied back, waits for the device; to be freed */
void *device_problem_part(const device_problem_t *p, device_part_t part); /* on the device */

/* The calls: enqueued on the stream, nothing is waited for.  BACKWARD has all three cotangents, and beta = 0. */
typedef enum device_run { RUN_FORWARD, RUN_VALUES, RUN_BACKWARD, RUN_COUNT } device_run_t;
svdgrad_op_t device_run_op(device_run_t run);
svdgrad_status_t device_problem_run(const device_problem_t *p, device_run_t run, cudaStream_t stream);

/* Whether matrix bx of x came out like matrix by of y. */
int device_problem_same(const device_problem_t *p, const unsigned char *x, int64_t bx, const device_problem_t *q,
                        const unsigned char *y, int64_t by);

#endif
