/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of one matrix, by the bidiagonal path or LAPACK, whose singular values are right to c eps s_1.  Where the
 * caller takes logarithms of smaller ones (svd_call_t.keep_small), the matrix is solved again (dense/lost_values.h). */
#ifndef SVDGRAD_CPU_DENSE_SVD_H
#define SVDGRAD_CPU_DENSE_SVD_H
#include "cpu_kernels.h"

/* Bytes per matrix. */
size_t cpu_dense_svd_scratch(const cpu_svd_plan_t *plan);

/* A batch_task_t; its call is a cpu_svd_plan_t. */
void cpu_dense_svd(const void *argument, int64_t first, int64_t count, arena_t scratch);

#endif
