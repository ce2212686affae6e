// SPDX-License-Identifier: BSD-3-Clause
// Several threads of the host launch at once, each on its own stream.  The thread sanitizer must see the order
// that CUDA makes between them, and no other: the shim's lock must not hide races of host code.
#include "simt.hpp"
#include "selftest.h"
#include <atomic>
#include <thread>

__global__ void add_kernel(int *at) {
  __shared__ int s[64];
  s[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int i = 0; i < 64; i++)
      *at += s[i];
}

static int shared_count;

static void work(bool bug) {
  cudaStream_t stream;
  int *data, value = 0;
  CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CUDA(cudaMalloc(&data, sizeof *data));
  CUDA(cudaMemsetAsync(data, 0, sizeof *data, stream));
  for (int i = 0; i < 5; i++)
    CUDA(SIMT_LAUNCH(add_kernel, 1, 64, 0, stream, data));
  CUDA(cudaMemcpyAsync(&value, data, sizeof value, cudaMemcpyDeviceToHost, stream));
  CUDA(cudaStreamSynchronize(stream));
  CHECK(value == 320);
  if (bug)
    for (int i = 0; i < 1000; i++)
      shared_count++;
  CUDA(cudaFree(data));
  CUDA(cudaStreamDestroy(stream));
}

// One thread hands a number to another through nothing but a stream.
static void hand_over(bool bug) {
  cudaStream_t stream;
  int *data, handed = 0;
  std::atomic<bool> given{false}; // relaxed: orders nothing
  CUDA(cudaStreamCreate(&stream));
  CUDA(cudaMalloc(&data, sizeof *data));
  std::thread giver([&] {
    handed = 7;
    CUDA(SIMT_LAUNCH(add_kernel, 1, 64, 0, stream, data));
    given.store(true, std::memory_order_relaxed);
  });
  while (!given.load(std::memory_order_relaxed))
    std::this_thread::yield();
  if (!bug)
    CUDA(cudaStreamSynchronize(stream));
  CHECK(handed == 7);
  giver.join();
  CUDA(cudaFree(data));
  CUDA(cudaStreamDestroy(stream));
}

int main(int argc, char **argv) {
  if (CASE("bug-no-synchronize")) {
    hand_over(true);
    return 0;
  }
  if (!CASE("right") && !CASE("bug-host-race"))
    NO_SUCH_CASE;
  hand_over(false);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++)
    threads.emplace_back(work, CASE("bug-host-race"));
  for (std::thread &t : threads)
    t.join();
  return 0;
}
