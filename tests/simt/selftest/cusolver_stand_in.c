/* SPDX-License-Identifier: BSD-3-Clause */
/* The stand-in for cuSOLVER: results, arguments, stream order, capture, and its bad manners. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "selftest.h"
#include <cusolverDn.h>
#include <math.h>

#define GIVES(expected, call) CHECK((call) == CUSOLVER_STATUS_##expected)
#define SOLVER(call)          GIVES(SUCCESS, call)

enum { M = 5, N = 3, BATCH = 3 };

static cudaStream_t stream;
static cusolverDnHandle_t handle;
static gesvdjInfo_t params;
static double host_A[BATCH][N][M], U[BATCH][M][M], S[BATCH][N], V[BATCH][N][N]; /* [.][column][row] */
static int info[BATCH];
static double *A, *dU, *dS, *dV, *work;
static int *d_info, lwork;

static void set_up(void) {
  CUDA(cudaStreamCreate(&stream));
  SOLVER(cusolverDnCreate(&handle));
  SOLVER(cusolverDnSetStream(handle, stream));
  SOLVER(cusolverDnSetDeterministicMode(handle, CUSOLVER_DETERMINISTIC_RESULTS));
  SOLVER(cusolverDnCreateGesvdjInfo(&params));
  SOLVER(cusolverDnXgesvdjSetTolerance(params, 1e-15));
  SOLVER(cusolverDnXgesvdjSetMaxSweeps(params, 50));
  SOLVER(cusolverDnXgesvdjSetSortEig(params, 1));
  CUDA(cudaMalloc((void **)&A, sizeof host_A));
  CUDA(cudaMalloc((void **)&dU, sizeof U));
  CUDA(cudaMalloc((void **)&dS, sizeof S));
  CUDA(cudaMalloc((void **)&dV, sizeof V));
  CUDA(cudaMalloc((void **)&d_info, sizeof info));
  SOLVER(cusolverDnDgesvdjBatched_bufferSize(handle, CUSOLVER_EIG_MODE_VECTOR, M, N, A, M, dS, dU, M, dV, N, &lwork,
                                             params, BATCH));
  CHECK(lwork > 0);
  CUDA(cudaMalloc((void **)&work, 1000 * sizeof(double)));
  CHECK(lwork <= 1000);
  for (int b = 0; b < BATCH; b++)
    for (int j = 0; j < N; j++)
      for (int i = 0; i < M; i++)
        host_A[b][j][i] = sin(1.0 + b * 31 + j * 7 + i * i);
}

static void upload(void) { CUDA(cudaMemcpy(A, host_A, sizeof host_A, cudaMemcpyHostToDevice)); }

static void download(void) {
  CUDA(cudaStreamSynchronize(stream));
  CUDA(cudaMemcpy(U, dU, sizeof U, cudaMemcpyDeviceToHost));
  CUDA(cudaMemcpy(S, dS, sizeof S, cudaMemcpyDeviceToHost));
  CUDA(cudaMemcpy(V, dV, sizeof V, cudaMemcpyDeviceToHost));
  CUDA(cudaMemcpy(info, d_info, sizeof info, cudaMemcpyDeviceToHost));
}

static cusolverStatus_t batched(void) {
  return cusolverDnDgesvdjBatched(handle, CUSOLVER_EIG_MODE_VECTOR, M, N, A, M, dS, dU, M, dV, N, work, lwork, d_info,
                                  params, BATCH);
}

/* |A - U S V^T| of matrix b; vt: V holds its transpose */
static double residual(int b, int vt) {
  double sum = 0;
  for (int j = 0; j < N; j++)
    for (int i = 0; i < M; i++) {
      double x = host_A[b][j][i];
      for (int k = 0; k < N; k++)
        x -= U[b][k][i] * S[b][k] * (vt ? V[b][j][k] : V[b][k][j]);
      sum += x * x;
    }
  return sqrt(sum);
}

static void check_batched(void) {
  upload();
  SOLVER(batched());
  download();
  for (int b = 0; b < BATCH; b++)
    CHECK(info[b] == 0 && S[b][0] >= S[b][1] && S[b][1] >= S[b][2] && residual(b, 0) < 1e-13);
  GIVES(INVALID_VALUE, cusolverDnDgesvdjBatched(handle, CUSOLVER_EIG_MODE_VECTOR, 33, N, A, 33, dS, dU, 33, dV, N, work,
                                                lwork, d_info, params, 1));
  GIVES(INVALID_VALUE, cusolverDnDgesvdjBatched(handle, CUSOLVER_EIG_MODE_VECTOR, M, N, A, M, dS, dU, M, dV, N, work,
                                                lwork - 1, d_info, params, BATCH));
  GIVES(NOT_INITIALIZED, cusolverDnSetStream(NULL, stream));
}

static void check_single(void) {
  int size;
  upload();
  SOLVER(
      cusolverDnDgesvdj_bufferSize(handle, CUSOLVER_EIG_MODE_VECTOR, 1, M, N, A, M, dS, dU, M, dV, N, &size, params));
  SOLVER(
      cusolverDnDgesvdj(handle, CUSOLVER_EIG_MODE_VECTOR, 1, M, N, A, M, dS, dU, M, dV, N, work, size, d_info, params));
  download();
  CHECK(info[0] == 0 && residual(0, 0) < 1e-13);
  upload();
  SOLVER(cusolverDnDgesvd_bufferSize(handle, M, N, &size));
  SOLVER(cusolverDnDgesvd(handle, 'S', 'A', M, N, A, M, dS, dU, M, dV, N, work, size, NULL, d_info));
  download();
  CHECK(info[0] == 0 && residual(0, 1) < 1e-13);
  GIVES(INVALID_VALUE, cusolverDnDgesvd(handle, 'S', 'A', N, M, A, N, dS, dU, N, dV, M, work, size, NULL, d_info));
}

static void check_complex(void) { /* the same numbers, in half as many matrices */
  cuDoubleComplex *cA = (cuDoubleComplex *)A, *cU = (cuDoubleComplex *)dU, *cV = (cuDoubleComplex *)dV;
  cuDoubleComplex hA, hU, hV;
  upload();
  SOLVER(cusolverDnZgesvdjBatched(handle, CUSOLVER_EIG_MODE_VECTOR, 1, 1, cA, 1, dS, cU, 1, cV, 1,
                                  (cuDoubleComplex *)work, lwork, d_info, params, 2));
  CUDA(cudaStreamSynchronize(stream));
  CUDA(cudaMemcpy(&hU, cU + 1, sizeof hU, cudaMemcpyDeviceToHost));
  CUDA(cudaMemcpy(&hV, cV + 1, sizeof hV, cudaMemcpyDeviceToHost));
  CUDA(cudaMemcpy(S, dS, sizeof S, cudaMemcpyDeviceToHost));
  memcpy(&hA, &host_A[0][0][2], sizeof hA);
  const double s = S[0][1]; /* A = u s conj(v) */
  CHECK(fabs(s * (hU.x * hV.x + hU.y * hV.y) - hA.x) < 1e-14 && fabs(s * (hU.y * hV.x - hU.x * hV.y) - hA.y) < 1e-14);
}

static void check_bad_manners(void) {
  const double keep = host_A[1][0][0];
  host_A[1][0][0] = NAN;
  setenv("FAKE_CUSOLVER_FAIL", "2", 1);
  for (int i = 0; i < M; i++)
    host_A[0][2][i] = host_A[0][1][i]; /* rank 2 */
  upload();
  SOLVER(batched());
  download();
  unsetenv("FAKE_CUSOLVER_FAIL");
  CHECK(info[0] == 0 && info[1] == 0 && info[2] == N + 1);
  CHECK(isfinite(S[1][0]));                         /* garbage that does not look it */
  CHECK(U[0][2][0] == 0 && residual(0, 0) < 1e-13); /* a column for S = 0 is zero */
  host_A[1][0][0] = keep;
}

static void check_stream_order(void) {
  upload();
  CUDA(cudaMemset(dS, 0, sizeof S));
  CUDA(cudaDeviceSynchronize());
  SOLVER(batched());
  CHECK(dS[0] == 0); /* with SIMT_ASYNC=1 nothing has run */
  CUDA(cudaStreamSynchronize(stream));
  CHECK(dS[0] > 0);
}

static void check_capture(void) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  upload();
  CUDA(cudaMemset(dS, 0, sizeof S));
  CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  SOLVER(batched());
  CUDA(cudaStreamEndCapture(stream, &graph));
  CUDA(cudaGraphInstantiate(&exec, graph, 0));
  CUDA(cudaGraphLaunch(exec, stream));
  download();
  CHECK(residual(1, 0) < 1e-13);
  CUDA(cudaGraphExecDestroy(exec));
  CUDA(cudaGraphDestroy(graph));
  CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  GIVES(INTERNAL_ERROR, cusolverDnDgesvd(handle, 'N', 'N', M, N, A, M, dS, NULL, 1, NULL, 1, work, 1000, NULL, d_info));
  CUDA_GIVES(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream, &graph));
}

int main(void) {
  set_up();
  check_batched();
  check_single();
  check_complex();
  check_bad_manners();
  check_stream_order();
  check_capture();
  CUDA(cudaFree(A));
  CUDA(cudaFree(dU));
  CUDA(cudaFree(dS));
  CUDA(cudaFree(dV));
  CUDA(cudaFree(d_info));
  CUDA(cudaFree(work));
  SOLVER(cusolverDnDestroyGesvdjInfo(params));
  SOLVER(cusolverDnDestroy(handle));
  CUDA(cudaStreamDestroy(stream));
  return 0;
}
