/* SPDX-License-Identifier: BSD-3-Clause */
/* Times the library beside a loop of LAPACK calls, on the shapes of tests/cases.c; prints CSV.  `--help` says more. */
#include "bench_accuracy.h"
#include "bench_machine.h"
#include "bench_subject.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: svdgrad_bench [options]\n"
    "\n"
    "  --dtype LIST      of f32, f64, c64, c128, comma-separated; default f32,f64\n"
    "  --reps N          repetitions of which the median is printed; default 7\n"
    "  --quick           a twentieth of each batch\n"
    "  --backend NAME    ref or cpu; default cpu\n"
    "  --case MxN        this shape alone\n"
    "  --batch N         matrices per batch, for all shapes (with --case any shape will do)\n"
    "\n"
    "Columns of the CSV: backend (loop: plain LAPACK calls, see gesdd_loop.h), algorithm, op, dtype, m, n, batch,\n"
    "threads, reps, seconds_median (of one batch), us_per_matrix, ratio_to_gesdd_loop (this time over the time of the\n"
    "loop on one thread in the same repetition, median: below 1 is faster than the loop; svdvals against the loop\n"
    "for values only, all others against that for U, S, Vh), accuracy_ratio (see bench_accuracy.h).\n";

typedef struct options {
  int dtype[4];
  int reps, quick;
  svdgrad_backend_t backend;
  int64_t m, n;  /* 0: all shapes */
  int64_t batch; /* 0: that of the table */
} options_t;

static int usage_error(const char *argument) {
  fprintf(stderr, "bench: bad argument %s\n%s", argument, usage);
  return 0;
}

static int parse_dtypes(const char *list, options_t *options) {
  memset(options->dtype, 0, sizeof options->dtype);
  for (const char *p = list;; p++) {
    const size_t length = strcspn(p, ",");
    int found = 0;
    for (int dtype = 0; dtype < 4; dtype++) {
      const char *name = dtype_name((svdgrad_dtype_t)dtype);
      if (strlen(name) == length && strncmp(name, p, length) == 0)
        options->dtype[dtype] = found = 1;
    }
    if (!found)
      return 0;
    p += length;
    if (!*p)
      return 1;
  }
}

static int parse_value(const char *option, const char *value, options_t *options) {
  if (strcmp(option, "--dtype") == 0)
    return parse_dtypes(value, options);
  if (strcmp(option, "--reps") == 0)
    return (options->reps = atoi(value)) > 0;
  if (strcmp(option, "--batch") == 0)
    return (options->batch = atoll(value)) > 0;
  if (strcmp(option, "--case") == 0)
    return sscanf(value, "%" SCNd64 "x%" SCNd64, &options->m, &options->n) == 2 && options->m > 0 && options->n > 0;
  if (strcmp(option, "--backend") == 0) {
    options->backend = strcmp(value, "ref") == 0 ? SVDGRAD_BACKEND_REF : SVDGRAD_BACKEND_CPU;
    return strcmp(value, backend_name(options->backend)) == 0;
  }
  return 0;
}

static int parse(int argc, char **argv, options_t *options) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--quick") == 0)
      options->quick = 1;
    else if (i + 1 == argc || !parse_value(argv[i], argv[i + 1], options))
      return usage_error(argv[i]);
    else
      i++;
  }
  return 1;
}

/* ---- measuring ---------------------------------------------------------------------------------- */

static double time_series(subject_t *subject, const series_t *series) {
  const double start = machine_seconds();
  for (int call = 0; call < series->calls; call++)
    series_run(subject, series);
  return (machine_seconds() - start) / series->calls;
}

/* A sample shorter than this would measure the clock and the scheduler. */
static int calls_per_sample(subject_t *subject, const series_t *series) {
  const double shortest = 5e-3, once = time_series(subject, series);
  return once >= shortest ? 1 : (int)(shortest / (once > 1e-7 ? once : 1e-7)) + 1;
}

static int compare(const void *x, const void *y) {
  const double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

/* Sorts. */
static double median(int count, double *x) {
  qsort(x, (size_t)count, sizeof *x, compare);
  return count % 2 ? x[count / 2] : (x[count / 2 - 1] + x[count / 2]) / 2;
}

static void print_series(const subject_t *subject, const series_t *series, const series_t *loop, int reps) {
  const svdgrad_desc_t *desc = &subject->x.f.desc;
  double *scratch = calloc((size_t)reps, sizeof *scratch);
  if (!scratch)
    abort();
  for (int r = 0; r < reps; r++)
    scratch[r] = series->sample[r] / loop->sample[r];
  const double ratio = median(reps, scratch);
  memcpy(scratch, series->sample, (size_t)reps * sizeof *scratch);
  const double seconds = median(reps, scratch);
  free(scratch);
  printf("%s,%s,%s,%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",%d,%d,%.4g,%.4g,%.3f,%.3g\n", series_backend(subject, series),
         series_algorithm(subject, series), bench_op_name(series->op), dtype_name(desc->dtype), desc->m, desc->n,
         desc->batch_count, series->threads ? series->threads : 1, reps, seconds,
         1e6 * seconds / (double)desc->batch_count, ratio, series->accuracy);
  (void)fflush(stdout);
}

/* The loops first, then every operation of the library on one core, then on all. */
enum { LOOPS = 2, MOST_SERIES = LOOPS + 2 * BENCH_OP_COUNT };

static int list_series(series_t *list) {
  const int cores = machine_cores();
  int count = 0;
  list[count++] = (series_t){.op = BENCH_SVD};
  list[count++] = (series_t){.op = BENCH_SVDVALS};
  for (int op = 0; op < BENCH_OP_COUNT; op++)
    list[count++] = (series_t){.op = (bench_op_t)op, .threads = 1};
  for (int op = 0; op < BENCH_OP_COUNT && cores > 1; op++)
    list[count++] = (series_t){.op = (bench_op_t)op, .threads = cores};
  return count;
}

/* Accuracy and a first warm-up in one; the result does not depend on the number of threads. */
static void prepare(subject_t *subject, int reps, series_t *list, int count) {
  for (int i = 0; i < count; i++) {
    list[i].accuracy = list[i].threads <= 1 ? series_accuracy(subject, &list[i]) : list[i - BENCH_OP_COUNT].accuracy;
    list[i].sample = calloc((size_t)reps, sizeof *list[i].sample);
    list[i].calls = 1;
    if (!list[i].sample)
      abort();
  }
  const series_t svd = {.op = BENCH_SVD, .threads = 1};
  series_run(subject, &svd);
  for (int i = 0; i < count; i++)
    list[i].calls = calls_per_sample(subject, &list[i]);
}

static void run_case(const options_t *options, svdgrad_dtype_t dtype, bench_case_t size) {
  subject_t subject = subject_make(options->backend, dtype, size);
  series_t list[MOST_SERIES];
  const int count = list_series(list);
  prepare(&subject, options->reps, list, count);
  for (int r = 0; r < options->reps; r++) {
    machine_pause();
    for (int i = 0; i < count; i++)
      list[i].sample[r] = time_series(&subject, &list[i]);
  }
  for (int i = 0; i < count; i++)
    print_series(&subject, &list[i], &list[list[i].op == BENCH_SVDVALS], options->reps);
  for (int i = 0; i < count; i++)
    free(list[i].sample);
  subject_free(&subject);
}

static bench_case_t scaled(const options_t *options, bench_case_t size) {
  if (options->batch > 0)
    size.batch_count = options->batch;
  if (options->quick && size.batch_count > 4)
    size.batch_count = size.batch_count / 20 > 4 ? size.batch_count / 20 : 4;
  return size;
}

static int run_cases(const options_t *options, svdgrad_dtype_t dtype) {
  int done = 0;
  for (int i = 0; i < bench_case_count; i++) {
    const bench_case_t *size = &bench_cases[i];
    if (options->m == 0 || (options->m == size->m && options->n == size->n)) {
      run_case(options, dtype, scaled(options, *size));
      done++;
    }
  }
  if (done == 0 && options->batch > 0) {
    run_case(options, dtype, (bench_case_t){options->batch, options->m, options->n});
    done = 1;
  }
  return done;
}

int main(int argc, char **argv) {
  options_t options = {.dtype = {1, 1, 0, 0}, .reps = 7, .backend = SVDGRAD_BACKEND_CPU};
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    fputs(usage, stdout);
    return 0;
  }
  if (!parse(argc, argv, &options))
    return 2;
  machine_one_blas_thread();
  machine_print(stdout);
  fputs("# command: svdgrad_bench", stdout);
  for (int i = 1; i < argc; i++)
    printf(" %s", argv[i]);
  puts("\nbackend,algorithm,op,dtype,m,n,batch,threads,reps,seconds_median,us_per_matrix,ratio_to_gesdd_loop,"
       "accuracy_ratio");
  for (int dtype = 0; dtype < 4; dtype++)
    if (options.dtype[dtype] && !run_cases(&options, (svdgrad_dtype_t)dtype)) {
      fputs("bench: that shape is not in the table of tests/cases.c: give its --batch, too\n", stderr);
      return 2;
    }
  return 0;
}
