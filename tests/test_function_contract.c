/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions of the SVD keep the header's promises for every compute function.  No bit of a result depends on the
 * memory layout, the rest of the batch, the threads, or the contents of the workspace.  Inputs are never written,
 * absent operands change no other output, and a matrix of NaN does not affect others. */
#include "cases.h"
#include "functions.h"
#include "workspace.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is computed ---- */

/* A call; the function, or the norm, that it is about. */
typedef struct job {
  svdgrad_op_t op;
  svdgrad_form_t form;
  svdgrad_function_kind_t kind;
  double param;
  svdgrad_norm_kind_t norm;
} job_t;
static const job_t jobs[] = {
    {.op = SVDGRAD_OP_SVD_JVP},
    {.op = SVDGRAD_OP_SVD_BACKWARD_BACKWARD},
    {.op = SVDGRAD_OP_MATRIX_FUNCTION, .kind = SVDGRAD_FUNCTION_CUSTOM},
    {.op = SVDGRAD_OP_MATRIX_FUNCTION, .kind = SVDGRAD_FUNCTION_ROTATION},
    {.op = SVDGRAD_OP_MATRIX_FUNCTION, .form = SVDGRAD_FORM_VVH, .kind = SVDGRAD_FUNCTION_POWER, .param = 0.5},
    {.op = SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, .kind = SVDGRAD_FUNCTION_CUSTOM},
    {.op = SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, .kind = SVDGRAD_FUNCTION_ROTATION},
    {.op = SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, .form = SVDGRAD_FORM_VVH, .kind = SVDGRAD_FUNCTION_INVERSE},
    {.op = SVDGRAD_OP_NORM, .norm = SVDGRAD_NORM_SCHATTEN},
    {.op = SVDGRAD_OP_NORM_GRADIENT, .norm = SVDGRAD_NORM_NUCLEAR},
    {.op = SVDGRAD_OP_DETERMINANT},
    {.op = SVDGRAD_OP_DETERMINANT_GRADIENT},
};
enum { JOB_COUNT = sizeof jobs / sizeof *jobs };

typedef struct variant {
  int64_t m, n, rank;
  int full_matrices;
} variant_t;
static const variant_t variants[] = {
    {1, 1, 0, 0}, {4, 3, 0, 0}, {3, 5, 0, 0},   {6, 7, 0, 0},   {5, 3, 0, 1},   {6, 5, 2, 0},
    {5, 7, 3, 0}, {1, 4, 0, 1}, {16, 16, 0, 0}, {17, 12, 0, 0}, {12, 17, 0, 1},
};
enum { ALL_VARIANTS = sizeof variants / sizeof *variants, SMALL_VARIANTS = ALL_VARIANTS - 4 };
static int variant_count(void) { return test_table == TABLE_SMALL ? SMALL_VARIANTS : ALL_VARIANTS; }

/* Whether the call takes such a problem. */
static int takes(const job_t *job, const svdgrad_desc_t *desc) {
  const int truncated = desc->rank > 0,
            forward = job->op == SVDGRAD_OP_SVD_JVP || job->op == SVDGRAD_OP_MATRIX_FUNCTION;
  if (job->op >= SVDGRAD_OP_DETERMINANT && (desc->m != desc->n || truncated))
    return 0;
  if (job->kind == SVDGRAD_FUNCTION_ROTATION)
    return desc->m == desc->n && !truncated && !dtype_is_complex(desc->dtype);
  return (forward || !truncated) && (job->op != SVDGRAD_OP_SVD_BACKWARD_BACKWARD || !desc->full_matrices);
}

static void describe(char text[120], svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job) {
  (void)snprintf(text, 120, "%s %s %dx%d rank %d full %d: %s, op %d kind %d form %d", backend_name(backend),
                 dtype_name(desc->dtype), (int)desc->m, (int)desc->n, (int)desc->rank, desc->full_matrices,
                 functions_op_name(job->op), (int)job->op, (int)job->kind, (int)job->form);
}

typedef void (*check_t)(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what);

/* Of every backend, element type, shape and call. */
static void for_each_job(int64_t batch_count, check_t check) {
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int v = 0; v < variant_count(); v++)
        for (int j = 0; j < JOB_COUNT; j++) {
          svdgrad_desc_t desc = make_desc(dtype, variants[v].m, variants[v].n, batch_count);
          desc.rank = variants[v].rank;
          desc.full_matrices = variants[v].full_matrices;
          if (test_backends[i] == SVDGRAD_BACKEND_REF) /* the oracle has one algorithm */
            desc.algo = SVDGRAD_ALGO_AUTO;
          const int slow = test_backends[i] == SVDGRAD_BACKEND_REF && desc.m * desc.n > 100;
          if (slow || !takes(&jobs[j], &desc) || (desc.m >= 12 && !test_type_is_sampled(dtype)))
            continue;
          char what[120];
          describe(what, test_backends[i], &desc, &jobs[j]);
          check(test_backends[i], &desc, &jobs[j], what);
        }
}

static void set_job(functions_t *x, const job_t *job) {
  x->function.kind = job->kind;
  x->function.param = job->param;
  x->norm = job->norm;
  x->p = 2.5;
}

/* Matrix b of seed (first + b) % seeds, and its factors. */
static void fill(functions_t *x, uint64_t first, uint64_t seeds) {
  for (int64_t b = 0; b < x->f.desc.batch_count; b++)
    functions_fill(x, b, (first + (uint64_t)b) % seeds + 1);
  cr_assert_eq(fixture_forward(&x->f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
}

static functions_t filled(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, uint64_t first,
                          uint64_t seeds) {
  functions_t x = functions_make(backend, desc, job->form, LAYOUT_COLUMN_MAJOR);
  set_job(&x, job);
  fill(&x, first, seeds);
  return x;
}

static void run(functions_t *x, const job_t *job, double beta) {
  cr_assert_eq(functions_run(x, job->op, 0, 0.75, beta), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
}

static int all_same(functions_t *x, functions_t *y, const job_t *job) {
  int same = x->f.intact && y->f.intact;
  for (int64_t b = 0; b < x->f.desc.batch_count; b++)
    same &= functions_same(x, b, y, b, job->op);
  return same;
}

/* ---- memory ---- */

static functions_t copy_placed(functions_t *from, const job_t *job, int operand, placement_t placement) {
  placement_t placements[FUNCTIONS_OPERAND_COUNT] = {{LAYOUT_COLUMN_MAJOR, 0}};
  placements[operand] = placement;
  functions_t x = functions_make_placed(from->f.backend, &from->f.desc, job->form, placements);
  set_job(&x, job);
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++)
    for (int64_t b = 0; b < x.f.desc.batch_count; b++) {
      LOCAL(dense) X = buffer_load(functions_operand(from, i), b);
      buffer_store(functions_operand(&x, i), b, &X);
    }
  return x;
}

/* The inputs equal those of y, and no padding was written. */
static int inputs_are_intact(functions_t *x, functions_t *y, const job_t *job) {
  int intact = 1;
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++) {
    intact &= buffer_padding_intact(functions_operand(x, i));
    for (int64_t b = 0; b < x->f.desc.batch_count && functions_role(x, job->op, i) != ROLE_OUTPUT; b++)
      intact &= buffer_same_bits(functions_operand(x, i), b, functions_operand(y, i), b);
  }
  return intact;
}

static void check_layouts(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  LOCAL(functions) before = filled(backend, desc, job, 0, 100);
  LOCAL(functions) packed = copy_placed(&before, job, OPERAND_A, (placement_t){LAYOUT_COLUMN_MAJOR, 0});
  run(&packed, job, -0.5);
  for (int operand = 0; operand < FUNCTIONS_OPERAND_COUNT; operand++)
    for (layout_t layout = 0; layout < LAYOUT_COUNT && functions_role(&packed, job->op, operand); layout++) {
      LOCAL(functions) x = copy_placed(&before, job, operand, (placement_t){layout, 0});
      run(&x, job, -0.5);
      cr_expect(all_same(&x, &packed, job) && inputs_are_intact(&x, &before, job), "%s: %s %s", what,
                functions_operand_name(operand), layout_name(layout));
    }
}

Test(function_contract, every_operand_in_every_layout) {
  for_each_job(test_table == TABLE_SMALL ? 2 : 3, check_layouts);
}

/* An input with batch stride 0 instead of equal copies. */
static void check_broadcast(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  LOCAL(functions) all = filled(backend, desc, job, 0, 100);
  for (int operand = 0; operand < FUNCTIONS_OPERAND_COUNT; operand++) {
    if (functions_role(&all, job->op, operand) != ROLE_INPUT)
      continue;
    LOCAL(functions) copies = copy_placed(&all, job, OPERAND_A, (placement_t){LAYOUT_COLUMN_MAJOR, 0});
    LOCAL(dense) first = buffer_load(functions_operand(&copies, operand), 0);
    for (int64_t b = 1; b < desc->batch_count; b++)
      buffer_store(functions_operand(&copies, operand), b, &first);
    LOCAL(functions) shared = copy_placed(&copies, job, operand, (placement_t){LAYOUT_ROW_PADDED, 1});
    run(&copies, job, 1);
    run(&shared, job, 1);
    cr_expect(all_same(&shared, &copies, job), "%s: %s", what, functions_operand_name(operand));
  }
}

Test(function_contract, one_input_for_the_whole_batch) {
  for_each_job(test_table == TABLE_SMALL ? 2 : 5, check_broadcast);
}

/* beta = 0: gA is written and not read. */
static void check_beta_zero(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  LOCAL(functions) x = filled(backend, desc, job, 0, 100);
  LOCAL(functions) poisoned = filled(backend, desc, job, 0, 100);
  for (int64_t b = 0; b < desc->batch_count; b++)
    for (int64_t j = 0; j < desc->n; j++)
      for (int64_t i = 0; i < desc->m; i++)
        buffer_set(&poisoned.f.gA, b, i, j, (long double)NAN);
  run(&x, job, 0);
  run(&poisoned, job, 0);
  cr_expect(all_same(&poisoned, &x, job), "%s", what);
}

Test(function_contract, beta_zero_does_not_read_gA) { for_each_job(2, check_beta_zero); }

/* ---- absent operands ---- */

static int is_optional(const job_t *job, int operand) {
  switch (job->op) {
  case SVDGRAD_OP_SVD_JVP: return operand == OPERAND_DS || operand == OPERAND_DU || operand == OPERAND_DVH;
  case SVDGRAD_OP_SVD_BACKWARD_BACKWARD:
    return operand == OPERAND_DS || operand == OPERAND_DU || operand == OPERAND_DVH || operand == OPERAND_GA;
  case SVDGRAD_OP_DETERMINANT:
  case SVDGRAD_OP_DETERMINANT_GRADIENT:
    return operand == OPERAND_DET || operand == OPERAND_SIGN || operand == OPERAND_LOG_ABS;
  default: return 0;
  }
}

/* Leaving out an output, or the report, does not change the others, and the memory of what is left out stays. */
static void check_absent(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  LOCAL(functions) before = filled(backend, desc, job, 0, 100);
  LOCAL(functions) all = filled(backend, desc, job, 0, 100);
  memset(all.f.report, 0x77, sizeof *all.f.report); /* not every operation has one */
  run(&all, job, 0.25);
  for (int operand = 0; operand <= OPERAND_REPORT; operand++) {
    const int is_report = operand == OPERAND_REPORT;
    const int reports = job->op != SVDGRAD_OP_MATRIX_FUNCTION && job->op < SVDGRAD_OP_NORM;
    if (is_report ? !reports : !is_optional(job, operand))
      continue;
    LOCAL(functions) x = filled(backend, desc, job, 0, 100);
    memset(x.f.report, 0x77, sizeof *x.f.report);
    const svdgrad_report_t report = x.f.report[0];
    cr_assert_eq(functions_run(&x, job->op, ABSENT(operand), 0.75, 0.25), SVDGRAD_STATUS_SUCCESS);
    int same = is_report ? memcmp(&report, &x.f.report[0], sizeof report) == 0
                         : memcmp(&all.f.report[0], &x.f.report[0], sizeof report) == 0;
    for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++)
      same &= buffer_same_bits(functions_operand(&x, i), 0, functions_operand(i == operand ? &before : &all, i), 0);
    cr_expect(same, "%s: without %s", what, is_report ? "report" : functions_operand_name(operand));
  }
}

Test(function_contract, absent_outputs_change_nothing) { for_each_job(1, check_absent); }

/* ---- the batch ---- */

enum { SEEDS = 3 };

/* Every second piece first, then the others. */
static void alternating(void *pool, int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *arg) {
  (void)pool;
  for (int64_t start = 0; start < 2; start++)
    for (int64_t first = start * grain; first < count; first += 2 * grain)
      body(first, first + grain < count ? first + grain : count, arg);
}

static void share(functions_t *x, int num_threads, svdgrad_parallel_for_t parallel_for) {
  if (x->f.backend == SVDGRAD_BACKEND_CUDA) /* has no threads to set */
    return;
  cr_assert_eq(svdgrad_set_num_threads(x->f.handle, num_threads), SVDGRAD_STATUS_SUCCESS);
  cr_assert_eq(svdgrad_set_parallel_for(x->f.handle, parallel_for, NULL), SVDGRAD_STATUS_SUCCESS);
}

/* Every matrix of a batch of that size against the same matrix alone. */
static int batch_agrees(functions_t alone[SEEDS], svdgrad_desc_t desc, const job_t *job, int64_t size, int num_threads,
                        svdgrad_parallel_for_t parallel_for) {
  desc.batch_count = size;
  LOCAL(functions) x = filled(alone[0].f.backend, &desc, job, 0, SEEDS);
  share(&x, num_threads, parallel_for);
  run(&x, job, 0.3);
  int same = x.f.intact;
  for (int64_t b = 0; b < size; b++)
    same &= functions_same(&x, b, &alone[b % SEEDS], 0, job->op);
  return same;
}

static void check_batches(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  static const struct {
    int64_t size;
    int num_threads;
    svdgrad_parallel_for_t parallel_for;
  } batches[] = {
      {2, 1, NULL},
      {7, 1, alternating},
      {37, 2, NULL}, /* not of the small table */
      {37, 1, alternating},
  };
  const size_t count = test_table == TABLE_SMALL ? 2 : sizeof batches / sizeof *batches;
  svdgrad_desc_t invariant = *desc;
  functions_t alone[SEEDS];
  invariant.batch_invariant = desc->algo == SVDGRAD_ALGO_AUTO; /* others never look at the batch */
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    alone[seed] = filled(backend, &invariant, job, seed, SEEDS);
    run(&alone[seed], job, 0.3);
  }
  for (size_t i = 0; i < count; i++)
    cr_expect((batches[i].size > 100 && desc->m * desc->n > 20) ||
                  batch_agrees(alone, invariant, job, batches[i].size, batches[i].num_threads, batches[i].parallel_for),
              "%s: batch of %d, %d threads", what, (int)batches[i].size, batches[i].num_threads);
  for (int seed = 0; seed < SEEDS; seed++)
    functions_free(&alone[seed]);
}

Test(function_contract, any_place_in_any_batch_on_any_threads) { for_each_job(1, check_batches); }

/* Without batch_invariant AUTO looks at the batch size, but never at a part of the batch. */
static void check_one_size(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  if (backend != SVDGRAD_BACKEND_CPU)
    return;
  LOCAL(functions) x = filled(backend, desc, job, 0, SEEDS);
  LOCAL(functions) moved = filled(backend, desc, job, 1, SEEDS);
  share(&x, 1, NULL);
  share(&moved, 1, alternating);
  run(&x, job, 0.3);
  run(&moved, job, 0.3);
  for (int64_t b = 0; b < desc->batch_count; b++) {
    const int64_t last = desc->batch_count - 1, at = last - (last - b + 1) % SEEDS; /* of the same seed, at the end */
    cr_expect(functions_same(&x, b, &moved, at, job->op), "%s: matrix %d of %d", what, (int)b, (int)desc->batch_count);
  }
}

static void check_two_sizes(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  svdgrad_desc_t few = *desc;
  few.batch_invariant = 0;
  svdgrad_desc_t more = few;
  more.batch_count = desc->dtype == SVDGRAD_F32 || desc->dtype == SVDGRAD_C64 ? 17 : 9; /* a full group, and one left */
  check_one_size(backend, &few, job, what);
  check_one_size(backend, &more, job, what);
}

Test(function_contract, any_place_and_threads_in_batches_of_one_size) { for_each_job(SEEDS, check_two_sizes); }

/* Extra steps for a singular, graded or zero matrix must not affect its neighbours. */
static void check_all_kinds(svdgrad_backend_t backend, const svdgrad_desc_t *of, const job_t *job, const char *what) {
  svdgrad_desc_t invariant = *of, one = *of;
  const svdgrad_desc_t *const desc = &invariant;
  invariant.batch_invariant = one.batch_invariant = 1, one.batch_count = 1;
  if (job->op < SVDGRAD_OP_NORM) /* of factors, not of A */
    return;
  LOCAL(functions) x = filled(backend, desc, job, 0, 1);
  LOCAL(functions) alone = filled(backend, &one, job, 0, 1);
  for (int64_t b = 0; b < desc->batch_count; b++) {
    LOCAL(dense) A = make_matrix((spectrum_t)(b % SPECTRUM_COUNT), desc->dtype, desc->m, desc->n, (uint64_t)b);
    buffer_store(&x.f.A, b, &A);
  }
  run(&x, job, 0);
  for (int64_t b = 0; b < desc->batch_count; b++) {
    LOCAL(dense) A = buffer_load(&x.f.A, b);
    buffer_store(&alone.f.A, 0, &A);
    run(&alone, job, 0);
    cr_expect(functions_same(&x, b, &alone, 0, job->op), "%s: beside others %s is different", what,
              spectrum_name((spectrum_t)(b % SPECTRUM_COUNT)));
  }
}

Test(function_contract, norms_and_determinants_beside_matrices_of_all_kinds) {
  for_each_job(SPECTRUM_COUNT + 1, check_all_kinds);
}

/* ---- NaN ---- */

enum { BAD = 1 };
static int64_t bad_batch(void) { return test_table == TABLE_SMALL ? 3 : 17; }

static int has_nan(const buffer_t *x, int64_t b) {
  int found = 0;
  for (int64_t j = 0; j < x->cols; j++)
    for (int64_t i = 0; i < x->rows; i++)
      found |= isnan(creall(buffer_get(x, b, i, j))) || isnan(cimagl(buffer_get(x, b, i, j)));
  return found;
}

static int all_nan(const buffer_t *x, int64_t b) {
  int all = 1;
  for (int64_t j = 0; j < x->cols; j++)
    for (int64_t i = 0; i < x->rows; i++)
      all &= isnan(creall(buffer_get(x, b, i, j))) || isnan(cimagl(buffer_get(x, b, i, j)));
  return all;
}

/* A NaN in A must appear in all results; one in a tangent or cotangent in at least one. */
static void expect_nan(const functions_t *x, const job_t *job, int operand, const char *what) {
  const int tangent = operand == OPERAND_DA || operand == OPERAND_GY;
  switch (job->op) {
  case SVDGRAD_OP_NORM:
  case SVDGRAD_OP_NORM_GRADIENT:
    if (operand == OPERAND_A) {
      cr_expect_eq(x->f.info[BAD], SVDGRAD_INFO_NONFINITE, "%s: info", what);
      cr_expect(all_nan(&x->value, BAD), "%s: value", what);
    }
    cr_expect(job->op == SVDGRAD_OP_NORM || all_nan(&x->f.gA, BAD), "%s: gA", what);
    break;
  case SVDGRAD_OP_DETERMINANT:
  case SVDGRAD_OP_DETERMINANT_GRADIENT:
    if (operand == OPERAND_A) {
      cr_expect_eq(x->f.info[BAD], SVDGRAD_INFO_NONFINITE, "%s: info", what);
      cr_expect(all_nan(&x->det, BAD) && all_nan(&x->sign, BAD) && all_nan(&x->log_abs, BAD), "%s", what);
    }
    cr_expect(job->op == SVDGRAD_OP_DETERMINANT || has_nan(&x->f.gA, BAD) ||
                  (operand == OPERAND_G_SIGN && !dtype_is_complex(x->f.desc.dtype)),
              "%s: gA", what);
    break;
  case SVDGRAD_OP_SVD_JVP:
  case SVDGRAD_OP_SVD_BACKWARD_BACKWARD:
    cr_expect(!tangent || has_nan(&x->dS, BAD) || has_nan(&x->dU, BAD), "%s: tangents", what);
    break;
  case SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD:
    cr_expect(!tangent || x->f.desc.m == 1 || has_nan(&x->f.gA, BAD), "%s: gA", what);
    break;
  default: break;
  }
}

/* NaN in the last entry of one matrix, for each input in turn. */
static void check_poisoned(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  LOCAL(functions) clean = filled(backend, desc, job, 0, 100);
  LOCAL(functions) before = filled(backend, desc, job, 0, 100);
  run(&clean, job, 0.5);
  for (int operand = 0; operand < FUNCTIONS_OPERAND_COUNT; operand++) {
    if (functions_role(&clean, job->op, operand) != ROLE_INPUT)
      continue;
    LOCAL(functions) x = copy_placed(&before, job, OPERAND_A, (placement_t){LAYOUT_COLUMN_MAJOR, 0});
    const buffer_t *buffer = functions_operand(&x, operand);
    buffer_set(buffer, BAD, buffer->rows - 1, buffer->cols - 1, (long double)NAN);
    run(&x, job, 0.5);
    int same = x.f.intact;
    for (int64_t b = 0; b < desc->batch_count; b++)
      same &= b == BAD || functions_same(&x, b, &clean, b, job->op);
    cr_expect(same, "%s: a NaN in %s changed another matrix", what, functions_operand_name(operand));
    expect_nan(&x, job, operand, what);
  }
}

Test(function_contract, a_nan_harms_no_other_matrix) { for_each_job(bad_batch(), check_poisoned); }

/* ---- workspace ---- */

static size_t size_of(svdgrad_handle_t handle, svdgrad_op_t op, svdgrad_desc_t desc, int64_t batch_count) {
  size_t bytes = SIZE_MAX;
  desc.batch_count = batch_count;
  cr_assert_eq(svdgrad_workspace_size(handle, op, &desc, &bytes), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  return bytes;
}

/* From MANY matrices on the size is a constant plus a fixed number of bytes per matrix; for fewer it is not larger. */
static void check_size(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  enum { MANY = 64 };
  LOCAL(functions) x = functions_make(backend, desc, job->form, LAYOUT_COLUMN_MAJOR);
  const svdgrad_handle_t handle = x.f.handle;
  const size_t many = size_of(handle, job->op, *desc, MANY), each = size_of(handle, job->op, *desc, MANY + 1) - many;
  (void)svdgrad_set_num_threads(handle, 3); /* not on CUDA */
  cr_expect_eq(size_of(handle, job->op, *desc, 0), 0);
  for (int64_t b = 1; b < 2000; b = 3 * b + 1)
    cr_expect_eq(size_of(handle, job->op, *desc, MANY + b), many + (size_t)b * each, "%s: batch of %d", what, (int)b);
  for (int64_t b = 0; b < MANY; b++)
    cr_expect_leq(size_of(handle, job->op, *desc, b), size_of(handle, job->op, *desc, b + 1), "%s: %d", what, (int)b);
}

Test(function_contract, workspace_is_linear_from_a_group_on) { for_each_job(1, check_size); }

static void check_fill(svdgrad_backend_t backend, const svdgrad_desc_t *desc, const job_t *job, const char *what) {
  static const unsigned char fills[] = {0x00, 0x3F};
  LOCAL(functions) nan = filled(backend, desc, job, 0, 100);
  run(&nan, job, 0.5);
  cr_expect(nan.f.intact, "%s: something beside the outputs was written", what);
  for (size_t i = 0; i < sizeof fills; i++) {
    LOCAL(functions) x = filled(backend, desc, job, 0, 100);
    x.f.fill = fills[i];
    run(&x, job, 0.5);
    cr_expect(all_same(&x, &nan, job), "%s: what the workspace held before matters", what);
  }
}

Test(function_contract, exact_workspace_is_enough_whatever_it_holds) { for_each_job(2, check_fill); }

static int same_memory(functions_t *x, functions_t *y) {
  int same = memcmp(x->f.report, y->f.report, sizeof *x->f.report) == 0 && x->f.info[0] == y->f.info[0];
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++) {
    const buffer_t *a = functions_operand(x, i), *b = functions_operand(y, i);
    same &= memcmp(a->memory, b->memory, a->bytes) == 0;
  }
  return same;
}

/* A byte less, or none: refused with nothing written.  With batch_invariant the size is what this batch needs. */
static void check_refusals(svdgrad_backend_t backend, const svdgrad_desc_t *of, const job_t *job, const char *what) {
  svdgrad_desc_t invariant = *of;
  const svdgrad_desc_t *const desc = &invariant;
  invariant.batch_invariant = 1;
  LOCAL(functions) before = filled(backend, desc, job, 0, 100);
  LOCAL(functions) x = filled(backend, desc, job, 0, 100);
  workspace_t w = workspace_make(x.f.handle, job->op, desc, 0xA5);
  const struct {
    void *work;
    size_t bytes;
    svdgrad_status_t status;
  } wrong[] = {{w.work, w.bytes - 1, SVDGRAD_STATUS_WORKSPACE_TOO_SMALL},
               {w.work, w.bytes / 2, SVDGRAD_STATUS_WORKSPACE_TOO_SMALL},
               {NULL, 0, SVDGRAD_STATUS_WORKSPACE_TOO_SMALL},
               {NULL, w.bytes, SVDGRAD_STATUS_INVALID_ARGUMENT}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong && w.bytes > 0; i++) {
    cr_expect_eq(functions_call(&x, job->op, 0, 1, 0, wrong[i].work, wrong[i].bytes), wrong[i].status, "%s: case %d",
                 what, (int)i);
    cr_expect(same_memory(&x, &before), "%s: case %d was refused and has written something", what, (int)i);
  }
  for (size_t i = 0; i < w.bytes; i++)
    cr_assert(w.work[i] == 0xA5, "%s: the workspace was written", what);
  cr_expect(workspace_free(&w));
}

Test(function_contract, wrong_workspaces_are_refused) { for_each_job(1, check_refusals); }
