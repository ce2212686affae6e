/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the Jacobi kernel from plain C and prints a hash of its results, which no order of threads may change.
   The same file links against libcudart. */
#include "jacobi.h"
#include "selftest.h"
#include <math.h>

enum { BATCH = 10 };

/* f32 runs through the same checks: it is converted at the border. */
static double A[BATCH * 32 * 32], U[BATCH * 32 * 32], S[BATCH * 32], V[BATCH * 32 * 32];
static float F[BATCH * 8 * 8];

static void fill(int n) {
  unsigned state = 1;
  for (int i = 0; i < BATCH * n * n; i++) {
    state = state * 1664525u + 1013904223u;
    A[i] = (state >> 8) / 16777216.0 - 0.5;
    if (n == 8)
      F[i] = (float)A[i];
  }
}

static unsigned long hash_of(const void *data, size_t bytes) {
  unsigned long h = 14695981039346656037ul;
  for (size_t i = 0; i < bytes; i++)
    h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211ul;
  return h;
}

/* |A - U S V^T| / |A|, |I - U^T U| and |I - V^T V| of matrix b, the worst of them */
static double error_of(int b, int n) {
  const double *a = A + b * n * n, *u = U + b * n * n, *v = V + b * n * n, *s = S + b * n;
  double residual = 0, norm = 0, orthogonality = 0;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      double usv = 0, uu = 0, vv = 0;
      for (int k = 0; k < n; k++) {
        usv += u[k * n + i] * s[k] * v[k * n + j];
        uu += u[i * n + k] * u[j * n + k];
        vv += v[i * n + k] * v[j * n + k];
      }
      residual += pow(usv - a[j * n + i], 2);
      norm += pow(a[j * n + i], 2);
      orthogonality += pow(uu - (i == j), 2) + pow(vv - (i == j), 2);
    }
  return fmax(sqrt(residual / norm), sqrt(orthogonality));
}

typedef struct {
  void *a, *u, *s, *v;
  int *sweeps;
} device_t;

static device_t upload(const void *a, size_t size, size_t n) {
  device_t d;
  const size_t bytes = BATCH * n * n * size;
  CUDA(cudaMalloc(&d.a, bytes));
  CUDA(cudaMalloc(&d.u, bytes));
  CUDA(cudaMalloc(&d.v, bytes));
  CUDA(cudaMalloc(&d.s, BATCH * n * size));
  CUDA(cudaMalloc((void **)&d.sweeps, sizeof(int)));
  CUDA(cudaMemcpy(d.a, a, bytes, cudaMemcpyHostToDevice));
  CUDA(cudaMemset(d.sweeps, 0, sizeof(int)));
  return d;
}

static void release(device_t d) {
  CUDA(cudaFree(d.a));
  CUDA(cudaFree(d.u));
  CUDA(cudaFree(d.v));
  CUDA(cudaFree(d.s));
  CUDA(cudaFree(d.sweeps));
}

static void widen(double *to, int n) { /* the f32 results were copied to the start of `to` */
  const float *from = (const float *)to;
  for (int i = n - 1; i >= 0; i--) {
    const float x = from[i];
    to[i] = x;
  }
}

static int run(const char *name, size_t size, int n, int bug, double tolerance) {
  cudaStream_t stream;
  int sweeps = 0;
  const size_t nn = (size_t)n * (size_t)n;
  fill(n);
  device_t d = upload(size == 4 ? (void *)F : (void *)A, size, (size_t)n);
  CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CUDA(cudaDeviceSynchronize()); /* the fill of d.sweeps */
  if (size == 4)
    CUDA(jacobi_f32_8(d.a, d.u, d.s, d.v, BATCH, d.sweeps, stream));
  else if (n == 8)
    CUDA(jacobi_f64_8(d.a, d.u, d.s, d.v, BATCH, d.sweeps, stream, bug));
  else
    CUDA(jacobi_f64_32(d.a, d.u, d.s, d.v, BATCH, d.sweeps, stream));
  CUDA(cudaMemcpyAsync(U, d.u, BATCH * nn * size, cudaMemcpyDeviceToHost, stream));
  CUDA(cudaMemcpyAsync(V, d.v, BATCH * nn * size, cudaMemcpyDeviceToHost, stream));
  CUDA(cudaMemcpyAsync(S, d.s, BATCH * (size_t)n * size, cudaMemcpyDeviceToHost, stream));
  CUDA(cudaMemcpyAsync(&sweeps, d.sweeps, sizeof(int), cudaMemcpyDeviceToHost, stream));
  if (bug != BUG_NO_STREAM_SYNCHRONIZE)
    CUDA(cudaStreamSynchronize(stream));
  if (size == 4) {
    widen(U, BATCH * n * n);
    widen(V, BATCH * n * n);
    widen(S, BATCH * n);
  }
  double worst = 0;
  int bad = 0;
  for (int b = 0; b < BATCH; b++) {
    const double e = error_of(b, n);
    bad += !(e < tolerance);
    worst = fmax(worst, e);
  }
  printf("%s: sweeps %.1f, error %.1e, bad %d, hash %016lx\n", name, (double)sweeps / BATCH, worst, bad,
         hash_of(U, BATCH * nn * sizeof(double)));
  release(d);
  CUDA(cudaStreamDestroy(stream));
  return bad != 0;
}

int main(int argc, char **argv) {
  int devices = 0;
  cudaError_t e = cudaGetDeviceCount(&devices);
  if (e) {
    printf("no device: %s\n", cudaGetErrorName(e));
    return 77;
  }
  if (CASE("all"))
    return run("f32 8x8", 4, 8, 0, 2e-5) + run("f64 8x8", 8, 8, 0, 1e-13) + run("f64 32x32", 8, 32, 0, 1e-12);
  if (CASE("small"))
    return run("f32 8x8", 4, 8, 0, 2e-5) + run("f64 8x8", 8, 8, 0, 1e-13);
  static const char *const bugs[] = {"",
                                     "bug-no-syncwarp",
                                     "bug-no-syncthreads",
                                     "bug-divergent-barrier",
                                     "bug-out-of-bounds",
                                     "bug-no-stream-synchronize"};
  for (int bug = 1; bug <= BUG_NO_STREAM_SYNCHRONIZE; bug++)
    if (CASE(bugs[bug]))
      return run("f64 8x8", 8, 8, bug, 1e-13);
  NO_SUCH_CASE;
}
