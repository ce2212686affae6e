// SPDX-License-Identifier: BSD-3-Clause
// Capture and replay: nothing runs during capture, what a capture forbids ends it, replays see new inputs.
#include "simt.hpp"
#include "selftest.h"
#include "simt_test.h"

__global__ void add_kernel(int *to, const int *a, const int *b) { *to = *a + *b; }

static cudaStream_t stream, branch;
static int *data; // a, b, sum, sum of sums

static void set(int a, int b) {
  const int values[4] = {a, b, 0, 0};
  CUDA(cudaMemcpy(data, values, sizeof values, cudaMemcpyHostToDevice));
}

static int get(int i) {
  int value;
  CUDA(cudaMemcpy(&value, data + i, sizeof value, cudaMemcpyDeviceToHost));
  return value;
}

static void replay(cudaGraph_t graph, int a, int b, int sum) {
  cudaGraphExec_t exec;
  CUDA(cudaGraphInstantiate(&exec, graph, 0));
  set(a, b);
  CUDA(cudaGraphLaunch(exec, stream));
  CUDA(cudaGraphExecDestroy(exec)); // a launch that is queued keeps what it needs
  CUDA(cudaStreamSynchronize(stream));
  CHECK(get(3) == sum);
}

static void one_stream() {
  cudaGraph_t graph;
  set(1, 2);
  CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  enum cudaStreamCaptureStatus status;
  CUDA(cudaStreamIsCapturing(stream, &status));
  CHECK(status == cudaStreamCaptureStatusActive);
  CUDA(SIMT_LAUNCH(add_kernel, 1, 1, 0, stream, data + 2, data, data + 1));
  CUDA(cudaMemcpyAsync(data + 3, data + 2, sizeof *data, cudaMemcpyDeviceToDevice, stream));
  const unsigned long before = simt_launches();
  CUDA(cudaStreamEndCapture(stream, &graph));
  CHECK(simt_launches() == before && get(3) == 0);
  replay(graph, 1, 2, 3);
  replay(graph, 30, 4, 34);
  CUDA(cudaGraphDestroy(graph));
}

// A second stream joins the capture through events.  Returns whether the result is right in this order.
static bool two_streams(bool ordered) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  cudaEvent_t begun, ended;
  CUDA(cudaEventCreateWithFlags(&begun, cudaEventDisableTiming));
  CUDA(cudaEventCreateWithFlags(&ended, cudaEventDisableTiming));
  CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  if (!ordered)
    CUDA(cudaEventRecord(begun, stream)); // too early: before the sum that the branch reads
  CUDA(SIMT_LAUNCH(add_kernel, 1, 1, 0, stream, data + 2, data, data + 1));
  if (ordered)
    CUDA(cudaEventRecord(begun, stream));
  CUDA(cudaStreamWaitEvent(branch, begun, 0));
  CUDA(SIMT_LAUNCH(add_kernel, 1, 1, 0, branch, data + 3, data + 2, data + 2));
  CUDA(cudaEventRecord(ended, branch));
  CUDA(cudaStreamWaitEvent(stream, ended, 0));
  CUDA(cudaStreamEndCapture(stream, &graph));
  CUDA(cudaGraphInstantiate(&exec, graph, 0));
  set(5, 6);
  CUDA(cudaGraphLaunch(exec, stream));
  CUDA(cudaStreamSynchronize(stream));
  CUDA(cudaGraphExecDestroy(exec));
  CUDA(cudaGraphDestroy(graph));
  CUDA(cudaEventDestroy(begun));
  CUDA(cudaEventDestroy(ended));
  return get(3) == 22;
}

#define ENDS_CAPTURE(error, call)                                                                                      \
  do {                                                                                                                 \
    cudaGraph_t none;                                                                                                  \
    CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));                                                 \
    CUDA_GIVES(error, call);                                                                                           \
    enum cudaStreamCaptureStatus status;                                                                               \
    CUDA(cudaStreamIsCapturing(stream, &status));                                                                      \
    CHECK(status == cudaStreamCaptureStatusInvalidated);                                                               \
    CUDA_GIVES(cudaErrorStreamCaptureInvalidated, cudaMemsetAsync(data, 0, sizeof *data, stream));                     \
    CUDA_GIVES(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream, &none));                                \
    CHECK(none == nullptr);                                                                                            \
  } while (0)

static void forbidden_calls() {
  int *more, host;
  ENDS_CAPTURE(cudaErrorStreamCaptureUnsupported, cudaMalloc(&more, 4));
  ENDS_CAPTURE(cudaErrorStreamCaptureUnsupported, cudaFree(data));
  ENDS_CAPTURE(cudaErrorStreamCaptureUnsupported, cudaStreamSynchronize(stream));
  ENDS_CAPTURE(cudaErrorStreamCaptureUnsupported, cudaDeviceSynchronize());
  ENDS_CAPTURE(cudaErrorStreamCaptureUnsupported, cudaMemcpy(&host, data, 4, cudaMemcpyDeviceToHost));
  ENDS_CAPTURE(cudaErrorStreamCaptureImplicit, SIMT_LAUNCH(add_kernel, 1, 1, 0, 0, data, data, data));
  CUDA_GIVES(cudaErrorStreamCaptureUnsupported, cudaStreamBeginCapture(0, cudaStreamCaptureModeGlobal));
}

static void unjoined() {
  cudaGraph_t none;
  cudaEvent_t begun;
  CUDA(cudaEventCreateWithFlags(&begun, cudaEventDisableTiming));
  CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CUDA(cudaEventRecord(begun, stream));
  CUDA(cudaStreamWaitEvent(branch, begun, 0));
  CUDA(cudaMemsetAsync(data, 0, sizeof *data, branch));
  CUDA_GIVES(cudaErrorStreamCaptureUnjoined, cudaStreamEndCapture(stream, &none));
  CUDA(cudaEventDestroy(begun));
}

static int report(bool right) {
  if (!right)
    puts("the branch read an old value");
  return !right;
}

int main(int argc, char **argv) {
  CUDA(cudaMalloc(&data, 4 * sizeof *data));
  CUDA(cudaStreamCreate(&stream));
  CUDA(cudaStreamCreate(&branch));
  if (CASE("right")) {
    one_stream();
    CHECK(two_streams(true));
    forbidden_calls();
    unjoined();
    one_stream(); // all of this left the stream usable
  } else if (CASE("bug-early-event"))
    return report(two_streams(false));
  else
    NO_SUCH_CASE;
  CUDA(cudaStreamDestroy(stream));
  CUDA(cudaStreamDestroy(branch));
  CUDA(cudaFree(data));
  return 0;
}
