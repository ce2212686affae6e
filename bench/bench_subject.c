/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const svdgrad_op_t library_op[BENCH_OP_COUNT] = {
    SVDGRAD_OP_SVD,           SVDGRAD_OP_SVDVALS, SVDGRAD_OP_SVD_BACKWARD,
    SVDGRAD_OP_SVD_BACKWARD,  SVDGRAD_OP_SVD_JVP, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD,
    SVDGRAD_OP_NORM_GRADIENT,
};

const char *bench_op_name(bench_op_t op) {
  static const char *const names[] = {"svd",     "svdvals",        "backward", "backward-gS",
                                      "svd-jvp", "polar-backward", "nuclear"};
  return names[op];
}

static void check(svdgrad_status_t status) {
  if (status) {
    fprintf(stderr, "bench: %s\n", svdgrad_last_error_message());
    exit(1);
  }
}

static void make_work(subject_t *subject, bench_op_t op) {
  enum { ALIGNMENT = 256 };
  size_t *bytes = &subject->work_bytes[op];
  check(svdgrad_workspace_size(subject->x.f.handle, library_op[op], &subject->x.f.desc, bytes));
  if (*bytes == 0)
    return;
  subject->work[op] = aligned_alloc(ALIGNMENT, (*bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
  if (!subject->work[op]) {
    fputs("bench: out of memory\n", stderr);
    exit(1);
  }
  memset(subject->work[op], 0, *bytes);
}

subject_t subject_make(svdgrad_backend_t backend, svdgrad_dtype_t dtype, bench_case_t size) {
  const svdgrad_desc_t desc = make_desc(dtype, size.m, size.n, size.batch_count);
  subject_t subject = {.x = functions_make(backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR), .backend = backend};
  subject.x.function.kind = SVDGRAD_FUNCTION_POLAR;
  subject.x.norm = SVDGRAD_NORM_NUCLEAR;
  for (int64_t b = 0; b < size.batch_count; b++)
    functions_fill(&subject.x, b, (uint64_t)b + 1);
  for (int op = 0; op < BENCH_OP_COUNT; op++)
    make_work(&subject, (bench_op_t)op);
  subject.loop_svd = gesdd_loop_make(dtype, size.m, size.n, 1);
  subject.loop_svdvals = gesdd_loop_make(dtype, size.m, size.n, 0);
  return subject;
}

void subject_free(subject_t *subject) {
  for (int op = 0; op < BENCH_OP_COUNT; op++)
    free(subject->work[op]);
  gesdd_loop_free(&subject->loop_svd);
  gesdd_loop_free(&subject->loop_svdvals);
  functions_free(&subject->x);
}

const char *series_backend(const subject_t *subject, const series_t *series) {
  return series->threads == 0 ? "loop" : backend_name(subject->backend);
}

const char *series_algorithm(const subject_t *subject, const series_t *series) {
  if (series->threads == 0)
    return "lapack-gesdd";
  const char *name = svdgrad_algorithm_name(subject->x.f.handle, library_op[series->op], &subject->x.f.desc);
  return name ? name : "none";
}

static void run_loop(subject_t *subject, bench_op_t op) {
  const fixture_t *f = &subject->x.f;
  const gesdd_loop_t *loop = op == BENCH_SVD ? &subject->loop_svd : &subject->loop_svdvals;
  if (gesdd_loop_run(loop, f->desc.batch_count, f->A.matrix.data, f->S.matrix.data, f->U.matrix.data,
                     f->Vh.matrix.data)) {
    fputs("bench: gesdd did not converge\n", stderr);
    exit(1);
  }
}

void series_run(subject_t *subject, const series_t *series) {
  fixture_t *f = &subject->x.f;
  const bench_op_t op = series->op;
  if (series->threads == 0) {
    run_loop(subject, op);
    return;
  }
  check(svdgrad_set_num_threads(f->handle, series->threads));
  if (op == BENCH_SVD || op == BENCH_SVDVALS) {
    const svdgrad_matrix_t *U = op == BENCH_SVD ? &f->U.matrix : NULL, *Vh = op == BENCH_SVD ? &f->Vh.matrix : NULL;
    check(svdgrad_svd(f->handle, NULL, &f->desc, &f->A.matrix, &f->S.vector, U, Vh, f->info, subject->work[op],
                      subject->work_bytes[op]));
  } else if (op >= BENCH_JVP) {
    check(functions_call(&subject->x, library_op[op], ABSENT(OPERAND_G), 1, 0, subject->work[op],
                         subject->work_bytes[op]));
  } else {
    const svdgrad_matrix_t *gU = op == BENCH_BACKWARD ? &f->gU.matrix : NULL;
    const svdgrad_matrix_t *gVh = op == BENCH_BACKWARD ? &f->gVh.matrix : NULL;
    check(svdgrad_svd_backward(f->handle, NULL, &f->desc, NULL, &f->S.vector, &f->U.matrix, &f->Vh.matrix,
                               &f->gS.vector, gU, gVh, 1, 0, &f->gA.matrix, f->report, subject->work[op],
                               subject->work_bytes[op]));
  }
}
