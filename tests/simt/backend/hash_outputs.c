/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs every kernel of the CUDA backend on a small table of problems and prints a hash of all that came out: the same
 * under every schedule of the CPU run (SIMT_ORDER), or a kernel depends on the order of its threads.  Built with the
 * thread sanitizer the same run is the race check.  Fails if one of the algorithms was not reached.  HASH_BACKEND=ref or
 * cpu takes that backend instead: two builds with the same hash compute the same bits.
 *
 * usage: hash_outputs [all | f32 | f64 | c64 | c128 [small | large | programs | powers] | tiny N]: one type, of it all or a
 * part; or shape N of the few for races between blocks, for which every block is a thread. */
#include "cases.h"
#include "functions.h"
#include "power.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static svdgrad_backend_t backend = SVDGRAD_BACKEND_CUDA;
static uint64_t hash = 1469598103934665603u; /* FNV-1a */

static void add_bytes(const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    hash = (hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
}

static void add_buffer(const buffer_t *buffer) {
  for (int64_t b = 0; b < buffer->batch_count; b++) {
    size_t size;
    unsigned char *bits = buffer_bits(buffer, b, &size);
    add_bytes(bits, size);
    free(bits);
  }
}

static void check(svdgrad_status_t status) {
  if (status == SVDGRAD_STATUS_SUCCESS)
    return;
  fprintf(stderr, "%s\n", svdgrad_last_error_message());
  exit(EXIT_FAILURE);
}

/* Names of what ran, between blanks. */
static char reached[512] = " ";

static void reach(svdgrad_handle_t handle, const svdgrad_desc_t *desc, svdgrad_op_t op) {
  char name[64];
  const char *known = svdgrad_algorithm_name(handle, op, desc);
  snprintf(name, sizeof name, " %s ", known ? known : "?");
  if (!strstr(reached, name))
    strncat(reached, name + 1, sizeof reached - strlen(reached) - 1);
}

static fixture_t start(const svdgrad_desc_t *desc, spectrum_t spectrum) {
  fixture_t f = fixture_make(backend, desc, LAYOUT_ROW_PADDED);
  for (int64_t b = 0; b < desc->batch_count; b++) {
    dense_t A = make_matrix(spectrum, desc->dtype, desc->m, desc->n, (uint64_t)b + 1);
    buffer_store(&f.A, b, &A);
    dense_free(&A);
  }
  return f;
}

static void forward(fixture_t *f, int with) {
  reach(f->handle, &f->desc, SVDGRAD_OP_SVD);
  check(fixture_forward(f, with));
  add_buffer(&f->S), add_buffer(&f->U), add_buffer(&f->Vh);
  add_bytes(f->info, (size_t)f->desc.batch_count * sizeof *f->info);
}

static void backward(fixture_t *f) {
  reach(f->handle, &f->desc, SVDGRAD_OP_SVD_BACKWARD);
  fixture_random_cotangents(f, 5);
  check(fixture_backward(f, WITH_COTANGENTS, 1, 0));
  add_buffer(&f->gA);
  add_bytes(f->report, (size_t)f->desc.batch_count * sizeof *f->report);
}

static void run(svdgrad_desc_t desc, spectrum_t spectrum) {
  fixture_t f = start(&desc, spectrum);
  if (!svdgrad_algorithm_name(f.handle, SVDGRAD_OP_SVD, &desc) && backend != SVDGRAD_BACKEND_CUDA) {
    fixture_free(&f); /* not every algorithm has every size there */
    return;
  }
  forward(&f, 0);
  forward(&f, WITH_VECTORS);
  backward(&f);
  fixture_free(&f);
}

static void run_program(functions_t *x, svdgrad_op_t op) {
  reach(x->f.handle, &x->f.desc, op);
  memset(x->f.report, 0, (size_t)x->f.desc.batch_count * sizeof *x->f.report); /* padding, too */
  check(functions_run(x, op, 0, 1, 0));
  for (int i = 0; i < FUNCTIONS_OPERAND_COUNT; i++)
    if (functions_role(x, op, i) == ROLE_OUTPUT)
      add_buffer(functions_operand(x, i));
  add_bytes(x->f.report, (size_t)x->f.desc.batch_count * sizeof *x->f.report);
}

static void run_function(functions_t *x, svdgrad_function_kind_t kind, double param) {
  x->function.kind = kind;
  x->function.param = param;
  run_program(x, SVDGRAD_OP_MATRIX_FUNCTION);
  if (x->f.desc.rank == 0)
    run_program(x, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD);
}

/* What goes with the full rank alone. */
static void run_full_rank(functions_t *x) {
  const svdgrad_desc_t *desc = &x->f.desc;
  if (desc->m == desc->n && !dtype_is_complex(desc->dtype) && x->function.form == SVDGRAD_FORM_UVH)
    run_function(x, SVDGRAD_FUNCTION_ROTATION, 0);
  if (!desc->full_matrices)
    run_program(x, SVDGRAD_OP_SVD_BACKWARD_BACKWARD);
  x->norm = SVDGRAD_NORM_SCHATTEN;
  run_program(x, SVDGRAD_OP_NORM_GRADIENT);
}

static functions_t start_programs(const svdgrad_desc_t *desc, svdgrad_form_t form) {
  functions_t x = functions_make(backend, desc, form, LAYOUT_ROW_PADDED);
  for (int64_t b = 0; b < desc->batch_count; b++)
    functions_fill(&x, b, (uint64_t)b + 1);
  check(fixture_forward(&x.f, WITH_VECTORS));
  return x;
}

/* Functions of the SVD: every operation of programs. */
static void run_programs(svdgrad_desc_t desc, svdgrad_form_t form) {
  functions_t x = start_programs(&desc, form);
  run_function(&x, SVDGRAD_FUNCTION_POWER, 0.5);
  run_function(&x, SVDGRAD_FUNCTION_CUSTOM, 0);
  x.function.relative = 1; /* a threshold that moves with s_1 */
  run_function(&x, SVDGRAD_FUNCTION_SOFT_THRESHOLD, 0.25);
  x.function.relative = 0;
  run_program(&x, SVDGRAD_OP_SVD_JVP);
  if (desc.rank == 0)
    run_full_rank(&x);
  functions_free(&x);
}

/* The power iteration, spectral normalization and its gradient; rows or columns that lie together. */
static void run_power(const svdgrad_desc_t *desc, layout_t layout) {
  power_problem_t p = power_make(backend, desc, layout, 0);
  for (int64_t b = 0; b < desc->batch_count; b++) {
    dense_t A = make_matrix(SPECTRUM_NORMAL, desc->dtype, desc->m, desc->n, (uint64_t)b + 1);
    buffer_store(&p.A, b, &A);
    dense_free(&A);
    power_fill(&p, b, (uint64_t)b + 1);
  }
  reach(p.handle, desc, SVDGRAD_OP_POWER_ITERATION);
  check(power_iterate(&p, 1));
  check(power_normalize(&p, 1));
  check(power_backward(&p, 1, 0));
  const buffer_t *const outputs[] = {&p.u, &p.v, &p.sigma, &p.residual, &p.Y, &p.gA};
  for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
    add_buffer(outputs[i]);
  power_free(&p);
}

enum { THIN, FULL_MATRICES, RANK_1, VARIANT_COUNT };

static svdgrad_desc_t describe(svdgrad_dtype_t dtype, test_shape_t shape, int64_t batch_count, int variant) {
  svdgrad_desc_t desc = make_desc(dtype, shape.m, shape.n, batch_count);
  desc.full_matrices = variant == FULL_MATRICES;
  desc.rank = variant == RANK_1;
  return desc;
}

static void run_variants(svdgrad_dtype_t dtype, svdgrad_algo_t algo, test_shape_t shape) {
  for (int variant = 0; variant < VARIANT_COUNT; variant++) {
    svdgrad_desc_t desc = describe(dtype, shape, 3, variant);
    desc.algo = algo;
    run(desc, variant == RANK_1 ? SPECTRUM_LINEAR : SPECTRUM_NORMAL);
    if (variant == THIN)
      run(desc, SPECTRUM_ONES);
  }
}

/* One matrix per thread, per block, a few per warp, one per block again; tall by QR, wide, fused and in steps. */
static const test_shape_t small_shapes[] = {{1, 1}, {3, 3}, {4, 2},   {2, 4},   {40, 3}, {3, 40}, {8, 8},
                                            {9, 5}, {5, 9}, {300, 2}, {20, 17}, {40, 8}, {30, 12}};
static const test_shape_t panel_shapes[] = {{36, 36}, {40, 34}};
static const test_shape_t power_shapes[] = {{1, 1}, {3, 3}, {70, 9}, {9, 70}};
static const test_shape_t program_shapes[] = {{1, 1}, {3, 3}, {9, 5}, {5, 9}, {40, 6}, {6, 40}, {36, 34}};

static void run_all_programs(svdgrad_dtype_t dtype) {
  for (size_t i = 0; i < sizeof program_shapes / sizeof *program_shapes; i++) {
    run_programs(describe(dtype, program_shapes[i], 3, THIN), SVDGRAD_FORM_UVH);
    run_programs(describe(dtype, program_shapes[i], 3, FULL_MATRICES), SVDGRAD_FORM_VVH);
    run_programs(describe(dtype, program_shapes[i], 3, RANK_1), SVDGRAD_FORM_UVH);
  }
}

static void run_all_powers(svdgrad_dtype_t dtype) {
  for (size_t i = 0; i < sizeof power_shapes / sizeof *power_shapes; i++) {
    const svdgrad_desc_t desc = make_desc(dtype, power_shapes[i].m, power_shapes[i].n, 2);
    run_power(&desc, LAYOUT_ROW_PADDED);
    run_power(&desc, LAYOUT_COLUMN_MAJOR);
  }
}

/* Two sweeps, which leave it unfinished, show as much as ten. */
static void run_large(svdgrad_dtype_t dtype) {
  static const int64_t beyond_panels[] = {129, 97, 97, 65}; /* columns, by type */
  const int64_t n = beyond_panels[dtype];
  for (size_t i = 0; i < sizeof panel_shapes / sizeof *panel_shapes; i++) {
    svdgrad_desc_t desc = describe(dtype, panel_shapes[i], 2, i == 0 ? THIN : FULL_MATRICES);
    run(desc, SPECTRUM_NORMAL);
    desc.algo = SVDGRAD_ALGO_VENDOR;
    run(desc, SPECTRUM_NORMAL);
  }
  svdgrad_desc_t desc = describe(dtype, (test_shape_t){n, n}, 1, THIN);
  desc.max_sweeps = 2;
  run(desc, SPECTRUM_NORMAL);
}

/* Enough matrices for several blocks where a block has several; few calls, as threads are dear. */
enum {
  FORWARD,
  BACKWARD,
  BACKWARD_ADDED,
  PROGRAM,
  GRADIENT,
  JVP,
  SECOND,
  NORM,
  POWER
}; /* ADDED: to what the first one gave */
static const struct tiny {
  test_shape_t shape;
  int64_t batch_count;
  int variant, what;
} tiny[] = {{{3, 3}, 65, THIN, FORWARD},
            {{9, 5}, 9, FULL_MATRICES, FORWARD},
            {{9, 5}, 2, FULL_MATRICES, BACKWARD},
            {{9, 5}, 2, RANK_1, BACKWARD},
            {{40, 3}, 2, THIN, BACKWARD},
            {{40, 8}, 2, FULL_MATRICES, FORWARD},
            {{36, 34}, 2, FULL_MATRICES, FORWARD},
            {{97, 97}, 1, THIN, FORWARD},
            {{34, 34}, 1, THIN, PROGRAM},
            {{70, 40}, 2, THIN, POWER},
            {{3, 3}, 65, THIN, NORM},
            {{9, 5}, 9, THIN, NORM},
            {{3, 3}, 65, THIN, BACKWARD},
            {{9, 5}, 3, THIN, BACKWARD},
            {{4, 3}, 65, THIN, BACKWARD_ADDED},
            /* Too many blocks for a thread each: large tiles of products, many chunks of the power iteration. */
            {{8192, 2}, 1, THIN, PROGRAM},
            {{1100, 128}, 1, THIN, POWER},
            /* Matrices whose k-by-k steps several blocks share. */
            {{36, 34}, 1, FULL_MATRICES, BACKWARD},
            {{34, 34}, 1, THIN, GRADIENT},
            {{34, 34}, 1, THIN, JVP},
            {{34, 34}, 1, THIN, SECOND}};
static const svdgrad_op_t tiny_ops[] = {[PROGRAM] = SVDGRAD_OP_MATRIX_FUNCTION,
                                        [GRADIENT] = SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD,
                                        [JVP] = SVDGRAD_OP_SVD_JVP,
                                        [SECOND] = SVDGRAD_OP_SVD_BACKWARD_BACKWARD,
                                        [NORM] = SVDGRAD_OP_NORM_GRADIENT};

static int run_tiny(size_t i) {
  if (i >= sizeof tiny / sizeof *tiny)
    return EXIT_FAILURE;
  svdgrad_desc_t desc = describe(SVDGRAD_F32, tiny[i].shape, tiny[i].batch_count, tiny[i].variant);
  desc.max_sweeps = 1;
  if (tiny[i].what >= PROGRAM && tiny[i].what <= NORM) {
    functions_t x = start_programs(&desc, SVDGRAD_FORM_UVH);
    run_program(&x, tiny_ops[tiny[i].what]);
    functions_free(&x);
    return EXIT_SUCCESS;
  }
  if (tiny[i].what == POWER) {
    run_power(&desc, LAYOUT_ROW_PADDED);
    return EXIT_SUCCESS;
  }
  fixture_t f = start(&desc, SPECTRUM_NORMAL);
  forward(&f, WITH_VECTORS);
  if (tiny[i].what != FORWARD)
    backward(&f);
  if (tiny[i].what == BACKWARD_ADDED)
    check(fixture_backward(&f, WITH_COTANGENTS, 1, 0.5));
  fixture_free(&f);
  return EXIT_SUCCESS;
}

static void run_small(svdgrad_dtype_t dtype) {
  for (size_t i = 0; i < sizeof small_shapes / sizeof *small_shapes; i++) {
    run_variants(dtype, SVDGRAD_ALGO_JACOBI, small_shapes[i]);
    run_variants(dtype, SVDGRAD_ALGO_VENDOR, small_shapes[i]);
  }
}

static const struct part {
  const char *name;
  void (*run)(svdgrad_dtype_t dtype);
} parts[] = {{"small", run_small}, {"large", run_large}, {"programs", run_all_programs}, {"powers", run_all_powers}};

static int all_reached(void) {
  static const char *const algorithms[] = {"jacobi-thread",          "jacobi-skinny",   "jacobi-warp",
                                           "jacobi-panels",          "jacobi-blocked",  "backward-thread",
                                           "backward-warp",          "backward-fused",  "backward-steps",
                                           "program-steps",          "power-iteration", "cusolver-gesvdj",
                                           "cusolver-gesvdjBatched", "function-fused"};
  int all = 1;
  for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
    if (!strstr(reached, algorithms[i])) {
      fprintf(stderr, "not reached: %s; only:%s\n", algorithms[i], reached);
      all = 0;
    }
  return all;
}

int main(int argc, char **argv) {
  static const char *const types[] = {"f32", "f64", "c64", "c128"};
  const char *part = argc > 2 ? argv[2] : NULL, *wanted = getenv("HASH_BACKEND");
  if (wanted && strcmp(wanted, "cuda") != 0)
    backend = strcmp(wanted, "cpu") == 0 ? SVDGRAD_BACKEND_CPU : SVDGRAD_BACKEND_REF;
  if (argc > 2 && strcmp(argv[1], "tiny") == 0)
    return run_tiny((size_t)atoi(argv[2]));
  for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
    if (argc > 1 && strcmp(argv[1], "all") != 0 && strcmp(argv[1], types[dtype]) != 0)
      continue;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
      if (!part || strcmp(part, parts[i].name) == 0)
        parts[i].run((svdgrad_dtype_t)dtype);
  }
  printf("hash %016llx\n", (unsigned long long)hash);
  return part || backend != SVDGRAD_BACKEND_CUDA || all_reached() ? EXIT_SUCCESS : EXIT_FAILURE;
}
