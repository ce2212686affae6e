/* SPDX-License-Identifier: BSD-3-Clause */
#include "gpu_floors.h"

#include "device_work.h"

#include <math.h>

#if TEST_SIMT

ceilings_t ceilings_measure(cudaStream_t stream) {
  float *memory = NULL; /* the kernels are run, not timed */
  gpu_check(cudaMalloc((void **)&memory, 8192), "cudaMalloc");
  gpu_check(copy_bytes(memory, memory + 1024, 4096, stream), "copy_bytes");
  gpu_check(multiply_add(memory, 2, 2, 0, stream), "multiply_add");
  gpu_check(cudaStreamSynchronize(stream), "ceilings");
  gpu_check(cudaFree(memory), "cudaFree");
  return (ceilings_t){(double)NAN, (double)NAN, (double)NAN};
}

#else

enum { CEILING_REPS = 9 };

typedef struct ceiling_work {
  void *to, *from;
  size_t bytes;
  int blocks, rounds, is_double;
} ceiling_work_t;

static void enqueue(const ceiling_work_t *w, cudaStream_t stream) {
  if (w->from)
    gpu_check(copy_bytes(w->to, w->from, w->bytes, stream), "copy_bytes");
  else
    gpu_check(multiply_add(w->to, w->blocks, w->rounds, w->is_double, stream), "multiply_add");
}

/* The best of several: it is a ceiling. */
static double shortest(const ceiling_work_t *w, cudaStream_t stream) {
  cudaEvent_t start, stop;
  double best = INFINITY;
  gpu_check(cudaEventCreate(&start), "cudaEventCreate");
  gpu_check(cudaEventCreate(&stop), "cudaEventCreate");
  for (int i = 0; i < CEILING_REPS; i++) {
    float milliseconds = 0;
    gpu_check(cudaEventRecord(start, stream), "cudaEventRecord");
    enqueue(w, stream);
    gpu_check(cudaEventRecord(stop, stream), "cudaEventRecord");
    gpu_check(cudaEventSynchronize(stop), "cudaEventSynchronize");
    gpu_check(cudaEventElapsedTime(&milliseconds, start, stop), "cudaEventElapsedTime");
    best = i > 0 && 1e-3 * milliseconds < best ? 1e-3 * milliseconds : best; /* the first is a warm-up */
  }
  gpu_check(cudaEventDestroy(start), "cudaEventDestroy");
  gpu_check(cudaEventDestroy(stop), "cudaEventDestroy");
  return best;
}

ceilings_t ceilings_measure(cudaStream_t stream) {
  const size_t bytes = (size_t)1 << 30;
  int device = 0, processors = 0;
  unsigned char *memory = NULL;
  gpu_check(cudaGetDevice(&device), "cudaGetDevice");
  gpu_check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  gpu_check(cudaMalloc((void **)&memory, 2 * bytes), "cudaMalloc");
  gpu_check(fill_normal(memory, (int64_t)(2 * bytes / sizeof(float)), 0, 1, stream), "fill_normal");
  const ceiling_work_t copy = {.to = memory + bytes, .from = memory, .bytes = bytes};
  const ceiling_work_t f32 = {.to = memory, .blocks = 16 * processors, .rounds = 4096, .is_double = 0};
  const ceiling_work_t f64 = {.to = memory, .blocks = 16 * processors, .rounds = 2048, .is_double = 1};
  const double per_round = (double)FMA_THREADS * FMA_PER_ROUND;
  const ceilings_t ceilings = {
      2.0 * (double)bytes / shortest(&copy, stream),
      per_round * f32.blocks * f32.rounds / shortest(&f32, stream),
      per_round * f64.blocks * f64.rounds / shortest(&f64, stream),
  };
  gpu_check(cudaFree(memory), "cudaFree");
  return ceilings;
}

#endif

double floor_bytes(const gpu_subject_t *s, gpu_op_t op) {
  const double R = dtype_real(s->dtype) == SVDGRAD_F32 ? 4 : 8, T = R * (dtype_is_complex(s->dtype) ? 2 : 1);
  const double m = (double)s->m, n = (double)s->n;
  const double k = op == GPU_RANK && s->k > 1 ? (double)(s->k / 2) : (double)s->k;
  const double A = m * n * T, factors = (m + n) * k * T, S = k * R;
  switch (op) {
  case GPU_SVD: return A + factors + S;
  case GPU_SVDVALS: return A + S;
  case GPU_BACKWARD: return 2 * (factors + S) + A;
  case GPU_BACKWARD_GS: return factors + 2 * S + A;
  case GPU_SUM: return (A + factors + S) + (factors + 2 * S + A);
  case GPU_RANK: return (A + factors + S) + (A + 2 * (factors + S) + A);
  case GPU_OP_COUNT: break;
  }
  return (double)NAN;
}

/* Sweeps on normal entries, interpolated in log2 n. */
static double sweeps(double n) {
  static const double table[] = {1, 2, 4, 4.8, 5.6, 6.4, 7.5, 8.2}; /* n = 1, 2, 4, .., 128 */
  const double x = log2(n);
  const int last = sizeof table / sizeof *table - 1, i = x >= last ? last - 1 : (int)x;
  return table[i] + (x - i) * (table[i + 1] - table[i]);
}

static double forward_instructions(double rows, double n, int vectors) {
  const double sw = sweeps(n), jacobi = n * n * (n - 1) / 2 * (sw + (vectors ? 8 : 4) * (sw - 1));
  return jacobi + (rows > n ? rows * n * n * (vectors ? 2 : 1) : 0);
}

static double backward_instructions(double m, double n, double k, int vectors) {
  const double assembly = m * k * k + m * n * k;
  return !vectors ? m * n * k : (m + n) * k * k + (m > k ? m * k * k : 0) + (n > k ? n * k * k : 0) + assembly;
}

double floor_instructions(const gpu_subject_t *s, gpu_op_t op) {
  const double m = (double)s->m, n = (double)s->n, small = m < n ? m : n, large = m < n ? n : m;
  const double k = op == GPU_RANK && s->k > 1 ? (double)(s->k / 2) : (double)s->k;
  const int with_forward = op != GPU_BACKWARD && op != GPU_BACKWARD_GS, with_backward = op > GPU_SVDVALS;
  const double forward = with_forward ? forward_instructions(large, small, op != GPU_SVDVALS) : 0;
  const double backward = with_backward ? backward_instructions(m, n, k, op == GPU_BACKWARD || op == GPU_RANK) : 0;
  return (forward + backward) * (dtype_is_complex(s->dtype) ? 4 : 1);
}
