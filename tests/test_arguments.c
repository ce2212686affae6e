/* SPDX-License-Identifier: BSD-3-Clause */
/* Every wrong argument is refused, in the documented order.  Unusual but valid ones (absent operands, ignored strides) are
 * accepted. */
#include "mistakes.h"

#include <math.h>
#include <stdio.h>

Test(arguments, handle_and_desc) {
  static const mistake_t mistakes[] = {
      {TAKES_HANDLE, {SET_NULL(handle)}, INVALID, "handle is NULL, must not be"},
      {TAKES_DESC, {SET_NULL(desc)}, INVALID, "desc is NULL, must not be"},
      {TAKES_DESC, {I64(f.desc.struct_size, 0)}, INVALID, "desc.struct_size is 0, must be 96"},
      {TAKES_DESC, {I64(f.desc.struct_size, 71)}, INVALID, "desc.struct_size is 71, must be 96"},
      {TAKES_DESC, {I64(f.desc.struct_size, 80)}, INVALID, "desc.struct_size is 80, must be 96"},
      {TAKES_DESC, {I64(f.desc.struct_size, 104)}, INVALID, "desc.struct_size is 104, must be 96"},
      {WORKSPACE_SIZE, {SET_NULL(bytes)}, INVALID, "bytes is NULL, must not be"},
      {SET_NUM_THREADS, {I32(num_threads, -1)}, INVALID, "num_threads is -1, must be >= 0"},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

Test(arguments, enums) {
  static const mistake_t mistakes[] = {
      {QUERIES, {I32(op, -1)}, INVALID, "op is -1, must be in 0..13"},
      {QUERIES, {I32(op, 14)}, INVALID, "op is 14, must be in 0..13"},
      {TAKES_DESC, {I32(f.desc.dtype, -1)}, INVALID, "desc.dtype is -1, must be in 0..3"},
      {TAKES_DESC, {I32(f.desc.dtype, 4)}, INVALID, "desc.dtype is 4, must be in 0..3"},
      {TAKES_DESC, {I32(f.desc.dtype, INT32_MIN)}, INVALID, "desc.dtype is -2147483648, must be in 0..3"},
      {TAKES_DESC, {I32(f.desc.algo, -1)}, INVALID, "desc.algo is -1, must be in 0..2"},
      {TAKES_DESC, {I32(f.desc.algo, 3)}, INVALID, "desc.algo is 3, must be in 0..2"},
      {TAKES_DESC, {I32(f.desc.gap_policy, -1)}, INVALID, "desc.gap_policy is -1, must be in 0..4"},
      {TAKES_DESC, {I32(f.desc.gap_policy, 5)}, INVALID, "desc.gap_policy is 5, must be in 0..4"},
      {TAKES_DESC, {I32(f.desc.gap_policy, INT32_MAX)}, INVALID, "desc.gap_policy is 2147483647, must be in 0..4"},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

Test(arguments, sizes) {
  static const mistake_t mistakes[] = {
      {TAKES_DESC, {I64(f.desc.m, -1)}, INVALID, "desc.m is -1, must be >= 0"},
      {TAKES_DESC, {I64(f.desc.m, INT64_MIN)}, INVALID, "desc.m is -9223372036854775808, must be >= 0"},
      {TAKES_DESC, {I64(f.desc.n, -1)}, INVALID, "desc.n is -1, must be >= 0"},
      {TAKES_DESC, {I64(f.desc.batch_count, -1)}, INVALID, "desc.batch_count is -1, must be >= 0"},
      {TAKES_DESC, {I64(f.desc.rank, -1)}, INVALID, "desc.rank is -1, must be in 0..min(m, n) = 0..3"},
      {TAKES_DESC, {I64(f.desc.rank, 4)}, INVALID, "desc.rank is 4, must be in 0..min(m, n) = 0..3"},
      {TAKES_DESC,
       {I64(f.desc.rank, 2), I32(f.desc.full_matrices, 1)},
       INVALID,
       "desc.rank is 2, must be 0 with full_matrices"},
      {TAKES_DESC, {I64(f.desc.rank, 1), I64(f.desc.m, 0)}, INVALID, "desc.rank is 1, must be in 0..min(m, n) = 0..0"},
      {TAKES_DESC, {I32(f.desc.max_sweeps, -1)}, INVALID, "desc.max_sweeps is -1, must be >= 0"},
      {TAKES_DESC, {F64(f.desc.gap_param, NAN)}, INVALID, "desc.gap_param is nan, must be finite and >= 0"},
      {TAKES_DESC, {F64(f.desc.gap_param, INFINITY)}, INVALID, "desc.gap_param is inf, must be finite and >= 0"},
      {TAKES_DESC, {F64(f.desc.gap_param, -0.5)}, INVALID, "desc.gap_param is -0.5, must be finite and >= 0"},
      {BACKWARD, {F64(alpha, NAN)}, INVALID, "alpha is nan, must be finite"},
      {BACKWARD, {F64(alpha, INFINITY)}, INVALID, "alpha is inf, must be finite"},
      {BACKWARD, {F64(beta, NAN)}, INVALID, "beta is nan, must be finite"},
      {BACKWARD, {F64(beta, -INFINITY)}, INVALID, "beta is -inf, must be finite"},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

/* An operand of 2^63 bytes or more: the elements here have 8. */
Test(arguments, overflow) {
  static const mistake_t mistakes[] = {
      {TAKES_DESC,
       {I64(f.desc.m, POWER_OF_2(40)), I64(f.desc.n, POWER_OF_2(40)), I64(f.desc.batch_count, POWER_OF_2(20))},
       INVALID,
       "desc.m = 1099511627776, desc.n = 1099511627776, desc.batch_count = 1048576: an operand must have "
       "<= 9223372036854775807 bytes"},
      {TAKES_DESC,
       {I64(f.desc.m, INT64_MAX), I64(f.desc.n, INT64_MAX), I64(f.desc.batch_count, INT64_MAX)},
       INVALID,
       "desc.m = 9223372036854775807, desc.n = "},
      {TAKES_DESC,
       {I64(f.desc.m, POWER_OF_2(30)), I64(f.desc.n, POWER_OF_2(30)), I64(f.desc.batch_count, 1)},
       INVALID,
       "desc.m = 1073741824, desc.n = 1073741824, desc.batch_count = 1: an operand must have <= "},
      {TAKES_DESC,
       {I64(f.desc.m, 1), I64(f.desc.n, 1), I64(f.desc.batch_count, POWER_OF_2(60))},
       INVALID,
       "desc.m = 1, desc.n = 1, desc.batch_count = 1152921504606846976: an operand must have <= "},
      {TAKES_DESC,
       {I64(f.desc.m, POWER_OF_2(30)), I64(f.desc.batch_count, 1), I32(f.desc.full_matrices, 1)},
       INVALID,
       "desc.m = 1073741824, desc.n = 3, desc.batch_count = 1: an operand must have <= "},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

/* The operands may be addressed, but not the workspace beside them; functions of A^H A are n-by-n. */
Test(arguments, workspace_overflow) {
  static const mistake_t mistakes[] = {
      {WORKSPACE_SIZE,
       {I64(f.desc.m, POWER_OF_2(60) - 1), I64(f.desc.n, 1), I64(f.desc.batch_count, 1)},
       INVALID,
       "desc.m = 1152921504606846975, desc.n = 1, desc.batch_count = 1: the workspace must have <= "
       "18446744073709551614 bytes"},
      {WORKSPACE_SIZE,
       {I32(op, SVDGRAD_OP_MATRIX_FUNCTION), I64(f.desc.m, 1), I64(f.desc.n, POWER_OF_2(33))},
       INVALID,
       "desc.m = 1, desc.n = 8589934592, desc.batch_count = 2: the workspace must have <= "},
  };
  expect_all_refused(SVDGRAD_BACKEND_REF, tall, mistakes, COUNT(mistakes));
}

Test(arguments, not_supported) {
  static const mistake_t on_ref[] = {
      {QUERIES | SVD,
       {I32(f.desc.algo, SVDGRAD_ALGO_VENDOR)},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo VENDOR is not supported by the ref backend at m = 4, n = 3"}};
  static const mistake_t on_cpu[] = {
      {QUERIES,
       {I32(f.desc.algo, SVDGRAD_ALGO_JACOBI), I64(f.desc.m, 130), I64(f.desc.n, 129)},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo JACOBI is not supported by the cpu backend at m = 130, n = 129: min(m, n) must be <= 128 "
       "and "
       "a matrix have <= 131072 bytes"},
      {QUERIES,
       {I32(f.desc.algo, SVDGRAD_ALGO_JACOBI), I64(f.desc.m, 129), I64(f.desc.n, 64), I32(f.desc.full_matrices, 1)},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo JACOBI is not supported by the cpu backend at m = 129, n = 64: with full_matrices, min(m, "
       "n) "
       "must be <= 128 and max(m, n)^2 elements have <= 131072 bytes"}};
  static const mistake_t with_lapack[] = {
      {QUERIES, /* LAPACK counts in 32-bit integers */
       {I32(f.desc.algo, SVDGRAD_ALGO_VENDOR), I64(f.desc.m, POWER_OF_2(15)), I64(f.desc.n, POWER_OF_2(15))},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo VENDOR is not supported by the cpu backend at m = 32768, n = 32768: min(m, n) must be <= "
       "23000"}};
  static const mistake_t without_lapack[] = {
      {QUERIES | SVD,
       {I32(f.desc.algo, SVDGRAD_ALGO_VENDOR)},
       SVDGRAD_STATUS_NOT_SUPPORTED,
       "op 0 with desc.algo VENDOR is not supported by the cpu backend at m = 4, n = 3: this library was built without "
       "LAPACK (SVDGRAD_LAPACK=OFF)"}};
  expect_all_refused(SVDGRAD_BACKEND_CPU, tall, SVDGRAD_HAVE_LAPACK ? with_lapack : without_lapack, 1);
  expect_all_refused(SVDGRAD_BACKEND_REF, tall, on_ref, COUNT(on_ref));
  expect_all_refused(SVDGRAD_BACKEND_CPU, tall, on_cpu, COUNT(on_cpu));
}

Test(arguments, documented_message) {
  call_t call;
  call_open(&call, SVDGRAD_BACKEND_REF, tall);
  call.f.U.matrix.col_stride = 3;
  cr_expect_eq(run_svd(&call), INVALID);
  cr_expect_str_eq(svdgrad_last_error_message(), "svdgrad_svd: U.col_stride is 3, must be >= m = 4");
  call_close(&call);
}

/* ---- pointers and workspace ---- */

Test(arguments, pointers) {
#define ABSENT " (pass NULL for an absent operand)"
  static const mistake_t mistakes[] = {
      {SVD, {SET_NULL(A)}, INVALID, "A is NULL, must not be"},
      {SVD, {SET_NULL(f.A.matrix.data)}, INVALID, "A.data is NULL, must not be"},
      {COMPUTE, {SET_NULL(S)}, INVALID, "S is NULL, must not be"},
      {COMPUTE, {SET_NULL(f.S.vector.data)}, INVALID, "S.data is NULL, must not be"},
      {SVD, {SET_NULL(f.U.matrix.data)}, INVALID, "U.data is NULL, must not be" ABSENT},
      {SVD, {SET_NULL(f.Vh.matrix.data)}, INVALID, "Vh.data is NULL, must not be" ABSENT},
      {SVD, {SET_NULL(info)}, INVALID, "info is NULL, must have batch_count = 2 words"},
      {BACKWARD, {SET_NULL(U)}, INVALID, "U is NULL, must not be"},
      {BACKWARD, {SET_NULL(f.U.matrix.data)}, INVALID, "U.data is NULL, must not be"},
      {BACKWARD, {SET_NULL(Vh)}, INVALID, "Vh is NULL, must not be"},
      {BACKWARD, {SET_NULL(f.Vh.matrix.data)}, INVALID, "Vh.data is NULL, must not be"},
      {BACKWARD, {SET_NULL(f.gS.vector.data)}, INVALID, "gS.data is NULL, must not be" ABSENT},
      {BACKWARD, {SET_NULL(f.gU.matrix.data)}, INVALID, "gU.data is NULL, must not be" ABSENT},
      {BACKWARD, {SET_NULL(f.gVh.matrix.data)}, INVALID, "gVh.data is NULL, must not be" ABSENT},
      {BACKWARD, {SET_NULL(gA)}, INVALID, "gA is NULL, must not be"},
      {BACKWARD, {SET_NULL(f.gA.matrix.data)}, INVALID, "gA.data is NULL, must not be"},
      {BACKWARD, {I64(f.desc.rank, 2), SET_NULL(A)}, INVALID, "A is NULL, must not be"},
      {BACKWARD, {I64(f.desc.rank, 2), SET_NULL(f.A.matrix.data)}, INVALID, "A.data is NULL, must not be"},
      {BACKWARD, {I64(f.desc.rank, 2), I64(f.A.matrix.col_stride, INT64_MAX)}, INVALID, "A.col_stride is "},
  };
  expect_refused_everywhere(tall, mistakes, COUNT(mistakes));
}

Test(arguments, stream) {
  for (int i = 0; i < test_backend_count; i++) {
    call_t call;
    call_open(&call, test_backends[i], tall);
    call.stream = &call;
    cr_expect_eq(run_svd(&call), INVALID);
    cr_expect(message_says("svdgrad_svd", "stream is 0x"), "%s", svdgrad_last_error_message());
    cr_expect_not_null(strstr(svdgrad_last_error_message(), "must be NULL for the "));
    cr_expect_eq(run_backward(&call), INVALID);
    cr_expect(message_says("svdgrad_svd_backward", "stream is 0x"), "%s", svdgrad_last_error_message());
    cr_expect(untouched(&call, tall));
    call_close(&call);
  }
}

static void expect_exact_workspace(svdgrad_backend_t backend, const caller_t *caller, svdgrad_op_t op) {
  char text[80];
  call_t call;
  call_open(&call, backend, large);
  call.f.desc.batch_invariant = 1; /* the size is then what this batch needs; without, a smaller one may need more */
  const size_t need = workspace_need(&call, op);
  cr_assert_gt(need, 0);
  (void)snprintf(text, sizeof text, "work_bytes is %zu, must be >= %zu", need - 1, need);
  const mistake_t mistakes[] = {
      {caller->bit,
       {I64(work_bytes, (int64_t)need - 1), I32(f.desc.batch_invariant, 1)},
       SVDGRAD_STATUS_WORKSPACE_TOO_SMALL,
       text},
      {caller->bit, {I64(work_bytes, 0), SET_NULL(work)}, SVDGRAD_STATUS_WORKSPACE_TOO_SMALL, "work_bytes is 0, "},
      {caller->bit, {SET_NULL(work)}, INVALID, "work is NULL, must have "},
  };
  expect_all_refused(backend, large, mistakes, COUNT(mistakes));
  call_close(&call);
}

Test(arguments, workspace) {
  for (int i = 0; i < test_backend_count; i++) {
    expect_exact_workspace(test_backends[i], &callers[3], SVDGRAD_OP_SVD);
    expect_exact_workspace(test_backends[i], &callers[4], SVDGRAD_OP_SVD_BACKWARD);
  }
}

static void run_at_once(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  (void)grain;
  ++*(int *)pool;
  body(0, count, arg);
}

/* Only CPU backends take a thread pool with the call. */
Test(arguments, pool_of_a_call) {
  for (int i = 0; i < test_backend_count; i++) {
    call_t call;
    int pool = 0;
    call_open(&call, test_backends[i], tall);
    call.f.desc.parallel_for = run_at_once, call.f.desc.pool = &pool;
    if (test_backends[i] == SVDGRAD_BACKEND_CUDA) {
      cr_expect_eq(run_svd(&call), INVALID);
      cr_expect_not_null(strstr(svdgrad_last_error_message(), "desc.parallel_for is set, must be NULL"));
      cr_expect(untouched(&call, tall));
    } else {
      cr_expect_eq(run_svd(&call), SVDGRAD_STATUS_SUCCESS);
      cr_expect_eq(pool, 1);
    }
    call_close(&call);
  }
}

/* Of two mistakes, the message names the one that is checked first. */
Test(arguments, order_of_checks) {
  static const mistake_t mistakes[] = {
      {TAKES_DESC, {SET_NULL(handle), SET_NULL(desc)}, INVALID, "handle is NULL"},
      {SET_NUM_THREADS, {SET_NULL(handle), I32(num_threads, -1)}, INVALID, "handle is NULL"},
      {WORKSPACE_SIZE, {SET_NULL(desc), SET_NULL(bytes)}, INVALID, "desc is NULL"},
      {TAKES_DESC, {I64(f.desc.struct_size, 8), I32(f.desc.dtype, -1)}, INVALID, "desc.struct_size is 8"},
      {TAKES_DESC, {I32(f.desc.gap_policy, 9), I64(f.desc.m, -1)}, INVALID, "desc.gap_policy is 9"},
      {WORKSPACE_SIZE, {I64(f.desc.n, -2), SET_NULL(bytes)}, INVALID, "desc.n is -2"},
      {COMPUTE, {I64(f.desc.batch_count, -1), I64(f.S.vector.stride, 0)}, INVALID, "desc.batch_count is -1"},
      {COMPUTE, {F64(f.desc.gap_param, NAN), SET_NULL(S)}, INVALID, "desc.gap_param is nan"},
      {SVD, {SET_NULL(S), I64(f.Vh.matrix.row_stride, 0)}, INVALID, "Vh.row_stride is 0"},
      {BACKWARD, {SET_NULL(S), I64(f.gA.matrix.row_stride, 0)}, INVALID, "gA.row_stride is 0"},
      {SVD, {SET_NULL(info), I64(work_bytes, 0)}, INVALID, "info is NULL"},
      {COMPUTE, {SET_NULL(f.S.vector.data), SET_NULL(work)}, INVALID, "S.data is NULL"},
      {BACKWARD, {SET_NULL(gA), I64(work_bytes, 0)}, INVALID, "gA is NULL"},
      {SVD, {I64(f.U.matrix.row_stride, -7), ADDRESS(work, 8)}, INVALID, "U.row_stride is -7"},
  };
  expect_refused_everywhere(large, mistakes, COUNT(mistakes));
}

/* ---- what is right ---- */

/* `text` says what is unusual about it. */
static void expect_accepted(svdgrad_backend_t backend, const caller_t *caller, const mistake_t *right) {
  call_t call;
  call_open(&call, backend, tall);
  for (size_t i = 0; i < COUNT(right->change); i++)
    apply(&call, &right->change[i]);
  poison_message();
  const svdgrad_status_t status = caller->run(&call);
  cr_expect(status == SVDGRAD_STATUS_SUCCESS || caller->bit == IS_CAPTURABLE, "%s on %s, %s: %s", caller->name,
            backend_name(backend), right->text, svdgrad_last_error_message());
  cr_expect(message_says("svdgrad_create", "handle is NULL"), "%s on %s, %s: success left the message \"%s\"",
            caller->name, backend_name(backend), right->text, svdgrad_last_error_message());
  call_close(&call);
}

Test(arguments, accepted) {
  static const mistake_t right[] = {
      {TAKES_HANDLE, {{0}}, SVDGRAD_STATUS_SUCCESS, "nothing changed"},
      {COMPUTE, {I64(f.desc.rank, 2)}, SVDGRAD_STATUS_SUCCESS, "rank"},
      {COMPUTE, {I64(f.desc.rank, 3)}, SVDGRAD_STATUS_SUCCESS, "rank min(m, n)"},
      {COMPUTE, {SET_NULL(work), I64(work_bytes, 0)}, SVDGRAD_STATUS_SUCCESS, "no workspace where none is needed"},
      {SVD, {SET_NULL(U)}, SVDGRAD_STATUS_SUCCESS, "U absent"},
      {SVD, {SET_NULL(Vh)}, SVDGRAD_STATUS_SUCCESS, "Vh absent"},
      {SVD, {SET_NULL(U), SET_NULL(Vh)}, SVDGRAD_STATUS_SUCCESS, "U and Vh absent"},
      {SVD, {I64(f.A.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "A.batch_stride 0"},
      {BACKWARD, {I64(f.S.vector.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "S.batch_stride 0"},
      {BACKWARD, {I64(f.U.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "U.batch_stride 0"},
      {BACKWARD, {I64(f.Vh.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "Vh.batch_stride 0"},
      {BACKWARD, {I64(f.gS.vector.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "gS.batch_stride 0"},
      {BACKWARD, {I64(f.gU.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "gU.batch_stride 0"},
      {BACKWARD, {I64(f.gVh.matrix.batch_stride, 0)}, SVDGRAD_STATUS_SUCCESS, "gVh.batch_stride 0"},
      {BACKWARD, {SET_NULL(gS), SET_NULL(gU), SET_NULL(gVh)}, SVDGRAD_STATUS_SUCCESS, "no cotangent"},
      {BACKWARD, {SET_NULL(report)}, SVDGRAD_STATUS_SUCCESS, "report absent"},
      {BACKWARD, {SET_NULL(A)}, SVDGRAD_STATUS_SUCCESS, "A absent at full rank"},
      {BACKWARD, {SET_NULL(f.A.matrix.data), I64(f.A.matrix.row_stride, -1)}, SVDGRAD_STATUS_SUCCESS, "A ignored"},
      {COMPUTE,
       {I64(f.desc.batch_count, 1), I64(f.S.vector.batch_stride, 0), I64(f.gA.matrix.batch_stride, -9)},
       SVDGRAD_STATUS_SUCCESS,
       "batch strides of a batch of one"},
      {SVD,
       {I64(f.desc.n, 1), I64(f.A.matrix.col_stride, 0), I64(f.U.matrix.col_stride, INT64_MAX)},
       SVDGRAD_STATUS_SUCCESS,
       "column strides of a single column"},
      {TAKES_DESC, {I32(f.desc.max_sweeps, INT32_MAX)}, SVDGRAD_STATUS_SUCCESS, "max_sweeps"},
      {SET_NUM_THREADS, {I32(num_threads, 3)}, SVDGRAD_STATUS_SUCCESS, "num_threads"},
  };
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < COUNT(right); i++)
      for (size_t c = 0; c < COUNT(callers); c++)
        if (right[i].callers & callers[c].bit)
          expect_accepted(test_backends[b], &callers[c], &right[i]);
}
