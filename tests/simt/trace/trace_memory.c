/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs every tier of the CUDA backend once, in float, row-major as frameworks store it, and prints what each kernel asks
 * of memory (recorder.h).
 *
 * usage: trace_memory [--instructions] [text]: only problems whose name contains the text; with --instructions what each
 * instruction asks, where it is not ideal. */
#include "cases.h"
#include "functions.h"
#include "power.h"
#include "recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(svdgrad_status_t status) {
  if (status == SVDGRAD_STATUS_SUCCESS)
    return;
  (void)fprintf(stderr, "%s\n", svdgrad_last_error_message());
  exit(EXIT_FAILURE);
}

typedef enum call { FORWARD, BACKWARD, FUNCTION, FUNCTION_GRADIENT, NORM, POWER } call_t;
static const char *const call_names[] = {"forward", "backward", "polar", "polar gradient", "nuclear norm", "power"};

static const struct problem {
  call_t call;
  int64_t batch_count, m, n, rank;
} problems[] = {
    {FORWARD, 256, 3, 3, 0},
    {FORWARD, 16, 8, 8, 0},
    {FORWARD, 8, 16, 16, 0},
    {FORWARD, 4, 32, 32, 0},
    {FORWARD, 2, 64, 64, 0},
    {FORWARD, 1, 160, 160, 0},
    {FORWARD, 2, 300, 3, 0},
    {FORWARD, 1, 256, 32, 0},
    {BACKWARD, 256, 3, 3, 0},
    {BACKWARD, 16, 8, 8, 0},
    {BACKWARD, 8, 16, 16, 0},
    {BACKWARD, 4, 32, 32, 0},
    {BACKWARD, 2, 64, 64, 0},
    {BACKWARD, 1, 160, 160, 0},
    {BACKWARD, 2, 128, 16, 0},
    {BACKWARD, 2, 32, 32, 8},
    {FUNCTION, 256, 3, 3, 0},
    {FUNCTION, 4, 32, 32, 0},
    {FUNCTION_GRADIENT, 256, 3, 3, 0},
    {FUNCTION_GRADIENT, 4, 32, 32, 0},
    {NORM, 256, 3, 3, 0},
    {NORM, 4, 32, 32, 0},
    {POWER, 2, 256, 256, 0},
};

static void describe(const struct problem *p, char *text, size_t size) {
  int used = snprintf(text, size, "%s %lld x %lldx%lld", call_names[p->call], (long long)p->batch_count,
                      (long long)p->m, (long long)p->n);
  if (p->rank)
    (void)snprintf(text + used, size - (size_t)used, " rank %lld", (long long)p->rank);
}

static void fill(buffer_t *A, const svdgrad_desc_t *desc) {
  for (int64_t b = 0; b < desc->batch_count; b++) {
    dense_t matrix = make_matrix(SPECTRUM_NORMAL, desc->dtype, desc->m, desc->n, (uint64_t)b + 1);
    buffer_store(A, b, &matrix);
    dense_free(&matrix);
  }
}

static void run_svd(const struct problem *p, const svdgrad_desc_t *desc) {
  fixture_t f = fixture_make(SVDGRAD_BACKEND_CUDA, desc, LAYOUT_ROW_MAJOR);
  fill(&f.A, desc);
  recorder_start();
  check(fixture_forward(&f, WITH_VECTORS));
  if (p->call == BACKWARD) {
    fixture_random_cotangents(&f, 5);
    recorder_start();
    check(fixture_backward(&f, WITH_COTANGENTS, 1, 0));
  }
  fixture_free(&f);
}

static void run_function(const struct problem *p, const svdgrad_desc_t *desc) {
  static const svdgrad_op_t ops[] = {[FUNCTION] = SVDGRAD_OP_MATRIX_FUNCTION,
                                     [FUNCTION_GRADIENT] = SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD,
                                     [NORM] = SVDGRAD_OP_NORM_GRADIENT};
  functions_t x = functions_make(SVDGRAD_BACKEND_CUDA, desc, SVDGRAD_FORM_UVH, LAYOUT_ROW_MAJOR);
  for (int64_t b = 0; b < desc->batch_count; b++)
    functions_fill(&x, b, (uint64_t)b + 1);
  check(fixture_forward(&x.f, WITH_VECTORS));
  x.function.kind = SVDGRAD_FUNCTION_POLAR;
  x.norm = SVDGRAD_NORM_NUCLEAR;
  recorder_start();
  check(functions_run(&x, ops[p->call], 0, 1, 0));
  functions_free(&x);
}

static void run_power(const svdgrad_desc_t *desc) {
  power_problem_t p = power_make(SVDGRAD_BACKEND_CUDA, desc, LAYOUT_ROW_MAJOR, 0);
  fill(&p.A, desc);
  for (int64_t b = 0; b < desc->batch_count; b++)
    power_fill(&p, b, (uint64_t)b + 1);
  recorder_start();
  check(power_iterate(&p, 1));
  power_free(&p);
}

static void run(const struct problem *p) {
  svdgrad_desc_t desc = make_desc(SVDGRAD_F32, p->m, p->n, p->batch_count);
  desc.algo = SVDGRAD_ALGO_JACOBI;
  desc.rank = p->rank;
  if (p->n > 64)
    desc.max_sweeps = 1; /* all sweeps are alike */
  if (p->call == FORWARD || p->call == BACKWARD)
    run_svd(p, &desc);
  else if (p->call == POWER)
    run_power(&desc);
  else
    run_function(p, &desc);
}

int main(int argc, char **argv) {
  const int instructions = argc > 1 && strcmp(argv[1], "--instructions") == 0;
  const char *filter = argc > 1 + instructions ? argv[1 + instructions] : "";
  for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
    char name[96];
    describe(&problems[i], name, sizeof name);
    if (!strstr(name, filter))
      continue;
    run(&problems[i]);
    if (instructions)
      recorder_print_instructions();
    else
      recorder_print(name);
    (void)fflush(stdout);
  }
  return EXIT_SUCCESS;
}
