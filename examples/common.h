/* SPDX-License-Identifier: BSD-3-Clause */
/* What every example needs: errors that end the program, memory, time, random numbers. */
#ifndef COMMON_H
#define COMMON_H
#include <stddef.h>
#include <stdint.h>
#include <svdgrad/svdgrad.h>

/* Prints the message and ends the program with a failure. */
_Noreturn void die(const char *format, ...);
/* Dies of any status but success. */
void check(svdgrad_status_t status);
/* Dies if one of the matrices is not OK. */
void check_info(const int32_t *info, int64_t batch_count);

/* Zeroed memory; dies if there is none. */
void *allocate(size_t count, size_t size);

/* Workspace for one call at a time. */
typedef struct workspace {
  void *data;
  size_t bytes;
} workspace_t;
/* Makes it large enough for `op`, too. */
void reserve(workspace_t *work, svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc);

/* A batch of dense row-major matrices, one after the other. */
svdgrad_matrix_t row_major(void *data, int64_t rows, int64_t cols);

double now(void); /* seconds */

/* From a seed, the same on every machine. */
double uniform(uint64_t *state); /* in [0, 1) */
double normal(uint64_t *state);  /* mean 0, variance 1 */

#endif
