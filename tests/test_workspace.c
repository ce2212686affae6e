/* SPDX-License-Identifier: BSD-3-Clause */
/* The size of the workspace is a pure function of the problem: at most a constant plus a fixed number of bytes for each
 * matrix.  Exactly that size is enough at any alignment and with any contents, and nothing beyond is touched.  A
 * smaller workspace is refused before anything is written. */
#include "cases.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2, ALIGNMENT = 256 };

typedef struct variant {
  int64_t m, n, rank;
  int full_matrices;
} variant_t;
/* From some kilobytes in all to more than half a megabyte per matrix. */
static const variant_t variants[] = {{3, 3, 0, 0},   {8, 8, 2, 0},   {1, 50, 0, 1},  {24, 24, 0, 0}, {64, 64, 0, 0},
                                     {40, 20, 0, 1}, {20, 40, 0, 1}, {40, 20, 5, 0}, {20, 40, 5, 0}, {48, 48, 10, 0}};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants };
/* Values last: their S need not be that of the SVD, from which the backward pass starts. */
static const svdgrad_op_t ops[] = {SVDGRAD_OP_SVD, SVDGRAD_OP_SVD_BACKWARD, SVDGRAD_OP_SVDVALS};
enum { OP_COUNT = sizeof ops / sizeof *ops };

static svdgrad_handle_t make_handle(svdgrad_backend_t backend) {
  svdgrad_handle_t handle;
  cr_assert_eq(svdgrad_create(backend, 0, &handle), SVDGRAD_STATUS_SUCCESS);
  return handle;
}

static svdgrad_desc_t variant_desc(const variant_t *variant, svdgrad_dtype_t dtype, int64_t batch_count) {
  svdgrad_desc_t desc = make_desc(dtype, variant->m, variant->n, batch_count);
  desc.rank = variant->rank;
  desc.full_matrices = variant->full_matrices;
  return desc;
}

/* Calls check(backend, desc) for every backend, variant and element type; the reference backend takes its time over
 * large matrices. */
static void for_each_problem(void (*check)(svdgrad_backend_t backend, const svdgrad_desc_t *desc)) {
  for (int i = 0; i < test_backend_count; i++)
    for (int v = 0; v < VARIANT_COUNT; v++)
      for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
        const svdgrad_desc_t desc = variant_desc(&variants[v], dtype, BATCH);
        const int slow = test_table == TABLE_SMALL || test_backends[i] == SVDGRAD_BACKEND_REF;
        if (!slow || desc.m * desc.n <= 800)
          check(test_backends[i], &desc);
      }
}

static size_t size_of(svdgrad_handle_t handle, svdgrad_op_t op, svdgrad_desc_t desc, int64_t batch_count) {
  size_t bytes = SIZE_MAX;
  desc.batch_count = batch_count;
  cr_assert_eq(svdgrad_workspace_size(handle, op, &desc, &bytes), SVDGRAD_STATUS_SUCCESS);
  return bytes;
}

/* From MANY matrices on the size is a constant plus a fixed number of bytes per matrix; for fewer it is not larger. */
static void check_size(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  enum { MANY = 64 };
  svdgrad_handle_t handle = make_handle(backend), other = make_handle(backend);
  (void)svdgrad_set_num_threads(other, 3); /* not on CUDA */
  for (int i = 0; i < OP_COUNT; i++) {
    const size_t many = size_of(handle, ops[i], *desc, MANY), each = size_of(handle, ops[i], *desc, MANY + 1) - many;
    cr_expect_eq(size_of(handle, ops[i], *desc, 0), 0);
    for (int64_t b = 1; b < 2000; b = 3 * b + 1) {
      cr_expect_eq(size_of(handle, ops[i], *desc, MANY + b), many + (size_t)b * each);
      cr_expect_eq(size_of(other, ops[i], *desc, b), size_of(handle, ops[i], *desc, b));
    }
    for (int64_t b = 0; b < MANY; b++)
      cr_expect_leq(size_of(handle, ops[i], *desc, b), size_of(handle, ops[i], *desc, b + 1));
  }
  cr_expect_leq(size_of(handle, SVDGRAD_OP_SVDVALS, *desc, 5), size_of(handle, SVDGRAD_OP_SVD, *desc, 5));
  svdgrad_destroy(handle);
  svdgrad_destroy(other);
}

Test(workspace, size_is_pure_and_linear_from_a_group_on) { for_each_problem(check_size); }

/* Otherwise the other tests of this file would test nothing. */
Test(workspace, large_problems_need_some) {
  for (int i = 0; i < test_backend_count; i++) {
    svdgrad_handle_t handle = make_handle(test_backends[i]);
    const svdgrad_desc_t desc = make_desc(SVDGRAD_F64, 64, 64, 1);
    for (int op = 0; op < OP_COUNT; op++)
      if (test_backends[i] != SVDGRAD_BACKEND_CUDA ||
          ops[op] != SVDGRAD_OP_SVD_BACKWARD) /* one block's shared memory */
        cr_expect(size_of(handle, ops[op], desc, 1) > 0);
    svdgrad_destroy(handle);
  }
}

/* One call in the workspace given: op is an index into `ops`. */
static svdgrad_status_t call(const fixture_t *f, int op, void *work, size_t bytes) {
  switch (ops[op]) {
  case SVDGRAD_OP_SVD: return fixture_call_forward(f, WITH_VECTORS, work, bytes);
  case SVDGRAD_OP_SVDVALS: return fixture_call_forward(f, 0, work, bytes);
  default: return fixture_call_backward(f, WITH_COTANGENTS, 1, 0, work, bytes);
  }
}

/* The fixture's own calls: exact size, filled, guarded. */
static fixture_t guarded_run(svdgrad_backend_t backend, const svdgrad_desc_t *desc, unsigned char fill) {
  fixture_t f = fixture_make(backend, desc, LAYOUT_COLUMN_MAJOR);
  f.fill = fill;
  for (int64_t b = 0; b < BATCH; b++)
    fixture_fill(&f, b, (uint64_t)b + 1);
  cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(fixture_backward(&f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  cr_expect(f.intact, "%s %dx%d: something beside the outputs was written", backend_name(backend), (int)desc->m,
            (int)desc->n);
  return f;
}

static void expect_same(const fixture_t *x, const fixture_t *y, const char *what) {
  for (int64_t b = 0; b < BATCH; b++)
    cr_expect(fixture_same_forward(x, b, y, b, WITH_VECTORS) && fixture_same_backward(x, b, y, b),
              "%s: %s %dx%d rank %d", what, dtype_name(x->desc.dtype), (int)x->desc.m, (int)x->desc.n,
              (int)x->desc.rank);
}

static void check_fill(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  for (int i = 0; i < 2; i++) {
    fixture_t nan = guarded_run(backend, desc, 0xFF), other = guarded_run(backend, desc, i == 0 ? 0x00 : 0x3F);
    expect_same(&nan, &other, "what the workspace held before matters");
    cr_expect_eq(fixture_forward(&nan, 0), SVDGRAD_STATUS_SUCCESS);
    cr_expect_eq(fixture_forward(&other, 0), SVDGRAD_STATUS_SUCCESS);
    expect_same(&nan, &other, "what the workspace held before matters to the values alone");
    cr_expect(nan.intact && other.intact);
    fixture_free(&nan);
    fixture_free(&other);
  }
}

Test(workspace, exact_size_is_enough_whatever_it_holds) { for_each_problem(check_fill); }

/* Bytes of everything that a call may write. */
static unsigned char *snapshot(fixture_t *f, const unsigned char *work, size_t bytes, size_t *size) {
  const size_t info = (size_t)f->desc.batch_count * sizeof *f->info;
  const size_t report = (size_t)f->desc.batch_count * sizeof *f->report;
  *size = info + report + bytes;
  for (fixture_operand_t i = 0; i < OPERAND_COUNT; i++)
    *size += fixture_operand(f, i)->bytes;
  unsigned char *all = malloc(*size), *to = all;
  cr_assert(all != NULL);
  for (fixture_operand_t i = 0; i < OPERAND_COUNT; to += fixture_operand(f, i++)->bytes)
    memcpy(to, fixture_operand(f, i)->memory, fixture_operand(f, i)->bytes);
  memcpy(to, f->info, info);
  memcpy(to + info, f->report, report);
  memcpy(to + info + report, work, bytes);
  return all;
}

/* `work` points into `all`, which has `room` bytes. */
static void expect_refused(fixture_t *f, int op, unsigned char *all, size_t room, void *work, size_t bytes,
                           svdgrad_status_t status) {
  size_t size;
  unsigned char *before = snapshot(f, all, room, &size);
  cr_expect_eq(call(f, op, work, bytes), status, "%s op %d %dx%d rank %d: %zu bytes at %p", dtype_name(f->desc.dtype),
               (int)ops[op], (int)f->desc.m, (int)f->desc.n, (int)f->desc.rank, bytes, work);
  unsigned char *after = snapshot(f, all, room, &size);
  cr_expect_arr_eq(before, after, size, "a refused call has written something");
  free(before);
  free(after);
}

/* With batch_invariant the size is what this batch needs; without, a smaller batch may need more. */
static void check_refusals(svdgrad_backend_t backend, const svdgrad_desc_t *of) {
  svdgrad_desc_t invariant = *of;
  const svdgrad_desc_t *const desc = &invariant;
  invariant.batch_invariant = 1;
  fixture_t f = guarded_run(backend, desc, 0xFF);
  for (int op = 0; op < OP_COUNT; op++) {
    const size_t need = size_of(f.handle, ops[op], *desc, BATCH);
    const size_t room = (need + 2 * ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    unsigned char *work = aligned_alloc(ALIGNMENT, room);
    cr_assert(work != NULL);
    memset(work, 0xA5, room);
    if (need > 0) {
      expect_refused(&f, op, work, room, work, need - 1, SVDGRAD_STATUS_WORKSPACE_TOO_SMALL);
      expect_refused(&f, op, work, room, work, need / 2, SVDGRAD_STATUS_WORKSPACE_TOO_SMALL);
      expect_refused(&f, op, work, room, NULL, 0, SVDGRAD_STATUS_WORKSPACE_TOO_SMALL);
      expect_refused(&f, op, work, room, NULL, need, SVDGRAD_STATUS_INVALID_ARGUMENT);
    }
    free(work);
  }
  fixture_free(&f);
}

Test(workspace, too_small_is_refused_and_nothing_touched) { for_each_problem(check_refusals); }

/* A larger one works, and what is beyond the size asked for stays as it was. */
static void check_larger(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  fixture_t expected = guarded_run(backend, desc, 0xFF), f = guarded_run(backend, desc, 0xFF);
  for (int op = 0; op < OP_COUNT; op++) {
    const size_t need = size_of(f.handle, ops[op], *desc, BATCH);
    const size_t room = (2 * need + 2 * ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    unsigned char *work = aligned_alloc(ALIGNMENT, room);
    cr_assert(work != NULL);
    memset(work, 0xA5, room);
    cr_expect_eq(call(&f, op, work, room), SVDGRAD_STATUS_SUCCESS);
    int intact = 1;
    for (size_t i = need; i < room; i++)
      intact &= work[i] == 0xA5;
    cr_expect(intact, "more than svdgrad_workspace_size() was used");
    if (ops[op] != SVDGRAD_OP_SVDVALS)
      expect_same(&f, &expected, "a larger workspace matters");
    free(work);
  }
  fixture_free(&f);
  fixture_free(&expected);
}

Test(workspace, a_larger_one_works) { for_each_problem(check_larger); }

/* Exactly the size asked for, wherever it begins. */
static void check_alignment(svdgrad_backend_t backend, const svdgrad_desc_t *desc) {
  static const size_t offsets[] = {1, 8, 64, 255};
  fixture_t expected = guarded_run(backend, desc, 0xFF), f = guarded_run(backend, desc, 0xFF);
  for (int op = 0; op < OP_COUNT - 1; op++) {
    const size_t need = size_of(f.handle, ops[op], *desc, BATCH);
    const size_t room = (need + 3 * ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    unsigned char *work = aligned_alloc(ALIGNMENT, room);
    cr_assert(work != NULL);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets && need > 0; i++) {
      memset(work, 0xA5, room);
      cr_expect_eq(call(&f, op, work + offsets[i], need), SVDGRAD_STATUS_SUCCESS);
      int intact = 1;
      for (size_t at = 0; at < room; at++)
        intact &= (at >= offsets[i] && at < offsets[i] + need) || work[at] == 0xA5;
      cr_expect(intact, "something beside the workspace was written");
      expect_same(&f, &expected, "the alignment of the workspace matters");
    }
    free(work);
  }
  fixture_free(&f);
  fixture_free(&expected);
}

Test(workspace, any_alignment_will_do) { for_each_problem(check_alignment); }

static void expect_size_refused(svdgrad_backend_t backend, svdgrad_op_t op, const svdgrad_desc_t *desc) {
  svdgrad_handle_t handle = make_handle(backend);
  size_t bytes = 123;
  cr_expect_neq(svdgrad_workspace_size(handle, op, desc, &bytes), SVDGRAD_STATUS_SUCCESS,
                "%s %s op %d: %zu bytes for %lld of %lldx%lld", backend_name(backend), dtype_name(desc->dtype), (int)op,
                bytes, (long long)desc->batch_count, (long long)desc->m, (long long)desc->n);
  cr_expect_eq(bytes, 123);
  svdgrad_destroy(handle);
}

Test(workspace, sizes_that_overflow_are_refused) {
  static const struct {
    int64_t m, n, batch_count;
    int full_matrices;
  } huge[] = {
      {INT64_C(1) << 62, INT64_C(1) << 62, 1, 0},
      {INT64_C(1) << 31, INT64_C(1) << 31, 1, 0},
      {INT64_C(1) << 40, 1, 1, 1},
      {3, 3, INT64_MAX, 0},
      {INT64_MAX, INT64_MAX, INT64_MAX, 0},
  };
  for (int i = 0; i < test_backend_count; i++)
    for (size_t h = 0; h < sizeof huge / sizeof *huge; h++)
      for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
        for (int op = 0; op < OP_COUNT; op++) {
          svdgrad_desc_t desc = make_desc(dtype, huge[h].m, huge[h].n, huge[h].batch_count);
          desc.full_matrices = huge[h].full_matrices;
          expect_size_refused(test_backends[i], ops[op], &desc);
        }
}

Test(workspace, size_overflows_where_every_operand_fits) {
  const svdgrad_desc_t desc = make_desc(SVDGRAD_C128, 64, 64, INT64_MAX / (64 * 64 * 16));
  for (int i = 0; i < test_backend_count; i++) {
    expect_size_refused(test_backends[i], SVDGRAD_OP_SVD, &desc);
    expect_size_refused(test_backends[i], SVDGRAD_OP_SVD_BACKWARD, &desc);
  }
}
