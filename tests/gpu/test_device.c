/* SPDX-License-Identifier: BSD-3-Clause */
/* What only a device can show: calls are captured in a graph and replayed with new inputs, or say that they cannot be;
 * they run in the order of their stream, behind work that is not done yet, and return before it is; many threads share a
 * handle; the caller's device stays current; large batches and far offsets; a matrix comes out the same wherever it
 * stands.  All comparisons are of bytes.
 *
 * Built with the runtime of CUDA, or with the CPU run of CUDA (TEST_SIMT=1), where sizes are small. */
#define _POSIX_C_SOURCE 200809L /* barriers */
#include "call_guard.h"
#include "device_problem.h"
#include "slow_kernel.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if TEST_SIMT
#include "simt_test.h"
enum { THREADS = 3, REPEATS = 2, LARGE_BATCH = 600, DELAY = 0 };
#else
enum { THREADS = 8, REPEATS = 20, LARGE_BATCH = 70000, DELAY = 50 /* milliseconds */ };
#endif

typedef struct variant {
  svdgrad_dtype_t dtype;
  int64_t m, n, batch_count, rank;
  int full_matrices;
} variant_t;
/* Both backward algorithms; all types; tall, wide, square; thin, truncated, full; every vendor routine. */
static const variant_t variants[] = {
    {SVDGRAD_F32, 3, 3, TEST_SIMT ? 5 : 50, 0, 0},
    {SVDGRAD_F64, 8, 8, TEST_SIMT ? 3 : 20, 0, 0},
    {SVDGRAD_F32, 32, 32, 4, 0, 0},
    {SVDGRAD_C64, 17, 5, 7, 0, 0},
    {SVDGRAD_C128, 5, 17, 7, 0, 0},
    {SVDGRAD_F32, 24, 16, 3, 6, 0},
    {SVDGRAD_C64, 16, 24, 3, 1, 0},
    {SVDGRAD_F64, 12, 7, 3, 0, 1},
    {SVDGRAD_C128, 7, 12, 3, 0, 1},
    {SVDGRAD_F64, 33, 33, 2, 0, 0},
    {SVDGRAD_F32, 80, 34, 2, 0, 0},
#if !TEST_SIMT
    {SVDGRAD_F32, 200, 40, 2, 0, 0},
    {SVDGRAD_C128, 96, 96, 2, 0, 0},
    {SVDGRAD_F32, 130, 130, 2, 0, 0},
    {SVDGRAD_F64, 150, 140, 2, 20, 0},
    {SVDGRAD_F32, 300, 280, 2, 0, 0},
#endif
};
enum { VARIANT_COUNT = sizeof variants / sizeof *variants };
static const svdgrad_algo_t algorithms[] = {SVDGRAD_ALGO_JACOBI, SVDGRAD_ALGO_VENDOR};
enum { ALGORITHM_COUNT = sizeof algorithms / sizeof *algorithms };

static svdgrad_desc_t desc_of(const variant_t *v, svdgrad_algo_t algorithm) {
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.dtype = v->dtype, desc.algo = algorithm;
  desc.m = v->m, desc.n = v->n, desc.batch_count = v->batch_count;
  desc.rank = v->rank, desc.full_matrices = v->full_matrices;
  return desc;
}

/* For messages. */
static const char *describe(const svdgrad_desc_t *d, device_run_t run) {
  static const char *const types[] = {"f32", "f64", "c64", "c128"}, *const runs[] = {"forward", "values", "backward"};
  static _Thread_local char text[160];
  (void)snprintf(text, sizeof text, "%s of %lld x %s %lldx%lld, rank %lld, full %d, %s", runs[run],
                 (long long)d->batch_count, types[d->dtype], (long long)d->m, (long long)d->n, (long long)d->rank,
                 d->full_matrices, d->algo == SVDGRAD_ALGO_JACOBI ? "JACOBI" : "VENDOR");
  return text;
}

static svdgrad_handle_t handle_make(int device) {
  svdgrad_handle_t handle = NULL;
  cr_assert_eq(svdgrad_create(SVDGRAD_BACKEND_CUDA, device, &handle), SVDGRAD_STATUS_SUCCESS, "%s",
               svdgrad_last_error_message());
  return handle;
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

static void expect_run(const device_problem_t *p, device_run_t run, cudaStream_t stream) {
  cr_assert_eq(device_problem_run(p, run, stream), SVDGRAD_STATUS_SUCCESS, "%s: %s", describe(&p->desc, run),
               svdgrad_last_error_message());
}

/* What `run` is to give, computed call by call: the forward pass too where the backward pass needs its result.  The
 * outputs stay on the device. */
static unsigned char *direct(const device_problem_t *p, const unsigned char *inputs, device_run_t run) {
  cudaStream_t stream = stream_make(cudaStreamNonBlocking);
  device_problem_upload(p, inputs);
  device_problem_poison(p);
  if (run == RUN_BACKWARD)
    expect_run(p, RUN_FORWARD, stream);
  CUDA_CHECK(cudaDeviceSynchronize()); /* right also where a call forgets its stream */
  expect_run(p, run, stream);
  stream_free(stream);
  return device_problem_outputs(p);
}

static void expect_same(const device_problem_t *p, device_run_t run, const unsigned char *outputs,
                        const unsigned char *expected, const char *what) {
  cr_expect(memcmp(outputs, expected, p->output_bytes) == 0, "%s: %s", what, describe(&p->desc, run));
  cr_expect_eq(cudaPeekAtLastError(), cudaSuccess, "%s: %s leaves an error", what, describe(&p->desc, run));
}

typedef void (*check_t)(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run);

/* TEST_LIGHT leaves the large ones out, for tools that slow kernels down a hundredfold. */
static void for_each(check_t check) {
  const int64_t largest = getenv("TEST_LIGHT") ? 34 : INT64_MAX;
  svdgrad_handle_t handle = handle_make(0);
  for (int v = 0; v < VARIANT_COUNT; v++)
    for (int a = 0; a < ALGORITHM_COUNT; a++)
      for (int run = 0; run < RUN_COUNT; run++) {
        const svdgrad_desc_t desc = desc_of(&variants[v], algorithms[a]);
        if (desc.m <= largest && desc.n <= largest)
          check(handle, &desc, (device_run_t)run);
      }
  (void)svdgrad_destroy(handle);
}

/* ---- graphs --------------------------------------------------------------------------------------- */

/* A graph of kernels, and of copies and fills within the device, allocates nothing and calls nobody back. */
static void expect_device_work(cudaGraph_t graph, const char *what) {
#if TEST_SIMT
  (void)graph;
  (void)what;
#else
  enum { MOST_NODES = 4096 };
  static cudaGraphNode_t nodes[MOST_NODES];
  size_t count = MOST_NODES;
  CUDA_CHECK(cudaGraphGetNodes(graph, nodes, &count));
  cr_expect(count > 0 && count <= MOST_NODES, "%s: %zu nodes", what, count);
  for (size_t i = 0; i < count && i < MOST_NODES; i++) {
    enum cudaGraphNodeType type;
    CUDA_CHECK(cudaGraphNodeGetType(nodes[i], &type));
    cr_expect(type == cudaGraphNodeTypeKernel || type == cudaGraphNodeTypeMemset || type == cudaGraphNodeTypeMemcpy ||
                  type == cudaGraphNodeTypeEmpty,
              "%s: a node of type %d", what, (int)type);
    if (type == cudaGraphNodeTypeMemcpy) {
      struct cudaMemcpy3DParms copy;
      CUDA_CHECK(cudaGraphMemcpyNodeGetParams(nodes[i], &copy));
      cr_expect_eq(copy.kind, cudaMemcpyDeviceToDevice, "%s: a copy to or from the host", what);
    }
  }
#endif
}

/* NULL if the capture failed.  The stream is a blocking one, so that work on the default stream ends the capture. */
static cudaGraph_t capture(const device_problem_t *p, device_run_t run, cudaStream_t stream, svdgrad_status_t *status) {
  cudaGraph_t graph = NULL;
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  *status = device_problem_run(p, run, stream);
  if (cudaStreamEndCapture(stream, &graph) != cudaSuccess) {
    (void)cudaGetLastError();
    return NULL;
  }
  return graph;
}

static void replay_with(const device_problem_t *p, device_run_t run, cudaGraphExec_t graph, cudaStream_t stream,
                        uint64_t seed) {
  unsigned char *inputs = device_problem_inputs(p, seed), *expected = direct(p, inputs, run);
  device_problem_upload(p, inputs);
  device_problem_poison(p);
  if (run == RUN_BACKWARD)
    expect_run(p, RUN_FORWARD, stream);
  CUDA_CHECK(cudaGraphLaunch(graph, stream));
  CUDA_CHECK(cudaStreamSynchronize(stream));
  unsigned char *outputs = device_problem_outputs(p);
  expect_same(p, run, outputs, expected, "replay");
  free(inputs);
  free(expected);
  free(outputs);
}

static void check_replay(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  if (!svdgrad_is_capturable(handle, device_run_op(run), desc))
    return;
  device_problem_t p = device_problem_make(handle, desc);
  cudaStream_t stream = stream_make(cudaStreamDefault), other = stream_make(cudaStreamNonBlocking);
  svdgrad_status_t status;
  cudaGraphExec_t exec;
  cudaGraph_t graph = capture(&p, run, stream, &status); /* the first call of all: nothing is warm */
  cr_assert_eq(status, SVDGRAD_STATUS_SUCCESS, "%s: %s", describe(desc, run), svdgrad_last_error_message());
  cr_assert_not_null(graph, "%s cannot be captured", describe(desc, run));
  expect_device_work(graph, describe(desc, run));
  CUDA_CHECK(cudaGraphInstantiate(&exec, graph, 0));
  CUDA_CHECK(cudaGraphDestroy(graph));
  replay_with(&p, run, exec, stream, 1);
  replay_with(&p, run, exec, other, 1000);
  replay_with(&p, run, exec, stream, 2000);
  CUDA_CHECK(cudaGraphExecDestroy(exec));
  stream_free(stream);
  stream_free(other);
  device_problem_free(&p);
}

Test(device, replay_gives_what_calls_give) { for_each(check_replay); }

/* Our own kernels always; of the vendor's only those that do not wait for the device. */
static void check_promise(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  const svdgrad_op_t op = device_run_op(run);
  const char *name = svdgrad_algorithm_name(handle, op, desc);
  cr_assert_not_null(name, "%s: %s", describe(desc, run), svdgrad_last_error_message());
  const int waits = strcmp(name, "cusolver-gesvdj") == 0 || strcmp(name, "cusolver-gesvd") == 0;
  cr_expect_eq(svdgrad_is_capturable(handle, op, desc) != 0, !waits, "%s by %s", describe(desc, run), name);
}

Test(device, what_waits_says_so) { for_each(check_promise); }

/* Capturing what cannot be captured fails with an error, or works; the handle and the device live on. */
static void check_refusal(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  if (svdgrad_is_capturable(handle, device_run_op(run), desc))
    return;
  device_problem_t p = device_problem_make(handle, desc);
  cudaStream_t stream = stream_make(cudaStreamDefault);
  unsigned char *inputs = device_problem_inputs(&p, 5), *expected = direct(&p, inputs, run);
  svdgrad_status_t status;
  cudaGraph_t graph = capture(&p, run, stream, &status);
  cr_expect(status == SVDGRAD_STATUS_SUCCESS || status == SVDGRAD_STATUS_BACKEND_ERROR, "%s", describe(desc, run));
  printf("%s: capture %s\n", describe(desc, run), status == SVDGRAD_STATUS_SUCCESS && graph ? "works" : "fails");
  if (graph)
    CUDA_CHECK(cudaGraphDestroy(graph));
  unsigned char *outputs = direct(&p, inputs, run);
  expect_same(&p, run, outputs, expected, "after a failed capture");
  free(inputs);
  free(expected);
  free(outputs);
  stream_free(stream);
  device_problem_free(&p);
}

Test(device, a_failed_capture_harms_nothing) { for_each(check_refusal); }

/* ---- what a call must not do ---------------------------------------------------------------------- */

static void check_calls(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  if (!svdgrad_is_capturable(handle, device_run_op(run), desc))
    return;
  device_problem_t p = device_problem_make(handle, desc);
  unsigned char *inputs = device_problem_inputs(&p, 3), *outputs = direct(&p, inputs, run); /* loads the kernels */
  cudaStream_t stream = stream_make(cudaStreamNonBlocking);
  size_t bytes; /* the question makes the handle of cuSOLVER that the first call on a stream takes */
  cr_expect_eq(svdgrad_workspace_size(handle, device_run_op(run), desc, &bytes), SVDGRAD_STATUS_SUCCESS, "%s: %s",
               describe(desc, run), svdgrad_last_error_message());
  guard_begin();
  const svdgrad_status_t status = device_problem_run(&p, run, stream);
  const int forbidden = guard_end();
  cr_expect_eq(status, SVDGRAD_STATUS_SUCCESS, "%s: %s", describe(desc, run), svdgrad_last_error_message());
  cr_expect_eq(forbidden, 0, "%d forbidden calls: %s", forbidden, describe(desc, run));
  stream_free(stream);
  free(inputs);
  free(outputs);
  device_problem_free(&p);
}

Test(device, no_allocation_no_synchronization_no_default_stream) {
  if (!guard_kind())
    puts("skipped: nothing here can watch the calls; the replays above prove it for what can be captured");
  else
    for_each(check_calls);
}

/* The guard itself must see what it is there to see. */
Test(device, the_guard_sees_forbidden_calls) {
  void *memory = NULL;
  if (!guard_kind())
    return;
  CUDA_CHECK(cudaMalloc(&memory, 1 << 22));
  CUDA_CHECK(cudaFree(memory));
  guard_begin();
  CUDA_CHECK(cudaMalloc(&memory, 1 << 22));
  CUDA_CHECK(cudaMemset(memory, 0, 1 << 22));
  CUDA_CHECK(slow_copy(memory, (char *)memory + 4096, 16, 0, NULL));
  CUDA_CHECK(cudaDeviceSynchronize());
  CUDA_CHECK(cudaFree(memory));
  cr_expect(guard_end() >= 4);
}

/* ---- order ---------------------------------------------------------------------------------------- */

/* The inputs arrive by a slow copy on the stream, and leave by another, with nothing waited for in between. */
static void check_order(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  device_problem_t p = device_problem_make(handle, desc);
  unsigned char *inputs = device_problem_inputs(&p, 11), *expected = direct(&p, inputs, run);
  unsigned char *staged = NULL, *result = NULL;
  cudaStream_t stream = stream_make(cudaStreamNonBlocking);
  CUDA_CHECK(cudaMalloc((void **)&staged, p.input_bytes));
  CUDA_CHECK(cudaMalloc((void **)&result, p.output_bytes));
  CUDA_CHECK(cudaMemcpy(staged, inputs, p.input_bytes, cudaMemcpyHostToDevice));
  CUDA_CHECK(cudaMemset(p.inputs, 0xFF, p.input_bytes)); /* NaN, for whoever comes too early */
  device_problem_poison(&p);
  CUDA_CHECK(slow_copy(p.inputs, staged, p.input_bytes, DELAY, stream));
  if (run == RUN_BACKWARD)
    expect_run(&p, RUN_FORWARD, stream);
  expect_run(&p, run, stream);
#if !TEST_SIMT
  if (svdgrad_is_capturable(handle, device_run_op(run), desc) &&
      (run != RUN_BACKWARD || svdgrad_is_capturable(handle, SVDGRAD_OP_SVD, desc)))
    cr_expect_eq(cudaStreamQuery(stream), cudaErrorNotReady, "%s waits for the stream", describe(desc, run));
  (void)cudaGetLastError();
#endif
  CUDA_CHECK(cudaMemcpyAsync(result, p.outputs, p.output_bytes, cudaMemcpyDeviceToDevice, stream));
  CUDA_CHECK(cudaMemsetAsync(p.outputs, 0, p.output_bytes, stream));
  CUDA_CHECK(cudaStreamSynchronize(stream));
  unsigned char *outputs = malloc(p.output_bytes);
  cr_assert_not_null(outputs);
  CUDA_CHECK(cudaMemcpy(outputs, result, p.output_bytes, cudaMemcpyDeviceToHost));
  expect_same(&p, run, outputs, expected, "stream order");
  free(inputs);
  free(expected);
  free(outputs);
  CUDA_CHECK(cudaFree(staged));
  CUDA_CHECK(cudaFree(result));
  stream_free(stream);
  device_problem_free(&p);
}

Test(device, calls_keep_the_order_of_their_stream) { for_each(check_order); }

/* Forward on one stream, backward on another, an event between them. */
static void check_two_streams(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  if (run != RUN_BACKWARD)
    return;
  device_problem_t p = device_problem_make(handle, desc);
  unsigned char *inputs = device_problem_inputs(&p, 12), *expected = direct(&p, inputs, run), *staged = NULL;
  cudaStream_t first = stream_make(cudaStreamNonBlocking), second = stream_make(cudaStreamNonBlocking);
  cudaEvent_t done;
  CUDA_CHECK(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
  CUDA_CHECK(cudaMalloc((void **)&staged, p.input_bytes));
  CUDA_CHECK(cudaMemcpy(staged, inputs, p.input_bytes, cudaMemcpyHostToDevice));
  device_problem_poison(&p);
  CUDA_CHECK(cudaMemset(p.inputs, 0xFF, p.input_bytes));
  CUDA_CHECK(cudaDeviceSynchronize());
  CUDA_CHECK(slow_copy(p.inputs, staged, p.input_bytes, DELAY, first));
  expect_run(&p, RUN_FORWARD, first);
  CUDA_CHECK(cudaEventRecord(done, first));
  CUDA_CHECK(cudaStreamWaitEvent(second, done, 0));
  expect_run(&p, RUN_BACKWARD, second);
  CUDA_CHECK(cudaStreamSynchronize(second));
  unsigned char *outputs = device_problem_outputs(&p);
  expect_same(&p, run, outputs, expected, "two streams");
  free(inputs);
  free(expected);
  free(outputs);
  CUDA_CHECK(cudaFree(staged));
  CUDA_CHECK(cudaEventDestroy(done));
  stream_free(first);
  stream_free(second);
  device_problem_free(&p);
}

Test(device, an_event_orders_two_streams) { for_each(check_two_streams); }

/* Two problems at once on two streams, and one on the default stream, disturb each other in nothing. */
static void check_neighbours(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  enum { COUNT = 3 };
  device_problem_t p[COUNT];
  unsigned char *inputs[COUNT], *expected[COUNT];
  cudaStream_t stream[COUNT] = {stream_make(cudaStreamNonBlocking), stream_make(cudaStreamNonBlocking), NULL};
  for (int i = 0; i < COUNT; i++) {
    p[i] = device_problem_make(handle, desc);
    inputs[i] = device_problem_inputs(&p[i], 100 * (uint64_t)i);
    expected[i] = direct(&p[i], inputs[i], run);
    device_problem_poison(&p[i]);
  }
  for (int i = 0; i < COUNT && run == RUN_BACKWARD; i++)
    expect_run(&p[i], RUN_FORWARD, stream[i]);
  for (int i = 0; i < COUNT; i++)
    expect_run(&p[i], run, stream[i]);
  for (int i = 0; i < COUNT; i++) {
    unsigned char *outputs = device_problem_outputs(&p[i]);
    expect_same(&p[i], run, outputs, expected[i], "beside others");
    free(inputs[i]);
    free(expected[i]);
    free(outputs);
    device_problem_free(&p[i]);
    if (stream[i])
      stream_free(stream[i]);
  }
}

Test(device, streams_do_not_disturb_each_other) { for_each(check_neighbours); }

/* ---- threads -------------------------------------------------------------------------------------- */

typedef struct job {
  device_problem_t p;
  unsigned char *inputs, *expected;
  cudaStream_t stream;
  pthread_barrier_t *start;
  int wrong;
} job_t;

static void *run_job(void *argument) {
  job_t *job = argument;
  unsigned char *outputs = malloc(job->p.output_bytes);
  (void)pthread_barrier_wait(job->start);
  for (int i = 0; i < REPEATS && outputs; i++) {
    CUDA_CHECK(cudaMemsetAsync(job->p.outputs, 0xFF, job->p.output_bytes, job->stream));
    job->wrong += device_problem_run(&job->p, RUN_FORWARD, job->stream) != SVDGRAD_STATUS_SUCCESS;
    job->wrong += device_problem_run(&job->p, RUN_BACKWARD, job->stream) != SVDGRAD_STATUS_SUCCESS;
    CUDA_CHECK(cudaMemcpyAsync(outputs, job->p.outputs, job->p.output_bytes, cudaMemcpyDeviceToHost, job->stream));
    CUDA_CHECK(cudaStreamSynchronize(job->stream));
    job->wrong += memcmp(outputs, job->expected, job->p.output_bytes) != 0;
  }
  job->wrong += outputs == NULL;
  free(outputs);
  return NULL;
}

static void run_threads(svdgrad_algo_t algorithm) {
  svdgrad_handle_t handle = handle_make(0);
  pthread_barrier_t start;
  pthread_t threads[THREADS];
  job_t jobs[THREADS];
  cr_assert_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
  for (int t = 0; t < THREADS; t++) {
    const svdgrad_desc_t desc = desc_of(&variants[(3 * t) % VARIANT_COUNT], algorithm);
    jobs[t] = (job_t){.p = device_problem_make(handle, &desc), .start = &start};
    jobs[t].inputs = device_problem_inputs(&jobs[t].p, 10 * (uint64_t)t);
    jobs[t].expected = direct(&jobs[t].p, jobs[t].inputs, RUN_BACKWARD);
    jobs[t].stream = stream_make(cudaStreamNonBlocking);
  }
  for (int t = 0; t < THREADS; t++)
    cr_assert_eq(pthread_create(&threads[t], NULL, run_job, &jobs[t]), 0);
  for (int t = 0; t < THREADS; t++)
    cr_assert_eq(pthread_join(threads[t], NULL), 0);
  for (int t = 0; t < THREADS; t++) {
    cr_expect_eq(jobs[t].wrong, 0, "thread %d: %d of %d wrong: %s", t, jobs[t].wrong, REPEATS,
                 describe(&jobs[t].p.desc, RUN_BACKWARD));
    stream_free(jobs[t].stream);
    free(jobs[t].inputs);
    free(jobs[t].expected);
    device_problem_free(&jobs[t].p);
  }
  (void)pthread_barrier_destroy(&start);
  (void)svdgrad_destroy(handle);
}

Test(device, one_handle_many_threads_jacobi) { run_threads(SVDGRAD_ALGO_JACOBI); }
Test(device, one_handle_many_threads_vendor) { run_threads(SVDGRAD_ALGO_VENDOR); }

/* ---- devices -------------------------------------------------------------------------------------- */

Test(device, the_callers_device_stays_current) {
  const variant_t variant = {SVDGRAD_F64, 6, 4, 5, 0, 0};
  int count = 0, current = -1;
  CUDA_CHECK(cudaGetDeviceCount(&count));
  if (count < 2)
    puts("one device only: the switch between devices is not tested");
  for (int a = 0; a < ALGORITHM_COUNT; a++)
    for (int device = 0; device < (count < 2 ? 1 : 2); device++) {
      const svdgrad_desc_t desc = desc_of(&variant, algorithms[a]);
      const int callers = count < 2 ? 0 : 1 - device;
      CUDA_CHECK(cudaSetDevice(device));
      svdgrad_handle_t handle = handle_make(device);
      device_problem_t p = device_problem_make(handle, &desc);
      unsigned char *inputs = device_problem_inputs(&p, 9), *expected = direct(&p, inputs, RUN_BACKWARD);
      cudaStream_t stream = stream_make(cudaStreamNonBlocking);
      device_problem_poison(&p);
      CUDA_CHECK(cudaSetDevice(callers));
      size_t bytes;
      cr_expect_eq(svdgrad_workspace_size(handle, SVDGRAD_OP_SVD, &desc, &bytes), SVDGRAD_STATUS_SUCCESS);
      expect_run(&p, RUN_FORWARD, stream);
      expect_run(&p, RUN_BACKWARD, stream);
      CUDA_CHECK(cudaGetDevice(&current));
      cr_expect_eq(current, callers, "the calls leave device %d current", current);
      CUDA_CHECK(cudaSetDevice(device));
      stream_free(stream);
      unsigned char *outputs = device_problem_outputs(&p);
      expect_same(&p, RUN_BACKWARD, outputs, expected, "other device current");
      free(inputs);
      free(expected);
      free(outputs);
      device_problem_free(&p);
      CUDA_CHECK(cudaSetDevice(callers));
      cr_expect_eq(svdgrad_destroy(handle), SVDGRAD_STATUS_SUCCESS);
      CUDA_CHECK(cudaGetDevice(&current));
      cr_expect_eq(current, callers, "svdgrad_destroy leaves device %d current", current);
    }
}

/* ---- place in the batch, large batches, far offsets ------------------------------------------------ */

/* Copies the inputs of matrix `from` of one problem to matrix `to` of another. */
static void copy_inputs(const device_problem_t *p, unsigned char *to_inputs, int64_t to, const device_problem_t *q,
                        const unsigned char *from_inputs, int64_t from) {
  for (int i = PART_A; i < PART_S; i++)
    memcpy(to_inputs + p->offset[i] + (size_t)to * p->per_matrix[i],
           from_inputs + q->offset[i] + (size_t)from * q->per_matrix[i], p->per_matrix[i]);
}

/* Matrix 0 of a problem of one comes out the same at the places of another problem that hold it. */
static void expect_anywhere(svdgrad_handle_t handle, const svdgrad_desc_t *desc, const int64_t *places, int count,
                            device_run_t run) {
  svdgrad_desc_t single = *desc;
  single.batch_count = 1;
  device_problem_t p = device_problem_make(handle, desc), q = device_problem_make(handle, &single);
  unsigned char *inputs = device_problem_inputs(&p, 50), *alone = device_problem_inputs(&q, 7);
  for (int i = 0; i < count; i++)
    copy_inputs(&p, inputs, places[i], &q, alone, 0);
  unsigned char *outputs = direct(&p, inputs, run), *expected = direct(&q, alone, run);
  for (int i = 0; i < count; i++)
    cr_expect(device_problem_same(&p, outputs, places[i], &q, expected, 0), "matrix %lld differs from that alone: %s",
              (long long)places[i], describe(desc, run));
  free(inputs);
  free(alone);
  free(outputs);
  free(expected);
  device_problem_free(&p);
  device_problem_free(&q);
}

static void check_places(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  const int64_t places[] = {0, desc->batch_count / 2, desc->batch_count - 1};
  expect_anywhere(handle, desc, places, 3, run);
}

Test(device, a_matrix_is_the_same_anywhere_in_the_batch) { for_each(check_places); }

/* The same call again gives the same bytes. */
static void check_again(svdgrad_handle_t handle, const svdgrad_desc_t *desc, device_run_t run) {
  device_problem_t p = device_problem_make(handle, desc);
  unsigned char *inputs = device_problem_inputs(&p, 21), *expected = direct(&p, inputs, run);
  for (int i = 0; i < REPEATS; i++) {
    unsigned char *outputs = direct(&p, inputs, run);
    expect_same(&p, run, outputs, expected, "again");
    free(outputs);
  }
  free(inputs);
  free(expected);
  device_problem_free(&p);
}

Test(device, again_is_the_same) { for_each(check_again); }

static void run_large_batch(svdgrad_algo_t algorithm) {
  const variant_t variants2[] = {{SVDGRAD_F32, 2, 2, LARGE_BATCH, 0, 0},
                                 {SVDGRAD_F64, 2, 2, LARGE_BATCH, 1, 0},  /* by steps */
                                 {SVDGRAD_C64, 3, 2, LARGE_BATCH, 0, 1}}; /* full */
  const int64_t places[] = {0, LARGE_BATCH / 2, LARGE_BATCH > 65536 ? 65535 : 1, LARGE_BATCH > 65536 ? 65536 : 2,
                            LARGE_BATCH - 1};
  svdgrad_handle_t handle = handle_make(0);
  for (int v = 0; v < 3; v++)
    for (int run = 0; run < RUN_COUNT; run++) {
      const svdgrad_desc_t desc = desc_of(&variants2[v], algorithm);
      expect_anywhere(handle, &desc, places, 5, (device_run_t)run);
    }
  (void)svdgrad_destroy(handle);
}

Test(device, large_batch_jacobi) { run_large_batch(SVDGRAD_ALGO_JACOBI); }
Test(device, large_batch_vendor) { run_large_batch(SVDGRAD_ALGO_VENDOR); }

#if !TEST_SIMT

static int memory_allows(size_t bytes) {
  size_t available = 0, all = 0;
  CUDA_CHECK(cudaMemGetInfo(&available, &all));
  if (available / 10 * 9 >= bytes)
    return 1;
  printf("skipped: %zu MB are free, %zu needed\n", available >> 20, bytes >> 20);
  return 0;
}

/* Three matrices, 2^30 elements apart: the last begins beyond 2^31 elements.  One operand at a time is spread, the
 * others stay packed. */
static void spread_operand(svdgrad_handle_t handle, float *arena, int64_t stride, int operand) {
  enum { M = 5, N = 4, BATCH = 3, COUNT = 6 }; /* operands A, U, Vh, gU, gVh, gA */
  static const device_part_t parts[COUNT] = {PART_A, PART_U, PART_VH, PART_GU, PART_GVH, PART_GA};
  const variant_t variant = {SVDGRAD_F32, M, N, BATCH, 0, 0};
  const svdgrad_desc_t desc = desc_of(&variant, SVDGRAD_ALGO_JACOBI);
  device_problem_t p = device_problem_make(handle, &desc);
  unsigned char *inputs = device_problem_inputs(&p, 31), *expected = direct(&p, inputs, RUN_BACKWARD);
  const size_t each = p.per_matrix[parts[operand]];
  svdgrad_matrix_t x[COUNT];
  device_problem_poison(&p);
  for (int i = 0; i < COUNT; i++)
    x[i] = (svdgrad_matrix_t){device_problem_part(&p, parts[i]), 1, p.rows[parts[i]],
                              (int64_t)(p.per_matrix[parts[i]] / sizeof(float))};
  x[operand].data = arena;
  x[operand].batch_stride = stride;
  for (int64_t b = 0; b < BATCH; b++)
    CUDA_CHECK(cudaMemcpy(arena + b * stride,
                          (char *)device_problem_part(&p, parts[operand]) + (size_t)b * p.per_matrix[parts[operand]],
                          each, cudaMemcpyDeviceToDevice));
  CUDA_CHECK(cudaDeviceSynchronize());
  cudaStream_t stream = stream_make(cudaStreamNonBlocking);
  const svdgrad_vector_t S = {device_problem_part(&p, PART_S), 1, N}, gS = {device_problem_part(&p, PART_GS), 1, N};
  cr_expect_eq(svdgrad_svd(handle, stream, &desc, &x[0], &S, &x[1], &x[2], device_problem_part(&p, PART_INFO),
                           p.work[SVDGRAD_OP_SVD], p.work_bytes[SVDGRAD_OP_SVD]),
               SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_expect_eq(svdgrad_svd_backward(handle, stream, &desc, NULL, &S, &x[1], &x[2], &gS, &x[3], &x[4], 1, 0, &x[5],
                                    device_problem_part(&p, PART_REPORT), p.work[SVDGRAD_OP_SVD_BACKWARD],
                                    p.work_bytes[SVDGRAD_OP_SVD_BACKWARD]),
               SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  stream_free(stream);
  for (int64_t b = 0; b < BATCH; b++) /* an output goes to where it is compared */
    CUDA_CHECK(cudaMemcpy((char *)device_problem_part(&p, parts[operand]) + (size_t)b * p.per_matrix[parts[operand]],
                          arena + b * stride, each, cudaMemcpyDeviceToDevice));
  unsigned char *outputs = device_problem_outputs(&p);
  cr_expect(memcmp(outputs, expected, p.output_bytes) == 0, "operand %d at a batch stride of 2^30", operand);
  free(inputs);
  free(expected);
  free(outputs);
  device_problem_free(&p);
}

Test(device, offsets_beyond_32_bits) {
  const int64_t stride = ((int64_t)1 << 30) + 7;
  const size_t bytes = (size_t)(2 * stride + 64) * sizeof(float);
  svdgrad_handle_t handle = handle_make(0);
  float *arena = NULL;
  if (memory_allows(bytes + (1u << 28))) {
    CUDA_CHECK(cudaMalloc((void **)&arena, bytes));
    for (int operand = 0; operand < 6; operand++)
      spread_operand(handle, arena, stride, operand);
    CUDA_CHECK(cudaFree(arena));
  }
  (void)svdgrad_destroy(handle);
}

/* More than 2^31 elements in one operand, and in every array of the workspace.  All matrices but the last are zero,
 * which takes no time. */
Test(device, arrays_beyond_32_bits) {
  enum { SIZE = 32 };
  const int64_t batch = ((int64_t)1 << 31) / (SIZE * SIZE) + 3;
  svdgrad_handle_t handle = handle_make(0);
  variant_t variant = {SVDGRAD_F32, SIZE, SIZE, 1, 0, 0};
  svdgrad_desc_t desc = desc_of(&variant, SVDGRAD_ALGO_JACOBI);
  device_problem_t single = device_problem_make(handle, &desc);
  unsigned char *inputs = device_problem_inputs(&single, 8), *expected = direct(&single, inputs, RUN_VALUES);
  size_t work_bytes = 0;
  desc.batch_count = batch;
  cr_assert_eq(svdgrad_workspace_size(handle, SVDGRAD_OP_SVDVALS, &desc, &work_bytes), SVDGRAD_STATUS_SUCCESS);
  const size_t a_bytes = (size_t)batch * SIZE * SIZE * sizeof(float), s_bytes = (size_t)batch * SIZE * sizeof(float);
  float *A = NULL, *S = NULL, last[SIZE];
  int32_t *info = NULL;
  void *work = NULL;
  if (memory_allows(a_bytes + s_bytes + work_bytes + (1u << 28))) {
    CUDA_CHECK(cudaMalloc((void **)&A, a_bytes));
    CUDA_CHECK(cudaMalloc((void **)&S, s_bytes));
    CUDA_CHECK(cudaMalloc((void **)&info, (size_t)batch * sizeof *info));
    CUDA_CHECK(cudaMalloc(&work, work_bytes));
    CUDA_CHECK(cudaMemset(A, 0, a_bytes));
    CUDA_CHECK(cudaMemset(S, 0xFF, s_bytes));
    CUDA_CHECK(cudaMemcpy(A + (batch - 1) * SIZE * SIZE, inputs + single.offset[PART_A], single.per_matrix[PART_A],
                          cudaMemcpyHostToDevice));
    CUDA_CHECK(cudaDeviceSynchronize());
    const svdgrad_matrix_t A_of = {A, 1, SIZE, SIZE * SIZE};
    const svdgrad_vector_t S_of = {S, 1, SIZE};
    cr_assert_eq(svdgrad_svd(handle, NULL, &desc, &A_of, &S_of, NULL, NULL, info, work, work_bytes),
                 SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
    CUDA_CHECK(cudaDeviceSynchronize());
    CUDA_CHECK(cudaMemcpy(last, S + (batch - 1) * SIZE, sizeof last, cudaMemcpyDeviceToHost));
    cr_expect(memcmp(last, expected + single.offset[PART_S], sizeof last) == 0, "the last of %lld matrices",
              (long long)batch);
    CUDA_CHECK(cudaMemcpy(last, S + (batch - 2) * SIZE, sizeof last, cudaMemcpyDeviceToHost));
    for (int i = 0; i < SIZE; i++)
      cr_expect_eq(last[i], 0.0F, "the matrix before it is zero");
    void *const all[] = {A, S, info, work};
    for (int i = 0; i < 4; i++)
      CUDA_CHECK(cudaFree(all[i]));
  }
  free(inputs);
  free(expected);
  device_problem_free(&single);
  (void)svdgrad_destroy(handle);
}

#endif
