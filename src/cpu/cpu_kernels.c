/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the kernels in dense/ by element type, and how batches of them run. */
#include "cpu_kernels.h"

#include "blas_guard.h"

extern const cpu_kernels_t cpu_kernels_f32, cpu_kernels_f64, cpu_kernels_c64, cpu_kernels_c128; /* dense/kernels.c */

const cpu_kernels_t *const cpu_kernels[4] = {[SVDGRAD_F32] = &cpu_kernels_f32,
                                             [SVDGRAD_F64] = &cpu_kernels_f64,
                                             [SVDGRAD_C64] = &cpu_kernels_c64,
                                             [SVDGRAD_C128] = &cpu_kernels_c128};

#if SVDGRAD_HAVE_LAPACK
extern const gesdd_ops_t cpu_gesdd_f32, cpu_gesdd_f64, cpu_gesdd_c64, cpu_gesdd_c128; /* dense/gesdd.c */

const gesdd_ops_t *const cpu_gesdd[4] = {[SVDGRAD_F32] = &cpu_gesdd_f32,
                                         [SVDGRAD_F64] = &cpu_gesdd_f64,
                                         [SVDGRAD_C64] = &cpu_gesdd_c64,
                                         [SVDGRAD_C128] = &cpu_gesdd_c128};
#else
const gesdd_ops_t *const cpu_gesdd[4] = {NULL};
#endif

static void guarded_task(const void *call, int64_t first, int64_t count, arena_t scratch) {
  const batch_t *batch = call;
  blas_enter();
  batch->task(batch->call, first, count, scratch);
  blas_leave();
}

void cpu_run_blas(const parallel_t *parallel, batch_t batch) {
  batch_t guarded = batch;
  guarded.task = guarded_task, guarded.call = &batch;
  blas_hold_threads();
  batch_run(parallel, guarded);
  blas_release_threads();
}
