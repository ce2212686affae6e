/* SPDX-License-Identifier: BSD-3-Clause */
#include "gesdd_loop.h"

#include "gesdd_kernels.h"

#include <stdio.h>
#include <stdlib.h>

static const gesdd_kernels_t *const kernels[4] = {[SVDGRAD_F32] = &gesdd_kernels_f32,
                                                  [SVDGRAD_F64] = &gesdd_kernels_f64,
                                                  [SVDGRAD_C64] = &gesdd_kernels_c64,
                                                  [SVDGRAD_C128] = &gesdd_kernels_c128};

static void *allocate(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (!memory) {
    fputs("bench: out of memory\n", stderr);
    exit(1);
  }
  return memory;
}

gesdd_loop_t gesdd_loop_make(gesdd_t *gesdd, svdgrad_dtype_t dtype, int64_t m, int64_t n, int vectors) {
  const gesdd_kernels_t *kernel = kernels[dtype];
  const size_t mn = (size_t)(m < n ? m : n), mx = (size_t)(m < n ? n : m);
  gesdd_loop_t loop = {.gesdd = gesdd, .dtype = dtype, .m = (int)m, .n = (int)n, .vectors = vectors};
  loop.lwork = kernel->lwork(&loop);
  loop.copy = allocate((size_t)(m * n), kernel->element);
  loop.work = allocate((size_t)loop.lwork, kernel->element);
  loop.rwork = allocate(5 * mn * mn + 2 * mx * mn + 7 * mn, sizeof(double)); /* at least what any version documents */
  loop.iwork = allocate(8 * mn, sizeof *loop.iwork);
  return loop;
}

void gesdd_loop_free(gesdd_loop_t *loop) {
  free(loop->copy);
  free(loop->work);
  free(loop->rwork);
  free(loop->iwork);
}

int64_t gesdd_loop_run(const gesdd_loop_t *loop, int64_t batch_count, const void *A, void *S, void *U, void *Vh) {
  return kernels[loop->dtype]->batch(loop, batch_count, A, S, U, Vh);
}
