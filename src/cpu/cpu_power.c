/* SPDX-License-Identifier: BSD-3-Clause */
/* How the power iteration is shared among threads: over the matrices of a batch, or over chunks of one matrix. */
#include "cpu_power.h"

#include "base/arena.h"
#include "base/element_size.h"

#include <math.h>
#include <string.h>

/* The order in which the elements of an operand are read: M is A, or A^T where the columns of A are contiguous, so that
 * the rows of M are contiguous. */
typedef struct walk {
  int transposed;
  int64_t rows, columns;
  int64_t chunks, chunk_rows; /* a pure function of rows, columns and type */
} walk_t;

enum { CHUNK_BYTES = 1 << 18, CHUNK_ROWS = 32, MOST_CHUNKS = 256, ROW_GROUP = 8 };

/* A chunk takes long compared with handing it to a thread, and has so many rows that the sums of all chunks are small
 * compared with M. */
static walk_t walk_make(svdgrad_dtype_t dtype, int transposed, int64_t rows, int64_t columns) {
  const double bytes = (double)rows * (double)columns * (double)element_size(dtype);
  int64_t chunks = rows / CHUNK_ROWS < MOST_CHUNKS ? rows / CHUNK_ROWS : MOST_CHUNKS;
  if (bytes < (double)chunks * CHUNK_BYTES)
    chunks = (int64_t)(bytes / CHUNK_BYTES);
  if (chunks < 1)
    chunks = 1;
  const int64_t chunk_rows = ((rows + chunks - 1) / chunks + ROW_GROUP - 1) / ROW_GROUP * ROW_GROUP;
  return (walk_t){transposed, rows, columns, (rows + chunk_rows - 1) / chunk_rows, chunk_rows};
}

static walk_t walk_of(const problem_t *p, const svdgrad_matrix_t *X) {
  const int transposed = p->n == 1 || (p->m > 1 && X->row_stride < X->col_stride);
  return walk_make(p->dtype, transposed, transposed ? p->n : p->m, transposed ? p->m : p->n);
}

/* X with the strides of M. */
static svdgrad_matrix_t as_walked(const walk_t *walk, svdgrad_matrix_t X) {
  if (walk->transposed)
    return (svdgrad_matrix_t){X.data, X.col_stride, X.row_stride, X.batch_stride};
  return X;
}

static int64_t first_row(const walk_t *walk, int64_t chunk) { return chunk * walk->chunk_rows; }

static int64_t last_row(const walk_t *walk, int64_t chunk) {
  const int64_t last = (chunk + 1) * walk->chunk_rows;
  return last < walk->rows ? last : walk->rows;
}

/* Parallel over the matrices, or over the chunks of one matrix after the other: whichever are more. */
static const parallel_t serial = {.num_threads = 1};

typedef struct sharing {
  const parallel_t *matrices, *chunks;
} sharing_t;

static sharing_t share(const parallel_t *parallel, const walk_t *walk, int64_t batch_count) {
  const int by_chunks = batch_count < walk->chunks && (parallel->run || parallel->num_threads != 1);
  return by_chunks ? (sharing_t){&serial, parallel} : (sharing_t){parallel, &serial};
}

/* Calls the task for every chunk; it gets no scratch memory. */
static void run_chunks(const parallel_t *parallel, const walk_t *walk, batch_task_t task, const void *call) {
  const arena_t none = {NULL, 0};
  for (int64_t chunk = 0; chunk < walk->chunks && parallel == &serial; chunk++)
    task(call, chunk, 1, none);
  if (parallel != &serial)
    batch_run(parallel, (batch_t){.task = task,
                                  .call = call,
                                  .batch_count = walk->chunks,
                                  .group = 1,
                                  .matrix_cost = (double)walk->chunk_rows * (double)walk->columns / 4});
}

typedef struct power_plan {
  const power_call_t *call;
  const lane_kernels_t *kernels;
  walk_t walk;
  const parallel_t *chunks;
} power_plan_t;

typedef struct gradient_plan {
  const normalize_backward_call_t *call;
  walk_t walk;
  const parallel_t *chunks;
} gradient_plan_t;

/* What one pass over M computes; the last two are modifiers. */
enum {
  PASS_PRODUCTS = 1, /* s = M x */
  PASS_SUMS = 2,     /* w = M^H s */
  PASS_GIVEN = 4,    /* w = M^H y instead, for a given y */
  PASS_FIRST = 8     /* the scale of M is not known yet */
};

/* How the iteration of a matrix ended. */
typedef enum outcome { ITERATED, STILL, ZERO, NONFINITE } outcome_t;

/* Special values of the exponent of the largest entry. */
enum { EXPONENT_OF_ZERO = INT32_MIN, EXPONENT_OF_NAN = INT32_MAX };

/* e of a number in [2^(e-1), 2^e), clamped so that 2^e and 2^-e are finite. */
static int exponent_of(double largest, int limit) {
  int exponent;
  if (largest == 0 || isnan(largest))
    return largest == 0 ? EXPONENT_OF_ZERO : EXPONENT_OF_NAN;
  (void)frexp(largest, &exponent);
  return exponent < -limit ? -limit : exponent > limit ? limit : exponent;
}

#define BODY "cpu/cpu_power.inc"
#include "each_type.h"

static const struct {
  size_t (*scratch)(const walk_t *walk);
  batch_task_t iterate, backward;
} tasks[4] = {
    [SVDGRAD_F32] = {power_scratch_f32, power_matrix_f32, gradient_matrix_f32},
    [SVDGRAD_F64] = {power_scratch_f64, power_matrix_f64, gradient_matrix_f64},
    [SVDGRAD_C64] = {power_scratch_c64, power_matrix_c64, gradient_matrix_c64},
    [SVDGRAD_C128] = {power_scratch_c128, power_matrix_c128, gradient_matrix_c128},
};

/* Largest m and n computed in lanes: a group stays in the cache. */
enum { LANES_MOST = 16 };

static int in_lanes(const problem_t *p) { return p->m <= LANES_MOST && p->n <= LANES_MOST; }

static size_t larger(size_t x, size_t y) { return x > y ? x : y; }

/* Enough for both layouts of A and any number of iterations. */
static size_t scratch_of(const lane_kernels_t *kernels, const problem_t *p) {
  const walk_t by_rows = walk_make(p->dtype, 0, p->m, p->n), by_columns = walk_make(p->dtype, 1, p->n, p->m);
  const size_t alone = larger(tasks[p->dtype].scratch(&by_rows), tasks[p->dtype].scratch(&by_columns));
  return in_lanes(p) ? larger(alone, kernels->power->scratch(p)) : alone;
}

static int group_of(const lane_kernels_t *kernels, const problem_t *p) { return in_lanes(p) ? kernels->lanes : 1; }

size_t cpu_power_workspace(const lane_kernels_t *kernels, const problem_t *p) {
  const batch_t batch = {
      .batch_count = p->batch_count, .group = group_of(kernels, p), .scratch = scratch_of(kernels, p)};
  return batch_workspace(&batch);
}

static void lanes_task(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const power_plan_t *plan = argument;
  int32_t is_fine[GROUP_MOST_LANES];
  plan->kernels->power->group(plan->call, first, (int)count, scratch, is_fine);
  for (int64_t l = 0; l < count; l++)
    if (!is_fine[l])
      tasks[plan->call->p.dtype].iterate(plan, first + l, 1, scratch);
}

static void one_by_one(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const power_plan_t *plan = argument;
  for (int64_t l = 0; l < count; l++)
    tasks[plan->call->p.dtype].iterate(plan, first + l, 1, scratch);
}

/* Rough nanoseconds per matrix. */
static double cost_of(const problem_t *p, double passes) {
  return 100 + passes * (50 + (double)p->m * (double)p->n / 4);
}

void cpu_power_iteration(const parallel_t *parallel, const lane_kernels_t *kernels, const power_call_t *call) {
  const problem_t *p = &call->p;
  const walk_t walk = walk_of(p, &call->A);
  const sharing_t sharing = share(parallel, &walk, p->batch_count);
  const power_plan_t plan = {call, kernels, walk, sharing.chunks};
  batch_run(sharing.matrices, (batch_t){.task = in_lanes(p) && call->iterations > 0 ? lanes_task : one_by_one,
                                        .call = &plan,
                                        .batch_count = p->batch_count,
                                        .group = group_of(kernels, p),
                                        .matrix_cost = cost_of(p, 1 + call->iterations),
                                        .scratch = scratch_of(kernels, p),
                                        .work = call->work});
}

void cpu_normalize_backward(const parallel_t *parallel, const normalize_backward_call_t *call) {
  const problem_t *p = &call->p;
  const walk_t walk = walk_of(p, &call->gA);
  const sharing_t sharing = share(parallel, &walk, p->batch_count);
  const gradient_plan_t plan = {call, walk, sharing.chunks};
  batch_run(sharing.matrices, (batch_t){.task = tasks[p->dtype].backward,
                                        .call = &plan,
                                        .batch_count = p->batch_count,
                                        .group = 1,
                                        .matrix_cost = cost_of(p, 4)});
}
