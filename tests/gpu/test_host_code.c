/* SPDX-License-Identifier: BSD-3-Clause */
/* What the host code of the CUDA backend promises beyond results: calls of several threads share no state of the device,
 * a handle's first call does what any later one does, an error that the caller has pending is the caller's, and a call
 * queues no more than a stream holds.
 *
 * Built with the runtime of CUDA, or with the CPU run of CUDA (TEST_SIMT=1). */
#define _POSIX_C_SOURCE 200809L /* barriers */
#include "call_guard.h"
#include "device_problem.h"
#if TEST_SIMT
#include "simt_test.h"
#endif

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static svdgrad_handle_t handle_make(void) {
  svdgrad_handle_t handle = NULL;
  cr_assert_eq(svdgrad_create(SVDGRAD_BACKEND_CUDA, 0, &handle), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  return handle;
}

static svdgrad_desc_t desc_of(svdgrad_dtype_t dtype, int64_t m, int64_t n, int64_t batch_count, svdgrad_algo_t algo) {
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.dtype = dtype, desc.algo = algo;
  desc.m = m, desc.n = n, desc.batch_count = batch_count;
  return desc;
}

static cudaStream_t stream_make(unsigned flags) {
  cudaStream_t stream = NULL;
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream, flags));
  return stream;
}

static void stream_free(cudaStream_t stream) {
  CUDA_CHECK(cudaStreamSynchronize(stream));
  CUDA_CHECK(cudaStreamDestroy(stream));
}

/* ---- one handle, many sizes ----------------------------------------------------------------------- */

/* A thread's problem, and what its calls said. */
typedef struct job {
  device_problem_t p;
  device_run_t run;
  cudaStream_t stream;
  pthread_barrier_t *start;
  char message[256]; /* of the last call that failed */
} job_t;

static void *run_job(void *argument) {
  job_t *job = argument;
  (void)pthread_barrier_wait(job->start);
  for (int i = 0; i < 8; i++)
    if (device_problem_run(&job->p, job->run, job->stream))
      (void)strncpy(job->message, svdgrad_last_error_message(), sizeof job->message - 1);
  return NULL;
}

/* Two kernels of a size each that take more shared memory than a launch has without asking, by two threads. */
static void run_beside(svdgrad_dtype_t dtype, const int64_t sizes[2], device_run_t run) {
  svdgrad_handle_t handle = handle_make();
  pthread_barrier_t start;
  pthread_t threads[2];
  job_t jobs[2] = {{.run = run, .start = &start}, {.run = run, .start = &start}};
  cr_assert_eq(pthread_barrier_init(&start, NULL, 2), 0);
  for (int i = 0; i < 2; i++) {
    svdgrad_desc_t desc = desc_of(dtype, sizes[i], sizes[i], 1, SVDGRAD_ALGO_JACOBI);
    desc.max_sweeps = 1; /* the result does not matter */
    jobs[i].p = device_problem_make(handle, &desc);
    jobs[i].stream = stream_make(cudaStreamNonBlocking);
    unsigned char *inputs = device_problem_inputs(&jobs[i].p, 1);
    device_problem_upload(&jobs[i].p, inputs);
    free(inputs);
  }
  for (int i = 0; i < 2; i++)
    cr_assert_eq(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
  for (int i = 0; i < 2; i++) {
    (void)pthread_join(threads[i], NULL);
    cr_expect_str_eq(jobs[i].message, "", "%lld beside %lld: %s", (long long)sizes[i], (long long)sizes[1 - i],
                     jobs[i].message);
    stream_free(jobs[i].stream);
    device_problem_free(&jobs[i].p);
  }
  (void)pthread_barrier_destroy(&start);
  (void)svdgrad_destroy(handle);
}

Test(host_code, threads_with_other_sizes_backward) {
  run_beside(SVDGRAD_F32, (const int64_t[]){64, 57}, RUN_BACKWARD);
  run_beside(SVDGRAD_F64, (const int64_t[]){40, 47}, RUN_BACKWARD);
}

Test(host_code, threads_with_other_sizes_forward) {
  run_beside(SVDGRAD_F32, (const int64_t[]){128, 110}, RUN_VALUES);
  run_beside(SVDGRAD_F64, (const int64_t[]){65, 90}, RUN_FORWARD);
}

/* ---- the first call of a handle ------------------------------------------------------------------- */

static const struct {
  svdgrad_dtype_t dtype;
  int64_t m, n;
  svdgrad_algo_t algo;
} firsts[] = {{SVDGRAD_F32, 3, 3, SVDGRAD_ALGO_JACOBI},   {SVDGRAD_F64, 40, 4, SVDGRAD_ALGO_JACOBI},
              {SVDGRAD_C64, 8, 8, SVDGRAD_ALGO_JACOBI},   {SVDGRAD_C128, 33, 20, SVDGRAD_ALGO_JACOBI},
              {SVDGRAD_F32, 40, 36, SVDGRAD_ALGO_JACOBI}, {SVDGRAD_F32, 20, 20, SVDGRAD_ALGO_VENDOR}};

/* Nothing before it has loaded a kernel: every test is a process of its own, as long as the filter names one test. */
Test(host_code, the_first_call_loads_nothing) {
  svdgrad_handle_t handle = handle_make();
  for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
    for (int run = 0; run < RUN_COUNT; run++) {
      const svdgrad_desc_t desc = desc_of(firsts[i].dtype, firsts[i].m, firsts[i].n, 2, firsts[i].algo);
      device_problem_t p = device_problem_make(handle, &desc);
      unsigned char *inputs = device_problem_inputs(&p, 3);
      cudaStream_t stream = stream_make(cudaStreamNonBlocking);
      device_problem_upload(&p, inputs);
      guard_begin();
      const svdgrad_status_t status = device_problem_run(&p, (device_run_t)run, stream);
      const int forbidden = guard_end();
      cr_expect_eq(status, SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
      cr_expect_eq(forbidden, 0, "%d forbidden calls: %d x %d of type %d, run %d", forbidden, (int)desc.m, (int)desc.n,
                   (int)desc.dtype, run);
      free(inputs);
      stream_free(stream);
      device_problem_free(&p);
    }
  (void)svdgrad_destroy(handle);
}

/* ---- errors of the caller ------------------------------------------------------------------------- */

/* A call neither takes it for its own nor clears it. */
Test(host_code, a_pending_error_stays_the_callers) {
  svdgrad_handle_t handle = handle_make();
  for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
    for (int run = 0; run < RUN_COUNT; run++) {
      const svdgrad_desc_t desc = desc_of(firsts[i].dtype, firsts[i].m, firsts[i].n, 1, firsts[i].algo);
      device_problem_t p = device_problem_make(handle, &desc);
      unsigned char *inputs = device_problem_inputs(&p, 4);
      cudaStream_t stream = stream_make(cudaStreamNonBlocking);
      device_problem_upload(&p, inputs);
      cr_assert_eq(cudaSetDevice(-1), cudaErrorInvalidDevice);
      cr_expect_eq(device_problem_run(&p, (device_run_t)run, stream), SVDGRAD_STATUS_SUCCESS, "%s",
                   svdgrad_last_error_message());
      cr_expect_eq(cudaGetLastError(), cudaErrorInvalidDevice, "cleared by %d x %d of type %d, run %d", (int)desc.m,
                   (int)desc.n, (int)desc.dtype, run);
      (void)cudaGetLastError();
      free(inputs);
      stream_free(stream);
      device_problem_free(&p);
    }
  (void)svdgrad_destroy(handle);
}

/* ---- what a call queues --------------------------------------------------------------------------- */

/* Launches of one call, counted in a graph that never runs. */
static size_t launches_of(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  device_problem_t p = device_problem_make(handle, desc);
  cudaStream_t stream = stream_make(cudaStreamNonBlocking);
  cudaGraph_t graph = NULL;
  size_t count = 0;
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  cr_expect_eq(device_problem_run(&p, run, stream), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  CUDA_CHECK(cudaGraphGetNodes(graph, NULL, &count));
  CUDA_CHECK(cudaGraphDestroy(graph));
  stream_free(stream);
  device_problem_free(&p);
  return count;
}

/* A stream holds about 1,024 launches; the host waits for the device where a call queues more. */
Test(host_code, a_call_queues_no_more_than_a_stream_holds) {
  static const int64_t sizes[] = {33, 129, 256, 512, 544, 640},
                       largest[] = {640, 640, 640, 544}; /* the latter by type */
  svdgrad_handle_t handle = handle_make();
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (int run = 0; run < RUN_COUNT && sizes[i] <= largest[dtype]; run++) {
        const svdgrad_desc_t desc = desc_of(dtype, sizes[i], sizes[i], 1, SVDGRAD_ALGO_JACOBI);
        const size_t launches = launches_of(handle, &desc, (device_run_t)run);
        cr_expect(launches > 0 && launches <= 1000, "%zu launches at %d x %d, type %d, run %d", launches, (int)desc.m,
                  (int)desc.n, (int)dtype, run);
      }
  (void)svdgrad_destroy(handle);
}

/* ---- cuSOLVER's handles --------------------------------------------------------------------------- */

/* What a call of the vendor algorithm has queued on one stream uses memory of its cuSOLVER handle while the next call
 * queues on another; the CPU run refuses to move such a handle where work is queued (SIMT_ASYNC=1). */
Test(host_code, streams_share_no_vendor_handle) {
  static const int64_t sizes[] = {20, 40};
  enum { COUNT = 3 };
  svdgrad_handle_t handle = handle_make();
  for (int s = 0; s < 2; s++) {
    const svdgrad_desc_t desc = desc_of(SVDGRAD_F64, sizes[s], sizes[s], 2, SVDGRAD_ALGO_VENDOR);
    device_problem_t p[COUNT];
    cudaStream_t streams[COUNT];
    for (int i = 0; i < COUNT; i++) {
      p[i] = device_problem_make(handle, &desc);
      streams[i] = stream_make(cudaStreamNonBlocking);
      unsigned char *inputs = device_problem_inputs(&p[i], 5);
      device_problem_upload(&p[i], inputs);
      free(inputs);
    }
    for (int i = 0; i < 2 * COUNT; i++)
      cr_expect_eq(device_problem_run(&p[i % COUNT], RUN_FORWARD, streams[i % COUNT]), SVDGRAD_STATUS_SUCCESS, "%s",
                   svdgrad_last_error_message());
    for (int i = 0; i < COUNT; i++) {
      stream_free(streams[i]);
      device_problem_free(&p[i]);
    }
  }
  (void)svdgrad_destroy(handle);
}

#if TEST_SIMT

/* A thread that works on another device than the handle's, and has made no context on its own. */
static void *visit_device(void *argument) {
  job_t *job = argument;
  int device = -1;
  for (int run = 0; run < RUN_COUNT; run++)
    if (device_problem_run(&job->p, (device_run_t)run, job->stream))
      (void)strncpy(job->message, svdgrad_last_error_message(), sizeof job->message - 1);
  CUDA_CHECK(cudaGetDevice(&device));
  cr_expect_eq(device, 0, "the caller's device is %d after the calls", device);
  return NULL;
}

static void *visit_handle(void *argument) {
  cr_assert_eq(svdgrad_create(SVDGRAD_BACKEND_CUDA, 1, argument), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  return NULL;
}

static void run_apart(void *(*visit)(void *), void *argument) {
  pthread_t thread;
  cr_assert_eq(pthread_create(&thread, NULL, visit, argument), 0);
  (void)pthread_join(thread, NULL);
}

/* A context takes memory of its device. */
Test(host_code, no_context_on_a_device_of_nobody) {
  static const svdgrad_algo_t algorithms[] = {SVDGRAD_ALGO_JACOBI, SVDGRAD_ALGO_VENDOR};
  int count = 0;
  CUDA_CHECK(cudaGetDeviceCount(&count));
  if (count < 2 || simt_has_context(0))
    return; /* SIMT_DEVICES=2, and no other test in the same process */
  svdgrad_handle_t handle = NULL;
  run_apart(visit_handle, &handle);
  cr_expect_eq(simt_has_context(0), 0, "svdgrad_create has made a context on device 0");
  CUDA_CHECK(cudaSetDevice(1));
  for (int i = 0; i < 2; i++) {
    const svdgrad_desc_t desc = desc_of(SVDGRAD_F32, 20, 20, 2, algorithms[i]);
    job_t job = {.p = device_problem_make(handle, &desc), .stream = stream_make(cudaStreamNonBlocking)};
    unsigned char *inputs = device_problem_inputs(&job.p, 1);
    device_problem_upload(&job.p, inputs);
    free(inputs);
    run_apart(visit_device, &job);
    cr_expect_str_eq(job.message, "", "%s", job.message);
    cr_expect_eq(simt_has_context(0), 0, "a call has made a context on device 0");
    stream_free(job.stream);
    device_problem_free(&job.p);
  }
  (void)svdgrad_destroy(handle);
  cr_expect_eq(simt_has_context(0), 0, "svdgrad_destroy has made a context on device 0");
}

/* How much the vendor's library asks for is its own affair, but for the stand-in. */

/* A, S, U, V and one more matrix: what cuSOLVER works in, and the completion of U after it. */
Test(host_code, vendor_workspace_is_used_twice) {
  svdgrad_handle_t handle = handle_make();
  const svdgrad_desc_t desc = desc_of(SVDGRAD_F64, 64, 64, 1, SVDGRAD_ALGO_VENDOR);
  const size_t arrays = (4 * 64 * 64 + 2 * 64) * sizeof(double);
  size_t bytes = 0;
  cr_expect_eq(svdgrad_workspace_size(handle, SVDGRAD_OP_SVD, &desc, &bytes), SVDGRAD_STATUS_SUCCESS);
  cr_expect(bytes <= arrays + 1024, "%zu bytes, %zu of arrays", bytes, arrays);
  (void)svdgrad_destroy(handle);
}

#endif
