/* SPDX-License-Identifier: BSD-3-Clause */
/* Strides that are no layout, and operands that overlap, are refused: every stride of every operand.  Operands whose
 * elements lie between each other's are accepted. */
#include "mistakes.h"

#include <stdio.h>

typedef struct operand_case {
  int caller;
  const char *name;
  size_t offset; /* of the matrix or vector in call_t */
  int is_vector, is_output;
  int64_t rows, cols;
  const char *rows_name;
} operand_case_t;
#define MATRIX(caller, x, is_output, cols, rows_name, rows)                                                            \
  { caller, #x, offsetof(call_t, f.x.matrix), 0, is_output, rows, cols, rows_name }
#define VECTOR(caller, x, is_output)                                                                                   \
  { caller, #x, offsetof(call_t, f.x.vector), 1, is_output, 3, 1, "k" }
static const operand_case_t operands[] = {
    MATRIX(SVD, A, 0, 3, "m", 4),
    VECTOR(SVD, S, 1),
    MATRIX(SVD, U, 1, 3, "m", 4),
    MATRIX(SVD, Vh, 1, 3, "k", 3),
    VECTOR(BACKWARD, S, 0),
    MATRIX(BACKWARD, U, 0, 3, "m", 4),
    MATRIX(BACKWARD, Vh, 0, 3, "k", 3),
    VECTOR(BACKWARD, gS, 0),
    MATRIX(BACKWARD, gU, 0, 3, "m", 4),
    MATRIX(BACKWARD, gVh, 0, 3, "k", 3),
    MATRIX(BACKWARD, gA, 1, 3, "m", 4),
};

typedef struct stride_field {
  const char *name;
  size_t offset;
} stride_field_t;
static const stride_field_t matrix_strides[] = {{"row_stride", offsetof(svdgrad_matrix_t, row_stride)},
                                                {"col_stride", offsetof(svdgrad_matrix_t, col_stride)},
                                                {"batch_stride", offsetof(svdgrad_matrix_t, batch_stride)}};
static const stride_field_t vector_strides[] = {{"stride", offsetof(svdgrad_vector_t, stride)},
                                                {"batch_stride", offsetof(svdgrad_vector_t, batch_stride)}};

static int stride_count(const operand_case_t *o) {
  return o->is_vector ? COUNT(vector_strides) : COUNT(matrix_strides);
}
static const stride_field_t *stride_field(const operand_case_t *o, int s) {
  return o->is_vector ? &vector_strides[s] : &matrix_strides[s];
}

/* `bound` is what the message says after "must be ". */
static void expect_stride_refused(const operand_case_t *o, int s, int64_t value, const char *bound) {
  char text[160];
  const stride_field_t *field = stride_field(o, s);
  (void)snprintf(text, sizeof text, "%s.%s is %lld, must be %s", o->name, field->name, (long long)value, bound);
  const mistake_t mistake = {o->caller, {{o->offset + field->offset, CHANGE_I64, value, 0}}, INVALID, text};
  expect_refused_everywhere(tall, &mistake, 1);
}

Test(strides, strides_not_positive) {
  static const int64_t values[] = {0, -1, INT64_MIN};
  for (size_t i = 0; i < COUNT(operands); i++)
    for (int s = 0; s < stride_count(&operands[i]); s++)
      for (size_t v = 0; v < COUNT(values); v++) {
        if (operands[i].is_output)
          expect_stride_refused(&operands[i], s, values[v], ">= 1");
      }
}

Test(strides, strides_too_small) {
  char bound[64];
  for (size_t i = 0; i < COUNT(operands); i++) {
    const operand_case_t *o = &operands[i];
    const int last = stride_count(o) - 1;
    if (!o->is_output)
      continue;
    (void)snprintf(bound, sizeof bound, o->is_vector ? ">= %s = %lld" : ">= %.0s%lld", o->rows_name,
                   (long long)(o->rows * o->cols));
    expect_stride_refused(o, last, o->rows * o->cols - 1, bound);
    if (o->is_vector)
      continue;
    (void)snprintf(bound, sizeof bound, ">= %s = %lld", o->rows_name, (long long)o->rows);
    expect_stride_refused(o, 1, o->rows - 1, bound);
  }
}

Test(strides, strides_that_overflow) {
  for (size_t i = 0; i < COUNT(operands); i++)
    for (int s = 0; s < stride_count(&operands[i]); s++) {
      expect_stride_refused(&operands[i], s, INT64_MAX, "<= ");
      expect_stride_refused(&operands[i], s, INT64_MAX / (int64_t)sizeof(double), "<= ");
      expect_stride_refused(&operands[i], s, INT64_MIN, operands[i].is_output ? ">= 1" : ">= -");
      expect_stride_refused(&operands[i], s, -INT64_MAX / (int64_t)sizeof(double),
                            operands[i].is_output ? ">= 1" : ">= -");
    }
}

/* Offsets up to 2^63-1 bytes are accepted, larger ones refused.  A is 4-by-3; its other strides reach 21 elements. */
Test(strides, largest_stride) {
  static const int64_t largest = (PTRDIFF_MAX / (int64_t)sizeof(double) - 21) / 3;
  const mistake_t mistakes[] = {
      {SVD, {I64(f.A.matrix.row_stride, largest), SET_NULL(f.A.matrix.data)}, INVALID, "A.data is NULL"},
      {SVD, {I64(f.A.matrix.row_stride, largest + 1), SET_NULL(f.A.matrix.data)}, INVALID, "A.row_stride is "},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

Test(strides, strides_that_overlap) {
  static const mistake_t mistakes[] = {
      {SVD, {I64(f.U.matrix.row_stride, 2)}, INVALID, "U.col_stride is 4, must be >= 7"},
      {SVD, {I64(f.U.matrix.row_stride, 4)}, INVALID, "U.col_stride is 4, must be >= 13"},
      {SVD,
       {I64(f.U.matrix.row_stride, 3), I64(f.U.matrix.col_stride, 1), I64(f.U.matrix.batch_stride, 3)},
       INVALID,
       "U.batch_stride is 3, must be >= 12"},
      {SVD,
       {I64(f.U.matrix.row_stride, 2), I64(f.U.matrix.col_stride, 1)},
       INVALID,
       "U.row_stride is 2, must be >= k = 3"},
      {BACKWARD, {I64(f.gA.matrix.batch_stride, 6)}, INVALID, "gA.batch_stride is 6, must be >= 12"},
      {BACKWARD, {I64(f.gA.matrix.batch_stride, 1)}, INVALID, "gA."},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

/* ---- overlap ---- */

/* Moves `field` by `bytes` from where another begins: *to = *from + bytes. */
static void place_over(void *to, void *from, int64_t bytes) {
  unsigned char *pointer = *(unsigned char **)from + bytes;
  memcpy(to, &pointer, sizeof pointer);
}

/* A pointer of call_t set to overlap another operand, and the text of the message (NULL: accepted). */
typedef struct overlap_case {
  int caller;
  size_t to, from;
  int64_t bytes; /* from the beginning of the other operand */
  const char *text;
} overlap_case_t;
#define OVER(caller, to, from, bytes, text)                                                                            \
  { caller, offsetof(call_t, to), offsetof(call_t, from), bytes, text }

Test(strides, overlap) {
  static const overlap_case_t cases[] = {
      OVER(SVD, f.U.matrix.data, f.A.matrix.data, 0, "U overlaps A, must not"),
      OVER(SVD, f.U.matrix.data, f.A.matrix.data, 23 * 8, "U overlaps A, must not"), /* the last element of A */
      OVER(SVD, f.U.matrix.data, f.A.matrix.data, 23 * 8 + 7, "U overlaps A, must not"),
      OVER(SVD, f.Vh.matrix.data, f.U.matrix.data, 8, "Vh overlaps U, must not"),
      OVER(SVD, f.S.vector.data, f.A.matrix.data, 32, "S overlaps A, must not"),
      OVER(SVD, info, f.S.vector.data, 0, "info overlaps S, must not"),
      OVER(SVD, info, f.A.matrix.data, 24 * 8 - 1, "info overlaps A, must not"),
      OVER(BACKWARD, f.gA.matrix.data, f.gU.matrix.data, 0, "gA overlaps gU, must not"),
      OVER(BACKWARD, f.gA.matrix.data, f.S.vector.data, -16, "gA overlaps S, must not"),
      OVER(BACKWARD, report, f.Vh.matrix.data, 8, "report overlaps Vh, must not"),
  };
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(cases); i++) {
      call_t call;
      call_open(&call, test_backends[b], tall);
      place_over((unsigned char *)&call + cases[i].to, (unsigned char *)&call + cases[i].from, cases[i].bytes);
      const int forward = cases[i].caller == SVD;
      cr_expect_eq(forward ? run_svd(&call) : run_backward(&call), INVALID, "%s", cases[i].text);
      cr_expect(message_says(forward ? "svdgrad_svd" : "svdgrad_svd_backward", cases[i].text),
                "\"%s\", expected \"%s\"", svdgrad_last_error_message(), cases[i].text);
      cr_expect(untouched(&call, tall));
      call_close(&call);
    }
}

Test(strides, overlap_of_the_workspace) {
  for (int b = 0; b < test_backend_count; b++) {
    call_t call;
    call_open(&call, test_backends[b], large);
    call.work_bytes = workspace_need(&call, SVDGRAD_OP_SVD);
    call.f.S.vector.data = call.workspace + call.work_bytes - 8;
    cr_expect_eq(run_svd(&call), INVALID);
    cr_expect(message_says("svdgrad_svd", "work overlaps S, must not"), "%s", svdgrad_last_error_message());
    cr_expect(untouched(&call, large));
    call_close(&call);
  }
}

/* Interleaved operands: records of a matrix and its factors, alternate columns, rows side by side, and the batch index
 * innermost.  Shifted by one element, they overlap. */
static void check_between(svdgrad_backend_t backend, svdgrad_matrix_t A, svdgrad_matrix_t U, svdgrad_vector_t S,
                          int64_t offset_U, int64_t offset_S, int64_t wrong_U) {
  static double memory[4096];
  call_t call;
  call_open(&call, backend, tall);
  for (int i = 0; i < 4096; i++)
    memory[i] = 1.0 / (i + 1) + i % 7;
  A.data = memory + 1000, U.data = memory + 1000 + offset_U, S.data = memory + 1000 + offset_S;
  call.A = &A, call.U = &U, call.S = &S, call.Vh = NULL;
  cr_expect_eq(run_svd(&call), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  U.data = memory + 1000 + wrong_U;
  cr_expect_eq(run_svd(&call), INVALID);
  cr_expect(message_says("svdgrad_svd", "U overlaps "), "%s", svdgrad_last_error_message());
  call_close(&call);
}

Test(strides, elements_between_others) {
  for (int b = 0; b < test_backend_count; b++) {
    const svdgrad_backend_t backend = test_backends[b];
    check_between(backend, (svdgrad_matrix_t){NULL, 1, 4, 27}, (svdgrad_matrix_t){NULL, 1, 4, 27},
                  (svdgrad_vector_t){NULL, 1, 27}, 12, 24, 13); /* which meets S */
    check_between(backend, (svdgrad_matrix_t){NULL, 1, 8, 24}, (svdgrad_matrix_t){NULL, 1, 8, 24},
                  (svdgrad_vector_t){NULL, 1, 3}, 4, 100, 3);
    check_between(backend, (svdgrad_matrix_t){NULL, 10, 1, 40}, (svdgrad_matrix_t){NULL, 10, 1, 40},
                  (svdgrad_vector_t){NULL, 1, 10}, 3, 6, 2);
    check_between(backend, (svdgrad_matrix_t){NULL, 4, 16, 1}, (svdgrad_matrix_t){NULL, 4, 16, 1},
                  (svdgrad_vector_t){NULL, 1, 3}, 2, 100, 1);
    /* A is flipped or broadcast: what counts is the memory that A covers */
    check_between(backend, (svdgrad_matrix_t){NULL, -1, -4, -12}, (svdgrad_matrix_t){NULL, 1, 4, 12},
                  (svdgrad_vector_t){NULL, 1, 3}, 1, 100, -23);
    check_between(backend, (svdgrad_matrix_t){NULL, 0, 1, 3}, (svdgrad_matrix_t){NULL, 1, 4, 12},
                  (svdgrad_vector_t){NULL, 1, 3}, 6, 100, 5);
  }
}

/* With full_matrices the bounds are those of the square factors. */
Test(strides, strides_of_full_matrices) {
  static const mistake_t mistakes[] = {
      {SVD, {I32(f.desc.full_matrices, 1)}, INVALID, "U.batch_stride is 12, must be >= 16"},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}
