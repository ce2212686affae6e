/* SPDX-License-Identifier: BSD-3-Clause */
#define _POSIX_C_SOURCE 200809L
#include "bench_machine.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

__attribute__((weak)) void openblas_set_num_threads(int num_threads);
__attribute__((weak)) char *openblas_get_config(void);
__attribute__((weak)) void MKL_Set_Num_Threads(int num_threads);

double machine_seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int machine_cores(void) {
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  return cores > 0 ? (int)cores : 1;
}

void machine_pause(void) {
  const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
  (void)nanosleep(&pause, NULL);
}

void machine_one_blas_thread(void) {
  if (openblas_set_num_threads)
    openblas_set_num_threads(1);
  if (MKL_Set_Num_Threads)
    MKL_Set_Num_Threads(1);
}

static void print_date(FILE *file) {
  const time_t now = time(NULL);
  struct tm utc;
  char text[64] = "unknown";
  if (gmtime_r(&now, &utc))
    (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc);
  fprintf(file, "# date: %s\n", text);
}

static void print_processor(FILE *file) {
  FILE *info = fopen("/proc/cpuinfo", "r");
  char line[512], name[512] = "unknown";
  while (info && fgets(line, sizeof line, info))
    if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
      (void)sscanf(strchr(line, ':') + 1, " %511[^\n]", name);
      break;
    }
  if (info)
    (void)fclose(info);
  fprintf(file, "# processor: %s, %ld cores\n", name, sysconf(_SC_NPROCESSORS_ONLN));
}

void machine_print(FILE *file) {
  print_date(file);
  print_processor(file);
  fprintf(file, "# compiler: %s%s\n", BENCH_COMPILER, SVDGRAD_HAVE_OPENMP ? ", OpenMP" : "");
  fprintf(file, "# BLAS: %s\n", openblas_get_config ? openblas_get_config() : "not OpenBLAS");
  fprintf(file, "# BLAS threads: %s\n",
          openblas_set_num_threads || MKL_Set_Num_Threads ? "1, set by this program" : "unknown, set it to 1 yourself");
}
