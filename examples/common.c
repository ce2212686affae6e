/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

_Noreturn void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fflush(stdout);
  fputs("error: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(EXIT_FAILURE);
}

void check(svdgrad_status_t status) {
  if (status != SVDGRAD_STATUS_SUCCESS)
    die("%s: %s", svdgrad_status_string(status), svdgrad_last_error_message());
}

void check_info(const int32_t *info, int64_t batch_count) {
  for (int64_t b = 0; b < batch_count; b++)
    if (info[b] != SVDGRAD_INFO_OK)
      die("matrix %lld has info %d", (long long)b, (int)info[b]);
}

void *allocate(size_t count, size_t size) {
  void *p = calloc(count, size);
  if (!p)
    die("out of memory");
  return p;
}

void reserve(workspace_t *work, svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc) {
  size_t bytes;
  check(svdgrad_workspace_size(handle, op, desc, &bytes));
  if (bytes <= work->bytes)
    return;
  free(work->data);
  work->bytes = bytes;
  work->data = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!work->data)
    die("out of memory");
}

svdgrad_matrix_t row_major(void *data, int64_t rows, int64_t cols) {
  return (svdgrad_matrix_t){data, cols, 1, rows * cols};
}

double now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* splitmix64 */
double uniform(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Box and Muller */
double normal(uint64_t *state) {
  const double radius = sqrt(-2.0 * log(1.0 - uniform(state)));
  return radius * cos(6.283185307179586 * uniform(state));
}
