/* SPDX-License-Identifier: BSD-3-Clause */
/* Times the CUDA backend: device events, interleaved repetitions, medians, several sets of random inputs; prints CSV.
 * `--help` says more. */
#define _POSIX_C_SOURCE 200809L
#include "gpu_floors.h"
#include "gpu_subject.h"

#if !TEST_SIMT
#include <cuda_profiler_api.h>
#endif
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: gpu_bench [options]\n"
    "\n"
    "  --dtype LIST   of f32, f64, c64, c128, comma-separated; default f32,f64\n"
    "  --algo LIST    of jacobi, vendor, auto; default all, auto only where it is neither of the others; backward\n"
    "                 passes, which are always ours, are not timed for vendor\n"
    "  --case MxN     this shape alone; with --batch any shape will do\n"
    "  --batch N      matrices per batch, for all shapes\n"
    "  --reps N       repetitions of which the median is printed; default 7\n"
    "  --limit S      seconds that a repetition may take; a longer one gets a smaller batch; default 0.1\n"
    "  --seconds S    no further shape is begun after that time; default 400\n"
    "  --quick        three repetitions of 0.03 seconds\n"
    "  --tiny         a few small shapes, to see that the program works\n"
    "  --once OP      svd or backward: one call for each --case and --dtype, untimed, for a profiler to look at\n"
    "  --output FILE  the CSV; default: standard output\n"
    "\n"
    "Columns of the CSV: backend, algorithm, op, dtype, m, n, batch, reps, seconds_median (of one batch), "
    "seconds_min,\n"
    "us_per_matrix, floor_bytes_us and floor_fma_us (gpu_floors.h; per matrix, from the measured ceilings),\n"
    "times_floor (the time over the larger floor), accuracy_ratio (bench_accuracy.h, gpu_subject.h).\n";

/* Nominal batches; what does not fit into memory or takes too long gets less. */
static const bench_case_t cases[] = {
    {16384, 2, 2},   {16384, 3, 3},   {16384, 4, 4},     {16384, 8, 8},    {16384, 16, 16},
    {16384, 32, 32}, {16384, 64, 64}, {16384, 128, 128}, {2048, 256, 256}, {256, 512, 512},
    {1000000, 3, 3}, {512, 1024, 3},  {8716, 3, 2},      {300, 900, 100},
};
static const bench_case_t tiny_cases[] = {{6, 3, 3}, {4, 8, 8}, {3, 20, 5}, {2, 9, 40}};

typedef struct options {
  int dtype[4], algo[3];
  int reps, tiny;
  double limit, seconds;
  int64_t m, n, batch;
  const char *output, *once;
} options_t;

/* Marks the names of `list` that stand in it; 0 if one does not. */
static int parse_list(const char *list, const char *const *names, int count, int *chosen) {
  memset(chosen, 0, (size_t)count * sizeof *chosen);
  for (const char *p = list; *p;) {
    const size_t length = strcspn(p, ",");
    int found = 0;
    for (int i = 0; i < count; i++)
      if (strlen(names[i]) == length && strncmp(names[i], p, length) == 0)
        chosen[i] = found = 1;
    if (!found)
      return 0;
    p += length + (p[length] == ',');
  }
  return 1;
}

static int parse_value(const char *option, const char *value, options_t *o) {
  static const char *const types[] = {"f32", "f64", "c64", "c128"}, *const algos[] = {"auto", "jacobi", "vendor"};
  if (strcmp(option, "--dtype") == 0)
    return parse_list(value, types, 4, o->dtype);
  if (strcmp(option, "--algo") == 0)
    return parse_list(value, algos, 3, o->algo);
  if (strcmp(option, "--case") == 0)
    return sscanf(value, "%" SCNd64 "x%" SCNd64, &o->m, &o->n) == 2 && o->m > 0 && o->n > 0;
  if (strcmp(option, "--batch") == 0)
    return (o->batch = atoll(value)) > 0;
  if (strcmp(option, "--reps") == 0)
    return (o->reps = atoi(value)) > 0;
  if (strcmp(option, "--limit") == 0)
    return (o->limit = atof(value)) > 0;
  if (strcmp(option, "--seconds") == 0)
    return (o->seconds = atof(value)) > 0;
  if (strcmp(option, "--once") == 0)
    return (o->once = value) && (strcmp(value, "svd") == 0 || strcmp(value, "backward") == 0);
  if (strcmp(option, "--output") == 0)
    return (o->output = value) != NULL;
  return 0;
}

static int parse(int argc, char **argv, options_t *o) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--quick") == 0) {
      o->reps = 3, o->limit = 0.03;
    } else if (strcmp(argv[i], "--tiny") == 0) {
      o->tiny = 1, o->reps = 2, o->limit = 1e9;
    } else if (i + 1 == argc || !parse_value(argv[i], argv[i + 1], o)) {
      fprintf(stderr, "gpu_bench: bad argument %s\n%s", argv[i], usage);
      return 0;
    } else {
      i++;
    }
  }
  return 1;
}

static double seconds_now(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- the device ----------------------------------------------------------------------------------- */

static size_t free_memory(void) {
#if TEST_SIMT
  return (size_t)1 << 28;
#else
  size_t available = 0, all = 0;
  gpu_check(cudaMemGetInfo(&available, &all), "cudaMemGetInfo");
  return available / 10 * 9;
#endif
}

static void print_device(FILE *file, const ceilings_t *c) {
  const time_t now = time(NULL);
  struct tm utc;
  char date[64] = "unknown";
  int driver = 0, runtime = 0;
  if (gmtime_r(&now, &utc))
    (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc);
  (void)cudaDriverGetVersion(&driver);
  (void)cudaRuntimeGetVersion(&runtime);
  fprintf(file, "# date: %s\n", date);
#if TEST_SIMT
  (void)c;
  fputs("# device: CPU run of the kernels, no timing\n", file);
#else
  struct cudaDeviceProp device;
  gpu_check(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties");
  fprintf(file, "# device: %s, %d multiprocessors, %.1f GB, L2 %.0f MB, sm_%d%d\n", device.name,
          device.multiProcessorCount, 1e-9 * (double)device.totalGlobalMem, 1e-6 * device.l2CacheSize, device.major,
          device.minor);
  fprintf(file, "# measured ceilings: copy %.0f GB/s (read plus written), FMA %.2f T/s f32, %.2f T/s f64\n",
          1e-9 * c->bytes_per_second, 1e-12 * c->f32_per_second, 1e-12 * c->f64_per_second);
#endif
  fprintf(file, "# CUDA: driver %d.%d, runtime %d.%d\n", driver / 1000, driver % 1000 / 10, runtime / 1000,
          runtime % 1000 / 10);
  fprintf(file, "# svdgrad: %s\n", SVDGRAD_VERSION_STRING);
}

/* ---- measuring ------------------------------------------------------------------------------------ */

typedef struct gpu_series {
  gpu_op_t op;
  svdgrad_algo_t algo;
  const char *algorithm;
  int64_t batch_count;
  int calls; /* in one sample */
  int next_set;
  double *sample; /* seconds of one call */
  double accuracy;
} gpu_series_t;

enum { MOST_GPU_SERIES = 3 * GPU_OP_COUNT };

typedef struct stopwatch {
  cudaEvent_t start, stop;
} stopwatch_t;

/* Seconds of one call; negative, with the message printed, if the library refuses. */
static double time_calls(const gpu_subject_t *s, gpu_series_t *series, int64_t batch_count, int calls,
                         const stopwatch_t *watch) {
  float milliseconds = 0;
  gpu_check(cudaEventRecord(watch->start, s->stream), "cudaEventRecord");
  for (int i = 0; i < calls; i++) {
    series->next_set = (series->next_set + 1) % s->sets;
    if (gpu_subject_run(s, series->op, series->algo, batch_count, series->next_set)) {
      printf("    %s %s: %s\n", series->algorithm, gpu_op_name(series->op), svdgrad_last_error_message());
      return -1;
    }
  }
  gpu_check(cudaEventRecord(watch->stop, s->stream), "cudaEventRecord");
  gpu_check(cudaEventSynchronize(watch->stop), gpu_op_name(series->op));
  gpu_check(cudaEventElapsedTime(&milliseconds, watch->start, watch->stop), "cudaEventElapsedTime");
  return 1e-3 * milliseconds / calls;
}

/* The largest batch within the limit, from small ones upwards; 0 if the library refuses. */
static int64_t affordable(const gpu_subject_t *s, gpu_series_t *series, double limit, const stopwatch_t *watch) {
  int64_t batch = s->batch_count < 8 ? s->batch_count : 8;
  if (time_calls(s, series, 1, 1, watch) < 0) /* loads the kernels */
    return 0;
  for (;;) {
    const double seconds = time_calls(s, series, batch, 1, watch);
    if (seconds < 0)
      return 0;
    const double times = limit / (seconds > 1e-6 ? seconds : 1e-6);
    if (times < 1) /* a single matrix is timed whatever it takes */
      return (double)batch * times > 1 ? (int64_t)((double)batch * times) : 1;
    if (batch == s->batch_count)
      return batch;
    const double growth = times < 8 ? times : 8;
    const int64_t larger = growth > 1.2 ? (int64_t)((double)batch * growth) : batch;
    if (larger <= batch)
      return batch;
    batch = larger < s->batch_count ? larger : s->batch_count;
  }
}

static int compare(const void *x, const void *y) {
  const double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

static void add_series(const options_t *o, const gpu_subject_t *s, gpu_series_t *list, int *count, gpu_op_t op,
                       svdgrad_algo_t algo) {
  const char *name = gpu_subject_algorithm(s, op, algo);
  const int backward_alone = op == GPU_BACKWARD || op == GPU_BACKWARD_GS;
  if (!name || !o->algo[algo] || (backward_alone && algo == SVDGRAD_ALGO_VENDOR))
    return;
  for (int i = 0; i < *count; i++) /* AUTO as another name of one that is there */
    if (list[i].op == op && strcmp(list[i].algorithm, name) == 0)
      return;
  list[(*count)++] = (gpu_series_t){.op = op, .algo = algo, .algorithm = name, .calls = 1};
}

/* Forward passes by all algorithms, the backward passes once: they have an algorithm of their own. */
static int list_series(const options_t *o, const gpu_subject_t *s, gpu_series_t *list) {
  static const svdgrad_algo_t algos[] = {SVDGRAD_ALGO_JACOBI, SVDGRAD_ALGO_VENDOR, SVDGRAD_ALGO_AUTO};
  int count = 0;
  for (int op = 0; op < GPU_OP_COUNT; op++)
    for (int a = 0; a < 3; a++)
      add_series(o, s, list, &count, (gpu_op_t)op, algos[a]);
  return count;
}

static void print_row(FILE *file, const gpu_subject_t *s, const gpu_series_t *series, const ceilings_t *c, int reps) {
  double *sorted = series->sample;
  qsort(sorted, (size_t)reps, sizeof *sorted, compare);
  double median = (sorted[(reps - 1) / 2] + sorted[reps / 2]) / 2, least = sorted[0];
#if TEST_SIMT
  median = least = (double)NAN; /* not the time of a GPU */
#endif
  const double rate = dtype_real(s->dtype) == SVDGRAD_F32 ? c->f32_per_second : c->f64_per_second;
  const double by_bytes = floor_bytes(s, series->op) / c->bytes_per_second;
  const double by_fma = floor_instructions(s, series->op) / rate;
  const double each = median / (double)series->batch_count;
  fprintf(file, "cuda,%s,%s,%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",%d,%.4g,%.4g,%.4g,%.4g,%.4g,%.3g,%.3g\n",
          series->algorithm, gpu_op_name(series->op), dtype_name(s->dtype), s->m, s->n, series->batch_count, reps,
          median, least, 1e6 * each, 1e6 * by_bytes, 1e6 * by_fma, each / (by_bytes > by_fma ? by_bytes : by_fma),
          series->accuracy);
  (void)fflush(file);
  if (file != stdout)
    printf("    %-26s %-12s %9" PRId64 " x %9.4g us, %7.3g x floor, error %.2g\n", series->algorithm,
           gpu_op_name(series->op), series->batch_count, 1e6 * each, each / (by_bytes > by_fma ? by_bytes : by_fma),
           series->accuracy);
}

/* Factors for the backward passes, for the whole batch of every set. */
static int fill_factors(const options_t *o, gpu_subject_t *s) {
  const svdgrad_algo_t algo = o->algo[SVDGRAD_ALGO_JACOBI] ? SVDGRAD_ALGO_JACOBI : SVDGRAD_ALGO_AUTO;
  for (int set = 0; set < s->sets; set++)
    if (gpu_subject_run(s, GPU_SVD, algo, s->batch_count, set)) {
      printf("    %s\n", svdgrad_last_error_message());
      return 0;
    }
  gpu_check(cudaStreamSynchronize(s->stream), "svd");
  return 1;
}

static void measure(const options_t *o, gpu_subject_t *s, gpu_series_t *list, int count, const stopwatch_t *watch) {
  const double shortest = TEST_SIMT ? 0 : 1e-3; /* a sample */
  for (int i = 0; i < count; i++) {
    gpu_series_t *series = &list[i];
    series->batch_count = affordable(s, series, o->limit, watch);
    series->sample = calloc((size_t)o->reps, sizeof *series->sample);
    if (!series->sample)
      exit(1);
    if (series->batch_count == 0)
      continue;
    series->accuracy = gpu_subject_accuracy(s, series->op, series->algo, series->batch_count);
    const double once = time_calls(s, series, series->batch_count, 1, watch);
    series->calls = once < shortest ? (int)(shortest / (once > 1e-6 ? once : 1e-6)) + 1 : 1;
  }
  for (int r = 0; r < o->reps; r++)
    for (int i = 0; i < count; i++)
      if (list[i].batch_count)
        list[i].sample[r] = time_calls(s, &list[i], list[i].batch_count, list[i].calls, watch);
}

/* The nominal batch, or as much of it as fits and as the forward pass does in twice the limit. */
static int make_affordable(const options_t *o, gpu_subject_t *s, svdgrad_handle_t handle, cudaStream_t stream,
                           svdgrad_dtype_t dtype, bench_case_t size, const stopwatch_t *watch) {
  while (!gpu_subject_make(s, handle, stream, dtype, size, free_memory())) {
    if (size.batch_count == 1)
      return 0;
    size.batch_count = (size.batch_count + 1) / 2;
  }
  gpu_series_t list[MOST_GPU_SERIES];
  if (list_series(o, s, list) == 0)
    return 1;
  const int64_t batch = affordable(s, &list[0], 2 * o->limit, watch);
  if (batch == 0 || batch == s->batch_count)
    return 1;
  gpu_subject_free(s);
  size.batch_count = batch;
  return gpu_subject_make(s, handle, stream, dtype, size, free_memory());
}

/* One call between the marks of `ncu --profile-from-start off`. */
static void run_once(const options_t *o, svdgrad_handle_t handle, cudaStream_t stream, svdgrad_dtype_t dtype,
                     bench_case_t size) {
  const gpu_op_t op = strcmp(o->once, "backward") == 0 ? GPU_BACKWARD : GPU_SVD;
  const svdgrad_algo_t algo = o->algo[SVDGRAD_ALGO_JACOBI] ? SVDGRAD_ALGO_JACOBI : SVDGRAD_ALGO_VENDOR;
  gpu_subject_t s;
  if (!gpu_subject_make(&s, handle, stream, dtype, size, free_memory())) {
    puts("    does not fit into memory");
    return;
  }
  const char *name = gpu_subject_algorithm(&s, op, algo);
  if (name && fill_factors(o, &s)) {
    printf("%s of %" PRId64 " x %" PRId64 "x%" PRId64 " %s by %s\n", o->once, size.batch_count, size.m, size.n,
           dtype_name(dtype), name);
#if !TEST_SIMT
    gpu_check(cudaProfilerStart(), "cudaProfilerStart");
#endif
    if (gpu_subject_run(&s, op, algo, s.batch_count, 0))
      printf("    %s\n", svdgrad_last_error_message());
    gpu_check(cudaStreamSynchronize(stream), o->once);
#if !TEST_SIMT
    gpu_check(cudaProfilerStop(), "cudaProfilerStop");
#endif
  }
  gpu_subject_free(&s);
}

static void run_case(const options_t *o, FILE *file, svdgrad_handle_t handle, cudaStream_t stream,
                     svdgrad_dtype_t dtype, bench_case_t size, const ceilings_t *ceilings) {
  gpu_subject_t s;
  gpu_series_t list[MOST_GPU_SERIES];
  stopwatch_t watch;
  gpu_check(cudaEventCreate(&watch.start), "cudaEventCreate");
  gpu_check(cudaEventCreate(&watch.stop), "cudaEventCreate");
  printf("  %" PRId64 " x %" PRId64 "x%" PRId64 " %s\n", size.batch_count, size.m, size.n, dtype_name(dtype));
  if (make_affordable(o, &s, handle, stream, dtype, size, &watch)) {
    const int count = list_series(o, &s, list);
    if (fill_factors(o, &s)) {
      measure(o, &s, list, count, &watch);
      for (int i = 0; i < count; i++) {
        if (list[i].batch_count)
          print_row(file, &s, &list[i], ceilings, o->reps);
        free(list[i].sample);
      }
    }
    gpu_subject_free(&s);
  } else {
    puts("    does not fit into memory");
  }
  (void)fflush(stdout);
  gpu_check(cudaEventDestroy(watch.start), "cudaEventDestroy");
  gpu_check(cudaEventDestroy(watch.stop), "cudaEventDestroy");
}

static void run_cases(const options_t *o, FILE *file, svdgrad_handle_t handle, cudaStream_t stream,
                      const ceilings_t *ceilings, double started) {
  const bench_case_t *table = o->tiny ? tiny_cases : cases;
  const int count = (int)(o->tiny ? sizeof tiny_cases / sizeof *tiny_cases : sizeof cases / sizeof *cases);
  int done = 0;
  for (int i = 0; i <= count; i++)
    for (int dtype = 0; dtype < 4; dtype++) {
      bench_case_t size = i < count ? table[i] : (bench_case_t){o->batch, o->m, o->n};
      if (i == count ? done || !o->m || !o->batch : o->m && (o->m != size.m || o->n != size.n))
        continue;
      if (!o->dtype[dtype])
        continue;
      if (o->batch)
        size.batch_count = o->batch;
      if (seconds_now() - started > o->seconds) {
        fprintf(file, "# not timed for lack of time: %" PRId64 " x %" PRId64 "x%" PRId64 " %s\n", size.batch_count,
                size.m, size.n, dtype_name((svdgrad_dtype_t)dtype));
        continue;
      }
      if (o->once)
        run_once(o, handle, stream, (svdgrad_dtype_t)dtype, size);
      else
        run_case(o, file, handle, stream, (svdgrad_dtype_t)dtype, size, ceilings);
      done += i < count;
    }
}

static void print_head(FILE *file, const ceilings_t *ceilings, int argc, char **argv) {
  print_device(file, ceilings);
  fputs("# command: gpu_bench", file);
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--output") == 0)
      i++;
    else
      fprintf(file, " %s", argv[i]);
  fputs("\nbackend,algorithm,op,dtype,m,n,batch,reps,seconds_median,seconds_min,us_per_matrix,floor_bytes_us,"
        "floor_fma_us,times_floor,accuracy_ratio\n",
        file);
}

int main(int argc, char **argv) {
  options_t o = {.dtype = {1, 1, 0, 0}, .algo = {1, 1, 1}, .reps = 7, .limit = 0.1, .seconds = 400};
  const double started = seconds_now();
  svdgrad_handle_t handle = NULL;
  cudaStream_t stream = NULL;
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    fputs(usage, stdout);
    return 0;
  }
  if (!parse(argc, argv, &o))
    return 2;
  if (svdgrad_create(SVDGRAD_BACKEND_CUDA, 0, &handle)) {
    fprintf(stderr, "gpu_bench: %s\n", svdgrad_last_error_message());
    return 1;
  }
  FILE *file = o.output ? fopen(o.output, "w") : stdout;
  if (!file) {
    fprintf(stderr, "gpu_bench: %s cannot be written\n", o.output);
    return 1;
  }
  gpu_check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  const ceilings_t ceilings = o.once ? (ceilings_t){0} : ceilings_measure(stream);
  if (!o.once)
    print_head(file, &ceilings, argc, argv);
  run_cases(&o, file, handle, stream, &ceilings, started);
  if (file != stdout)
    (void)fclose(file);
  gpu_check(cudaStreamDestroy(stream), "cudaStreamDestroy");
  (void)svdgrad_destroy(handle);
  return 0;
}
