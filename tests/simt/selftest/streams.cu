// SPDX-License-Identifier: BSD-3-Clause
// Order between streams.  Run with SIMT_ASYNC=1: then work waits until something waits for it.
#include "simt.hpp"
#include "selftest.h"
#include "simt_test.h"

__global__ void set_kernel(int *at, int value) { *at = value; }
__global__ void copy_kernel(int *to, const int *from) { *to = *from; }

static int read_back(const int *at, cudaStream_t stream) {
  int value = -1;
  CUDA(cudaMemcpyAsync(&value, at, sizeof value, cudaMemcpyDeviceToHost, stream));
  CUDA(cudaStreamSynchronize(stream));
  return value;
}

// One stream writes, another reads; with `ordered` an event lies in between.
static bool producer_and_consumer(bool ordered) {
  cudaStream_t producer, consumer;
  cudaEvent_t written;
  int *data;
  CUDA(cudaMalloc(&data, 2 * sizeof *data));
  CUDA(cudaStreamCreateWithFlags(&producer, cudaStreamNonBlocking));
  CUDA(cudaStreamCreateWithFlags(&consumer, cudaStreamNonBlocking));
  CUDA(cudaEventCreateWithFlags(&written, cudaEventDisableTiming));
  CUDA(SIMT_LAUNCH(set_kernel, 1, 1, 0, producer, data, 42));
  CUDA(cudaEventRecord(written, producer));
  CUDA(SIMT_LAUNCH(set_kernel, 1, 1, 0, producer, data + 1, 1)); // after the event: need not have run
  if (ordered)
    CUDA(cudaStreamWaitEvent(consumer, written, 0));
  CUDA(SIMT_LAUNCH(copy_kernel, 1, 1, 0, consumer, data + 1, data));
  const bool good = read_back(data + 1, consumer) == 42;
  CUDA(cudaEventDestroy(written));
  CUDA(cudaStreamDestroy(producer));
  CUDA(cudaStreamDestroy(consumer));
  CUDA(cudaFree(data));
  CHECK(simt_leaked() == 0);
  return good;
}

static void default_stream() { // waits for blocking streams and they for it; not for others
  cudaStream_t blocking, other;
  int *data, value = 0;
  CUDA(cudaMalloc(&data, 2 * sizeof *data));
  CUDA(cudaStreamCreate(&blocking));
  CUDA(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  CUDA(SIMT_LAUNCH(set_kernel, 1, 1, 0, blocking, data, 1));
  CUDA(SIMT_LAUNCH(set_kernel, 1, 1, 0, other, data + 1, 1));
  CUDA(cudaMemcpy(&value, data, sizeof value, cudaMemcpyDeviceToHost));
  CHECK(value == 1 && simt_pending() == 1);
  CUDA(cudaMemsetAsync(data, 0, sizeof *data, 0));
  CHECK(read_back(data, blocking) == 0);
  CUDA_GIVES(cudaErrorNotReady, cudaStreamQuery(other));
  CUDA(cudaStreamQuery(other));
  CUDA(cudaStreamDestroy(blocking));
  CUDA(cudaStreamDestroy(other));
  CUDA_GIVES(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(other));
  CUDA(cudaFree(data));
}

static void events() {
  cudaStream_t stream;
  cudaEvent_t start, end;
  float milliseconds = -1;
  CUDA(cudaStreamCreate(&stream));
  CUDA(cudaEventCreate(&start));
  CUDA(cudaEventCreate(&end));
  CUDA_GIVES(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&milliseconds, start, end));
  CUDA(cudaEventRecord(start, stream));
  CUDA(cudaEventRecord(end, stream));
  CUDA_GIVES(cudaErrorNotReady, cudaEventElapsedTime(&milliseconds, start, end));
  CUDA(cudaEventSynchronize(end));
  CUDA(cudaEventElapsedTime(&milliseconds, start, end));
  CHECK(milliseconds >= 0);
  CUDA(cudaEventDestroy(start));
  CUDA(cudaEventDestroy(end));
  CUDA(cudaStreamDestroy(stream));
}

static void CUDART_CB call_runtime(void *error) {
  int device;
  *static_cast<cudaError_t *>(error) = cudaGetDevice(&device);
}

static void host_function() {
  cudaError_t error = cudaSuccess;
  cudaStream_t stream;
  CUDA(cudaStreamCreate(&stream));
  CUDA(cudaLaunchHostFunc(stream, call_runtime, &error));
  CHECK(error == cudaSuccess); // not yet
  CUDA(cudaStreamSynchronize(stream));
  CHECK(error == cudaErrorNotPermitted);
  CUDA(cudaStreamDestroy(stream));
}

int main(int argc, char **argv) {
  if (CASE("right")) {
    CHECK(producer_and_consumer(true));
    default_stream();
    events();
    host_function();
    return 0;
  }
  if (!CASE("bug-no-event"))
    NO_SUCH_CASE;
  if (producer_and_consumer(false))
    return 0;
  puts("the consumer read an old value");
  return 1;
}
